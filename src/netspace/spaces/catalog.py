"""The design spaces of the papers, as data: each one refines the one before it.

Source: Radosavovic et al. 2020, arXiv 2003.13678, section 3 and table 1; *Dive into Deep Learning*, section
8.8.2. The chapter's numbers of free parameters include the stem width, ours do not.
"""

from dataclasses import replace

from netspace.errors import SpaceError, did_you_mean
from netspace.spaces.laws import Choice, LogUniform, PowersOfTwo, Uniform
from netspace.spaces.space import DesignSpace, Parameter

_PAPER = "Radosavovic et al. 2020, arXiv 2003.13678"
_RATIO = Parameter(name="bottleneck_ratio", law=Choice(options=(1.0, 2.0, 4.0)))
_GROUP = Parameter(name="group_width", law=PowersOfTwo(low=1, high=32))


def _catalogue() -> dict[str, DesignSpace]:
    a = DesignSpace(
        name="anynetx_a",
        parameters=(
            Parameter(name="depth", law=LogUniform(low=1, high=16)),
            Parameter(name="width", law=LogUniform(low=8, high=1024, step=8)),
            _RATIO,
            _GROUP,
        ),
        source=f"{_PAPER}, section 3.2",
    )
    b = replace(a.share("bottleneck_ratio"), name="anynetx_b")
    c = replace(b.share("group_width"), name="anynetx_c")
    d = replace(c.increasing("width"), name="anynetx_d")
    e = replace(d.increasing("depth"), name="anynetx_e")
    x = DesignSpace(
        name="regnetx",
        parameters=(
            Parameter(name="total_depth", law=Uniform(low=1, high=63)),
            Parameter(name="initial_width", law=LogUniform(low=8, high=248, step=8)),
            Parameter(name="width_slope", law=LogUniform(low=0.1, high=255.9, step=0.1)),
            Parameter(name="width_multiplier", law=LogUniform(low=1.5, high=3.0, step=0.001)),
            _RATIO,
            _GROUP,
        ),
        source=f"{_PAPER}, section 3.3",
    )
    x = x.share("bottleneck_ratio").share("group_width")
    y = replace(x, name="regnety", se_ratio=0.25, source=f"{_PAPER}, section 4 (RegNetY)")
    return {space.name: space for space in (a, b, c, d, e, x, y)}


SPACES = tuple(_catalogue())
"""The names of the catalogue, in order."""


def space(name: str) -> DesignSpace:
    """Return the design space of that name. Raises: SpaceError with the nearest name.

    >>> space("anynetx_e").size()
    817446539520
    """
    spaces = _catalogue()
    if name not in spaces:
        raise SpaceError(f"space {name!r} is not in the catalogue{did_you_mean(name, spaces)}")
    return spaces[name]
