"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netspace.errors import InputError, StoreError
from netspace.studies.parts import Part

if TYPE_CHECKING:  # `netspace zoo` needs no SQLAlchemy
    from netspace.storage.place import Place

    Where = Path | Place
else:
    Where = Path


def where(text: str) -> Where:
    """Return the path of a store, or its place in PostgreSQL, which shows itself without a password."""
    if "://" not in text:
        return Path(text)
    from netspace.storage.address import place_of

    try:
        return place_of(text)
    except StoreError as problem:
        raise typer.BadParameter(str(problem)) from None


def database(store: Where | None) -> Where | None:
    """Return the store of a study, where it is not in the study's own folder. Raises: InputError for a path."""
    if isinstance(store, Path):
        raise InputError(f"--store (={str(store)!r}) must be a postgresql:// URL; a store in a file goes by --output")
    return store


def part(text: str) -> Part:
    """Return part I/N of a study."""
    try:
        return Part.parse(text)
    except InputError as problem:
        raise typer.BadParameter(str(problem)) from None


def workers(text: str) -> int | str:
    """Return a number of worker processes, or "auto"."""
    if text != "auto" and not (text.isdecimal() and int(text) >= 1):
        raise typer.BadParameter(f'workers (={text!r}) must be "auto" or a whole number of at least 1')
    return text if text == "auto" else int(text)


if TYPE_CHECKING:
    NumberOfWorkers = int | str
else:
    NumberOfWorkers = str  # typer takes no union
Workers = Annotated[
    NumberOfWorkers | None,
    typer.Option(
        help="Worker processes, or auto: one per core, or per so many cores as a network's threads.",
        metavar="NUMBER",
        parser=workers,
        show_default="the study's",
    ),
]
Grace = Annotated[
    float,
    typer.Option(min=0.0, help="Seconds that networks in training have to end or be saved in when the run is stopped."),
]
ExecutorName = Annotated[
    str | None,
    typer.Option("--executor", help="Where networks are trained: local or ray.", show_default="the study's"),
]
Address = Annotated[
    str | None,
    typer.Option(help="The Ray cluster: auto, local or HOST:PORT.", metavar="ADDRESS", show_default="the study's"),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Take a Ray cluster that other machines reach without a token.")
]
PartOfStudy = Annotated[
    Part | None,
    typer.Option(
        "--part",
        help="Train range I of N of the networks only, while others train theirs; takes a store in PostgreSQL.",
        metavar="I/N",
        parser=part,
        show_default="all",
    ),
]
StoreUrl = Annotated[
    Where,
    typer.Option("--store", help="The postgresql:// URL of the store.", metavar="URL", parser=where),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
StorePath = Annotated[
    Where,
    typer.Argument(
        help="A study's output folder, its study.db, or a postgresql:// URL.", metavar="STORE", parser=where
    ),
]
Resolution = Annotated[int, typer.Option(help="Side of the images in pixels.")]

Source = Annotated[
    Where,
    typer.Argument(
        help="A study's output folder, its study.db, a postgresql:// URL, or a table (.csv, .json, .parquet).",
        parser=where,
    ),
]
Sources = Annotated[
    list[Where],
    typer.Argument(
        help="Studies' output folders or stores (postgresql:// URLs too), and tables (.csv, .json, .parquet).",
        parser=where,
    ),
]
ErrorName = Annotated[
    str | None, typer.Option("--error-column", help="A table's column of errors.", show_default="error")
]
AccuracyName = Annotated[str | None, typer.Option("--accuracy-column", help="A table's column of accuracies instead.")]
InPercent = Annotated[bool, typer.Option("--percent", help="That column is in percent, not in 0..1.")]
