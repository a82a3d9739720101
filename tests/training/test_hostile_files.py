"""Files of data that claim more than they hold, or hold more than they seem to: refused before memory is taken.

Nothing of an archive is ever written, so that a path in it leads nowhere.
"""

import gzip
import io
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netspace.errors import DataError
from netspace.training import npz, parquet
from netspace.training.data import DataChoice, load
from tests.training.conftest import alternating, png, write_table

MIB = 2**20


@pytest.fixture
def peak():
    """What the last reading took at most [bytes]."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def archive(path, *members):
    with tarfile.open(path, "w:gz", compresslevel=1) as file:
        for name, kind, size, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, size, link
            file.addfile(info, io.BytesIO(bytes(size)))


@pytest.mark.parametrize("name", ["../../escaped/test_batch.bin", "/tmp/escaped/test_batch.bin", "x/test_batch.bin"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_nothing_of_an_archive_is_written(tmp_path, name, kind):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    archive(folder / "cifar-10-binary.tar.gz", (name, kind, 0, "/etc/passwd"))
    with pytest.raises(DataError, match=r"tar.gz: holds no (data_batch_1|test_batch)\.bin"):
        load(DataChoice(name="cifar10"), data_dir=folder)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["cifar-10-binary.tar.gz"]


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_an_archive_that_unpacks_to_too_much_is_left(tmp_path, monkeypatch, peak, kind):
    """A member, or a header that the reader takes whole: 64 MiB in some 300 kB."""
    monkeypatch.setattr("netspace.training.cifar._LARGEST", MIB)
    archive(tmp_path / "cifar-10-binary.tar.gz", ("x/notes.txt", kind, 64 * MIB, ""))
    tracemalloc.reset_peak()
    with pytest.raises(DataError, match=r"tar.gz: holds more than the 1,048,576 bytes that are read of it$"):
        load(DataChoice(name="cifar10"), data_dir=tmp_path)
    assert peak() < 8 * MIB


def test_gzip_that_unpacks_to_too_much_is_left(tmp_path, monkeypatch, peak):
    monkeypatch.setattr("netspace.training.fashion_mnist._LARGEST", MIB)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{name}-ubyte.gz").write_bytes(gzip.compress(bytes(64 * MIB), 1))
    tracemalloc.reset_peak()
    with pytest.raises(DataError, match=r"ubyte.gz: holds more than the 1,048,576 bytes that are read; no file of"):
        load(DataChoice(name="fashion_mnist"), data_dir=tmp_path)
    assert peak() < 8 * MIB


def npz_file(path, name, shape, held):
    """An archive of arrays, one of which has a header of our making and so many bytes of zeros."""
    np.savez(path, x_test=np.zeros((2, 4, 4), np.uint8), y_test=np.zeros(2, int))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{name}.npy", header.getvalue() + bytes(held))
        file.writestr("y_train.npy", b"")


def test_arrays_that_unpack_to_too_much_are_left(tmp_path, monkeypatch, peak):
    npz_file(tmp_path / "a.npz", "x_train", (64, 1024, 1024), 64 * MIB)
    monkeypatch.setattr(npz, "memory", lambda: 16 * MIB)
    tracemalloc.reset_peak()
    with pytest.raises(DataError, match=r"a.npz: its arrays take 0.1 GiB, and at most 0.0 GiB of this machine's mem"):
        load(DataChoice(name=f"npz:{tmp_path}/a.npz"))
    assert peak() < 8 * MIB


def test_an_array_that_claims_what_it_does_not_hold_takes_no_memory(tmp_path, peak):
    npz_file(tmp_path / "a.npz", "x_train", (4096, 1024, 1024), 100)
    tracemalloc.reset_peak()
    with pytest.raises(DataError, match=r"x_train.npy claims the shape \(4096, 1024, 1024\), and is cut short$"):
        load(DataChoice(name=f"npz:{tmp_path}/a.npz"))
    assert peak() < 8 * MIB


def test_a_name_in_an_npz_file_is_no_path(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    np.savez(folder / "a.npz", **{"../../escaped": np.ones(3)})
    with pytest.raises(DataError, match="must hold x_train and y_train"):
        load(DataChoice(name=f"npz:{folder}/a.npz"))
    assert len(list(tmp_path.rglob("*"))) == 2


def test_more_rows_than_the_memory_holds_are_refused(tmp_path, monkeypatch):
    path = write_table(tmp_path / "a.parquet", alternating(40))
    monkeypatch.setattr(parquet, "memory", lambda: 8 * 8 * 39)
    with pytest.raises(DataError, match=r"a.parquet: claims 40 rows, more than the memory holds$"):
        load(DataChoice(name=f"parquet:{path}", resolution=4))


@pytest.mark.parametrize("what", ["label", "image"])
def test_one_large_value_in_every_row_is_kept_once(tmp_path, what):
    """A file of a few kilobytes, whose column would take 100 MiB."""
    large = png(0, (8, 8)) + bytes(MIB)
    columns = {
        "image": [large if what == "image" else png(i) for i in range(100)],
        "label": ["x" * MIB if what == "label" else f"{i % 2}" for i in range(100)],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", compression="zstd", dictionary_pagesize_limit=2 * MIB)
    assert (tmp_path / "a.parquet").stat().st_size < MIB
    choice = DataChoice(name=f"parquet:{tmp_path}/a.parquet", resolution=4)
    usual = pa.default_memory_pool()
    counting = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(counting)
    try:
        if what == "label":
            with pytest.raises(
                DataError, match=r"a label of 'label' has 1,048,576 bytes, and no class has such a name$"
            ):
                load(choice)
        else:
            assert load(choice).resolution == 4
    finally:
        pa.set_memory_pool(usual)
    assert MIB < counting.max_memory() < 16 * MIB
