"""The store's contract: committed means kept, twice is harmless, another study's store is refused."""

import json
import os
import subprocess
import sys

import pytest
import sqlalchemy as sa

from netspace.errors import ExecutionError, StoreError
from netspace.spaces.catalog import space
from netspace.storage.store import Entry, Store
from netspace.study import untrained
from netspace.training.trial import EpochRecord, TrialResult

STUDY = {"name": "test", "recipe": {"epochs": 3}, "spaces": [{"space": "anynetx_a"}]}


def make_population(name="A", n=4):
    taken = space("anynetx_a").sample(n, flops=(360e6, 400e6))
    return untrained(name, taken)


def finished(trial, error=0.25):
    record = EpochRecord(epoch=1, training_loss=1.5, validation_error=error, seconds=0.5)
    return TrialResult(trial_id=trial, status="finished", error=error, curve=(record,), seconds=1.0, images=100)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "with space é" / "study.db"


@pytest.fixture
def store(path):
    with Store.create(path, study=STUDY, text="name = 'test'") as opened:
        yield opened


def fill(store, *names, n=4):
    for name in names:
        ids = [f"{name}{i}" for i in range(n)]
        store.add_population(make_population(name, n), definition={"name": name}, trials=ids)


def test_what_goes_in_comes_out(store):
    fill(store, "B", "A")
    failure = TrialResult(trial_id="A1", status="diverged", reason="the loss was nan", seconds=2.0)
    store.record(Entry(result=finished("A0"), versions={"torch": "1"}))
    store.record(Entry(result=failure))
    first, second = store.populations()
    assert (first.name, second.name) == ("B", "A")  # the order of the study, not of the alphabet
    expected = make_population("A")
    assert second.networks == expected.networks
    assert second.positions == expected.positions
    assert second.drawn == tuple(dict(drawn) for drawn in expected.drawn)
    assert (second.complexity.flops == expected.complexity.flops).all()
    assert second.results == (finished("A0"), failure, None, None)
    assert second.errors.tolist() == [0.25, float("inf")]
    assert (second.count("diverged"), second.trained) == (1, (0, 1))
    assert store.finished() == {"A0", "A1"}
    assert store.text == "name = 'test'"


def test_the_table_is_the_populations_without_specs_and_curves(store):
    assert set(map(len, store.table().values())) == {0}
    fill(store, "B", "A")
    lost = TrialResult(trial_id="A1", status="diverged", reason="the loss was nan", seconds=2.0)
    store.record(Entry(result=finished("A0")), Entry(result=lost), Entry(result=finished("B3", error=0.5)))
    table = store.table()
    assert table["space"] == ["B"] * 4 + ["A"] * 4
    assert table["trial"] == ["B0", "B1", "B2", "B3", "A0", "A1", "A2", "A3"]
    assert table["error"] == [None, None, None, 0.5, 0.25, None, None, None]
    assert table["status"] == ["waiting"] * 3 + ["finished"] + ["finished", "diverged"] + ["waiting"] * 2
    for i, population in enumerate(store.populations()):
        rows = slice(4 * i, 4 * i + 4)
        assert table["flops"][rows] == population.complexity.flops.tolist()
        assert table["network"][rows] == [network.digest for network in population.networks]
        assert table["draw"][rows] == list(population.positions)
        for name in population.drawn[0]:
            assert table[name][rows] == [drawn[name] for drawn in population.drawn]


def test_results_that_come_together_are_committed_together(store):
    fill(store, "A")
    store.record(Entry(result=finished("A0", error=0.1)), Entry(result=finished("A0", error=0.9)))
    assert store.table()["error"] == [0.1, None, None, None]  # the first of a trial stays here too
    assert len(store.attempts()) == 2


def test_recording_twice_keeps_the_first_result_and_both_attempts(store):
    fill(store, "A")
    store.record(Entry(result=finished("A0", error=0.25)))
    store.record(Entry(result=finished("A0", error=0.99)))
    fill(store, "A")
    (population,) = store.populations()
    assert population.errors.tolist() == [0.25]
    assert [attempt["outcome"] for attempt in store.attempts()] == ["finished", "finished"]


def test_a_result_is_on_disk_when_record_returns(path):
    code = f"""
import os
from pathlib import Path
from tests.storage.test_store import STUDY, Entry, Store, fill, finished
store = Store.create(Path({str(path)!r}), study=STUDY, text="")
fill(store, "A")
store.record(Entry(result=finished("A2")))
os._exit(9)  # as if killed
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=os.getcwd()).returncode == 9
    with Store.create(path, study=STUDY, text="") as again:
        assert again.finished() == {"A2"}


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"recipe": {"epochs": 4}}, "recipe.epochs was 3, is 4"),
        ({"spaces": [{"space": "anynetx_b"}]}, 'spaces[0].space was "anynetx_a", is "anynetx_b"'),
        ({"seed": 1}, "seed was absent, is 1"),
    ],
)
def test_another_studys_store_is_refused_by_the_first_difference(path, change, difference):
    Store.create(path, study=STUDY, text="").close()
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        Store.create(path, study=STUDY | change, text="")
    assert difference in str(caught.value)
    assert path.read_bytes() == before


def test_the_same_study_continues(path):
    Store.create(path, study=STUDY, text="first").close()
    with Store.create(path, study=json.loads(json.dumps(STUDY)), text="second", facts={"Seed": "0"}) as again:
        assert (again.text, again.facts) == ("first", {})
        again.describe(text="second", facts={"Seed": "0"})
        assert (again.text, again.facts) == ("second", {"Seed": "0"})


def test_one_process_writes_and_others_read(store, path):
    fill(store, "A")
    with pytest.raises(StoreError, match=f"is being written by process {os.getpid()} on "):
        Store.create(path, study=STUDY, text="")
    with Store.open(path) as reader:
        assert len(reader.populations()[0]) == 4
        with pytest.raises(ExecutionError, match="readonly"):
            reader.record(Entry(result=finished("A0")))


def test_the_lock_is_free_after_its_owner(path):
    for _ in range(2):
        Store.create(path, study=STUDY, text="").close()


def test_no_store_and_no_folder(tmp_path):
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(tmp_path / "none.db")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        Store.create(tmp_path / "file" / "study.db", study=STUDY, text="")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        Store.create(tmp_path / "study.db", study=STUDY, text="")


def test_a_file_that_is_no_store_is_left_alone(tmp_path):
    path = tmp_path / "study.db"
    path.write_text("these are notes, not a database " * 100)
    for make in (Store.open, lambda p: Store.create(p, study=STUDY, text="")):
        with pytest.raises(StoreError, match="is not a netspace store"):
            make(path)
    assert path.read_text().startswith("these are notes")


def test_a_newer_store_is_refused(store, path):
    with store._engine.begin() as connection:
        connection.execute(sa.text("update facts set value = '99' where name = 'schema'"))
    with pytest.raises(StoreError, match="schema 99, made by a newer netspace"):
        Store.open(path)


def test_a_larger_sample_appends_and_a_smaller_one_is_refused(store):
    fill(store, "A", n=3)
    store.record(Entry(result=finished("A0")))
    fill(store, "A", n=5)
    (population,) = store.populations()
    assert population.networks == make_population("A", 5).networks
    assert population.num_draws == make_population("A", 5).num_draws
    assert population.errors.tolist() == [0.25]
    with pytest.raises(StoreError, match=r"networks \(=4\) must be at least 5"):
        fill(store, "A", n=4)


def test_a_store_damaged_inside_is_one_sentence(store, path):
    fill(store, *(f"space {i}" for i in range(40)))
    store.close()
    content = bytearray(path.read_bytes())
    content[4 * 4096 :] = os.urandom(len(content) - 4 * 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"), Store.open(path) as damaged:
        damaged.populations()


def test_a_refused_file_gets_no_lock(tmp_path):
    path = tmp_path / "study.db"
    path.write_text("notes")
    with pytest.raises(StoreError):
        Store.create(path, study=STUDY, text="")
    assert [file.name for file in tmp_path.iterdir()] == ["study.db"]


def test_sqlite_keeps_its_rollback_journal_and_full_synchronisation(store):
    with store._engine.connect() as connection:
        assert connection.scalar(sa.text("pragma journal_mode")) == "delete"
        assert connection.scalar(sa.text("pragma synchronous")) == 2
