"""One network trained on its own: fitted to its data, trained by a recipe, and judged on the test split if asked to.

This is the chapter's own run, and the last step after a study. The test split is touched here and nowhere else, once,
by the final network.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from netspace.backends import get_backend, needed_by
from netspace.errors import InputError
from netspace.networks.plan import sides
from netspace.networks.spec import NetworkSpec
from netspace.training.data import Dataset
from netspace.training.device import CPU
from netspace.training.epochs import Batches, check_fits, share_wrong
from netspace.training.metrics import check_judged
from netspace.training.rank import Rank
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import EpochRecord, Trial, TrialResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """A network after its training: the backend's own module, the trial that it was, and what became of it.

    `test_error` in [0, 1] is None unless it was asked for and the training finished.
    """

    network: Any
    trial: Trial
    result: TrialResult
    test_error: float | None = None


def fitted(spec: NetworkSpec, data: Dataset) -> NetworkSpec:
    """Return a network with the classes and channels of its data, checked at their resolution. Raises: SpecError."""
    found = dataclasses.replace(spec, num_classes=data.num_classes, in_channels=data.in_channels)
    sides(found, data.resolution)
    return found


@contextmanager
def together(rank: Rank) -> Iterator[None]:
    """Join the other processes of a training, of PyTorch's, until the end of the block; alone, do nothing.

    Raises: ExecutionError where another process ends or cannot be reached.
    """
    if rank.of == 1:
        yield
        return
    with needed_by("training by several processes", extra="torch"):
        from netspace.backends.torch_distributed import joined
    with joined(rank):
        yield


def wait_for_all(rank: Rank) -> None:
    """Wait until every process that has joined has come here."""
    if rank.of > 1:
        from netspace.backends import torch_distributed

        torch_distributed.wait_for_all()


def train_network(
    spec: NetworkSpec,
    data: Dataset,
    *,
    recipe: TrainingRecipe,
    backend: str = "torch",
    seed: int = 0,
    threads: int = 1,
    kernels: str = "torch",
    device: str = CPU,
    rank: Rank = Rank(),
    test: bool = False,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> Trained:
    """Train a network, fitted to its data, from `seed`, and judge it at the end on the test split if `test`.

    Of several processes that have joined, each calls this with its `rank`; the first alone judges the test split.

    Raises: InputError where a batch is larger than the data, the data have no test split or none that the recipe's
    metric takes, the backend has no such network or
    recipe, or the device is not there; MissingFrameworkError; ExecutionError where the kernels cannot be had.
    """
    if test and data.test is None:
        raise InputError(f"test: {data.name!r} was opened without its test split")
    if test and data.test is not None:
        check_judged(recipe.metric, data.test.labels, data.class_names, "test")
    trial = Trial(
        network=fitted(spec, data),
        recipe=recipe,
        data=data.fingerprint,
        seed=seed,
        backend=backend,
        threads=threads,
        kernels=kernels,
        processes=rank.of,
        device=device,
    )
    trainer = get_backend(backend)
    trainer.check_recipe(recipe)
    check_fits(recipe, data)
    trainer.check(trial.network, data.resolution)
    trainer.take_threads(threads)  # before the framework has begun to compute
    network = trainer.build(trial.network, seed=trial.stream_seed("initialisation"))
    result = trainer.train(trial, data, on_epoch=on_epoch, network=network)
    test_error = None
    if test and data.test is not None and result.error is not None and rank.number == 0:
        batches = Batches(trial, data)
        test_error = share_wrong(
            lambda images: trainer.logits(network, batches.normalised(images)),
            data.test.images,
            data.test.labels,
            recipe.metric,
        )
    return Trained(network=network, trial=trial, result=result, test_error=test_error)
