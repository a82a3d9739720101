"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
StorePath = Annotated[Path, typer.Argument(help="A study's output folder or its study.db.", metavar="STORE")]
Resolution = Annotated[int, typer.Option(help="Side of the images in pixels.")]
