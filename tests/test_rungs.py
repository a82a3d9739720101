"""Rungs, trained for real: who goes on, from which weights, and that a killed run chooses as one that never was."""

import dataclasses
import json
import shutil
import signal
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from netspace.backends import get_backend
from netspace.cli.populations import read_sources
from netspace.cli.rungs import print_weights
from netspace.errors import ExecutionError, InputError, StoreError, StudyFileError
from netspace.execution.executor import InlineExecutor
from netspace.networks.complexity import MEASURES, Complexity
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.storage.export import export_store, import_store
from netspace.storage.store import Store
from netspace.studies.climbing import best_first, going_on, rung_report
from netspace.studies.ladder import RungChoice, RungPlace, ladder
from netspace.studies.launching import trial_of
from netspace.studies.picking import pick
from netspace.studies.rungs import rungs_of
from netspace.studies.running import Run
from netspace.studies.spec import parse_study
from netspace.studies.study import Study
from netspace.training.data import DataChoice
from netspace.training.last_weights import keep_weights, kept_weights, trials_kept
from netspace.training.packs import shared_pack
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial, TrialResult
from tests.command_line import netspace
from tests.tiny import A_AND_E, study_of

RUNGS = """
[[rungs]]
epochs = 2
keep = 0.5
start = "former"
[[rungs]]
epochs = 3
training_share = 0.3
"""
TEXT = study_of(A_AND_E, flops="20k..200k", networks=4, epochs=1) + RUNGS
NETWORK = NetworkSpec(stages=(Stage(depth=1, width=8, group_width=8),), stem=Stem(width=8, stride=1), num_classes=10)
HERE = InlineExecutor(raise_errors=True)


def opened(folder, text=TEXT):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.toml").write_text(text)
    return Study.open(folder / "tiny.toml", output=folder / "out")


def numbers(study):
    return [
        (p.name, n.digest, r and (r.trial_id, r.status, r.error, [e.training_loss for e in r.curve]))
        for p in study.populations()
        for n, r in zip(p.networks, p.results, strict=True)
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study whose three rungs were trained in this process, and what was kept after each."""
    study = opened(tmp_path_factory.mktemp("rungs é"))
    kept = []
    for one in (study, *rungs_of(study)):
        one.run(executor=HERE)
        kept.append(len(trials_kept(study.weights)))
    return study, rungs_of(study), kept


def test_the_best_go_on_and_are_trained_as_their_rung_says(whole):
    study, (second, third), kept = whole
    for i, population in enumerate(study.populations()):
        best = {population.networks[j].digest for j in np.argsort(population.errors, kind="stable")[:2]}
        for rung, epochs, images in ((second, 2, 200), (third, 3, 300)):
            found = rung.populations()[i]
            assert {network.digest for network in found.networks} == best
            assert found.complexity.flops.tolist() == [
                population.complexity.flops[population.networks.index(network)] for network in found.networks
            ]
            assert [(len(r.curve), r.images) for r in found.results] == [(epochs, epochs * images)] * 2
    assert kept == [8, 0, 0]  # of all networks for the second rung; nothing begins from that


def test_a_rung_from_weights_begins_from_the_very_weights_that_the_rung_before_ended_with(whole):
    study, (second, third), _ = whole
    data, torch = study.draw().data, get_backend("torch")
    result = second.populations()[1].results[1]
    trials = {trial.id: trial for one in (study.draw(),) for ids in one.trials.values() for trial in ids}
    (first,) = [t for t in trials.values() if result.trial_id == continued(second, t).id]
    network = torch.build(first.network, seed=first.stream_seed("initialisation"))
    torch.train(first, data, network=network)
    again = torch.train(continued(second, first), data, network=network)
    assert (again.error, again.curve[1].training_loss) == (result.error, result.curve[1].training_loss)
    fresh = torch.train(dataclasses.replace(continued(second, first), former=""), data)
    assert fresh.curve[0].training_loss != result.curve[0].training_loss
    assert not any(trial.former for ids in third.draw().trials.values() for trial in ids)


def continued(rung, trial):
    """The trial of a rung that begins from the weights of another."""
    return trial_of(rung.spec, trial.network, trial.data, trial.id)


def test_a_former_trial_changes_an_id_and_its_absence_none():
    trial = Trial(network=NETWORK, recipe=TrainingRecipe(epochs=1), data="d")
    assert trial.id == "0ad29af8835d876692cd11e4be5f89d5"
    assert dataclasses.replace(trial, former="0" * 32).id != trial.id
    with pytest.raises(InputError, match=r"former \(='../x'\) must be the id of a trial"):
        dataclasses.replace(trial, former="../x")
    with pytest.raises(InputError, match="must be left out for backend 'jax'"):
        dataclasses.replace(trial, former="0" * 32, backend="jax")


KILLED = """
import os, sys
import netspace.backends.torch_training
from netspace.execution.executor import InlineExecutor
from netspace.studies.rungs import rungs_of
from netspace.studies.study import Study

def train(folder):
    study = Study.open(f"{folder}/tiny.toml", output=f"{folder}/out")
    for one in (study, *rungs_of(study)):
        one.run(executor=InlineExecutor(raise_errors=True))

train("undisturbed")
for fault in sys.argv[1:]:
    child = os.fork()
    if not child:
        os.environ["NETSPACE_FAULT"] = fault
        train(fault)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    train(fault)
"""


def test_a_run_that_is_killed_in_a_rung_or_between_two_ends_as_one_that_is_not(tmp_path):
    # After a network's weights and before its result; between the choices of two spaces.
    faults = ["recording:3", "prepared:5"]
    whole, *studies = (opened(tmp_path / name, TEXT.replace("= 4", "= 2")) for name in ("undisturbed", *faults))
    command = [sys.executable, "-c", KILLED, *faults]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["-9"] * len(faults), done.stderr
    assert [len(numbers(one)) for one in (whole, *rungs_of(whole))] == [4, 2, 2]
    for study in studies:
        for one, other in zip((study, *rungs_of(study)), (whole, *rungs_of(whole)), strict=True):
            assert numbers(one) == numbers(other)
        assert not trials_kept(study.weights)


def test_a_rung_waits_for_the_one_before(tmp_path):
    study = opened(tmp_path)
    second, third = rungs_of(study)
    with pytest.raises(ExecutionError, match=r"rung 2 waits: 8 of 8 networks of rung 1 have no result yet"):
        second.run(executor=HERE)
    seen = []
    study.run(executor=HERE, on_progress=seen.append, should_stop=lambda: bool(seen) and seen[-1].trained >= 5)
    with pytest.raises(ExecutionError, match=r"rung 2 waits: 3 of 8"):
        second.run(executor=HERE)
    with pytest.raises(ExecutionError, match=r"rung 3 waits: 4 of 4"):
        third.run(executor=HERE)
    assert not (study.folder / "rungs").exists()
    assert "rung 2: not begun; it waits for rung 1" in netspace("status", study.folder, cwd=tmp_path).stdout


def copied(whole, tmp_path, text=TEXT, *, without=()):
    """A copy of the study's first rung, and of others but those `without`, to be spoilt."""
    study = opened(tmp_path, text)
    shutil.copytree(whole[0].folder, study.folder)
    for number in without:
        shutil.rmtree(study.folder / "rungs" / str(number))
    return study


def test_weights_that_are_gone_or_torn_are_said_and_nothing_begins_fresh(whole, tmp_path):
    study = copied(whole, tmp_path, without=(2, 3))
    second = rungs_of(study)[0]
    with pytest.raises(StoreError, match=r"from the weights of rung 1, and those of 4 networks are not in .*weights"):
        second.run(executor=HERE)
    assert not second.place.exists()

    study = opened(tmp_path / "torn")
    study.run(executor=HERE)
    second = rungs_of(study)[0]
    torn = second.draw().trials["anynetx_a"][0]
    (path,) = study.weights.glob(f"{torn.former}.*")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    second.run(executor=InlineExecutor())
    (result,) = [r for p in second.populations() for r in p.results if r.status != "finished"]
    assert result.trial_id == torn.id
    assert "weights of trial" in result.reason
    assert "torn or changed" in result.reason


def test_the_choice_is_by_status_then_error_then_place_in_the_draws(whole):
    (population, _) = whole[0].populations()

    def result(status, error=None):
        return TrialResult(trial_id="t", status=status, error=error)

    results = (result("diverged"), result("finished", 0.5), result("failed"), result("finished", 0.5))
    assert best_first(dataclasses.replace(population, results=results)) == [1, 3, 0, 2]


def test_a_spread_is_one_network_of_each_part_from_the_best_to_the_worst(whole):
    (population, _) = whole[0].populations()
    errors = np.random.default_rng(0).permutation(30)
    results = tuple(TrialResult(trial_id="t", status="finished", error=int(error) / 100) for error in errors)
    cost = Complexity(**{name: np.repeat(getattr(population.complexity, name)[:1], 30) for name in MEASURES})
    each = {name: (getattr(population, name)[0],) * 30 for name in ("networks", "drawn", "positions")}
    many = dataclasses.replace(population, **each, results=results, complexity=cost)
    place = RungPlace(number=2, choose="spread")
    chosen = [going_on(many, 10, place, seed) for seed in range(40)]
    for found in chosen:
        assert found == sorted(found)
        assert sorted(errors[i] // 3 for i in found) == list(range(10))
    assert chosen[0] == going_on(many, 10, place, 0)
    assert len(set(map(tuple, chosen))) > 1
    assert {i for found in chosen for i in found} == set(range(30))  # none is left out by the rule
    data = DataChoice(name="digits")
    (step,) = ladder((RungChoice(epochs=2, keep=0.5, choose="spread"),), TrainingRecipe(epochs=1), data, 30)
    assert (step.networks, step.place.kept) == (15, 1.0)  # still a sample, which may be compared


def test_a_spread_is_compared_and_is_the_study_s_dear_training(tmp_path):
    text = study_of(A_AND_E, flops="20k..200k", networks=2, epochs=1)
    study = opened(tmp_path, text + '[[rungs]]\nepochs = 2\nkeep = 0.5\nchoose = "spread"\n')
    study.run(executor=HERE)
    assert "epochs" not in study.checked()
    (second,) = rungs_of(study)
    second.run(executor=HERE)
    assert [len(population) for population in study.checked()["epochs"]] == [1, 1]
    assert len(second.verdicts()) == 1
    with pytest.raises(StoreError, match="cannot grow"):
        rungs_of(opened(tmp_path, study.text.replace("networks = 2", "networks = 4")))


def test_a_study_that_keeps_a_share_does_not_grow_and_one_that_keeps_all_does(whole, tmp_path):
    grown = TEXT.replace("networks = 4", "networks = 6")
    with pytest.raises(StoreError, match=r"would leave 3 networks of 'anynetx_a' in rung 2, and .* holds 2"):
        rungs_of(copied(whole, tmp_path / "share", grown))
    text = study_of(A_AND_E, flops="20k..200k", networks=1, epochs=1) + '[[rungs]]\nepochs = 2\nstart = "former"\n'
    study = opened(tmp_path / "all", text)
    study.run(executor=HERE)
    rungs_of(study)[0].run(executor=HERE)
    before = numbers(rungs_of(study)[0])
    study = opened(tmp_path / "all", text.replace("networks = 1", "networks = 2"))
    assert study.run(executor=HERE).trained == 2
    (second,) = rungs_of(study)
    assert second.run(executor=HERE).trained == 2
    after = numbers(second)
    assert [after[0], after[2]] == before


def test_another_choice_than_the_one_that_stands_is_refused(whole, tmp_path):
    study = copied(whole, tmp_path)
    worst = best_first(study.populations()[0])[-1]
    with Store.open(study.place) as store:
        trial = store.origins()["anynetx_a"][1][worst]
    with sqlite3.connect(study.store_path) as connection:
        connection.execute("UPDATE results SET error = 0.0 WHERE trial = ?", [trial])
    connection.close()
    with pytest.raises(StoreError, match=r"holds other networks of 'anynetx_a', or began them from other weights"):
        rungs_of(study)[0].run(executor=HERE)


def test_what_holds_only_the_best_is_compared_with_nothing_and_rungs_only_with_equals(whole, tmp_path):
    study, (second, third), _ = whole
    for words in (["compare"], ["report"], ["assumptions"], ["samplesize", "--store"]):
        said = netspace(*words, second.folder, cwd=tmp_path, check=2).stderr
        assert "rung 2 holds only the best 50 % of each, chosen by their errors" in said
    said = netspace("compare", study.folder, second.folder, cwd=tmp_path, check=2).stderr
    assert "rung 2 holds only the best" in said
    for form in ("csv", "parquet"):  # what leaves a rung says which it is
        export_store(second.place, tmp_path / f"second.{form}", to=form)
        with pytest.raises(InputError, match="rung 2 holds only the best 50 % of each"):
            read_sources([study.place, tmp_path / f"second.{form}"], None)
    said = netspace("samplesize", "--store", "second.csv", cwd=tmp_path, check=2).stderr
    assert "a pilot takes samples of the spaces, and rung 2 holds only the best" in said
    with pytest.raises(InputError, match="rung 3 holds only"):
        third.verdicts()


def test_studies_of_unequal_trainings_are_not_compared(tmp_path):
    for epochs in (1, 2):
        (tmp_path / str(epochs)).mkdir()
        opened(tmp_path / str(epochs), study_of(A_AND_E, flops="20k..200k", networks=2, epochs=epochs)).run(
            executor=HERE
        )
    said = netspace("compare", "1/out", "2/out", cwd=tmp_path, check=2).stderr
    assert (
        "'2/out' is trained for 2 epochs of 20 % of the images, batches of 50 and '1/out' trained for 1 epoch" in said
    )


def test_the_command_goes_on_with_the_next_rung_and_everything_names_it(tmp_path):
    study = opened(tmp_path, study_of(A_AND_E, flops="20k..200k", networks=2, epochs=1) + RUNGS.replace("0.5", "1"))
    study.run(executor=HERE)
    begun = netspace("status", "out", cwd=tmp_path).stdout
    assert begun.startswith("tiny (rung 1)")
    assert "rung 2: not begun; it waits for rung 1" in begun
    second, third = rungs_of(study)
    for one in (second, third):
        one.run(executor=HERE)
    said = netspace("run", "tiny.toml", "--output", "out", cwd=tmp_path).stdout
    assert said.index("nothing to train") < said.index("rung 2: nothing to") < said.index("rung 3: nothing to train")
    told = json.loads(netspace("status", "out", "--json", cwd=tmp_path).stdout)
    assert (told["rung"], [row["finished"] for row in told["rungs"]["3"]]) == (1, [2, 2])
    of_rung = json.loads(netspace("status", "out/rungs/2", "--json", cwd=tmp_path).stdout)
    assert (of_rung["rung"], of_rung["study"]) == (2, "tiny: rung 2, 2 epochs")
    said = netspace("compare", "out", "out/rungs/3", cwd=tmp_path, check=2).stderr
    assert "is of rung 3 and 'out' of rung 1; only equal rungs are compared" in said
    export_store(third.place, tmp_path / "third.parquet", to="parquet")
    export_store(study.place, tmp_path / "first.parquet", to="parquet")
    assert import_store(tmp_path / "third.parquet", tmp_path / "again.db") == 4
    (tmp_path / "page.json").write_text('[{"digest": "a", "error": 0.5}]')  # as a page of a first rung saves it
    for first, source in (("first.parquet", "third.parquet"), ("first.parquet", "again.db"), ("page.json", "again.db")):
        with pytest.raises(InputError, match=rf"' is of rung 3 and '.*{first}' of rung 1"):
            read_sources([tmp_path / first, tmp_path / source], None)
    for mark in ("[1]", "[[1]]", '{"number": 1}'):
        (tmp_path / "mended.json").write_text(json.dumps([{"digest": "a", "error": 0.5, "study_rung": mark}]))
        with pytest.raises(InputError, match=r"mended.json.*study_rung"):
            read_sources([tmp_path / "mended.json"], None)
    assert [verdict.names for verdict in third.verdicts()] == [("anynetx_a", "anynetx_e")]  # all are in it: samples
    said = netspace("run", "out/rungs/3", cwd=tmp_path, check=2).stderr
    assert "rung.number (=3): a rung is trained by its study" in said
    page = (tmp_path / "out" / "report.html").read_text()
    assert "1 of 3: 1 epoch of 20 % of the images" in page
    assert 'id="rungs"' in page
    assert "Rungs 1 and 2, 4 networks in both: no correlation is told" in page
    with Store.open(tmp_path / "out" / "rungs" / "2") as store:
        assert store.facts["rows"]["Rung"].startswith("2 of 3: 2 epochs of 20 % of the images, batches of 50, from the")


def test_a_stop_that_comes_with_the_last_network_holds_for_the_rungs_too(tmp_path, monkeypatch):
    study = opened(tmp_path, study_of(A_AND_E, flops="20k..200k", networks=2, epochs=1) + RUNGS.replace("0.5", "1"))
    record = Run._record

    def stopped(run, entries):
        record(run, entries)
        if entries and not run._waiting:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Run, "_record", stopped)
    said = netspace("run", "tiny.toml", "--output", "out", cwd=tmp_path, check=1).stdout
    assert [p.count("finished") for p in study.populations()] == [2, 2]
    assert "rung 2: stopped: 0 of 4 networks have a result" in said


def test_a_rung_by_itself_finds_the_data_that_it_shares(whole):
    study, (second, third), _ = whole
    assert shared_pack(study.spec.data, second.folder) == study.folder / "data"
    assert shared_pack(third.spec.data, third.folder) is shared_pack(study.spec.data, study.folder) is None  # their own
    of_second, of_third = (Study.open(rung.folder).data().fingerprint for rung in (second, third))
    assert of_second == study.data().fingerprint != of_third
    found = pick(second.folder)
    assert found.best_limits is not None
    assert (len(found.candidates), found.judged) == (4, 8)


def test_the_size_of_kept_weights_is_told(whole, tmp_path, capsys):
    study = opened(tmp_path)
    study.run(executor=HERE, should_stop=lambda: bool(trials_kept(study.weights)))
    print_weights(study)
    (path,) = study.weights.iterdir()
    assert f"weights kept for the next rung: {path.stat().st_size / 1e6:.1f} MB in" in capsys.readouterr().out


def test_the_report_counts_what_was_saved_and_how_the_ranking_changed(whole, tmp_path):
    study, _, _ = whole
    found = rung_report(study.spec, study.populations(), study.climbed())
    counted = [(one.networks, one.finished, one.images) for one in found.rungs]
    assert counted == [(8, 8, 1600), (4, 4, 1600), (4, 4, 3600)]
    assert (found.compute.images, found.compute.images_of_all) == (6800, 8 * 900)
    assert found.compute.seconds == pytest.approx(sum(one.seconds for one in found.rungs))
    assert [(c.former, c.later, c.networks, c.chosen) for c in found.changes] == [(1, 2, 4, True), (2, 3, 4, False)]
    said = netspace("rungs", study.folder, cwd=tmp_path).stdout
    assert "All rungs took 6,800 images, 94 % of the 7,200 that training all 8 networks as in rung 3 takes" in said
    assert "2 epochs of 20 % of the images, batches of 50, from the weights of rung 1" in said
    assert json.loads(netspace("rungs", study.folder, "--json", cwd=tmp_path).stdout)["compute"]["images"] == 6800
    of_rung = netspace("rungs", study.folder / "rungs" / "2", cwd=tmp_path, check=2).stderr
    assert "name the store of that study" in of_rung
    # From weights, a network of the last rung has cost its former training too.
    spec = dataclasses.replace(study.spec, rungs=study.spec.rungs[:1])
    short = rung_report(spec, study.populations(), study.climbed())
    assert short.compute.images_of_all == 8 * (200 + 400)
    assert rung_report(study.spec, study.populations(), {}).compute is None


def test_the_ranking_of_many_networks_has_limits(whole):
    study, _, _ = whole
    (one, _) = study.populations()
    rng = np.random.default_rng(0)
    errors = rng.permutation(30) / 100

    def population(errors):
        networks = [dataclasses.replace(one.networks[0], num_classes=10 + i) for i in range(30)]
        results = [TrialResult(trial_id=str(i), status="finished", error=e, images=1) for i, e in enumerate(errors)]
        return dataclasses.replace(
            one, networks=tuple(networks), results=tuple(results), drawn=({},) * 30, positions=tuple(range(30))
        )

    spec = dataclasses.replace(study.spec, rungs=study.spec.rungs[1:])
    (change,) = rung_report(spec, [population(errors)], {2: [population(errors**2)]}).changes
    assert change.alike.spearman.value == 1.0
    assert 0.5 < change.alike.kendall.low < 1.0
    assert (change.top, change.stayed) == (3, 3)
    (change,) = rung_report(spec, [population(errors)], {2: [population(errors[::-1])]}).changes
    assert change.stayed == len({*np.argsort(errors)[:3]} & {*np.argsort(errors[::-1])[:3]})


def test_a_rung_of_larger_images_trains_the_same_networks_on_them(tmp_path):
    text = study_of(A_AND_E, flops="20k..200k", networks=1, epochs=1)
    study = opened(tmp_path, text + '[[rungs]]\nresolution = 12\nstart = "former"\n')
    study.run(executor=HERE)
    (second,) = rungs_of(study)
    second.run(executor=HERE)
    for before, after in zip(study.populations(), second.populations(), strict=True):
        assert (before.networks, before.complexity.flops) == (after.networks, after.complexity.flops)
        assert after.count("finished") == 1
    assert second.draw().data.resolution == 12
    with pytest.raises(InputError, match="met at the first rung's resolution"):
        second.assisted()


@pytest.mark.parametrize(
    ("rungs", "sentence"),
    [
        ("[[rungs]]\nepochs = 1", "rungs[0] is cheaper than the rung before it, by 50 % of its pixels"),
        ("[[rungs]]\nepochs = 1", "the nearest is epochs = 2"),
        ("[[rungs]]\nepochs = 4\n[[rungs]]\nepochs = 3", "rungs[1] is cheaper"),
        ("[[rungs]]\nepochs = 4\ntraining_share = 0.05", "rungs[0] is cheaper"),
        ("[[rungs]]\nepochs = 4\nkeep = 0", "rungs[0].keep (=0.0) must be above 0 and at most 1"),
        ("[[rungs]]\nepochs = 4\nkeep = 1.5", "rungs[0].keep (=1.5) must be above 0 and at most 1"),
        ("[[rungs]]\nepochs = 4\nkeep = 0.1", "rungs[0].keep (=0.1) must leave at least one network of each space"),
        ("[[rungs]]\nepochs = 4\nkeep = 0.1", "the nearest is 0.13"),
        ("[[rungs]]\nepochs = 4\nchoose = 'spread'", "rungs[0].choose (='spread') is about a share that goes on"),
        ("[[rungs]]\nkeep = 0.5", "rungs[0] trains as the rung before it"),
        ("[[rungs]]\ntraining_share = 1.5", "rungs[0].training_share (=1.5) must be above 0 and at most 1"),
        ("[[rungs]]\nepochs = 0", "rungs[0].epochs (=0) must be a whole number of at least 1"),
        ("[[rungs]]\nepoch = 4", "rungs[0].epoch: unknown key; did you mean 'epochs'?"),
        ("[[rungs]]\nepochs = 4\nstart = 'warm'", "rungs[0].start (='warm') must be one of fresh, former"),
        ("[[rungs]]\nepochs = 4\n[comparison]\nlooks = 2", "comparison.looks (=2) ends a study between two networks"),
        ("[[rungs]]\nresolution = 0", "rungs[0].resolution (=0) must be a whole number of at least 1"),
        ("[[spaces]]\nspace = 'mlp'\n[[rungs]]\nresolution = 16", "rungs[0].resolution (=16) must be left out: a perc"),
        ("[[rungs]]\nepochs = 4\nstart = 'former'", "rungs[0].start (='former') must be 'fresh' for backend 'jax'"),
    ],
)
def test_wrong_rungs(rungs, sentence):
    study = study_of(A_AND_E, flops="20k..200k", networks=4)
    with pytest.raises(StudyFileError) as caught:
        parse_study('backend = "jax"\n' * ("jax" in sentence) + study + rungs)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("rungs", "sentence"),
    [
        ("epochs = 4\nbatch_size = 500", r"rungs\[0\]: batch_size \(=500\) must be at most"),
        ("resolution = 4\nepochs = 2", r"rungs\[0\] is cheaper than the rung before it, by 75 %"),
        (
            "resolution = 1\nepochs = 200",
            r"rungs\[0\].resolution \(=1\): stages\[0\] has stride 2 but its input is 1x1",
        ),
    ],
)
def test_what_is_wrong_with_a_rung_and_its_data_is_found_before_anything_is_written(tmp_path, rungs, sentence):
    study = opened(tmp_path, study_of(A_AND_E, flops="20k..200k") + f"[[rungs]]\n{rungs}\n")
    with pytest.raises(StudyFileError, match=sentence):
        study.run()
    assert not study.folder.exists()


def test_rungs_change_no_identity_and_no_check(tmp_path):
    plain, more = study_of(A_AND_E, flops="20k..200k", networks=4), "[checks]\nshare = 0.5\nseeds = 1\n"
    assert parse_study(plain + RUNGS).identity() == parse_study(plain).identity()
    checks = [parse_study(text).check_studies()["seed_1"] for text in (plain + more, plain + more + RUNGS)]
    assert checks[0] == checks[1]


def test_weights_that_cannot_be_kept_are_told_in_the_log_and_missed_by_who_begins_from_them(tmp_path, capsys):
    (tmp_path / "weights").write_text("a file where the folder would be")
    keep_weights(tmp_path / "weights", "0" * 32, {"stem": np.zeros(3, np.float32)})
    assert "no weights could be kept for the next rung (" in capsys.readouterr().err
    with pytest.raises(InputError, match="are not in weights/"):
        kept_weights(tmp_path / "weights", "0" * 32)
