"""Mixup and cutmix against the same by loops: pixels, shares, boxes, and the loss of what was mixed."""

import math

import numpy as np
import pytest
import torch

from netspace.backends.torch_loss import mean_loss
from netspace.backends.torch_mixing import Mixed, Mixing, box, outside
from netspace.training.recipe import TrainingRecipe

BATCH, SIDE = 64, 7


@pytest.fixture
def images():
    made = torch.rand((BATCH, 2, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    return made.contiguous(memory_format=torch.channels_last)


def mixed_by(images, seed=0, **recipe):
    found, mixed = Mixing(TrainingRecipe(**recipe), seed)(images, 0)
    assert found.shape == images.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert sorted(mixed.partner.tolist()) == list(range(BATCH))
    return found.numpy(), mixed.partner.tolist(), mixed.share.tolist()


def test_mixup_adds_two_images_by_their_shares(images):
    found, partner, share = mixed_by(images, mixup=0.4)
    given = images.numpy()
    for i in range(BATCH):
        for channel in range(2):
            for row in range(SIDE):
                for column in range(SIDE):
                    own, other = given[i, channel, row, column], given[partner[i], channel, row, column]
                    expected = share[i] * own + (1 - share[i]) * other
                    assert found[i, channel, row, column] == pytest.approx(expected, abs=1e-6)


def test_shares_are_those_of_a_beta_distribution(images):
    mixing = Mixing(TrainingRecipe(mixup=0.5), seed=1)
    shares = np.concatenate([mixing(images, step)[1].share.numpy() for step in range(200)])
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / (4 * (2 * 0.5 + 1)), abs=0.01)


def test_cutmix_takes_a_box_of_the_partner_and_counts_its_pixels(images):
    found, partner, share = mixed_by(images, cutmix=1.0)
    given, sizes = images.numpy(), set()
    for i in range(BATCH):
        if partner[i] == i:
            continue
        taken = (found[i] != given[i]).any(0)
        for row in range(SIDE):
            for column in range(SIDE):
                source = given[partner[i]] if taken[row, column] else given[i]
                assert (found[i, :, row, column] == source[:, row, column]).all()
        rows, columns = np.flatnonzero(taken.any(1)), np.flatnonzero(taken.any(0))
        assert taken.sum() == len(rows) * len(columns)  # a rectangle
        if len(rows):
            assert len(rows) == np.ptp(rows) + 1
            assert len(columns) == np.ptp(columns) + 1
        assert share[i] == pytest.approx(1 - taken.sum() / SIDE**2, abs=1e-6)
        sizes.add(int(taken.sum()))
    assert len(sizes) > 8


def test_a_box_has_its_area_and_ends_at_the_edge():
    shares, side = [0.0, 0.2, 0.5, 0.75, 0.99, 1.0], 10
    centres = [(row, column) for row in range(side) for column in range(0, side, 3)]
    for share in shares:
        found = outside(side, box(side, np.full(len(centres), share), np.array(centres).T))
        length = math.floor(side * math.sqrt(1 - share))
        for (row, column), mask in zip(centres, found, strict=True):
            expected = torch.ones((side, side))
            for i in range(row - length // 2, row - length // 2 + length):
                for j in range(column - length // 2, column - length // 2 + length):
                    if 0 <= i < side and 0 <= j < side:
                        expected[i, j] = 0
            assert torch.equal(mask, expected)


def test_with_both_each_image_is_mixed_by_one(images):
    found, partner, share = mixed_by(images, mixup=1.0, cutmix=1.0)
    given = images.numpy()
    own = [np.mean(found[i] == given[i]) for i in range(BATCH) if partner[i] != i and 0.05 < share[i] < 0.95]
    assert {bool(part) for part in own} == {True, False}  # cutmix keeps some pixels as they are, mixup none
    assert 0.25 < np.mean([part == 0 for part in own]) < 0.75


@pytest.mark.parametrize("alpha", [1e-300, 1000.0])
def test_the_least_and_the_largest_alpha_give_shares(images, alpha):
    for recipe in ({"mixup": alpha}, {"cutmix": alpha}):
        found, _, share = mixed_by(images, **recipe)
        assert np.isfinite(found).all()
        assert all(0 <= part <= 1 for part in share)


def test_nothing_asked_for_changes_nothing(images):
    mixing = Mixing(TrainingRecipe(), seed=0)
    found, mixed = mixing(images, 3)
    assert found is images
    assert mixed is None


def test_every_step_mixes_in_its_own_way(images):
    mixing = Mixing(TrainingRecipe(mixup=0.5), seed=1)
    first, second, again = (mixing(images, step)[0] for step in (0, 1, 0))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_a_seed_says_what_is_mixed_with_what(images):
    recipe = {"mixup": 0.4, "cutmix": 1.0}
    assert (mixed_by(images, **recipe)[0] == mixed_by(images, **recipe)[0]).all()
    assert (mixed_by(images, **recipe)[0] != mixed_by(images, seed=1, **recipe)[0]).any()


@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 2.5]])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_mixed_images_is_that_of_both_labels_by_their_shares(weights, smoothing):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((5, 3), generator=generator, dtype=torch.float64)
    labels, partner = torch.tensor([0, 2, 1, 1, 0]), torch.tensor([1, 0, 2, 4, 3])
    share = torch.tensor([0.1, 1.0, 0.5, 0.0, 0.7], dtype=torch.float64)
    class_weights = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    expected = 0.0
    for i in range(5):
        chances = [math.exp(x) / sum(math.exp(y) for y in logits[i].tolist()) for x in logits[i].tolist()]
        for label, part in ((labels[i], share[i]), (labels[partner[i]], 1 - share[i])):
            targets = [(1 - smoothing) * (j == label) + smoothing / 3 for j in range(3)]
            loss = -sum(target * math.log(chance) for target, chance in zip(targets, chances, strict=True))
            expected += float(part) * loss * (1.0 if weights is None else weights[label]) / 5
    found = mean_loss(logits, labels, smoothing, class_weights, Mixed(partner=partner, share=share))
    assert found.item() == pytest.approx(expected)
