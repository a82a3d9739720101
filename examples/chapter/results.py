"""What is kept of this folder's studies: exports of their stores, and the figures and pages that are made of these.

    python examples/chapter/results.py export     # runs/ -> docs/results/chapter/*.parquet
    python examples/chapter/results.py figures    # from these alone: build/chapter/runs/, then the figures
    python examples/chapter/results.py pages      # from that: docs/results/chapter/*.md, of the templates beside them

`make figures` is the last two. A study goes on from what is kept, too: `netspace store import
docs/results/chapter/study.parquet --output runs/chapter`, and `netspace run` trains only what is not there.
"""

import argparse
import dataclasses
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pages
from matplotlib.figure import Figure

from netspace import values
from netspace.errors import NetspaceError
from netspace.findings.importance import forest_row
from netspace.findings.ranges import range_rows
from netspace.report.bars import importance_panels
from netspace.report.figures import compose, edf_figure
from netspace.report.images import svg
from netspace.report.pairs import pair_panels
from netspace.report.panel import Panel
from netspace.report.scatter import parameter_panels
from netspace.report.training_page import training_panels
from netspace.stats.ranges import SHARE
from netspace.storage.export import export_store, import_store
from netspace.storage.population import Population
from netspace.storage.sqlite import STORE_NAME
from netspace.studies.study import Study
from netspace.training.trial import TrialResult

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "docs" / "results" / "chapter"
BUILD = ROOT / "build" / "chapter"

FIGURES = {
    "study": ("edf", "pairs", "importance", "ranges"),
    "study/rungs/2": ("pairs",),
    "vionets": ("pairs", "importance"),
    "deeper": ("edf",),
    "resnet_block": ("pairs",),
    "mlp": ("pairs", "importance"),
    "regnety": ("edf",),
    "study/checks/budget": ("pairs",),
    "search": ("edf",),
    "own_rule": ("edf",),
}
"""Which figures are kept of each store, by its path among the exports."""

TRAININGS = ("regnetx32", "regnetx32_chapter")
"""The folders of single trainings, under runs/, of which the card and the curve are kept."""

RANGES = ("Bottleneck ratio", "Total depth", "Width multiplier wₘ", "Group width, stage 4")
"""The parameters of RegNetX whose ranges the paper draws: b, d, w_m and g."""


def folders() -> Iterable[tuple[str, Path]]:
    """Yield the name of each study and the folder of its store, runs/..., as its file has it."""
    for name in FIGURES:
        if "/" not in name:
            yield name, Path(Study.open(Path(__file__).with_name(f"{name}.toml")).spec.output)


def export() -> None:
    """Write every store of the studies, those of their checks and principles too, as Parquet."""
    for name, folder in folders():
        for store in sorted(folder.rglob(STORE_NAME)):
            inside = Path(name) / store.parent.relative_to(folder)
            output = (KEPT / inside).with_suffix(".parquet")
            output.parent.mkdir(parents=True, exist_ok=True)
            print(f"{output}: {export_store(store, output, to='parquet', overwrite=True)} networks")
    for name in TRAININGS:
        for file in sorted((ROOT / "runs" / name).glob("card.json")):
            (KEPT / name).mkdir(exist_ok=True)
            for one in (file, file.with_name("result.json")):
                print(shutil.copy(one, KEPT / name))


def figures() -> None:
    """Make the stores again from the exports, and from them every figure."""
    shutil.rmtree(BUILD, ignore_errors=True)
    places = {}
    for name, folder in folders():
        for file in sorted([*KEPT.glob(f"{name}.parquet"), *(KEPT / name).rglob("*.parquet")]):
            inside = file.relative_to(KEPT).with_suffix("")
            place = BUILD / folder / inside.relative_to(name)
            place.mkdir(parents=True, exist_ok=True)
            import_store(file, place / STORE_NAME)
            places[inside.as_posix()] = place
    for name in TRAININGS:
        if (KEPT / name).exists():
            kept = Path(shutil.copytree(KEPT / name, BUILD / "runs" / name))
            curve = values.from_dict(TrialResult, json.loads((kept / "result.json").read_text("utf-8"))).curve
            panels = training_panels(curve, epochs=len(curve), metric="error")
            title = f"{name}, epoch by epoch"
            (KEPT / f"{name}.svg").write_bytes(svg(compose(panels, title=title, columns=2, size=3)))
    for name, drawn in FIGURES.items():
        if name not in places:
            print(f"{name}: no results are kept")
            continue
        for figure in drawn:
            file = KEPT / f"{name.replace('/', '_')}_{figure}.svg"
            file.write_bytes(svg(draw(figure, Study.open(places[name]))))
            print(file)


def draw(figure: str, study: Study) -> Figure:
    """Return a figure of a study, two panels wide, as a page of the site has room for."""
    populations = study.populations()
    if figure == "edf":
        return edf_figure(populations)
    regnet = populations[-1]
    title, panels = {
        "pairs": ("Pairs of spaces, with 95 % bands", lambda: pair_panels(populations, study.spec.pairs)),
        "importance": (
            "What matters most to the error, with 95 % limits",
            lambda: importance_panels([forest_row(one) for one in populations], populations),
        ),
        "ranges": (
            f"The errors of {regnet.name}, and where the best lie",
            lambda: ranges_of(regnet),
        ),
    }[figure]
    return compose(panels(), title=title, columns=2, size=3)


def ranges_of(population: Population) -> list[Panel]:
    """Return a panel per parameter of `RANGES`: the errors against it, and where the best are."""
    panels = {panel.title: panel for panel in parameter_panels([population], range_rows(population, SHARE))}
    return [dataclasses.replace(panels[name], group="") for name in RANGES]


def write_pages() -> None:
    """Fill every template beside the exports, of the stores that `figures` has made."""
    for template in sorted(KEPT.glob(f"*{pages.SUFFIX}")):
        page = template.with_suffix("")
        page.write_text(pages.filled(template.read_text("utf-8"), BUILD), "utf-8")
        print(page)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("export", "figures", "pages"))
    try:
        {"export": export, "figures": figures, "pages": write_pages}[parser.parse_args().what]()
    except NetspaceError as problem:
        raise SystemExit(f"results: {problem}") from None
