"""Anyone's results: what is taken for what is told, and nonsense is one sentence."""

import json
import math

import pyarrow
import pytest
from pyarrow import parquet

from netspace.errors import InputError
from netspace.storage.published import ErrorColumn, read_results

PERCENT = ErrorColumn(name="top1", percent=True)


def write(folder, text, name="results.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_table_is_errors_complexity_parameters_and_what_is_left_aside(tmp_path):
    path = write(tmp_path, "id,depth,flops,error,lr\na7,3,1e6,0.25,0.1\nb,4,2e6,,0.2\nc,5,3000000,0.125,\n")
    reading = read_results(path)
    (found,) = reading.populations
    assert found.name == "results"
    assert found.errors.tolist() == [0.25, math.inf, 0.125]
    assert {name: column.tolist() for name, column in found.complexity.items()} == {"flops": [1e6, 2e6, 3e6]}
    assert list(found.parameters) == ["depth", "lr"]
    assert math.isnan(found.parameters["lr"][2])
    assert "error from 'error'; parameters: depth, lr; left aside, as no numbers: id" in reading.told


def test_spaces_and_statuses_part_the_rows(tmp_path):
    rows = "space,status,error\nA,finished,0.5\nB,failed,\nA,waiting,\nB,finished,0.25\n"
    first, second = read_results(write(tmp_path, rows)).populations
    assert (first.name, first.errors.tolist()) == ("A", [0.5])
    assert (second.name, second.errors.tolist()) == ("B", [math.inf, 0.25])


def test_percent_and_accuracy_are_said_and_not_guessed(tmp_path):
    path = write(tmp_path, "top1,top5\n75,90\n50,80\n")
    with pytest.raises(InputError, match="there is no column 'error'; known: top1, top5; name it by --error-column"):
        read_results(path)
    with pytest.raises(InputError, match=r"top1 of row 1 \(='75'\) must be a number from 0 to 1.*add --percent"):
        read_results(path, ErrorColumn(name="top1"))
    (errors,) = read_results(path, PERCENT).populations
    assert errors.errors.tolist() == [0.75, 0.5]
    (accuracies,) = read_results(path, ErrorColumn(name="top1", percent=True, accuracy=True)).populations
    assert accuracies.errors.tolist() == [0.25, 0.5]


def test_parquet_of_anyone(tmp_path):
    table = pyarrow.table({"error": [0.5, None], "params": [1, 2], "curve": [[0.9, 0.5], None]})
    parquet.write_table(table, tmp_path / "theirs.parquet")
    (found,) = read_results(tmp_path / "theirs.parquet").populations
    assert found.errors.tolist() == [0.5, math.inf]
    assert (list(found.complexity), dict(found.parameters)) == (["params"], {})
    (found,) = read_results(tmp_path / "theirs.parquet", ErrorColumn(name="curve")).populations
    assert found.errors.tolist() == [0.5, math.inf]  # the last epoch counts


def job(error, depths, block="res_bottleneck_block"):
    """A job with the fields of the release of Radosavovic et al. 2019."""
    net = {"block_type": block, "ds": depths, "ws": [16, 32, 64], "ss": [1, 2, 2], "bot_muls": [], "num_gs": [1, 2, 4]}
    return {
        "job_id": 7, "rng_seed": 1, "flops": 41_000_000, "params": 300_000, "act_mem": 5, "exp_mem": 6,
        "net": net, "optim": {"base_lr": 0.1, "wd": 0.0005, "max_ep": 100, "lr_policy": "cos"},
        "prec_time": {"train_fw_bw": 0.1}, "iter_time": 0.2, "min_test_top1": error,
        "test_ep_top1": [60.0, error + 1.0], "train_ep_top1": [70.0, 2.0], "train_ep_loss": [2.0, math.nan],
    }  # fmt: skip


def test_the_release_of_radosavovic_et_al_is_known_by_its_fields(tmp_path):
    jobs = [job(6.25, [1, 2, 3]), job(12.5, [2, 2, 16])]
    reading = read_results(write(tmp_path, json.dumps(jobs), "ResNeXt-A.json"))
    (found,) = reading.populations
    assert (found.name, found.errors.tolist()) == ("ResNeXt-A", [0.0625, 0.125])
    assert found.complexity["flops"].tolist() == [41e6, 41e6]
    names = [f"{name}[{i}]" for name in ("ds", "ws", "ss", "num_gs") for i in range(3)]
    assert list(found.parameters) == [*names, "base_lr", "wd", "max_ep"]
    assert list(found.varying) == ["ds[0]", "ds[2]"]
    assert "error from 'min_test_top1' in percent" in reading.told
    last = read_results(tmp_path / "ResNeXt-A.json", ErrorColumn(name="test_ep_top1", percent=True)).populations[0]
    assert last.errors.tolist() == [0.0725, 0.135]
    assert "min_test_top1" not in last.parameters


def test_its_reruns_are_two_populations(tmp_path):
    data = {"top": [job(5.0, [1, 1, 1])], "mid": [job(9.0, [2, 2, 2]), job(8.0, [2, 2, 2])]}
    found = read_results(write(tmp_path, json.dumps(data), "ResNet_reruns.json")).populations
    assert [(one.name, len(one)) for one in found] == [("top", 1), ("mid", 2)]


NONSENSE = {
    "empty": ("", "it is empty; its first line must name the columns"),
    "no rows": ("error,depth\n", "holds no rows; give it a row for each network"),
    "no error": ("eror,depth\n0.1,3\n", "there is no column 'error'; did you mean 'eror'?"),
    "NaN": ("error\nnan\n", r"error of row 1 \(='nan'\) must be a number from 0 to 1, or empty"),
    "infinite": ("error\n0.5\ninf\n", r"error of row 2 \(='inf'\)"),
    "negative": ("error\n-0.1\n", r"error of row 1 \(='-0.1'\)"),
    "huge error": (
        "error\n1e999\n",
        r"error of row 1 \(='1e999'\) must be a number from 0 to 1, or empty for a network",
    ),
    "huge flops": ("error,flops\n0.5,1e999\n", r"flops of row 1 \(='1e999'\) must be a finite number"),
    "negative flops": ("error,flops\n0.5,-1\n", r"flops of row 1 \(='-1'\) must be a finite number of at least 0"),
    "text in flops": ("error,flops\n0.5,400M\n", r"flops of row 1 \(='400M'\) must be a finite number"),
    "missing flops": ("error,flops\n0.5,\n", "flops of row 1 empty must be a finite number"),
    "text in numbers": ("error,width\n0.5,8\n0.5,wide\n", r"width of row 2 \(='wide'\) must be a finite number"),
    "text in errors": ("error\nlow\n", r"error of row 1 \(='low'\)"),
    "underscores": ("error,flops\n0.5,4_000\n", r"flops of row 1 \(='4_000'\)"),
    "same name": ("error,depth,error\n0.5,1,0.2\n", "columns 1 and 3 are both named 'error'; rename one"),
    "no name": ("error,\n0.5,1\n", "column 2 has no name in the first line"),
    "ragged": ("error,depth\n0.5\n", "row 1 has 1 cells, but 2 columns are named"),
    "semicolons": ("error;depth\n0,5;3\n", "separated by semicolons; write it with commas"),
    "tabs": ("error\tdepth\n0.5\t3\n", "separated by tabs; write it with commas"),
    "latin": (b"error,na\xefve\n0.5,1\n", "'utf-8' codec can't decode"),
    "binary": (b"\x00\x01\n\x02\n", "there is no column 'error'"),
    "open quote": ('error,a\n0.5,"x\n', "unexpected end of data"),
    "status": (
        "error,status\n0.5,finnished\n",
        r"status of row 1 \(='finnished'\) is unknown; did you mean 'finished'",
    ),
    "failed with error": ("error,status\n0.5,failed\n", r"error of row 1 \(='0.5'\) must be empty: its status is"),
    "finished without": ("error,status\n,finished\n", "error of row 1 is empty, but its status is 'finished'"),
    "all wait": ("error,status\n,waiting\n", "no network has a result"),
    "empty space": ("error,space\n0.5,\n", "space of row 1 is empty"),
}


@pytest.mark.parametrize(("text", "sentence"), NONSENSE.values(), ids=NONSENSE)
def test_nonsense_in_csv_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence) as told:
        read_results(write(tmp_path, text))
    assert "\n" not in str(told.value)


BAD_JSON = {
    "empty": ("", "Expecting value"),
    "a number": ("3", "must hold a list of objects, one for each network"),
    "a list of numbers": ("[1, 2]", "must hold a list of objects"),
    "a network": ('{"stages": [{"depth": 1}], "activation": "relu"}', "must hold a list of objects"),
    "nothing": ("[]", "holds no rows"),
    "not a number": ('[{"error": NaN}]', r"error of row 1 \(=nan\)"),
    "too large": ('[{"error": 0.5, "flops": 1' + "0" * 400 + "}]", "flops of row 1 .* must be a finite number"),
    "true": ('[{"error": true}]', r"error of row 1 \(=True\)"),
    "twice": ('[{"error": 0.5, "error": 0.2}]', "two fields of one object are named 'error'"),
    "deep": ("[" * 100_000, "its objects stand too deep in one another"),
}


@pytest.mark.parametrize(("text", "sentence"), BAD_JSON.values(), ids=BAD_JSON)
def test_nonsense_in_json_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence) as told:
        read_results(write(tmp_path, text, "results.json"))
    assert "\n" not in str(told.value)


def test_a_file_that_is_none_is_one_sentence(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, sentence in {
        "folder.csv": r"cannot be read \(Is a directory\)",
        "missing.csv": r"cannot be read \(No such file or directory\)",
        "results.xlsx": "must end in .csv, .parquet, .json, so that its format is known",
    }.items():
        with pytest.raises(InputError, match=sentence):
            read_results(tmp_path / name)
    with pytest.raises(InputError, match="Parquet magic bytes not found"):
        read_results(write(tmp_path, "these are notes", "notes.parquet"))


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (found,) = read_results(write(tmp_path, b"\xef\xbb\xbferror\r\n0.5\r\n")).populations
    assert found.errors.tolist() == [0.5]


def test_lists_of_a_page_are_no_parameters_be_they_of_one_stage(tmp_path):
    rows = 'space,digest,error,depths,flops\na,x,0.5,2,10\na,y,0.4,"2, 1",20\n'
    found = read_results(write(tmp_path, rows))
    assert found.of_study
    assert (found.populations[0].errors.tolist(), found.populations[0].parameters) == ([0.5, 0.4], {})
    with pytest.raises(InputError, match=r"depths of row 2 \(='2, 1'\) must be a finite number"):
        read_results(write(tmp_path, rows.replace("digest", "name")))
