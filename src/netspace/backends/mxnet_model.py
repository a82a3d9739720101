"""A network plan as a Gluon block of MXNet 1.9.1 (legacy): hybridizable, exportable, channels first.

Its structural names are those of `netspace.networks.tensors`, but for Gluon's gamma and beta of a norm. It works with
arrays of `mx.nd`, and of `mx.np` after `npx.set_np()`. Whether a block trains is for autograd to say: it has no modes.
"""

import math
from typing import Any

import numpy.typing as npt

from netspace.backends.mxnet_import import import_mxnet
from netspace.networks.plan import BlockPlan, Convolution, OwnBlockPlan, SqueezeExcitation, drop_rates, plan
from netspace.networks.spec import Frame, NetworkSpec
from netspace.training.epochs import channels_first

mx = import_mxnet()
nn = mx.gluon.nn
HybridBlock: Any = nn.HybridBlock
HybridSequential: Any = nn.HybridSequential


class GELU(HybridBlock):  # type: ignore[misc]
    """x times the normal distribution's share below x; Gluon's own computes it in single precision for all numbers."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Return the activation of every number."""
        erf = F.npx.erf if mx.util.is_np_array() else F.erf
        return 0.5 * x * (1.0 + erf(math.sqrt(0.5) * x))


ACTIVATIONS = {"relu": lambda: nn.Activation("relu"), "silu": nn.Swish, "gelu": GELU}


class ConvNorm(HybridSequential):  # type: ignore[misc]
    """Convolution, and batch norm and activation where the plan says so."""

    def __init__(self, layer: Convolution, frame: Frame) -> None:
        super().__init__()
        self.conv = conv2d(layer)
        if layer.norm:
            # Gluon's momentum is the weight of the old statistics.
            self.norm = nn.BatchNorm(
                epsilon=frame.norm_eps, momentum=1.0 - frame.norm_momentum, in_channels=layer.out_width
            )
        if layer.activation:
            self.activation = ACTIVATIONS[frame.activation]()


class SE(HybridBlock):  # type: ignore[misc]
    """Squeeze-and-excitation: (batch, channels, height, width) scaled per image and channel."""

    def __init__(self, planned: SqueezeExcitation, frame: Frame) -> None:
        super().__init__()
        self.pool = nn.GlobalAvgPool2D()
        self.reduce = conv2d(planned.reduce)
        self.activation = ACTIVATIONS[frame.activation]()
        self.expand = conv2d(planned.expand)
        self.gate = nn.Activation("sigmoid")

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Return `x` times a gate in (0, 1) of shape (batch, channels, 1, 1)."""
        gate = self.gate(self.expand(self.activation(self.reduce(self.pool(x)))))
        return x * gate if mx.util.is_np_array() else F.broadcast_mul(x, gate)


class Block(HybridBlock):  # type: ignore[misc]
    """A residual branch of convolutions, added to its shortcut where it has one."""

    def __init__(self, block: BlockPlan, frame: Frame, drop_rate: float) -> None:
        super().__init__()
        self.branch = HybridSequential()
        for name, layer in zip("abc", block.convolutions, strict=False):
            if layer is block.convolutions[-1] and block.se:
                self.branch.se = SE(block.se, frame)
            setattr(self.branch, name, ConvNorm(layer, frame))
        if drop_rate and block.shortcut:  # without one, nothing would be left
            self.branch.drop = nn.Dropout(drop_rate, axes=(1, 2, 3))  # one draw per image
        self.has_shortcut = block.shortcut
        self.projection = ConvNorm(block.projection, frame) if block.projection else None
        self.activation = ACTIVATIONS[frame.activation]() if block.activation else None

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Map (batch, in_width, height, width) to (batch, width, height / stride, width / stride)."""
        y = self.branch(x)
        if self.has_shortcut:
            y = y + (x if self.projection is None else self.projection(x))
        return y if self.activation is None else self.activation(y)


class Head(HybridSequential):  # type: ignore[misc]
    """A 1x1 convolution where the plan has one, global average pooling, dropout and one dense layer."""

    def __init__(self, convolution: Convolution | None, classifier: Convolution, frame: Frame) -> None:
        super().__init__()
        if convolution:
            self.convolution = ConvNorm(convolution, frame)
        self.pool = nn.GlobalAvgPool2D()
        if frame.dropout:
            self.dropout = nn.Dropout(frame.dropout)
        self.linear = nn.Dense(classifier.out_width, use_bias=classifier.bias, in_units=classifier.in_width)


class AnyNet(HybridBlock):  # type: ignore[misc]
    """A network built from its spec; input (batch, in_channels, height, width), output (batch, classes)."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        planned = plan(spec)
        self.stem = ConvNorm(planned.stem, spec)
        if planned.max_pool:
            self.stem.pool = nn.MaxPool2D(3, strides=2, padding=1)
        rates = iter(drop_rates(spec))
        self.stages = HybridSequential()
        for stage in planned.stages:
            blocks = HybridSequential()
            for block in stage.blocks():
                assert not isinstance(block, OwnBlockPlan), "own blocks are refused before"
                blocks.add(Block(block, spec, next(rates)))
            self.stages.add(blocks)
        self.head = Head(planned.head, planned.classifier, spec)

    def features(self, x: Any) -> tuple[Any, ...]:
        """Return the output of every stage, for heads of detection and segmentation. Raises: InputError."""
        self._check_layout(x)
        outputs = [self.stem(x)]
        for stage in self.stages:
            outputs.append(stage(outputs[-1]))
        return tuple(outputs[1:])

    def forward(self, x: Any, *others: Any) -> Any:
        """Check the layout, and run the block as Gluon does. Raises: InputError."""
        self._check_layout(x)
        return super().forward(x, *others)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Return logits (batch, classes)."""
        return self.head(self.stages(self.stem(x)))

    def _check_layout(self, x: Any) -> None:
        if isinstance(x, mx.nd.NDArray) and (x.ndim != 4 or x.shape[1] != self.spec.in_channels):
            raise channels_first(self.spec, x.shape)


def conv2d(layer: Convolution) -> Any:
    """Return the convolution of a plan."""
    return nn.Conv2D(
        layer.out_width,
        layer.kernel_size,
        strides=layer.stride,
        padding=layer.padding,
        groups=layer.num_groups,
        use_bias=layer.bias,
        in_channels=layer.in_width,
    )


def parameters(network: AnyNet) -> dict[str, Any]:
    """Return Gluon's parameters, running statistics too, by the names of `netspace.networks.tensors`."""
    named = network._collect_params_with_prefix()
    return {name.replace(".gamma", ".weight").replace(".beta", ".bias"): found for name, found in named.items()}


def array(given: npt.NDArray[Any]) -> Any:
    """Return an array of MXNet, of the kind that blocks take now: `mx.np` after `npx.set_np()`, else `mx.nd`."""
    made = mx.np.empty if mx.util.is_np_array() else mx.nd.empty
    filled = made(given.shape, dtype=given.dtype)  # mx.nd.array asks SciPy for a name that it deprecates
    filled[:] = given
    return filled
