"""What the commands print: tables for people, and the progress of a run on a terminal or in a log."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from netspace import values
from netspace.networks.complexity import Complexity, Part
from netspace.networks.spec import NetworkSpec
from netspace.spaces.budget import show_number
from netspace.spaces.sample import Sample
from netspace.spaces.space import DesignSpace

if TYPE_CHECKING:  # `netspace zoo` needs no SciPy and no SQLAlchemy
    from netspace.running import StudyProgress
    from netspace.stats import Verdict
    from netspace.storage.population import Population

WIDTH = 200
"""The least width of a table [letters]; nothing in it is cropped."""

LINE_SECONDS = 10.0
"""How often a run says how far it is where there is no terminal."""


def print_zoo(costs: Mapping[str, Complexity], resolution: int) -> None:
    """Print a line per network."""
    table = _table("network", right=("flops", "params", "activations"))
    for name, cost in costs.items():
        table.add_row(name, f"{cost.flops:,}", f"{cost.params:,}", f"{cost.activations:,}")
    _print(table, f"complexity at {resolution}x{resolution}")


def print_parts(name: str, spec: NetworkSpec, lines: Sequence[Part], total: Complexity, resolution: int) -> None:
    """Print the layer summary of a network."""
    table = _table("part", right=("blocks", "output", "params", "flops", "activations"))
    for part in lines:
        shape = f"{part.width}" if part.name == "head" else f"{part.width}x{part.side}x{part.side}"
        cost = part.complexity
        table.add_row(part.name, str(part.depth), shape, f"{cost.params:,}", f"{cost.flops:,}", f"{cost.activations:,}")
    table.add_section()
    table.add_row("total", "", "", f"{total.params:,}", f"{total.flops:,}", f"{total.activations:,}")
    _print(table, f"{name}: input {spec.in_channels}x{resolution}x{resolution}, digest {spec.digest}")


def print_spaces(spaces: Sequence[DesignSpace]) -> None:
    """Print a line per design space."""
    table = _table("space", right=("free", "size"), left=("relations",))
    for space in spaces:
        size = space.size()
        tied = [relation.describe() for relation in space.relations]
        if space.is_linear:
            tied.insert(0, "widths and depths by the RegNet rule")
        if space.se_ratio is not None:
            tied.append(f"squeeze-and-excitation {space.se_ratio:g}")
        table.add_row(
            space.name,
            str(space.free_parameters()),
            f"{size:,}" if size is not None else "by rule",
            "; ".join(tied) or "every stage free",
        )
    _print(table, "design spaces (size: exact number of draws)")


def print_sample(taken: Sample) -> None:
    """Print a line per network of a sample."""
    table = _table("draw", right=("flops", "params"), left=("depths", "widths", "ratios", "group widths", "digest"))
    for i, spec in enumerate(taken.networks):
        table.add_row(
            str(taken.positions[i]),
            show_number(float(taken.complexity.flops[i])),
            show_number(float(taken.complexity.params[i])),
            *(_stages(spec, field) for field in ("depth", "width", "bottleneck_ratio", "group_width")),
            spec.digest[:8],
        )
    _print(
        table,
        f"{taken.name}: {len(taken.networks)} networks from {taken.draws:,} draws "
        f"({taken.acceptance:.2%} met {taken.budget.describe()}; {taken.duplicates} repeated a network)",
    )


def print_status(name: str, populations: Sequence["Population"]) -> None:
    """Print what a store holds, a line per space."""
    fields = ("draws", "in budget", "networks", "finished", "diverged", "failed", "waiting", "best error")
    table = _table("space", right=fields)
    for population in populations:
        row = counts(population)
        best = row.pop("best_error")
        table.add_row(*(f"{v:,}" if isinstance(v, int) else v for v in row.values()), percent(best))
    _print(table, name)


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


def print_comparison(populations: Sequence["Population"], verdicts: Sequence["Verdict"]) -> None:
    """Print the distributions of errors, and the verdict of every pair."""
    from netspace.stats import EDF

    table = _table("space", right=("networks", "failed", "minimum", "best tenth", "median", "mean"))
    for population in populations:
        errors = population.errors
        if not len(errors):
            table.add_row(population.name, "0")
            continue
        edf = EDF(errors=errors)
        table.add_row(
            population.name,
            str(len(errors)),
            str(edf.num_failed),
            *(percent(value) for value in (edf.minimum, edf.quantile(0.1), edf.median)),
            percent(edf.finite_mean if edf.num_failed < edf.n else None),
        )
    _print(table, "validation error at the last epoch")
    for verdict in verdicts:
        _console().print(Text("• " + verdict.sentence), soft_wrap=True)
    if len(populations) > 1 and not verdicts:
        _console().print("no verdict: fewer than two spaces have results")


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
    finite: dict[str, Any] = _without_infinities(row)
    return finite


def print_run(progress: "StudyProgress", store: Path) -> None:
    """Say what a run did."""
    if progress.remaining:
        text = (
            f"stopped: {progress.total - progress.remaining} of {progress.total} networks have a result in "
            f"{store}; the same command continues"
        )
    elif progress.trained == 0:
        text = f"nothing to train: all {progress.total} networks have a result in {store}"
    else:
        text = (
            f"trained {progress.trained} networks in {clock(progress.seconds)} "
            f"({progress.images_per_second:,.0f} images/s, {progress.stored} had a result before, "
            f"{progress.failures} failed) into {store}"
        )
    _console().print(text, soft_wrap=True)


def print_paths(paths: Sequence[Path]) -> None:
    """Name what was written: the page, and the folder of the figures."""
    for path in paths:
        if path.suffix == ".html":
            _console().print(f"page: {path}", soft_wrap=True)
    for folder in sorted({path.parent for path in paths if path.suffix != ".html"}):
        number = sum(path.parent == folder for path in paths)
        _console().print(f"figures: {folder} ({number} files)", soft_wrap=True)


@contextmanager
def progress_display() -> Iterator[Callable[["StudyProgress"], None]]:
    """Yield what shows a run's progress: one line that changes on a terminal, plain lines elsewhere."""
    console = _console()
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield lambda progress: live.update(Text(progress_line(progress)))
        return
    last = -math.inf

    def show(progress: "StudyProgress") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_SECONDS or not progress.remaining:
            last = now
            print(progress_line(progress), flush=True)

    yield show


def progress_line(progress: "StudyProgress") -> str:
    """Return how far a run is, in one line."""
    done = progress.stored + progress.trained
    left = progress.seconds_left
    return (
        f"{done}/{progress.total} networks, {progress.failures} failed, "
        f"{progress.images_per_second:,.0f} images/s, {clock(left) if left is not None else '?'} left, "
        f"best error {percent(progress.best_error)}"
    )


def percent(share: float | None) -> str:
    """Return a share as a percentage; `-` for none, `failed` for a quantile among the failures."""
    if share is None:
        return "-"
    return "failed" if math.isinf(share) else f"{100 * share:.2f} %"


def clock(seconds: float) -> str:
    """Return a duration as a person would say it.

    >>> clock(75), clock(7), clock(4020)
    ('1 min 15 s', '7 s', '1 h 07 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _stages(spec: NetworkSpec, field: str) -> str:
    return ",".join(f"{getattr(stage, field):g}" for stage in spec.stages)


def _table(first: str, *, right: Sequence[str] = (), left: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    for name in left:
        table.add_column(name, overflow="fold")
    return table


def _console() -> Console:
    return Console(highlight=False)


def _print(table: Table, title: str) -> None:
    console = _console()
    console.width = max(console.width, WIDTH)  # a long line wraps in the terminal; a cropped one would lose numbers
    console.print(Text(title, style="italic"), soft_wrap=True)
    console.print(table)


def _without_infinities(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_infinities(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinities(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
