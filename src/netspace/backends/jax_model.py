"""A network plan as a Flax NNX module: convolutions, norms and activations, block by block; no number is derived.

Images are (batch, height, width, channels). Modules are named as in `netspace.networks.tensors`, and their variables as
in Flax: `kernel`, `scale`, `mean`, `var`. Flax's defaults are not ours, so padding, epsilon, momentum and the exact
GELU are said at each layer.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from flax import nnx
from jax import Array

from netspace.backends import jax_grouped
from netspace.backends.checkpoints import Arrays
from netspace.errors import InputError
from netspace.networks.plan import BlockPlan, Convolution, SqueezeExcitation, drop_rates, plan
from netspace.networks.spec import Frame, NetworkSpec
from netspace.training.epochs import check_images

ACTIVATIONS = {"relu": nnx.relu, "silu": nnx.silu, "gelu": partial(nnx.gelu, approximate=False)}


class ConvNorm(nnx.Module):
    """Convolution, and batch norm and activation where the plan says so."""

    def __init__(self, layer: Convolution, frame: Frame, *, dtype: Any, rngs: nnx.Rngs) -> None:
        self.conv = conv2d(layer, dtype=dtype, rngs=rngs)
        self.norm = norm(layer, frame, rngs=rngs) if layer.norm else None
        self.activation = ACTIVATIONS[frame.activation] if layer.activation else None

    def __call__(self, x: Array) -> Array:
        """Map (batch, height, width, in_width) to (batch, height / stride, width / stride, out_width)."""
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x).astype(x.dtype)  # a norm computes in float32, and gives back what it got
        return x if self.activation is None else self.activation(x)


class SE(nnx.Module):
    """Squeeze-and-excitation: (batch, height, width, channels) scaled per image and channel."""

    def __init__(self, planned: SqueezeExcitation, frame: Frame, *, dtype: Any, rngs: nnx.Rngs) -> None:
        self.reduce = conv2d(planned.reduce, dtype=dtype, rngs=rngs)
        self.activation = ACTIVATIONS[frame.activation]
        self.expand = conv2d(planned.expand, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Return `x` times a gate in (0, 1) of shape (batch, 1, 1, channels)."""
        pooled = x.mean((1, 2), keepdims=True)
        return x * nnx.sigmoid(self.expand(self.activation(self.reduce(pooled))))


class Branch(nnx.Module):
    """The convolutions a, b and c of a block, with SE before the last one where the plan has it."""

    def __init__(self, block: BlockPlan, frame: Frame, *, dtype: Any, rngs: nnx.Rngs) -> None:
        self.order: tuple[str, ...] = ()
        for name, layer in zip("abc", block.convolutions, strict=False):
            if layer is block.convolutions[-1] and block.se:
                self.se = SE(block.se, frame, dtype=dtype, rngs=rngs)
                self.order += ("se",)
            setattr(self, name, ConvNorm(layer, frame, dtype=dtype, rngs=rngs))
            self.order += (name,)

    def __call__(self, x: Array) -> Array:
        """Apply them in their order."""
        for name in self.order:
            x = getattr(self, name)(x)
        return x


class Block(nnx.Module):
    """A residual branch of convolutions, added to its shortcut where it has one."""

    def __init__(self, block: BlockPlan, frame: Frame, drop_rate: float, *, dtype: Any, rngs: nnx.Rngs) -> None:
        self.branch = Branch(block, frame, dtype=dtype, rngs=rngs)
        # One number per image; without a shortcut, nothing would be left.
        drops = drop_rate > 0 and block.shortcut
        self.drop = nnx.Dropout(drop_rate, broadcast_dims=(1, 2, 3), rngs=rngs) if drops else None
        self.projection = ConvNorm(block.projection, frame, dtype=dtype, rngs=rngs) if block.projection else None
        self.has_shortcut = block.shortcut
        self.activation = ACTIVATIONS[frame.activation] if block.activation else None

    def __call__(self, x: Array) -> Array:
        """Map (batch, height, width, in_width) to (batch, height / stride, width / stride, width)."""
        y = self.branch(x)
        if self.drop is not None:
            y = self.drop(y)
        if self.has_shortcut:
            y = y + (x if self.projection is None else self.projection(x))
        return y if self.activation is None else self.activation(y)


class Stem(ConvNorm):
    """The first convolution, then a 3x3 max-pool of stride 2 where the plan has one."""

    def __init__(self, layer: Convolution, max_pool: bool, frame: Frame, *, dtype: Any, rngs: nnx.Rngs) -> None:
        super().__init__(layer, frame, dtype=dtype, rngs=rngs)
        self.max_pool = max_pool

    def __call__(self, x: Array) -> Array:
        """Map images to (batch, height, width, width of the stem)."""
        x = super().__call__(x)
        return nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1))) if self.max_pool else x


class Head(nnx.Module):
    """A 1x1 convolution where the plan has one, global average pooling, dropout and one linear layer."""

    def __init__(
        self, convolution: Convolution | None, classifier: Convolution, frame: Frame, *, dtype: Any, rngs: nnx.Rngs
    ) -> None:
        self.convolution = ConvNorm(convolution, frame, dtype=dtype, rngs=rngs) if convolution else None
        self.dropout = nnx.Dropout(frame.dropout, rngs=rngs) if frame.dropout else None
        self.linear = nnx.Linear(
            classifier.in_width, classifier.out_width, use_bias=classifier.bias, dtype=dtype, rngs=rngs
        )

    def __call__(self, x: Array) -> Array:
        """Map (batch, height, width, width) to logits (batch, classes)."""
        if self.convolution is not None:
            x = self.convolution(x)
        x = x.mean((1, 2))
        if self.dropout is not None:
            x = self.dropout(x)
        return self.linear(x)


class AnyNet(nnx.Module):
    """A network built from its spec; input (batch, height, width, in_channels), output (batch, classes).

    `dtype` is the type in which convolutions and linear layers compute; None means that of the weights. `rngs` draw the
    first weights as Flax does, and then what is dropped; `netspace.build` sets the weights that netspace begins from.
    """

    def __init__(self, spec: NetworkSpec, *, dtype: Any = None, rngs: nnx.Rngs) -> None:
        self.spec = spec
        planned = plan(spec)
        rates = iter(drop_rates(spec))
        self.stem = Stem(planned.stem, planned.max_pool, spec, dtype=dtype, rngs=rngs)
        self.stages = nnx.List(
            nnx.List(
                Block(block, spec, next(rates), dtype=dtype, rngs=rngs)
                for block in stage.blocks()
                if isinstance(block, BlockPlan)
            )
            for stage in planned.stages
        )
        self.head = Head(planned.head, planned.classifier, spec, dtype=dtype, rngs=rngs)

    def features(self, x: Array) -> tuple[Array, ...]:
        """Return the output of every stage, for heads of detection and segmentation. Raises: InputError."""
        check_images(self.spec, x)
        check_precision(self)
        x = self.stem(x)
        outputs = []
        for stage in self.stages:
            for block in stage:
                x = block(x)
            outputs.append(x)
        return tuple(outputs)

    def __call__(self, x: Array) -> Array:
        """Return logits (batch, classes). Raises: InputError for images of another layout."""
        return self.head(self.features(x)[-1])


def norm(layer: Convolution, frame: Frame, *, rngs: nnx.Rngs) -> nnx.BatchNorm:
    """Return the batch norm of a plan."""
    return nnx.BatchNorm(
        layer.out_width,
        epsilon=frame.norm_eps,
        momentum=1.0 - frame.norm_momentum,  # Flax's is the weight of the old statistics
        use_fast_variance=False,  # whose rounding grows with the mean
        rngs=rngs,
    )


def conv2d(layer: Convolution, *, dtype: Any, rngs: nnx.Rngs) -> nnx.Conv:
    """Return the convolution of a plan, padded on both sides alike: 'SAME' would not be, where the stride is 2."""
    sides = ((layer.padding, layer.padding),) * 2
    return nnx.Conv(
        layer.in_width,
        layer.out_width,
        (layer.kernel_size, layer.kernel_size),
        strides=layer.stride,
        padding=sides,
        feature_group_count=layer.num_groups,
        use_bias=layer.bias,
        conv_general_dilated=jax_grouped.convolution,
        dtype=dtype,
        rngs=rngs,
    )


WEIGHTS = nnx.Any(nnx.Param, nnx.BatchStat)
"""What of a network's state its file holds; the rest are streams of random numbers."""

NAMES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
"""The neutral name of each of Flax's variables."""


def abstract(spec: NetworkSpec, *, dtype: Any = None) -> AnyNet:
    """Return a network without memory: shapes and types stand where its numbers would."""
    made: AnyNet = nnx.eval_shape(lambda: AnyNet(spec, dtype=dtype, rngs=nnx.Rngs(0)))
    return made


def fresh_streams(network: AnyNet, seed: int) -> nnx.State:
    """Return the network's streams of random numbers at their beginning; a seed of 64 bits is used whole."""
    key = jax.random.wrap_key_data(np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32), impl="threefry2x32")
    begun = []
    for i, (path, variable) in enumerate(nnx.to_flat_state(nnx.state(network, nnx.RngState))):
        first = jax.random.fold_in(key, i) if isinstance(variable, nnx.RngKey) else jnp.zeros((), jnp.uint32)
        begun.append((path, variable.replace(first)))
    return nnx.from_flat_state(begun)


def arrays(network: AnyNet) -> Arrays:
    """Return a network's tensors as `netspace.networks.tensors` names them and lays them out.

    They are copies, here and in `assign`: training uses the memory of a network's numbers again.
    """
    return {
        _name(path): _turned(np.array(variable.get_value()), (3, 2, 0, 1))
        for path, variable in nnx.to_flat_state(nnx.state(network, WEIGHTS))
    }


def assign(network: AnyNet, given: Mapping[str, npt.NDArray[Any]]) -> None:
    """Set all weights and running statistics of a network, float64 too."""
    with precision_of(given["stem.conv.weight"].dtype):
        weights = [
            (path, variable.replace(jnp.array(_turned(given[_name(path)], (2, 3, 1, 0)))))
            for path, variable in nnx.to_flat_state(nnx.state(network, WEIGHTS))
        ]
    nnx.update(network, nnx.from_flat_state(weights))


def _name(path: tuple[Any, ...]) -> str:
    *parents, variable = (str(part) for part in path)
    return ".".join([*parents, NAMES[variable]])


def _turned(array: npt.NDArray[Any], axes: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return a kernel between the layouts (out, in, k, k) and (k, k, in, out), or (out, in) and (in, out)."""
    return array.transpose(axes) if array.ndim == 4 else array.T


def precision_of(dtype: Any) -> AbstractContextManager[None]:
    """Return the context in which JAX keeps numbers of this type: float64 would be cut to float32 outside of it."""
    return jax.enable_x64(True) if np.dtype(dtype) == np.float64 else nullcontext()


def check_precision(network: AnyNet) -> None:
    """Check that JAX keeps the network's type of numbers. Raises: InputError."""
    if network.head.linear.kernel.dtype == np.float64 and not jax.config.jax_enable_x64:
        raise InputError(
            "network (of float64) would be computed in float32; call it inside `with jax.enable_x64(True):`, or start "
            "Python with JAX_ENABLE_X64=1"
        )
