"""Named networks as tables: the chapter's, the published RegNets, ResNets and ResNeXts.

Sources. RegNetX and RegNetY: Radosavovic et al. 2020, arXiv 2003.13678, and its released configurations. RegNetZ:
Dollar et al. 2021, arXiv 2103.06877. ResNet: He et al. 2016, arXiv 1512.03385; ResNeXt: Xie et al. 2017, arXiv
1611.05431; both with the stride in the 3x3 convolution, as they are usually built. `regnetx32`: *Dive into Deep
Learning*, section 8.8.3.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

from netspace.errors import SpecError, did_you_mean
from netspace.networks.regnet import regnet
from netspace.networks.spec import NetworkSpec, Stage, Stem

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

# torchvision rounds widths to groups half upwards, and up where a tenth would be lost: three networks differ.
#    name              widths in torchvision
_TORCHVISION = {
    "regnetx_400mf": (32, 64, 160, 400),  # 392 = 24.5 groups of 16: 25, where half-to-even gives 24
    "regnety_800mf": (64, 144, 320, 784),  # 136 = 8.5 and 776 = 48.5 groups of 16: 9 and 49, not 8 and 48
    "regnety_8.0gf": (224, 448, 896, 2016),  # 192 = 3.4 groups of 56: 4, because 3 are less than 0.9 * 192
}


#        size      d   w_0  w_a    w_m   g  head
_REGNETZ = {
    "500mf": (21, 16, 10.7, 2.51, 4, 1024),
    "4gf": (28, 48, 14.5, 2.226, 8, 1536),
}
#            name               depths        ratio  groups
_RESNETS = {
    "resnet50": ((3, 4, 6, 3), 4.0, 1),
    "resnet101": ((3, 4, 23, 3), 4.0, 1),
    "resnet152": ((3, 8, 36, 3), 4.0, 1),
    "resnext50_32x4d": ((3, 4, 6, 3), 2.0, 32),
    "resnext101_32x8d": ((3, 4, 23, 3), 1.0, 32),
    "resnext101_64x4d": ((3, 4, 23, 3), 1.0, 64),
}


def _regnet(row: tuple[int, int, float, float, int], se_ratio: float | None = None) -> NetworkSpec:
    depth, initial, slope, multiplier, group = row
    return regnet(
        total_depth=depth,
        initial_width=initial,
        width_slope=slope,
        width_multiplier=multiplier,
        group_width=group,
        se_ratio=se_ratio,
    )


def _torchvision(name: str) -> NetworkSpec:
    spec = _ZOO[name]()
    widths = zip(spec.stages, _TORCHVISION[name], strict=True)
    return dataclasses.replace(spec, stages=tuple(dataclasses.replace(stage, width=width) for stage, width in widths))


def _regnetz(row: tuple[int, int, float, float, int, int]) -> NetworkSpec:
    depth, initial, slope, multiplier, group, head = row
    spec = regnet(
        total_depth=depth,
        initial_width=initial,
        width_slope=slope,
        width_multiplier=multiplier,
        group_width=group,
        bottleneck_ratio=0.25,
        se_ratio=0.25,
    )
    return dataclasses.replace(spec, block="z", activation="silu", head_width=head)


def _resnet(row: tuple[tuple[int, ...], float, int]) -> NetworkSpec:
    depths, ratio, num_groups = row
    stages = []
    for i, depth in enumerate(depths):
        width = 256 * 2**i
        group_width = None if num_groups == 1 else round(width / ratio) // num_groups
        stages.append(
            Stage(
                depth=depth,
                width=width,
                bottleneck_ratio=ratio,
                group_width=group_width,
                stride=1 if i == 0 else 2,
            )
        )
    return NetworkSpec(stages=tuple(stages), stem=Stem(width=64, kernel_size=7, max_pool=True))


def _regnetx32() -> NetworkSpec:
    return NetworkSpec(
        stages=(Stage(depth=4, width=32, group_width=16), Stage(depth=6, width=80, group_width=16)),
        num_classes=10,
        in_channels=1,
        conv_bias=True,
    )


def _regnetx_small() -> NetworkSpec:
    """Return a deeper RegNetX of four stages for images of 28x28 or 32x32 (the chapter's first exercise)."""
    spec = regnet(total_depth=18, initial_width=24, width_slope=12.0, width_multiplier=2.0, group_width=8)
    return dataclasses.replace(spec, stem=Stem(width=16, stride=1), num_classes=10, in_channels=1)


def _resnet56_cifar() -> NetworkSpec:
    stages = tuple(Stage(depth=9, width=width, stride=1 if width == 16 else 2) for width in (16, 32, 64))
    return NetworkSpec(block="basic", stages=stages, stem=Stem(width=16, stride=1), num_classes=10)


_ZOO: dict[str, Callable[[], NetworkSpec]] = {
    "regnetx32": _regnetx32,
    "regnetx_small": _regnetx_small,
    **{f"regnetx_{size}": partial(_regnet, row) for size, row in _REGNETX.items()},
    **{f"regnety_{size}": partial(_regnet, row, se_ratio=0.25) for size, row in _REGNETY.items()},
    **{f"{name}_torchvision": partial(_torchvision, name) for name in _TORCHVISION},
    **{f"regnetz_{size}": partial(_regnetz, row) for size, row in _REGNETZ.items()},
    **{name: partial(_resnet, row) for name, row in _RESNETS.items()},
    "resnet56_cifar": _resnet56_cifar,
}

NETWORKS = tuple(_ZOO)
"""The names of all networks, in the order of the table."""


def network(name: str) -> NetworkSpec:
    """Return the network of that name. Raises: SpecError with the nearest name.

    >>> network("regnetx32").num_classes
    10
    """
    if name not in _ZOO:
        raise SpecError(f"network {name!r} is not in the zoo{did_you_mean(name, NETWORKS)}")
    return _ZOO[name]()


def name_of(spec: NetworkSpec) -> str | None:
    """Return the name of the network with this spec, or None.

    The number of classes, the channels of the images and what matters in training only may differ.

    >>> name_of(dataclasses.replace(network("regnety_200mf"), num_classes=10))
    'regnety_200mf'
    """
    wanted = essence(spec)
    return next((name for name in NETWORKS if essence(network(name)) == wanted), None)


def essence(spec: NetworkSpec) -> NetworkSpec:
    """Return a network without what depends on its data, or matters in training only."""
    return dataclasses.replace(
        spec,
        num_classes=1,
        in_channels=1,
        dropout=0.0,
        stochastic_depth=0.0,
        zero_init_last=False,
        norm_momentum=1.0,
    )
