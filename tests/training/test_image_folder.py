import errno

import numpy as np
import pytest
from PIL import Image

from netspace.errors import DataError
from netspace.training.data import DataChoice, load
from netspace.training.encoded import Decoding
from netspace.training.image_folder import ImageFolder

ORIENTATION = 0x0112


def paint(path, pixels, **options):
    """Write an array, or a pillow image, as an image file; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels, np.uint8))
    image.save(path, **options)
    return path


def fill(folder, count, start=0):
    """Write `count` gray 4 x 4 images, each of its own shade from `start`."""
    for index in range(count):
        paint(folder / f"{index:03}.png", np.full((4, 4), start + index))


def choice(folder, **fields):
    return DataChoice(name=f"folder:{folder}", **{"resolution": 4, **fields})


def shades(part):
    return sorted(part.images[:, 0, 0, 0].tolist())


@pytest.fixture
def root(tmp_path):
    """An unsplit folder of two classes with 12 and 18 images."""
    fill(tmp_path / "set" / "cats", 12)
    fill(tmp_path / "set" / "dogs", 18, start=100)
    return tmp_path / "set"


class TestLayout:
    def test_unsplit(self, root):
        data = load(choice(root))
        assert data.class_names == ("cats", "dogs")
        counts = [np.bincount(part.labels).tolist() for part in (data.training, data.validation, data.test)]
        assert counts == [[8, 13], [2, 2], [2, 3]]
        everything = [shade for part in (data.training, data.validation, data.test) for shade in shades(part)]
        assert sorted(everything) == [*range(12), *range(100, 118)]
        for part in (data.training, data.validation, data.test):
            assert np.array_equal(part.labels == 1, part.images[:, 0, 0, 0] >= 100)
        assert data.training.images.shape[1:] == (4, 4, 3)
        assert "no test images were given: 5 of 30 images were set aside" in data.notes

    @pytest.mark.parametrize("validation", ["val", "validation"])
    def test_split(self, tmp_path, validation):
        for split, start in [("train", 0), (validation, 50), ("test", 100)]:
            fill(tmp_path / split / "a", 2, start=start)
            fill(tmp_path / split / "b", 1, start=start + 20)
        data = load(choice(tmp_path))
        assert shades(data.training) == [0, 1, 20]
        assert shades(data.validation) == [50, 51, 70]
        assert shades(data.test) == [100, 101, 120]

    def test_train_alone(self, tmp_path):
        fill(tmp_path / "train" / "a", 12)
        fill(tmp_path / "train" / "b", 12, start=50)
        data = load(choice(tmp_path))
        assert (len(data.training), len(data.validation), len(data.test)) == (17, 3, 4)

    def test_train_may_be_a_class(self, tmp_path):
        for name in ("bus", "train", "test"):
            fill(tmp_path / name, 12)
        assert load(choice(tmp_path)).class_names == ("bus", "test", "train")

    def test_order_does_not_depend_on_the_file_system(self, root, monkeypatch):
        expected = load(choice(root)).fingerprint
        original = type(root).iterdir
        monkeypatch.setattr(type(root), "iterdir", lambda self: iter(sorted(original(self), reverse=True)))
        assert load(choice(root)).fingerprint == expected

    def test_names_with_spaces_and_letters_of_all_kinds(self, tmp_path):
        folder = tmp_path / "größe und 大小: 1"
        fill(folder / "Äpfel & Birnen", 6)
        fill(folder / "猫", 6)
        assert load(choice(folder)).class_names == ("Äpfel & Birnen", "猫")

    def test_what_is_no_image_is_counted(self, root):
        (root / "readme.txt").write_text("about")
        (root / ".cache").mkdir()
        (root / "cats" / "labels.csv").write_text("a,b")
        (root / "cats" / ".hidden.png").write_bytes(b"")
        (root / "dogs" / "more.png").mkdir()
        assert set(load(choice(root)).notes) >= {
            "files outside class folders ignored: 1",
            "files without the suffix of an image ignored: 1",
            "folders inside class folders ignored: 1",
            "hidden files or folders ignored: 2",
        }

    def test_own_validation_images_and_a_share(self, tmp_path):
        for split in ("train", "val", "test"):
            fill(tmp_path / split / "a", 1)
            fill(tmp_path / split / "b", 1)
        with pytest.raises(DataError, match=r"^validation_share \(=0.1\) must be left out for 'folder:.*', which"):
            load(choice(tmp_path, validation_share=0.1))


class TestWrongLayout:
    def error(self, folder):
        with pytest.raises(DataError) as caught:
            load(choice(folder))
        text = str(caught.value)
        assert text.startswith(f"folder:{folder}: ")
        return text.removeprefix(f"folder:{folder}: ")

    def test_missing(self, tmp_path):
        folder = tmp_path / "nowhere"
        assert self.error(folder) == f"{folder} is not a folder"

    def test_no_class(self, tmp_path):
        assert self.error(tmp_path) == (
            f"{tmp_path} must hold a folder for each of at least two classes, but holds none"
        )

    def test_one_class(self, tmp_path):
        fill(tmp_path / "only", 5)
        assert self.error(tmp_path).endswith("at least two classes, but holds only one, 'only'")

    def test_empty_class(self, root):
        (root / "eels").mkdir()
        assert self.error(root).startswith("class folder 'eels' holds no image (folders inside it")

    def test_other_names_of_splits_are_no_classes(self, tmp_path):
        for split in ("training", "testing"):
            fill(tmp_path / split / "a", 3)
        assert "'testing' holds no image" in self.error(tmp_path)

    def test_folder_beside_train(self, tmp_path):
        for name in ("train", "extra"):
            fill(tmp_path / name / "a", 1)
            fill(tmp_path / name / "b", 1)
        assert self.error(tmp_path) == "folder 'extra' stands beside train/ but is none of val, validation, test"

    def test_two_validation_folders(self, tmp_path):
        for name in ("train", "val", "validation"):
            fill(tmp_path / name / "a", 1)
            fill(tmp_path / name / "b", 1)
        assert self.error(tmp_path) == "holds both val/ and validation/; keep one"

    def test_unknown_class_in_test(self, tmp_path):
        for name in ("train/cats", "train/dogs", "test/cats", "test/Dogs"):
            fill(tmp_path / name, 6)
        assert self.error(tmp_path) == "class 'Dogs' of test/ is no class of train/; did you mean 'dogs'?"

    def test_split_without_class_folders(self, tmp_path):
        for name in ("train/cats", "train/dogs", "test"):
            fill(tmp_path / name, 6)
        assert self.error(tmp_path) == "test/ holds no class folder; remove it or fill it"

    def test_folder_that_cannot_be_listed(self, root, monkeypatch):
        def refuse(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(type(root), "iterdir", refuse)
        with pytest.raises(DataError, match=rf"^{root}: cannot be listed \(Permission denied\)$"):
            load(choice(root))

    def test_too_few_images(self, tmp_path):
        fill(tmp_path / "cats", 20)
        fill(tmp_path / "dogs", 2)
        assert self.error(tmp_path).startswith("class 'dogs' keeps 2 training and 0 validation of its 2 images")

    def test_resolution_is_needed(self, root):
        with pytest.raises(DataError, match=r"resolution \(=None\) must be given"):
            ImageFolder(path=root).read(None)

    def test_resolution_beyond_memory(self, root):
        with pytest.raises(DataError, match=r"^resolution \(=10000000\): 30 images .* take \d+ GiB, more than the"):
            load(choice(root, resolution=10_000_000))


class TestPixels:
    """Each test writes one odd image as the only one of its class and looks at what became of it."""

    def read(self, tmp_path, pixels, name="odd.png", grayscale=False, resolution=2, **options):
        path = paint(tmp_path / "train" / "a" / name, pixels, **options)
        paint(tmp_path / "train" / "b" / "even.png", np.zeros((resolution, resolution, 3)))
        found = ImageFolder(path=tmp_path, decoding=Decoding(grayscale=grayscale)).read(resolution)
        assert found.training.labels.tolist() == [0, 1]
        assert path.exists()
        return found.training.images[0], [note for note in found.notes if "odd" not in note]

    def test_colour(self, tmp_path):
        pixels = np.arange(12).reshape(2, 2, 3)
        image, notes = self.read(tmp_path, pixels)
        assert np.array_equal(image, pixels)
        assert notes == []

    def test_colour_to_gray(self, tmp_path):
        image, _ = self.read(tmp_path, np.full((2, 2, 3), (255, 0, 0)), grayscale=True)
        assert image.shape == (2, 2, 1)
        assert np.all(image == 76)

    def test_gray_to_colour(self, tmp_path):
        image, notes = self.read(tmp_path, [[0, 50], [100, 255]])
        assert np.array_equal(image, np.repeat(np.array([[0, 50], [100, 255]])[..., None], 3, axis=2))
        assert notes == ["gray images given three equal channels: 1"]

    @pytest.mark.parametrize("turned", [False, True])
    def test_long_side_is_cropped_at_the_centre(self, tmp_path, turned):
        pixels = np.tile([10, 20, 30, 40, 50, 60], (2, 1))
        expected = np.tile([30, 40], (2, 1))
        image, _ = self.read(tmp_path, pixels.T if turned else pixels, grayscale=True)
        assert np.array_equal(image[..., 0], expected.T if turned else expected)

    def test_shrinking_averages(self, tmp_path):
        pixels = np.indices((16, 16)).sum(axis=0) % 2 * 255
        image, _ = self.read(tmp_path, pixels, grayscale=True)
        assert np.all(np.abs(image.astype(int) - 127) < 10)

    def test_enlarging_is_noted(self, tmp_path):
        image, notes = self.read(tmp_path, np.full((1, 3, 3), 9))
        assert np.all(image == 9)
        assert notes == ["images smaller than 2 pixels enlarged: 1"]

    def test_exif_orientation(self, tmp_path):
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        image, notes = self.read(tmp_path, [[0, 85], [170, 255]], grayscale=True, exif=exif)
        assert image[..., 0].tolist() == [[170, 0], [255, 85]]
        assert notes == ["images turned as their EXIF orientation says: 1"]

    def test_transparency_becomes_white(self, tmp_path):
        pixels = np.zeros((2, 2, 4), np.uint8)
        pixels[0, 0] = (10, 20, 30, 255)
        pixels[1, 1, 3] = 128
        image, notes = self.read(tmp_path, pixels)
        assert image[0, 0].tolist() == [10, 20, 30]
        assert image[0, 1].tolist() == [255, 255, 255]
        assert image[1, 1].tolist() == [127, 127, 127]
        assert notes == ["images with transparency composited on white: 1"]

    def test_opaque_alpha_changes_nothing(self, tmp_path):
        image, notes = self.read(tmp_path, np.full((2, 2, 4), 255))
        assert np.all(image == 255)
        assert notes == []

    def test_gray_with_transparency(self, tmp_path):
        image, _ = self.read(tmp_path, Image.new("LA", (2, 2), (40, 0)), grayscale=True)
        assert np.all(image == 255)

    @pytest.mark.parametrize("transparency", [0, b"\0\xff"])
    def test_palette(self, tmp_path, transparency):
        odd = Image.new("P", (2, 2))
        odd.putpalette([1, 2, 3, 200, 100, 50])
        odd.putdata([0, 1, 1, 0])
        image, notes = self.read(tmp_path, odd, transparency=transparency)
        assert image[0].tolist() == [[255, 255, 255], [200, 100, 50]]
        assert notes == ["images with transparency composited on white: 1"]

    def test_opaque_palette(self, tmp_path):
        odd = Image.new("P", (2, 2))
        odd.putpalette([1, 2, 3, 200, 100, 50])
        odd.putdata([0, 1, 1, 0])
        image, notes = self.read(tmp_path, odd)
        assert image[0].tolist() == [[1, 2, 3], [200, 100, 50]]
        assert notes == ["images converted from pillow's mode P: 1"]

    def test_sixteen_bits(self, tmp_path):
        odd = Image.fromarray(np.array([[0, 257], [257 * 128, 65535]], np.uint16))
        image, notes = self.read(tmp_path, odd, grayscale=True)
        assert image[..., 0].tolist() == [[0, 1], [128, 255]]
        assert notes == ["16-bit images reduced to 8 bits: 1"]

    def test_cmyk(self, tmp_path):
        image, notes = self.read(tmp_path, Image.new("CMYK", (2, 2), (255, 0, 0, 0)), name="odd.tif")
        assert np.all(image == (0, 255, 255))
        assert notes == ["images converted from pillow's mode CMYK: 1"]

    def test_first_frame_of_an_animation(self, tmp_path):
        frames = [Image.new("L", (2, 2), shade) for shade in (10, 200)]
        image, notes = self.read(
            tmp_path, frames[0], name="odd.gif", save_all=True, append_images=frames[1:], grayscale=True
        )
        assert np.all(image == 10)
        assert "images of several frames of which the first was used: 1" in notes

    def test_suffix_in_capitals(self, tmp_path):
        image, _ = self.read(tmp_path, np.full((2, 2, 3), 7), name="odd.BMP")
        assert np.all(image == 7)

    def test_pillow_warnings_become_notes(self, tmp_path):
        broken = b"Exif\0\0MM\0*\0\0\0\x08\0\x05"
        _, notes = self.read(tmp_path, np.full((2, 2, 3), 7), name="odd.jpg", exif=broken)
        assert any(note.startswith("images read with pillow's warning: ") for note in notes)


def truncated(path):
    paint(path, np.random.default_rng(0).integers(0, 256, (32, 32, 3)))
    path.write_bytes(path.read_bytes()[:1000])


class TestUnreadable:
    def spoil(self, root, count):
        for index in range(count):
            (root / "cats" / f"bad {index}.png").write_bytes(b"no image")

    def test_refused_by_name(self, root):
        self.spoil(root, 1)
        truncated(root / "dogs" / "cut.png")
        with pytest.raises(
            DataError,
            match=rf"^folder:{root}: 2 of 32 images cannot be read: cats/bad 0.png \(no image that pillow "
            r"knows\), dogs/cut.png \(.*truncated.*\); remove them, or leave them out with "
            r"skip_unreadable = true$",
        ):
            load(choice(root))

    def test_first_five_are_listed(self, root):
        self.spoil(root, 7)
        with pytest.raises(DataError, match=r"7 of 37 .*bad 4.png \(no image that pillow knows\) and 2 more; remove"):
            load(choice(root))

    def test_skipped_with_a_note(self, root):
        expected = load(choice(root)).fingerprint
        self.spoil(root, 6)
        data = load(choice(root, skip_unreadable=True))
        assert data.fingerprint == expected
        (note,) = [note for note in data.notes if "unreadable" in note]
        assert note.startswith("unreadable images skipped: 6 of 36, namely cats/bad 0.png (no image that pillow")
        assert "cats/bad 5.png" in note

    def test_nothing_left_of_a_split(self, tmp_path):
        for name in ("train/a", "train/b", "test/a"):
            fill(tmp_path / name, 6)
        for path in (tmp_path / "test" / "a").iterdir():
            path.write_bytes(b"")
        with pytest.raises(DataError, match=r"none of the images for test can be read$"):
            load(choice(tmp_path, skip_unreadable=True))

    def test_decompression_bomb(self, root):
        paint(root / "cats" / "bomb.png", Image.new("1", (9500, 9500)))
        with pytest.raises(DataError, match=r"1 of 31 .*: cats/bomb.png \(Image size \(90250000 pixels\) exceeds"):
            load(choice(root))

    @pytest.mark.parametrize(
        ("odd", "reason"),
        [
            (Image.new("F", (4, 4), 0.5), "its floating-point pixels have no fixed white"),
            (Image.new("I", (4, 4), 70000), "its 32-bit pixels have no fixed white"),
        ],
    )
    def test_pixels_without_a_white(self, root, odd, reason):
        paint(root / "cats" / "odd.tif", odd)
        with pytest.raises(DataError, match=rf"cats/odd.tif \({reason}\)"):
            load(choice(root))

    def test_link_that_leads_nowhere(self, root):
        (root / "cats" / "link.png").symlink_to(root / "gone.png")
        with pytest.raises(DataError, match=r"cats/link.png \(No such file or directory\)"):
            load(choice(root))
