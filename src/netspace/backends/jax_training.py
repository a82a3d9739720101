"""One network trained by JAX: a step is one compiled function of all that it changes, which is given back in place.

The module is split into its structure, which is compiled in, and its numbers, which go in and out of the step; a step
called with the module itself (`nnx.jit`) spends several times as long in Python. Losses are read once an epoch. The
first epoch's time holds the compilation.
"""

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax
from flax import nnx
from jax import Array

from netspace.backends.checkpoints import Arrays
from netspace.backends.jax_model import AnyNet, abstract, arrays, assign, fresh_streams, precision_of
from netspace.backends.jax_threads import take_threads
from netspace.backends.translated import TranslatedBackend
from netspace.networks.spec import NetworkSpec
from netspace.training.checkpoint import Checkpoint
from netspace.training.data import Dataset
from netspace.training.epochs import EVALUATION_BATCH, Batches, loss_weights, run_epochs, share_wrong
from netspace.training.recipe import TrainingRecipe
from netspace.training.splits import ByteArray, IndexArray
from netspace.training.trial import EpochRecord, Trial, TrialResult


class JaxBackend(TranslatedBackend):
    """Flax NNX modules; see `netspace.training.backend.Backend`."""

    name = "jax"

    def module(self, spec: NetworkSpec, dtype: np.dtype[Any]) -> AnyNet:
        """Return the network without weights; `assign` brings them, with their type."""
        network = abstract(spec)
        nnx.update(network, fresh_streams(network, 0))
        return network

    def assign(self, network: AnyNet, given: Mapping[str, npt.NDArray[Any]]) -> None:
        """Set all weights and running statistics."""
        assign(network, given)

    def arrays(self, network: AnyNet) -> Arrays:
        """Return a network's tensors."""
        return arrays(network)

    def evaluation(self, network: AnyNet) -> AnyNet:
        """Return the network in evaluation mode."""
        network.eval()
        return network

    def dtype(self, network: AnyNet) -> np.dtype[Any]:
        """Return the type of a network's weights."""
        found: np.dtype[Any] = np.dtype(network.head.linear.kernel.dtype)
        return found

    def evaluated(self, network: AnyNet, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the logits of images (batch, height, width, channels)."""
        with precision_of(images.dtype):
            evaluated = nnx.view(network, deterministic=True, use_running_average=True, raise_if_not_found=False)
            return np.asarray(evaluated(images))

    def take_threads(self, threads: int) -> None:
        """Have JAX compute with so many threads. Raises: InputError where it has started with others."""
        take_threads(threads)

    def train(
        self,
        trial: Trial,
        data: Dataset,
        *,
        on_epoch: Callable[[EpochRecord], None] | None = None,
        network: AnyNet | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> TrialResult:
        """Train one trial; see the contract. Raises: InputError where JAX has started with other threads."""
        begun = time.perf_counter()
        self.take_threads(trial.threads)
        recipe = trial.recipe
        steps = recipe.steps_per_epoch(len(data.training.labels))
        network = self.to_train(network, trial, data)
        weights = loss_weights(trial, data)
        trained = Trained(network, recipe, seed=trial.stream_seed("dropping"), class_weights=weights)
        batches = Batches(trial, data)

        def train_epoch(done: int, chosen: Iterable[IndexArray]) -> float:
            total_loss = jnp.zeros(())
            try:
                for step, indices in enumerate(chosen, start=done):
                    total_loss = trained.step(*batches(indices), recipe.rate(step, steps), total_loss)
            finally:  # an interrupted epoch, too, leaves a network
                trained.give_back()
            return float(total_loss) / steps

        def evaluate() -> float:
            room = min(EVALUATION_BATCH, len(data.validation))  # one shape, so that one function is compiled

            def logits(images: ByteArray) -> npt.NDArray[np.floating]:
                padding = ((0, room - len(images)), (0, 0), (0, 0), (0, 0))
                return trained.logits(np.pad(batches.normalised(images), padding))[: len(images)]

            return share_wrong(logits, data.validation.images, data.validation.labels, recipe.metric)

        return run_epochs(trial, data, train=train_epoch, evaluate=evaluate, on_epoch=on_epoch, begun=begun)

    def versions(self) -> dict[str, str]:
        """Return the versions of JAX, Flax and optax."""
        return {"jax": jax.__version__, "flax": flax.__version__, "optax": optax.__version__}


class Trained:
    """A network in training: all numbers that a step changes, and the two functions compiled for them."""

    def __init__(
        self, network: AnyNet, recipe: TrainingRecipe, *, seed: int, class_weights: npt.NDArray[Any] | None = None
    ) -> None:
        self._network = network
        self._class_weights = class_weights
        self._recipe = recipe
        self._step, self._logits = compiled(network.spec, recipe.precision)
        weights, statistics = nnx.state(network, nnx.Param, nnx.BatchStat)
        state = (weights, statistics, fresh_streams(network, seed), optimiser(recipe.momentum, 0.0).init(weights))
        self._numbers, self._structure = jax.tree.flatten(state)

    def step(self, images: npt.NDArray[Any], labels: npt.NDArray[Any], rate: float, total_loss: Array) -> Array:
        """Take one step at a learning rate, and return the total loss with this step's added; nothing is waited for."""
        recipe = self._recipe
        choices = np.array([rate, recipe.momentum, recipe.weight_decay, recipe.label_smoothing], np.float32)
        self._numbers, total_loss = self._step(
            self._numbers, images, labels.astype(np.int32), choices, total_loss, self._class_weights
        )
        return total_loss

    def logits(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the logits of normalised images (batch, height, width, channels), in evaluation mode."""
        return np.asarray(self._logits(self._numbers, images))

    def give_back(self) -> None:
        """Set the network to what it has become: the memory of the numbers that it had is in use again."""
        weights, statistics, *_ = jax.tree.unflatten(self._structure, self._numbers)
        nnx.update(self._network, weights, statistics)


def optimiser(momentum: Any, weight_decay: Any) -> optax.GradientTransformation:
    """Return PyTorch's momentum, v = momentum * v + gradient + weight_decay * w, before the learning rate."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.trace(momentum))


@functools.lru_cache(maxsize=4)
def compiled(spec: NetworkSpec, precision: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the functions of a step and of the logits of all that a step changes.

    The last few are kept, and what else a recipe says is an argument, so that a network that is trained again is
    compiled once. The numbers go in and out as a plain list: JAX walks it many times as fast as a network's state.
    """
    network = abstract(spec, dtype=jnp.bfloat16 if precision == "bfloat16" else None)
    training, *state = nnx.split(network, nnx.Param, nnx.BatchStat, nnx.RngState)
    structure = jax.tree.structure((*state, optimiser(0.0, 0.0).init(state[0])))
    network.eval()
    evaluation = nnx.graphdef(network)

    def step(
        numbers: list[Array],
        images: Array,
        labels: Array,
        choices: Array,
        total_loss: Array,
        class_weights: Array | None,
    ) -> Any:
        weights, statistics, streams, velocity = jax.tree.unflatten(structure, numbers)
        rate, momentum, weight_decay, label_smoothing = choices

        def loss_of(weights: nnx.State) -> tuple[Array, Any]:
            trained = nnx.merge(training, weights, statistics, streams, copy=True)
            targets = optax.smooth_labels(jax.nn.one_hot(labels, spec.num_classes), label_smoothing)
            losses = optax.softmax_cross_entropy(trained(images).astype(jnp.float32), targets)
            loss = (losses if class_weights is None else losses * class_weights[labels]).mean()
            return loss, nnx.state(trained, nnx.BatchStat, nnx.RngState)

        (loss, changed), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights)
        change, velocity = optimiser(momentum, weight_decay).update(gradients, velocity, weights)
        weights = jax.tree.map(lambda weight, part: weight - rate * part, weights, change)
        return jax.tree.leaves((weights, *changed, velocity)), total_loss + loss

    def logits(numbers: list[Array], images: Array) -> Array:
        *state, _ = jax.tree.unflatten(structure, numbers)
        return nnx.merge(evaluation, *state)(images).astype(jnp.float32)

    return jax.jit(step, donate_argnums=0), jax.jit(logits)
