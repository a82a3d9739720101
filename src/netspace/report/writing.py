"""A study's page and what lies beside it: every figure as PNG, SVG and PDF, and all networks as CSV and Parquet."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from netspace.errors import StoreError
from netspace.files import written_aside
from netspace.report import figures, networks
from netspace.report.images import pdf, png, svg
from netspace.report.page import BEST, StudyReport, render
from netspace.storage.table_files import csv_bytes, parquet_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_report(report: StudyReport, folder: str | Path) -> tuple[Path, ...]:
    """Write `report.html`, the tables, and the figures under `figures/`; return the paths, the page first.

    Each file is written aside and then renamed, so that a reader never meets half of one.
    Raises: StoreError where the folder cannot be written.
    """
    folder = Path(folder)
    written = []
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for name, content in _files(report):
            written.append(folder / name)
            with written_aside(written[-1]) as file:
                file.write(content)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise StoreError(f"the report cannot be written to {folder}: {reason.lower()}") from None
    return tuple(written)


def _files(report: StudyReport) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file."""
    populations = report.populations
    yield "report.html", render(report).encode()
    table = networks.columns(populations, report.marks)
    yield "networks.csv", csv_bytes(table)
    yield "networks.parquet", parquet_bytes(table)
    drawn: dict[str, Callable[[], Figure]] = {
        "edf": functools.partial(figures.edf_figure, populations),
        "edf_by_flops": functools.partial(figures.edf_figure, populations, weighing="flops"),
        "complexity": functools.partial(figures.complexity_figure, populations),
        "parameters": functools.partial(figures.parameter_figure, populations, report.ranges),
        "staircases": functools.partial(figures.staircase_figure, populations, best=BEST),
        "learning_curves": functools.partial(figures.learning_curve_figure, populations),
    }
    if report.pairs:
        drawn["pairs"] = functools.partial(figures.pair_figure, populations, report.pairs)
    if report.importance is not None:
        drawn["importance"] = functools.partial(figures.importance_figure, report.importance.forests, populations)
    for name, draw in drawn.items():
        figure = draw()
        for kind, content in (("png", png), ("svg", svg), ("pdf", pdf)):
            yield f"figures/{name}.{kind}", content(figure)
