"""How far an empirical distribution may be from the true one, everywhere at once: at one n, or at every n at once."""

import math

from netspace.errors import InputError

# Weights leave an effective n of 1 a rounding short of it.
_ROUNDING = 1e-12


def dkw_half_width(n: float, level: float = 0.95) -> float:
    """Return how far F may be from the truth with probability `level`: sqrt(ln(2 / (1 - level)) / 2n).

    Raises: InputError unless n >= 1 and 0 < level < 1.

    >>> [round(dkw_half_width(n), 3) for n in (32, 100, 500)]
    [0.24, 0.136, 0.061]
    """
    _check(n, level)
    return math.sqrt(math.log(2.0 / (1.0 - level)) / (2.0 * n))


def anytime_half_width(n: float, level: float = 0.95) -> float:
    """Return how far F is from the truth after n networks, for every n at once with probability `level`.

    One may look after each network and stop when one likes; at the price of twice the width of `dkw_half_width`.
    Raises: InputError unless n >= 1 and 0 < level < 1.
    Source: Howard and Ramdas 2022, theorem 2, with the constants of their closed form.

    >>> [round(anytime_half_width(n), 3) for n in (32, 100, 500)]
    [0.47, 0.269, 0.122]
    """
    _check(n, level)
    n = max(n, 1.0)
    return 0.85 * math.sqrt((math.log1p(math.log(n)) + 0.8 * math.log(1612.0 / (1.0 - level))) / n)


def _check(n: float, level: float) -> None:
    if not n >= 1.0 - _ROUNDING:
        raise InputError(f"n (={n}) must be at least 1")
    if not 0.0 < level < 1.0:
        raise InputError(f"level (={level}) must lie between 0 and 1, such as 0.95")
