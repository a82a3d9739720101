"""What every backend must do: build a network from its plan, and train one trial to a result.

A backend translates the plan and derives no number of its own. Given the same trial, data and number of
threads it returns bit-equal errors on a CPU, in any process. It never reads the test split of a sweep.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from netspace.networks.spec import NetworkSpec
from netspace.training.data import Dataset
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import EpochRecord, Trial, TrialResult


class Backend(Protocol):
    """The contract; `tests/contracts` holds the same in code."""

    name: str

    def build(self, spec: NetworkSpec, *, seed: int = 0) -> Any:
        """Return the framework's own module, its weights initialised from `seed`."""
        ...

    def check(self, spec: NetworkSpec, resolution: int) -> None:
        """Check that a user's own block costs what it says, or can be built at all; any other network passes.

        Raises: OwnBlockError.
        """
        ...

    def save(
        self, network: Any, folder: Path, *, recipe: TrainingRecipe | None = None, result: TrialResult | None = None
    ) -> None:
        """Write a network's spec and weights to a folder, and how it was trained. Raises: CheckpointError."""
        ...

    def load(self, folder: Path) -> Any:
        """Return the network that `save` wrote, in evaluation mode. Raises: CheckpointError."""
        ...

    def train(
        self, trial: Trial, data: Dataset, *, on_epoch: Callable[[EpochRecord], None] | None = None
    ) -> TrialResult:
        """Train and return what became of it; a non-finite loss is a result (`diverged`), not an error."""
        ...

    def versions(self) -> dict[str, str]:
        """Return the versions of what computes."""
        ...
