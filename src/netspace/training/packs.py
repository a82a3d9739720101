"""A data set packed once: one .npy file per array and `data.json`, memory-mapped by every worker.

`pack` writes and `open_packed` maps, so that ten thousand trials share one copy in the page cache;
`reuse_or_load` opens a pack that is still true, or loads; `load_packed` packs as well. Images that were decoded into
shards of the same folder stay there: the pack says which of them, by their rows, a split has.
"""

import contextlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from netspace import values
from netspace.errors import DataError, did_you_mean
from netspace.files import written_aside
from netspace.training.data import (
    PACK_FORMAT,
    SPLITS,
    DataChoice,
    Dataset,
    content_digest,
    named_arrays,
    open_source,
    pieces,
    read_and_split,
    source_key,
)
from netspace.training.decoding_shards import Room
from netspace.training.shards import Shard, Shards, mapped
from netspace.training.splits import Split

PACK = "data"
"""The folder of a study that holds its pack."""

_RECORD = "data.json"
_ARRAY = re.compile(r"(training|validation|test)-(images|labels|rows)-[0-9a-f]{32}\.npy")
_DECODED = re.compile(r"decoded-[0-9a-f]{32}")
_SHARD = re.compile(_DECODED.pattern + r"/[a-z]+-\d+-\d+\.npy")


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
    shards = {}
    for split in SPLITS:
        images = arrays[f"{split}-images"]
        if isinstance(images, Shards) and images.folder.resolve() == folder.resolve():
            del arrays[f"{split}-images"]
            arrays[f"{split}-rows"] = images.rows
            shards[split] = images.shards
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
        shards=shards,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in arrays.items():
            with written_aside(record.path(folder, name)) as file:
                _save(file, array)
        with written_aside(folder / _RECORD) as file:
            file.write(json.dumps(values.to_dict(record), indent=1).encode())
        _remove_others(folder, record)
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
    choice: DataChoice,
    folder: Path,
    *,
    data_dir: Path | None = None,
    allow_download: bool = False,
    room: Room | None = None,
) -> Dataset:
    """Open the pack in `folder` where it was made from this choice and these files, else load; pack nothing.

    Files count as the same while name, size and time of change are. A damaged pack is left for `pack` to
    write anew, and a note says so. Images that are decoded and exceed the memory go into shards in `folder`; `room`
    says otherwise.
    Raises: DataError as `load` does; ExecutionError where a worker that decodes dies.
    """
    source = open_source(choice, data_dir, allow_download, room or Room(folder=folder))
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
    room: Room | None = None,
) -> Dataset:
    """Return `reuse_or_load`, packed in `folder` and mapped from there.

    Raises: as `reuse_or_load`, `pack` and `open_packed`.
    """
    pack(reuse_or_load(choice, folder, data_dir=data_dir, allow_download=allow_download, room=room), folder)
    return open_packed(folder, splits)


def packed_choice(folder: Path) -> DataChoice | None:
    """Return the choice that a folder's pack was made of; None where there is none that can be read."""
    try:
        return _Record.read(folder).choice
    except DataError:
        return None


def shared_pack(choice: DataChoice, folder: Path) -> Path | None:
    """Return the pack that a study's folder shares with the study around it, whose check or rung it is; None without.

    Such a study lies two folders down, and a rung may share the pack of another rung.
    """
    around = folder.parent.parent / PACK
    if folder.parent.name not in ("checks", "rungs") or (folder / PACK).is_dir():
        return None
    others = (around, *sorted(folder.parent.glob(f"*/{PACK}")))
    return next((other for other in others if packed_choice(other) == choice), None)


def check_packed(folder: Path) -> None:
    """Read every byte of a pack, which opening it does not.

    Raises: DataError, naming the file where it is a shard, if the content is not what was packed.
    """
    dataset = open_packed(folder)
    assert dataset.test is not None
    arrays = named_arrays(dataset.training, dataset.validation, dataset.test)
    if content_digest(dataset.class_names, arrays) != dataset.fingerprint:
        for images in arrays.values():
            if isinstance(images, Shards):
                images.check_content()
        raise DataError(f"{folder}: the packed data is damaged (its content is not that of its fingerprint)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What `data.json` says of a pack; `shapes` are those of the arrays, by name.

    A split whose images lie in `shards` has an array of their rows in place of one of images.
    """

    format: int
    source_key: str | None = None
    choice: DataChoice
    class_names: tuple[str, ...]
    fingerprint: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]
    shards: dict[str, tuple[Shard, ...]] = field(default_factory=dict)

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
        for shard in (shard for shards in record.shards.values() for shard in shards):
            if not _SHARD.fullmatch(shard.file):
                raise DataError(f"{path}: shards.file (={shard.file!r}) must be a file of a folder decoded-...")
        return record

    def path(self, folder: Path, name: str) -> Path:
        """Return the file of an array."""
        return folder / f"{name}-{self.fingerprint}.npy"

    def open(self, folder: Path, split: str) -> Split:
        """Map the images and labels of a split. Raises: DataError where they are not what the record says."""
        shards = self.shards.get(split)
        images = self._mapped(folder, f"{split}-rows" if shards else f"{split}-images")
        labels = self._mapped(folder, f"{split}-labels")
        try:
            return Split(images=Shards(folder, shards, images) if shards else images, labels=labels)
        except DataError as problem:
            raise DataError(f"{folder}: the packed {split} split is damaged ({problem})") from None

    def _mapped(self, folder: Path, name: str) -> Any:
        path, expected = self.path(folder, name), self.shapes.get(name)
        array = mapped(path)
        if array.shape != expected:
            raise DataError(f"{path}: the packed data is damaged (an array {array.shape} instead of {expected})")
        return array


def _save(file: BinaryIO, array: Any) -> None:
    """Write an array as .npy; shards of another folder a few images at a time."""
    if not isinstance(array, Shards):
        np.save(file, np.ascontiguousarray(array), allow_pickle=False)
        return
    header = {"descr": "|u1", "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, header)
    for piece in pieces(array):
        file.write(piece.data)


def _remove_others(folder: Path, record: _Record) -> None:
    """Remove the arrays and shards of an older pack; where an open file cannot be removed, nothing reads it."""
    kept = {record.path(folder, name).name for name in record.shapes}
    kept |= {shard.file.partition("/")[0] for shards in record.shards.values() for shard in shards}
    for path in folder.iterdir():
        if path.name in kept or path.name == _RECORD:
            continue
        if _ARRAY.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()
        elif _DECODED.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _holds(folder: Path, dataset: Dataset) -> bool:
    """Return whether a folder holds an undamaged pack of this data set, made from the same files."""
    if not (folder / _RECORD).exists():
        return False
    try:
        packed = open_packed(folder)
    except DataError:
        return False
    return (packed.fingerprint, packed.source_key) == (dataset.fingerprint, dataset.source_key)
