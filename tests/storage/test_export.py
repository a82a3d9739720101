"""Out and back: what other tools read is what the store holds, and a store made again is the same one."""

import csv
import json
import math
import sys
from dataclasses import replace

import optuna
import pytest
from pyarrow import parquet
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from netspace.cli import main
from netspace.errors import InputError, StoreError
from netspace.spaces.catalog import space
from netspace.storage.export import export_store, import_store
from netspace.storage.published import read_results
from netspace.storage.rows import store_columns
from netspace.storage.store import Entry, Store
from netspace.studies.preparing import untrained
from netspace.training.trial import EpochRecord, TrialResult

FORMULA = '=HYPERLINK("http://example.org")'
"""A space whose name a spreadsheet would run."""

STUDY = {"name": "kept", "data_fingerprint": "f1", "spaces": [{"space": "regnetx"}]}
ERROR = 0.1 + 0.2  # 0.30000000000000004: short of a digit it is another number


def population(name, base, n):
    taken = space(base).sample(n, flops=(360e6, 400e6))
    return untrained(name, taken)


def curve(*errors):
    return tuple(
        EpochRecord(epoch=i, training_loss=1 / (3 + i), validation_error=error, seconds=0.1 * i)
        for i, error in enumerate(errors, start=1)
    )


RESULTS = (
    TrialResult(trial_id="t0", status="finished", error=ERROR, curve=curve(0.9, ERROR), seconds=1.3, images=200),
    TrialResult(trial_id="t1", status="diverged", curve=curve(0.9), seconds=0.7, images=100, reason="-1 was nan, é\n2"),
    TrialResult(trial_id="t2", status="failed", reason="@out of memory"),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A store with a network of every kind: finished, diverged, failed, waiting; in two spaces."""
    path = tmp_path_factory.mktemp("a store é") / "study.db"
    with Store.create(path, study=STUDY, text='name = "kept"', facts={"rows": {"a": "b"}, "notes": []}) as store:
        store.add_population(population(FORMULA, "anynetx_a", 4), definition={"x": 1}, trials=["t0", "t1", "t2", "t3"])
        store.add_population(population("regnetx", "regnetx", 2), definition={"x": 2}, trials=["u0", "u1"])
        for result in RESULTS:
            store.record(Entry(result=result, versions={"torch": "2"}))
        store.record(Entry(result=replace(RESULTS[0], trial_id="u0", error=1 / 3), versions={"torch": "3"}))
    return path


def exported(path, folder, to):
    output = folder / f"out.{to}"
    assert export_store(path, output, to=to) == 6
    return output


def held(path):
    with Store.open(path) as store:
        return store.populations(), store.origins(), store.study, store.text, store.facts, store_columns(store)


def said(population):
    """Return all that a population says, as what can be compared."""
    costs = [getattr(population.complexity, name).tolist() for name in ("flops", "params", "activations")]
    networks = (population.name, population.networks, population.results, list(map(dict, population.drawn)))
    return (*networks, population.positions, costs, population.num_draws, population.num_in_band)


@pytest.mark.parametrize("to", ["json", "parquet"])
def test_a_store_made_again_holds_the_same_and_exports_the_same(path, tmp_path, to):
    file = exported(path, tmp_path, to)
    assert import_store(file, tmp_path / "again" / "study.db") == 6
    before, after = held(path), held(tmp_path / "again" / "study.db")
    assert before[1:] == after[1:]
    assert list(map(said, before[0])) == list(map(said, after[0]))
    (tmp_path / "second").mkdir()
    assert exported(tmp_path / "again" / "study.db", tmp_path / "second", to).read_bytes() == file.read_bytes()
    with pytest.raises(StoreError, match="exists; give another output folder"):
        import_store(file, tmp_path / "again" / "study.db")


@pytest.mark.parametrize("to", ["csv", "json", "parquet"])
def test_every_table_gives_the_populations_back(path, tmp_path, to):
    read = read_results(exported(path, tmp_path, to)).populations
    assert [said(one)[:-2] for one in read] == [said(one)[:-2] for one in held(path)[0]]


def test_csv_is_a_row_per_network_that_no_spreadsheet_runs(path, tmp_path):
    text = exported(path, tmp_path, "csv").read_text()
    rows = list(csv.DictReader(text.splitlines(keepends=True)))
    assert [row["status"] for row in rows] == ["finished", "diverged", "failed", "waiting", "finished", "waiting"]
    assert [row["error"] for row in rows] == [str(ERROR), "", "", "", str(1 / 3), ""]
    assert rows[0]["space"] == "'" + FORMULA
    assert rows[1]["reason"] == "'-1 was nan, é\n2"
    assert not [cell for row in rows for cell in row.values() if cell[:1] in ("=", "+", "-", "@")]
    assert json.loads(rows[0]["curve_validation_error"]) == [0.9, ERROR]
    (first, _), *_ = (one.networks[:2] for one in held(path)[0])
    assert rows[0]["realised_width[3]"] == str(first.stages[3].width)
    assert (rows[0]["width_slope"], rows[4]["depth[0]"]) == ("", "")  # what was not drawn


def test_parquet_has_types_and_says_whose_it_is(path, tmp_path):
    table = parquet.read_table(exported(path, tmp_path, "parquet"))
    about = table.schema.metadata
    assert about[b"metric"] == b"error"
    assert (about[b"study_name"], about[b"data_fingerprint"], about[b"netspace_version"]) == (b"kept", b"f1", b"0.1.0")
    types = {name: str(table.schema.field(name).type) for name in ("flops", "error", "images", "curve_seconds", "spec")}
    assert list(types.values()) == ["int64", "double", "int64", "list<element: double>", "string"]
    assert table["error"].to_pylist() == [ERROR, None, None, None, 1 / 3, None]
    assert table["curve_epoch"].to_pylist()[:3] == [[1, 2], [1], []]


def test_what_is_not_finite_is_null(tmp_path):
    path = tmp_path / "study.db"
    lost = EpochRecord(epoch=1, training_loss=math.inf, validation_error=0.9, seconds=0.1)
    with Store.create(path, study=STUDY, text='name = "kept"') as store:
        store.add_population(population("A", "anynetx_a", 1), definition={}, trials=["t"])
        store.record(Entry(result=TrialResult(trial_id="t", status="failed", curve=(lost,), reason="it was infinite")))
    output = tmp_path / "out.json"
    export_store(path, output, to="json")
    (row,) = json.loads(output.read_text(), parse_constant=pytest.fail)["networks"]
    assert row["curve_training_loss"] == [None]
    export_store(path, tmp_path / "tb", to="tensorboard")


def test_optuna_loads_a_study_per_space(path, tmp_path):
    url = f"sqlite:///{exported(path, tmp_path, 'optuna')}"
    assert set(optuna.get_all_study_names(url)) == {FORMULA, "regnetx"}
    study = optuna.load_study(study_name=FORMULA, storage=url)
    assert study.user_attrs == {"study_name": "kept", "data_fingerprint": "f1", "netspace_version": "0.1.0"}
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "FAIL", "WAITING"]
    best, diverged, *_ = study.trials
    of = held(path)[0][0]
    assert (study.best_value, best.params) == (ERROR, dict(of.drawn[0]))
    assert best.intermediate_values == {1: 0.9, 2: ERROR}
    assert (best.user_attrs["digest"], best.user_attrs["flops"]) == (of.networks[0].digest, of.complexity.flops[0])
    assert (diverged.values, diverged.user_attrs["reason"]) == (None, RESULTS[1].reason)
    widths = [row["width[0]"] for row in of.drawn]
    assert best.distributions["width[0]"] == optuna.distributions.IntDistribution(int(min(widths)), int(max(widths)))
    regnet = optuna.load_study(study_name="regnetx", storage=url).trials[0]
    assert "depth[0]" not in regnet.params
    assert isinstance(regnet.distributions["width_slope"], optuna.distributions.FloatDistribution)


def read_run(folder):
    run = EventAccumulator(str(folder)).Reload()
    plugin = run.SummaryMetadata
    return run, {tag: plugin(tag).plugin_data.content for tag in run.PluginTagToContent("hparams")}


def test_tensorboard_reads_a_run_per_network(path, tmp_path):
    folder = exported(path, tmp_path, "tensorboard")
    of = held(path)[0][0]
    digests = [spec.digest[:8] for spec in of.networks]
    spaces = {run.parent.name for run in folder.glob("*/*")}
    assert spaces == {"_HYPERLINK__http___example_org__", "regnetx"}
    names = [f"_HYPERLINK__http___example_org__/{i:04d}-{digest}" for i, digest in enumerate(digests)]
    assert not (folder / names[3]).exists()  # waits
    run, plugin = read_run(folder / names[0])
    scalars = {tag: [(event.step, event.value) for event in run.Scalars(tag)] for tag in run.Tags()["scalars"]}
    assert scalars["validation_error"] == [(1, pytest.approx(0.9)), (2, pytest.approx(ERROR))]
    assert scalars["training_loss"] == [(1, pytest.approx(1 / 4)), (2, pytest.approx(1 / 5))]
    assert scalars["error"] == [(2, pytest.approx(ERROR))]
    started = metadata.parse_session_start_info_plugin_data(plugin[metadata.SESSION_START_INFO_TAG])
    assert started.hparams["width[0]"].number_value == of.drawn[0]["width[0]"]
    assert started.hparams["space"].string_value == FORMULA
    run, plugin = read_run(folder / names[2])
    ended = metadata.parse_session_end_info_plugin_data(plugin[metadata.SESSION_END_INFO_TAG])
    assert (ended.status, run.Tags()["scalars"]) == (api_pb2.STATUS_FAILURE, [])
    _, plugin = read_run(folder)
    told = metadata.parse_experiment_plugin_data(plugin[metadata.EXPERIMENT_TAG])
    assert {"space", "depth[0]", "width_slope", "flops"} <= {info.name for info in told.hparam_infos}
    assert [info.name.tag for info in told.metric_infos] == ["error"]


def test_what_stands_is_kept_unless_it_is_to_be_replaced(path, tmp_path):
    for to in ("csv", "tensorboard"):
        output = exported(path, tmp_path, to)
        with pytest.raises(InputError, match="exists; give another path, or --overwrite"):
            export_store(path, output, to=to)
        export_store(path, output, to=to, overwrite=True)
    (output / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'notes.txt': only a folder of event files is replaced"):
        export_store(path, output, to="tensorboard", overwrite=True)
    assert (output / "notes.txt").read_text() == "mine"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.csv", "out.tensorboard"]


@pytest.mark.parametrize(
    ("words", "output", "sentence"),
    [
        ({"to": "parket"}, "x", "is no format of `netspace store export`; did you mean 'parquet'?"),
        ({"to": "csv"}, "no/such/x.csv", "folder .* does not exist"),
        ({"to": "csv", "overwrite": True}, ".", "is a folder; nearest"),
    ],
)
def test_an_output_that_cannot_be_is_one_sentence(path, tmp_path, words, output, sentence):
    with pytest.raises(InputError, match=sentence):
        export_store(path, tmp_path / output, **words)
    assert list(tmp_path.iterdir()) == []


def damaged(row):
    return row | {"spec": row["spec"] | {"num_classes": 7}}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (damaged, r"row 1: digest \(='\w+'\) is not that of the spec"),
        (lambda row: row | {"position": 3}, r"row 1: position \(=3\) must count the rows of its space: 0"),
        (lambda row: row | {"flops": "many"}, r"row 1: Expecting value"),
        (lambda row: row | {"flops": 1.5}, r"row 1: flops \(=1.5\) must be a whole number from 0 to"),
        (lambda row: row | {"draw": None}, r"row 1: draw \(=None\) must be a whole number from 0 to"),
        (lambda row: row | {"space": None}, "row 1: space is empty"),
        (lambda row: row | {"spec": None}, "row 1: .*NetworkSpec"),
        (lambda row: row | {"spec": 3}, "row 1: .*NetworkSpec"),
        (lambda row: row | {"curve_epoch": [1]}, "row 1: curve_epoch, .* must hold as many epochs"),
        (lambda row: row | {"error": None}, r"row 1: error \(=None\) must be given if and only if status"),
        (lambda row: row | {"error": 1.5}, r"row 1: error \(=1.5\) must be a share"),
        (lambda row: row | {"status": "lost"}, r"row 1: status .* should be 'finished', 'diverged' or 'failed'"),
        (lambda row: {name: row[name] for name in ("space", "error", "flops")}, "does not hold a store"),
    ],
)
def test_a_damaged_export_is_one_sentence_and_no_store(path, tmp_path, change, sentence):
    file = exported(path, tmp_path, "json")
    data = json.loads(file.read_text())
    data["networks"] = [change(row) for row in data["networks"]]
    file.write_text(json.dumps(data))
    with pytest.raises(InputError, match=sentence) as told:
        import_store(file, tmp_path / "again" / "study.db")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "again").exists()


def test_csv_does_not_say_of_which_study_it_is(path, tmp_path):
    with pytest.raises(InputError, match="as CSV cannot; import the JSON or Parquet export"):
        import_store(exported(path, tmp_path, "csv"), tmp_path / "again" / "study.db")


@pytest.mark.parametrize("tool", ["optuna", "tensorboard"])
def test_without_the_tool_one_sentence_says_what_to_install(path, tmp_path, tool, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith((f"{tool}.", f"netspace.storage.{tool}"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, tool, None)  # as on a machine without it
    output = tmp_path / "out"
    monkeypatch.setattr("sys.argv", ["netspace", "store", "export", str(path), "--to", tool, "--output", str(output)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"netspace: --to {tool} needs the package '{tool}")
    assert said.endswith(f"install it with: pip install 'netspace[{tool}]'\n")
    assert not output.exists()
