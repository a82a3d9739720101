"""The command that asks a saved network what images show."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from netspace.cli.options import AsJson
from netspace.cli.tables import console, percent, print_json
from netspace.errors import InputError

app = typer.Typer()


@app.command(epilog="Example: netspace predict best photo.jpg")
def predict(
    folder: Annotated[Path, typer.Argument(help="A folder of `netspace train --output`.")],
    images: Annotated[list[Path], typer.Argument(help="Image files.", metavar="IMAGE...")],
    top: Annotated[int, typer.Option(help="Classes that are named, the likeliest first.")] = 3,
    backend: Annotated[str, typer.Option(help="torch, jax, tensorflow or mxnet.")] = "torch",
    as_json: AsJson = False,
) -> None:
    """Say which classes a network sees in images, with their probabilities.

    The folder has all that it takes: weights, resolution, mean, deviation and the names of the classes.
    """
    from netspace.backends.prediction import probabilities

    if top < 1:
        raise InputError(f"--top (={top}) must be at least 1")
    names, found = probabilities(folder, images, backend=backend)
    if as_json:
        rows = [dict(zip(names, map(float, row), strict=True)) for row in found]
        print_json([{"image": str(image), "classes": row} for image, row in zip(images, rows, strict=True)])
        return
    for image, row in zip(images, found, strict=True):
        likeliest = [f"{names[place]} {percent(float(row[place]))}" for place in (-row).argsort(kind="stable")[:top]]
        console().print(Text(f"{image}: {', '.join(likeliest)}"), soft_wrap=True)
