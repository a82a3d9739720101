"""The command that trains one network on its own, in any backend; under `torchrun`, by several processes together.

With a folder for it, the command goes on after a kill, and says what the network is worth (`netspace.final`).
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netspace import values
from netspace.backends import BACKENDS, get_backend
from netspace.cli.options import AsJson, Grace, Where, where
from netspace.cli.sources import SOURCES, find_spec
from netspace.cli.studies import stop_on_signal
from netspace.cli.tables import clock, percent, print_json
from netspace.errors import ExecutionError, InputError, NetspaceError, Stopped
from netspace.execution.executor import GRACE, never
from netspace.machine import usable_cores
from netspace.networks.plan import sides
from netspace.networks.spec import NetworkSpec
from netspace.training.device import CPU, check_device
from netspace.training.kinds import NAMES
from netspace.training.metrics import metric_name
from netspace.training.rank import Rank
from netspace.training.recipe import PRESETS, named_recipe
from netspace.training.trial import EpochRecord, check_processes

if TYPE_CHECKING:
    from netspace.single import Trained
    from netspace.training.data import DataChoice, Dataset

OVERSUBSCRIBED = 4
"""So many times the cores may be asked for as threads, to repeat the numbers of another machine; more hang or fail."""

FIRST_SPEAKS = 5.0
"""How long another process than the first waits with an error [s], which the first has found too and tells."""

app = typer.Typer()


@contextmanager
def one_voice() -> Iterator[None]:
    """Have the first of several processes tell an error that all of them find: torchrun ends the others after it."""
    try:
        yield
    except NetspaceError:
        if Rank.of_this_process().number:
            time.sleep(FIRST_SPEAKS)
        raise


@app.command(epilog="Example: netspace train regnetx32 --data fashion_mnist --resolution 96 --output best")
@one_voice()
def train(
    name: Annotated[str, typer.Argument(help=SOURCES, metavar="NETWORK")],
    data: Annotated[str, typer.Option(help=f"{', '.join(NAMES)}.")] = "fashion_mnist",
    resolution: Annotated[
        int | None, typer.Option(help="Side of the images in pixels.", show_default="the data's own")
    ] = None,
    backend: Annotated[str, typer.Option(help=f"{', '.join(BACKENDS)}.")] = "torch",
    recipe: Annotated[str, typer.Option(help=f"{', '.join(PRESETS)}; what follows replaces parts of it.")] = "paper",
    epochs: Annotated[int | None, typer.Option(help="Epochs.", show_default="10")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.", show_default="128")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--lr", help="Learning rate at its highest.", show_default="0.05")
    ] = None,
    schedule: Annotated[str | None, typer.Option(help="cosine or constant.", show_default="the recipe's")] = None,
    momentum: Annotated[float | None, typer.Option(help="Momentum.", show_default="the recipe's")] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Weight decay of every learned number.", show_default="the recipe's")
    ] = None,
    warmup_epochs: Annotated[float | None, typer.Option(help="Epochs of linear warm-up.", show_default="0")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Label smoothing.", show_default="0")] = None,
    flip: Annotated[bool | None, typer.Option("--flip/--no-flip", help="Mirror half of the training images.")] = None,
    shift: Annotated[int | None, typer.Option(help="Move training images by up to so many pixels.")] = None,
    precision: Annotated[str | None, typer.Option(help="float32 or bfloat16.", show_default="float32")] = None,
    class_weights: Annotated[
        str | None, typer.Option(help="equal, or balanced: all classes count alike in the loss.", show_default="equal")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="error, or balanced_error: the mean of each class's share wrong.", show_default="error"),
    ] = None,
    average_epochs: Annotated[
        float | None, typer.Option(help="Judge and keep the weights' average over so many epochs.", show_default="0")
    ] = None,
    mixup: Annotated[float | None, typer.Option(help="Alpha of mixup.", show_default="0")] = None,
    cutmix: Annotated[float | None, typer.Option(help="Alpha of cutmix.", show_default="0")] = None,
    small_resolution: Annotated[
        int | None, typer.Option(help="Side of the training images in pixels at first.", show_default="the data's")
    ] = None,
    small_share: Annotated[float | None, typer.Option(help="Share of steps that are so.", show_default="0.5")] = None,
    training_share: Annotated[float, typer.Option(help="Share of the training images.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and augmentation.")] = 0,
    threads: Annotated[int | None, typer.Option(help="Threads.", show_default="all cores")] = None,
    kernels: Annotated[
        str, typer.Option(help="torch, blocked, native or contiguous: forms of PyTorch's operators.")
    ] = "torch",
    device: Annotated[str, typer.Option(help="cpu, cuda, or one of several such as cuda:0.")] = CPU,
    weights: Annotated[
        Path | None,
        typer.Option(help="Begin from these: a folder of a saved network, or a published checkpoint.", metavar="PATH"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for network, curves and card; the same command goes on in it.")
    ] = None,
    grace: Grace = GRACE,
    test: Annotated[bool, typer.Option("--test", help="Judge the trained network on the test split, once.")] = False,
    study: Annotated[
        Where | None,
        typer.Option(help="The study that the network was picked from, for its card.", metavar="STORE", parser=where),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of a named data set's files.")] = None,
    packed: Annotated[
        Path | None, typer.Option(help="Folder in which the images are kept, decoded; they may exceed the memory.")
    ] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch a missing data set.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train one network from fresh weights, or from --weights; say its validation error after every epoch.

    With --output it may be stopped or killed: Ctrl-C, SIGTERM, SIGUSR1 and a closed terminal have it saved at the end
    of its epoch, within the grace, and the same command goes on. The folder has its curves, in the end the network and
    a card that says what it is worth; the test split is touched once for it, and not again.
    """
    from netspace import single
    from netspace.backends.given_weights import beginning, read_given
    from netspace.final import check_room, train_final
    from netspace.training.data import DataChoice

    rank = Rank.of_this_process()
    first = rank.number == 0

    given: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "warmup_epochs": warmup_epochs,
        "label_smoothing": label_smoothing,
        "flip": flip,
        "shift": shift,
        "precision": precision,
        "class_weights": class_weights,
        "metric": metric,
        "average_epochs": average_epochs,
        "mixup": mixup,
        "cutmix": cutmix,
        "small_resolution": small_resolution,
        "small_share": small_share,
    }
    said = {field: value for field, value in given.items() if value is not None}
    used = dataclasses.replace(named_recipe(recipe, backend), **said)
    check_processes(rank.of, backend, used.batch_size)
    check_device(device, backend=backend, kernels=kernels, processes=rank.of)
    get_backend(backend).check_recipe(used)  # told, as a missing framework is, before the data are read
    if device != CPU:
        from netspace.backends.torch_devices import find_device

        find_device(device)
    cores = usable_cores()
    most = OVERSUBSCRIBED * cores
    if threads is not None and not 1 <= threads <= most:
        raise InputError(
            f"--threads (={threads}) must be from 1 to {most} on this machine of {cores} cores; the nearest is "
            f"{max(1, min(threads, most))}"
        )
    network = find_spec(name)
    if output is not None:
        check_room(output)
    elif study is not None:
        raise InputError("--study is for the card, which stands in the folder of --output; name one")
    origin = None if study is None else _origin(network, study)
    trained = None if weights is None else read_given(weights, backend)
    choice = DataChoice(name=data, resolution=resolution, training_share=training_share)
    if resolution is not None:
        sides(network, resolution)  # told before images are decoded, and kept
    aloud = first and not as_json

    def show(record: EpochRecord) -> None:
        if aloud:
            print(
                f"epoch {record.epoch}/{used.epochs}: training loss {record.training_loss:.4f}, "
                f"{metric_name(used.metric)} {percent(record.validation_error)}, {record.seconds:.1f} s",
                flush=True,
            )

    with single.together(rank):
        images = _images(choice, packed, rank, data_dir=data_dir, allow_download=download, aloud=aloud)
        trial = single.trial_of(
            network,
            images,
            recipe=used,
            backend=backend,
            seed=seed,
            threads=threads or max(1, cores // rank.here),
            kernels=kernels,
            device=device,
            processes=rank.of,
        )
        asked: dict[str, Any] = {"rank": rank, "test": test, "on_epoch": show}
        begun = None if trained is None else beginning(trained, trial, images.class_names)
        if aloud:
            side = images.resolution
            print(
                f"{name} by {backend} on {images.name}: {len(images.training):,} training images of "
                f"{images.in_channels}x{side}x{side} in {images.num_classes} classes"
                + (f", by {rank.of} processes" if rank.of > 1 else ""),
                flush=True,
            )
            for note in () if begun is None else begun.notes:
                print(note, flush=True)
        if output is None:
            arrays = None if begun is None else begun.arrays
            done = single.train_network(trial, images, weights=arrays, **asked)
        else:
            with _saved_when_stopped(grace, may_be=backend == "torch" and rank.of == 1) as should_stop:
                done = train_final(output, trial, images, begun=begun, origin=origin, should_stop=should_stop, **asked)
    if as_json and first:
        told = {"network": trial.network.to_dict(), "trial": values.to_dict(trial)}
        result = {"result": values.to_dict(done.result), "test_error": done.test_error}
        print_json(told | result | {"trained_before": done.before, "tested_before": done.test_before})
    if done.result.error is None:
        raise ExecutionError(f"{name} has no result: {done.result.reason}")
    if aloud:
        if done.result.reason is not None:
            print(f"{name}: {done.result.reason}")
        print(_summary(done, output, metric=used.metric, test=test))


def _summary(done: "Trained", output: Path | None, *, metric: str, test: bool) -> str:
    """Return the last line: the errors, and what was done for them now."""
    found = f"{metric_name(metric)} {percent(done.result.error)}"
    if done.test is not None:
        found += f", {metric_name(metric, 'test')} {percent(done.test_error)}"
    if not done.before:
        found += f" after {clock(done.result.seconds)}"
    touched = "; the test split was touched before, and is not again" if done.test_before and test else ""
    if done.before:
        return f"nothing is left to train in {output}: {found}{touched}"
    return found + touched + ("" if output is None else f"; the network is in {output}")


@contextmanager
def _saved_when_stopped(grace: float, *, may_be: bool) -> Iterator[Callable[[], bool]]:
    """Turn the signals that stop a run into a wish, and say how a training that was stopped goes on.

    Where trainings are not saved (`may_be`), signals do what they always do.
    """
    if not may_be:
        yield never
        return
    try:
        with stop_on_signal(grace, here=True) as should_stop:
            should_stop()  # from here on a signal is a wish
            yield should_stop
    except Stopped as stopped:
        raise ExecutionError(f"{stopped}; the same command goes on with it") from None
    except KeyboardInterrupt:
        raise ExecutionError(
            "stopped in the middle of an epoch; the same command goes on after the last one that was saved"
        ) from None


def _origin(network: NetworkSpec, store: Where) -> dict[str, Any]:
    """Return where a study found a network. Raises: InputError where it has no such network."""
    from netspace.studies.study import Study  # SciPy and SQLAlchemy

    study = Study.open(store)
    rows = study.results()
    found = [row for row in rows if row["network"] == network.digest]
    if not found:
        raise InputError(
            f"--study {str(store)!r}: none of its {len(rows):,} networks is {network.digest[:8]}; leave it out for a "
            "network that was changed since, by `netspace scale` for example"
        )
    spaces = list(dict.fromkeys(row["space"] for row in found))
    errors = [row["error"] for row in found if row["error"] is not None]
    return {"study": study.spec.name, "spaces": spaces, "networks": len(rows), "error": min(errors, default=None)}


def _images(
    choice: "DataChoice", packed: Path | None, rank: Rank, *, data_dir: Path | None, allow_download: bool, aloud: bool
) -> "Dataset":
    """Return the images, in memory or mapped from where the first of several processes has packed them."""
    from netspace.single import wait_for_all
    from netspace.training.data import load
    from netspace.training.decoding_shards import Room
    from netspace.training.packs import load_packed, open_packed, packed_choice

    if packed is None:
        return load(choice, data_dir=data_dir, allow_download=allow_download)
    held = packed_choice(packed)
    if held not in (None, choice):
        raise InputError(f"--packed {str(packed)!r} holds {held.name!r} read in another way; choose another folder")
    begun = time.perf_counter()

    def told(done: int, total: int) -> None:
        print(f"decoded {done:,} of {total:,} images after {clock(time.perf_counter() - begun)}", flush=True)

    if rank.number == 0:
        room = Room(folder=packed, told=told if aloud else None)
        load_packed(choice, packed, data_dir=data_dir, allow_download=allow_download, room=room)
    wait_for_all(rank)
    return open_packed(packed)
