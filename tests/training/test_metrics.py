import dataclasses

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.class_weight import compute_class_weight

from netspace import values
from netspace.cli.progress import progress_line
from netspace.cli.results import last_epoch, print_status
from netspace.errors import InputError
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.single import train_network, trial_of
from netspace.studies.spec import parse_study
from netspace.studies.study import Study
from netspace.training.data import DataChoice, load
from netspace.training.metrics import check_judged, class_weights, judged
from netspace.training.recipe import TrainingRecipe
from netspace.training.splits import Split
from tests.tiny import STUDY

RANDOM = np.random.default_rng(0)
LABELS = np.repeat(np.arange(3), (50, 9, 3))
NAMES = ("many", "some", "few")


class TestMetrics:
    def test_balanced_error_is_scikit_learn_s(self):
        found = np.where(RANDOM.random(len(LABELS)) < 0.3, RANDOM.integers(0, 3, len(LABELS)), LABELS)
        wrong = found != LABELS
        assert judged(wrong, LABELS, "error") == np.mean(wrong)
        assert judged(wrong, LABELS, "balanced_error") == pytest.approx(1 - balanced_accuracy_score(LABELS, found))

    def test_class_without_images_is_refused(self):
        check_judged("error", LABELS[:50], NAMES, "test")
        sentence = (
            r"^metric \(='balanced_error'\) takes test images of every class, and class 'some' has none; add some"
        )
        with pytest.raises(InputError, match=sentence):
            check_judged("balanced_error", LABELS[:50], NAMES, "test")

    def test_weights_are_scikit_learn_s_and_their_mean_is_1(self):
        weights = class_weights("balanced", LABELS, NAMES)
        assert weights == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=LABELS))
        assert weights[LABELS].mean() == pytest.approx(1.0)
        assert class_weights("equal", LABELS, NAMES) is None

    def test_weights_of_a_class_without_images(self):
        with pytest.raises(InputError, match=r"^class_weights \(='balanced'\): class 'few' has no training image"):
            class_weights("balanced", LABELS[:59], NAMES)


class TestRecipe:
    def test_the_defaults_are_no_part_of_an_id(self):
        assert values.to_dict(TrainingRecipe(class_weights="equal", metric="error"), without_defaults=True) == {}
        assert values.digest(TrainingRecipe()) == "91d50252581c6777792ccb2a4e437e5b"

    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            ('class_weights = "balance"', "class_weights (='balance') must be one of equal, balanced; did you mean"),
            ('metric = "balanced"', "metric (='balanced') must be one of error, balanced_error; did you mean"),
        ],
    )
    def test_in_a_study_file(self, line, sentence):
        with pytest.raises(InputError) as caught:
            parse_study(STUDY.replace("[recipe]", f"[recipe]\n{line}"))
        assert f"recipe.{sentence}" in str(caught.value)


def uneven(**fields):
    """Digits of which half the classes are rare in training."""
    data = load(DataChoice(name="digits"))
    kept = np.flatnonzero((data.training.labels < 5) | (np.arange(len(data.training)) % 10 == 0))
    return dataclasses.replace(data, training=data.training.take(kept), **fields)


SPEC = NetworkSpec(stages=(Stage(depth=1, width=16, group_width=8),), stem=Stem(width=16, stride=1))


def test_rare_classes_gain_by_weights():
    data = uneven()
    recipe = TrainingRecipe(epochs=8, batch_size=50, learning_rate=0.1, metric="balanced_error")
    plain, weighted = (
        train_network(trial_of(SPEC, data, recipe=dataclasses.replace(recipe, class_weights=weights)), data, test=True)
        for weights in ("equal", "balanced")
    )
    assert plain.trial.id != weighted.trial.id
    assert weighted.result.error < plain.result.error
    assert weighted.test_error < plain.test_error


def test_a_test_split_that_lacks_a_class_is_refused_before_training():
    test = Split(images=np.zeros((2, 8, 8, 1), np.uint8), labels=np.zeros(2, np.int64))
    data = uneven(test=test)
    trial = trial_of(SPEC, data, recipe=TrainingRecipe(metric="balanced_error"))
    with pytest.raises(InputError, match="takes test images of every class, and class '1' has none"):
        train_network(trial, data, test=True)


def test_a_study_names_its_metric_wherever_it_shows_errors(tmp_path, capsys):
    images = RANDOM.integers(0, 256, (400, 8, 8)).astype(np.uint8)
    labels = np.repeat([0, 1], (320, 80))
    images[labels == 1, :4] //= 2
    np.savez(tmp_path / "uneven.npz", images=images, labels=labels)
    recipe = '[recipe]\nclass_weights = "balanced"\nmetric = "balanced_error"'
    text = STUDY.replace("[recipe]", recipe).replace('"digits"\ntraining_share = 0.2', f'"npz:{tmp_path}/uneven.npz"')
    (tmp_path / "study.toml").write_text(text.replace("workers = 2", "workers = 1"))
    study = Study.open(tmp_path / "study.toml", output=tmp_path / "out")
    progress = study.run()
    assert progress.failures == 0
    assert "best balanced error" in progress_line(progress)
    populations = study.populations()
    # Two classes: a network that knows nothing is wrong on half, however uneven they are.
    assert {population.metric for population in populations} == {"balanced_error"}
    assert all(0.0 <= error <= 0.75 for population in populations for error in population.errors)
    assert last_epoch(study.spec.recipe.metric) == "balanced validation error at the last epoch"
    print_status("uneven", populations)
    assert "best balanced error" in capsys.readouterr().out
    page = next(path for path in study.report() if path.suffix == ".html").read_text()
    assert "best balanced validation error" in page
    assert "balanced error: the mean over the classes" in page
    assert "losses weighted so that all classes count alike" in page
    assert "validation error" not in page.replace("balanced validation error", "").replace(
        "alanced validation error", ""
    )
