"""A function without arguments over tensors that stay in place: called a few times, then replayed as one CUDA graph.

A small network's step is hundreds of small kernels, each of which the host takes longer to start than the device to
compute; a graph starts all of them at once.
"""

import warnings
from collections.abc import Callable

import torch

from netspace.errors import FallbackWarning

WARM_UP = 3
"""Calls before the capture, in which libraries choose and allocate what they keep."""


class Replayed:
    """Calls a function, the same each time, by a CUDA graph where one can be captured.

    Without `capture`, and on the processor, every call is a plain one. The first calls are plain ones too, and a
    capture computes nothing, so that each call here has the effect of exactly one.
    """

    def __init__(self, device: torch.device, *, capture: bool = True) -> None:
        self._stream: torch.cuda.Stream | None = None
        if capture and device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._called = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, call: Callable[[], object]) -> None:
        """Have the function's effect once. The function is not kept: it may well lead back to what keeps this."""
        self._called += 1
        if self._stream is not None and self._graph is None and self._called > WARM_UP:
            self._capture(call, self._stream)
        if self._graph is not None:
            self._graph.replay()
        elif self._stream is not None:
            before = torch.cuda.current_stream()
            self._stream.wait_stream(before)
            with torch.cuda.stream(self._stream):
                call()
            before.wait_stream(self._stream)
        else:
            call()

    def _capture(self, call: Callable[[], object], stream: torch.cuda.Stream) -> None:
        """Capture the graph; where that cannot be done, say so, and leave it at plain calls."""
        graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, stream=stream):
                call()
        except RuntimeError as problem:  # memory that is short is one, too
            torch.cuda.set_stream(before)  # a capture that cannot be ended leaves its own as the present one
            self._stream = None
            cause = problem.__context__ or problem  # what is raised then is that it could not be ended
            why = (str(cause).splitlines() or ["no reason is given"])[0]
            warnings.warn(f"a training step is not replayed as a CUDA graph ({why})", FallbackWarning, stacklevel=2)
        else:
            self._graph = graph
