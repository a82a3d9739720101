"""What every backend must do: build a network from its plan, carry its weights, and train one trial to a result.

A backend translates the plan and derives no number of its own. Given the same trial, data and number of
threads it returns bit-equal errors on a CPU, in any process. It never reads the test split of a sweep.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from netspace.networks.spec import NetworkSpec
from netspace.training.checkpoint import Checkpoint
from netspace.training.data import Dataset
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import EpochRecord, Trial, TrialResult


class Backend(Protocol):
    """The contract; `tests/contracts` holds the same in code."""

    name: str

    def build(self, spec: NetworkSpec, *, seed: int = 0) -> Any:
        """Return the framework's own module, its weights initialised from `seed`."""
        ...

    def check(self, spec: NetworkSpec, resolution: int | None = None) -> None:
        """Check that a user's own block costs what it says, or can be built at all; any other network passes.

        Raises: OwnBlockError; InputError where this backend has no such network.
        """
        ...

    def check_recipe(self, recipe: TrainingRecipe) -> None:
        """Check that this backend can train by a recipe. Raises: InputError, which begins with the field."""
        ...

    def types(self, spec: NetworkSpec, dtype: Any) -> Mapping[str, Any]:
        """Return name, shape and type of all that a network's file must hold, if its numbers are floats of `dtype`."""
        ...

    def arrays(self, network: Any) -> dict[str, Any]:
        """Return a network's tensors as arrays, named and laid out as `netspace.networks.tensors` says.

        Raises: CheckpointError for a network that no file holds.
        """
        ...

    def with_arrays(self, spec: NetworkSpec, given: Mapping[str, Any]) -> Any:
        """Return the network that has these tensors, with their type of numbers, in evaluation mode."""
        ...

    def logits(self, network: Any, images: Any) -> Any:
        """Return the logits (batch, classes) of images, in evaluation mode, and leave the network in its own mode.

        `images` is an array (batch, height, width, channels), normalised, of the network's type of numbers; there may
        be none of them. Raises: InputError for another layout, number of channels or type of numbers.
        """
        ...

    def take_threads(self, threads: int) -> None:
        """Have this process compute with so many threads; said before a network is built that is to be trained.

        Raises: InputError where the framework takes their number once, and has started with another.
        """
        ...

    def train(
        self,
        trial: Trial,
        data: Dataset,
        *,
        on_epoch: Callable[[EpochRecord], None] | None = None,
        network: Any = None,
        checkpoint: Checkpoint | None = None,
    ) -> TrialResult:
        """Train and return what became of it; a non-finite loss is a result (`diverged`), not an error.

        `network` is the trial's, built by this backend, to train in place; None builds it, from the trial's seed.
        A backend that can uses `checkpoint` to go on where an earlier attempt stopped, with the numbers of an attempt
        that was never stopped; one that cannot leaves it alone and begins again. Of these, "torch" can.
        Raises: Stopped where the checkpoint is told to stop and holds what is done; InputError for another network or
        other weights than float32, a recipe that this backend has not, data of other channels, and where a batch is
        larger than the training images.
        """
        ...

    def versions(self) -> dict[str, str]:
        """Return the versions of what computes."""
        ...
