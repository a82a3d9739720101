"""The design spaces of the papers and of the chapter, as data: each one refines, reverses or varies another.

Sources: Radosavovic et al. 2020, arXiv 2003.13678, section 3 and table 1; Dollar et al. 2021, arXiv 2103.06877
(RegNetZ); *Dive into Deep Learning*, section 8.8, its text and its exercises. The chapter's numbers of free
parameters include the stem width, ours do not.
"""

import math
from dataclasses import replace

from netspace.errors import SpaceError, did_you_mean
from netspace.networks.complexity import check_resolution
from netspace.networks.spec import Stem
from netspace.spaces.laws import Choice, LogUniform, PowersOfTwo, Uniform
from netspace.spaces.parameters import Parameter
from netspace.spaces.space import DesignSpace
from netspace.spaces.union import Space, SpaceUnion

_PAPER = "Radosavovic et al. 2020, arXiv 2003.13678"
_CHAPTER = "Dive into Deep Learning, section 8.8"

_DEPTH = Parameter(name="depth", law=LogUniform(low=1, high=16))
_WIDTH = Parameter(name="width", law=LogUniform(low=8, high=1024, step=8))
_RATIO = Parameter(name="bottleneck_ratio", law=Choice(options=(1.0, 2.0, 4.0)))
_GROUP = Parameter(name="group_width", law=PowersOfTwo(low=1, high=32))
_RULE = (
    Parameter(name="total_depth", law=Uniform(low=1, high=63)),
    Parameter(name="initial_width", law=LogUniform(low=8, high=248, step=8)),
    Parameter(name="width_slope", law=LogUniform(low=0.1, high=255.9, step=0.1)),
    Parameter(name="width_multiplier", law=LogUniform(low=1.5, high=3.0, step=0.001)),
)

MADE_FOR = 224
"""The side of the images that the papers' spaces were made for [pixels]."""


def _catalogue() -> dict[str, Space]:
    a = DesignSpace(name="anynetx_a", parameters=(_DEPTH, _WIDTH, _RATIO, _GROUP), source=f"{_PAPER}, section 3.2")
    b = replace(a.share("bottleneck_ratio"), name="anynetx_b")
    c = replace(b.share("group_width"), name="anynetx_c")
    d = replace(c.increasing("width"), name="anynetx_d")
    e = replace(d.increasing("depth"), name="anynetx_e")
    x = DesignSpace(name="regnetx", parameters=(*_RULE, _RATIO, _GROUP), source=f"{_PAPER}, section 3.3")
    x = x.share("bottleneck_ratio").share("group_width")
    y = replace(x, name="regnety", se_ratio=0.25, source=f"{_PAPER}, section 4 (RegNetY)")
    constrained = replace(
        x.narrow(bottleneck_ratio=1, total_depth=(12, 28), width_multiplier=(2, 3)),
        name="regnetx_constrained",
        source=f"{_PAPER}, section 4 (b = 1, 12 <= d <= 28, w_m >= 2)",
    )
    z = DesignSpace(
        name="regnetz",
        block="z",
        activation="silu",
        se_ratio=0.25,
        parameters=(*_RULE, Parameter(name="bottleneck_ratio", law=Choice(options=(0.25,))), _GROUP),
        source="Dollar et al. 2021, arXiv 2103.06877 (RegNetZ; the ranges are those of RegNetX)",
    ).share("group_width")
    resnet = DesignSpace(
        name="anynet_resnet",
        parameters=(_DEPTH, _WIDTH, _RATIO),
        source=f"{_CHAPTER}, exercise 2 (the block without groups)",
    )
    violations = [
        replace(e.reverse(name), name=f"vionet_{name}", source=f"{_CHAPTER}, exercise 3: {principle} reversed")
        for name, principle in (
            ("bottleneck_ratio", "a shared bottleneck ratio"),
            ("group_width", "a shared group width"),
            ("width", "widths that never fall"),
            ("depth", "depths that never fall"),
        )
    ]
    spaces: list[Space] = [a, b, c, d, e, x, y, constrained, z, resnet, *violations, _mlp(MADE_FOR)]
    return {space.name: space for space in spaces}


def _mlp(side: int) -> SpaceUnion:
    """Return the space of multi-layer perceptrons on images of a side [pixels]: the first layer sees all of it."""
    frames = [(act, residual) for act in ("relu", "gelu", "silu") for residual in (False, True)]
    members = [
        DesignSpace(
            name=f"mlp_{activation}{'_residual' if residual else ''}",
            block="mlp",
            activation=activation,
            residual=residual,
            stem=Stem(width=64, kernel_size=side, stride=side, patchify=True),
            stride=1,
            num_stages=3,
            parameters=(
                Parameter(name="depth", law=Uniform(low=1, high=4)),
                Parameter(name="width", law=LogUniform(low=16, high=512, step=16)),
            ),
        )
        for activation, residual in frames
    ]
    return SpaceUnion(name="mlp", members=tuple(members), source=f"{_CHAPTER}, exercise 4")


SPACES = tuple(_catalogue())
"""The names of the catalogue, in order."""


def space(name: str, *, num_stages: int | None = None, image_side: int | None = None) -> Space:
    """Return the design space of that name; for another number of stages, or for small images.

    `image_side` [pixels] scales a space by one rule. With k = round(log2(224 / image_side)): the stem's stride
    becomes 1, which gives one halving of the sides back, and each of the other k - 1 halves the upper end of
    everything that is a width (of stem, stages, groups; w_0 and w_a of the RegNet rule). So a network of the scaled
    space has about 1/16 of the flops for each of these. The MLP space takes the image as its first patch.
    Raises: SpaceError with the nearest name.

    >>> space("anynetx_e").size()
    817446539520
    >>> space("anynetx_a", image_side=28).law("width").describe()
    '8..256, log-uniform in steps of 8'
    """
    spaces = _catalogue()
    if not isinstance(name, str):
        raise SpaceError(f"space (={name!r}) must be a name of the catalogue")
    if name not in spaces:
        raise SpaceError(f"space {name!r} is not in the catalogue{did_you_mean(name, spaces)}")
    found = spaces[name]
    if image_side is not None:
        check_resolution(image_side)
        found = _scaled(found, image_side) if isinstance(found, DesignSpace) else _mlp(image_side)
    return found if num_stages is None else found.framed(num_stages=num_stages)


def _scaled(found: DesignSpace, image_side: int) -> DesignSpace:
    """Return a space for images of a side [pixels], by the rule that `space` states."""
    halvings = round(math.log2(MADE_FOR / image_side))
    if halvings < 1:
        return found
    factor = 2 ** (halvings - 1)
    ranges = {}
    for name in ("width", "group_width", "initial_width", "width_slope"):
        if name in found.parameter_names:
            law = found.law(name)
            assert not isinstance(law, Choice)
            step = law.step if isinstance(law, Uniform | LogUniform) else 1.0
            ranges[name] = (law.low, max(law.low, round(math.floor(law.high / factor / step) * step, 10)))
    stem = replace(found.stem, stride=1, width=max(1, found.stem.width // factor))
    return found.narrow(**ranges).framed(stem=stem)
