"""This machine's own matrix product: the most multiplications a second that a network could hope for here.

    python -m netspace.backends.torch_peak THREADS

writes the operations a second, of which a multiply-add is two, by precision as JSON.
"""

import json
import sys
import time

import torch

from netspace.training.recipe import PRECISIONS

SIDE = 2048


def peak(precision: str, threads: int, *, repeats: int = 10) -> float:
    """Return the operations [1/s] of the fastest of several products of square matrices.

    Sets PyTorch's number of threads in this process.
    """
    torch.set_num_threads(threads)
    matrix = torch.randn(SIDE, SIDE).to(getattr(torch, precision))
    matrix @ matrix

    def seconds() -> float:
        begun = time.perf_counter()
        matrix @ matrix
        return time.perf_counter() - begun

    return 2 * SIDE**3 / min(seconds() for _ in range(repeats))


if __name__ == "__main__":
    print(json.dumps({precision: peak(precision, int(sys.argv[1])) for precision in PRECISIONS}))
