"""RegNets of torchvision, timm and pycls: their files become networks of ours, and ours become theirs.

The spec is derived from the tensors, by name: the shapes of a block's first and shortcut convolutions are alike.
What tensors cannot show is taken as published: ReLU, stride 2 in the stem and in every stage, norm_eps 1e-5.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from netspace.backends.checkpoints import check_tensors
from netspace.backends.published_files import read_published
from netspace.backends.published_names import NAMES, STYLES, depths, style_of, their_name
from netspace.backends.torch_fusing import refuse_folded
from netspace.backends.torch_model import AnyNet, build, state_types
from netspace.errors import CheckpointError, InputError, SpecError, did_you_mean
from netspace.networks.spec import Frame, NetworkSpec, Stage, Stem, nearest_integers

STEM, HEAD = "stem.conv.weight", ("head.linear.weight", "head.linear.bias")
READS_BGR = ("pycls",)
"""The libraries whose images have blue first; the stem's input channels are turned round on the way in and out."""

UNSEEN = ("dropout", "stochastic_depth", "zero_init_last", "norm_momentum")
"""The fields that matter in training only, and that no library's tensors show."""


def load_checkpoint(
    path: Path, *, num_classes: int | None = None, in_channels: int | None = None, seed: int = 0
) -> AnyNet:
    """Return the RegNet of a file of torchvision, timm or pycls, in evaluation mode; its images have red first.

    A file of float32 gives a float32 network, one of float64 a float64 network; other types are refused. Another
    `num_classes` than the file's gives a fresh head, drawn from `seed`. `in_channels=1` sums the stem's weights
    over the file's channels; more channels take them in turn, each divided by how often it is taken, so that an
    image whose channels are repeated in the same way has the same logits.

    Raises: CheckpointError where the file is damaged, holds code or is no such RegNet; tensors that are missing,
    unknown, misshapen, of another type or not finite are listed by the file's names. SpecError for a wrong option.
    """
    tensors = read_published(path)
    style = style_of(tensors)
    if style is None and STEM in tensors:
        raise CheckpointError(f"{path}: the weights of a network of netspace's own; `load` reads its folder")
    if style is None:
        raise CheckpointError(f"{path}: no RegNet of {', '.join(STYLES)}: no first block has their names")
    tensors = _with_convolutions(tensors, style)
    spec = spec_of(tensors, style, source=path)
    expected = state_types(spec, _of_ours(tensors[their_name(STEM, style)].dtype))
    check_tensors(tensors, {their_name(ours, style): tensor for ours, tensor in expected.items()}, source=path)

    weights = {ours: tensors[their_name(ours, style)] for ours in expected}
    adapted = dataclasses.replace(
        spec,
        num_classes=spec.num_classes if num_classes is None else num_classes,
        in_channels=spec.in_channels if in_channels is None else in_channels,
    )
    network = build(adapted, seed=seed).to(expected[STEM].dtype)
    weights[STEM] = _for_channels(_red_first(weights[STEM], style), adapted.in_channels)
    if adapted.num_classes != spec.num_classes:
        weights |= {name: network.state_dict()[name] for name in HEAD}
    network.load_state_dict(weights)
    return network.eval()


def published_tensors(network: AnyNet, style: str) -> dict[str, Tensor]:
    """Return copies of a RegNet's tensors under a library's names: `load_checkpoint` backwards.

    Raises: InputError for an unknown style; CheckpointError where that library has no such network, or where the
    network is folded or not finite. Whether six numbers of the RegNet rule give timm these widths is not checked.
    """
    if style not in STYLES:
        raise InputError(f"style {style!r} is not known{did_you_mean(style, STYLES)}")
    _check_it_has(style, network.spec)
    refuse_folded(network)
    weights = network.state_dict()
    check_tensors(weights, state_types(network.spec, _of_ours(weights[STEM].dtype)), source="the network to export")
    weights[STEM] = _red_first(weights[STEM], style)
    return {their_name(ours, style): tensor.clone() for ours, tensor in weights.items()}


def spec_of(tensors: Mapping[str, Tensor], style: str, *, source: str | Path) -> NetworkSpec:
    """Return the network of a library's tensors, read off their shapes.

    Raises: CheckpointError where a tensor that tells a size is missing or misshapen, or where no network has them.
    """

    def shape(ours: str, dimensions: int) -> tuple[int, ...]:
        name = their_name(ours, style)
        if name not in tensors:
            raise CheckpointError(f"{source}: the tensors are not a RegNet's: missing: {name}")
        if tensors[name].ndim != dimensions or not tensors[name].numel():
            found = tuple(tensors[name].shape)
            raise CheckpointError(f"{source}: {name} {found} must have {dimensions} dimensions, none of them 0")
        return tuple(tensors[name].shape)

    stem_width, in_channels = shape(STEM, 4)[:2]
    sizes, squeezed, in_width = [], [], stem_width
    for i, depth in enumerate(depths(tensors, style)):
        width = shape(f"stages.{i}.0.branch.c.conv.weight", 4)[0]
        sizes.append((depth, width, *shape(f"stages.{i}.0.branch.b.conv.weight", 4)[:2]))
        for j in range(depth):
            reduce = f"stages.{i}.{j}.branch.se.reduce.weight"
            if their_name(reduce, style) in tensors:
                squeezed.append((in_width, shape(reduce, 4)[0]))
            in_width = width
    try:
        return NetworkSpec(
            stages=tuple(
                Stage(depth=depth, width=width, group_width=group_width, bottleneck_ratio=width / inner)
                for depth, width, inner, group_width in sizes
            ),
            stem=Stem(width=stem_width),
            num_classes=shape(HEAD[0], 2)[0],
            in_channels=in_channels,
            se_ratio=_se_ratio(squeezed) if squeezed else None,
        )
    except SpecError as problem:
        raise CheckpointError(f"{source}: {problem}") from None


def _se_ratio(squeezed: list[tuple[int, int]]) -> float:
    """Return the ratio that gives all of these (input width, reduced width): quarters first, then simple fractions."""
    widest, reduced = max(squeezed)
    for denominator in (4, *range(1, 1001)):
        ratio: float = round(denominator * reduced / widest) / denominator
        if ratio and all(nearest_integers(max(width * ratio, 1.0)) == narrow for width, narrow in squeezed):
            return ratio
    raise SpecError(f"no se_ratio reduces the blocks' input widths as found: {sorted(set(squeezed))}")


def _of_ours(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype in (torch.float32, torch.float64) else torch.float32


def _with_convolutions(tensors: Mapping[str, Tensor], style: str) -> dict[str, Tensor]:
    """Return the tensors with squeeze-and-excitation's linear layers as 1x1 convolutions."""
    linear = tuple(f".{NAMES[style][layer]}.weight" for layer in ("branch.se.reduce", "branch.se.expand"))
    return {
        name: tensor[:, :, None, None] if tensor.ndim == 2 and name.endswith(linear) else tensor
        for name, tensor in tensors.items()
    }


def _red_first(stem: Tensor, style: str) -> Tensor:
    return stem.flip(1) if style in READS_BGR else stem


def _for_channels(stem: Tensor, in_channels: int) -> Tensor:
    """Return the stem's weights for another number of channels; shape (width, in_channels, 3, 3)."""
    had = stem.shape[1]
    if in_channels == had:
        return stem
    if in_channels == 1:
        return stem.sum(1, keepdim=True)
    if in_channels < had:
        raise CheckpointError(f"in_channels (={in_channels}) must be 1 or at least the file's {had}")
    taken = torch.arange(in_channels) % had
    return stem[:, taken] / taken.bincount()[taken][:, None, None]


def _check_it_has(style: str, spec: NetworkSpec) -> None:
    """Raise CheckpointError where a library has no such network."""
    published = {field.name: field.default for field in dataclasses.fields(Frame) if field.name not in UNSEEN}
    published |= {"stem": Stem(width=spec.stem.width), "num_classes": spec.num_classes, "se_ratio": spec.se_ratio}
    if style == "timm":
        published["in_channels"] = spec.in_channels
    for field, value in published.items():
        if (given := getattr(spec, field)) != value:
            raise CheckpointError(f"{style} has no network with {field} (={given!r}); it must be {value!r}")
    if any(stage.stride != 2 for stage in spec.stages):
        raise CheckpointError(f"{style} has no network with a stage of stride 1; it must be 2")
    if style != "timm":
        return
    widths = [stage.width for stage in spec.stages]
    ratios = {stage.bottleneck_ratio for stage in spec.stages}
    if len(widths) != 4 or sorted(set(widths)) != widths or len(ratios) > 1:
        raise CheckpointError(
            f"timm has no network with stages of widths {widths} and bottleneck ratios {sorted(ratios)}; "
            "it must have four stages, rising widths and one ratio"
        )
