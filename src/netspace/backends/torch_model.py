"""A network plan as a PyTorch module: convolutions, norms and activations, block by block; no number is derived.

Its names are those of `netspace.networks.tensors`, which also says how weights begin; a user's own blocks name and
draw theirs themselves.
"""

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from netspace.backends.checkpoints import FLOATS, TensorType
from netspace.backends.torch_own_block import check_own_blocks, own_module
from netspace.networks.plan import BlockPlan, Convolution, OwnBlockPlan, SqueezeExcitation, drop_rates, plan
from netspace.networks.spec import Frame, NetworkSpec
from netspace.networks.tensors import tensors as planned_tensors
from netspace.training.epochs import channels_first

ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU}


class ConvNorm(nn.Sequential):
    """Convolution, and batch norm and activation where the plan says so."""

    def __init__(self, layer: Convolution, frame: Frame) -> None:
        super().__init__()
        self.add_module("conv", conv2d(layer))
        if layer.norm:
            norm = nn.BatchNorm2d(layer.out_width, eps=frame.norm_eps, momentum=frame.norm_momentum)
            self.add_module("norm", norm)
        if layer.activation:
            self.add_module("activation", activation(frame))


class SE(nn.Module):
    """Squeeze-and-excitation: (batch, channels, height, width) scaled per image and channel."""

    def __init__(self, planned: SqueezeExcitation, frame: Frame) -> None:
        super().__init__()
        self.reduce = conv2d(planned.reduce)
        self.activation = activation(frame)
        self.expand = conv2d(planned.expand)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` times a gate in (0, 1) of shape (batch, channels, 1, 1)."""
        pooled = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(self.activation(self.reduce(pooled))))


class Block(nn.Module):
    """A residual branch of convolutions, added to its shortcut where it has one."""

    def __init__(self, block: BlockPlan, frame: Frame, drop_rate: float) -> None:
        super().__init__()
        self.branch = nn.Sequential()
        for name, layer in zip("abc", block.convolutions, strict=False):
            if layer is block.convolutions[-1] and block.se:
                self.branch.add_module("se", SE(block.se, frame))
            self.branch.add_module(name, ConvNorm(layer, frame))
        self.drop_rate = drop_rate
        self.projection = ConvNorm(block.projection, frame) if block.projection else None
        self.has_shortcut = block.shortcut
        self.activation = activation(frame) if block.activation else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_width, height, width) to (batch, width, height / stride, width / stride)."""
        y: Tensor = self.branch(x)
        if self.training and self.drop_rate and self.has_shortcut:  # without one, nothing would be left
            kept = torch.rand((len(y), 1, 1, 1), device=y.device) >= self.drop_rate
            y = y * kept / (1.0 - self.drop_rate)
        if self.has_shortcut:
            y = y + (x if self.projection is None else self.projection(x))
        return self.activation(y)  # type: ignore[no-any-return]


class Head(nn.Module):
    """A 1x1 convolution where the plan has one, global average pooling, dropout and one linear layer."""

    def __init__(self, convolution: Convolution | None, classifier: Convolution, frame: Frame) -> None:
        super().__init__()
        self.convolution = ConvNorm(convolution, frame) if convolution else nn.Identity()
        self.dropout = nn.Dropout(frame.dropout)
        self.linear = nn.Linear(classifier.in_width, classifier.out_width, bias=classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, width, height, width) to logits (batch, classes)."""
        return self.linear(self.dropout(self.convolution(x).mean((2, 3))))  # type: ignore[no-any-return]


class AnyNet(nn.Module):
    """A network built from its spec; input (batch, in_channels, height, width), output (batch, classes)."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        planned = plan(spec)
        self.stem = ConvNorm(planned.stem, spec)
        if planned.max_pool:
            self.stem.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
        rates = iter(drop_rates(spec))
        self.stages = nn.Sequential(
            *(nn.Sequential(*(block(b, spec, next(rates)) for b in stage.blocks())) for stage in planned.stages)
        )
        self.head = Head(planned.head, planned.classifier, spec)

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the output of every stage, for heads of detection and segmentation. Raises: InputError."""
        check_layout(self.spec, x)
        outputs = [self.stem(x)]
        for stage in self.stages:
            outputs.append(stage(outputs[-1]))
        return tuple(outputs[1:])

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, classes). Raises: InputError for images of another layout."""
        check_layout(self.spec, x)
        return self.head(self.stages(self.stem(x)))  # type: ignore[no-any-return]


def check_layout(spec: NetworkSpec, x: Tensor) -> None:
    """Check that images are (batch, channels, height, width) for a network. Raises: InputError.

    What an older tracer (`torch.fx`, `torch.jit`) gives has no shape to decide by, and passes.
    """
    traced = not isinstance(x, Tensor) or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
    if not traced and (x.ndim != 4 or x.shape[1] != spec.in_channels):
        raise channels_first(spec, x.shape)


def block(planned: BlockPlan | OwnBlockPlan, frame: Frame, drop_rate: float) -> nn.Module:
    """Return the module of a block: ours, or what the user's file builds."""
    return own_module(planned) if isinstance(planned, OwnBlockPlan) else Block(planned, frame, drop_rate)


def activation(frame: Frame) -> nn.Module:
    """Return the network's activation; ReLU works in place, which saves memory and changes nothing."""
    return nn.ReLU(inplace=True) if frame.activation == "relu" else ACTIVATIONS[frame.activation]()


def conv2d(layer: Convolution) -> nn.Conv2d:
    """Return the convolution of a plan."""
    return nn.Conv2d(
        layer.in_width,
        layer.out_width,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        groups=layer.num_groups,
        bias=layer.bias,
    )


@torch.no_grad()
def initialise(network: AnyNet, seed: int) -> None:
    """Set all weights and running statistics from one seed, in their order. Own blocks are left as they were built."""
    generator = torch.Generator().manual_seed(seed)
    state = network.state_dict()
    for tensor in planned_tensors(network.spec):
        if tensor.spread:
            state[tensor.name].normal_(tensor.mean, tensor.spread, generator=generator)
        else:
            state[tensor.name].fill_(tensor.mean)
    for name in _counters(network):
        state[name].zero_()


def _counters(network: AnyNet) -> set[str]:
    """Return the names of the counters of batches of our own norms, which nothing uses."""
    names = (tensor.name for tensor in planned_tensors(network.spec) if tensor.name.endswith("running_mean"))
    return {name.removesuffix("running_mean") + "num_batches_tracked" for name in names}


def arrays(network: AnyNet) -> dict[str, npt.NDArray[Any]]:
    """Return a network's tensors as `netspace.networks.tensors` names them; they share its memory where they can."""
    counters = _counters(network)
    return {name: as_array(tensor) for name, tensor in network.state_dict().items() if name not in counters}


def with_arrays(spec: NetworkSpec, given: Mapping[str, npt.NDArray[Any]]) -> AnyNet:
    """Return the network that has these tensors, with their type of numbers, in evaluation mode."""
    tensors = {name: as_tensor(array) for name, array in given.items()}
    network = build(spec).to(tensors["stem.conv.weight"].dtype)
    network.load_state_dict(network.state_dict() | tensors)
    return network.eval()


def state_types(spec: NetworkSpec, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return all that a network's state holds, without memory, so that any spec can be compared before it is built."""
    with torch.device("meta"):
        return AnyNet(spec).to(dtype).state_dict()


def own_types(spec: NetworkSpec, dtype: np.dtype[Any]) -> dict[str, TensorType]:
    """Return what the file of a network of a user's own blocks must hold, as their modules say."""
    dtype = dtype if dtype.name in FLOATS else np.dtype(np.float32)
    with torch.device("meta"):
        network = AnyNet(spec).to(as_tensor(np.empty(0, dtype)).dtype)
    counters = _counters(network)
    return {
        name: TensorType(shape=tuple(tensor.shape), dtype=as_array(torch.empty(0, dtype=tensor.dtype)).dtype)
        for name, tensor in network.state_dict().items()
        if name not in counters
    }


def as_array(tensor: Tensor) -> npt.NDArray[Any]:
    """Return a tensor as an array, of its memory where it can be; bfloat16 too."""
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype is torch.bfloat16:  # which NumPy does not know
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def as_tensor(array: npt.NDArray[Any]) -> Tensor:
    """Return a copy of an array as a tensor; bfloat16 too."""
    array = np.array(array)  # a copy that can be written
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def numpy_type(network: AnyNet) -> np.dtype[Any]:
    """Return the type of a network's weights."""
    return as_array(torch.empty(0, dtype=network.head.linear.weight.dtype)).dtype


def build(spec: NetworkSpec, *, seed: int = 0) -> AnyNet:
    """Return the network of a spec, initialised from `seed`. Raises: OwnBlockError where a user's block is wrong."""
    if spec.own_block is None:
        with torch.device("meta"):  # one allocation, and no random numbers drawn twice
            network = AnyNet(spec)
        # `to_empty` would do this, and import SymPy to do it.
        there = {name: torch.empty(one.shape, dtype=one.dtype) for name, one in network.state_dict().items()}
        network.load_state_dict(there, assign=True)
    else:
        check_own_blocks(spec)
        with torch.random.fork_rng(devices=[]):  # what a user's block draws, it draws from PyTorch's own generator
            torch.default_generator.manual_seed(seed)
            network = AnyNet(spec)
    initialise(network, seed)
    return network
