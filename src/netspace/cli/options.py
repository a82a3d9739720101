"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
StorePath = Annotated[Path, typer.Argument(help="A study's output folder or its study.db.", metavar="STORE")]
Resolution = Annotated[int, typer.Option(help="Side of the images in pixels.")]

Source = Annotated[
    Path, typer.Argument(help="A study's output folder, its study.db, or a table (.csv, .json, .parquet).")
]
Sources = Annotated[
    list[Path], typer.Argument(help="Studies' output folders or stores, and tables (.csv, .json, .parquet).")
]
ErrorName = Annotated[
    str | None, typer.Option("--error-column", help="A table's column of errors.", show_default="error")
]
AccuracyName = Annotated[str | None, typer.Option("--accuracy-column", help="A table's column of accuracies instead.")]
InPercent = Annotated[bool, typer.Option("--percent", help="That column is in percent, not in 0..1.")]
