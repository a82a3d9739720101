"""Which of several processes that train one network together this is, as `torchrun` says it in the environment."""

import os
from dataclasses import dataclass

from netspace.checks import whole
from netspace.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """A process among several: its `number` from 0 on, of how many, and how many of them are on this machine."""

    number: int = 0
    of: int = 1
    here: int = 1

    def __post_init__(self) -> None:
        whole(self, "of", InputError)
        whole(self, "here", InputError, maximum=self.of)
        whole(self, "number", InputError, minimum=0, maximum=self.of - 1)

    @classmethod
    def of_this_process(cls) -> "Rank":
        """Return what RANK, WORLD_SIZE and LOCAL_WORLD_SIZE say; the only process where they say nothing.

        Raises: InputError where they are no such numbers.
        """
        said = [os.environ.get(name) for name in ("RANK", "WORLD_SIZE")]
        if None in said:
            return cls()
        said.append(os.environ.get("LOCAL_WORLD_SIZE", said[1]))
        try:
            number, of, here = (int(text or "") for text in said)
            return cls(number=number, of=of, here=here)
        except ValueError:
            raise InputError(
                f"RANK, WORLD_SIZE and LOCAL_WORLD_SIZE (={said}) are not those of a process that torchrun started; "
                "take them out of the environment, or start with torchrun"
            ) from None
