"""`netspace principles`: explored in networks that are there, confirmed on fresh ones, resumed, and written down."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from netspace.cli.main import app
from netspace.errors import ExecutionError, InputError, StoreError
from netspace.execution.executor import Done, InlineExecutor
from netspace.stats import DecisionKind
from netspace.studies.principles import Walk
from netspace.studies.spec import read_study
from netspace.studies.study import Study
from netspace.training.trial import TrialResult
from tests.tiny import STUDY

ONE = (
    STUDY[: STUDY.rindex("[[spaces]]")]
    .replace("epochs = 2", "epochs = 1")
    .replace("num_stages = 2", "num_stages = 3")
    .replace("depth = [1, 2]\nwidth = [8, 32]", "depth = [1, 3]\nwidth = [8, 96]")
)
FIELDS = ("networks", "results", "drawn", "positions")
KEYS = ["share-b", "share-g", "widths-rise", "depths-rise", "linear-widths", "b-is-1"]


class Known:
    """An executor whose networks have errors that follow from their stages: some relations gain, some lose."""

    def __init__(self):
        self.seen = []

    def run(self, setup, tasks, *, should_stop=None):
        for task in tasks:
            stages = task.payload.network.stages
            self.seen.append(task.payload.network.digest)
            rng = np.random.default_rng(int(task.key[:8], 16))
            error = rng.normal(0.40, 0.02)
            error -= 0.10 * (len({stage.bottleneck_ratio for stage in stages}) == 1)
            error += 0.10 * (len({stage.group_width for stage in stages}) == 1)
            result = TrialResult(trial_id=task.key, status="finished", error=float(error), seconds=2.0, images=100)
            yield [Done(key=task.key, value=(result, {}))]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained é")
    (folder / "study.toml").write_text(ONE)
    Study.open(folder / "study.toml", output=folder / "out").run(executor=InlineExecutor(raise_errors=True))
    return folder / "out"


@pytest.fixture
def store(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(trained, tmp_path / "out"))


def test_every_relation_is_confirmed_by_fresh_networks_once_and_for_all(store):
    walk = Walk(Study.open(store), networks=1)
    steps = list(walk.confirm(executor=InlineExecutor(raise_errors=True)))
    assert [step.principle.key for step in steps] == KEYS
    suggested = {network.digest for p in Study.open(store).populations() for network in p.networks}
    for step in steps:
        study = Study.open(step.folder)
        populations = study.populations()
        assert [len(population.trained) for population in populations] == [1, 1]
        fresh = {network.digest for population in populations for network in population.networks}
        assert not fresh & suggested
        suggested |= fresh
        # `netspace compare` says the same of a step as the step itself.
        assert [verdict.sentence for verdict in study.verdicts()] == [step.verdict.sentence]
        assert step.decision.kind is DecisionKind.UNDECIDED
        assert not step.taken
        assert study.spec.recipe == walk.study.spec.recipe
    assert walk.present is walk.start
    # Six steps share the risk.
    assert steps[0].verdict.criteria.alpha == pytest.approx(0.05 / 6)
    again = Walk(Study.open(store), networks=1)
    assert [step.verdict for step in again.confirm(executor=None)] == [step.verdict for step in steps]


def test_what_gains_is_taken_what_loses_is_not_and_the_rest_stays_open(store):
    walk, known = Walk(Study.open(store), networks=30, margin=0.3), Known()
    steps = {step.principle.key: step for step in walk.confirm(executor=known)}
    kinds = {key: step.decision.kind.value for key, step in steps.items()}
    assert kinds["share-b"] == "accept"
    assert kinds["share-g"] == "reject"
    assert steps["share-g"].decision.reason.startswith("a loss: ")
    assert steps["widths-rise"].verdict.names[1] == "anynetx_a + shared b + rising w"
    # Exploring looks at the store's networks and at those of the steps before; the gain shows there too.
    assert steps["share-g"].explored["networks"] == 3 + 60
    assert steps["share-b"].sizes[0] > steps["share-b"].sizes[1] > 0
    assert len(known.seen) == 60 * 6 == sum(step.networks for step in steps.values())
    assert steps["share-b"].seconds == 120.0

    path = walk.write()
    text, (spec, _) = path.read_text(), read_study(path)
    assert "# - the bottleneck ratio is shared: accept (a gain: the refined space majorises); taken." in text
    assert "# - the group width is shared: reject (a loss: " in text
    assert [choice.name for choice in spec.spaces] == ["anynetx_a", walk.present.name]
    study = Study.open(path)
    drawn = study.draw()
    assert [len(taken.networks) for taken in drawn.samples.values()] == [3, 3]
    refined = drawn.samples[walk.present.name]
    assert all(len({row["bottleneck_ratio[0]"], row["bottleneck_ratio[1]"]}) == 1 for row in refined.drawn)
    assert study.spec.seed not in {Study.open(step.folder).spec.seed for step in steps.values()}


def test_undecided_relations_are_taken_on_request_and_end_in_a_regnet(store):
    walk = Walk(Study.open(store), networks=1, take_undecided=True)
    steps = list(walk.confirm(executor=Known()))
    assert all(step.taken for step in steps)
    assert [step.sizes for step in steps] == [step.sizes for step in walk.plan]
    spec, _ = read_study(walk.write())
    spaces = spec.design_spaces(num_classes=10, in_channels=1)
    final = spaces[walk.present.name]
    assert final.is_linear
    assert final.law("bottleneck_ratio").options == (1.0,)
    assert final.size() == steps[-1].sizes[1]


def test_a_stopped_walk_continues(store):
    done = []
    walk = Walk(Study.open(store), networks=1)
    with pytest.raises(ExecutionError, match="stopped: 1 of 2 networks of this step have a result in"):
        list(
            walk.confirm(
                executor=InlineExecutor(), on_progress=done.append, should_stop=lambda: done[-1:] and done[-1].trained
            )
        )
    step = next(Walk(Study.open(store), networks=1).confirm(executor=InlineExecutor(raise_errors=True)))
    assert step.networks == 2


def test_a_trained_walk_is_told_again_from_its_stores_alone(tmp_path):
    random = np.random.default_rng(0)
    images = tmp_path / "mine.npz"
    np.savez(images, images=random.integers(0, 256, (60, 8, 8), dtype=np.uint8), labels=np.arange(60) % 2)
    (tmp_path / "study.toml").write_text(
        ONE.replace('"digits"', f'"npz:{images}"').replace("batch_size = 50", "batch_size = 5")
    )
    study = Study.open(tmp_path / "study.toml", output=tmp_path / "out")
    study.run(executor=Known())
    steps = list(Walk(study, networks=2).confirm(executor=Known()))
    images.unlink()
    for file in (tmp_path / "out").rglob("study.db"):
        place = tmp_path / "again" / file.relative_to(tmp_path / "out")
        place.parent.mkdir(parents=True)
        shutil.copy(file, place)
    again = Walk(Study.open(tmp_path / "again"), networks=2)
    told = list(again.confirm())
    assert [step.verdict.sentence for step in told] == [step.verdict.sentence for step in steps]
    assert again.write().read_text().count(" not taken.") == 6
    with pytest.raises(InputError, match=r"mine\.npz"):  # to train more, the images are needed
        next(Walk(Study.open(tmp_path / "again"), networks=3).confirm())


def test_a_space_without_fresh_networks_is_left_alone(tmp_path, trained, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = {
        "depth = [1, 3]\nwidth = [8, 96]": "depth = 1\nwidth = 8\ngroup_width = [1, 2]",
        "num_stages = 3": "num_stages = 2",
        "20k..200k": "1..1G",
        "networks = 3": "networks = 36",
    }
    text = ONE
    for old, new in changes.items():
        text = text.replace(old, new)
    (tmp_path / "small.toml").write_text(text)
    study = Study.open(tmp_path / "small.toml", output=tmp_path / "small")
    known = Known()
    study.run(executor=known)
    walk = Walk(study, networks=2)
    (share_b, share_g, *_) = steps = list(walk.confirm(executor=known))
    assert share_b.skipped == "only 0 of 2 networks of anynetx_a are fresh, and all others were explored"
    assert "are fresh" in share_g.skipped
    assert len(known.seen) == 36
    assert not any(step.decision for step in steps if step.principle.key != "linear-widths")
    share_b = next(Walk(study, networks=37).confirm(executor=known))
    assert "holds only" in share_b.skipped


def test_a_network_that_was_explored_judges_nothing(store):
    known = Known()
    first = next(Walk(Study.open(store), networks=20).confirm(executor=known))
    walk = Walk(Study.open(store), networks=20)
    repeated = Study.open(first.folder).populations()[1]
    walk._populations.append(replace(repeated, **{name: getattr(repeated, name)[:4] for name in FIELDS}))
    again = next(walk.confirm(executor=known))
    assert len(known.seen) == 40
    assert (again.verdict.evidence.a.n, again.verdict.evidence.b.n) == (20, 16)
    assert again.verdict.evidence.b.minimum == repeated.errors[4:].min()


def test_what_cannot_be_walked_from(store, tmp_path):
    study = Study.open(store)
    with pytest.raises(InputError, match=r"space \(='anynet_a'\) is none of the study's; did you mean 'anynetx_a'\?"):
        Walk(study, space="anynet_a")
    with pytest.raises(InputError, match=r"margin \(=1\.5\) must lie between 0 and 1"):
        Walk(study, margin=1.5)
    (tmp_path / "mlp.toml").write_text(
        ONE[: ONE.index("[ranges]")].replace("num_stages = 2\n", "").replace('flops = "20k..200k"', "")
        + '[[spaces]]\nspace = "mlp"\n'
    )
    mlp = Study.open(tmp_path / "mlp.toml", output=tmp_path / "mlp")
    with pytest.raises(StoreError, match="does not exist"):
        Walk(mlp)
    mlp.run(executor=InlineExecutor(), should_stop=lambda: True)
    with pytest.raises(InputError, match="has no results yet"):
        Walk(mlp)
    mlp.run(executor=KnownMLP())
    with pytest.raises(InputError, match=r"space 'mlp' joins several spaces, .*; principles are for a single one"):
        Walk(mlp)


class KnownMLP(Known):
    """Errors of networks without groups."""

    def run(self, setup, tasks, *, should_stop=None):
        for task in tasks:
            result = TrialResult(trial_id=task.key, status="finished", error=0.5, seconds=2.0, images=100)
            yield [Done(key=task.key, value=(result, {}))]


def test_other_data_judge_no_step(store, monkeypatch):
    study = Study.open(store)
    walk = Walk(study, networks=1)
    monkeypatch.setattr("netspace.studies.principles.FINGERPRINT", "seed")  # a field that says something else
    with pytest.raises(StoreError, match="the same data must judge all networks"):
        next(walk.confirm(executor=InlineExecutor()))


def netspace(*words):
    done = CliRunner().invoke(app, ["principles", *map(str, words)], env={"COLUMNS": "200"})
    return str(done.stdout) if done.exception is None else done.exception


def test_the_command_plans_walks_and_says_where_the_study_is(store):
    plan = netspace(store, "--dry-run")
    assert "plan: 6 steps of 2 x 100 fresh networks, 1,200 in all, about " in plan
    assert "99.2 % confidence each, 95 % over all steps (Bonferroni)" in plan
    assert "from about 880 networks a side on; fewer show gains and losses" in plan
    assert not (store / "principles").exists()
    list(Walk(Study.open(store), networks=1).confirm(executor=InlineExecutor(raise_errors=True)))
    out = netspace(store, "--networks", 1)
    assert "1 network a side can accept nothing: that takes 46 at least" in out
    assert out.count("  decided:   undecided, not taken: neither a loss nor its absence is shown; about 880") == 6
    assert "12 fresh networks, " in out
    assert "principles/refined.toml" in out
    told = json.loads(netspace(store, "--dry-run", "--json"))
    assert [step["principle"] for step in told["steps"]] == KEYS
    assert told["steps"][0]["sizes"] == [(3 * 12 * 3 * 6) ** 3, 3 * (3 * 12 * 6) ** 3]
    assert "space (='regnet') is none of the study's" in str(netspace(store, "--space", "regnet"))


def test_a_study_that_planned_looks_is_walked_like_any_other(tmp_path):
    space = ONE[ONE.index("[[spaces]]") :]
    text = ONE + space.replace('"anynetx_a"', '"anynetx_e"') + "[comparison]\nlooks = 2\n"
    (tmp_path / "study.toml").write_text(text)
    study = Study.open(tmp_path / "study.toml", output=tmp_path / "out")
    study.run(executor=Known())
    steps = list(Walk(study, networks=2).confirm(executor=Known()))
    assert [step.principle.key for step in steps] == KEYS
    assert all(step.verdict.criteria.look is None for step in steps if step.verdict is not None)
