"""Columns as files that other programs read, and anyone's rows back: CSV, Parquet and JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netspace.errors import InputError
from netspace.files import written_aside

SUFFIXES = (".csv", ".parquet", ".json")

_FORMULA = "=+-@\t\r\n'"
"""What a spreadsheet may take for the beginning of a formula, and the mark that keeps it from doing so."""


def write_csv(columns: Mapping[str, list[Any]], path: Path) -> None:
    """Write columns as CSV; see `csv_bytes`. Raises: InputError."""
    write_whole(csv_bytes(columns), path)


def csv_bytes(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """Return columns as CSV in UTF-8, a line of names first; None is an empty cell.

    A text that a spreadsheet could run as a formula gets an apostrophe in front, which `read_columns` takes off.
    """
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_guarded(name) for name in columns)
    lines.writerows(map(_guarded, row) for row in zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def write_parquet(
    columns: Mapping[str, list[Any]],
    path: Path,
    *,
    types: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write columns as Parquet; see `parquet_bytes`. Raises: InputError."""
    write_whole(parquet_bytes(columns, types=types, metadata=metadata), path)


def parquet_bytes(
    columns: Mapping[str, Sequence[Any]],
    *,
    types: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Return columns as Parquet; None is a null.

    `types` holds pyarrow's type of a column where its values do not tell; `metadata` is kept in the file.
    """
    import pyarrow
    from pyarrow import parquet

    types = types or {}
    table = pyarrow.table({name: pyarrow.array(column, type=types.get(name)) for name, column in columns.items()})
    content = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata(dict(metadata or {})), content, compression="zstd")
    return content.getvalue()


def write_whole(content: bytes, path: Path) -> None:
    """Write a file so that no reader meets half of it. Raises: InputError where it cannot be written."""
    try:
        with written_aside(path) as file:
            file.write(content)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise InputError(f"{str(path)!r} cannot be written: {reason.lower()}") from None


def read_columns(path: Path) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Return the columns of a file by name, and what it says besides (JSON and Parquet only).

    Cells of CSV are text; None is an empty one. In JSON, objects inside a row become columns with dotted names, and
    an object of lists of rows gets a column `space` with their names.
    Raises: InputError, one sentence, for a file that holds no rows of columns.
    """
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".json": _read_json}
    if path.suffix.lower() not in readers:
        raise InputError(f"file {str(path)!r} must end in {', '.join(SUFFIXES)}, so that its format is known")
    try:
        columns, besides = readers[path.suffix.lower()](path)
    except OSError as problem:
        raise InputError(f"file {str(path)!r} cannot be read ({problem.strerror or problem})") from None
    except RecursionError:
        raise InputError(f"file {str(path)!r}: its objects stand too deep in one another") from None
    except (ValueError, csv.Error) as problem:  # also what pyarrow, JSON and UTF-8 raise
        raise InputError(f"file {str(path)!r}: {str(problem).splitlines()[0]}") from None
    if not next(iter(columns.values()), []):
        raise InputError(f"file {str(path)!r} holds no rows; give it a row for each network")
    return columns, besides


def _guarded(cell: Any) -> Any:
    return "'" + cell if isinstance(cell, str) and cell[:1] and cell[0] in _FORMULA else cell


def _unguarded(cell: str) -> str | None:
    return (cell[1:] if cell[:1] == "'" and cell[1:2] and cell[1] in _FORMULA else cell) or None


def _read_csv(path: Path) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    with open(path, encoding="utf-8-sig", newline="") as file:  # with or without a byte order mark
        rows = [row for row in csv.reader(file, strict=True) if row]
    if not rows:
        raise ValueError("it is empty; its first line must name the columns")
    names = [_unguarded(cell) or "" for cell in rows[0]]
    for separator, what in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and separator in names[0]:
            raise ValueError(f"its columns are separated by {what}; write it with commas, and decimals with points")
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise ValueError(f"column {position} has no name in the first line")
        if names.index(name) + 1 < position:
            raise ValueError(f"columns {names.index(name) + 1} and {position} are both named {name!r}; rename one")
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(names):
            raise ValueError(f"row {number} has {len(row)} cells, but {len(names)} columns are named")
    cells = list(zip(*rows[1:], strict=True)) or [()] * len(names)
    return {name: list(map(_unguarded, column)) for name, column in zip(names, cells, strict=True)}, {}


def _read_parquet(path: Path) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    from pyarrow import parquet

    table = parquet.read_table(path)
    names = table.column_names
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two columns are named {name!r}; rename one")
    besides = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    return table.to_pydict(), besides


def _read_json(path: Path) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    data = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_object)
    besides = {}
    if isinstance(data, dict) and "networks" in data:
        besides = {key: value for key, value in data.items() if key != "networks"}
        data = data["networks"]
    if isinstance(data, dict):
        if not all(isinstance(rows, list) and _are_rows(rows) for rows in data.values()):
            raise ValueError("must hold a list of objects, one for each network, or such lists by name")
        data = [{"space": name, **row} for name, rows in data.items() for row in rows]
    if not isinstance(data, list) or not _are_rows(data):
        raise ValueError("must hold a list of objects, one for each network")
    rows = list(map(_flat, data))
    return {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}, (
        besides
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two fields of one object are named {twice!r}; rename one")
    return made


def _are_rows(rows: Sequence[Any]) -> bool:
    return all(isinstance(row, dict) for row in rows)


def _flat(plain: dict[str, Any], where: str = "") -> dict[str, Any]:
    """Return nested fields under dotted names; a spec stays whole."""
    flat: dict[str, Any] = {}
    for name, item in plain.items():
        if isinstance(item, dict) and name not in ("spec", "versions"):
            flat |= _flat(item, f"{where}{name}.")
        else:
            flat[f"{where}{name}"] = item
    return flat
