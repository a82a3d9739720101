"""A study that stops when it is decided: at planned looks, the same whatever interrupts it, and never re-judged."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from netspace.cli import studies as commands
from netspace.cli.results import print_comparison
from netspace.errors import InputError, StoreError, StudyFileError
from netspace.execution.executor import Done, InlineExecutor
from netspace.stats import VerdictKind
from netspace.storage.export import export_store, import_store
from netspace.studies.study import Study
from netspace.studies.telling import looks_in_words
from netspace.training.trial import TrialResult
from tests.test_cli_statistics import by_depth
from tests.tiny import A_AND_E, study_of

# Wide perceptrons beside convolutions of few channels: trained so shortly, the former are much better.
SPACES = """[comparison]
margin = 0.5
looks = 4
[[spaces]]
space = "mlp"
name = "wide"
ranges = { depth = [1, 2], width = [256, 512] }
[[spaces]]
space = "anynetx_a"
name = "narrow"
ranges = { depth = [1, 2], width = [8, 16] }
"""
STUDY = study_of(SPACES, name="until decided", networks=16, workers=1, flops="1k..2M", epochs=3)
THIRD = """
[[spaces]]
space = "anynetx_a"
name = "also narrow"
ranges = { depth = [2, 3], width = [8, 16] }
"""


def opened(tmp_path, folder="out", text=STUDY):
    path = tmp_path / f"{folder}.toml"
    path.write_text(text)
    return Study.open(path, output=tmp_path / folder)


def said(study):
    return [verdict.sentence for verdict in study.verdicts()]


def counts(study):
    return [len(population.trained) for population in study.populations()]


def one_better(name, networks):
    """Small errors for "wide", large ones for all others, spread alike."""
    spread = np.random.default_rng(0).permutation(np.linspace(0.0, 0.2, len(networks)))
    return (0.1 if name == "wide" else 0.6) + np.roll(spread, -len(name))


class Told:
    """An executor that trains nothing: networks get the `errors` of their space.

    `last_first` turns the order in which they finish; `ends_after` so many of them the run is stopped.
    """

    def __init__(self, study, errors=one_better, *, last_first=False, ends_after=10**6):
        self.errors = {
            trial.id: error
            for name, trials in study.draw().trials.items()
            for trial, error in zip(trials, errors(name, [trial.network for trial in trials]), strict=True)
        }
        self.last_first = last_first
        self.left = ends_after

    def run(self, setup, tasks, *, should_stop):
        for task in reversed(tasks) if self.last_first else tasks:
            if should_stop():
                return
            self.left -= 1
            error = float(self.errors[task.key])
            yield [Done(key=task.key, value=(TrialResult(trial_id=task.key, status="finished", error=error), {}))]

    def stops(self):
        return self.left <= 0


def test_a_real_study_stops_at_an_early_look_and_killed_it_comes_to_the_same(tmp_path, capsys):
    study = opened(tmp_path)
    seen = []
    stopped = study.run(
        executor=InlineExecutor(raise_errors=True),
        on_progress=seen.append,
        should_stop=lambda: bool(seen) and seen[-1].trained >= 13,
        until_decided=True,
    )
    assert (stopped.trained, stopped.spared, stopped.remaining) == (13, 0, 19)
    (verdict,) = study.verdicts()
    assert verdict.kind is VerdictKind.UNDECIDED
    assert "judged at look 1 of 4" in verdict.sentence

    command = [sys.executable, "-m", "netspace", "run", "out.toml", "--output", "out", "--until-decided"]
    printed = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=True).stdout
    first = "verdicts are judged at 4, 8, 12, 16 networks of each space"
    assert printed.startswith(f"{first}; a claim within 50 points of EDF can be won from 8 on\n")
    assert "trained 3 networks" in printed
    assert "16 of 32 networks were not trained: the pairs that need them are decided" in printed
    assert counts(study) == [8, 8]
    (verdict,) = study.verdicts()
    assert verdict.kind is VerdictKind.A_MAJORISES
    assert "95 % confidence over all 4 looks, won at look 2 of 4 (its level 1.2 %), n = 8 and 8" in verdict.sentence
    assert verdict.sentence in printed
    assert "won at look 2 of 4" in (study.folder / "report.html").read_text()
    commands.compare([study.folder])
    assert verdict.sentence in capsys.readouterr().out
    commands.status(study.folder)
    assert "looks at 4, 8, 12, 16 networks of every space: 1 of 1 pair decided" in capsys.readouterr().out
    again = study.run(executor=InlineExecutor(), until_decided=True)
    assert (again.total, again.stored, again.trained, again.spared, again.remaining) == (32, 16, 0, 16, 0)
    (tmp_path / "others.csv").write_text("error\n0.1\n0.2\n")
    with pytest.raises(InputError, match="plans looks, and its pairs are judged at these alone; compare it by itself"):
        commands.compare([study.folder, tmp_path / "others.csv"])
    with pytest.raises(StoreError, match="is a table of results; this takes a study's output folder"):
        commands.status(tmp_path / "others.csv")


@pytest.mark.parametrize("order", ["last first", "stopped again and again"])
def test_a_decision_depends_on_counts_alone(tmp_path, order):
    """Three spaces, of which two are alike: the third one's pairs are decided early, and it trains no further."""
    study = opened(tmp_path, text=STUDY + THIRD)
    if order == "stopped again and again":
        for _ in range(9):
            executor = Told(study, ends_after=14)
            if not study.run(executor=executor, until_decided=True, should_stop=executor.stops).remaining:
                break
    else:
        study.run(executor=Told(study, last_first=True), until_decided=True)
    looks = {verdict.names: verdict.criteria.look.number for verdict in study.verdicts()}
    assert looks == {("wide", "narrow"): 3, ("wide", "also narrow"): 3, ("narrow", "also narrow"): 4}
    assert counts(study) == [12, 16, 16]
    sentences = said(study)
    assert "undecided" in [str(verdict.kind) for verdict in study.verdicts()]
    # The rest may be trained afterwards: what was judged stays judged.
    rest = study.run(executor=Told(study))
    assert (rest.trained, rest.spared, rest.remaining) == (4, 0, 0)
    assert said(study) == sentences
    assert study.run(executor=Told(study), until_decided=True).spared == 0


def test_a_look_waits_for_the_first_networks_of_every_space(tmp_path, capsys):
    study = opened(tmp_path)
    executor = Told(study, last_first=True, ends_after=9)
    progress = study.run(executor=executor, should_stop=executor.stops)
    assert progress.trained == 9
    assert study.verdicts() == ()  # the last networks of both have results, the first ones have not
    print_comparison(study.populations(), study.verdicts(), "validation error", looks=study.spec.looks)
    assert "no verdict: the first look comes at 4 networks of every space" in capsys.readouterr().out


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    study = opened(tmp_path_factory.mktemp("judged"))
    study.run(executor=Told(study), until_decided=True)
    return study


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("looks = 4", "looks = 5", "comparison.looks was 4, is 5"),
        ("looks = 4", "", "comparison"),
        ("networks = 16", "networks = 24", "networks was 16, is 24"),
        ("margin = 0.5", "margin = 0.4", r"comparison.margin was 0.5, is 0.4"),
        ("looks = 4", "looks = 4\nlevel = 0.9", "comparison.level was (0.95|absent), is 0.9"),
    ],
)
def test_another_plan_of_looks_is_refused(judged, before, after, sentence):
    kept = judged.store_path.read_bytes()
    other = opened(judged.folder.parent, text=STUDY.replace(before, after))
    with pytest.raises(StoreError, match=sentence):
        other.run()
    with pytest.raises(StoreError, match=sentence):
        other.verdicts()
    assert judged.store_path.read_bytes() == kept


def test_what_is_no_part_of_the_plan_may_change(judged):
    same = opened(judged.folder.parent, text=STUDY.replace("workers = 1", "workers = 2"))
    assert said(same) == said(Study.open(judged.folder)) == said(judged)


@pytest.mark.parametrize("to", ["csv", "json", "parquet"])
def test_an_export_takes_the_plan_along(judged, tmp_path, capsys, to):
    file, text = tmp_path / f"export.{to}", said(judged)[0]
    assert "won at look" in text
    export_store(judged.store_path, file, to=to)
    commands.compare([file])
    assert text in capsys.readouterr().out
    with pytest.raises(InputError, match="plans looks, and its pairs are judged at these alone"):
        commands.compare([file, file])
    with pytest.raises(InputError, match=r"normalised .* at these only plain errors are judged"):
        commands.compare([file], normalised="flops")
    if to != "csv":
        import_store(file, tmp_path / "again" / "study.db")
        assert said(Study.open(tmp_path / "again")) == [text]


def test_a_table_that_lacks_what_a_look_takes_is_refused(judged, tmp_path):
    page, *_ = judged.report()
    with pytest.raises(InputError, match="planned_looks: a study that plans its looks is judged at these alone"):
        commands.compare([page.parent / "networks.csv"])
    file = tmp_path / "export.csv"
    export_store(judged.store_path, file, to="csv")
    file.write_text(file.read_text().replace('""looks"": 4', '""looks"": 3', 1))
    with pytest.raises(InputError, match="planned_looks must hold the same plan in every row"):
        commands.compare([file])
    file.write_text(file.read_text().replace('""looks"": 3', '""looks"": 4').replace('""looks"": 4', '""looks"": 40'))
    with pytest.raises(InputError, match=r"planned_looks: looks \(=40\) must be a whole number from 2 to 16"):
        commands.compare([file])
    for networks in ("1e400", "16.9", "true"):
        tampered = file.read_text().replace('""networks"": 16', f'""networks"": {networks}')
        (tmp_path / "tampered.csv").write_text(tampered)
        with pytest.raises(InputError, match=r"planned_looks: networks \(=.*\) must be a whole number"):
            commands.compare([tmp_path / "tampered.csv"])


def test_without_planned_looks_nothing_is_begun(tmp_path):
    study = opened(tmp_path, text=STUDY.replace("looks = 4", ""))
    with pytest.raises(StudyFileError, match=r"comparison.looks: missing; .* write `looks = 5` under \[comparison\]"):
        study.run(until_decided=True)
    assert not study.folder.exists()


def test_a_plan_of_looks_is_part_of_a_study_and_its_absence_changes_none(tmp_path):
    study = opened(tmp_path)
    assert study.spec.looks == (4, 8, 12, 16)
    identity = study.spec.identity()
    assert identity["networks"] == 16
    assert json.loads(json.dumps(identity["comparison"])) == {"margin": 0.5, "looks": 4}
    plain = dataclasses.replace(study.spec, comparison=dataclasses.replace(study.spec.comparison, looks=None))
    assert plain.looks == ()
    assert identity == plain.identity() | {"networks": 16, "comparison": {"margin": 0.5, "looks": 4}}
    assert not {"networks", "comparison"} & plain.identity().keys()


LOOKS = """[comparison]
looks = 3
assisted = true
"""
ASSISTED = study_of(LOOKS + A_AND_E, name="assisted", networks=48, workers=1, flops="20k..200k")


@pytest.fixture(scope="module")
def assisted(tmp_path_factory):
    study = opened(tmp_path_factory.mktemp("assisted"), text=ASSISTED)
    assert study.run(executor=Told(study, by_depth, last_first=True), until_decided=True).spared == 32
    return study


def test_covariates_decide_at_a_look_what_errors_alone_leave_open(assisted, tmp_path, capsys):
    assert counts(assisted) == [32, 32]
    (verdict,), (row,) = assisted.verdicts(), assisted.assisted()
    assert verdict.kind is VerdictKind.UNDECIDED
    assert (row["look"], row["looks"], row["n_a"], row["n_b"], row["shown"]) == (2, 3, 32, 32, True)
    assert row["p_value"] <= row["alpha"] < 0.03
    assert assisted.run(executor=Told(assisted, by_depth), until_decided=True).trained == 0
    commands.compare([assisted.folder])
    printed = capsys.readouterr().out
    by_errors = f"Decided with covariates, below; by errors alone: {verdict.sentence}"
    assert by_errors in printed
    said = "anynetx_e is better than anynetx_a: the better of two of its networks has a lower error than the better of "
    assert said in printed
    assert "% confidence over all looks" in printed
    assert " at look 2 of 3, its level " in printed
    commands.compare([assisted.folder], as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["verdicts"][0]["sentence"], told["assisted"][0]["shown"]) == (verdict.sentence, True)
    commands.status(assisted.folder, as_json=True)
    status = json.loads(capsys.readouterr().out)
    assert (status["looks"], status["decided"]) == ([16, 32, 48], [["anynetx_a", "anynetx_e"]])
    commands.status(assisted.folder)
    assert "looks at 16, 32, 48 networks of every space: 1 of 1 pair decided" in capsys.readouterr().out
    page = (assisted.report()[0]).read_text()
    assert said in page
    assert "Undecided by errors alone: " in page
    assert "Decided with covariates, below; by errors alone" in page.replace('<span class="terms">', "")
    assert "each time assisted by covariates too" in page
    plain = opened(tmp_path, text=ASSISTED.replace("assisted = true", ""))
    assert plain.run(executor=Told(plain, by_depth), until_decided=True).trained == 96
    with pytest.raises(InputError, match=r"plans looks, and at these only the errors themselves .* `assisted = true`"):
        commands.compare([plain.folder], assisted=True)


def test_an_export_says_that_its_study_planned_covariates(assisted, tmp_path, capsys):
    export_store(assisted.store_path, tmp_path / "export.json", to="json")
    commands.compare([tmp_path / "export.json"])
    assert "this study planned to look at covariates too, which takes its store" in capsys.readouterr().out
    commands.compare([tmp_path / "export.json"], as_json=True)
    assert json.loads(capsys.readouterr().out)["assisted"] is None
    import_store(tmp_path / "export.json", tmp_path / "again" / "study.db")
    commands.compare([tmp_path / "again"])
    assert "anynetx_e is better than anynetx_a" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("networks", "looks", "assisted", "told"),
    [
        (24, 3, "", "8, 16, 24 networks of each space; no claim within 10 points of EDF can be won, which takes 32 at"),
        (24, 3, "assisted = true", "; covariates can show which space is better from 16 on"),
        (8, 2, "assisted = true", "; covariates show nothing, which takes 10"),
        (120, 3, "", "40, 80, 120 networks of each space; a claim within 10 points of EDF can be won from 80 on"),
    ],
)
def test_looks_that_can_decide_nothing_are_told_before_training(tmp_path, networks, looks, assisted, told):
    text = study_of(f"[comparison]\nlooks = {looks}\n{assisted}\n" + A_AND_E, networks=networks, flops="20k..200k")
    assert told in looks_in_words(opened(tmp_path, text=text).spec)


def test_what_a_look_showed_stays_shown_when_the_rest_is_trained(assisted):
    before = assisted.assisted()
    assert assisted.run(executor=Told(assisted, by_depth)).trained == 32
    assert assisted.assisted() == before


def test_covariates_are_part_of_the_plan(assisted):
    other = opened(assisted.folder.parent, text=ASSISTED.replace("assisted = true", ""))
    with pytest.raises(StoreError, match=r"comparison.assisted was true, is absent"):
        other.verdicts()
    with pytest.raises(
        StudyFileError, match=r"comparison.assisted \(=True\) is about planned looks: write `looks = 5`"
    ):
        opened(assisted.folder.parent, text=ASSISTED.replace("looks = 3", ""))
