"""What each form of an operator gains over PyTorch's own, forward and backward together, on one thread.

    python benchmarks/kernels.py --batch 128 --repeats 5

Prints milliseconds (medians of repeats in turns) and the best ratio, for 1x1 and grouped convolutions in bfloat16 and
for norm, shortcut and ReLU in both precisions. The forms are those of `netspace.backends.torch_kernels`; a dash is a
form that leaves the operator to PyTorch.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspace.backends.torch_kernels import convolve, norm_add_relu, own_form
from netspace.backends.torch_native import load_operators

POINTWISE = [(16, 28), (32, 14), (96, 14), (64, 7), (96, 4), (256, 2)]
"""Channels and side of 1x1 convolutions."""
GROUPED = [
    (channels, group_width, stride, side)
    for stride, side in ((1, 14), (2, 28), (1, 4))
    for channels, group_width in ((64, 1), (64, 2), (46, 2), (64, 4), (64, 8), (64, 16))
]
"""Channels, group width, stride and side of 3x3 convolutions; the last group width is left as it is by every form."""
NORMS = [(16, 28), (64, 14), (256, 4)]
"""Channels and side."""

Form = Callable[[], Tensor] | None
"""Torch, blocked, native: what computes an operator so; None where the form leaves it as it is."""


def images(batch: int, channels: int, side: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    drawn = torch.randn(batch, channels, side, side).to(dtype)
    return drawn.contiguous(memory_format=torch.channels_last).requires_grad_()


def milliseconds(forms: Sequence[Form], repeats: int) -> list[float | None]:
    """Return the median time of each form and its gradient [ms]; they take turns."""
    gradients = [None if form is None else torch.randn_like(form()) for form in forms]
    times: list[list[float]] = [[] for _ in forms]
    for turn in range(repeats + 1):
        for form, gradient, spent in zip(forms, gradients, times, strict=True):
            if form is not None:
                begun = time.perf_counter()
                form().backward(gradient)  # type: ignore[no-untyped-call]
                if turn:  # the first is for warming up
                    spent.append(1e3 * (time.perf_counter() - begun))
    return [statistics.median(spent) if spent else None for spent in times]


def convolution(batch: int, channels: int, width: int, stride: int, side: int, kernel: int = 3) -> list[Form]:
    conv = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels // width, bias=False)
    x = images(batch, channels, side)

    def run(form: Callable[[nn.Conv2d, Tensor], Tensor]) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return form(conv, x)

    own = own_form(conv)
    changed = conv.groups > 1 and width < 8 and (width > 1 or stride > 1)
    return [
        lambda: run(nn.Conv2d.forward),
        (lambda: run(convolve)) if changed else None,
        None if own is None else lambda: run(lambda conv, x: own(conv, x)),
    ]


def norm(batch: int, channels: int, side: int, dtype: torch.dtype) -> list[Form]:
    module, x, shortcut = nn.BatchNorm2d(channels), *(images(batch, channels, side, dtype) for _ in range(2))
    return [lambda: F.relu(module(x) + shortcut), None, lambda: norm_add_relu(module, x, shortcut, relu=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    load_operators()
    batch = options.batch
    rows = {f"1x1 convolution {c}x{s}x{s}": convolution(batch, c, c, 1, s, kernel=1) for c, s in POINTWISE}
    rows |= {
        f"3x3 convolution {c}x{side}x{side} groups of {w} stride {stride}": convolution(batch, c, w, stride, side)
        for c, w, stride, side in GROUPED
    }
    for dtype in (torch.bfloat16, torch.float32):
        precision = "" if dtype is torch.bfloat16 else " float32"
        rows |= {f"norm+add+relu{precision} {c}x{side}x{side}": norm(batch, c, side, dtype) for c, side in NORMS}
    print(f"{'operator':46}{'torch ms':>10}{'blocked ms':>12}{'native ms':>11}{'best ratio':>12}")
    for name, forms in rows.items():
        spent = milliseconds(forms, options.repeats)
        theirs, *others = spent
        best = max([theirs / other for other in others if other], default=1.0)
        cells = ["-" if time is None else f"{time:.2f}" for time in spent]
        print(f"{name:46}{cells[0]:>10}{cells[1]:>12}{cells[2]:>11}{best:>12.2f}", flush=True)


if __name__ == "__main__":
    main()
