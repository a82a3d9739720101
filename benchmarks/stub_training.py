"""A backend that trains nothing, for `scale.py`: a file of its own, because workers import by name what they are to do.

Its results look like those of ten epochs, with as many digits, and follow from the trial's id alone.
"""

import random
import time
from collections.abc import Callable
from typing import Any

from netspace.backends import BACKENDS
from netspace.execution.executor import Work
from netspace.networks.spec import NetworkSpec
from netspace.training.checkpoint import Checkpoint
from netspace.training.data import Dataset
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import EpochRecord, Trial, TrialResult

NAME = "stub"
BACKENDS[NAME] = f"{__name__}:Stub"


class Stub:
    """What of a backend a study asks for; a training takes `seconds`, and one in fifty diverges."""

    name = NAME
    seconds = 0.0

    def check(self, spec: NetworkSpec, resolution: int | None = None) -> None:
        """Every network passes."""

    def check_recipe(self, recipe: TrainingRecipe) -> None:
        """Every recipe passes."""

    def train(
        self,
        trial: Trial,
        data: Dataset,
        *,
        on_epoch: Callable[[EpochRecord], None],
        network: Any = None,
        checkpoint: Checkpoint | None = None,
    ) -> TrialResult:
        """Say what each epoch left, after its share of the time."""
        name = trial.id
        chance, epochs = random.Random(name), trial.recipe.epochs
        last, curve = 0.05 + 0.5 * chance.betavariate(2.0, 4.0), []
        for epoch in range(1, epochs + 1):
            if self.seconds:
                time.sleep(self.seconds / epochs)
            error = last + (0.9 - last) * 0.5 ** (epochs - epoch if epoch == epochs else epoch)
            error = last if epoch == epochs else error
            curve.append(
                EpochRecord(
                    epoch=epoch,
                    training_loss=2.3 * error + 0.1 * chance.random(),
                    validation_error=error,
                    seconds=chance.uniform(0.9, 1.1),
                )
            )
            on_epoch(curve[-1])
        told: dict[str, Any] = {
            "trial_id": name,
            "curve": tuple(curve),
            "seconds": sum(record.seconds for record in curve),
            "images": epochs * len(data.training),
        }
        if chance.random() < 0.02:
            return TrialResult(status="diverged", reason="the training loss was nan in epoch 10 of 10", **told)
        return TrialResult(status="finished", error=last, **told)

    def versions(self) -> dict[str, str]:
        """Return what computes: nothing."""
        return {NAME: "1"}


def stubbed(setup: Callable[[], Work], seconds: float) -> Work:
    """Set up a worker as a study does, with the stub for its backend."""
    Stub.seconds = seconds
    return setup()
