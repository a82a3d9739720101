"""What a person chooses about a network, and nothing that follows from it.

A spec is a frozen value: stem, stages, head. It is checked when made, so a spec that exists can be built.
`SpecArrays` holds the same choices for many networks at once, as columns; everything downstream takes either.
"""

import dataclasses
import itertools
import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace import values
from netspace.checks import instance, number, one_of, whole
from netspace.errors import SpecError
from netspace.networks.own_block import OwnBlock

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

RATIOS = (0.001, 1000.0)
"""The bounds of a bottleneck ratio; far beyond them widths are no numbers any more."""

REACH = 2048
"""How far from a wrong width the nearest valid one is looked for."""


def inner_width(width: Any, bottleneck_ratio: Any) -> Any:
    """Return width / bottleneck_ratio, rounded to the nearest integer; integers or arrays alike.

    >>> inner_width(64, 4.0), inner_width(16, 0.25)
    (16, 64)
    """
    return nearest_integers(np.asarray(width) / bottleneck_ratio)


def nearest_integers(numbers: Any) -> Any:
    """Return numbers rounded half-to-even: an int for one number, int64 for an array."""
    rounded = np.rint(numbers).astype(np.int64)
    return rounded if rounded.ndim else int(rounded)


GROUPED = ("x", "z")
"""The blocks with an inner width, groups and room for squeeze-and-excitation."""

BLOCKS = (*GROUPED, "basic", "mlp")
"""The blocks that netspace has; see `Frame`."""

OWN = "own"
"""The block that a user's file has; see `netspace.networks.own_block`."""

ACTIVATIONS = ("relu", "silu", "gelu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """The first convolution, then batch norm, activation and, where asked, a 3x3 max-pool of stride 2.

    Stride 2 halves each side (the paper's stem); stride 1 keeps small images whole. A *patchify* stem cuts the
    image into patches of `kernel_size` x `kernel_size` without padding: its stride is its kernel size, and as large
    as the image it feeds a multi-layer perceptron. ResNet's stem is `Stem(width=64, kernel_size=7, max_pool=True)`.
    """

    width: int = 32
    kernel_size: int = 3
    stride: int = 2
    max_pool: bool = False
    patchify: bool = False

    def __post_init__(self) -> None:
        whole(self, "width", SpecError)
        whole(self, "kernel_size", SpecError)
        whole(self, "stride", SpecError)
        if self.patchify:
            if self.stride != self.kernel_size:
                raise SpecError(
                    f"stride (={self.stride}) of a patchify stem must be its kernel_size (={self.kernel_size})"
                )
            return
        if self.kernel_size % 2 == 0:
            raise SpecError(
                f"kernel_size (={self.kernel_size}) must be odd, so that padding keeps the image centred; "
                f"nearest: {self.kernel_size - 1} or {self.kernel_size + 1}"
            )
        one_of(self, "stride", SpecError, (1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of the body: `depth` equal blocks, the first of which has the stride.

    `bottleneck_ratio` divides: inner width = width / bottleneck_ratio. `group_width` is the number of channels
    per group of the 3x3 convolution (None: one group, as in ResNet); the number of groups is derived.
    """

    depth: int
    width: int
    group_width: int | None = None
    bottleneck_ratio: float = 1.0
    stride: int = 2

    def __post_init__(self) -> None:
        for field in ("depth", "width", "stride"):
            whole(self, field, SpecError)
        one_of(self, "stride", SpecError, (1, 2))
        number(self, "bottleneck_ratio", SpecError, minimum=RATIOS[0], maximum=RATIOS[1])
        ratio = self.bottleneck_ratio
        inner = inner_width(self.width, ratio)
        if inner < 1 or inner * ratio != self.width:
            low, high = _neighbours(self.width, lambda w: _divides_exactly(w, ratio))
            raise SpecError(
                f"width (={self.width}) divided by bottleneck_ratio (={ratio:g}) must be a whole number; "
                f"nearest widths: {_either(low, high)}"
            )
        if self.group_width is None:
            return
        whole(self, "group_width", SpecError)
        group_width = self.group_width
        if inner % group_width:
            low, high = _neighbours(
                self.width, lambda w: _divides_exactly(w, ratio) and inner_width(w, ratio) % group_width == 0
            )
            raise SpecError(
                f"group_width (={self.group_width}) must divide the inner width (={inner}, that is width "
                f"{self.width} / bottleneck_ratio {ratio:g}); nearest widths: {_either(low, high)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a network has besides its stages: stem, head, and what holds for every block.

    `block` is one of
    - "x": 1x1, grouped 3x3 with the stride, 1x1 (AnyNetX, RegNetX, ResNeXt; ResNet without groups; RegNetY with SE);
    - "z": the same without an activation after the sum, and a shortcut only where the shape is unchanged (RegNetZ);
    - "basic": two 3x3 convolutions (ResNet-18, ResNet-56);
    - "mlp": one 1x1 convolution, which on a 1x1 image is a linear layer; a shortcut only where nothing changes;
    - "own": what the file of `own_block` builds, with nothing around it.
    `residual` False leaves out every shortcut: a basic block becomes the papers' vanilla block.

    `conv_bias` gives every convolution a bias, as in the chapter's code; the paper's networks have none.
    `se_ratio` adds squeeze-and-excitation whose reduced width is round(se_ratio x the block's input width).
    `head_width` adds a 1x1 convolution before pooling. `dropout` acts before the linear layer;
    `stochastic_depth` drops a block's residual branch, with a probability that rises linearly from 0 at the first
    block to this at the last. `zero_init_last` begins the last norm of every residual branch at 0.
    `norm_momentum` is the weight of the new batch in the running statistics.
    """

    stem: Stem = Stem()
    block: str = "x"
    activation: str = "relu"
    residual: bool = True
    num_classes: int = 1000
    in_channels: int = 3
    conv_bias: bool = False
    se_ratio: float | None = None
    head_width: int | None = None
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    zero_init_last: bool = False
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1
    own_block: OwnBlock | None = None

    def __post_init__(self) -> None:
        instance(self, "stem", SpecError, Stem)
        for flag in ("residual", "conv_bias", "zero_init_last"):
            instance(self, flag, SpecError, bool)
        one_of(self, "block", SpecError, (*BLOCKS, OWN))
        one_of(self, "activation", SpecError, ACTIVATIONS)
        whole(self, "num_classes", SpecError)
        whole(self, "in_channels", SpecError)
        if self.se_ratio is not None:
            number(self, "se_ratio", SpecError, above=True, maximum=1024)
            if self.block not in GROUPED:
                raise SpecError(
                    f"se_ratio (={self.se_ratio:g}) is for the blocks x and z; leave it out for {self.block!r}"
                )
        if self.head_width is not None:
            whole(self, "head_width", SpecError)
        number(self, "dropout", SpecError, maximum=0.95)
        number(self, "stochastic_depth", SpecError, maximum=0.95)
        number(self, "norm_eps", SpecError, above=True)
        number(self, "norm_momentum", SpecError, above=True, maximum=1.0)
        if self.stochastic_depth and not self.residual:
            raise SpecError(f"stochastic_depth (={self.stochastic_depth:g}) needs residual blocks; set it to 0")
        if self.zero_init_last and not self.residual:
            raise SpecError("zero_init_last (=True) needs residual blocks: without a shortcut nothing would pass")
        self._check_own_block()

    def _check_own_block(self) -> None:
        if self.block != OWN:
            if self.own_block is not None:
                raise SpecError(f"own_block must be left out for block {self.block!r}; it is for {OWN!r}")
            return
        if self.own_block is None:
            raise SpecError(f"own_block: missing; block {OWN!r} needs the file that has it")
        for name, neutral in (("residual", True), ("stochastic_depth", 0.0), ("zero_init_last", False)):
            if getattr(self, name) != neutral:
                raise SpecError(
                    f"{name} (={getattr(self, name)}) is for the blocks {', '.join(BLOCKS)}; leave it out, "
                    f"for an {OWN!r} block is wholly its file's"
                )

    def frame(self) -> dict[str, Any]:
        """Return the fields of the frame, as keyword arguments for another value that has one."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(Frame)}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec(Frame):
    """A network of stem, stages and head (global average pooling and one linear layer).

    Source: Radosavovic et al. 2020, arXiv 2003.13678, section 3 and figure 4.

    >>> spec = NetworkSpec(stages=(Stage(depth=1, width=32, group_width=16),), num_classes=10)
    >>> NetworkSpec.from_dict(spec.to_dict()) == spec
    True
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        Frame.__post_init__(self)
        stages: Any = self.stages
        if not isinstance(stages, list | tuple) or not stages:
            raise SpecError(f"stages (={stages!r}) must hold at least one stage, in a tuple")
        object.__setattr__(self, "stages", tuple(stages))
        for position, stage in enumerate(stages):
            if not isinstance(stage, Stage):
                raise SpecError(f"stages[{position}] (={stage!r}) must be a Stage")
            if self.block in (*GROUPED, OWN):
                continue
            for field, neutral in (("bottleneck_ratio", 1.0), ("group_width", None)):
                given = getattr(stage, field)
                if given != neutral:
                    raise SpecError(f"stages[{position}].{field} (={given:g}) must be left out for {self.block!r}")

    @property
    def digest(self) -> str:
        """The content digest: equal for equal networks, on every machine."""
        return values.digest(self)

    def found(self, folder: str | Path) -> "NetworkSpec":
        """Return the spec with the file of its own block, where it has one, looked for from `folder`, and read.

        Raises: OwnBlockError.
        """
        return self if self.own_block is None else dataclasses.replace(self, own_block=self.own_block.found(folder))

    @property
    def feature_widths(self) -> tuple[int, ...]:
        """The channels of each stage's output, as `features` of a built network returns them."""
        return tuple(stage.width for stage in self.stages)

    @property
    def feature_strides(self) -> tuple[int, ...]:
        """By how much the sides of each stage's output are smaller than the image's."""
        stem = self.stem.stride * (2 if self.stem.max_pool else 1)
        return tuple(itertools.accumulate((stage.stride for stage in self.stages), operator.mul, initial=stem))[1:]

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain data for JSON or TOML."""
        plain: dict[str, Any] = values.to_dict(self)
        return plain

    @classmethod
    def from_dict(cls, data: Any) -> "NetworkSpec":
        """Return the spec of plain data. Raises: SpecError, naming the path of the wrong field."""
        return values.from_dict(cls, data, error=SpecError)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageArrays:
    """One stage of n networks: each field but the stride is an array of shape (n,); no groups at all as None."""

    depth: IntArray
    width: IntArray
    group_width: IntArray | None
    bottleneck_ratio: FloatArray
    stride: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecArrays(Frame):
    """n networks with one frame and the same number of stages, as columns; stages are not checked.

    Shapes: arrays inside `stages` are (n,).
    """

    stages: tuple[StageArrays, ...]

    def __len__(self) -> int:
        return len(self.stages[0].depth)

    def table(self) -> FloatArray:
        """Return one row per network that tells networks of one frame apart; shape (n, columns)."""
        columns = [
            column
            for stage in self.stages
            for column in (stage.depth, stage.width, stage.bottleneck_ratio, stage.group_width)
            if column is not None
        ]
        return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)

    def take(self, rows: IntArray) -> "SpecArrays":
        """Return some of the networks."""
        stages = []
        for stage in self.stages:
            stages.append(
                dataclasses.replace(
                    stage,
                    depth=stage.depth[rows],
                    width=stage.width[rows],
                    group_width=None if stage.group_width is None else stage.group_width[rows],
                    bottleneck_ratio=stage.bottleneck_ratio[rows],
                )
            )
        return dataclasses.replace(self, stages=tuple(stages))

    def __getitem__(self, index: int) -> NetworkSpec:
        """Return network `index` as a checked spec."""
        return NetworkSpec(
            stages=tuple(
                Stage(
                    depth=int(stage.depth[index]),
                    width=int(stage.width[index]),
                    group_width=None if stage.group_width is None else int(stage.group_width[index]),
                    bottleneck_ratio=float(stage.bottleneck_ratio[index]),
                    stride=stage.stride,
                )
                for stage in self.stages
            ),
            **self.frame(),
        )


def check_spec(given: Any) -> None:
    """Check that something is a network's spec, and not its name. Raises: SpecError."""
    if not isinstance(given, NetworkSpec | SpecArrays):
        hint = f"; a name goes through netspace.network({given!r})" if isinstance(given, str) else ""
        raise SpecError(f"spec (={given!r}) must be a NetworkSpec{hint}")


def _divides_exactly(width: int, ratio: float) -> bool:
    inner: int = inner_width(width, ratio)
    return inner >= 1 and inner * ratio == width


def _neighbours(width: int, valid: Any) -> tuple[int | None, int | None]:
    """Return the nearest valid widths below and above, or None where there is none within reach."""
    low = next((w for w in range(width - 1, max(width - REACH, 0), -1) if valid(w)), None)
    high = next((w for w in range(width + 1, width + REACH) if valid(w)), None)
    return low, high


def _either(low: int | None, high: int | None) -> str:
    return " or ".join(str(w) for w in (low, high) if w is not None) or "none nearby"
