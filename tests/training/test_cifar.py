import hashlib
import io
import tarfile

import numpy as np
import pytest

from netspace.errors import DataError
from netspace.training.cifar import DISTRIBUTIONS, Cifar
from netspace.training.data import DataChoice, load


def records(name, count, start=0):
    """Records of one file: red pixels are the image's own number, green and blue ones count rows and columns."""
    shipped = DISTRIBUTIONS[name]
    rows = np.zeros((count, shipped.label_bytes + 3072), np.uint8)
    rows[:, 0] = 7  # CIFAR-100's coarse class, which nothing reads
    rows[:, shipped.label_bytes - 1] = np.arange(count) % shipped.classes
    rows[:, shipped.label_bytes : -2048] = (start + np.arange(count) % 200)[:, np.newaxis]
    rows[:, -2048:-1024] = np.repeat(np.arange(32), 32)
    rows[:, -1024:] = np.tile(np.arange(32), 32)
    return rows.tobytes()


def contents(name, training=20, test=10):
    """Small files of the right form, as name -> bytes."""
    shipped = DISTRIBUTIONS[name]
    each = training if len(shipped.training) > 1 else 5 * training * shipped.classes // 10
    files = {file: records(name, each, 10 * place) for place, file in enumerate(shipped.training)}
    files[shipped.test] = records(name, test * (shipped.classes // 10))
    files[shipped.class_names] = "\n".join(f"class_{number}" for number in range(shipped.classes)).encode() + b"\n\n"
    return files


def archive(name, files, *, folder=None):
    """The archive of some files, as bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        for member, content in files.items():
            info = tarfile.TarInfo(f"{folder or DISTRIBUTIONS[name].folder}/{member}")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(("name", "classes", "images"), [("cifar10", 10, 90), ("cifar100", 100, 900)])
class TestRead:
    def test_files_of_a_folder(self, tmp_path, name, classes, images):
        data = load(DataChoice(name=name), data_dir=write(tmp_path, contents(name)))
        assert data.training.images.shape == (images, 32, 32, 3)
        assert (data.num_classes, data.class_names[-1]) == (classes, f"class_{classes - 1}")
        assert len(data.validation) == images / 9
        assert len(data.test) == classes
        # Red is the image's own number, green its row, blue its column: all pixels stand where they should.
        assert np.array_equal(np.unique(data.test.images[5, ..., 0]), [5])
        assert np.all(data.test.images[..., 1] == np.arange(32)[:, np.newaxis])
        assert np.all(data.test.images[..., 2] == np.arange(32))
        assert np.all(data.test.labels == np.arange(classes))
        assert data.notes == ()

    def test_folder_in_the_folder_and_archive_are_the_same(self, tmp_path, name, classes, images):
        files, shipped = contents(name), DISTRIBUTIONS[name]
        inside = load(DataChoice(name=name), data_dir=write(tmp_path / "a" / shipped.folder, files).parent)
        packed = write(tmp_path / "b", {shipped.archive: archive(name, files, folder="../../outside")})
        unpacked = load(DataChoice(name=name), data_dir=packed)
        assert inside.fingerprint == unpacked.fingerprint
        assert unpacked.notes == (f"not the official {shipped.archive}, by its SHA-256",)
        assert [
            path.name for path in tmp_path.rglob("*") if path.is_file() and path.parent.parent != tmp_path / "a"
        ] == [shipped.archive]  # nothing of the archive was written, wherever its names lead


def test_resolution(tmp_path):
    data = load(DataChoice(name="cifar10", resolution=8), data_dir=write(tmp_path, contents("cifar10")))
    assert data.training.images.shape == (90, 8, 8, 3)
    assert data.test.images[3, 0, 0, 0] == 3
    assert data.notes == ("images were resized from 32 to 8 pixels a side (bilinear)",)


class TestRefused:
    @pytest.mark.parametrize(
        ("file", "content", "sentence"),
        [
            ("data_batch_3.bin", bytes(3072), "data_batch_3.bin is 3072 bytes long, but must be .* records of 3073$"),
            ("test_batch.bin", b"", "test_batch.bin is 0 bytes long, but must be one or more records of 3073$"),
            ("test_batch.bin", b"\x0a" + bytes(3072), "test_batch.bin: label 0 is 10, but labels are from 0 to 9$"),
            ("batches.meta.txt", b"a\nb\nb\n", "batches.meta.txt must hold 10 different names, but holds 2$"),
        ],
    )
    def test_content(self, tmp_path, file, content, sentence):
        write(tmp_path, contents("cifar10") | {file: content})
        with pytest.raises(DataError, match=rf"^{tmp_path}: {sentence}"):
            load(DataChoice(name="cifar10"), data_dir=tmp_path)

    def test_one_file_missing(self, tmp_path):
        (write(tmp_path, contents("cifar10")) / "data_batch_2.bin").unlink()
        with pytest.raises(DataError, match=rf"^cifar10: data_batch_2.bin is not in {tmp_path}; .* with --download$"):
            load(DataChoice(name="cifar10"), data_dir=tmp_path)

    def test_nothing_there(self, tmp_path):
        sentence = r"^cifar100: cifar-100-binary.tar.gz \(or its folder cifar-100-binary\) is not in .* --download$"
        with pytest.raises(DataError, match=sentence):
            load(DataChoice(name="cifar100"), data_dir=tmp_path)

    def test_no_folder(self, monkeypatch):
        monkeypatch.delenv("NETSPACE_DATA", raising=False)
        with pytest.raises(
            DataError, match=r"^cifar10: no data folder is set; .*cifar-10-binary.tar.gz with --data-dir"
        ):
            load(DataChoice(name="cifar10"))

    def unpack(self, tmp_path, content):
        write(tmp_path, {"cifar-10-binary.tar.gz": content})
        load(DataChoice(name="cifar10"), data_dir=tmp_path)

    @pytest.mark.parametrize("damage", ["no gzip", "short"])
    def test_damaged_archive(self, tmp_path, damage):
        packed = archive("cifar10", contents("cifar10"))
        with pytest.raises(DataError, match=r"tar.gz: the archive is damaged \(.*\); fetch the file again$"):
            self.unpack(tmp_path, b"PK" if damage == "no gzip" else packed[: len(packed) // 2])

    def test_archive_without_a_file(self, tmp_path):
        files = contents("cifar10")
        del files["test_batch.bin"]
        with pytest.raises(DataError, match=r"tar.gz: holds no test_batch.bin; fetch the file again$"):
            self.unpack(tmp_path, archive("cifar10", files))

    def test_archive_with_a_file_twice(self, tmp_path):
        files = contents("cifar10")
        with pytest.raises(DataError, match=r"tar.gz: holds test_batch.bin twice; fetch the file again$"):
            self.unpack(tmp_path, archive("cifar10", files | {"again/test_batch.bin": b"x"}))

    def test_link_in_an_archive_is_no_file(self, tmp_path):
        files = contents("cifar10")
        del files["test_batch.bin"]
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as file:
            link = tarfile.TarInfo("x/test_batch.bin")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            file.addfile(link)
        with pytest.raises(DataError, match=r"tar.gz: holds no data_batch_1.bin"):
            self.unpack(tmp_path, packed.getvalue())

    def test_archive_that_is_too_large(self, tmp_path, monkeypatch):
        monkeypatch.setattr("netspace.training.cifar._LARGEST", 30_000)
        with pytest.raises(DataError, match=r"tar.gz: holds more than the 30,000 bytes that are read of it$"):
            self.unpack(tmp_path, archive("cifar10", contents("cifar10")))


class TestDownload:
    def test_is_kept_if_right(self, served, tmp_path):
        folder, address = served
        packed = archive("cifar10", contents("cifar10"))
        write(folder, {"cifar-10-binary.tar.gz": packed})
        kept = tmp_path / "new"
        source = Cifar(
            name="cifar10",
            folder=kept,
            allow_download=True,
            address=address,
            sha256=hashlib.sha256(packed).hexdigest(),
        )
        assert source.files() == (kept / "cifar-10-binary.tar.gz",)
        assert len(source.read(None).training) == 100
        (folder / "cifar-10-binary.tar.gz").unlink()
        assert len(source.read(None).test) == 10

    def test_another_file_leaves_nothing(self, served, tmp_path):
        folder, address = served
        write(folder, {"cifar-100-binary.tar.gz": archive("cifar100", contents("cifar100"))})
        source = Cifar(name="cifar100", folder=tmp_path / "new", allow_download=True, address=address)
        official = DISTRIBUTIONS["cifar100"].sha256
        with pytest.raises(DataError, match=rf"is not the file it should be \(.*, not {official}\); nothing was kept$"):
            source.files()
        assert not source.folder.exists()

    def test_missing_on_the_server(self, served, tmp_path):
        source = Cifar(name="cifar10", folder=tmp_path, allow_download=True, address=served[1])
        with pytest.raises(DataError, match=r"^cifar10: .* cannot be fetched \(HTTP Error 404: .*\); put .* by other"):
            source.files()
