"""The command that trains one network on its own, in any backend."""

import os
from pathlib import Path
from typing import Annotated

import typer

from netspace import values
from netspace.backends import BACKENDS, get_backend
from netspace.cli.options import AsJson
from netspace.cli.sources import SOURCES, find_spec
from netspace.cli.tables import clock, percent, print_json
from netspace.errors import CheckpointError, ExecutionError
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import EpochRecord

app = typer.Typer()

STANDARD = TrainingRecipe()


@app.command(epilog="Example: netspace train regnetx32 --data fashion_mnist --resolution 96 --output best")
def train(
    name: Annotated[str, typer.Argument(help=SOURCES, metavar="NETWORK")],
    data: Annotated[str, typer.Option(help="digits, fashion_mnist or folder:PATH.")] = "fashion_mnist",
    resolution: Annotated[
        int | None, typer.Option(help="Side of the images in pixels.", show_default="the data's own")
    ] = None,
    backend: Annotated[str, typer.Option(help=f"{', '.join(BACKENDS)}.")] = "torch",
    epochs: Annotated[int, typer.Option(help="Epochs, under one half-cosine.")] = STANDARD.epochs,
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = STANDARD.batch_size,
    learning_rate: Annotated[float, typer.Option("--lr", help="Learning rate at its highest.")] = (
        STANDARD.learning_rate
    ),
    momentum: Annotated[float, typer.Option(help="Momentum of the steps.")] = STANDARD.momentum,
    weight_decay: Annotated[float, typer.Option(help="Weight decay of every learned number.")] = STANDARD.weight_decay,
    warmup_epochs: Annotated[float, typer.Option(help="Epochs of linear warm-up.")] = STANDARD.warmup_epochs,
    label_smoothing: Annotated[float, typer.Option(help="Label smoothing.")] = STANDARD.label_smoothing,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror half of the training images.")] = False,
    shift: Annotated[int, typer.Option(help="Move training images by up to so many pixels.")] = STANDARD.shift,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = STANDARD.precision,
    training_share: Annotated[float, typer.Option(help="Share of the training images.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and augmentation.")] = 0,
    threads: Annotated[int | None, typer.Option(help="Threads.", show_default="all cores")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the trained network and its record.")] = None,
    test: Annotated[bool, typer.Option("--test", help="Judge the trained network on the test split, once.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of a named data set's files.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch a missing data set.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train one network from fresh weights; say its error on validation images after every epoch."""
    from netspace.backends.conversion import save_network
    from netspace.single import fitted, train_network
    from netspace.training.data import DataChoice, load

    recipe = TrainingRecipe(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        warmup_epochs=warmup_epochs,
        label_smoothing=label_smoothing,
        flip=flip,
        shift=shift,
        precision=precision,
    )
    get_backend(backend)  # a missing framework is told before the data are read
    given = find_spec(name)
    if output is not None:
        _make_room(output)
    choice = DataChoice(name=data, resolution=resolution, training_share=training_share)
    images = load(choice, data_dir=data_dir, allow_download=download)
    spec = fitted(given, images)

    def show(record: EpochRecord) -> None:
        if not as_json:
            print(
                f"epoch {record.epoch}/{epochs}: training loss {record.training_loss:.4f}, "
                f"validation error {percent(record.validation_error)}, {record.seconds:.1f} s",
                flush=True,
            )

    if not as_json:
        side = images.resolution
        print(
            f"{name} by {backend} on {images.name}: {len(images.training):,} training images of "
            f"{images.in_channels}x{side}x{side} in {images.num_classes} classes",
            flush=True,
        )
    done = train_network(
        given,
        images,
        recipe=recipe,
        backend=backend,
        seed=seed,
        threads=threads or len(os.sched_getaffinity(0)),
        test=test,
        on_epoch=show,
    )
    if output is not None and done.result.error is not None:
        save_network(done.network, output, recipe=recipe, result=done.result)
    if as_json:
        told = {"network": spec.to_dict(), "trial": values.to_dict(done.trial), "result": values.to_dict(done.result)}
        print_json(told | {"test_error": done.test_error})
    if done.result.error is None:
        raise ExecutionError(f"{name} has no result: {done.result.reason}")
    if not as_json:
        judged = "" if done.test_error is None else f", test error {percent(done.test_error)}"
        saved = "" if output is None else f"; the network is in {output}"
        print(f"validation error {percent(done.result.error)}{judged} after {clock(done.result.seconds)}{saved}")


def _make_room(folder: Path) -> None:
    """Make the folder that a network is to be saved in, before hours are spent. Raises: CheckpointError."""
    if (folder / "network.json").exists():
        raise CheckpointError(f"--output {str(folder)!r} holds a network already; move it, or choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise CheckpointError(f"--output {str(folder)!r} cannot be made a folder ({problem.strerror})") from None
