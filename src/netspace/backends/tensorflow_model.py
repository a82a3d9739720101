"""A network plan as one Keras module, channels last, for whichever of its backends Keras runs on; no number is derived.

Nothing is left to defaults that are not the plan's: padding is explicit (at stride 2, Keras's "same" pads other edges),
norms get epsilon and momentum, GELU is exact. A variable's path has its neutral name, "stages.0.1.branch.a.conv.weight"
as "anynet/stages_0/1/branch/a/conv/kernel".
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace.backends.checkpoints import Arrays
from netspace.backends.tensorflow_import import keras, layers, ops
from netspace.networks.plan import BlockPlan, Convolution, NetworkPlan, SqueezeExcitation, StagePlan, drop_rates, plan
from netspace.networks.spec import Frame, NetworkSpec
from netspace.training.epochs import check_images

ACTIVATIONS = {"relu": ops.relu, "silu": ops.silu, "gelu": partial(ops.gelu, approximate=False)}

NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""What Keras calls a layer's variables, and what a weights file does; a convolution's bias is one to both."""

TO_KERAS = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
FROM_KERAS = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}
"""The order of axes by their number: (out, in / groups, k, k) is (k, k, in / groups, out) in Keras."""


class GroupedConv2D(layers.Conv2D):
    """A convolution of several groups, native where that is fast; elsewhere group by group, with the same kernel.

    On a CPU, TensorFlow and JAX have no native gradient but XLA's, which takes 25 to 220 times as long as those of the
    groups one by one, unless every channel is a group; `benchmarks/grouped_keras.py` prints the times.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Return (batch, height, width, filters) of inputs and a kernel (k, k, in / groups, filters)."""
        if keras.config.backend() == "torch" or accelerated():
            return super().convolution_op(inputs, kernel)
        if kernel.shape[2] == 1 and kernel.shape[3] == self.groups:
            each = ops.transpose(kernel, (0, 1, 3, 2))
            return ops.depthwise_conv(inputs, each, self.strides, data_format=self.data_format)
        parts = zip(ops.split(inputs, self.groups, axis=-1), ops.split(kernel, self.groups, axis=-1), strict=True)
        return ops.concatenate([super(GroupedConv2D, self).convolution_op(*part) for part in parts], axis=-1)


def accelerated() -> bool:
    """Whether TensorFlow or JAX computes on anything but a CPU."""
    return any(not device.startswith("cpu") for device in keras.distribution.list_devices())


class ConvNorm(layers.Layer):
    """Convolution, and batch norm and activation where the plan says so."""

    def __init__(self, layer: Convolution, frame: Frame, **options: Any) -> None:
        super().__init__(**options)
        dtype = self.dtype_policy
        self.pad = None
        if layer.padding:
            self.pad = layers.ZeroPadding2D(layer.padding, data_format="channels_last", dtype=dtype)
        with keras.name_scope(self.name):
            self.conv = conv2d(layer, name="conv", dtype=dtype)
            self.norm = norm(layer.out_width, frame, name="norm", dtype=dtype) if layer.norm else None
        self.activation = ACTIVATIONS[frame.activation] if layer.activation else None

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Map (batch, height, width, in_width) to (batch, height / stride, width / stride, out_width)."""
        x = self.conv(x if self.pad is None else self.pad(x))
        x = x if self.norm is None else self.norm(x, training=training)
        return x if self.activation is None else self.activation(x)


class Stem(ConvNorm):
    """The first convolution, and a 3x3 max-pool of stride 2 where the plan has one."""

    def __init__(self, planned: NetworkPlan, frame: Frame, **options: Any) -> None:
        super().__init__(planned.stem, frame, **options)
        self.pool = None
        if planned.max_pool:
            self.pool = layers.MaxPooling2D(3, 2, padding="valid", data_format="channels_last", dtype=self.dtype_policy)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Map images (batch, height, width, in_channels) to (batch, height / strides, width / strides, width)."""
        x = super().call(x, training=training)
        if self.pool is None:
            return x
        # SiLU and GELU are negative in places, where zeros around the image would win.
        return self.pool(ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf))


class SE(layers.Layer):
    """Squeeze-and-excitation: (batch, height, width, channels) scaled per image and channel."""

    def __init__(self, planned: SqueezeExcitation, frame: Frame, **options: Any) -> None:
        super().__init__(**options)
        dtype = self.dtype_policy
        self.pool = layers.GlobalAveragePooling2D("channels_last", keepdims=True, dtype=dtype)
        with keras.name_scope(self.name):
            self.reduce = conv2d(planned.reduce, name="reduce", dtype=dtype)
            self.expand = conv2d(planned.expand, name="expand", dtype=dtype)
        self.activation = ACTIVATIONS[frame.activation]

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return `x` times a gate in (0, 1) of shape (batch, 1, 1, channels)."""
        return x * ops.sigmoid(self.expand(self.activation(self.reduce(self.pool(x)))))


class Block(layers.Layer):
    """A residual branch of convolutions, added to its shortcut where it has one."""

    def __init__(self, block: BlockPlan, frame: Frame, drop_rate: float, **options: Any) -> None:
        super().__init__(**options)
        dtype = self.dtype_policy
        self.branch: list[layers.Layer] = []
        self.projection = None
        with keras.name_scope(self.name):
            with keras.name_scope("branch"):
                for name, layer in zip("abc", block.convolutions, strict=False):
                    if layer is block.convolutions[-1] and block.se:
                        self.branch.append(SE(block.se, frame, name="se", dtype=dtype))
                    self.branch.append(ConvNorm(layer, frame, name=name, dtype=dtype))
            if block.projection:
                self.projection = ConvNorm(block.projection, frame, name="projection", dtype=dtype)
        self.has_shortcut = block.shortcut
        # One number per image: its whole branch is dropped, or kept and divided by the share that is kept.
        self.drop = layers.Dropout(drop_rate if block.shortcut else 0.0, noise_shape=(None, 1, 1, 1), dtype=dtype)
        self.activation = ACTIVATIONS[frame.activation] if block.activation else None

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Map (batch, height, width, in_width) to (batch, height / stride, width / stride, width)."""
        y = x
        for layer in self.branch:
            y = layer(y, training=training)
        if self.has_shortcut:
            shortcut = x if self.projection is None else self.projection(x, training=training)
            y = self.drop(y, training=training) + shortcut
        return y if self.activation is None else self.activation(y)


class Stage(layers.Layer):
    """Blocks in a row."""

    def __init__(self, planned: StagePlan, frame: Frame, drop_rates: Iterator[float], **options: Any) -> None:
        super().__init__(**options)
        self.blocks = []
        with keras.name_scope(self.name):
            for j, block in enumerate(planned.blocks()):
                assert isinstance(block, BlockPlan), "a backend refuses blocks of a user's own before"
                self.blocks.append(Block(block, frame, next(drop_rates), name=str(j), dtype=self.dtype_policy))

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Map (batch, height, width, in_width) to (batch, height / stride, width / stride, width)."""
        for block in self.blocks:
            x = block(x, training=training)
        return x


class Head(layers.Layer):
    """A 1x1 convolution where the plan has one, global average pooling, dropout and one linear layer."""

    def __init__(self, planned: NetworkPlan, frame: Frame, **options: Any) -> None:
        super().__init__(**options)
        dtype = self.dtype_policy
        self.convolution = None
        with keras.name_scope(self.name):
            if planned.head:
                self.convolution = ConvNorm(planned.head, frame, name="convolution", dtype=dtype)
            self.linear = linear(planned.classifier, name="linear", dtype=dtype)
        self.pool = layers.GlobalAveragePooling2D("channels_last", dtype=dtype)
        self.dropout = layers.Dropout(frame.dropout, dtype=dtype)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Map (batch, height, width, width) to logits (batch, classes)."""
        x = x if self.convolution is None else self.convolution(x, training=training)
        return self.linear(self.dropout(self.pool(x), training=training))


@keras.saving.register_keras_serializable(package="netspace")
class AnyNet(keras.Model):
    """A network built from its spec; input (batch, height, width, in_channels), output (batch, classes).

    Its weights are there at once, for images of any size; its kernels are zeros until `assign` or Keras's own loading
    sets them, as `netspace.build` and `netspace.load` do. `dtype` is a dtype policy of Keras's, such as "float64" or
    "mixed_bfloat16".
    """

    def __init__(self, spec: NetworkSpec, *, dtype: Any = "float32", name: str = "anynet") -> None:
        super().__init__(dtype=dtype, name=name)
        self.spec = spec
        planned, rates = plan(spec), iter(drop_rates(spec))
        dtype = self.dtype_policy
        with keras.name_scope(self.name):
            self.stem = Stem(planned, spec, name="stem", dtype=dtype)
            self.stages = [
                Stage(stage, spec, rates, name=f"stages_{i}", dtype=dtype) for i, stage in enumerate(planned.stages)
            ]
            self.head = Head(planned, spec, name="head", dtype=dtype)
        self.built = True

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """Return logits (batch, classes). Raises: InputError for images of another layout."""
        check_images(self.spec, x)
        return super().__call__(x, training=training)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return logits (batch, classes)."""
        return self.head(self.features(x, training=training)[-1], training=training)

    def features(self, x: Any, training: bool | None = None) -> tuple[Any, ...]:
        """Return the output of every stage, for heads of detection and segmentation."""
        check_images(self.spec, x)
        outputs = [self.stem(x, training=training)]
        for stage in self.stages:
            outputs.append(stage(outputs[-1], training=training))
        return tuple(outputs[1:])

    def get_config(self) -> dict[str, Any]:
        """Return what Keras's own `save` writes beside the weights."""
        return {"spec": self.spec.to_dict(), "dtype": keras.saving.serialize_keras_object(self.dtype_policy)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "AnyNet":
        """Return the network of a configuration, as Keras's own `load_model` does."""
        policy = keras.saving.deserialize_keras_object(config["dtype"])
        return cls(NetworkSpec.from_dict(config["spec"]), dtype=policy)


def conv2d(layer: Convolution, **options: Any) -> layers.Conv2D:
    """Return the convolution of a plan, without its padding, its weights made."""
    kind = layers.Conv2D if layer.num_groups == 1 else GroupedConv2D
    made = kind(
        layer.out_width,
        layer.kernel_size,
        strides=layer.stride,
        padding="valid",
        data_format="channels_last",
        groups=layer.num_groups,
        use_bias=layer.bias,
        kernel_initializer="zeros",
        **options,
    )
    made.build((None, None, None, layer.in_width))
    return made


def norm(width: int, frame: Frame, **options: Any) -> layers.BatchNormalization:
    """Return the batch norm of a network, its weights made."""
    # Keras's momentum is the share of the old statistics that stays.
    made = layers.BatchNormalization(epsilon=frame.norm_eps, momentum=1.0 - frame.norm_momentum, **options)
    made.build((None, None, None, width))
    return made


def linear(layer: Convolution, **options: Any) -> layers.Dense:
    """Return the linear layer of a plan, its weights made."""
    made = layers.Dense(layer.out_width, use_bias=layer.bias, kernel_initializer="zeros", **options)
    made.build((None, layer.in_width))
    return made


def variables(network: AnyNet) -> dict[str, keras.Variable]:
    """Return a network's weights and running statistics by their neutral names."""
    found = {}
    for variable in network.weights:
        path = variable.path.partition(f"{network.name}/")[2].replace("stages_", "stages/")
        *place, name = path.split("/")
        found[".".join((*place, NAMES.get(name, name)))] = variable
    return found


def assign(network: AnyNet, given: Mapping[str, npt.NDArray[Any]]) -> None:
    """Set all weights and running statistics of a network to arrays of the neutral names and layouts."""
    for name, variable in variables(network).items():
        variable.assign(given[name].transpose(TO_KERAS[given[name].ndim]))


def arrays(network: AnyNet) -> Arrays:
    """Return a network's tensors as `netspace.networks.tensors` names them and lays them out."""
    found = {name: np.asarray(variable) for name, variable in variables(network).items()}
    return {name: array.transpose(FROM_KERAS[array.ndim]).copy() for name, array in found.items()}
