"""One network trained by MXNet 1.9.1 (legacy), the way of Gluon: record, backward, step.

Operators run behind Python, in their order; a step waits for the loss of the step before it, so that batches do not
pile up, and losses are read once an epoch.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace.backends.checkpoints import Arrays
from netspace.backends.mxnet_model import AnyNet, array, mx, parameters
from netspace.backends.mxnet_threads import set_threads
from netspace.backends.translated import TranslatedBackend
from netspace.errors import InputError
from netspace.networks.spec import NetworkSpec
from netspace.training.checkpoint import Checkpoint
from netspace.training.data import Dataset
from netspace.training.epochs import Batches, loss_weights, run_epochs, share_wrong
from netspace.training.splits import IndexArray
from netspace.training.trial import EpochRecord, Trial, TrialResult


class MXNetBackend(TranslatedBackend):
    """Gluon blocks of MXNet, whose development has ended; see `netspace.training.backend.Backend`."""

    name = "mxnet"
    precisions = ("float32",)  # on a CPU, MXNet has no bfloat16 to train in

    def module(self, spec: NetworkSpec, dtype: np.dtype[Any]) -> AnyNet:
        """Return the network as a `gluon.HybridBlock`. Raises: InputError for numbers that MXNet lacks on a CPU."""
        if dtype.name not in ("float32", "float64"):
            raise InputError(f"backend 'mxnet' has no networks of {dtype.name}, only of float32 and float64")
        network = AnyNet(spec)
        network.initialize(mx.init.Zero())
        network.cast(dtype.name)
        return network

    def assign(self, network: AnyNet, given: Mapping[str, npt.NDArray[Any]]) -> None:
        """Set all weights and running statistics."""
        for name, parameter in parameters(network).items():
            parameter.set_data(array(given[name]))

    def arrays(self, network: AnyNet) -> Arrays:
        """Return a network's tensors."""
        return {name: parameter.data().asnumpy() for name, parameter in parameters(network).items()}

    def dtype(self, network: AnyNet) -> np.dtype[Any]:
        """Return the type of a network's weights."""
        found: np.dtype[Any] = np.dtype(network.head.linear.weight.dtype)
        return found

    def evaluated(self, network: AnyNet, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the logits of images (batch, height, width, channels)."""
        with mx.autograd.pause(train_mode=False):
            found: npt.NDArray[Any] = network(array(images.transpose(0, 3, 1, 2))).asnumpy()
        return found

    def take_threads(self, threads: int) -> None:
        """Have MXNet compute with so many threads."""
        set_threads(threads)

    def train(
        self,
        trial: Trial,
        data: Dataset,
        *,
        on_epoch: Callable[[EpochRecord], None] | None = None,
        network: AnyNet | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> TrialResult:
        """Train one trial; see the contract. A network that is given stays hybridized."""
        begun = time.perf_counter()
        recipe = trial.recipe
        self.take_threads(trial.threads)
        steps = recipe.steps_per_epoch(len(data.training.labels))
        trained = self.to_train(network, trial, data)
        trained.hybridize()
        # Dropout and stochastic depth draw from MXNet's own generator, whose seeds have 32 bits.
        mx.random.seed(trial.stream_seed("dropping") % 2**31)
        batches = Batches(trial, data)
        weights = loss_weights(trial, data)
        targets = smoothed(trial.network.num_classes, recipe.label_smoothing)
        cross_entropy = mx.gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=False)
        optimiser = mx.optimizer.SGD(
            learning_rate=recipe.learning_rate, momentum=recipe.momentum, wd=recipe.weight_decay
        )
        trainer = mx.gluon.Trainer(trained.collect_params(), optimiser, kvstore=None)

        def train_epoch(done: int, chosen_images: Iterable[IndexArray]) -> float:
            losses: list[Any] = []
            for step, chosen in enumerate(chosen_images, start=done):
                images, labels = batches(chosen)
                x, y = array(images.transpose(0, 3, 1, 2)), array(targets[labels])
                with mx.autograd.record():
                    losses_of_images = cross_entropy(trained(x), y)
                    if weights is not None:
                        losses_of_images = losses_of_images * array(weights[labels])
                    loss = losses_of_images.mean()
                loss.backward()
                set_rate(optimiser, recipe.rate(step, steps), recipe.momentum)
                trainer.step(1)
                if losses:
                    losses[-1].wait_to_read()
                losses.append(loss)
            return float(np.mean([loss.asnumpy() for loss in losses], dtype=np.float64))

        def evaluate() -> float:
            return share_wrong(
                lambda images: self.logits(trained, batches.normalised(images)),
                data.validation.images,
                data.validation.labels,
                recipe.metric,
            )

        return run_epochs(trial, data, train=train_epoch, evaluate=evaluate, on_epoch=on_epoch, begun=begun)

    def versions(self) -> dict[str, str]:
        """Return the version of MXNet."""
        return {"mxnet": mx.__version__}


def smoothed(classes: int, smoothing: float) -> npt.NDArray[np.float32]:
    """Return each label's target (classes, classes): `smoothing` of it is spread evenly over all classes."""
    return ((1.0 - smoothing) * np.eye(classes) + smoothing / classes).astype(np.float32)


def set_rate(optimiser: Any, rate: float, momentum: float) -> None:
    """Set the learning rate of a step of MXNet's SGD so that it does what PyTorch's does.

    MXNet keeps s = -rate * v of PyTorch's v = momentum * v + gradient: a rate that changes must scale what is kept.
    """
    optimiser.momentum = momentum * rate / optimiser.learning_rate
    optimiser.set_learning_rate(rate)
