"""One network trained by Keras: `compile` with the recipe's rates, rule and loss, then one `fit` per epoch.

On TensorFlow a step is a graph that XLA does not compile: on a CPU that would make it slower, and the first far slower
(`benchmarks/grouped_keras.py`).
"""

import importlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace.backends.checkpoints import Arrays
from netspace.backends.tensorflow_fit import SGD, RecipeRates, ValidationError, loss
from netspace.backends.tensorflow_import import keras
from netspace.backends.tensorflow_model import AnyNet, arrays, assign
from netspace.backends.translated import TranslatedBackend, check_threads
from netspace.errors import InputError
from netspace.machine import usable_cores
from netspace.networks.spec import NetworkSpec
from netspace.training.checkpoint import Checkpoint
from netspace.training.data import Dataset
from netspace.training.epochs import Batches, FloatArray, loss_weights, run_epochs
from netspace.training.splits import IndexArray
from netspace.training.trial import EpochRecord, Trial, TrialResult

THREADS_VARIABLE = "TF_NUM_INTRAOP_THREADS"
"""Where TensorFlow looks for its number of threads when it starts; else it takes all cores that it may use."""

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""Keras's dtype policy for each precision of a recipe: in the mixed one, weights and norms are float32."""


class TensorFlowBackend(TranslatedBackend):
    """Keras on TensorFlow, or on what KERAS_BACKEND names; see `netspace.training.backend.Backend`."""

    name = "tensorflow"

    def module(self, spec: NetworkSpec, dtype: np.dtype[Any]) -> AnyNet:
        """Return the Keras model of a network, computing in `dtype`. Raises: InputError where Keras would not."""
        below = keras.config.backend()
        if dtype == np.float64 and below != "tensorflow":  # its batch norm takes the result type of both, float32
            raise InputError(
                f"float64 must run on Keras's backend 'tensorflow', for Keras lowers it on {below!r}; or take float32"
            )
        return AnyNet(spec, dtype=dtype.name)

    def assign(self, network: AnyNet, given: Mapping[str, npt.NDArray[Any]]) -> None:
        """Set all weights and running statistics of a network."""
        assign(network, given)

    def arrays(self, network: AnyNet) -> Arrays:
        """Return a network's tensors."""
        return arrays(network)

    def dtype(self, network: AnyNet) -> np.dtype[Any]:
        """Return the type of a network's weights."""
        found: np.dtype[Any] = np.dtype(network.head.linear.kernel.dtype)
        return found

    def evaluated(self, network: AnyNet, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the logits of images (batch, height, width, channels)."""
        found: npt.NDArray[Any] = network.predict_on_batch(images)
        return found

    def take_threads(self, threads: int) -> None:
        """Have TensorFlow compute with so many threads. Raises: InputError where it has started with others."""
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
        """Train one trial; see the contract.

        Raises: InputError where TensorFlow already runs with another number of threads than the trial's.
        """
        begun = time.perf_counter()
        self.take_threads(trial.threads)
        network = self.to_train(network, trial, data)
        if trial.recipe.precision == "float32":
            return train(network, trial, data, on_epoch=on_epoch, begun=begun)
        # A module's dtype policy is fixed when it is made.
        mixed = AnyNet(network.spec, dtype=POLICIES[trial.recipe.precision])
        assign(mixed, arrays(network))
        result = train(mixed, trial, data, on_epoch=on_epoch, begun=begun)
        assign(network, arrays(mixed))
        return result

    def versions(self) -> dict[str, str]:
        """Return the versions of Keras and of what it runs on."""
        below = keras.config.backend()
        return {"keras": keras.__version__, below: importlib.import_module(below).__version__}


def train(
    network: AnyNet,
    trial: Trial,
    data: Dataset,
    *,
    on_epoch: Callable[[EpochRecord], None] | None,
    begun: float,
) -> TrialResult:
    """Train a network in place and return its validation error at the last epoch, with its learning curve."""
    recipe, batches = trial.recipe, Batches(trial, data)
    steps = recipe.steps_per_epoch(len(data.training.labels))
    seed_dropping(network, trial.stream_seed("dropping"))
    network.compile(
        optimizer=SGD(RecipeRates(recipe, steps), momentum=recipe.momentum, decay=recipe.weight_decay),
        loss=loss(recipe),
        jit_compile=keras.config.backend() == "jax",  # which cannot train otherwise
    )
    judge = ValidationError(data.validation, batches.normalised, recipe.metric)
    weights = loss_weights(trial, data)
    classes = np.eye(trial.network.num_classes, dtype=np.float32)

    def batches_of(chosen: Iterable[IndexArray]) -> Iterator[tuple[FloatArray, ...]]:
        for images, labels in map(batches, chosen):
            # Keras divides by the number of images, not by the sum of their weights.
            yield (images, classes[labels], *(() if weights is None else (weights[labels],)))

    def train_epoch(done: int, chosen: Iterable[IndexArray]) -> float:
        epoch = done // steps
        history = network.fit(
            batches_of(chosen),
            steps_per_epoch=steps,
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=[judge],
            shuffle=False,
            verbose=0,
        ).history
        return float(history["loss"][0])

    return run_epochs(trial, data, train=train_epoch, evaluate=lambda: judge.error, on_epoch=on_epoch, begun=begun)


def seed_dropping(network: AnyNet, seed: int) -> None:
    """Begin the random numbers of dropout and stochastic depth anew."""
    if keras.config.backend() == "torch":  # there, dropout of single numbers draws from PyTorch's own generator
        importlib.import_module("torch").manual_seed(seed)
    generator = np.random.Generator(np.random.Philox(key=seed))
    for variable in network.non_trainable_variables:
        if variable.name == "seed_generator_state":
            variable.assign(generator.integers(0, 2**32, variable.shape, np.uint32))


def take_threads(count: int) -> None:
    """Have TensorFlow, or what Keras runs on instead, compute with so many threads.

    Raises: InputError where it has begun in this process with another number, which it then keeps.
    """
    below = keras.config.backend()
    if below == "torch":
        importlib.import_module("torch").set_num_threads(count)
    elif below == "jax":
        importlib.import_module("netspace.backends.jax_threads").take_threads(count)
    else:
        threading = importlib.import_module("tensorflow").config.threading
        try:
            threading.set_intra_op_parallelism_threads(count)
            threading.set_inter_op_parallelism_threads(1)  # no two operations at once
        except RuntimeError:  # it has computed before
            chosen = threading.get_intra_op_parallelism_threads() or int(os.environ.get(THREADS_VARIABLE, 0))
            check_threads(count, chosen or usable_cores(), what="TensorFlow", variable=THREADS_VARIABLE)
