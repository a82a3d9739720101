"""The backend's contract, which every backend passes: what a seed fixes, what a recipe changes, what divergence is."""

import dataclasses

import numpy as np
import pytest

from netspace.backends import BACKENDS, get_backend
from netspace.errors import InputError, MissingFrameworkError
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.data import DataChoice, load
from netspace.training.epochs import Batches
from netspace.training.recipe import TrainingRecipe
from netspace.training.splits import Split
from netspace.training.trial import Trial
from tests.training.shards import in_shards

SPEC = NetworkSpec(
    stages=(Stage(depth=1, width=16, group_width=8), Stage(depth=1, width=32, group_width=8)),
    stem=Stem(width=16, stride=1),
    num_classes=10,
    in_channels=1,
)
RECIPE = TrainingRecipe(epochs=2, batch_size=50, learning_rate=0.1)
WITHOUT_BFLOAT16 = ("mxnet",)
"""The backends that refuse to train in bfloat16."""


@pytest.fixture(scope="module")
def digits():
    return load(DataChoice(name="digits"))


@pytest.fixture(params=sorted(BACKENDS))
def backend(request):
    try:
        return get_backend(request.param)
    except MissingFrameworkError as missing:
        pytest.skip(str(missing))


def trial(data, **changes):
    recipe = dataclasses.replace(RECIPE, **changes.pop("recipe", {}))
    return Trial(**({"network": SPEC, "recipe": recipe, "data": data.fingerprint} | changes))


def test_a_network_learns_digits(backend, digits):
    said = []
    result = backend.train(trial(digits, recipe={"epochs": 4}), digits, on_epoch=said.append)
    assert result.status == "finished"
    assert result.error < 0.25  # chance is 0.9
    assert result.error == result.curve[-1].validation_error
    assert list(result.curve) == said
    assert [record.epoch for record in result.curve] == [1, 2, 3, 4]
    assert result.curve[-1].training_loss < result.curve[0].training_loss
    assert result.images == 4 * 1000


def test_the_same_trial_gives_the_same_numbers(backend, digits):
    first, again = (backend.train(trial(digits), digits) for _ in range(2))
    assert [r.training_loss for r in first.curve] == [r.training_loss for r in again.curve]
    assert first.error == again.error


def test_images_in_shards_give_the_same_numbers(backend, digits, tmp_path):
    rows = np.random.default_rng(0).permutation(1000)
    images = in_shards(digits.training.images[np.argsort(rows)], tmp_path, 300, rows)
    data = dataclasses.replace(digits, training=Split(images=images, labels=digits.training.labels))
    recipe = {"epochs": 1, "flip": True, "shift": 1}
    plain, streamed = (backend.train(trial(digits, recipe=recipe), one) for one in (digits, data))
    assert plain.curve[0].training_loss == streamed.curve[0].training_loss
    assert plain.error == streamed.error


def test_a_recipe_that_a_backend_has_not_is_refused_before_it_trains(backend):
    backend.check_recipe(RECIPE)
    half = dataclasses.replace(RECIPE, precision="bfloat16")
    if backend.name in WITHOUT_BFLOAT16:
        with pytest.raises(InputError, match=rf"^precision \(='bfloat16'\) must be 'float32' for .* '{backend.name}'"):
            backend.check_recipe(half)
    else:
        backend.check_recipe(half)


@pytest.mark.parametrize("change", [{"average_epochs": 1.0}, {"mixup": 0.2}, {"cutmix": 1.0}, {"small_resolution": 6}])
def test_what_only_pytorch_trains_by_is_refused_by_the_others(backend, change):
    recipe = dataclasses.replace(RECIPE, **change)
    if backend.name == "torch":
        backend.check_recipe(recipe)
    else:
        field, value = *change, *change.values()
        sentence = rf"^{field} \(={value}\) must be left out for backend '{backend.name}', .* backend 'torch' has it$"
        with pytest.raises(InputError, match=sentence):
            backend.check_recipe(recipe)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"recipe": {"shift": 1}},
        {"recipe": {"flip": True}},
        {"recipe": {"label_smoothing": 0.1}},
        {"recipe": {"momentum": 0.0}},
        {"recipe": {"weight_decay": 0.1}},
        {"recipe": {"warmup_epochs": 1.0}},
        {"recipe": {"schedule": "constant"}},
        {"recipe": {"class_weights": "balanced"}},
        {"recipe": {"precision": "bfloat16"}},
    ],
    ids=str,
)
def test_every_choice_of_a_recipe_has_an_effect(backend, digits, change):
    plain, changed = trial(digits), trial(digits, **change)
    assert plain.id != changed.id
    if changed.recipe.precision == "bfloat16" and backend.name in WITHOUT_BFLOAT16:
        with pytest.raises(
            InputError, match=rf"precision \(='bfloat16'\) must be 'float32' for backend '{backend.name}'"
        ):
            backend.train(changed, digits)
        return
    before, after = (backend.train(t, digits).curve[0].training_loss for t in (plain, changed))
    assert before != after


@pytest.mark.parametrize("threads", [0, -1, 1025, 1.5])
def test_a_trial_s_threads_are_a_number_that_a_process_can_have(digits, threads):
    with pytest.raises(InputError, match=rf"^threads \(={threads}\) must be a whole number"):
        trial(digits, threads=threads)


def test_initialisation_and_order_do_not_depend_on_the_recipe(digits):
    plain, changed = trial(digits), trial(digits, recipe={"epochs": 7, "shift": 2})
    for purpose in ("initialisation", "order"):
        assert plain.stream_seed(purpose) == changed.stream_seed(purpose)
    assert len({plain.stream_seed(p) for p in ("initialisation", "order", "augmentation")}) == 3
    assert plain.stream_seed("order") != trial(digits, seed=1).stream_seed("order")


def test_dropping_is_random_and_fixed_by_the_seed(backend, digits):
    dropping = dataclasses.replace(SPEC, dropout=0.5, stochastic_depth=0.5)
    first, again = (backend.train(trial(digits, network=dropping), digits) for _ in range(2))
    assert first.curve[0].training_loss == again.curve[0].training_loss
    assert first.error == again.error


def test_a_network_that_diverges_is_a_result(backend, digits):
    result = backend.train(trial(digits, recipe={"learning_rate": 1e12, "epochs": 3}), digits)
    assert result.status == "diverged"
    assert result.error is None
    assert result.judged_error == float("inf")
    assert "loss" in result.reason


@pytest.fixture(scope="module")
def uneven(digits):
    """Digits of which half the classes are rare, in training and in validation."""

    def thinned(split):
        return split.take(np.flatnonzero((split.labels < 5) | (np.arange(len(split)) % 4 == 0)))

    return dataclasses.replace(digits, training=thinned(digits.training), validation=thinned(digits.validation))


def test_class_weights_are_those_of_pytorch(backend, uneven):
    # One step over all images: the loss is that of the initial weights, here the same in every framework.
    torch = get_backend("torch")
    weights = torch.arrays(torch.build(SPEC, seed=0))
    recipe = {"epochs": 1, "batch_size": len(uneven.training), "label_smoothing": 0.1, "class_weights": "balanced"}
    weighted = trial(uneven, recipe=recipe)
    equal = dataclasses.replace(weighted, recipe=dataclasses.replace(weighted.recipe, class_weights="equal"))
    ours, theirs, plain = (
        trainer.train(one, uneven, network=trainer.with_arrays(SPEC, weights)).curve[0].training_loss
        for trainer, one in ((backend, weighted), (torch, weighted), (backend, equal))
    )
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert ours != pytest.approx(plain, rel=1e-4)


def test_the_balanced_error_is_that_of_the_network(backend, uneven):
    asked = trial(uneven, recipe={"metric": "balanced_error"})
    network = backend.build(SPEC, seed=asked.stream_seed("initialisation"))
    result = backend.train(asked, uneven, network=network)
    images, labels = Batches(asked, uneven).normalised(uneven.validation.images), uneven.validation.labels
    wrong = backend.logits(network, images).argmax(1) != labels
    expected = np.mean([wrong[labels == label].mean() for label in range(10)])
    assert result.error == pytest.approx(expected, abs=0.005)  # of an image or two by another rounding
    assert backend.train(trial(uneven), uneven).error != result.error


def test_the_test_split_is_not_needed(backend, digits):
    without = dataclasses.replace(digits, test=None)
    assert backend.train(trial(digits), without).error == backend.train(trial(digits), digits).error


def test_a_batch_larger_than_the_data_is_refused(backend, digits):
    with pytest.raises(InputError, match=r"batch_size \(=5000\) must be at most .* \(=1000\)"):
        backend.train(trial(digits, recipe={"batch_size": 5000}), digits)
