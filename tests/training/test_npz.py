import zipfile

import numpy as np
import pytest

from netspace.errors import DataError
from netspace.training.data import DataChoice, load


def images(count, *shape, start=0):
    """Images of one shade each, counted from `start`."""
    shades = start + np.arange(count).reshape(-1, *(1 for _ in shape))
    return np.broadcast_to(shades, (count, *shape)).astype(np.uint8)


def save(tmp_path, **arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    return DataChoice(name=f"npz:{tmp_path / 'a.npz'}")


def alternating(count, kind=np.int64):
    return (np.arange(count) % 2).astype(kind)


class TestRead:
    def test_keras_names(self, tmp_path):
        choice = save(
            tmp_path,
            x_train=images(24, 6, 6),
            y_train=alternating(24),
            x_test=images(6, 6, 6, start=100),
            y_test=alternating(6),
        )
        data = load(choice)
        assert data.training.images.shape == (20, 6, 6, 1)
        assert np.array_equal(data.training.labels, data.training.images[:, 0, 0, 0] % 2)
        assert data.test.images[:, 0, 0, 0].tolist() == list(range(100, 106))
        assert (len(data.validation), data.class_names, data.notes) == (4, ("0", "1"), ())

    def test_medmnist_names(self, tmp_path):
        parts = {"train": 8, "val": 4, "test": 2}
        arrays = {f"{part}_images": images(count, 5, 5, 3) for part, count in parts.items()}
        arrays |= {f"{part}_labels": alternating(count, np.uint8)[:, None] for part, count in parts.items()}
        data = load(save(tmp_path, **arrays))
        assert [len(part) for part in (data.training, data.validation, data.test)] == [8, 4, 2]
        assert (data.in_channels, data.resolution) == (3, 5)

    def test_unsplit_with_names_and_others(self, tmp_path):
        names = np.array(["cats", "dogs"])
        choice = save(tmp_path, images=images(36, 4, 4), labels=alternating(36), class_names=names, weights=np.ones(3))
        data = load(choice)
        assert data.class_names == ("cats", "dogs")
        assert data.notes[0] == "arrays that were not used: weights"
        assert [len(part) for part in (data.training, data.validation, data.test)] == [25, 5, 6]

    def test_labels_name_the_classes_where_they_do_not_count_from_0(self, tmp_path):
        data = load(save(tmp_path, images=images(36, 4, 4), labels=3 + 4 * alternating(36)))
        assert data.class_names == ("3", "7")
        assert set(data.training.labels.tolist()) == {0, 1}

    @pytest.mark.parametrize("channels", [(), (3,)])
    def test_resolution_crops_to_squares(self, tmp_path, channels):
        wide = images(36, 4, 12, *channels).copy()
        wide[:, :, :2] = wide[:, :, 10:] = 255
        choice = save(tmp_path, images=wide, labels=alternating(36))
        data = load(DataChoice(name=choice.name, resolution=2))
        assert data.training.images.shape[1:] == (2, 2, channels[0] if channels else 1)
        assert data.training.images.max() < 36  # the bright edges are cropped away
        assert data.notes[0].startswith("images were cropped from 12 x 4 pixels to squares and resized from 4 to 2")


PAIR = {"x_train": images(12, 4, 4), "y_train": alternating(12)}


class TestRefused:
    @pytest.mark.parametrize(
        ("arrays", "sentence"),
        [
            ({"x_train": PAIR["x_train"] / 255}, "x_train holds float64, but .* uint8; multiply .* by 255 and round"),
            ({"x_train": PAIR["x_train"].astype(np.int32)}, "x_train holds int32, but images must be uint8$"),
            ({"y_train": alternating(11)}, "y_train holds 11 labels, but x_train holds 12 images$"),
            ({"y_train": alternating(12) / 1}, "y_train holds float64, but labels must be whole numbers$"),
            ({"y_train": np.array(["a", "b"] * 6)}, "y_train holds <U1, but labels must be whole numbers$"),
            ({"y_train": np.eye(12, dtype=int)}, r"y_train has the shape \(12, 12\), but .* one class for each image$"),
            ({"y_train": -alternating(12)}, "label 1 of the training images is -1, but must be at least 0$"),
            ({"y_train": alternating(0)}, r"y_train has the shape \(0,\), but labels must be"),
            ({"x_train": images(12, 3, 4, 4)}, r"\(12, 3, 4, 4\), .* channels stand first: move them last"),
            ({"x_train": images(12, 4, 4, 2)}, r"\(12, 4, 4, 2\), whose last number must be 1 or 3 channels$"),
            ({"x_train": images(12, 4)}, r"x_train has the shape \(12, 4\), but images must be \(n, height"),
            ({"x_train": images(12, 4, 5)}, r"resolution \(=None\) must be given for x_train, whose .* 5 x 4 pixels"),
            ({"x_test": images(2, 4, 4)}, "holds x_test but no y_test$"),
            ({"y_val": alternating(2)}, "holds y_val but no x_val$"),
            ({"x_test": images(2, 5, 5), "y_test": alternating(2)}, r"x_test holds images \(5, 5, 1\) .* \(4, 4, 1\)$"),
            ({"x_test": images(1, 4, 4), "y_test": np.array([2])}, "label '2' of the test images is none of the tr"),
            ({"images": images(2, 4, 4), "labels": alternating(2)}, "holds both x_train and images; keep one$"),
            ({"class_names": np.array(["a", "a"])}, r"class_names \(=<U1 \(2,\)\) must be one row of different texts$"),
            ({"class_names": np.array(["a"])}, "label 1 of the training images is 1, but labels are from 0 to 0$"),
            ({"y_train": np.zeros(12, int)}, "all images are of one class; a network tells at least two apart$"),
            ({"x_train": np.array([None] * 12)}, "cannot be read as an .npz file .*allow_pickle=False"),
            ({"y_train": np.array([{}] * 12)}, "cannot be read as an .npz file .*allow_pickle=False"),
        ],
    )
    def test_arrays(self, tmp_path, arrays, sentence):
        choice = save(tmp_path, **PAIR | arrays)
        with pytest.raises(DataError, match=rf"^{choice.name}: .*{sentence}"):
            load(choice)

    def test_other_names(self, tmp_path):
        with pytest.raises(
            DataError, match=r"must hold x_train and y_train or .* or images and labels, but holds a, b$"
        ):
            load(save(tmp_path, a=np.ones(1), b=np.ones(1)))

    def test_no_file(self, tmp_path):
        with pytest.raises(DataError, match=rf"^npz:{tmp_path}/b.npz: {tmp_path}/b.npz is not a file$"):
            load(DataChoice(name=f"npz:{tmp_path}/b.npz"))

    def test_one_array(self, tmp_path):
        np.save(tmp_path / "a.npy", np.ones(3))
        with pytest.raises(DataError, match="holds one array without a name; save images and labels with"):
            load(DataChoice(name=f"npz:{tmp_path}/a.npy"))

    @pytest.mark.parametrize("damage", ["text", "short", "header", "empty"])
    def test_damage(self, tmp_path, damage):
        choice, path = save(tmp_path, **PAIR), tmp_path / "a.npz"
        if damage == "text":
            path.write_text("no arrays")
        elif damage == "short":
            path.write_bytes(path.read_bytes()[:200])
        elif damage == "empty":
            path.write_bytes(b"")
        else:
            with zipfile.ZipFile(path, "w") as file:
                file.writestr("x_train.npy", b"\x93NUMPY\x01\x00\x10\x00" + b"{'descr': '|u1'" + b" ")
                file.writestr("y_train.npy", b"\x93NUMPY\x01\x00\x10\x00" + b"{'descr': '|u1'" + b" ")
        with pytest.raises(DataError, match=r"a.npz: cannot be read as an .npz file \(.+\)$"):
            load(choice)
