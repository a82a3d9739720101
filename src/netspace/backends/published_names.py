"""What torchvision, timm and pycls call the tensors of a RegNet: one table, which import and export both read.

In a block's name `i` and `j` count stages and blocks from 0, `s` and `b` from 1.
"""

import itertools
import re
from collections.abc import Collection

_TABLE = """
ours               torchvision                         timm             pycls
stem.conv          stem.0                              stem.conv        stem.conv
stem.norm          stem.1                              stem.bn          stem.bn
stages.{i}.{j}     trunk_output.block{s}.block{s}-{j}  s{s}.b{b}        s{s}.b{b}
branch.a.conv      f.a.0                               conv1.conv       f.a
branch.a.norm      f.a.1                               conv1.bn         f.a_bn
branch.b.conv      f.b.0                               conv2.conv       f.b
branch.b.norm      f.b.1                               conv2.bn         f.b_bn
branch.se.reduce   f.se.fc1                            se.fc1           f.se.f_ex.0
branch.se.expand   f.se.fc2                            se.fc2           f.se.f_ex.2
branch.c.conv      f.c.0                               conv3.conv       f.c
branch.c.norm      f.c.1                               conv3.bn         f.c_bn
projection.conv    proj.0                              downsample.conv  proj
projection.norm    proj.1                              downsample.bn    bn
head.linear        fc                                  head.fc          head.fc
"""
_HEADER, *_ROWS = (line.split() for line in _TABLE.strip().splitlines())

NAMES = {style: {row[0]: row[column] for row in _ROWS} for column, style in enumerate(_HEADER)}
"""For every style, its name of each of our layers."""

STYLES = tuple(_HEADER[1:])
"""The libraries whose names are known."""


def their_name(ours: str, style: str) -> str:
    """Return a library's name of one of our tensors.

    >>> their_name("stages.0.1.branch.a.norm.bias", "torchvision")
    'trunk_output.block1.block1-1.f.a.1.bias'
    """
    layer, _, tensor = ours.rpartition(".")
    prefix = ""
    if in_block := re.fullmatch(r"stages\.(\d+)\.(\d+)\.(.+)", layer):
        prefix = _block(style, int(in_block[1]), int(in_block[2])) + "."
        layer = in_block[3]
    return f"{prefix}{NAMES[style][layer]}.{tensor}"


def style_of(names: Collection[str]) -> str | None:
    """Return the library that names a first block's convolutions so, or None where none does."""
    firsts = [f"stages.0.0.branch.{convolution}.conv.weight" for convolution in "abc"]
    return next((style for style in STYLES if any(their_name(first, style) in names for first in firsts)), None)


def depths(names: Collection[str], style: str) -> list[int]:
    """Return how many blocks in a row each stage has among these names.

    >>> depths(["s1.b1.f.a.weight", "s1.b2.f.a.weight", "s2.b1.f.a.weight", "s2.b3.f.a.weight"], "pycls")
    [2, 1]
    """
    parts = _block(style, 0, 0).count(".") + 1
    present = {".".join(name.split(".")[:parts]) for name in names}
    found: list[int] = []
    while depth := next(j for j in itertools.count() if _block(style, len(found), j) not in present):
        found.append(depth)
    return found


def _block(style: str, stage: int, block: int) -> str:
    return NAMES[style]["stages.{i}.{j}"].format(i=stage, j=block, s=stage + 1, b=block + 1)
