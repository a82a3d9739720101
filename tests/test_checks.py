"""A study with [checks], trained for real: what is trained besides, and what it says of the four assumptions."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import special
from typer.testing import CliRunner

from netspace.cli.main import app
from netspace.errors import InputError, StudyFileError
from netspace.execution.executor import InlineExecutor
from netspace.storage.store import Entry, Store
from netspace.studies.preparing import untrained
from netspace.studies.spec import FINGERPRINT
from netspace.studies.study import Study
from netspace.training.trial import TrialResult
from tests.tiny import STUDY

CHECKED = (
    STUDY
    + """
[checks]
share = 0.6
epochs = 3
seeds = 1
budget = { flops = "200k..900k" }
"""
)


def said(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A study whose networks are trained here, and two of its checks; the command trains the third."""
    folder = tmp_path_factory.mktemp("checked é")
    (folder / "tiny.toml").write_text(CHECKED)
    study = Study.open(folder / "tiny.toml", output=folder / "out")
    study.run(executor=InlineExecutor(raise_errors=True))
    begun = said("status", study.folder)
    with pytest.raises(InputError, match="has no network trained from two seeds; `seeds = 2` in the"):
        said("noise", study.folder)
    assert study.checked() == {}
    checks = study.checks()
    for name in ("epochs", "seed_1"):
        checks[name].run(executor=InlineExecutor(raise_errors=True))
    command = [sys.executable, "-m", "netspace", "run", "tiny.toml", "--output", "out", "--workers", "1"]
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=300, check=True)
    return study, begun, done.stdout


def test_a_run_goes_on_to_the_checks_and_says_which(run):
    _, begun, text = run
    for name in ("epochs", "seed_1", "budget"):
        assert f"check {name}: not begun" in begun
    assert "\nnothing to train: all 6 networks" in f"\n{text}"
    assert "check epochs: nothing to train: all 4 networks" in text
    assert "check seed_1: nothing to train: all 4 networks" in text
    assert "check budget: 4/4 networks" in text
    assert "check budget: trained 4 networks" in text
    assert text.index("check budget: trained") < text.index("page: ")


def test_checks_train_the_first_networks_again_and_others_in_another_budget(run):
    study, _, _ = run
    checked = study.checked()
    assert list(checked) == ["epochs", "seed_1", "budget"]
    for i, population in enumerate(study.populations()):
        longer, reseeded, larger = (checked[name][i] for name in checked)
        assert longer.networks == reseeded.networks == population.networks[:2]
        assert [len(r.curve) for r in longer.results] == [3, 3]
        assert (larger.complexity.flops >= 200_000).all()
    losses = [
        [r.curve[0].training_loss for p in one for r in p.results[:2]]
        for one in (study.populations(), checked["seed_1"])
    ]
    assert not np.isclose(*losses, rtol=1e-6).any()  # another seed, other weights
    kept = sorted(path.name for path in (study.folder / "checks" / "epochs").iterdir())
    assert kept == ["study.db", "study.db.lock"]  # the data are the study's own


def test_a_check_is_known_by_its_store_too(run):
    study, _, _ = run
    check = Study.open(study.folder / "checks" / "epochs")
    assert [len(population) for population in check.populations()] == [2, 2]
    assert check.text.startswith("# The check 'epochs' of tiny; `netspace run` trains it after it.\n")
    assert 'name = "tiny: 3 epochs"\nnetworks = 2\n' in check.text


def test_status_says_how_far_checks_are(run):
    study, _, _ = run
    assert "check seed_1\n" in said("status", study.folder)
    told = json.loads(said("status", study.folder, "--json"))
    assert [row["finished"] for row in told["checks"]["budget"]] == [2, 2]


def test_assumptions_and_noise_of_a_handful_say_not_enough_data(run):
    study, _, _ = run
    text = said("assumptions", study.folder)
    assert "2. Cheap training ranks networks like dear training: not enough data" in text
    assert "4 networks trained for longer, of 20 that this takes" in text
    told = json.loads(said("assumptions", study.folder, "--json"))
    assert [one["title"] for one in told] == [one.title for one in study.assumptions()]
    assert said("noise", study.folder).count("not enough data") == 3
    told = json.loads(said("noise", study.folder, "--json"), parse_constant=pytest.fail)
    assert told["splits"] == {"anynetx_a": None, "anynetx_e": None, "all together": None}
    assert told["edfs"]["anynetx_e"]["after"] is None


def fill(study, seed):
    """Make the store of a study with errors of which the network decides most and the seed the rest; one fails."""
    drawn = study.draw()
    identity = {**study.spec.identity(), FINGERPRINT: drawn.data.fingerprint}
    with Store.create(study.store_path, study=identity, text=study.text, facts={"rows": {}, "notes": []}) as store:
        for number, (name, taken) in enumerate(drawn.samples.items()):
            trials = [trial.id for trial in drawn.trials[name]]
            store.add_population(untrained(name, taken), definition={}, trials=trials)
            rng, chance = np.random.default_rng(number), np.random.default_rng(seed)
            odds = rng.normal(-2.0, 1.0, 12)[: len(trials)] + chance.normal(0.0, 0.3, len(trials))
            for trial, error in zip(trials[1:], special.expit(odds)[1:].tolist(), strict=True):
                store.record(Entry(result=TrialResult(trial_id=trial, status="finished", error=error)))
            store.record(Entry(result=TrialResult(trial_id=trials[0], status="failed", reason="by design")))


def test_noise_prints_the_split_and_the_edf_without_it(tmp_path):
    text = STUDY.replace("networks = 3", "networks = 12") + "[checks]\nshare = 1\nseeds = 1\n"
    (tmp_path / "tiny.toml").write_text(text)
    study = Study.open(tmp_path / "tiny.toml", output=tmp_path / "out")
    fill(study, seed=5)
    fill(study.checks()["seed_1"], seed=6)
    lines = {line.split("  ")[0]: line for line in said("noise", study.folder).splitlines()}
    assert lines["all together"].split()[2:5] == ["24", "2", "2"]
    assert "→ -" not in lines["anynetx_a"]
    told = json.loads(said("noise", study.folder, "--json"), parse_constant=pytest.fail)
    whole = told["splits"]["all together"]
    assert (whole["networks"], whole["seeds"], whole["failed"], whole["sometimes"]) == (24, 2, 2, 0)
    assert 0.15 < whole["seed"]["low"] < 0.3 < whole["seed"]["high"] < 0.5
    for name in ("anynetx_a", "anynetx_e"):
        edf = told["edfs"][name]
        assert edf["before"]["minimum"] < edf["after"]["minimum"] < edf["after"]["median"] < 0.5


def test_only_the_spaces_that_are_named_are_checked_and_their_networks_are_the_same(tmp_path):
    regnet = '[[spaces]]\nspace = "regnetx"\n'
    text = CHECKED.replace("[[spaces]]", regnet + "[[spaces]]", 1).replace("[ranges]", "[ranges]\ntotal_depth = [2, 3]")

    def drawn(more):
        (tmp_path / "tiny.toml").write_text(text + more)
        return Study.open(tmp_path / "tiny.toml", output=tmp_path / "out").checks()["budget"].draw()

    every, some = drawn(""), drawn('spaces = ["anynetx_e", "anynetx_a"]\n')
    assert list(every.samples) == ["regnetx", "anynetx_a", "anynetx_e"]
    assert list(some.samples) == ["anynetx_a", "anynetx_e"]
    for name, sample in some.samples.items():
        assert sample.networks == every.samples[name].networks
        assert some.trials[name] == every.trials[name]


@pytest.mark.parametrize(
    ("spaces", "sentence"),
    [
        ('["anynetx_a", "anynetx_f"]', r"checks.spaces\[1\] \(='anynetx_f'\) is no space of the study; did you mean"),
        ('["anynetx_a", "anynetx_a"]', r"checks.spaces\[1\] \(='anynetx_a'\) is named twice"),
    ],
)
def test_a_check_of_no_such_space_is_refused(tmp_path, spaces, sentence):
    (tmp_path / "wrong.toml").write_text(f"{CHECKED}spaces = {spaces}\n")
    with pytest.raises(StudyFileError, match=sentence):
        Study.open(tmp_path / "wrong.toml", output=tmp_path / "out")


def test_what_is_wrong_with_a_check_is_found_before_anything_is_written(tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text(CHECKED.replace("200k..900k", "1..2"))
    study = Study.open(path, output=tmp_path / "out")
    with pytest.raises(StudyFileError, match=r"\[checks\], budget: budget: .*no network has flops in 1\.\.2"):
        study.run()
    assert not study.folder.exists()


def test_the_store_of_a_check_knows_what_it_trained(tmp_path):
    text = CHECKED.replace("[recipe]", "[comparison]\nlooks = 2\n[recipe]")
    (tmp_path / "tiny.toml").write_text(text)
    checks = Study.open(tmp_path / "tiny.toml", output=tmp_path / "out").checks()
    for check in checks.values():
        check.run(executor=InlineExecutor(raise_errors=True))
        again = Study.open(check.folder)
        # Not the study's own budget, epochs, seed or looks, of which its verdicts and censuses would be others.
        assert again.spec == check.spec
        assert [verdict.names for verdict in again.verdicts()] == [("anynetx_a", "anynetx_e")]
    assert Study.open(checks["budget"].folder).spec.budget.flops == "200k..900k"
    assert "2 anynetx_a" not in said("status", checks["seed_1"].folder)
