"""One network trained by PyTorch: the whole loop, in the order in which it runs.

Images stay one uint8 array (n, height, width, channels); a batch is indexed, normalised and augmented as whole
tensors. Nothing inside a step waits for a number: losses are read once an epoch. On a CUDA device the images lie there,
an epoch's random choices go there at once, and a step is replayed as a graph.
Its speed in float32 and bfloat16 is printed by `benchmarks/precision.py`, on CUDA by `benchmarks/gpu.py`.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netspace.backends.checkpoints import Arrays, TensorType, planned_types
from netspace.backends.torch_augmentation import draw_augmentation
from netspace.backends.torch_average import Average, evenly
from netspace.backends.torch_device_steps import DeviceSteps, Terms
from netspace.backends.torch_devices import begin_on, dropping_generator, find_device
from netspace.backends.torch_distributed import Ranks
from netspace.backends.torch_evaluation import error
from netspace.backends.torch_fusing import refuse_folded
from netspace.backends.torch_images import Normalise, Pixels, in_layout, memory_format
from netspace.backends.torch_kernels import use_kernels
from netspace.backends.torch_memory import MicroBatches, shortage
from netspace.backends.torch_mixing import Mixing
from netspace.backends.torch_model import AnyNet, arrays, as_array, as_tensor, build, numpy_type, own_types, with_arrays
from netspace.backends.torch_own_block import check_own_blocks
from netspace.backends.torch_state import TorchState
from netspace.backends.torch_update import TrainingStep, autocast, new_optimiser
from netspace.networks.spec import NetworkSpec
from netspace.training.checkpoint import Checkpoint
from netspace.training.data import Dataset
from netspace.training.device import CPU
from netspace.training.epochs import check_images, check_training, loss_weights, run_epochs
from netspace.training.recipe import TrainingRecipe
from netspace.training.splits import IndexArray
from netspace.training.trial import OUT_OF_MEMORY, EpochRecord, Trial, TrialResult


class TorchBackend:
    """The reference backend; see `netspace.training.backend.Backend`."""

    name = "torch"

    def build(self, spec: NetworkSpec, *, seed: int = 0) -> AnyNet:
        """Return the network as an `nn.Module`, initialised from `seed`."""
        return build(spec, seed=seed)

    def check(self, spec: NetworkSpec, resolution: int | None = None) -> None:
        """Check a user's own blocks against the modules that they build."""
        check_own_blocks(spec, resolution)

    def check_recipe(self, recipe: TrainingRecipe) -> None:
        """Every recipe can be trained here."""

    def types(self, spec: NetworkSpec, dtype: np.dtype[Any]) -> dict[str, TensorType]:
        """Return what a network's file must hold; a user's own blocks are asked."""
        return planned_types(spec, dtype) if spec.own_block is None else own_types(spec, dtype)

    def arrays(self, network: AnyNet) -> Arrays:
        """Return a network's tensors. Raises: CheckpointError for a folded one."""
        refuse_folded(network)
        return arrays(network)

    def with_arrays(self, spec: NetworkSpec, given: Mapping[str, npt.NDArray[Any]]) -> AnyNet:
        """Return the network of these tensors."""
        return with_arrays(spec, given)

    @torch.no_grad()
    def logits(self, network: AnyNet, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the logits of images (batch, height, width, channels)."""
        check_images(network.spec, images, numpy_type(network))
        was_training = network.training
        network.eval()
        found = network(as_tensor(images).permute(0, 3, 1, 2))
        network.train(was_training)
        return as_array(found)

    def take_threads(self, threads: int) -> None:
        """Have PyTorch compute with so many threads."""
        torch.set_num_threads(threads)

    def train(
        self,
        trial: Trial,
        data: Dataset,
        *,
        on_epoch: Callable[[EpochRecord], None] | None = None,
        network: AnyNet | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> TrialResult:
        """Train one trial; see the contract. One that does not fit in memory has failed."""
        begun = time.perf_counter()
        try:
            return train(trial, data, on_epoch=on_epoch, network=network, checkpoint=checkpoint)
        except (MemoryError, RuntimeError) as problem:
            why = shortage(problem)
            if why is None:
                raise
        finally:
            if trial.device != CPU:
                torch.cuda.empty_cache()  # for the other processes on that device
        reason = f"{OUT_OF_MEMORY}: {why}"
        return TrialResult(trial_id=trial.id, status="failed", seconds=time.perf_counter() - begun, reason=reason)

    def versions(self) -> dict[str, str]:
        """Return the version of PyTorch."""
        return {"torch": torch.__version__}


def train(
    trial: Trial,
    data: Dataset,
    *,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    network: AnyNet | None = None,
    checkpoint: Checkpoint | None = None,
    capture: bool | None = None,
) -> TrialResult:
    """Train one network and return its validation error at the last epoch, with its learning curve.

    Goes on where `checkpoint` says that an earlier attempt stopped. Sets PyTorch's number of threads in this process to
    the trial's. A trial of several processes is trained by all of them together, each of which calls this once they
    have joined (`torch_distributed.joined`). Where memory runs out, batches are taken in parts, and the result's reason
    says so (`torch_memory.py`). On a CUDA device steps are replayed as graphs, unless `capture` is false; with
    `capture` the processor takes them as such a device would, one by one. The network ends on the processor.

    Raises: InputError where a batch is larger than the training images, other processes than the trial's have joined,
    or its device is not there; ExecutionError where the trial's kernels cannot be had; Stopped where its checkpoint is
    told to stop; MemoryError, or PyTorch's RuntimeError, where the smallest part does not fit.
    """
    begun = time.perf_counter()
    device = find_device(trial.device)
    begin_on(device)
    torch.set_num_threads(trial.threads)
    ranks = Ranks.joined(trial.processes)
    recipe, kernels = trial.recipe, trial.kernels
    steps = recipe.steps_per_epoch(len(data.training.labels))

    network = network or build(trial.network, seed=trial.stream_seed("initialisation"))
    check_training(trial, data, network.spec, numpy_type(network))
    network = network.to(device, memory_format=memory_format(kernels))  # type: ignore[call-overload]
    assert network is not None
    optimiser = new_optimiser(network, recipe, kernels)
    # Dropout and stochastic depth draw from PyTorch's own generator.
    torch.manual_seed(trial.stream_seed("dropping") + ranks.number)
    labels = torch.tensor(data.training.labels, device=device)
    pixels = Pixels(data.training.images, device, copy=bool(capture))
    weights = loss_weights(trial, data)
    normalise = Normalise(data, device)
    augmentation = torch.Generator().manual_seed(trial.stream_seed("augmentation") + ranks.number)
    mixing = Mixing(recipe, trial.stream_seed("mixing") + ranks.number)

    def some_images() -> Tensor:
        with autocast(recipe, device):
            found: Tensor = network(in_layout(normalise(pixels(evenly(len(labels)))), kernels))
        return found

    average = Average(network, some_images) if recipe.average_epochs else None
    micro = MicroBatches(network, may_halve=ranks.of == 1)
    take = TrainingStep(
        network=ranks.shared(network),
        optimiser=optimiser,
        micro=micro,
        normalise=normalise,
        recipe=recipe,
        kernels=kernels,
        class_weights=None if weights is None else torch.from_numpy(weights).to(device),
        average=average,
        total=torch.zeros((), device=device),
    )
    batch_size = recipe.batch_size // ranks.of

    def terms(step: int) -> Terms:
        side = recipe.side(step, steps, data.resolution)
        draws = draw_augmentation(recipe, batch_size, augmentation) | mixing.draw(batch_size, side, step)
        weight = recipe.average_weight(step, steps) if recipe.average_epochs else 0.0
        return draws, side, recipe.rate(step, steps), weight

    device_steps = None
    if device.type != CPU or capture:
        device_steps = DeviceSteps(take, pixels, labels, terms, capture=capture is not False)

    def train_epoch(done: int, batches: Iterable[IndexArray]) -> float:
        network.train()
        take.total.zero_()
        if device_steps is not None:
            device_steps(done, steps, batches)
        else:
            for step, chosen in enumerate(batches, start=done):
                draws, side, rate, weight = terms(step)
                take(pixels(chosen), labels[chosen], draws, side=side, rate=rate, weight=weight)
        return ranks.mean(float(take.total) / steps)

    def evaluate() -> float:
        ranks.average_statistics(network)
        with nullcontext() if average is None else average.in_place():
            return error(network, data.validation, normalise, recipe, ranks, micro, kernels=kernels, device=device)

    generators = {"dropping": dropping_generator(device), "augmentation": augmentation}
    modules = {"network": network} | ({} if average is None else {"average": average.module})
    with use_kernels(network, trial.kernels):
        result = run_epochs(
            trial,
            data,
            train=train_epoch,
            evaluate=evaluate,
            on_epoch=on_epoch,
            begun=begun,
            part=ranks.part(recipe.batch_size),
            ahead=pixels.there is None,
            checkpoint=checkpoint,
            state=TorchState(optimiser, generators, unsaved=lambda: micro.note, **modules),
        )
        if average is not None and result.status == "finished":
            average.take_place()  # the network that is kept is the one that was judged
    network.zero_grad()
    network.to(CPU)
    return replace(result, reason="; ".join(filter(None, (result.reason, micro.note))) or None)
