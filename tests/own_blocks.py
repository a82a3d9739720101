"""Files of own blocks for tests: the worked examples, and the smallest one that is right, to be made wrong."""

from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"
CONVNEXT = EXAMPLES / "blocks" / "convnext.py"
MIXER = EXAMPLES / "blocks" / "mixer.py"

SMALL = '''"""A convolution and a layer norm over channels, `kernel_size` wide."""

from netspace import Complexity


def cost(*, in_width, width, stride, in_side, out_side, kernel_size=1):
    weights = kernel_size**2 * in_width * width
    return Complexity(
        flops=(weights + width) * out_side**2,
        params=weights + width + 2 * width,
        activations=width * out_side**2,
    )


def build(*, in_width, width, stride, kernel_size=1):
    from torch import nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(in_width, width, kernel_size, stride=stride, padding=kernel_size // 2)
            self.norm = nn.LayerNorm(width)

        def forward(self, x):
            return self.norm(self.convolution(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2).relu()

    return Block()
'''


def changed(before, after):
    """Return `SMALL` with one thing changed."""
    assert SMALL.count(before) == 1
    return SMALL.replace(before, after)
