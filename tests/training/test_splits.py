import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspace.errors import DataError
from netspace.training.splits import SourceImages, Split, carve, divide

label_lists = st.lists(st.integers(0, 5), min_size=1, max_size=200).map(lambda x: np.array(x, np.int64))
shares = st.floats(0.0, 1.0)


def split(labels, images=None):
    labels = np.array(labels, np.int64)
    if images is None:
        images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Split(images=images, labels=labels)


def members(part):
    return set(part.images.ravel().tolist())


class TestCarve:
    @given(label_lists, shares)
    def test_parts_are_ascending_complete_and_exact_in_total(self, labels, share):
        taken, rest = carve(labels, share, "validation")
        assert len(taken) == round(share * len(labels))
        assert np.array_equal(np.sort(np.concatenate([taken, rest])), np.arange(len(labels)))
        assert np.all(np.diff(taken) > 0)
        assert np.all(np.diff(rest) > 0)

    @given(label_lists, shares, shares)
    def test_smaller_share_is_a_subset(self, labels, one, other):
        small, large = sorted([one, other])
        assert set(carve(labels, small, "training")[0]) <= set(carve(labels, large, "training")[0])

    @given(label_lists, shares)
    def test_every_class_keeps_its_proportion(self, labels, share):
        counts = np.bincount(labels)
        taken = np.bincount(labels[carve(labels, share, "test")[0]], minlength=len(counts))
        classes = np.count_nonzero(counts)
        bound = 0.5 + counts * (classes + 1) / (2 * len(labels)) + 1e-9
        assert np.all(np.abs(taken - share * counts) <= bound)

    @given(st.integers(2, 10), st.integers(1, 20), st.integers(0, 20))
    def test_equal_classes_lose_equally(self, classes, per_class, taken_each):
        taken_each = min(taken_each, per_class)
        labels = np.tile(np.arange(classes), per_class)
        taken, _ = carve(labels, taken_each / per_class, "validation")
        assert np.all(np.bincount(labels[taken], minlength=classes) == taken_each)

    def test_golden(self):
        """A change of these numbers changes every data set: it needs a new format number of the packs."""
        labels = np.array([0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 1, 1])
        parts = {purpose: carve(labels, 0.25, purpose)[0].tolist() for purpose in ("test", "validation", "training")}
        assert parts == {"test": [2, 3, 9], "validation": [0, 10, 11], "training": [1, 6, 8]}

    def test_choice_within_a_class_is_not_its_beginning(self):
        taken, _ = carve(np.zeros(1000, np.int64), 0.5, "validation")
        assert 200 < np.count_nonzero(taken < 500) < 300

    def test_purposes_are_unrelated(self):
        labels = np.zeros(1000, np.int64)
        one, other = carve(labels, 0.5, "validation")[0], carve(labels, 0.5, "training")[0]
        assert 200 < len(set(one) & set(other)) < 300


class TestDivide:
    def divide(self, found, validation_share=0.25, training_share=1.0):
        return divide(found, name="toy", validation_share=validation_share, training_share=training_share)

    def test_carves_test_before_validation(self):
        found = SourceImages(class_names=("a", "b"), training=split([0, 1] * 30))
        training, validation, test, notes = self.divide(found)
        assert (len(training), len(validation), len(test)) == (38, 12, 10)
        assert members(training) | members(validation) | members(test) == set(range(60))
        assert notes == ("no test images were given: 10 of 60 images were set aside",)
        changed = self.divide(found, validation_share=0.5)
        assert members(changed[2]) == members(test)

    def test_keeps_shipped_splits_whole(self):
        shipped = [split([0, 1], np.full((2, 1, 1, 1), fill, np.uint8)) for fill in (1, 2, 3)]
        found = SourceImages(class_names=("a", "b"), training=shipped[0], validation=shipped[1], test=shipped[2])
        assert self.divide(found) == (*shipped, ())

    def test_training_share_is_said_and_leaves_the_other_splits(self):
        found = SourceImages(class_names=("a", "b"), training=split([0, 1] * 30), test=split([0, 1]))
        whole, validation, _, _ = self.divide(found)
        part, same, _, notes = self.divide(found, training_share=0.2)
        assert members(part) < members(whole)
        assert members(same) == members(validation)
        assert notes == ("training_share 0.2: 9 of 45 training images are used",)

    def test_class_without_validation_images(self):
        found = SourceImages(class_names=("a", "b"), training=split([0] * 20 + [1]), test=split([0, 1]))
        with pytest.raises(
            DataError,
            match=r"^toy: class 'b' keeps 1 training and 0 validation of its 1 images outside the test "
            r"split, but needs at least one of each; add images of it, or change "
            r"validation_share \(=0.1\) or training_share \(=1\)$",
        ):
            self.divide(found, validation_share=0.1)

    def test_class_without_training_images(self):
        found = SourceImages(class_names=("a", "b"), training=split([0, 1] * 20), test=split([0, 1]))
        with pytest.raises(DataError, match=r"class 'a' keeps 0 training and 5 validation of its 20 images"):
            self.divide(found, training_share=0.01)

    def test_class_missing_from_shipped_validation(self):
        found = SourceImages(class_names=("a", "b"), training=split([0, 1]), validation=split([0]), test=split([0, 1]))
        with pytest.raises(DataError, match=r"class 'b' keeps 1 training and 0 validation .* training_share \(=1\)$"):
            self.divide(found)

    def test_class_missing_from_test_is_a_note(self):
        found = SourceImages(class_names=("a", "b"), training=split([0, 1] * 8), test=split([0]))
        assert self.divide(found)[3] == ("the test split has no image of class 'b'",)


class TestSplit:
    def test_arrays_are_read_only_and_the_callers_stay_writable(self):
        images = np.zeros((2, 1, 1, 1), np.uint8)
        part = split([0, 1], images)
        with pytest.raises(ValueError, match="read-only"):
            part.images[0] = 1
        images[0] = 1

    @given(st.integers(1, 600), st.integers(1, 3), st.integers(0, 2**32 - 1))
    def test_mean_and_std(self, count, channels, seed):
        images = np.random.default_rng(seed).integers(0, 256, (count, 2, 3, channels), dtype=np.uint8)
        mean, std = split(np.zeros(count), images).mean_and_std()
        pixels = images / 255
        np.testing.assert_allclose(mean, pixels.mean((0, 1, 2)), rtol=1e-12)
        np.testing.assert_allclose(std, pixels.std((0, 1, 2)), rtol=1e-9, atol=1e-12)

    def test_std_of_a_constant_is_exactly_zero(self):
        assert split([0] * 7, np.full((7, 3, 3, 1), 77, np.uint8)).mean_and_std()[1] == (0.0,)

    @pytest.mark.parametrize(
        ("images", "labels", "sentence"),
        [
            (
                np.zeros((2, 4, 4), np.uint8),
                [0, 1],
                r"images \(=uint8 \(2, 4, 4\)\) must be uint8 \(images, height",
            ),
            (np.zeros((2, 4, 4, 1)), [0, 1], r"images \(=float64 .* must be uint8"),
            (
                np.zeros((0, 4, 4, 1), np.uint8),
                [],
                r"images \(=uint8 \(0, 4, 4, 1\)\) must be .* none of them 0",
            ),
            (
                np.zeros((2, 4, 4, 1), np.uint8),
                [0],
                r"labels \(=int64 \(1,\)\) must be int64 \(2,\), one for each",
            ),
        ],
    )
    def test_wrong_arrays(self, images, labels, sentence):
        with pytest.raises(DataError, match=sentence):
            split(labels, images)
