"""A network plan as a PyTorch module: convolution, batch norm and ReLU, block by block; no number is derived.

Weights begin as published: convolutions from N(0, sqrt(2 / (k * k * out_width))), batch norms 1 and 0, the
linear layer from N(0, 0.01), biases 0. Source: Radosavovic et al. 2020, released code (`init_weights`).
"""

import math

import torch
from torch import Tensor, nn

from netspace.networks.plan import BlockPlan, Convolution, NetworkPlan, SqueezeExcitation, plan
from netspace.networks.spec import NetworkSpec

NORM_EPS = 1e-5
NORM_MOMENTUM = 0.1
"""PyTorch's sense: the weight of the new batch in the running statistics."""


class ConvNorm(nn.Sequential):
    """Convolution, batch norm, and ReLU where the plan says so."""

    def __init__(self, layer: Convolution) -> None:
        super().__init__()
        self.add_module("conv", conv2d(layer))
        if layer.norm:
            self.add_module("norm", nn.BatchNorm2d(layer.out_width, eps=NORM_EPS, momentum=NORM_MOMENTUM))
        if layer.activation:
            self.add_module("activation", nn.ReLU(inplace=True))


class SE(nn.Module):
    """Squeeze-and-excitation: (batch, channels, height, width) scaled per image and channel."""

    def __init__(self, planned: SqueezeExcitation) -> None:
        super().__init__()
        self.reduce = conv2d(planned.reduce)
        self.expand = conv2d(planned.expand)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` times a gate in (0, 1) of shape (batch, channels, 1, 1)."""
        pooled = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(torch.relu(self.reduce(pooled))))


class XBlock(nn.Module):
    """1x1, grouped 3x3 with the stride, 1x1; added to the shortcut; ReLU."""

    def __init__(self, block: BlockPlan) -> None:
        super().__init__()
        first, second, last = block.convolutions
        self.a = ConvNorm(first)
        self.b = ConvNorm(second)
        self.se = SE(block.se) if block.se else None
        self.c = ConvNorm(last)
        self.shortcut = ConvNorm(block.projection) if block.projection else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_width, height, width) to (batch, width, height / stride, width / stride)."""
        y = self.b(self.a(x))
        if self.se is not None:
            y = self.se(y)
        y = self.c(y)
        y += x if self.shortcut is None else self.shortcut(x)
        return torch.relu_(y)


class Head(nn.Module):
    """Global average pooling and one linear layer."""

    def __init__(self, layer: Convolution) -> None:
        super().__init__()
        self.linear = nn.Linear(layer.in_width, layer.out_width, bias=layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, width, height, width) to logits (batch, classes)."""
        return self.linear(x.mean((2, 3)))  # type: ignore[no-any-return]


class AnyNet(nn.Module):
    """A network built from its spec; input (batch, in_channels, height, width), output (batch, classes)."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        planned: NetworkPlan = plan(spec)
        self.stem = ConvNorm(planned.stem)
        self.stages = nn.Sequential(
            *(nn.Sequential(*(XBlock(block) for block in stage.blocks())) for stage in planned.stages)
        )
        self.head = Head(planned.head)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        return self.head(self.stages(self.stem(x)))  # type: ignore[no-any-return]


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
def initialise(module: nn.Module, seed: int) -> None:
    """Set all weights from one seed, in the order of the module's layers."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels
            layer.weight.normal_(0.0, math.sqrt(2.0 / fan_out), generator=generator)
        elif isinstance(layer, nn.Linear):
            layer.weight.normal_(0.0, 0.01, generator=generator)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def build(spec: NetworkSpec, *, seed: int = 0) -> AnyNet:
    """Return the network of a spec, initialised from `seed`."""
    with torch.device("meta"):  # one allocation, and no random numbers drawn twice
        network = AnyNet(spec)
    network = network.to_empty(device="cpu")
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
    initialise(network, seed)
    return network
