"""One network trained on its own: fitted to its data, trained by a recipe, and judged on the test split if asked to.

This is the chapter's own run, and the last step after a study. The test split is touched here and nowhere else, once,
by the final network.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from netspace.backends import get_backend, needed_by
from netspace.errors import InputError
from netspace.networks.plan import sides
from netspace.networks.spec import NetworkSpec
from netspace.training.checkpoint import Checkpoint
from netspace.training.data import Dataset
from netspace.training.device import CPU
from netspace.training.epochs import Batches, check_fits, wrong_images
from netspace.training.metrics import Judged, check_judged
from netspace.training.rank import Rank
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import EpochRecord, Trial, TrialResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """A network after its training: the backend's own module, the trial that it was, and what became of it.

    `test` is None unless it was asked for and the training finished. `before` says that it had finished before, so that
    nothing was trained now, and `test_before` that the test split had been judged then.
    """

    network: Any
    trial: Trial
    result: TrialResult
    test: Judged | None = None
    before: bool = False
    test_before: bool = False

    @property
    def test_error(self) -> float | None:
        """The error on the test split in [0, 1], by the recipe's metric."""
        return None if self.test is None else self.test.error


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


def trial_of(
    spec: NetworkSpec,
    data: Dataset,
    *,
    recipe: TrainingRecipe,
    backend: str = "torch",
    seed: int = 0,
    threads: int = 1,
    kernels: str = "torch",
    device: str = CPU,
    processes: int = 1,
) -> Trial:
    """Return the trial that a network of its own is, fitted to its data, after all that can be wrong was looked at.

    Raises: InputError where a batch is larger than the data, or the backend has no such network or recipe;
    MissingFrameworkError; SpecError.
    """
    trial = Trial(
        network=fitted(spec, data),
        recipe=recipe,
        data=data.fingerprint,
        seed=seed,
        backend=backend,
        threads=threads,
        kernels=kernels,
        processes=processes,
        device=device,
    )
    trainer = get_backend(backend)
    trainer.check_recipe(recipe)
    check_fits(recipe, data)
    trainer.check(trial.network, data.resolution)
    return trial


def check_test(trial: Trial, data: Dataset) -> None:
    """Check that the test split can judge a trial, before anything is trained. Raises: InputError."""
    if data.test is None:
        raise InputError(f"test: {data.name!r} was opened without its test split")
    check_judged(trial.recipe.metric, data.test.labels, data.class_names, "test")


def train_network(
    trial: Trial,
    data: Dataset,
    *,
    rank: Rank = Rank(),
    test: bool = False,
    weights: Mapping[str, Any] | None = None,
    checkpoint: Checkpoint | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> Trained:
    """Train a network on its data, as `trial_of` names it, and judge it at the end on the test split if `test`.

    `weights` are the tensors that it begins from, all of them, in place of fresh ones. Where the backend can, it goes
    on from a `checkpoint`. Of several processes that have joined, each calls this with its `rank`; the first alone
    judges the test split.

    Raises: InputError where the data have no test split or none that the recipe's metric takes, or the device is not
    there; ExecutionError where the kernels cannot be had; Stopped as the checkpoint does.
    """
    if test:
        check_test(trial, data)
    trainer = get_backend(trial.backend)
    trainer.take_threads(trial.threads)  # before the framework has begun to compute
    if weights is None:
        network = trainer.build(trial.network, seed=trial.stream_seed("initialisation"))
    else:
        network = trainer.with_arrays(trial.network, weights)
    result = trainer.train(trial, data, on_epoch=on_epoch, network=network, checkpoint=checkpoint)
    found = None
    if test and result.error is not None and rank.number == 0:
        found = judge(network, trial, data)
    return Trained(network=network, trial=trial, result=result, test=found)


def judge(network: Any, trial: Trial, data: Dataset) -> Judged:
    """Return how a network does on the test split, which must be there: the one place that touches it."""
    assert data.test is not None
    trainer, batches = get_backend(trial.backend), Batches(trial, data)
    wrong = wrong_images(
        lambda images: trainer.logits(network, batches.normalised(images)), data.test.images, data.test.labels
    )
    return Judged.of(wrong, data.test.labels, trial.recipe.metric, data.num_classes)
