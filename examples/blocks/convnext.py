"""The ConvNeXt block: depthwise 7x7, layer norm, 1x1 to four times the width, GELU, 1x1 back, layer scale, residual.

Where the width or the side changes, a layer norm and a convolution (2x2 for stride 2, else 1x1) come before it: the
paper's downsampling layer. Source: Liu et al. 2022, arXiv 2201.03545, section 2 and figure 4.
"""

from typing import TYPE_CHECKING, Any

from netspace import Complexity

if TYPE_CHECKING:
    from torch import Tensor, nn


def cost(
    *,
    in_width: Any,
    width: Any,
    stride: int,
    in_side: int,
    out_side: int,
    expansion: int = 4,
    layer_scale: float = 1e-6,
) -> Complexity:
    """Return what one block costs; widths are integers or arrays."""
    pixels = out_side**2
    inner = expansion * width
    depthwise = 49 * width + width
    mlp = (width * inner + inner) + (inner * width + width)
    norm_and_scale = 2 * width + width
    block = Complexity(
        flops=(depthwise + mlp) * pixels,
        params=depthwise + mlp + norm_and_scale,
        activations=(width + inner + width) * pixels,
    )
    convolution = stride**2 * in_width * width + width
    change = Complexity(flops=convolution * pixels, params=2 * in_width + convolution, activations=width * pixels)
    # A truth value counts as 0 or 1, for each network where widths are arrays.
    return block + change * ((in_width != width) | (stride != 1))


def build(*, in_width: int, width: int, stride: int, expansion: int = 4, layer_scale: float = 1e-6) -> "nn.Module":
    """Return the block as a module: (batch, in_width, in_side, in_side) to (batch, width, out_side, out_side)."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    class ChannelNorm(nn.LayerNorm):
        """Layer norm over the channels of (batch, channels, height, width)."""

        def forward(self, x: "Tensor") -> "Tensor":
            return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    class Change(nn.Module):
        """Layer norm, then a convolution whose kernel is its stride; an odd side is filled up with zeros."""

        def __init__(self) -> None:
            super().__init__()
            self.norm = ChannelNorm(in_width, eps=1e-6)
            self.convolution = nn.Conv2d(in_width, width, stride, stride=stride)

        def forward(self, x: "Tensor") -> "Tensor":
            height, wide = x.shape[2:]
            return self.convolution(F.pad(self.norm(x), (0, -wide % stride, 0, -height % stride)))

    class Block(nn.Module):
        """The residual block at one width."""

        def __init__(self) -> None:
            super().__init__()
            self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
            self.norm = ChannelNorm(width, eps=1e-6)
            self.expand = nn.Conv2d(width, expansion * width, 1)
            self.reduce = nn.Conv2d(expansion * width, width, 1)
            self.scale = nn.Parameter(torch.full((width, 1, 1), layer_scale))

        def forward(self, x: "Tensor") -> "Tensor":
            return x + self.scale * self.reduce(F.gelu(self.expand(self.norm(self.depthwise(x)))))

    changes = in_width != width or stride != 1
    network = nn.Sequential(*([Change()] if changes else []), Block())
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
    return network
