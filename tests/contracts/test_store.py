"""The store's contract, which every place passes: a file of SQLite, memory, a schema of PostgreSQL."""

import itertools
import json
import math
from dataclasses import replace

import pytest

from netspace.errors import ExecutionError, StoreError, StoreInUseError
from netspace.storage import tables
from netspace.storage.address import place_of
from netspace.storage.export import export_store, import_store
from netspace.storage.sqlite import Memory
from netspace.storage.store import Entry, Store
from netspace.storage.tables import ATTEMPTS, SCHEMA_VERSION
from netspace.storage.upgrades import full_name
from netspace.studies.merging import merge_stores
from netspace.training.trial import EpochRecord, TrialResult
from tests.storage.recorded import FACTS, RESULTS, STUDY, TEXT, VERSIONS, fill, populations

NUMBERS = itertools.count()


def finished(trial, error=0.25, **more):
    record = EpochRecord(epoch=1, training_loss=1.5, validation_error=error, seconds=0.5)
    given = {"error": error, "curve": (record,), "seconds": 1.0, "images": 100}
    return TrialResult(trial_id=trial, status="finished", **given | more)


@pytest.fixture(params=["file", "memory", "postgresql"])
def place(request, tmp_path):
    if request.param == "memory":
        return Memory()
    if request.param == "file":
        return place_of(tmp_path / "with space é" / "study.db")
    server = request.getfixturevalue("postgresql")
    return place_of(server.url(f"contract-{next(NUMBERS)}"))


@pytest.fixture
def store(place):
    with Store.create(place, study=STUDY, text=TEXT, facts=FACTS) as opened:
        yield opened


def as_older(store):
    """Make a store what schema 1 was."""
    with store._begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {full_name(connection, ATTEMPTS)} DROP COLUMN error")
    set_version(store, "1")


def set_version(store, version):
    with store._begin() as connection:
        connection.execute(tables.FACTS.update().where(tables.FACTS.c.name == "schema"), {"value": version})


def shortened(population, n=2):
    """The first networks of a population."""
    told = ("networks", "results", "drawn", "positions")
    costs = {name: getattr(population.complexity, name)[:n] for name in ("flops", "params", "activations")}
    parts = {name: getattr(population, name)[:n] for name in told}
    return replace(population, complexity=replace(population.complexity, **costs), **parts)


class TestStore:
    def test_there_is_none_before_the_first(self, place):
        assert not place.exists()
        with pytest.raises(StoreError, match=r"does not exist|holds no store"):
            Store.open(place)

    def test_what_goes_in_comes_out(self, store):
        fill(store)
        assert (store.study, store.text, store.facts) == (STUDY, TEXT, FACTS)
        expected = {result.trial_id: result for result in RESULTS}
        for found, drawn in zip(store.populations(), populations(), strict=True):
            assert (found.name, found.networks, found.positions) == (drawn.name, drawn.networks, drawn.positions)
            assert found.drawn == tuple(map(dict, drawn.drawn))
            assert (found.complexity.flops == drawn.complexity.flops).all()
            assert (found.num_draws, found.num_in_band) == (drawn.num_draws, drawn.num_in_band)
            assert found.results == tuple(expected.get(f"{found.name} {i}") for i in range(3))
        assert store.finished() == expected.keys()
        assert store.errors() == {trial: result.error for trial, result in expected.items()}
        assert store.origins()["anynetx_e"] == ({"space": "anynetx_e"}, tuple(f"anynetx_e {i}" for i in range(3)))

    def test_the_table_is_the_populations_without_specs_and_curves(self, store):
        assert set(map(len, store.table().values())) == {0}
        fill(store)
        table = store.table()
        assert table["trial"] == [f"{name} {i}" for name in ("anynetx_a", "anynetx_e") for i in range(3)]
        assert table["status"] == ["finished", "waiting", "waiting", "diverged", "failed", "waiting"]
        assert table["error"] == [0.25] + [None] * 5
        for i, population in enumerate(store.populations()):
            rows = slice(3 * i, 3 * i + 3)
            assert table["flops"][rows] == population.complexity.flops.tolist()
            assert table["network"][rows] == [network.digest for network in population.networks]
            for name in population.drawn[0]:
                assert table[name][rows] == [drawn[name] for drawn in population.drawn]

    def test_an_attempt_keeps_reason_error_host_time_and_versions(self, store):
        fill(store)
        crashed, first, *others = store.attempts()
        assert (crashed["outcome"], crashed["error"], crashed["reason"]) == ("crashed", None, "the worker died")
        assert (first["trial"], first["outcome"], first["error"]) == ("anynetx_a 0", "finished", 0.25)
        assert first["versions"] == VERSIONS
        assert first["host"]
        assert store.attempts("crashed") == [crashed]
        assert first["ended"].endswith("+00:00")
        assert [(a["outcome"], a["reason"]) for a in others] == [
            ("diverged", "the loss was nan"),
            ("failed", "out of memory"),
        ]

    def test_twice_is_harmless(self, store):
        fill(store)
        before = store.table()
        fill(store)
        assert store.table() == before
        assert [a["reason"] for a in store.attempts()[4:]] == [a["reason"] for a in store.attempts()[:4]]

    @pytest.mark.parametrize("together", [True, False])
    def test_another_result_never_overwrites_and_is_kept_as_an_attempt(self, store, together):
        fill(store)
        late = TrialResult(trial_id="anynetx_a 1", status="failed", reason="out of time")
        entries = [Entry(result=finished("anynetx_a 1", 0.1)), Entry(result=finished("anynetx_a 1", 0.9))]
        entries += [Entry(result=late, detail="a traceback"), Entry(result=finished("anynetx_a 1", 0.1, seconds=9.0))]
        for several in [entries] if together else [[entry] for entry in entries]:
            store.record(*several)
        assert store.table()["error"][:3] == [0.25, 0.1, None]
        assert store.populations()[0].results[1] == finished("anynetx_a 1", 0.1)
        assert [(a["outcome"], a["error"], a["reason"]) for a in store.attempts()[4:]] == [
            ("finished", 0.1, None),
            ("finished", 0.9, "another result stands (finished, error 0.1)"),
            ("failed", None, "another result stands (finished, error 0.1); a traceback"),
            ("finished", 0.1, None),
        ]

    def test_a_late_error_does_not_mend_a_failure(self, store):
        fill(store)
        store.record(Entry(result=finished("anynetx_e 0")))
        assert store.table()["status"][3] == "diverged"
        assert store.attempts()[-1]["reason"] == "another result stands (diverged)"

    def test_results_that_come_together_are_committed_together_or_not_at_all(self, store):
        fill(store)
        wrong = TrialResult(trial_id="anynetx_a 2", status="failed", reason=object())
        with pytest.raises((AttributeError, StoreError)):
            store.record(Entry(result=finished("anynetx_a 1")), Entry(result=wrong))
        assert store.finished() == {result.trial_id for result in RESULTS}
        store.record()
        assert len(store.attempts()) == 4

    def test_more_results_than_a_query_may_name(self, store):
        many = [Entry(result=TrialResult(trial_id=f"trial {i}", status="failed", reason="no")) for i in range(1100)]
        store.record(*many)
        store.record(*many[:1050])
        assert len(store.finished()) == 1100
        assert {attempt["reason"] for attempt in store.attempts()} == {"no"}

    def test_numbers_and_texts_that_databases_dislike(self, store):
        fill(store)
        record = EpochRecord(epoch=1, training_loss=math.nan, validation_error=1.0, seconds=math.inf)
        reason = "NUL \0, half a letter \udcff, é 图"
        lost = TrialResult(trial_id="anynetx_a 2", status="diverged", reason=reason, curve=(record,), images=2**62)
        exact = finished("anynetx_a 1", 0.1 + 0.2)
        store.record(Entry(result=lost), Entry(result=exact))
        _, second, third = store.populations()[0].results
        assert second == exact
        assert math.isnan(third.curve[0].training_loss)
        assert (third.curve[0].seconds, third.images) == (math.inf, 2**62)
        assert third.reason == store.attempts()[-2]["reason"] == r"NUL \x00, half a letter \udcff, é 图"

    def test_a_larger_sample_appends_and_a_smaller_one_is_refused(self, store):
        first, _ = populations()
        smaller = shortened(first)
        store.add_population(smaller, definition={}, trials=["0", "1"])
        store.record(Entry(result=finished("0")))
        store.add_population(first, definition={}, trials=["0", "1", "2"])
        assert store.populations()[0].networks == first.networks
        assert store.table()["error"] == [0.25, None, None]
        with pytest.raises(StoreError, match=r"networks \(=2\) must be at least 3, as many of 'anynetx_a' as"):
            store.add_population(smaller, definition={}, trials=["0", "1"])

    @pytest.mark.parametrize(
        ("change", "difference"),
        [
            ({"networks": 4}, "networks was 3, is 4; give this study another"),
            (
                {"spaces": [{"space": "anynetx_b"}, {"space": "anynetx_e"}]},
                'spaces[0].space was "anynetx_a", is "anynetx_b"',
            ),
            ({"seed": 1}, "seed was absent, is 1"),
        ],
    )
    def test_another_studys_store_is_refused_by_the_first_difference(self, place, change, difference):
        with Store.create(place, study=STUDY, text=TEXT) as made:
            before = made.stamp()
        with pytest.raises(StoreError) as caught:
            Store.create(place, study=STUDY | change, text="")
        assert difference in str(caught.value)
        with Store.open(place) as reader:
            assert reader.stamp() == before

    def test_the_same_study_continues(self, place):
        Store.create(place, study=STUDY, text="first").close()
        with Store.create(place, study=json.loads(json.dumps(STUDY)), text="second", facts={"Seed": "0"}) as again:
            assert (again.text, again.facts) == ("first", {})
            again.describe(text="second", facts={"Seed": "0"})
            assert (again.text, again.facts) == ("second", {"Seed": "0"})

    def test_one_writes_and_others_read(self, store, place):
        fill(store)
        with pytest.raises(StoreError, match=r"is being written by process \d+ on "):
            Store.create(place, study=STUDY, text="")
        with Store.open(place) as reader:
            assert reader.table() == store.table()
            for write in (
                lambda: reader.record(Entry(result=finished("anynetx_a 1"))),
                lambda: reader.describe(text="", facts={}),
            ):
                with pytest.raises(ExecutionError, match="was opened for reading"):
                    write()
        store.close()
        store.close()
        Store.create(place, study=STUDY, text="").close()

    def test_several_record_what_one_has_drawn_where_the_place_can(self, place):
        if not place.shareable:
            with pytest.raises(StoreError, match="by one process at a time; parts of a study need a store in Postgre"):
                Store.join(place, study=STUDY)
            assert not place.exists()
            return
        with pytest.raises(StoreError, match="does not exist"):
            Store.join(place, study=STUDY)
        with Store.create(place, study=STUDY, text=TEXT) as alone:
            fill(alone)
            with pytest.raises(StoreInUseError, match=r"is being written by process \d+ on "):
                Store.join(place, study=STUDY)
        with pytest.raises(StoreError, match="was written by another study: networks was 3, is 4"):
            Store.join(place, study=STUDY | {"networks": 4})
        with Store.join(place, study=STUDY) as first, Store.join(place, study=STUDY) as second:
            first.record(Entry(result=finished("anynetx_a 1", 0.1)))
            second.record(Entry(result=finished("anynetx_a 1", 0.9)), Entry(result=finished("anynetx_a 2", 0.9)))
            second.record_attempt("anynetx_e 2", "crashed", "no reason", {})
            assert first.table()["error"] == [0.25, 0.1, 0.9, None, None, None]
            assert [a["reason"] for a in first.attempts()[4:]] == [
                None,
                "another result stands (finished, error 0.1)",
                None,
                "no reason",
            ]
            for write in (
                lambda: first.describe(text="", facts={}),
                lambda: first.add_population(populations()[0], definition={}, trials=["0", "1", "2"]),
                lambda: first.take([], []),
            ):
                with pytest.raises(ExecutionError, match="was opened for results, and others may record theirs too"):
                    write()
        Store.create(place, study=STUDY, text="").close()

    def test_an_older_store_is_not_joined(self, store, place):
        as_older(store)
        store.close()
        if place.shareable:
            with pytest.raises(StoreError, match="made by an older netspace; `netspace run` of its study upgrades it"):
                Store.join(place, study=STUDY)

    def test_the_stamp_differs_once_anything_was_committed(self, store):
        stamps = [store.stamp()]
        for change in (
            lambda: fill(store),
            lambda: store.record(Entry(result=finished("anynetx_a 1"))),
            lambda: store.record_attempt("anynetx_a 2", "crashed", "no reason", {}),
            lambda: store.describe(text="new", facts=FACTS),
        ):
            change()
            stamps.append(store.stamp())
        assert len(set(stamps)) == 5
        assert store.stamp() == stamps[-1]

    def test_a_newer_store_is_refused_and_left_alone(self, store, place):
        set_version(store, str(SCHEMA_VERSION + 1))
        store.close()
        for use in (Store.open, lambda there: Store.create(there, study=STUDY, text="")):
            with pytest.raises(StoreError, match=f"schema {SCHEMA_VERSION + 1}, made by a newer netspace"):
                use(place)

    def test_a_version_that_is_none_is_damage(self, store, place):
        set_version(store, "new")
        with pytest.raises(StoreError, match="schema 'new', which is no version; it is damaged"):
            Store.open(place)

    def test_an_older_store_is_upgraded_by_its_writer(self, store, place):
        fill(store)
        before, attempts = store.table(), store.attempts()
        as_older(store)
        store.close()
        with Store.create(place, study=STUDY, text="") as again:
            assert again.table() == before
            assert again.attempts() == [attempt | {"error": None} for attempt in attempts]
            again.record(Entry(result=finished("anynetx_a 1")))
            assert again.attempts()[-1]["error"] == 0.25
        with Store.open(place) as reader:
            assert len(reader.attempts()) == 5

    def test_stores_inside_one_are_their_own(self, place):
        inside = place.inside("checks", "seed_1")
        assert not inside.exists()
        with Store.create(place, study=STUDY, text="outer"), Store.create(inside, study={}, text="inner") as inner:
            fill(inner)
        with Store.open(place.inside("checks", "seed_1")) as again, Store.open(place) as outer:
            assert (again.text, len(again.finished())) == ("inner", 3)
            assert (outer.text, outer.finished()) == ("outer", frozenset())

    def test_stores_of_one_study_are_merged_and_merged_again(self, place, tmp_path):
        first, second = populations()
        theirs = tmp_path / "theirs.db"
        with Store.create(place, study=STUDY, text=TEXT) as ours:
            ours.add_population(shortened(first), definition={}, trials=["0", "1"])
            ours.record(Entry(result=finished("0", 0.1)))
        with Store.create(theirs, study=STUDY, text=TEXT) as made:
            made.add_population(first, definition={}, trials=["0", "1", "2"])
            made.add_population(second, definition={}, trials=["3", "4", "5"])
            made.record_attempt("1", "crashed", "no reason", {})
            made.record(*(Entry(result=finished(trial, 0.2), versions=VERSIONS) for trial in "0125"))
        before = theirs.read_bytes()
        for _ in range(2):
            assert merge_stores(place, [theirs]) == 4
            with Store.open(place) as merged, Store.open(theirs) as other:
                assert merged.table()["error"] == [0.1, 0.2, 0.2, None, None, 0.2]
                assert [p.networks for p in merged.populations()] == [first.networks, second.networks]
                told = [(a["trial"], a["error"], a["reason"]) for a in merged.attempts()]
                assert told == [
                    ("0", 0.1, None),
                    ("1", None, "no reason"),
                    ("0", 0.2, "another result stands (finished, error 0.1)"),
                    *((trial, 0.2, None) for trial in "125"),
                ]
                assert [a["ended"] for a in merged.attempts()][1:] == [a["ended"] for a in other.attempts()]
        assert theirs.read_bytes() == before

    def test_only_stores_of_one_study_are_merged(self, store, place, tmp_path):
        fill(store)
        before = store.stamp()
        store.close()
        with Store.create(tmp_path / "other.db", study=STUDY | {"seed": 1}, text=TEXT) as other:
            fill(other)
        with Store.create(tmp_path / "drawn.db", study=STUDY, text=TEXT) as drawn:
            drawn.add_population(populations()[0], definition={"space": "anynetx_a"}, trials=["a", "b", "c"])
        with pytest.raises(StoreError, match=r"is of another study than .*: seed is 1, not absent"):
            merge_stores(place, [tmp_path / "other.db"])
        with pytest.raises(StoreError, match="holds other networks of 'anynetx_a' than"):
            merge_stores(place, [tmp_path / "drawn.db"])
        with Store.open(place) as reader:
            assert reader.stamp() == before

    def test_a_store_goes_from_any_place_to_any_other(self, store, place, tmp_path):
        fill(store)
        export_store(place, tmp_path / "all.json", to="json")
        there = Memory()
        assert import_store(tmp_path / "all.json", there) == 6
        with Store.open(there) as again:
            assert again.table() == store.table()
            assert [p.results for p in again.populations()] == [p.results for p in store.populations()]
        with pytest.raises(StoreError, match="exists; give another "):
            import_store(tmp_path / "all.json", place)
