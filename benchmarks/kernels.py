"""What each form of an operator gains over PyTorch's own, forward and backward together, on one thread.

    python benchmarks/kernels.py --batch 128 --repeats 5

Prints milliseconds (medians of repeats in turns) and their ratio, for grouped convolutions in bfloat16 and for norm,
shortcut and ReLU in both precisions. The forms are those of `netspace.backends.torch_kernels`.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspace.backends.torch_kernels import convolve, norm_add_relu
from netspace.backends.torch_native import load_operators

CONVOLUTIONS = [
    (channels, group_width, stride, side)
    for stride, side in ((1, 14), (2, 28))
    for channels, group_width in ((64, 1), (64, 2), (64, 4), (46, 2), (64, 8))
]
"""Channels, group width, stride and side of the input; the last group width is left as it is by every form."""
NORMS = [(16, 28), (64, 14), (256, 4)]
"""Channels and side."""


def images(batch: int, channels: int, side: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    drawn = torch.randn(batch, channels, side, side).to(dtype)
    return drawn.contiguous(memory_format=torch.channels_last).requires_grad_()


def milliseconds(forms: Sequence[Callable[[], Tensor]], repeats: int) -> list[float]:
    """Return the median time of each form and its gradient [ms]; they take turns."""
    gradients = [torch.randn_like(form()) for form in forms]
    times: list[list[float]] = [[] for _ in forms]
    for _ in range(repeats):
        for form, gradient, spent in zip(forms, gradients, times, strict=True):
            begun = time.perf_counter()
            form().backward(gradient)  # type: ignore[no-untyped-call]
            spent.append(1e3 * (time.perf_counter() - begun))
    return [statistics.median(spent) for spent in times]


def convolution_forms(batch: int, channels: int, width: int, stride: int, side: int) -> list[Callable[[], Tensor]]:
    conv = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels // width, bias=False)
    x = images(batch, channels, side)

    def run(form: Callable[[nn.Conv2d, Tensor], Tensor]) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return form(conv, x)

    return [lambda: run(nn.Conv2d.forward), lambda: run(convolve)]


def norm_forms(batch: int, channels: int, side: int, dtype: torch.dtype) -> list[Callable[[], Tensor]]:
    norm, x, shortcut = nn.BatchNorm2d(channels), *(images(batch, channels, side, dtype) for _ in range(2))
    return [lambda: F.relu(norm(x) + shortcut), lambda: norm_add_relu(norm, x, shortcut, relu=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    load_operators()
    print(f"{'operator':48}{'torch ms':>10}{'ours ms':>10}{'ratio':>8}")
    rows = [
        (
            f"convolution bfloat16 {c}x{side}x{side} groups of {w} stride {s}",
            convolution_forms(options.batch, c, w, s, side),
        )
        for c, w, s, side in CONVOLUTIONS
    ]
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        rows += [
            (f"norm+add+relu {name} {c}x{side}x{side}", norm_forms(options.batch, c, side, dtype)) for c, side in NORMS
        ]
    for name, forms in rows:
        theirs, ours = milliseconds(forms, options.repeats)
        print(f"{name:48}{theirs:>10.2f}{ours:>10.2f}{theirs / ours:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
