"""A data set packed once: one .npy file per array and `data.json`, memory-mapped by every worker.

`pack` writes and `open_packed` maps, so that ten thousand trials share one copy in the page cache;
`reuse_or_load` opens a pack that is still true, or loads; `load_packed` packs as well.
"""

import contextlib
import json
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from netspace import values
from netspace.errors import DataError, did_you_mean
from netspace.files import written_aside
from netspace.training.data import (
    PACK_FORMAT,
    SPLITS,
    DataChoice,
    Dataset,
    named_arrays,
    open_source,
    read_and_split,
    source_key,
)
from netspace.training.splits import Split

_RECORD = "data.json"


def pack(dataset: Dataset, folder: Path) -> None:
    """Write a data set to `folder` as one .npy file per array and `data.json`, which is written last.

    A reader therefore sees the old pack or the new one, never a mixture: the arrays carry the fingerprint in
    their names. Those of an older pack are removed. A folder that holds this data set already is left alone.
    Raises: DataError where the folder cannot be written, or the data set was opened without its test split.
    """
    if dataset.test is None:
        raise DataError(f"{folder}: a data set that was opened without its test split cannot be packed")
    if _holds(folder, dataset):
        return
    arrays = named_arrays(dataset.training, dataset.validation, dataset.test)
    record = _Record(
        format=PACK_FORMAT,
        source_key=dataset.source_key,
        choice=dataset.choice,
        class_names=dataset.class_names,
        fingerprint=dataset.fingerprint,
        mean=dataset.mean,
        std=dataset.std,
        notes=dataset.notes,
        shapes={name: array.shape for name, array in arrays.items()},
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in arrays.items():
            with written_aside(record.path(folder, name)) as file:
                np.save(file, np.ascontiguousarray(array), allow_pickle=False)
        with written_aside(folder / _RECORD) as file:
            file.write(json.dumps(values.to_dict(record), indent=1).encode())
        for name in arrays:
            for path in folder.glob(f"{name}-*.npy"):
                if path != record.path(folder, name):
                    # Where an open file cannot be removed, an old array stays; nothing reads it.
                    with contextlib.suppress(OSError):
                        path.unlink()
    except OSError as problem:
        raise DataError(f"{folder}: the packed data cannot be written ({problem.strerror})") from None


def open_packed(folder: Path, splits: Sequence[str] = SPLITS) -> Dataset:
    """Map a packed data set, read-only; `splits` without "test" leave the test split unopened (None).

    Raises: DataError where the pack is missing, or its arrays are not those of its `data.json`.
    """
    for split in splits:
        if split not in SPLITS:
            raise DataError(f"splits (={tuple(splits)!r}) holds {split!r}{did_you_mean(split, SPLITS)}")
    if not {"training", "validation"} <= set(splits):
        raise DataError(f"splits (={tuple(splits)!r}) must hold 'training' and 'validation'")
    record = _Record.read(folder)
    opened = {split: record.open(folder, split) for split in SPLITS if split in splits}
    try:
        return Dataset(
            choice=record.choice,
            class_names=record.class_names,
            training=opened["training"],
            validation=opened["validation"],
            test=opened.get("test"),
            mean=record.mean,
            std=record.std,
            fingerprint=record.fingerprint,
            notes=record.notes,
            source_key=record.source_key,
        )
    except DataError as problem:
        raise DataError(f"{folder}: the packed data is damaged ({problem})") from None


def reuse_or_load(
    choice: DataChoice, folder: Path, *, data_dir: Path | None = None, allow_download: bool = False
) -> Dataset:
    """Open the pack in `folder` where it was made from this choice and these files, else load; write nothing.

    Files count as the same while name, size and time of change are. A damaged pack is left for `pack` to
    write anew, and a note says so.
    Raises: DataError as `load` does.
    """
    source = open_source(choice, data_dir, allow_download)
    note: tuple[str, ...] = ()
    if (folder / _RECORD).exists():
        try:
            if _Record.read(folder).source_key == source_key(choice, source.files()):
                return open_packed(folder)
        except DataError as problem:
            note = (f"packed anew, because of the old pack: {problem}",)
    dataset = read_and_split(choice, source)
    return replace(dataset, notes=dataset.notes + note)


def load_packed(
    choice: DataChoice,
    folder: Path,
    *,
    data_dir: Path | None = None,
    allow_download: bool = False,
    splits: Sequence[str] = SPLITS,
) -> Dataset:
    """Return `reuse_or_load`, packed in `folder` and mapped from there.

    Raises: DataError as `load`, `pack` and `open_packed` do.
    """
    pack(reuse_or_load(choice, folder, data_dir=data_dir, allow_download=allow_download), folder)
    return open_packed(folder, splits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What `data.json` says of a pack; `shapes` are those of the arrays, by name."""

    format: int
    source_key: str | None = None
    choice: DataChoice
    class_names: tuple[str, ...]
    fingerprint: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def read(cls, folder: Path) -> "_Record":
        """Return the record of a pack. Raises: DataError where there is none, or none of this version."""
        path = folder / _RECORD
        try:
            plain = json.loads(path.read_bytes())
        except OSError as problem:
            raise DataError(f"{path}: no packed data can be read here ({problem.strerror})") from None
        except ValueError as problem:
            raise DataError(f"{path}: the packed data is damaged ({problem})") from None
        if not isinstance(plain, dict) or plain.get("format") != PACK_FORMAT:
            raise DataError(f"{path}: not packed data of this version of netspace; pack it anew")
        record = values.from_dict(cls, plain, where=str(path), error=DataError)
        # The fingerprint becomes part of file names, so it must not lead elsewhere.
        if not re.fullmatch("[0-9a-f]{32}", record.fingerprint):
            raise DataError(f"{path}: fingerprint (={record.fingerprint!r}) must be 32 hexadecimal digits")
        return record

    def path(self, folder: Path, name: str) -> Path:
        """Return the file of an array."""
        return folder / f"{name}-{self.fingerprint}.npy"

    def open(self, folder: Path, split: str) -> Split:
        """Map the two arrays of a split. Raises: DataError where they are not what the record says."""
        arrays = []
        for name in (f"{split}-images", f"{split}-labels"):
            path = self.path(folder, name)
            try:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
            # NumPy reads the header as Python source: a damaged one can fail in the tokenizer or the parser.
            except (OSError, EOFError, ValueError, SyntaxError, tokenize.TokenError) as problem:
                raise DataError(f"{path}: the packed data is damaged ({problem})") from None
            if array.shape != self.shapes.get(name) or not array.flags.c_contiguous:
                raise DataError(
                    f"{path}: the packed data is damaged (an array {array.shape} instead of {self.shapes.get(name)})"
                )
            arrays.append(array)
        try:
            return Split(images=arrays[0], labels=arrays[1])
        except DataError as problem:
            raise DataError(f"{folder}: the packed {split} split is damaged ({problem})") from None


def _holds(folder: Path, dataset: Dataset) -> bool:
    """Return whether a folder holds an undamaged pack of this data set, made from the same files."""
    if not (folder / _RECORD).exists():
        return False
    try:
        packed = open_packed(folder)
    except DataError:
        return False
    return (packed.fingerprint, packed.source_key) == (dataset.fingerprint, dataset.source_key)
