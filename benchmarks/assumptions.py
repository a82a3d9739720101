"""How far the tests of the four assumptions can be trusted: simulated populations whose truth is known.

    python benchmarks/assumptions.py --repeats 200

Prints how often limits hold the true value (95 % are due), how often effects are called independent or not, by how
much they truly interact, and how near an EDF comes to the truth with and without its correction for chance.
"""

import argparse
import time

import numpy as np
from scipy import special, stats

from netspace.findings.assumptions import MOST_INTERPLAY
from netspace.stats import EDF, fidelity, interplay, seed_noise, without_noise

IMAGES = 500
SHARES = (0.1, 0.5, 0.9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    options = parser.parse_args()
    ranks(options.repeats)
    splits(options.repeats)
    effects(max(options.repeats // 4, 2))
    corrections(options.repeats // 2)
    print(f"{time.process_time():.0f} s of one core")


def ranks(repeats: int) -> None:
    print("rank correlations of two measurements: the true one, and how often the limits hold it")
    print(f"{'measurements':32}{'networks':>9}{'tau':>7}{'held':>7}{'Spearman':>10}{'held':>7}{'recall':>8}{'held':>7}")
    for world in ("unrelated", "related", "nearly equal", "uneven, tenth fails"):
        rng = np.random.default_rng(1)
        a, b = two_measurements(rng, 20_000, world)
        tau, rho = stats.kendalltau(rank(a), rank(b)).statistic, stats.spearmanr(rank(a), rank(b)).statistic
        best = [set(np.argsort(rank(x) + rng.random(x.size) / 2)[: x.size // 10].tolist()) for x in (a, b)]
        recall = len(best[0] & best[1]) / len(best[0])
        for n in (20, 50, 150):
            found = [fidelity(*two_measurements(rng, n, world)) for _ in range(repeats)]
            held = [[one.kendall, one.spearman, one.top_recall] for one in found if one is not None]
            shares = []
            for true, column in zip((tau, rho, recall), zip(*held, strict=True), strict=True):
                told = [one.low <= true <= one.high for one in column if one is not None]
                shares.append(f"{100 * np.mean(told):.0f} %" if told else "-")
            print(
                f"{world:32}{n:9}{tau:7.2f}{shares[0]:>7}{rho:10.2f}{shares[1]:>7}{100 * recall:6.0f} %{shares[2]:>7}"
            )


def two_measurements(rng, n, world):
    own, chance, more = rng.normal(size=(3, n))
    noise = {"unrelated": 0.0, "related": 0.5, "nearly equal": 0.15, "uneven, tenth fails": 0.5 * np.exp(own)}[world]
    a, b = (chance, more) if world == "unrelated" else (own + noise * chance, own + noise * more)
    errors = [np.minimum(np.round(np.exp(0.6 * x - 3) * IMAGES) / IMAGES, 1.0) for x in (a, b)]
    if world.startswith("uneven"):
        fails = rng.random(n) < 0.1
        errors[0][fails] = np.inf
        errors[1][fails & (rng.random(n) < 0.7)] = np.inf
    return errors


def rank(errors):
    return stats.rankdata(errors)


def own_log_odds(rng, n, shape):
    if shape == "normal":
        return rng.normal(-3.0, 0.8, n)
    if shape == "skewed":
        return rng.gamma(2.0, 0.5, n) - 3.6
    return np.where(rng.random(n) < 0.8, rng.normal(-3.3, 0.3, n), rng.normal(-0.5, 0.5, n))


def trained(rng, own, chance, seeds):
    """Errors on `IMAGES` images, of networks whose log-odds are `own`: (networks, seeds)."""
    return rng.binomial(IMAGES, special.expit(own[:, None] + rng.normal(0.0, chance, (own.size, seeds)))) / IMAGES


def splits(repeats: int) -> None:
    print("\nnetworks' own share of the variance: the true one, and how often the limits hold it (and those of chance)")
    print(f"{'log-odds':12}{'chance':>7}{'networks':>10}{'seeds':>7}{'own share':>11}{'held':>7}{'held':>7}")
    for shape in ("normal", "skewed", "two groups"):
        for chance in (0.25, 0.5):
            rng = np.random.default_rng(0)
            true = seed_noise(trained(rng, own_log_odds(rng, 20_000, shape), chance, 2))
            for n, seeds in ((16, 2), (48, 2), (48, 3), (150, 2)):
                found = [seed_noise(trained(rng, own_log_odds(rng, n, shape), chance, seeds)) for _ in range(repeats)]
                own = np.mean([f.reliability.low <= true.reliability.value <= f.reliability.high for f in found])
                seed = np.mean([f.seed.low <= true.seed.value <= f.seed.high for f in found])
                share = f"{100 * true.reliability.value:.0f} %"
                print(f"{shape:12}{chance:7}{n:10}{seeds:7}{share:>11}{100 * own:5.0f} %{100 * seed:5.0f} %")


def effects(repeats: int) -> None:
    print(f"\ninterplay: how often effects are called independent (at most {100 * MOST_INTERPLAY:.0f} %), or not")
    print(f"{'networks':>8}{'true share':>12}{'estimate':>10}{'independent':>13}{'not':>6}{'not enough data':>17}")
    for n in (48, 100, 200):
        for share in (0.0, 0.1, 0.25, 0.5, 0.8):
            rng = np.random.default_rng(0)
            found = [interplay(*interacting(rng, n, share)).share for _ in range(repeats if n < 200 else repeats // 2)]
            holds = np.mean([one.high <= MOST_INTERPLAY for one in found])
            fails = np.mean([one.low > MOST_INTERPLAY for one in found])
            mean = np.mean([one.value for one in found])
            told = f"{100 * holds:.0f} %", f"{100 * fails:.0f} %", f"{100 * (1 - holds - fails):.0f} %"
            print(f"{n:8}{100 * share:10.0f} %{100 * mean:8.0f} %{told[0]:>13}{told[1]:>6}{told[2]:>17}", flush=True)


def interacting(rng, n, share):
    """Networks of three stages in a band of flops, whose errors owe `share` of what is not chance to interplay."""
    many = 6 * n
    depth, width = rng.integers(1, 7, (many, 3)), np.exp(rng.uniform(np.log(8), np.log(128), (many, 3)))
    ratio, group = rng.choice([1.0, 2.0, 4.0], (many, 3)), rng.choice([1.0, 2.0, 4.0, 8.0, 16.0], (many, 3))
    flops = (depth * width**2 / ratio * 0.25 ** np.arange(3)).sum(axis=1)
    kept = np.argsort(np.abs(np.log(flops / np.median(flops))))[:n]
    depth, width, ratio, group = depth[kept], width[kept], ratio[kept], group[kept]
    d, w, b, g = (unit(np.log(x).sum(axis=1)) for x in (depth, width, ratio, group))
    main = unit(2.0 * np.exp(-d) + 0.5 * w**2 - w + 0.3 * b)
    both = np.column_stack([np.ones(n), d, d**2, w, w**2, b, g])
    product = d * w + 0.5 * d * g
    product -= both @ np.linalg.lstsq(both, product, rcond=None)[0]  # what the groups do not explain one by one
    truth = np.sqrt(1 - share) * main + np.sqrt(share) * unit(product)
    errors = np.round(special.expit(0.5 * (truth + rng.normal(0.0, 0.5, n)) - 3.0) * IMAGES) / IMAGES
    return {"depth": depth, "width": width, "ratio": ratio, "group": group}, errors


def unit(values):
    return (values - values.mean()) / values.std()


def corrections(repeats: int) -> None:
    print("\nEDFs of 150 networks: mean error and root mean squared error, in points, of their quantiles")
    print("chance from 48 networks and 3 seeds; `doubled` extrapolates from what as much chance again does")
    print(f"{'log-odds':12}{'chance':>7}  {'EDF':10}{'minimum':>15}{'best tenth':>15}{'median':>15}{'worst tenth':>15}")
    for shape in ("normal", "skewed", "two groups"):
        for chance in (0.25, 0.5):
            rng = np.random.default_rng(0)
            misses = {"as seen": [], "shrunk": [], "doubled": []}
            for _ in range(repeats):
                own = own_log_odds(rng, 150, shape)
                seen = trained(rng, own, chance, 1)[:, 0]
                noise = seed_noise(trained(rng, own[:48], chance, 3))
                true = quantiles(special.expit(own))
                odds = special.logit(np.clip(seen, 0.5 / IMAGES, 1 - 0.5 / IMAGES))
                noisier = [special.expit(odds + rng.normal(0.0, noise.seed.value, 150)) for _ in range(20)]
                twice = np.mean([special.logit(quantiles(one)) for one in noisier], axis=0)
                seen_odds = special.logit(quantiles(special.expit(odds)))
                misses["as seen"].append(quantiles(seen) - true)
                misses["shrunk"].append(quantiles(without_noise(seen, noise).errors) - true)
                misses["doubled"].append(special.expit(2 * seen_odds - twice) - true)
            for name, rows in misses.items():
                points = 100 * np.array(rows)
                told = zip(points.mean(axis=0), np.sqrt(np.square(points).mean(axis=0)), strict=True)
                print(f"{shape:12}{chance:7}  {name:10}" + "".join(f"{bias:+8.2f} {rmse:6.2f}" for bias, rmse in told))


def quantiles(errors):
    edf = EDF(errors=errors)
    return np.array([edf.minimum, *(edf.quantile(share) for share in SHARES)])


if __name__ == "__main__":
    main()
