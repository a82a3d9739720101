"""Images in many files of bounded size that behave like one array: mapped, so that they may exceed the memory.

A shard is a plain `.npy` file of bytes. `Shards` reads from them what is asked for, image by image; `read_ahead` has
threads read the next batches while one is trained. Neither changes a number.
"""

import copy
import hashlib
import tokenize
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace.errors import DataError

ByteArray = npt.NDArray[np.uint8]
IndexArray = npt.NDArray[np.intp]

SHARD_BYTES = 128 * 2**20
"""The size of a shard [bytes] unless said otherwise; each worker that decodes holds so much in memory."""

AHEAD = 2
"""Batches that are read before they are asked for, each by a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One file, named inside a folder: how many images it holds, and the SHA-256 of their bytes."""

    file: str
    images: int
    sha256: str


class Shards:
    """Images `(images, height, width, channels)` that lie in shards; `rows` says which, and in which order.

    It is indexed like an array, by a number, a slice or an array of numbers, and gives arrays.
    Raises: DataError where a shard is missing, or is not what is said of it. No byte of an image is read for that.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, folder: Path, shards: Sequence[Shard], rows: IndexArray | None = None) -> None:
        self.folder = folder
        self.shards = tuple(shards)
        pieces = [mapped(folder / shard.file) for shard in self.shards]
        for shard, piece in zip(self.shards, pieces, strict=True):
            expected = (shard.images, *pieces[0].shape[1:])
            if piece.dtype != np.uint8 or piece.ndim != 4 or piece.shape != expected:
                raise DataError(
                    f"{folder / shard.file}: the packed data is damaged ({piece.dtype} {piece.shape} instead of uint8 "
                    f"{expected})"
                )
        self._pieces = [np.asarray(piece) for piece in pieces]  # as maps they would be slow to index
        self._ends = np.cumsum([shard.images for shard in self.shards], dtype=np.int64)
        self.rows = np.arange(self._ends[-1]) if rows is None else rows
        # By the identity of the array that asks: it is kept, so that no other can have the same.
        self._begun: dict[int, tuple[IndexArray, Future[ByteArray]]] = {}
        known = self.rows.dtype == np.intp and self.rows.ndim == 1
        if not known or (len(self.rows) and not 0 <= self.rows.min() <= self.rows.max() < self._ends[-1]):
            raise DataError(f"{folder}: the packed data is damaged (rows that are none of its {self._ends[-1]} images)")

    @property
    def shape(self) -> tuple[int, ...]:
        """As an array's."""
        return (len(self.rows), *self._pieces[0].shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> ByteArray:
        begun = self._begun.pop(id(index), None)
        return self._read(index) if begun is None else begun[1].result()

    def take(self, indices: IndexArray) -> "Shards":
        """Return the images at some indices, unread."""
        taken = copy.copy(self)
        taken.rows, taken._begun = self.rows[indices], {}
        return taken

    def begin(self, index: IndexArray, pool: Executor) -> None:
        """Have a thread read what will be asked for by this very array."""
        self._begun[id(index)] = index, pool.submit(self._read, index)

    def forget(self) -> None:
        """Forget what was begun and not asked for."""
        self._begun.clear()

    def check_content(self) -> None:
        """Read every shard. Raises: DataError, naming the file, where its images are not those that were written."""
        for shard, piece in zip(self.shards, self._pieces, strict=True):
            if pixel_digest(piece) != shard.sha256:
                raise DataError(
                    f"{self.folder / shard.file}: the packed data is damaged (its images have changed; "
                    "remove the file, and it is made again)"
                )

    def _read(self, index: Any) -> ByteArray:
        rows = self.rows[index]
        found = np.empty((np.size(rows), *self.shape[1:]), np.uint8)
        each = np.atleast_1d(rows)
        pieces = np.searchsorted(self._ends, each, side="right")
        starts = np.concatenate(([0], self._ends))[pieces]
        for place, piece, row in zip(found, pieces.tolist(), (each - starts).tolist(), strict=True):
            place[...] = self._pieces[piece][row]
        return found if np.ndim(rows) else found[0]


Images = ByteArray | Shards
"""Images of a split: an array, perhaps mapped, or shards."""


def mapped(path: Path) -> np.memmap[Any, Any]:
    """Map the array of a .npy file, read-only. Raises: DataError where there is no whole one in C order."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    # NumPy reads the header as Python source: a damaged one can fail in the tokenizer or the parser.
    except (OSError, EOFError, ValueError, SyntaxError, tokenize.TokenError) as problem:
        raise DataError(f"{path}: the packed data is damaged ({problem})") from None
    if not isinstance(array, np.memmap) or not array.flags.c_contiguous:
        raise DataError(f"{path}: the packed data is damaged (not one array in C order)")
    return array


def pixel_digest(images: ByteArray) -> str:
    """Return the SHA-256 of the bytes of images."""
    return hashlib.sha256(images.data).hexdigest()


def read_ahead(images: Images, batches: Iterable[IndexArray]) -> Iterator[IndexArray]:
    """Yield the indices of batches; where the images are in shards, those of the next batches are read meanwhile.

    >>> [chosen.tolist() for chosen in read_ahead(np.zeros((3, 1, 1, 1), np.uint8), np.split(np.arange(3), 3))]
    [[0], [1], [2]]
    """
    if not isinstance(images, Shards):
        yield from batches
        return
    waiting: deque[IndexArray] = deque()
    try:
        with ThreadPoolExecutor(AHEAD) as pool:
            for chosen in batches:
                images.begin(chosen, pool)
                waiting.append(chosen)
                if len(waiting) > AHEAD:
                    yield waiting.popleft()
            yield from waiting
    finally:
        images.forget()
