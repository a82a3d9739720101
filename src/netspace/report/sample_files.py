"""Columns as files that other programs read: CSV and Parquet."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netspace.errors import InputError
from netspace.files import written_aside


def write_csv(columns: Mapping[str, list[Any]], path: Path) -> None:
    """Write columns as CSV in UTF-8, a line of names first; None is an empty cell. Raises: InputError."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(columns)
    lines.writerows(zip(*columns.values(), strict=True))
    write_whole(text.getvalue().encode(), path)


def write_parquet(columns: Mapping[str, list[Any]], path: Path) -> None:
    """Write columns as Parquet; None is a null. Raises: InputError."""
    import pyarrow
    from pyarrow import parquet

    content = io.BytesIO()
    parquet.write_table(pyarrow.table(dict(columns)), content)
    write_whole(content.getvalue(), path)


def write_whole(content: bytes, path: Path) -> None:
    """Write a file so that no reader meets half of it. Raises: InputError where it cannot be written."""
    try:
        with written_aside(path) as file:
            file.write(content)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise InputError(f"{str(path)!r} cannot be written: {reason.lower()}") from None
