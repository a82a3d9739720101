"""What coupled draws would save: networks of a space and of its refinement made from the same raw draws, and trained.

    python benchmarks/coupling.py examples/digits.toml --pairs 100       # a few minutes of one core

`space.sample(n, coupled_to=parent)` gives a refinement the uniform numbers of its parent. Where both networks of a
draw lie inside the budget they are a pair, and errors that go together in pairs cancel in the difference of the two
spaces. With m pairs among n networks of each space, and a correlation r of the ranks in pairs, the variance of the
difference falls to 1 - r m / n. The same is asked of what covariates leave over, since the assisted comparison has
already what these explain.
"""

import argparse
from dataclasses import replace

import numpy as np
from scipy import stats

from netspace.backends import get_backend
from netspace.findings.assisted import draw_census, known_spaces
from netspace.spaces.drawing import Coupled
from netspace.spaces.sample import Sample, sample
from netspace.stats import rank_correlation
from netspace.stats.prediction import predicted_ranks, standardised
from netspace.storage.population import Population
from netspace.studies.study import Study
from netspace.training.data import Dataset
from netspace.training.trial import Trial

DRAWN = 2_000
"""Networks drawn of each space to see how many are pairs."""


def trained(study: Study, taken: Sample, positions: list[int], data: Dataset) -> Population:
    """Return the networks of some raw draws, trained by the study's recipe."""
    backend, rows = get_backend(study.spec.backend), [taken.positions.index(position) for position in positions]
    networks = tuple(taken.networks[row] for row in rows)
    recipe, seed = study.spec.recipe, study.spec.seed
    trials = [Trial(network=one, recipe=recipe, data=data.fingerprint, seed=seed, backend="torch") for one in networks]
    measures = {name: getattr(taken.complexity, name)[rows] for name in ("flops", "params", "activations")}
    return Population(
        name=taken.name,
        networks=networks,
        results=tuple(backend.train(trial, data) for trial in trials),
        drawn=tuple(taken.drawn[row] for row in rows),
        positions=tuple(positions),
        complexity=replace(taken.complexity, **measures),
        num_draws=taken.draws,
        num_in_band=taken.in_band,
    )


def show(study: Study, pairs: int) -> None:
    drawn = study.draw()
    parent = drawn.spaces["AnyNetX_A"]
    resolution, budget = drawn.data.resolution, study.spec.budget.budget()
    terms = {"seed": study.spec.seed, "resolution": resolution, "budget": budget}
    refinements = {
        "shared b": parent.share("bottleneck_ratio"),
        "shared b and g": parent.share("bottleneck_ratio").share("group_width"),
        "AnyNetX_E": drawn.spaces["AnyNetX_E"],
    }
    first = sample(parent, DRAWN, **terms)
    print(f"{'refinement':16}{'in pairs':>10}{'pairs':>7}{'r':>7}{'95 % limits':>16}{'of variance':>13}", end="")
    print(f"{'r of the rest':>15}{'95 % limits':>16}{'of variance':>13}")
    for words, refined in refinements.items():
        second = sample(Coupled(space=refined, to=parent), DRAWN, **terms)
        both = sorted(set(first.positions) & set(second.positions))
        share, chosen = len(both) / DRAWN, both[:pairs]
        populations = [
            replace(trained(study, taken, chosen, drawn.data), name=name)
            for name, taken in (("parent", first), ("refined", second))
        ]
        censuses = {
            name: draw_census(space, seed=study.spec.seed + 1, resolution=resolution, budget=budget)
            for name, space in (("parent", parent), ("refined", refined))
        }
        known = [one for one, _ in standardised(known_spaces(populations, censuses)).values()]
        ranks = np.split(stats.rankdata(np.concatenate([one.errors for one in populations])), 2)
        predicted, _ = predicted_ranks(known, ranks, known[0].shape[1])
        row = f"{words:16}{share:>10.0%}{len(chosen):>7}"
        for a, b in (ranks, [rank - guess for rank, guess in zip(ranks, predicted, strict=True)]):
            found = rank_correlation(a, b)
            limits = f"{found.low:+.2f} to {found.high:+.2f}"
            row += f"{found.value:>{7 if a is ranks[0] else 15}.2f}{limits:>16}{1 - found.value * share:>13.0%}"
        print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--pairs", type=int, default=100, help="networks of each space to train")
    options = parser.parse_args()
    show(Study.open(options.study), options.pairs)


if __name__ == "__main__":
    main()
