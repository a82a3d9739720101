import errno
import gzip
import hashlib
import os
import socket
import struct
from pathlib import Path

import numpy as np
import pytest

from netspace.errors import DataError
from netspace.training.data import DataChoice, load
from netspace.training.fashion_mnist import SHA256, FashionMnist

NAMES = tuple(SHA256)
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = NAMES
CHOICE = DataChoice(name="fashion_mnist")


def idx(array):
    header = struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def contents(training=120, test=20):
    """Four small files of the right form, as name -> bytes."""
    generator = np.random.default_rng(0)
    files = {}
    for count, images, labels in [(training, TRAIN_IMAGES, TRAIN_LABELS), (test, TEST_IMAGES, TEST_LABELS)]:
        files[images] = idx(generator.integers(0, 256, (count, 28, 28)))
        files[labels] = idx(np.arange(count) % 10)
    return files


def write(folder, files, zipped=()):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if name in zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "data", contents())
    return tmp_path / "data"


class TestRead:
    def test_small_files(self, folder):
        data = load(CHOICE, data_dir=folder)
        assert data.training.images.shape == (110, 28, 28, 1)
        assert (len(data.validation), len(data.test)) == (10, 20)
        assert np.all(np.bincount(data.validation.labels) == 1)
        assert np.all(np.bincount(data.training.labels) == 11)
        assert data.class_names[9] == "Ankle boot"
        assert (data.in_channels, data.num_classes, data.resolution) == (1, 10, 28)

    def test_pixels_and_labels_stay_together(self, folder):
        raw = contents()
        images = np.frombuffer(raw[TRAIN_IMAGES], np.uint8, offset=16).reshape(-1, 28, 28)
        data = load(CHOICE, data_dir=folder)
        for part in (data.training, data.validation):
            for image, label in zip(part.images, part.labels, strict=True):
                (place,) = np.flatnonzero((images == image[..., 0]).all((1, 2)))
                assert place % 10 == label

    def test_gzip_or_not_is_the_same(self, folder, tmp_path):
        write(tmp_path / "zipped", contents(), zipped=NAMES)
        assert load(CHOICE, data_dir=tmp_path / "zipped").fingerprint == load(CHOICE, data_dir=folder).fingerprint

    def test_other_files_than_the_official_are_noted(self, folder):
        assert load(CHOICE, data_dir=folder).notes == (
            f"not the official Fashion-MNIST, by their SHA-256: {', '.join(NAMES)}",
        )

    def test_resolution(self, folder):
        data = load(DataChoice(name="fashion_mnist", resolution=12), data_dir=folder)
        assert data.training.images.shape == (110, 12, 12, 1)
        assert data.test.images.shape == (20, 12, 12, 1)
        assert "images were resized from 28 to 12 pixels a side (bilinear)" in data.notes

    def test_environment_variable_names_the_folder(self, folder, monkeypatch):
        monkeypatch.setenv("NETSPACE_DATA", str(folder))
        assert len(load(CHOICE).test) == 20

    def test_argument_goes_before_the_environment(self, folder, monkeypatch, tmp_path):
        monkeypatch.setenv("NETSPACE_DATA", str(tmp_path / "nowhere"))
        assert len(load(CHOICE, data_dir=folder).test) == 20


class TestMissing:
    @pytest.mark.parametrize("value", [None, ""])
    @pytest.mark.parametrize("allow_download", [False, True])
    def test_no_folder(self, monkeypatch, value, allow_download):
        monkeypatch.delenv("NETSPACE_DATA", raising=False)
        if value is not None:
            monkeypatch.setenv("NETSPACE_DATA", value)
        with pytest.raises(
            DataError,
            match=r"^fashion_mnist: no data folder is set; .*--download.*--data-dir or NETSPACE_DATA$",
        ):
            load(CHOICE, allow_download=allow_download)

    @pytest.mark.parametrize("name", NAMES)
    def test_one_file(self, folder, name):
        (folder / name).unlink()
        with pytest.raises(
            DataError,
            match=rf"^fashion_mnist: {name} \(or {name}.gz\) is not in {folder}; name its folder with "
            r"--data-dir or NETSPACE_DATA, or fetch it with --download$",
        ):
            load(CHOICE, data_dir=folder)


class TestDamage:
    @pytest.mark.parametrize(
        ("name", "content", "sentence"),
        [
            (
                TRAIN_IMAGES,
                b"PK\x03\x04" + bytes(100),
                r"begins with the magic number 1347093252, but .* has 2051$",
            ),
            (TRAIN_LABELS, contents()[TRAIN_IMAGES], r"begins with the magic number 2051, but .* has 2049$"),
            (TEST_IMAGES, b"", r"begins with the magic number 0, but a file of its kind has 2051$"),
            (TEST_IMAGES, contents()[TEST_IMAGES][:9], r"ends after 9 bytes, inside its header of 16$"),
            (
                TEST_IMAGES,
                contents()[TEST_IMAGES][:-1],
                r"is 15695 bytes long, but its header .* asks for 15696$",
            ),
            (
                TEST_LABELS,
                contents()[TEST_LABELS] + b"\0",
                r"is 29 bytes long, but its header .* asks for 28$",
            ),
            (TRAIN_IMAGES, idx(np.zeros((120, 28, 27))), r"images are 28 x 27 pixels, not 28 x 28$"),
            (
                TRAIN_LABELS,
                idx(np.zeros(119)),
                r"holds 119 labels, but train-images-idx3-ubyte holds 120 images$",
            ),
            (TEST_LABELS, idx(np.full(20, 10)), r"label 0 is 10, but labels are from 0 to 9$"),
            (TEST_LABELS, idx(np.zeros(0)), r"holds nothing \(sizes \(0,\)\)$"),
        ],
    )
    def test_content(self, folder, name, content, sentence):
        (folder / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"^{folder / name}: {sentence}"):
            load(CHOICE, data_dir=folder)

    @pytest.mark.parametrize("damage", ["short", "flipped", "trailing"])
    def test_gzip(self, folder, damage):
        packed = bytearray(gzip.compress((folder / TRAIN_IMAGES).read_bytes()))
        (folder / TRAIN_IMAGES).unlink()
        if damage == "short":
            del packed[-2000:]
        elif damage == "flipped":
            packed[len(packed) // 2] ^= 0xFF
        else:
            packed += b"not gzip"
        path = folder / f"{TRAIN_IMAGES}.gz"
        path.write_bytes(packed)
        with pytest.raises(DataError, match=rf"^{path}: the gzip data is damaged \(.*\); fetch the file again$"):
            load(CHOICE, data_dir=folder)

    def test_permission(self, folder, monkeypatch):
        def refuse(path, mode):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        # Not by chmod: permissions do not bind root, as whom a container often runs.
        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(DataError, match=rf"^{folder / TRAIN_IMAGES}: cannot be read \(Permission denied\)$"):
            load(CHOICE, data_dir=folder)

    def test_class_without_images(self, folder):
        (folder / TRAIN_LABELS).write_bytes(idx(np.arange(120) % 9))
        with pytest.raises(DataError, match=r"class 'Ankle boot' keeps 0 training and 0 validation of its 0 images"):
            load(CHOICE, data_dir=folder)


class TestDownload:
    def source(self, tmp_path, address, checksums):
        return FashionMnist(folder=tmp_path / "new" / "data", allow_download=True, address=address, checksums=checksums)

    def checksums(self):
        return {name: hashlib.sha256(content).hexdigest() for name, content in contents().items()}

    def test_fetches_what_is_missing_once(self, served, tmp_path):
        folder, address = served
        write(folder, contents(), zipped=NAMES)
        source = self.source(tmp_path, address, self.checksums())
        source.folder.mkdir(parents=True)
        own = idx(np.arange(20) % 10)
        (source.folder / TEST_LABELS).write_bytes(own)
        files = source.files()
        assert [path.name for path in files] == [f"{name}.gz" for name in NAMES[:3]] + [TEST_LABELS]
        assert sorted(path.name for path in source.folder.iterdir()) == sorted(path.name for path in files)
        assert len(source.read(None).training) == 120
        for path in folder.iterdir():
            path.unlink()
        assert source.files() == files

    @pytest.mark.parametrize(
        "packed", [gzip.compress(b"another file", mtime=0), b"<html>no gzip</html>", b"\x1f\x8b\x08"]
    )
    def test_wrong_file_leaves_nothing(self, served, tmp_path, packed):
        folder, address = served
        (folder / f"{TRAIN_IMAGES}.gz").write_bytes(packed)
        source = self.source(tmp_path, address, SHA256)
        with pytest.raises(
            DataError,
            match=rf"^fashion_mnist: {address}{TRAIN_IMAGES}.gz is not the file it should be \(SHA-256 of "
            rf"its decompressed bytes: .*, not {SHA256[TRAIN_IMAGES]}\); nothing was kept$",
        ):
            source.files()
        assert not source.folder.exists()

    def test_official_checksums_are_the_default(self):
        assert FashionMnist(folder=None).checksums is SHA256

    def test_missing_on_the_server(self, served, tmp_path):
        _, address = served
        with pytest.raises(
            DataError,
            match=rf"{TRAIN_IMAGES}.gz cannot be fetched \(HTTP Error 404: .*\); put {TRAIN_IMAGES}.gz into",
        ):
            self.source(tmp_path, address, SHA256).files()

    def test_no_network(self, tmp_path, monkeypatch):
        monkeypatch.setenv("no_proxy", "*")
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            source = self.source(tmp_path, f"http://127.0.0.1:{port}", SHA256)
            with pytest.raises(DataError, match=r"cannot be fetched \(.*refused.*\); put .* by other means$"):
                source.files()
        assert not source.folder.exists()

    def test_folder_that_cannot_be_made(self, served, tmp_path):
        folder, address = served
        write(folder, contents(), zipped=NAMES)
        (tmp_path / "new").write_text("a file stands where the folder should")
        with pytest.raises(DataError, match=rf"^fashion_mnist: .*{TRAIN_IMAGES}.gz cannot be written \(.*\)$"):
            self.source(tmp_path, address, self.checksums()).files()


@pytest.fixture(scope="module")
def data():
    if not os.environ.get("NETSPACE_DATA"):
        pytest.skip("NETSPACE_DATA is not set: the real Fashion-MNIST is not at hand")
    return load(CHOICE)


class TestRealSet:
    def test_sizes_and_balance(self, data):
        assert (len(data.training), len(data.validation), len(data.test)) == (55000, 5000, 10000)
        assert np.all(np.bincount(data.training.labels) == 5500)
        assert np.all(np.bincount(data.validation.labels) == 500)
        assert np.all(np.bincount(data.test.labels) == 1000)

    def test_official_mean_and_std(self, data):
        both = np.concatenate([data.training.images, data.validation.images])
        histogram = np.bincount(both.ravel(), minlength=256)
        values = np.arange(256) / 255
        mean = histogram @ values / both.size
        assert mean == pytest.approx(0.28604, abs=5e-6)
        assert np.sqrt(histogram @ (values - mean) ** 2 / both.size) == pytest.approx(0.35302, abs=5e-6)

    def test_mean_and_std_are_of_the_training_split(self, data):
        assert data.mean == pytest.approx((0.2862022,), abs=1e-7)
        assert data.std == pytest.approx((0.3531039,), abs=1e-7)

    def test_fingerprint(self, data):
        assert data.fingerprint == "4b665b37179341795437fdf2a01bc94f"
        assert data.notes == ()
