import errno
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from netspace import values
from netspace.errors import DataError
from netspace.training import data as module
from netspace.training import packs
from netspace.training.data import DataChoice, Dataset, load
from netspace.training.image_folder import ImageFolder
from netspace.training.packs import load_packed, open_packed, pack, reuse_or_load
from netspace.training.splits import Split

DIGITS = DataChoice(name="digits")


def rows(split):
    """Each image of a split with its label, as bytes."""
    return {image.tobytes() + bytes([label]) for image, label in zip(split.images, split.labels, strict=True)}


def equal(one, other):
    return np.array_equal(one.images, other.images) and np.array_equal(one.labels, other.labels)


@pytest.fixture(scope="module")
def digits():
    return load(DIGITS)


class TestDataChoice:
    @pytest.mark.parametrize("name", ["digits", "fashion_mnist"])
    def test_named(self, name):
        choice = DataChoice(name=name)
        assert (choice.resolution, choice.validation_share, choice.training_share) == (None, None, 1.0)

    def test_round_trip_through_plain_data(self):
        choice = DataChoice(name="folder:a b/c:d", resolution=96, validation_share=0.25, grayscale=True)
        assert values.from_dict(DataChoice, values.to_dict(choice)) == choice

    @pytest.mark.parametrize(
        ("plain", "sentence"),
        [
            ({"name": "digits", "resolutions": 8}, "data.resolutions: .*did you mean 'resolution'?"),
            ({"name": "digits", "resolution": "8"}, r"data.resolution \(='8'\): .*integer"),
            ({"name": "digits", "resolution": 8.5}, r"data.resolution \(=8.5\): .*integer"),
            ({"name": "mnist_fashion"}, r"data.name \(='mnist_fashion'\) is no data set"),
            ({}, "data.name: missing"),
        ],
    )
    def test_from_a_study_file(self, plain, sentence):
        with pytest.raises(DataError, match=sentence):
            values.from_dict(DataChoice, plain, where="data", error=DataError)

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"name": "digit"}, "name (='digit') is no data set; did you mean 'digits'?"),
            (
                {"name": "fashion-mnist"},
                "name (='fashion-mnist') is no data set; did you mean 'fashion_mnist'?",
            ),
            (
                {"name": "imagenet"},
                "name (='imagenet') is no data set; known: cifar10, cifar100, digits, fashion_mnist, folder:PATH, "
                "hub:OWNER/NAME, npz:PATH, parquet:PATH",
            ),
            ({"name": "digits:8"}, "name (='digits:8') is no data set; did you mean 'digits'?"),
            ({"name": "folder:"}, "name (='folder:') must give a path, as in 'folder:PATH'"),
            ({"name": "folder"}, "name (='folder') must give a path, as in 'folder:PATH'"),
            (
                {"name": "folder:x"},
                "resolution (=None) must be given for 'folder:x', whose images may differ in size; for example 96",
            ),
            ({"name": "digits", "resolution": 0}, "resolution (=0) must be a whole number of at least 1"),
            ({"name": "digits", "resolution": 8.5}, "resolution (=8.5) must be a whole number"),
            (
                {"name": "digits", "validation_share": 0.0},
                "validation_share (=0.0) must be above 0 and at most 0.9",
            ),
            (
                {"name": "digits", "validation_share": 1.0},
                "validation_share (=1.0) must be above 0 and at most 0.9",
            ),
            (
                {"name": "digits", "training_share": 0.0},
                "training_share (=0.0) must be above 0 and at most 1",
            ),
            (
                {"name": "digits", "training_share": 1.1},
                "training_share (=1.1) must be above 0 and at most 1",
            ),
            (
                {"name": "digits", "training_share": float("nan")},
                "training_share (=nan) must be a finite number",
            ),
            (
                {"name": "digits", "grayscale": True},
                "grayscale (=True) is for folder:PATH, parquet:PATH, hub:OWNER/NAME only; leave it out for 'digits'",
            ),
            (
                {"name": "fashion_mnist", "skip_unreadable": True},
                "skip_unreadable (=True) is for folder:PATH, parquet:PATH, hub:OWNER/NAME only; leave it out for "
                "'fashion_mnist'",
            ),
        ],
    )
    def test_refused_in_one_sentence(self, fields, sentence):
        with pytest.raises(DataError) as caught:
            DataChoice(**fields)
        assert str(caught.value) == sentence


class TestDigits:
    def test_sizes(self, digits):
        assert [len(part) for part in (digits.training, digits.validation, digits.test)] == [1000, 500, 297]
        assert digits.training.images.shape == (1000, 8, 8, 1)
        assert (digits.name, digits.resolution, digits.in_channels, digits.num_classes) == (
            "digits",
            8,
            1,
            10,
        )
        assert digits.class_names == tuple("0123456789")
        assert digits.notes == ()

    def test_values(self, digits):
        from sklearn.datasets import load_digits

        bunch = load_digits()
        assert np.array_equal(digits.test.labels, bunch.target[-297:])
        scaled = digits.test.images[..., 0].astype(float) * 16 / 255
        assert np.max(np.abs(scaled - bunch.images[-297:])) < 16 / 255
        assert set(np.unique(digits.training.images)) == {round(value * 255 / 16) for value in range(17)}

    def test_every_image_is_in_one_split(self, digits):
        from sklearn.datasets import load_digits

        parts = (digits.training, digits.validation, digits.test)
        found = np.concatenate([part.images.reshape(len(part), -1) for part in parts])
        expected = np.rint(load_digits().data * 255 / 16)
        order, expected_order = np.lexsort(found.T), np.lexsort(expected.T)
        assert np.array_equal(found[order], expected[expected_order])

    def test_stratified(self, digits):
        counts = np.bincount(digits.training.labels) + np.bincount(digits.validation.labels)
        assert np.all(np.abs(np.bincount(digits.validation.labels) - counts / 3) <= 1)

    def test_golden(self, digits):
        """A change here makes every stored trial on digits stale, so it must be meant."""
        assert digits.fingerprint == "54d2c910109033249cc0b69ff6ec0fdc"
        assert digits.mean == pytest.approx((0.3054762867647059,), abs=1e-15)
        assert digits.std == pytest.approx((0.3751115100113791,), abs=1e-15)

    def test_mean_and_std_are_of_the_training_split(self, digits):
        pixels = digits.training.images / 255
        assert digits.mean == pytest.approx((pixels.mean(),))
        assert digits.std == pytest.approx((pixels.std(),))

    def test_fresh_interpreter_gives_the_same_and_loads_no_framework(self, digits):
        script = (
            "import sys\n"
            "from netspace.training.data import DataChoice, load\n"
            "heavy = {'torch', 'jax', 'tensorflow', 'sklearn', 'PIL', 'pydantic'} & set(sys.modules)\n"
            "print(sorted(heavy), load(DataChoice(name='digits')).fingerprint)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True, env={**os.environ}
        )
        assert done.stdout.split("\n")[0] == f"[] {digits.fingerprint}"

    def test_resolution(self):
        data = load(replace(DIGITS, resolution=12))
        assert data.training.images.shape == (1000, 12, 12, 1)
        assert data.test.images.shape == (297, 12, 12, 1)
        assert data.notes == ("images were resized from 8 to 12 pixels a side (bilinear)",)

    def test_own_resolution_is_no_change(self, digits):
        assert load(replace(DIGITS, resolution=8)).fingerprint == digits.fingerprint

    @settings(max_examples=10, deadline=None)
    @given(st.floats(0.05, 1.0), st.floats(0.05, 1.0))
    def test_training_shares_nest(self, one, other):
        small, large = (load(replace(DIGITS, training_share=share)) for share in sorted([one, other]))
        assert rows(small.training) <= rows(large.training)
        assert rows(small.validation) == rows(large.validation)
        assert rows(small.test) == rows(large.test)

    def test_validation_share(self):
        data = load(replace(DIGITS, validation_share=0.1))
        assert (len(data.training), len(data.validation)) == (1350, 150)

    def test_class_left_without_images(self):
        with pytest.raises(DataError, match=r"^digits: class '\d' keeps 0 training and \d+ validation of its \d+"):
            load(replace(DIGITS, training_share=0.001))


class TestFingerprint:
    def test_every_part_counts(self, digits):
        choices = [
            DIGITS,
            replace(DIGITS, training_share=0.5),
            replace(DIGITS, validation_share=0.5),
            replace(DIGITS, resolution=9),
        ]
        assert len({load(choice).fingerprint for choice in choices}) == 4

    def test_class_names_and_single_pixels_count(self, digits):
        arrays = module.named_arrays(digits.training, digits.validation, digits.test)
        assert module.content_digest(digits.class_names, arrays) == digits.fingerprint
        assert module.content_digest(("zero", *digits.class_names[1:]), arrays) != digits.fingerprint
        for name in arrays:
            changed = arrays[name].copy()
            changed.flat[-1] ^= 1
            assert module.content_digest(digits.class_names, {**arrays, name: changed}) != digits.fingerprint

    def test_shapes_count(self, digits):
        arrays = module.named_arrays(digits.training, digits.validation, digits.test)
        flat = {**arrays, "test-images": arrays["test-images"].reshape(-1, 4, 16, 1)}
        assert module.content_digest(digits.class_names, flat) != digits.fingerprint


class TestDataset:
    def part(self, labels, shape=(4, 4, 1)):
        labels = np.array(labels, np.int64)
        return Split(images=np.zeros((len(labels), *shape), np.uint8), labels=labels)

    def dataset(self, **fields):
        plain = {
            "choice": DIGITS,
            "class_names": ("a", "b"),
            "training": self.part([0, 1]),
            "validation": self.part([0, 1]),
            "test": self.part([0, 1]),
            "mean": (0.0,),
            "std": (1.0,),
            "fingerprint": "0" * 32,
        }
        return Dataset(**{**plain, **fields})

    def test_parts_that_fit(self):
        assert self.dataset(test=None).num_classes == 2

    @pytest.mark.parametrize(
        ("field", "shape", "labels", "sentence"),
        [
            ("validation", (5, 5, 1), [0, 1], r"validation images are \(5, 5, 1\), but must be \(4, 4, 1\)"),
            ("test", (4, 4, 3), [0, 1], r"test images are \(4, 4, 3\), but must be \(4, 4, 1\)"),
            ("training", (4, 6, 1), [0, 1], r"training images are \(4, 6, 1\), but must be \(4, 4, 1\)"),
            ("test", (4, 4, 1), [0, 2], "test labels are from 0 to 2, but must be from 0 to 1"),
            ("training", (4, 4, 1), [-1, 1], "training labels are from -1 to 1, but must be from 0 to 1"),
        ],
    )
    def test_parts_that_do_not_fit(self, field, shape, labels, sentence):
        with pytest.raises(DataError, match=sentence):
            self.dataset(**{field: self.part(labels, shape)})

    def test_mean_of_another_number_of_channels(self):
        with pytest.raises(DataError, match="mean and std must have 1 numbers, one for each channel"):
            self.dataset(mean=(0.0, 0.0, 0.0))

    def test_constant_channel_has_std_one_and_a_note(self, tmp_path):
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            for index in range(12):
                pixels = np.full((4, 4, 3), (index, 7, 9 * index), np.uint8)
                Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
        data = load(DataChoice(name=f"folder:{tmp_path}", resolution=4))
        assert data.std[1] == 1.0
        assert data.mean[1] == pytest.approx(7 / 255)
        assert min(data.std) > 0
        assert "channel 1 is constant over the training images: its std is taken as 1" in data.notes


@pytest.fixture
def folder(tmp_path, digits):
    """A folder that holds digits, packed."""
    load_packed(DIGITS, tmp_path / "pack")
    return tmp_path / "pack"


def file_of(folder, name):
    (path,) = folder.glob(f"{name}-*.npy")
    return path


class TestPack:
    def test_round_trip(self, tmp_path, digits):
        noted = replace(digits, notes=("größer", "smaller"))
        pack(noted, tmp_path / "new" / "pack")
        opened = open_packed(tmp_path / "new" / "pack")
        for split in ("training", "validation", "test"):
            assert equal(getattr(opened, split), getattr(digits, split))
        for field in ("choice", "class_names", "mean", "std", "fingerprint", "notes"):
            assert getattr(opened, field) == getattr(noted, field)

    def test_arrays_are_read_only_maps(self, folder):
        images = open_packed(folder).training.images
        assert isinstance(images, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            images[0] = 0

    def test_nothing_but_the_pack_is_left(self, folder, digits):
        names = {f"{split}-{part}" for split in module.SPLITS for part in ("images", "labels")}
        expected = {f"{name}-{digits.fingerprint}.npy" for name in names} | {"data.json"}
        assert {path.name for path in folder.iterdir()} == expected

    def test_packing_the_same_again_writes_nothing(self, folder, digits):
        before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
        inodes = {path: path.stat().st_ino for path in before}
        pack(digits, folder)
        assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
        assert {path: path.stat().st_ino for path in before} == inodes

    def test_training_needs_nothing_of_the_test_split(self, folder, digits):
        for path in folder.glob("test-*"):
            path.unlink()
        opened = open_packed(folder, splits=("training", "validation"))
        assert opened.test is None
        assert equal(opened.training, digits.training)
        with pytest.raises(DataError, match=r"test-images-.*: the packed data is damaged"):
            open_packed(folder)

    @pytest.mark.parametrize(
        ("splits", "sentence"),
        [
            (("training", "validaton"), r"splits \(=.*\) holds 'validaton'; did you mean 'validation'?"),
            (("training",), r"splits \(=\('training',\)\) must hold 'training' and 'validation'"),
        ],
    )
    def test_wrong_splits(self, folder, splits, sentence):
        with pytest.raises(DataError, match=sentence):
            open_packed(folder, splits=splits)

    def test_missing(self, tmp_path):
        with pytest.raises(DataError, match=r"data.json: no packed data can be read here \(No such file"):
            open_packed(tmp_path)

    def test_without_test_split_cannot_be_packed(self, folder, tmp_path):
        with pytest.raises(DataError, match="opened without its test split cannot be packed"):
            pack(open_packed(folder, splits=("training", "validation")), tmp_path / "other")
        assert not (tmp_path / "other").exists()

    def test_full_disk_leaves_the_old_pack(self, folder, digits, monkeypatch):
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        saved = []

        def save(file, array, **_):
            saved.append(array)
            file.write(b"half of it")
            if len(saved) == 3:
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(np, "save", save)
        other = load(replace(DIGITS, training_share=0.5))
        with pytest.raises(DataError, match=r"^.*: the packed data cannot be written \(No space left on device\)$"):
            pack(other, folder)
        assert {name: (folder / name).read_bytes() for name in before} == before
        assert not list(folder.glob(".*"))
        assert open_packed(folder).fingerprint == digits.fingerprint

    def test_file_in_place_of_the_folder(self, tmp_path, digits):
        (tmp_path / "pack").write_text("a file")
        with pytest.raises(DataError, match="the packed data cannot be written"):
            pack(digits, tmp_path / "pack")

    def test_arrays_of_another_pack_are_removed(self, folder):
        pack(load(replace(DIGITS, training_share=0.5)), folder)
        assert len(list(folder.glob("*.npy"))) == 6
        assert len(open_packed(folder).training) == 500


def change_record(folder, **fields):
    path = folder / "data.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def damage_truncated(folder):
    path = file_of(folder, "training-images")
    path.write_bytes(path.read_bytes()[:-1])


def damage_emptied(folder):
    file_of(folder, "validation-labels").write_bytes(b"")


def damage_header(folder):
    path = file_of(folder, "test-images")
    path.write_bytes(path.read_bytes().replace(b"}", b"(", 1))


def damage_header_value(folder):
    path = file_of(folder, "test-images")
    path.write_bytes(path.read_bytes().replace(b"(297", b"(097", 1))


def damage_missing(folder):
    file_of(folder, "test-labels").unlink()


def damage_type(folder):
    path = file_of(folder, "training-images")
    np.save(path, np.load(path).astype(np.int8))


def damage_order(folder):
    path = file_of(folder, "training-images")
    np.save(path, np.asfortranarray(np.load(path)))


def damage_pickled(folder):
    np.save(file_of(folder, "test-images"), np.array([{}], dtype=object), allow_pickle=True)


def damage_shape(folder):
    path = file_of(folder, "training-images")
    np.save(path, np.load(path)[:-1])


def damage_label(folder):
    path = file_of(folder, "training-labels")
    labels = np.load(path)
    labels[0] = 10
    np.save(path, labels)


def damage_json(folder):
    (folder / "data.json").write_text("{")


def damage_field(folder):
    change_record(folder, mean="0.3")


def damage_fingerprint(folder):
    change_record(folder, fingerprint="../../elsewhere")


def damage_choice(folder):
    change_record(folder, choice={"name": "digit"})


def damage_format(folder):
    change_record(folder, format=0)


DAMAGES = {
    damage_truncated: "training-images-.*: the packed data is damaged",
    damage_emptied: "validation-labels-.*: the packed data is damaged",
    damage_header: "test-images-.*: the packed data is damaged",
    damage_header_value: "test-images-.*: the packed data is damaged",
    damage_missing: "test-labels-.*: the packed data is damaged .*No such file",
    damage_type: "the packed training split is damaged .*int8",
    damage_order: "training-images-.*: the packed data is damaged",
    damage_pickled: "test-images-.*: the packed data is damaged",
    damage_shape: r"training-images-.*: the packed data is damaged \(an array \(999, .* instead of \(1000,",
    damage_label: r"the packed data is damaged \(training labels are from 0 to 10",
    damage_json: "data.json: the packed data is damaged",
    damage_field: r"data.json.mean",
    damage_fingerprint: r"fingerprint \(='../../elsewhere'\) must be 32 hexadecimal digits",
    damage_choice: r"data.json.choice.name \(='digit'\) is no data set",
    damage_format: "data.json: not packed data of this version of netspace",
}


@pytest.mark.parametrize("damage", DAMAGES)
class TestDamagedPack:
    def test_is_not_opened(self, folder, damage):
        damage(folder)
        with pytest.raises(DataError, match=DAMAGES[damage]):
            open_packed(folder)

    def test_is_written_anew_with_a_note(self, folder, digits, damage):
        damage(folder)
        again = load_packed(DIGITS, folder, splits=("training", "validation"))
        assert again.test is None
        (note,) = again.notes
        assert note.startswith("packed anew, because of the old pack: ")
        opened = open_packed(folder)
        assert equal(opened.training, digits.training)
        assert equal(opened.test, digits.test)


class TestReuseOrLoad:
    def test_writes_nothing(self, tmp_path, digits):
        assert reuse_or_load(DIGITS, tmp_path / "pack").fingerprint == digits.fingerprint
        assert not (tmp_path / "pack").exists()

    def test_opens_the_pack(self, folder):
        assert isinstance(reuse_or_load(DIGITS, folder).test.images, np.memmap)

    def test_leaves_a_damaged_pack_and_says_so(self, folder, digits):
        damage_truncated(folder)
        before = file_of(folder, "training-images").read_bytes()
        data = reuse_or_load(DIGITS, folder)
        assert equal(data.training, digits.training)
        assert data.notes[0].startswith("packed anew, because of the old pack: ")
        assert file_of(folder, "training-images").read_bytes() == before


class TestLoadPacked:
    @pytest.fixture
    def images(self, tmp_path):
        for label, name in enumerate(("a", "b")):
            (tmp_path / "images" / name).mkdir(parents=True)
            for index in range(12):
                pixels = np.full((4, 4), 100 * label + index, np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / name / f"{index:02}.png")
        return tmp_path / "images"

    def stamp(self, folder):
        status = (folder / "data.json").stat()
        return status.st_ino, status.st_mtime_ns

    def test_pack_is_reused(self, folder, digits, monkeypatch):
        monkeypatch.setattr(packs, "read_and_split", None)  # whoever reads the source again fails
        again = load_packed(DIGITS, folder)
        assert again.fingerprint == digits.fingerprint
        assert equal(again.test, digits.test)
        assert load_packed(DIGITS, folder, splits=("training", "validation")).test is None

    @pytest.mark.parametrize("fields", [{"training_share": 0.5}, {"validation_share": 0.2}, {"resolution": 9}])
    def test_another_choice_is_packed_anew(self, folder, fields):
        choice = replace(DIGITS, **fields)
        again = load_packed(choice, folder)
        assert again.choice == choice
        assert again.fingerprint == load(choice).fingerprint
        assert not any("anew" in note for note in again.notes)

    def test_a_pack_of_unknown_origin_is_not_trusted(self, tmp_path, digits):
        pack(replace(digits, class_names=tuple("abcdefghij"), source_key=None), tmp_path)
        assert load_packed(DIGITS, tmp_path).class_names == digits.class_names

    def test_changed_files_are_packed_anew(self, images, tmp_path):
        choice = DataChoice(name=f"folder:{images}", resolution=4)
        first = load_packed(choice, tmp_path / "pack")
        stamp = self.stamp(tmp_path / "pack")
        load_packed(choice, tmp_path / "pack")
        assert self.stamp(tmp_path / "pack") == stamp

        changed = images / "a" / "00.png"
        Image.fromarray(np.full((4, 4), 250, np.uint8)).save(changed)
        second = load_packed(choice, tmp_path / "pack")
        assert second.fingerprint != first.fingerprint

        (images / "a" / "01.png").rename(images / "a" / "99.png")
        third = load_packed(choice, tmp_path / "pack")
        assert third.fingerprint == load(choice).fingerprint

        stamp = self.stamp(tmp_path / "pack")
        os.utime(changed, ns=(1, 1))
        load_packed(choice, tmp_path / "pack")
        assert self.stamp(tmp_path / "pack") != stamp

    def test_files_changed_while_they_are_read_are_read_again(self, images, tmp_path, monkeypatch):
        choice = DataChoice(name=f"folder:{images}", resolution=4)
        read = ImageFolder.read

        def read_then_change(source, resolution):
            found = read(source, resolution)
            Image.fromarray(np.full((4, 4), 250, np.uint8)).save(images / "a" / "00.png")
            return found

        monkeypatch.setattr(ImageFolder, "read", read_then_change)
        first = load_packed(choice, tmp_path / "pack")
        monkeypatch.undo()
        second = load_packed(choice, tmp_path / "pack")
        assert second.fingerprint == load(choice).fingerprint != first.fingerprint

    def test_moved_files_are_the_same(self, tmp_path, images, monkeypatch):
        choice = DataChoice(name="folder:images", resolution=4)
        monkeypatch.chdir(images.parent)
        load_packed(choice, tmp_path / "pack")
        stamp = self.stamp(tmp_path / "pack")
        (tmp_path / "elsewhere").mkdir()
        images.rename(tmp_path / "elsewhere" / "images")
        monkeypatch.chdir(tmp_path / "elsewhere")
        load_packed(choice, tmp_path / "pack")
        assert self.stamp(tmp_path / "pack") == stamp

    def test_missing_source_is_told_even_where_a_pack_lies(self, images, tmp_path):
        choice = DataChoice(name=f"folder:{images}", resolution=4)
        load_packed(choice, tmp_path / "pack")
        images.rename(tmp_path / "gone")
        with pytest.raises(DataError, match="is not a folder"):
            load_packed(choice, tmp_path / "pack")
        assert len(open_packed(tmp_path / "pack").test) == 4
