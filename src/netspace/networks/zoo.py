"""Named networks as one table: the chapter's RegNetX of 32 layers and the published RegNets.

Source of the parameters: Radosavovic et al. 2020, arXiv 2003.13678, and its released configurations; of
`regnetx32`: *Dive into Deep Learning*, section 8.8.3.
"""

from netspace.errors import SpecError, did_you_mean
from netspace.networks.regnet import regnet
from netspace.networks.spec import NetworkSpec, Stage

#        size     d   w_0  w_a     w_m   g
_REGNETX = {
    "200mf": (13, 24, 36.44, 2.49, 8),
    "400mf": (22, 24, 24.48, 2.54, 16),
    "600mf": (16, 48, 36.97, 2.24, 24),
    "800mf": (16, 56, 35.73, 2.28, 16),
    "1.6gf": (18, 80, 34.01, 2.25, 24),
    "3.2gf": (25, 88, 26.31, 2.25, 48),
    "4.0gf": (23, 96, 38.65, 2.43, 40),
    "6.4gf": (17, 184, 60.83, 2.07, 56),
    "8.0gf": (23, 80, 49.56, 2.88, 120),
    "12gf": (19, 168, 73.36, 2.37, 112),
    "16gf": (22, 216, 55.59, 2.1, 128),
    "32gf": (23, 320, 69.86, 2.0, 168),
}
_REGNETY = {
    "200mf": (13, 24, 36.44, 2.49, 8),
    "400mf": (16, 48, 27.89, 2.09, 8),
    "600mf": (15, 48, 32.54, 2.32, 16),
    "800mf": (14, 56, 38.84, 2.4, 16),
    "1.6gf": (27, 48, 20.71, 2.65, 24),
    "3.2gf": (21, 80, 42.63, 2.66, 24),
    "4.0gf": (22, 96, 31.41, 2.24, 64),
    "6.4gf": (25, 112, 33.22, 2.27, 72),
    "8.0gf": (17, 192, 76.82, 2.19, 56),
    "12gf": (19, 168, 73.36, 2.37, 112),
    "16gf": (18, 200, 106.23, 2.48, 112),
    "32gf": (20, 232, 115.89, 2.53, 232),
}


_NAMED = {
    "regnetx32": NetworkSpec(
        stages=(Stage(depth=4, width=32, group_width=16), Stage(depth=6, width=80, group_width=16)),
        num_classes=10,
        in_channels=1,
        conv_bias=True,
    ),
}
_FAMILIES = {"regnetx": (_REGNETX, None), "regnety": (_REGNETY, 0.25)}

NETWORKS = (*_NAMED, *(f"{family}_{size}" for family, (rows, _) in _FAMILIES.items() for size in rows))
"""The names of all networks, in the order of the table."""


def network(name: str) -> NetworkSpec:
    """Return the network of that name. Raises: SpecError with the nearest name.

    >>> network("regnetx32").num_classes
    10
    """
    if name not in NETWORKS:
        raise SpecError(f"network {name!r} is not in the zoo{did_you_mean(name, NETWORKS)}")
    if name in _NAMED:
        return _NAMED[name]
    family, size = name.split("_")
    rows, se_ratio = _FAMILIES[family]
    depth, initial, slope, multiplier, group = rows[size]
    return regnet(
        total_depth=depth,
        initial_width=initial,
        width_slope=slope,
        width_multiplier=multiplier,
        group_width=group,
        se_ratio=se_ratio,
    )
