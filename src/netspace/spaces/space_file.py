"""A design space in a TOML file of its own: the fields of `SpaceDeclaration`, at the top of the file."""

from pathlib import Path

from netspace import values
from netspace.errors import SpaceError
from netspace.spaces.declaration import SpaceDeclaration


def read_declaration(path: Path) -> SpaceDeclaration:
    """Return the space that a TOML file declares.

    Raises: SpaceError, one sentence with the file, the path of the field, and the nearest right name.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise SpaceError(f"space file {str(path)!r} cannot be read ({problem.strerror})") from None
    except UnicodeDecodeError:
        raise SpaceError(f"space file {str(path)!r} is not UTF-8 text") from None
    return values.from_toml(SpaceDeclaration, text, source=str(path), error=SpaceError)
