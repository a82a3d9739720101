"""A study grows: what stands stays bit for bit, what is new is what a larger study has, whatever cuts it off."""

import pytest

from netspace.errors import InputError, StoreError, StudyFileError
from netspace.execution.executor import Done, InlineExecutor
from netspace.report import render
from netspace.storage.export import export_store, import_store
from netspace.storage.store import Store
from netspace.studies.growing import Growth
from netspace.studies.merging import merge_stores
from netspace.studies.study import Study
from netspace.training.trial import TrialResult
from tests.command_line import netspace
from tests.tiny import A_AND_E, STUDY, study_of

CHECKED = STUDY.replace("networks = 3", "networks = 4") + "[checks]\nshare = 0.5\nseeds = 1\n"


class Told:
    """An executor that trains nothing: what becomes of a trial is told by its id."""

    def run(self, setup, tasks, *, should_stop):
        for task in tasks:
            error = int(task.key, 16) / 16**32
            yield [Done(key=task.key, value=(TrialResult(trial_id=task.key, status="finished", error=error), {}))]


@pytest.fixture
def make(tmp_path):
    def study(folder="out", text=STUDY):
        path = tmp_path / f"{folder}.toml"
        path.write_text(text)
        return Study.open(path, output=tmp_path / folder)

    return study


def run(study, executor=Told):
    """Train a study and its checks, as the command does."""
    done = study.run(executor=executor())
    for check in study.checks().values():
        check.run(executor=executor())
    return done


def numbers(study):
    """What stands in a store, without the times: the rows, and the ids of trials by space."""
    with Store.open(study.place) as store:
        table, origins = store.table(), {name: trials for name, (_, trials) in store.origins().items()}
    kept = ("space", "position", "draw", "network", "status", "error")
    return list(zip(*(table[name] for name in kept), strict=True)), origins


def test_a_grown_study_is_what_a_larger_one_is(make):
    study, larger = make(), make("larger", STUDY.replace("networks = 3", "networks = 4"))
    run(study, InlineExecutor)
    before = study.populations()
    study.grow(1)
    grown = run(study, InlineExecutor)
    assert (grown.total, grown.stored, grown.trained) == (8, 6, 2)
    run(larger, InlineExecutor)
    assert numbers(study) == numbers(larger)
    assert [p.results[:3] for p in study.populations()] == [p.results for p in before]  # times too


def test_the_file_stays_as_it_is_and_a_later_run_takes_what_the_study_has_grown_to(make):
    run(make())
    study = make()
    study.grow(1)
    run(study)
    again, stored = make(), Study.open(study.folder)
    for one in (again, stored):
        assert (one.spec.networks, one.growth) == (4, Growth(before=3, since=4))
        assert "networks = 3" in one.text
        assert run(one).trained == 0
    assert ("Networks", "4 of each space, grown from 3 by --add") in stored.findings().facts.items()
    assert "grown from 3 by --add" in render(stored.findings())
    stored.grow(1)  # a store may stand in place of the file
    assert (run(stored).trained, make().spec.networks) == (2, 5)


def test_a_file_that_asks_for_more_is_followed_and_for_less_than_it_had_refused(make):
    study = make()
    run(study)
    study.grow(1)
    run(study)
    more = make(text=STUDY.replace("networks = 3", "networks = 5"))
    assert (more.spec.networks, more.growth) == (5, None)
    assert run(more).trained == 2
    fewer = make(text=STUDY.replace("networks = 3", "networks = 4"))
    for refused in (lambda: run(fewer), lambda: fewer.grow(1)):
        with pytest.raises(StoreError, match=r"networks \(=4\) must be at least 5, as many of 'anynetx_a' as"):
            refused()


class Cut(BaseException):
    """The end of a process."""


@pytest.mark.parametrize(("point", "again"), [(0, 2), (1, None), (2, 2), (3, None)])
def test_growth_that_is_cut_off_is_gone_on_with_by_the_same_words_or_by_none(make, monkeypatch, point, again):
    run(make())
    study, passed = make(), []
    study.grow(2)

    def passing(where):
        passed.append(where)
        if len(passed) > point:
            raise Cut

    monkeypatch.setattr("netspace.studies.preparing.passing", passing)
    monkeypatch.setattr("netspace.studies.running.passing", passing)
    with pytest.raises(Cut):
        run(study)
    monkeypatch.undo()
    next_one = make()
    assert next_one.spec.networks == 5
    if again is not None:
        with pytest.raises(StoreError, match=r"add \(=1\): 4 networks of the study or its checks still wait"):
            next_one.grow(1)
        next_one.grow(again)
    assert run(next_one).trained == 4
    assert [len(p.trained) for p in next_one.populations()] == [5, 5]
    next_one.grow(2)  # all of it is done, so these are others
    assert next_one.spec.networks == 7


def test_checks_grow_with_their_study_and_are_waited_for(make):
    study = make(text=CHECKED)
    study.run(executor=Told())
    with pytest.raises(StoreError, match=r"add \(=2\): 4 networks of the study or its checks still wait"):
        study.grow(2)
    run(study)
    study.grow(2)
    study.run(executor=Told())
    again = make(text=CHECKED)
    again.grow(2)  # cut off before the checks
    assert again.spec.networks == 6
    run(again)
    assert [len(p.trained) for p in again.checked()["seed_1"]] == [3, 3]


def test_the_growth_of_a_store_goes_with_its_export(make, tmp_path):
    study = make()
    run(study)
    study.grow(1)
    run(study)
    export_store(study.place, tmp_path / "all.json", to="json")
    import_store(tmp_path / "all.json", tmp_path / "copy" / "study.db")
    assert Study.open(tmp_path / "copy").growth == study.growth


def test_the_growth_of_a_store_goes_with_a_merge(make):
    there, study = make("there"), make()
    run(there)
    run(study)
    study.grow(1)
    run(study)
    assert merge_stores(there.place, [study.place]) == 8
    again = make("there")
    assert (again.growth, again.spec.networks) == (study.growth, 4)
    assert run(again).trained == 0


@pytest.mark.parametrize("add", [0, -3, 1.5, True])
def test_no_number_of_networks(make, add):
    with pytest.raises(InputError, match=r"add \(=.*\) must be a whole number of networks, at least 1"):
        make().grow(add)


def test_what_cannot_grow_is_refused_and_left_as_it_is(make):
    study = make()
    with pytest.raises(StoreError, match=r"add \(=2\): 6 networks .* still wait"):  # it has not begun
        study.grow(2)
    planned = study_of(A_AND_E + "[comparison]\nlooks = 3", flops="20k..200k", networks=6)
    with pytest.raises(InputError, match=r"add \(=2\): this study plans its looks at 2, 4, 6 networks of each space"):
        make("planned", planned).grow(2)
    few = study_of('[[spaces]]\nspace = "anynetx_a"\nranges = { depth = 1, width = 8 }', flops="1..1G", networks=2)
    small = make("small", few)
    run(small)
    before = numbers(small), small.store_path.read_bytes()
    small.grow(500)
    with pytest.raises(StudyFileError, match=r"networks \(=502\): anynetx_a holds only \d+ in the budget"):
        run(small)
    assert (numbers(small), small.store_path.read_bytes()) == before


def test_the_command_says_how_a_study_has_grown(make, tmp_path):
    run(make())
    words = ["run", "out.toml", "--output", "out", "--workers", "1", "--add"]
    assert "add (=0) must be" in netspace(*words, 0, cwd=tmp_path, check=2).stderr
    said = netspace(*words, 1, cwd=tmp_path).stdout
    assert said.startswith("networks: 4 of each space, grown from 3 by --add\n")
    assert "trained 2 networks" in said
    assert make().growth == Growth(before=3, since=4)
