"""Every error that netspace raises on purpose, as one family::

    NetspaceError
    ├── InputError (ValueError)            what was asked cannot be done; nothing was written
    │   ├── SpecError                      a network that cannot exist
    │   │   └── OwnBlockError              a user's own block that cannot be used
    │   ├── SpaceError                     a space, a law or a budget that cannot be met
    │   │   └── ContradictionError         relations or bands that nothing satisfies
    │   ├── CheckpointError                saved weights that are missing, damaged or another network's
    │   ├── DataError                      a data set that is missing, empty or damaged
    │   ├── StudyFileError                 a study file with a wrong field
    │   └── StoreError                     a store that cannot be opened, written or continued
    │       └── StoreInUseError            a store that another process writes now
    ├── MissingFrameworkError (ImportError)  a backend whose framework is not installed
    └── ExecutionError (RuntimeError)      work that was begun and could not be finished
        └── Stopped                        work that was asked to end and has saved how far it is

`FallbackWarning` stands beside it, for what goes on in another way. `InputError` and `MissingFrameworkError` end a
command with exit code 2 (wrong usage), all others with 1.
"""

import difflib
from collections.abc import Iterable


class NetspaceError(Exception):
    """The root of the family; its text is one sentence that a user can act on."""

    exit_code = 1


class InputError(NetspaceError, ValueError):
    """What was asked cannot be done: the sentence names field, value, rule and the nearest valid choice."""

    exit_code = 2


class SpecError(InputError):
    """A network that cannot exist."""


class OwnBlockError(SpecError):
    """A user's own block that cannot be used: its file is missing, changed or wrong."""


class SpaceError(InputError):
    """A design space, a law or a budget that cannot be met."""


class ContradictionError(SpaceError):
    """Relations or bands that nothing satisfies together."""


class DataError(InputError):
    """A data set that is missing, empty or damaged."""


class CheckpointError(InputError):
    """Saved weights that are missing, damaged or another network's."""


class StudyFileError(InputError):
    """A study file with a wrong field."""


class StoreError(InputError):
    """A store that cannot be opened, written or continued."""


class StoreInUseError(StoreError):
    """A store that another process writes now."""


class MissingFrameworkError(NetspaceError, ImportError):
    """A backend whose framework is not installed."""

    exit_code = 2


class FallbackWarning(UserWarning):
    """What was asked for as the fastest cannot be had here, and the next was taken; the text is one sentence."""


class ExecutionError(NetspaceError, RuntimeError):
    """Work that was begun and could not be finished."""


class Stopped(ExecutionError):
    """Work that was asked to end and has saved how far it is."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known name, or the list of known names.

    >>> did_you_mean("anynetx_f", ["anynetx_a", "regnetx"])
    "; did you mean 'anynetx_a'?"
    >>> did_you_mean("zzz", ["a", "b"])
    '; known: a, b'
    """
    names = {known_name.lower(): known_name for known_name in known}
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    return f"; did you mean '{names[near[0]]}'?" if near else f"; known: {', '.join(sorted(names.values()))}"
