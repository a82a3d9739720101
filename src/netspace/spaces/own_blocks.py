"""A user's own blocks are checked in the first networks of a space, before thousands are drawn by their cost."""

from collections.abc import Callable

import numpy as np

from netspace.networks.spec import NetworkSpec
from netspace.spaces.union import Space

CHECKED_DRAWS = 64
"""The draws among which networks are looked for that can be built."""

CHECKED_NETWORKS = 4
"""Of each frame."""


def check_own_blocks(space: Space, check: Callable[[NetworkSpec], None]) -> None:
    """Call `check`, which a backend has, with a few networks that have own blocks. Raises: what `check` raises."""
    for draws in space.batches(0, CHECKED_DRAWS):
        if draws.networks.own_block is not None:
            for row in np.flatnonzero(draws.exists).tolist()[:CHECKED_NETWORKS]:
                check(draws.networks[row])
