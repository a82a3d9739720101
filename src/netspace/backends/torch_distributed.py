"""One network trained by several processes at once, each on its part of every batch; `torchrun` starts them.

What holds, against one process: the order of the images, the steps, the learning rates and the initial weights are the
same. A step's gradient is the mean of the processes' gradients, each of the mean loss of its equal part of the batch.
Batch norm normalises a part by itself; running statistics are the mean over the processes. Augmentation and dropping
draw a stream of their own in each process. All processes end with the same network, bit for bit; its error is that
which one process would find.
"""

import inspect
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from netspace.errors import ExecutionError, InputError, NetspaceError
from netspace.training.rank import Rank

_PARAMETERS = inspect.signature(DistributedDataParallel.__init__).parameters
_SYNC_BUFFERS = next(name for name in ("forward_sync_buffers", "broadcast_buffers") if name in _PARAMETERS)
"""What later and earlier releases of PyTorch call it."""

PATIENCE = timedelta(days=1)
"""How long a process waits for the others, of which the first may be packing images; torchrun ends all if one ends."""


@contextmanager
def joined(rank: Rank) -> Iterator[None]:
    """Join the other processes until the end of the block; a process does so once.

    Raises: ExecutionError where another process ends or cannot be reached; InputError where torchrun did not start it.
    """
    lost = ExecutionError(
        f"process {rank.number} of {rank.of} has lost another, and the training has ended; see what that one said, and "
        "start again"
    )

    def ended(*_: Any) -> None:
        raise lost

    before = signal.getsignal(signal.SIGTERM)
    if rank.number == 0:  # it speaks for all that torchrun ends
        signal.signal(signal.SIGTERM, ended)
    try:
        try:
            dist.init_process_group("gloo", timeout=PATIENCE)
        except ValueError as problem:  # an address or a port that is not in the environment
            raise InputError(f"the other processes cannot be found ({problem}); start with torchrun") from None
        yield
        dist.destroy_process_group()
    except NetspaceError:
        raise
    except RuntimeError as problem:
        if isinstance(problem, dist.DistError) or "gloo" in str(problem):
            raise lost from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def wait_for_all() -> None:
    """Wait until every process has come here."""
    dist.barrier()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The processes that train a trial: what this one takes, and what all of them find together; alone, everything."""

    number: int = 0
    of: int = 1

    @classmethod
    def joined(cls, processes: int) -> "Ranks":
        """Return the processes that have joined. Raises: InputError where they are not as many as the trial's."""
        found = dist.get_world_size() if dist.is_initialized() else 1
        if found != processes:
            raise InputError(
                f"processes (={processes}) must be as many as train together, and there are {found}; start them with "
                f"torchrun --nproc-per-node {processes} -m netspace train"
            )
        return cls(number=dist.get_rank(), of=processes) if processes > 1 else cls()

    def part(self, batch_size: int) -> slice:
        """Return the places in each batch that this process takes: as many as every other."""
        size = batch_size // self.of
        return slice(self.number * size, (self.number + 1) * size)

    def shared(self, network: nn.Module) -> nn.Module:
        """Return what has the same output, and whose gradients become the mean over the processes."""
        if self.of == 1:
            return network
        # Else the first process's running statistics would replace the others' before every step.
        options: dict[str, Any] = {_SYNC_BUFFERS: False}
        return DistributedDataParallel(network, **options)

    def mean(self, number: float) -> float:
        """Return the mean of the processes' numbers, the same in each."""
        if self.of == 1:
            return number
        every = torch.tensor(number, dtype=torch.float64)
        dist.all_reduce(every)
        return float(every) / self.of

    @torch.no_grad()
    def average_statistics(self, network: nn.Module) -> None:
        """Set the running statistics of a network to their mean over the processes."""
        if self.of > 1:
            for buffer in network.buffers():
                if buffer.is_floating_point():
                    dist.all_reduce(buffer)
                    buffer /= self.of

    def either(self, flags: Tensor) -> Tensor:
        """Return which flags are set in some process."""
        if self.of == 1:
            return flags
        counts = flags.to(torch.uint8)
        dist.all_reduce(counts, op=dist.ReduceOp.MAX)
        return counts.bool()
