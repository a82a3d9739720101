"""Where a study's trials run, as its file or its command says: in processes of this machine, or on a Ray cluster."""

from dataclasses import dataclass, replace

from netspace.checks import number, one_of
from netspace.errors import InputError

EXECUTORS = ("local", "ray")
AUTO, LOCAL = "auto", "local"
"""Addresses without a host: the cluster that Ray finds itself, and one of this machine alone, for as long as a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionChoice:
    """An executor and, for Ray, the cluster's `address` and what one trial takes of it.

    `cpus` are those of a trial, its threads where None; `gpus` may be a part of one. `insecure` takes a cluster that
    other machines reach without a token. None of it changes a result.
    """

    executor: str = EXECUTORS[0]
    address: str = AUTO
    cpus: float | None = None
    gpus: float = 0.0
    insecure: bool = False

    def __post_init__(self) -> None:
        one_of(self, "executor", InputError, EXECUTORS)
        check_address(self.address)
        if self.cpus is not None:
            number(self, "cpus", InputError, above=True)
        number(self, "gpus", InputError)
        if self.gpus > 1 and not self.gpus.is_integer():
            raise InputError(f"gpus (={self.gpus:g}) must be whole where it is above 1; the nearest is {self.gpus:.0f}")
        if self.executor != "ray":
            for field, usual in (("address", AUTO), ("cpus", None), ("gpus", 0.0), ("insecure", False)):
                if getattr(self, field) != usual:
                    raise InputError(f'{field} (={getattr(self, field)!r}) is about a cluster: write executor = "ray"')

    def changed(self, executor: str | None, address: str | None, *, insecure: bool) -> "ExecutionChoice":
        """Return the choice with what a command says in its place. Raises: InputError.

        >>> ExecutionChoice(executor="ray", gpus=0.5).changed(None, "10.0.0.5:6379", insecure=False).gpus
        0.5
        >>> ExecutionChoice(executor="ray", gpus=0.5).changed("local", None, insecure=False) == ExecutionChoice()
        True
        """
        before = self if executor in (None, self.executor) else ExecutionChoice()
        return replace(
            before,
            executor=executor or self.executor,
            address=address or before.address,
            insecure=insecure or before.insecure,
        )


def check_address(address: str) -> None:
    """Check the address of a Ray cluster. Raises: InputError."""
    if address in (AUTO, LOCAL):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 1 <= int(port) < 2**16:
        raise InputError(
            f'address (={address!r}) must be "auto", "local" or HOST:PORT, as `ray start` says it; the driver runs on '
            "a machine of the cluster"
        )
