"""What a recipe says of every step, which recipes have names, and that new fields change no stored trial."""

import pickle
from dataclasses import replace

import pytest

from netspace import values
from netspace.errors import InputError, StudyFileError
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.studies.spec import parse_study
from netspace.studies.text import study_text
from netspace.training.recipe import PRESETS, TrainingRecipe, named_recipe
from netspace.training.trial import Trial

SPEC = NetworkSpec(
    stages=(Stage(depth=1, width=16, group_width=8),), stem=Stem(width=16, stride=1), num_classes=10, in_channels=1
)
STUDY = 'name = "x"\nnetworks = 1\n[data]\nname = "digits"\n[[spaces]]\nspace = "anynetx_a"\n[recipe]\n'


def test_digests_and_streams_of_stored_trials_stay():
    assert values.digest(TrainingRecipe()) == "91d50252581c6777792ccb2a4e437e5b"
    usual = TrainingRecipe(epochs=3, batch_size=64, warmup_epochs=0.3)
    assert values.digest(usual) == "5bd577f5515de5307a8c043b21cd361d"
    trial = Trial(network=SPEC, recipe=TrainingRecipe(epochs=3), data="0" * 32)
    assert trial.id == "e43ef6de0e8ad1e421d131dc73ca4762"
    sent = pickle.loads(pickle.dumps(trial))
    assert (sent, sent.id, replace(sent, seed=1) == sent) == (trial, trial.id, False)
    assert replace(sent, seed=1).id != trial.id
    purposes = ("initialisation", "order", "augmentation", "dropping")
    streams = [3502565888751139842, 3943670850572028719, 1043323458345241109, 1272951781717825804]
    assert [trial.stream_seed(purpose) for purpose in purposes] == streams
    assert trial.stream_seed("mixing") not in streams


def test_the_named_recipes_never_change():
    digests = {name: values.digest(recipe)[:12] for name, recipe in PRESETS.items()}
    assert digests == {
        "paper": "91d50252581c",
        "chapter": "a2eed9dcbf20",
        "proxy-1": "791bfa23c4d3",
        "proxy-4": "ec49149d63be",
        "full": "5e729f091d8c",
        "fine-tune": "63893b97fef7",
    }


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"mixup": -0.1}, r"mixup \(=-0.1\) must be at least 0 and at most 1000"),
        ({"cutmix": float("nan")}, r"cutmix \(=nan\) must be a finite number"),
        ({"average_epochs": -1}, r"average_epochs \(=-1\) must be at least 0"),
        ({"small_resolution": 0}, r"small_resolution \(=0\) must be a whole number of at least 1"),
        ({"small_resolution": 20, "small_share": 1.0}, r"small_share \(=1.0\) must be above 0 and at most 0.9"),
        ({"small_share": 0.3}, r"small_share \(=0.3\) is about a small_resolution, and there is none"),
    ],
)
def test_wrong_fields_are_one_sentence(fields, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        TrainingRecipe(**fields)


def test_the_side_of_images_grows_once():
    recipe = TrainingRecipe(epochs=3, small_resolution=20, small_share=0.25)
    sides = [recipe.side(step, 5, 28) for step in range(15)]
    assert sides == [20] * 4 + [28] * 11
    assert {TrainingRecipe().side(step, 5, 28) for step in range(15)} == {28}


def test_a_study_begins_with_a_preset_and_what_stands_beside_it_replaces_parts():
    spec = parse_study(STUDY + 'preset = "proxy-4"\nbatch_size = 32\nflip = true')
    expected = values.to_dict(named_recipe("proxy-4")) | {"batch_size": 32, "flip": True}
    assert values.to_dict(spec.recipe) == expected
    assert parse_study(study_text(spec)) == spec  # the text says what the name stands for
    assert parse_study(STUDY + 'preset = "paper"').identity() == parse_study(STUDY).identity()
    tensorflow = parse_study('backend = "tensorflow"\n' + STUDY + 'preset = "chapter"')
    assert tensorflow.recipe.learning_rate == 0.01


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ('preset = "proxy-5"', "recipe.preset: recipe 'proxy-5' does not exist; did you mean 'proxy-"),
        ("preset = [1]", "recipe.preset: recipe '[1]' does not exist; known: chapter, fine-tune, full, paper, proxy-1"),
        ('preset = "proxy-4"\nepoch = 3', "recipe.epoch: unknown key; did you mean 'epochs'?"),
        ('preset = "proxy-4"\nepochs = 0', "recipe.epochs (=0) must be a whole number of at least 1"),
        ("small_resolution = 20.5", "recipe.small_resolution (=20.5): input should be a valid integer"),
    ],
)
def test_a_wrong_preset_is_one_sentence(lines, sentence):
    with pytest.raises(StudyFileError) as caught:
        parse_study(STUDY + lines, "my.toml")
    assert str(caught.value).startswith(f"my.toml: {sentence}")


def test_a_study_whose_images_are_not_larger_is_refused(tmp_path):
    from netspace.studies.study import Study

    spec = parse_study(STUDY + "small_resolution = 8")
    with pytest.raises(StudyFileError, match=r"^recipe.small_resolution \(=8\) must be below the resolution \(=8\)"):
        Study(spec, "", tmp_path).draw()
