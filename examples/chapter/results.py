"""What is kept of this folder's studies: exports of their stores, and the figures and tables that are made of these.

    python examples/chapter/results.py export     # runs/ -> docs/results/chapter/*.parquet
    python examples/chapter/results.py figures    # from these alone: stores in build/chapter, then figures and tables

`make figures` is the second. A study goes on from what is kept, too: `netspace store import
docs/results/chapter/study.parquet --output runs/chapter`, and `netspace run` trains only what is not there.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from netspace.errors import NetspaceError
from netspace.storage.export import export_store, import_store
from netspace.storage.sqlite import STORE_NAME
from netspace.studies.study import Study

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "docs" / "results" / "chapter"
BUILD = ROOT / "build" / "chapter"

STUDIES = {
    "study": (("edf", "pairs", "parameters", "importance"), ("compare", "assumptions", "ranges", "importance")),
    "vionets": (("pairs", "importance"), ("compare", "importance")),
    "deeper": (("edf",), ("compare",)),
    "resnet_block": (("pairs",), ("compare",)),
    "mlp": (("pairs", "importance"), ("compare", "assumptions", "importance")),
    "regnety": (("edf",), ("compare",)),
    "larger": (("pairs",), ("compare",)),
    "search": (("edf",), ("compare", "rungs")),
}
"""Which figures of each study are kept, and which commands tell of it."""


def export() -> None:
    """Write every store of the studies, those of their checks and principles too, as Parquet."""
    for name in STUDIES:
        folder = Path(Study.open(ROOT / "examples" / "chapter" / f"{name}.toml").folder)
        for store in sorted(folder.rglob(STORE_NAME)):
            inside = store.parent.relative_to(folder)
            output = KEPT / name / inside.parent / f"{inside.name}.parquet" if inside.name else KEPT / f"{name}.parquet"
            output.parent.mkdir(parents=True, exist_ok=True)
            print(f"{output.relative_to(ROOT)}: {export_store(store, output, to='parquet', overwrite=True)} networks")


def figures() -> None:
    """Make the stores again from the exports, and from them every figure and table."""
    shutil.rmtree(BUILD, ignore_errors=True)
    for file in sorted(KEPT.rglob("*.parquet")):
        folder = BUILD / file.relative_to(KEPT).with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        import_store(file, folder / STORE_NAME)
    for name, (drawn, commands) in STUDIES.items():
        if not (BUILD / name / STORE_NAME).exists():
            print(f"{name}: no results are kept")
            continue
        Study.open(BUILD / name).report()
        for figure in drawn:
            shutil.copy(BUILD / name / "figures" / f"{figure}.svg", KEPT / f"{name}_{figure}.svg")
        for command in commands:
            told = KEPT / f"{name}_{command}.txt"
            told.write_text(f"$ netspace {command} runs/{name}\n" + said(command, BUILD / name))
            print(told.relative_to(ROOT))


def said(command: str, store: Path) -> str:
    """Return what a command prints of a store."""
    plain = {**os.environ, "COLUMNS": "160", "NO_COLOR": "1", "TERM": "dumb"}
    words = [sys.executable, "-m", "netspace", command, str(store.relative_to(ROOT))]
    done = subprocess.run(words, cwd=ROOT, env=plain, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"netspace {command} {store}: {done.stderr}")
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("export", "figures"))
    try:
        {"export": export, "figures": figures}[parser.parse_args().what]()
    except NetspaceError as problem:
        raise SystemExit(f"results: {problem}") from None
