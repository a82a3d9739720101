"""Tables of images: Parquet files with a column of encoded images and one of labels, as the Hugging Face Hub has them.

    PATH.parquet                                              unsplit: the test split is carved off later
    PATH/{train,validation,test}-....parquet                  split by a word in the file's name
    PATH/{train,validation,test}/....parquet                  or in its folder's

An image is its file's bytes, or a struct whose field `bytes` holds them; a path in it is never opened. Names of classes
are those that Hugging Face's `datasets` writes into a file, or the labels themselves.

A few bytes can say that a million rows hold one and the same large value. So values that are equal are kept once while
they are read (Arrow's dictionaries), and rows are counted before memory is taken for them.
"""

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace.errors import DataError
from netspace.machine import memory
from netspace.training.datasets import numbered, within
from netspace.training.decoding import EncodedImage
from netspace.training.encoded import Decoding, EncodedSplit, decoded
from netspace.training.parquet_columns import Columns, columns_of
from netspace.training.splits import LabelArray, SourceImages

WORDS = {
    "train": "training",
    "training": "training",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""The split that a word in the name of a file or folder stands for."""

NO_LABEL = -1
"""What the Hub writes for a label that is withheld."""

_AT_ONCE = 256  # [rows]
_LONGEST = 1000
"""The bytes of a label; what is longer is no name of a class."""
_ROW_SHARE = 1 / 8
"""The class numbers of all rows may take this share of the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetImages:
    """The images of a Parquet file, or of all below a folder; `name` begins the sentence of an error.

    `image` and `label` name the columns where the files leave that open.
    """

    path: Path
    name: str
    image: str | None = None
    label: str | None = None
    decoding: Decoding = Decoding()
    validation_share: float = 1 / 6

    def files(self) -> tuple[Path, ...]:
        """Return every file that is read. Raises: DataError where there is none, or no one set of them."""
        return tuple(path for paths in self._splits(Counter()).values() for path in paths)

    def read(self, resolution: int | None) -> SourceImages:
        """Return the images as squares of `resolution` pixels a side.

        Raises: DataError where files are missing or damaged, columns are in doubt, or an image cannot be read.
        """
        notes: Counter[str] = Counter()
        splits = self._splits(notes)
        columns = self._columns(splits)
        labels = {split: self._labels(paths, columns.label) for split, paths in splits.items()}
        for split, given in list(labels.items()):
            if split != "training" and given.dtype.kind in "iu" and np.all(given == NO_LABEL):
                notes[f"images for {split} left out, whose labels are withheld (-1)"] = len(given)
                del labels[split]
        if columns.class_names:
            class_names, numbers = columns.class_names, within(self.name, labels, columns.class_names)
        else:
            class_names, numbers = numbered(self.name, labels)
        return decoded(
            {split: self._encoded(splits[split], columns.image, found) for split, found in numbers.items()},
            self.decoding,
            name=self.name,
            resolution=resolution,
            class_names=class_names,
            ignored=notes,
            files=[path for paths in splits.values() for path in paths],
            column=columns.image,
        )

    def _splits(self, ignored: Counter[str]) -> dict[str, list[Path]]:
        """Return the files of each split; count what is left aside. Raises: DataError."""
        if self.path.is_file():
            return {"training": [self.path]}
        if not self.path.is_dir():
            raise DataError(f"{self.name}: {self.path.absolute()} is neither a file nor a folder")
        found: dict[str | None, list[Path]] = {}
        roots = set()
        for path in sorted(self.path.rglob("*.parquet")):
            inside = path.relative_to(self.path)
            if any(part.startswith(".") for part in inside.parts):
                ignored["hidden files or folders ignored"] += 1
                continue
            found.setdefault(_split_of(inside), []).append(path)
            roots.add("/".join(part for part in inside.parent.parts if _word(part) is None))
        if not found:
            arrow = "; it holds Arrow files: write them with `to_parquet`" * any(self.path.rglob("*.arrow"))
            raise DataError(f"{self.name}: {self.path} holds no Parquet file{arrow}")
        if len(roots) > 1:
            listed = ", ".join(repr(root or ".") for root in sorted(roots))
            raise DataError(f"{self.name}: holds the files of several sets, in the folders {listed}; name one of them")
        unsplit = found.pop(None, [])
        if not found:
            return {"training": unsplit}
        if "training" not in found:
            raise DataError(
                f"{self.name}: no Parquet file is for training, by its name; only for {', '.join(map(str, found))}"
            )
        if unsplit:
            ignored["Parquet files of no known split left out"] = len(unsplit)
        return {split: found[split] for split in ("training", "validation", "test") if split in found}

    def _columns(self, splits: Mapping[str, Sequence[Path]]) -> Columns:
        """Return the columns, the same in every file. Raises: DataError."""
        paths = [path for found in splits.values() for path in found]
        schemas = [_opened(self.name, path).schema_arrow for path in paths]
        columns = columns_of(self.name, schemas[0], self.image, self.label)
        for path, schema in zip(paths, schemas, strict=True):
            for column in (columns.image, columns.label):
                at = schema.get_all_field_indices(column)
                if len(at) != 1 or schema.field(at[0]).type != schemas[0].field(column).type:
                    raise DataError(f"{self.name}: {path.name} has not the column {column!r} that {paths[0].name} has")
        return columns

    def _labels(self, paths: Sequence[Path], column: str) -> npt.NDArray[Any]:
        """Return the labels of some files, as whole numbers or text.

        Raises: DataError where one is missing or too long, or there are more than the memory holds.
        """
        rows = sum(_opened(self.name, path).metadata.num_rows for path in paths)
        if 8 * rows > _ROW_SHARE * memory():
            raise DataError(f"{self.name}: claims {rows:,} rows, more than the memory holds")
        found = []
        for path in paths:
            with _told(self.name, path):
                labels = _opened(self.name, path, column).read(columns=[column]).column(0)
            if labels.null_count:
                raise DataError(f"{self.name}: {path.name} has {labels.null_count} rows without a {column!r}")
            found += [_values(self.name, column, chunk) for chunk in labels.chunks if len(chunk)]
        if not found:
            raise DataError(f"{self.name}: {paths[0].name} holds no row")
        return np.concatenate(found)

    def _encoded(self, paths: Sequence[Path], column: str, labels: LabelArray) -> EncodedSplit:
        ends = np.cumsum([_opened(self.name, path).metadata.num_rows for path in paths]).tolist()

        def part(first: int, stop: int) -> Iterable[EncodedImage]:
            return _Rows(
                name=self.name,
                column=column,
                parts=tuple(
                    (path, max(first - begin, 0), min(stop, end) - begin)
                    for path, begin, end in zip(paths, [0, *ends], ends, strict=False)
                    if begin < stop and first < end
                ),
            )

        return EncodedSplit(labels=labels, part=part)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """The images of some rows: `parts` are files, each with its first row and the one at which to stop."""

    name: str
    column: str
    parts: tuple[tuple[Path, int, int], ...]

    def __iter__(self) -> Iterator[EncodedImage]:
        for path, first, stop in self.parts:
            with _told(self.name, path):
                for row, content in _cells(_opened(self.name, path, self.column), self.column, first, stop):
                    yield EncodedImage(name=f"{path.name} row {row}", open=partial(_bytes, content))


def _cells(file: Any, column: str, first: int, stop: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield number and image of the rows of an open file from `first` up to `stop`; others' row groups are not read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    end = 0
    for group in range(file.num_row_groups):
        row, end = end, end + file.metadata.row_group(group).num_rows
        if end <= first or stop <= row:
            continue
        for batch in file.iter_batches(batch_size=_AT_ONCE, row_groups=[group], columns=[column]):
            cells = batch.column(0)
            if pa.types.is_struct(cells.type):
                cells = pc.struct_field(cells, "bytes")
            for cell in cells:
                if first <= row < stop:
                    yield row, cell.as_py()
                row += 1


def _values(name: str, column: str, labels: Any) -> npt.NDArray[Any]:
    """Return the labels of an Arrow array. Raises: DataError for a text that no class is called by."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(labels.type):
        return np.asarray(labels.to_numpy(zero_copy_only=False))
    if pa.types.is_integer(labels.type.value_type):
        return np.asarray(labels.dictionary_decode().to_numpy(zero_copy_only=False))
    longest = pc.max(pc.binary_length(labels.dictionary)).as_py() or 0
    if longest > _LONGEST:
        raise DataError(f"{name}: a label of {column!r} has {longest:,} bytes, and no class has such a name")
    texts: npt.NDArray[Any] = np.array(labels.dictionary.to_pylist(), dtype=np.str_)
    return np.asarray(texts[labels.indices.to_numpy(zero_copy_only=False)])


def _opened(name: str, path: Path, column: str = "") -> Any:
    """Return an open file; equal texts or bytes of `column` are kept once."""
    import pyarrow.parquet as pq

    with _told(name, path):
        file = pq.ParquetFile(path)
        leaves = [file.schema.column(i).path for i in range(len(file.schema))] if column else []
        once = [leaf for leaf in leaves if leaf in (column, f"{column}.bytes")]
        return pq.ParquetFile(path, metadata=file.metadata, read_dictionary=once) if once else file


@contextmanager
def _told(name: str, path: Path) -> Iterator[None]:
    """Tell what pyarrow finds wrong with a file in one sentence. Raises: DataError."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as problem:
        said = " ".join(str(problem).split())
        raise DataError(f"{name}: {path.name} cannot be read as Parquet ({said})") from None


def _split_of(inside: Path) -> str | None:
    """Return the split of a file by its name, or by the folder that is nearest to it.

    >>> _split_of(Path("data/train-00000-of-00002.parquet")), _split_of(Path("default/test/0000.parquet"))
    ('training', 'test')
    """
    return next((split for part in (inside.stem, *inside.parent.parts[::-1]) if (split := _word(part))), None)


def _word(name: str) -> str | None:
    return next((WORDS[word] for word in re.split("[^a-z]+", name.lower()) if word in WORDS), None)


def _bytes(content: bytes | None) -> io.BytesIO:
    if content is None:
        raise ValueError("its row holds no bytes")
    return io.BytesIO(content)
