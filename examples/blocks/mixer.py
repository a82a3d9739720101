"""The MLP-Mixer block: an MLP across the tokens (pixels), then an MLP across the channels, each normed and residual.

The first MLP's weights are as many as the image has pixels, so `tokens` is an option, and the block takes images of
that many pixels only: use stride 1 after a patchify stem. The inner widths are the paper's, half the width across
tokens and four times the width across channels; where the width changes, a linear layer comes first.
Source: Tolstikhin et al. 2021, arXiv 2105.01601, section 2 and table 1.
"""

from typing import TYPE_CHECKING, Any

from netspace import Complexity

if TYPE_CHECKING:
    from torch import Tensor, nn


def cost(*, in_width: Any, width: Any, stride: int, in_side: int, out_side: int, tokens: int) -> Complexity:
    """Return what one block costs; widths are integers or arrays."""
    if stride != 1:
        raise ValueError(f"stride (={stride}) must be 1, for tokens stay as they are")
    if tokens != in_side**2:
        raise ValueError(f"tokens (={tokens}) must be {in_side**2}, the pixels of a {in_side}x{in_side} image")
    total = _linear(width, tokens, width // 2) + _linear(width, width // 2, tokens)
    total += _linear(tokens, width, 4 * width) + _linear(tokens, 4 * width, width)
    norms = Complexity(flops=0, params=2 * 2 * width, activations=0)
    return total + norms + _linear(tokens, in_width, width) * (in_width != width)


def _linear(times: Any, inputs: Any, outputs: Any) -> Complexity:
    """Return the cost of a linear layer with bias that is applied so many times."""
    weights = inputs * outputs + outputs
    return Complexity(flops=times * weights, params=weights, activations=times * outputs)


def build(*, in_width: int, width: int, stride: int, tokens: int) -> "nn.Module":
    """Return the block as a module: (batch, in_width, side, side) to (batch, width, side, side)."""
    from torch import nn

    def mlp(size: int, inner: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(size, inner), nn.GELU(), nn.Linear(inner, size))

    class Block(nn.Module):
        """Token mixing and channel mixing."""

        def __init__(self) -> None:
            super().__init__()
            self.change = nn.Linear(in_width, width) if in_width != width else nn.Identity()
            self.token_norm = nn.LayerNorm(width)
            self.token_mlp = mlp(tokens, width // 2)
            self.channel_norm = nn.LayerNorm(width)
            self.channel_mlp = mlp(width, 4 * width)

        def forward(self, x: "Tensor") -> "Tensor":
            side = x.shape[2:]
            x = self.change(x.flatten(2).transpose(1, 2))  # (batch, tokens, width)
            x = x + self.token_mlp(self.token_norm(x).transpose(1, 2)).transpose(1, 2)
            x = x + self.channel_mlp(self.channel_norm(x))
            return x.transpose(1, 2).unflatten(2, side)

    return Block()
