"""The command line as a user meets it: what it prints, its exit codes, one sentence for every wrong word."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from netspace.cli.main import app
from tests.command_line import netspace
from tests.tiny import STUDY

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of a tiny study, in a folder whose name is not plain."""
    folder = tmp_path_factory.mktemp("a study é")
    (folder / "tiny.toml").write_text(STUDY)
    done = netspace("run", "tiny.toml", "--workers", 2, cwd=folder, check=0)
    return folder, done.stdout


def test_show_prints_the_chapters_summary(tmp_path):
    text = netspace("show", "regnetx32", "--resolution", 96, "--in-channels", 1, cwd=tmp_path, check=0).stdout
    rows = {line.split("  ")[0].strip(): line.split() for line in text.splitlines()}
    assert "32x48x48" in rows["stem"]
    assert "32x24x24" in rows["stage 1"]
    assert "80x12x12" in rows["stage 2"]
    assert rows["head"][2] == "10"
    assert rows["total"][1:] == ["179,290", "40,915,242", "622,090"]


def test_show_reads_a_spec_from_a_file(tmp_path):
    shown = json.loads(netspace("show", "regnetx32", "--json", cwd=tmp_path, check=0).stdout)
    (tmp_path / "mine.json").write_text(json.dumps(shown["network"]))
    again = json.loads(netspace("show", "mine.json", "--json", cwd=tmp_path, check=0).stdout)
    assert again["digest"] == shown["digest"]


def test_zoo_spaces_and_sample(tmp_path):
    zoo = json.loads(netspace("zoo", "--json", cwd=tmp_path, check=0).stdout)
    assert zoo["regnetx_200mf"] == {"flops": 199040872, "params": 2684792, "activations": 2164056}
    spaces = netspace("spaces", cwd=tmp_path, check=0).stdout
    assert "1,846,757,322,198,614,016" in spaces
    words = ("sample", "anynetx_a", "-n", 2, "--flops", "360M..400M")
    assert "0 repeated a network" in netspace(*words, cwd=tmp_path, check=0).stdout
    assert len(json.loads(netspace(*words, "--json", cwd=tmp_path, check=0).stdout)["networks"]) == 2


def commands(group, *path):
    for name, command in group.commands.items():
        yield from commands(command, *path, name) if hasattr(command, "commands") else [((*path, name), command)]


def test_help_loses_no_word_in_brackets(capsys):
    """Help is written in Rich's markup, in which a word in brackets is a style unless it is escaped."""
    told = []
    for path, command in commands(typer.main.get_command(app)):
        texts = (command.help, command.epilog, *(getattr(one, "help", None) for one in command.params))
        for word in re.findall(r"\[[^\]]*\]", " ".join(filter(None, texts))):
            app([*path, "--help"], standalone_mode=False)
            assert word in capsys.readouterr().out, path
            told.append((path, word))
    assert {(("compare",), "[comparison]"), (("noise",), "[checks]")} <= set(told)


def test_names_are_printed_as_they_are(tmp_path):
    (tmp_path / "names.csv").write_text("space,error\na[/b],0.1\n[red]c:x:,0.2\n")
    printed = netspace("compare", "names.csv", "--effects", cwd=tmp_path, check=0).stdout
    assert printed.splitlines()[2].startswith("a[/b] ")
    assert printed.splitlines()[3].startswith("[red]c:x: ")


def test_a_run_prints_the_comparison_and_writes_everything(run):
    folder, text = run
    out = folder / "runs" / "tiny"
    assert "trained 6 networks" in text
    assert "validation error" in text
    assert "anynetx_a" in text
    assert str(Path("runs/tiny/report.html")) in text
    assert (out / "study.db").is_file()
    assert (out / "report.html").read_text().startswith("<!DOCTYPE html>")
    suffixes = {path.suffix for path in (out / "figures").iterdir()}
    assert suffixes == {".png", ".svg", ".pdf"}
    assert {"networks.csv", "networks.parquet"} <= {path.name for path in out.iterdir()}


def test_a_second_run_trains_nothing_and_says_so(run):
    folder, _ = run
    text = netspace("run", "tiny.toml", cwd=folder, check=0).stdout
    assert "nothing to train: all 6 networks have a result" in text


def test_status_compare_and_report_read_the_store(run):
    folder, _ = run
    status = json.loads(netspace("status", "runs/tiny", "--json", cwd=folder, check=0).stdout)
    assert [(s["networks"], s["finished"], s["waiting"]) for s in status["spaces"]] == [(3, 3, 0)] * 2
    assert "best error" in netspace("status", "runs/tiny", cwd=folder, check=0).stdout
    told = json.loads(netspace("compare", "runs/tiny/study.db", "--json", cwd=folder, check=0).stdout)
    assert list(told) == ["spaces", "verdicts"]
    (verdict,) = told["verdicts"]
    for row, side in zip(told["spaces"], (verdict["evidence"]["a"], verdict["evidence"]["b"]), strict=True):
        assert (row["space"], row["networks"], row["failed"]) == (side["name"], side["n"], side["num_failed"])
        assert all(row[name] == side[name] for name in ("minimum", "best_decile", "median", "finite_mean"))
    assert verdict["spaces"] == ["anynetx_a", "anynetx_e"]
    assert verdict["sentence"] in netspace("compare", "runs/tiny", cwd=folder, check=0).stdout
    page = folder / "runs" / "tiny" / "report.html"
    before = page.read_bytes()
    page.unlink()
    netspace("report", "runs/tiny", cwd=folder, check=0)
    assert page.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("epochs = 2", "epoch = 2"), "tiny.toml: recipe.epoch: unknown key; did you mean 'epochs'?"),
        (("anynetx_e", "anynetx_y"), "spaces[1]: space 'anynetx_y' is not in the catalogue"),
        (("20k..200k", "1..2"), "no network has flops in 1..2 at resolution 8; the draws reach flops of"),
        (("num_stages = 2", "num_stages = 5"), "stages[3] has stride 2 but its input is 1x1 at resolution 8"),
        (('"digits"', '"folder:nowhere"\nresolution = 8'), "nowhere"),
        (('"digits"', '"fashion_mnist"'), "--download"),
        (("[data]", 'backend = "jaxx"\n[data]'), "backend 'jaxx' does not exist"),
        (("networks = 3", "networks = 3\noutput = 'tiny.toml/x'"), "cannot be written"),
        (("networks = 3", 'networks = 3\noutput = "\\u0000"'), "cannot be written"),
        (("width = 8", "width = 9223372036854775807"), "stem.width (=9223372036854775807) must be"),
        (("epochs = 2", "epochs = 2\nshift = 8"), "recipe.shift (=8) must be below the resolution (=8)"),
        (("epochs = 2", "epochs = 2\nlearning_rate = inf"), "recipe.learning_rate (=inf) must be a finite number"),
    ],
    ids=lambda change: change if isinstance(change, str) else change[1],
)
def test_a_wrong_study_is_one_sentence_exit_2_and_nothing_written(tmp_path, change, sentence):
    (tmp_path / "tiny.toml").write_text(STUDY.replace(*change))
    done = netspace("run", "tiny.toml", cwd=tmp_path, check=2, NETSPACE_DATA="")
    assert sentence in done.stderr
    assert done.stderr.startswith("netspace: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


def test_a_missing_framework_is_one_sentence_with_the_line_that_installs_it(tmp_path):
    (tmp_path / "tiny.toml").write_text(STUDY)
    code = """
import sys

class NoTorch:  # as on a machine without PyTorch
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, NoTorch())
from netspace.cli import main
main()
"""
    command = [sys.executable, "-c", code, "run", "tiny.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "netspace: backend 'torch' needs the package 'torch'; install it with: pip install 'netspace[torch]'"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


def test_a_corrupt_idx_file_is_named(tmp_path):
    (tmp_path / "tiny.toml").write_text(STUDY.replace('"digits"', '"fashion_mnist"'))
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (data / f"{name}-ubyte").write_bytes(b"\x00\x00\x08\x03 no images")
    done = netspace("run", "tiny.toml", "--data-dir", data, cwd=tmp_path, check=2)
    assert "-ubyte" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_store_of_another_study_is_refused(run):
    folder, _ = run
    (folder / "other.toml").write_text(STUDY.replace("epochs = 2", "epochs = 3"))
    done = netspace("run", "other.toml", "--output", "runs/tiny", cwd=folder, check=2)
    assert "was written by another study: recipe.epochs was 2, is 3" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("show", "regnetx_400m"), "did you mean 'regnetx_400mf'"),
        (("show", "none.json"), "cannot be read"),
        (("sample", "anynetx_a", "--flops", "400M..360M"), "upside down"),
        (("sample", "anynetx_a", "--flops", "lots"), "not a band"),
        (("status", "nowhere"), "does not exist"),
        (("status", "nowhere.db"), "does not exist"),
        (("nope",), "nope"),
        (
            ("run", "study.toml", "--workers", "many"),
            "workers (='many') must be \"auto\" or a whole number of at least 1",
        ),
        (("run", "study.toml", "--workers", "0"), "workers (='0') must be"),
        (("run", "study.toml", "--grace", "-1"), "--grace"),
        (("sample", "anynetx_a", "-n", "x"), "Invalid value for '-n'"),
        (("sample", "anynetx_a", "-n", "10000000"), "n (=10,000,000) must be at most 2,000,000"),
        (("sample", "anynetx_a", "--resolution", "100000000"), "resolution (=100000000) must be"),
        (("report", "nowhere"), "does not exist"),
    ],
    ids=str,
)
def test_wrong_words_are_one_sentence_and_exit_2(tmp_path, words, sentence):
    done = netspace(*words, cwd=tmp_path, check=2)
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("words", [("--debug", "show", "nothing"), ("show", "nothing", "--debug")], ids=str)
def test_debug_shows_the_traceback(tmp_path, words):
    done = netspace(*words, cwd=tmp_path, check=None)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("netspace: network 'nothing'")


def test_letters_that_the_terminal_lacks_are_no_failure(run):
    folder, _ = run
    netspace("compare", "runs/tiny", cwd=folder, check=0, PYTHONIOENCODING="ascii")


@pytest.mark.parametrize("command", ["", "zoo", "show", "spaces", "sample", "run", "status", "compare", "report"])
def test_every_command_has_help_with_an_example(tmp_path, command):
    text = netspace(*command.split(), "--help", cwd=tmp_path, check=0).stdout
    assert "Usage: netspace" in text
    assert command == "" or f"Example: netspace {command}" in text


def test_closed_standard_output_is_no_traceback(tmp_path):
    # More than a pipe holds, so that the writer meets the closed end.
    pipeline = f"{sys.executable} -m netspace sample anynetx_a -n 2000 --json; echo $? >&2"
    done = subprocess.run(f"({pipeline}) | head -c 1", shell=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr.strip() == "1"


def wait_until_it_computes(pid):
    """Return when a process has had three seconds of a processor, however busy the machine is."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():  # macOS
        time.sleep(4)
        return
    while sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])) < 3 * os.sysconf("SC_CLK_TCK"):
        time.sleep(0.05)


def test_ctrl_c_while_networks_are_drawn_interrupts_at_once(tmp_path):
    command = [sys.executable, "-m", "netspace", "sample", "anynetx_a", "-n", "2000000"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    wait_until_it_computes(process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (1, "netspace: interrupted\n")


def test_the_version(tmp_path):
    assert netspace("--version", cwd=tmp_path, check=0).stdout.startswith("netspace ")


def test_ctrl_c_stops_within_seconds_and_the_next_run_continues(tmp_path):
    (tmp_path / "tiny.toml").write_text(STUDY.replace("epochs = 2", "epochs = 40"))
    command = [sys.executable, "-m", "netspace", "run", "tiny.toml", "--workers", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store = tmp_path / "runs" / "tiny" / "study.db"

    def finished():
        done = netspace("status", store, "--json", cwd=tmp_path, check=None)
        spaces = json.loads(done.stdout)["spaces"] if done.returncode == 0 else []
        return sum(space["finished"] for space in spaces)

    give_up = time.monotonic() + 60
    while finished() < 1 and time.monotonic() < give_up:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - asked < 10
    assert process.returncode == 1
    assert "stopping; what is finished is stored" in err
    kept = finished()
    assert 1 <= kept < 6
    assert f"stopped: {kept} of 6 networks have a result" in out
    assert "(saved in mid-training: 1); the same command continues" in out
    text = netspace("run", "tiny.toml", "--workers", "auto", cwd=tmp_path, check=0).stdout
    assert f"{kept} had a result before" in text
    assert sum("goes on after epoch" in log.read_text() for log in store.with_name("logs").iterdir()) == 1
    assert not store.with_name("checkpoints").exists()
