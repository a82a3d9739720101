"""A study takes results of equal trials from the stores of others: the same numbers, trained once."""

import pytest

from netspace.errors import InputError, StoreError
from netspace.execution.executor import Done, InlineExecutor
from netspace.storage.store import Store
from netspace.studies.merging import check_reuse
from netspace.studies.parts import Part
from netspace.studies.study import Study
from netspace.training.trial import TrialResult
from tests.command_line import netspace
from tests.tiny import STUDY

E_AND_REGNET = STUDY.replace('"anynetx_a"', '"regnetx"').replace("[ranges]", "[ranges]\ntotal_depth = [2, 4]")


class Counting(InlineExecutor):
    """Trains here, and remembers what."""

    def __init__(self):
        super().__init__(raise_errors=True)
        self.trained = []

    def run(self, setup, tasks, **more):
        self.trained += [task.key for task in tasks]
        return super().run(setup, tasks, **more)


class Failing:
    """An executor in which every training fails."""

    def run(self, setup, tasks, *, should_stop):
        for task in tasks:
            yield [Done(key=task.key, value=(TrialResult(trial_id=task.key, status="failed", reason="no room"), {}))]


@pytest.fixture
def make(tmp_path):
    def study(folder, text):
        path = tmp_path / f"{folder}.toml"
        path.write_text(text)
        return Study.open(path, output=tmp_path / folder)

    return study


def told(study, space):
    """What stands of a space, without the times."""
    (results,) = (one.results for one in study.populations() if one.name == space)
    return [result and (result.trial_id, result.error, [r.training_loss for r in result.curve]) for result in results]


def attempts(study):
    with Store.open(study.place) as store:
        return [(attempt["trial"], attempt["outcome"], attempt["ended"]) for attempt in store.attempts()]


def test_what_another_study_has_trained_is_not_trained_again(make):
    first, second, alone = make("first", STUDY), make("second", E_AND_REGNET), make("alone", E_AND_REGNET)
    first.run(executor=InlineExecutor())
    alone.run(executor=InlineExecutor())
    executor = Counting()
    done = second.run(executor=executor, reuse=[first.folder])
    assert (done.total, done.stored, done.trained) == (6, 3, 3)
    regnets = [result.trial_id for result in second.populations()[0].results]
    assert sorted(executor.trained) == sorted(regnets)
    for space in ("regnetx", "anynetx_e"):
        assert told(second, space) == told(alone, space)
    taken = [attempt for attempt in attempts(first) if attempt[0] not in [one[0] for one in told(first, "anynetx_a")]]
    assert len(taken) == 3
    assert set(taken) <= set(attempts(second))
    before = attempts(second)
    second.run(executor=Counting(), reuse=[first.folder, second.folder])
    assert attempts(second) == before  # twice is harmless


def test_failures_and_other_trainings_are_not_taken(make):
    failed, other = make("failed", STUDY), make("other", STUDY.replace("epochs = 2", "epochs = 1"))
    failed.run(executor=Failing())
    other.run(executor=InlineExecutor())
    assert all(result.status == "failed" for one in failed.populations() for result in one.results)
    executor = Counting()
    done = make("mine", STUDY).run(executor=executor, reuse=[failed.folder, other.folder])
    assert (done.stored, done.trained, done.failures) == (0, 6, 0)
    assert len(executor.trained) == 6


def test_what_cannot_be_reused_is_one_sentence(make, tmp_path):
    with pytest.raises(InputError, match=r"reuse: several processes record in this store \(part 1/2\)"):
        check_reuse(make("parted", STUDY).spec, Part.parse("1/2"))
    study = make("mine", STUDY)
    with pytest.raises(StoreError, match="nowhere"):
        study.run(executor=Counting(), reuse=[tmp_path / "nowhere"])
    assert not study.place.exists()
    with pytest.raises(InputError, match="begins from the weights of the one before, and stores hold no weights"):
        make("climbing", STUDY + '[[rungs]]\nepochs = 3\nstart = "former"\n').run(reuse=[study.folder])


def test_the_command_reuses_several_stores(make, tmp_path):
    make("first", STUDY).run(executor=InlineExecutor())
    make("second", E_AND_REGNET)
    words = ["run", "second.toml", "--output", "second", "--reuse", "first"]
    assert "'nowhere" in netspace(*words, "--reuse", "nowhere", cwd=tmp_path, check=2).stderr
    said = netspace(*words, cwd=tmp_path)
    assert "3 had a result before" in said.stdout
