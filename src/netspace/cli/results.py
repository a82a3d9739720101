"""What a study holds and what it says, as tables and as plain data."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from netspace import values
from netspace.cli.tables import console, percent, print_table, table
from netspace.training.metrics import metric_name

if TYPE_CHECKING:  # `netspace zoo` needs no SciPy and no SQLAlchemy
    from netspace.stats import Verdict
    from netspace.storage.outcomes import Outcomes
    from netspace.storage.population import Population


_DISTRIBUTION = ("failed", "minimum", "best_decile", "median", "finite_mean")


def print_status(name: str, populations: Sequence["Population"]) -> None:
    """Print what a store holds, a line per space."""
    counted = ("draws", "in budget", "networks", "finished", "diverged", "failed", "waiting")
    balanced = any(population.metric != "error" for population in populations)
    fields = (*counted, f"best {'balanced ' * balanced}error")
    lines = table("space", right=fields)
    for population in populations:
        row = counts(population)
        best = row.pop("best_error")
        lines.add_row(*(f"{v:,}" if isinstance(v, int) else v for v in row.values()), percent(best))
    print_table(lines, name)


def counts(population: "Population") -> dict[str, Any]:
    """Return what a population holds, as plain data."""
    finite = population.errors[np.isfinite(population.errors)]
    return {
        "space": population.name,
        "draws": population.num_draws,
        "in_budget": population.num_in_band,
        "networks": len(population),
        "finished": population.count("finished"),
        "diverged": population.count("diverged"),
        "failed": population.count("failed"),
        "waiting": len(population) - len(population.trained),
        "best_error": float(finite.min()) if len(finite) else None,
    }


def last_epoch(metric: str) -> str:
    """Return what the errors of a study are, by its recipe's metric."""
    return f"{metric_name(metric)} at the last epoch"


def distribution_row(population: "Population | Outcomes") -> dict[str, Any]:
    """Return how a space's errors are distributed, as plain data; None for what no results tell."""
    from netspace.stats import EDF

    errors = population.errors
    if not len(errors):
        return {"space": population.name, "networks": 0, **dict.fromkeys(_DISTRIBUTION)}
    edf = EDF(errors=errors)
    mean = edf.finite_mean if edf.num_failed < edf.n else None
    numbers = (edf.num_failed, edf.minimum, edf.quantile(0.1), edf.median, mean)
    return {"space": population.name, "networks": edf.n, **dict(zip(_DISTRIBUTION, numbers, strict=True))}


def print_comparison(
    populations: Sequence["Population | Outcomes"],
    verdicts: Sequence["Verdict"],
    title: str,
    looks: Sequence[int] = (),
) -> None:
    """Print the distributions of errors, and the verdict of every pair."""
    lines = table("space", right=("networks", "failed", "minimum", "best tenth", "median", "mean"))
    for population in populations:
        name, trained, failed, *errors = distribution_row(population).values()
        lines.add_row(name, str(trained), *((str(failed), *map(percent, errors)) if trained else ()))
    print_table(lines, title)
    for verdict in verdicts:
        console().print(Text("• " + verdict.sentence), soft_wrap=True)
    if len(populations) < 2:
        console().print("no verdict: a comparison takes two spaces")
    elif looks and not verdicts:
        console().print(f"no verdict: the first look comes at {looks[0]} networks of every space")
    elif not verdicts:
        console().print("no verdict: fewer than two spaces have results")
    waiting = sum(len(population) - len(population.trained) for population in populations)
    if waiting and verdicts and not looks:
        networks = f"{waiting} {'network waits' if waiting == 1 else 'networks wait'} for training"
        rule = "the confidence is that of one look; who looks more often plans it (comparison.looks)"
        console().print(f"{networks}: {rule}", soft_wrap=True)


def print_effects(verdicts: Sequence["Verdict"]) -> None:
    """Print by how much each pair differs, in points of error, with limits at its confidence."""
    from netspace.stats.effects import OF_MINIMUM

    for verdict in verdicts:
        (first, second), found = verdict.names, verdict.evidence.effects
        lines = table("error", right=(first, second, "difference", "limits"), left=("",))
        for effect in found:
            limits = f"{_points(effect.low)} to {_points(effect.high)}"
            if math.isinf(effect.low) and math.isinf(effect.high):
                limits = "-"
            note = "" if effect.note == OF_MINIMUM else effect.note
            cells = (percent(effect.a), percent(effect.b), _points(effect.difference), limits, note)
            lines.add_row(effect.of, *cells)
        confidence = f"{100 * found[0].confidence:.4g} %" if found else "no"
        title = f"{first} less {second}, in points of error, with limits at {confidence} confidence"
        how = verdict.evidence.normalised
        print_table(lines, title + (f", normalised by {how.measure}" if how is not None and how.bins else ""))
    if verdicts:
        console().print(f"minimum: {OF_MINIMUM}", soft_wrap=True)


def _points(difference: float | None) -> str:
    if difference is None:
        return "-"
    return f"{100 * difference:+.2f}" if math.isfinite(difference) else "no limit"


def print_looks(looks: Sequence[int], decided: int, pairs: int) -> None:
    """Say, of a study that plans looks, when they come and how many pairs they have decided."""
    from netspace.findings.words import count

    of, at = count(pairs, "pair"), ", ".join(map(str, looks))
    console().print(f"looks at {at} networks of every space: {decided} of {of} decided", soft_wrap=True)


def print_assisted(rows: Sequence[dict[str, Any]]) -> None:
    """Print how much better one space of each pair is, with what covariates tell."""
    from netspace.findings.assisted import assisted_sentence
    from netspace.findings.words import p_value, points
    from netspace.stats.assisted import FEWEST

    if not rows:
        return
    at_looks = "look" in rows[0]
    level = "limits" if at_looks else f"{100 * rows[0]['level']:g} % limits"
    lines = table(
        "pair", right=("first better in", level, "p", f"medians apart, points ({level})", "explained", "factor")
    )
    for row in rows:
        pair = " and ".join(row["spaces"])
        if row["refused"]:
            lines.add_row(pair, "too few" if min(row["n_a"], row["n_b"]) < FEWEST else "unlike its space")
            continue
        lines.add_row(
            pair,
            f"{100 * row['better']:.1f} %",
            " to ".join(f"{100 * limit:.1f}" for limit in row["interval"]),
            p_value(row.get("p_adjusted", row["p_value"])),
            points(row["median_difference"], *row["median_interval"]),
            " and ".join(f"{100 * share:.0f} %" for share in row["explained"]),
            f"{row['factor']:.1f}",
        )
    sure = "p by Holm, limits of each alone"
    if at_looks:
        pairs = "pairs (Bonferroni) and looks" if rows[0]["pairs"] > 1 else "looks"
        sure = f"p at a pair's last look, limits at its level; {100 * rows[0]['level']:g} % confidence over all {pairs}"
    print_table(lines, f"assisted by covariates: how often the better of two networks is of the first space; {sure}")
    for row in rows:
        console().print(Text("• " + assisted_sentence(row)), soft_wrap=True)


def verdict_row(verdict: "Verdict") -> dict[str, Any]:
    """Return a verdict as plain data; infinite numbers as None."""
    row = {
        "spaces": list(verdict.names),
        "kind": str(verdict.kind),
        "sentence": verdict.sentence,
        "p_values": verdict.p_values,
        "criteria": values.to_dict(verdict.criteria),
        "evidence": values.to_dict(verdict.evidence),
    }
    finite: dict[str, Any] = without_infinities(row)
    return finite


def print_paths(paths: Sequence[Path]) -> None:
    """Name what was written: the page, the tables, and the folder of the figures."""
    for path in paths:
        if path.suffix in (".html", ".csv", ".parquet"):
            console().print(f"{'page' if path.suffix == '.html' else 'table'}: {path}", soft_wrap=True)
    figures = [path for path in paths if path.suffix in (".png", ".svg", ".pdf")]
    for folder in sorted({path.parent for path in figures}):
        console().print(f"figures: {folder} ({len(figures)} files)", soft_wrap=True)


def without_infinities(value: Any) -> Any:
    """Return plain data with None for every number that is not finite, which JSON does not have."""
    if isinstance(value, dict):
        return {key: without_infinities(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_infinities(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
