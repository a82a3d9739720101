"""One study shared: parts at once in one store; jobs, by submitit's executor here and by a `sbatch` that listens."""

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from netspace.errors import ExecutionError, InputError, MissingFrameworkError, StoreError, StoreInUseError
from netspace.execution import slurm
from netspace.execution.executor import Done, InlineExecutor
from netspace.execution.slurm import CommandJob, Resources
from netspace.storage import postgresql as postgresql_store
from netspace.storage.sqlite import Memory
from netspace.storage.store import Store
from netspace.studies import preparing
from netspace.studies.launching import in_order
from netspace.studies.parts import Part
from netspace.studies.study import Study
from netspace.training.trial import TrialResult
from tests.command_line import netspace
from tests.postgresql import PASSWORD, QUOTED
from tests.tiny import STUDY

NUMBERS = itertools.count()
PATIENCE = 300.0
"""How long something may take on a machine that does much else [s]."""
needs_submitit = pytest.mark.skipif(find_spec("submitit") is None, reason="submitit is not installed")
"""Found, not imported: the first import decides the signal that asks jobs to end, and is for netspace to do."""
LONGER = STUDY.replace("epochs = 2", "epochs = 8")
"""One whose networks take long enough to be killed among."""


@pytest.fixture
def url(postgresql, monkeypatch):
    """The URL of a new schema, without the password, which jobs have from their environment."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return postgresql.url(f"parts-{next(NUMBERS)}").replace(f":{QUOTED}", "")


def written(folder, text=STUDY):
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


def numbers(where):
    """What stands of every network, without the times."""
    with Store.open(where) as store:
        return {
            f"{population.name} {i}": result
            and (result.status, result.error, [(r.training_loss, r.validation_error) for r in result.curve])
            for population in store.populations()
            for i, result in enumerate(population.results)
        }


def undisturbed(folder, text=STUDY):
    """What one run gives that nothing happens to."""
    place = Memory()
    Study.open(written(folder, text), output=folder / "undisturbed", store=place).run(
        executor=InlineExecutor(raise_errors=True)
    )
    return numbers(place)


def trained_to_the_end(where):
    with Store.open(where) as store:
        return Counter(attempt["trial"] for attempt in store.attempts() if attempt["outcome"] == "finished")


class Stub:
    """An executor that trains nothing; each trial has an error of its own, and takes a moment."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds

    def run(self, setup, tasks, *, should_stop):
        for task in tasks:
            if should_stop():
                return
            time.sleep(self.seconds)
            error = int(task.key[:4], 16) / 2**16
            yield [Done(key=task.key, value=(TrialResult(trial_id=task.key, status="finished", error=error), {}))]


def test_parts_that_begin_at_once_train_every_network_once(url, tmp_path):
    path, ended = written(tmp_path), []

    def train(number):
        study = Study.open(path, output=tmp_path / f"machine {number}", store=url)
        ended.append(study.run(executor=Stub(0.01), part=Part(number=number, of=4)))

    drivers = [threading.Thread(target=train, args=(number,)) for number in range(1, 5)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert sorted(done.total for done in ended) == [1, 1, 2, 2]
    assert {done.remaining for done in ended} == {0}
    assert set(trained_to_the_end(url).values()) == {1}
    assert len(trained_to_the_end(url)) == 6
    again = Study.open(path, output=tmp_path / "again", store=url).run(executor=Stub(), part=Part(number=2, of=2))
    assert (again.stored, again.trained) == (3, 0)


def test_a_part_and_a_run_exclude_each_other_by_name(url, tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "PATIENCE", 0.0)
    study = Study.open(written(tmp_path), output=tmp_path / "out", store=url)
    first, second, refused = Part(number=1, of=2), Part(number=2, of=2), []

    def others(progress):
        if refused:
            return
        with monkeypatch.context() as impatient:
            impatient.setattr(postgresql_store, "_LEAVING", 0.1)
            for source, part, what in (
                (url, None, "store"),
                (tmp_path / "more.toml", second, "store"),
                (tmp_path / "tiny.toml", first, "part 1/2 of store"),
            ):
                other = Study.open(source, output=tmp_path / "out", store=url)
                with pytest.raises(StoreInUseError, match=f"^{what} .* is being written by process {os.getpid()} on "):
                    other.run(executor=Stub(), part=part)
                refused.append(True)
        assert Study.open(url, output=tmp_path / "out").run(executor=Stub(), part=second).trained == 3

    (tmp_path / "more.toml").write_text(STUDY.replace("networks = 3", "networks = 4"))
    study.run(executor=Stub(), part=first, on_progress=others)
    assert len(refused) == 3
    assert set(trained_to_the_end(url).values()) == {1}
    with Store.open(url) as store:
        identity, text = store.study, store.text
    with (
        Store.create(url, study=identity, text=text),
        pytest.raises(StoreInUseError, match="is being written by process"),
    ):
        study.run(executor=Stub(), part=first)


def test_a_part_of_another_study_is_refused(url, tmp_path):
    Study.open(written(tmp_path), output=tmp_path / "out", store=url).run(executor=Stub(), part=Part(number=1, of=2))
    for change, said in (
        (("epochs = 2", "epochs = 3"), "recipe.epochs was 2, is 3"),
        (("networks = 3", "networks = 2"), "networks (=2) must be at least 3"),
    ):
        other = Study.open(written(tmp_path, STUDY.replace(*change)), output=tmp_path / "out", store=url)
        with pytest.raises(StoreError) as caught:
            other.run(executor=Stub(), part=Part(number=2, of=2))
        assert said in str(caught.value)


def family(process):
    """A process, its children, theirs and so on."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


@needs_submitit
@pytest.mark.cluster
def test_jobs_at_once_of_which_one_is_killed_give_what_one_run_gives(url, tmp_path):
    expected, path = undisturbed(tmp_path, LONGER), tmp_path / "tiny.toml"
    drawn = Study.open(path, output=tmp_path / "undisturbed").draw()
    trials = Part(number=2, of=2).among([trial.id for trial in in_order(drawn.trials.values())])
    words = ("submit", str(path), "--store", url, "--output", "out é", "--jobs", "2", "--local")
    command, logs = [sys.executable, "-m", "netspace", *words], tmp_path / "out é" / "jobs"
    begun = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + PATIENCE
    while not (logs.is_dir() and trained_to_the_end(url)):
        assert time.monotonic() < until
        time.sleep(0.05)
    jobs = sorted(int(log.name.split("_")[0]) for log in logs.glob("*_log.out"))
    with Store.open(url) as store:
        killed = 2 if set(trials) - store.finished() else 1
    for process in family(jobs[killed - 1]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    said = begun.communicate(timeout=PATIENCE)[0]
    assert begun.returncode == 1, said
    assert "submitted 2 parts as jobs on this machine; their logs: out é/jobs" in said
    assert re.search(r"[1-3] networks? without a result; the same command submits what is left", said)
    done = netspace(*words, cwd=tmp_path, check=0)
    assert f"submitted part {killed}/2 as jobs on this machine" in done.stdout
    assert "all networks have a result in postgresql://netspace@/postgres?" in done.stdout
    assert numbers(url) == expected
    assert set(trained_to_the_end(url).values()) == {1}
    assert "nothing to submit: all networks have a result" in netspace(*words, cwd=tmp_path, check=0).stdout
    contents = [file.read_bytes() for file in (tmp_path / "out é").rglob("*") if file.is_file()]
    assert not any(secret.encode() in content for secret in (PASSWORD, QUOTED) for content in contents)


WAITING = """
import pathlib, signal, sys
begun = pathlib.Path(sys.argv[1])
if begun.exists():
    print("again", flush=True)
    sys.exit(0)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
begun.touch()
signal.sigwait([signal.SIGUSR1])
print("saved", flush=True)
sys.exit(1)
"""


@needs_submitit
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda job: os.kill(family(int(job.job_id))[1], signal.SIGUSR1), ["saved", "again"]),
        (lambda job: slurm.ask_to_end([job]), ["saved"]),
    ],
    ids=["makes way", "is stopped"],
)
def test_a_job_that_is_asked_to_end_has_its_command_saved_and_begins_it_again_to_make_way(tmp_path, asked, said):
    begun = tmp_path / "begun"
    command = [sys.executable, "-c", WAITING, str(begun)]
    (job,) = slurm.submit([command], tmp_path / "jobs", Resources(), grace=1.0, local=True)
    until = time.monotonic() + PATIENCE
    while not begun.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    asked(job)
    job.wait()
    assert [word for word in job.stdout().split() if word in ("saved", "again")] == said
    assert (job.exception() is None) == ("again" in said)


def test_a_command_that_fails_is_an_error():
    with pytest.raises(ExecutionError, match=r"false ended with exit code 1; its words stand above"):
        CommandJob("false")()


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A `sbatch` that keeps what it is given; returns where."""
    programs, kept = tmp_path / "programs", tmp_path / "script.sh"
    programs.mkdir()
    (programs / "sbatch").write_text(f'#!/bin/sh\ncp "$1" "{kept}"\necho "Submitted batch job 12"\n')
    (programs / "srun").write_text("#!/bin/sh\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return kept


@needs_submitit
def test_the_script_of_slurm_says_what_was_asked_for_and_no_password(url, tmp_path, cluster):
    words = ["submit", written(tmp_path), "--store", url, "--jobs", 3, "--output", tmp_path / "out", "--minutes", 90]
    words += ["--cpus", 4, "--memory-gib", 1.5, "--partition", "short", "--option", "account=my lab", "--grace", 40]
    done = netspace(*words, cwd=tmp_path, check=0)
    assert f"submitted 3 parts as Slurm's job 12; their logs: {tmp_path}/out/jobs" in done.stdout
    assert f"`netspace status '{url.split('host')[0]}" in done.stdout
    script = cluster.read_text()
    for line in (
        "--array=0-2%3",
        "--time=90",
        "--cpus-per-task=4",
        "--mem=1536M",
        "--partition=short",
        "--account='my lab'",
        "--signal=USR1@70",
    ):
        assert f"#SBATCH {line}\n" in script
    assert "export SUBMITIT_PREEMPT_SIGNAL=USR1\n" in script
    files = [file.read_bytes() for file in (tmp_path / "out" / "jobs").iterdir()]
    for i in range(3):
        assert any(f"--part={i + 1}/3".encode() in file and b"--workers=4" in file for file in files)
    assert not any(secret.encode() in file for file in files for secret in (PASSWORD, QUOTED))


@needs_submitit
def test_what_slurm_refuses_is_one_sentence(url, tmp_path, cluster):
    (tmp_path / "programs" / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: no such partition' >&2\nexit 1\n")
    words = ("submit", written(tmp_path), "--store", url, "--jobs", 1, "--output", "out")
    refused = netspace(*words, cwd=tmp_path, check=1)
    assert refused.stderr == "netspace: the jobs were not taken: sbatch: error: no such partition\n"


@needs_submitit
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--part", "0/2"), "part (=0/2) must be I/N with I from 1 to N; the nearest is 1/2"),
        (("run", "--part", "2"), "part (='2') must be I/N with I from 1 to N, such as 2/8"),
        (("run", "--part", "1/2"), "parts of a study need a store in PostgreSQL"),
        (("run", "--part", "1/2", "--store", "URL", "--until-decided"), "part (=1/2) leaves no look to wait for"),
        (("submit", "--jobs", "2", "--store", "out.db"), "--store (='out.db') must be a postgresql:// URL"),
        (("submit", "--jobs", "2", "--store", "SECRET"), "holds a password, which would stand in files and lists of"),
        (("submit", "--jobs", "2", "--store", "URL"), "no 'sbatch', the command of Slurm; submit where it is, or run"),
        (("submit", "--jobs", "7", "--store", "URL", "--local"), "jobs (=7) must be from 1 to 6, the study's networks"),
        (("submit", "--jobs", "2", "--store", "URL", "--local", "--output", "50 %"), "must have no % in its path"),
        (("submit", "--jobs", "2", "--store", "URL", "--option", "qos"), "option (='qos') must be NAME=VALUE"),
        (("submit", "--jobs", "2", "--store", "URL", "--option", "a b=c"), "option 'a b' must be the long name of an"),
        (("submit", "--jobs", "2", "--store", "URL", "--option", "a=b\nrm"), r"a (='b\nrm') must be one line"),
    ],
)
def test_wrong_words_are_one_sentence_and_write_nothing(url, tmp_path, words, said):
    secret = url.replace("netspace@", f"netspace:{QUOTED}@")
    named = {"URL": url, "SECRET": secret}
    command, *more = (named.get(word, word) for word in words)
    done = netspace(command, written(tmp_path), "--output", "out", *more, cwd=tmp_path, check=2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert PASSWORD not in done.stderr
    assert QUOTED not in done.stderr
    assert os.listdir(tmp_path) == ["tiny.toml"]


def test_a_missing_submitit_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(MissingFrameworkError, match=r"pip install 'netspace\[slurm\]'"):
        slurm.check_submission(Path("jobs"), local=True)


@pytest.mark.parametrize("wrong", [{"minutes": 0}, {"memory_gib": 0.0}, {"partition": "a\nb"}, {"gpus": -1}])
def test_resources_that_cannot_be_name_their_field(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=rf"{name} \(="):
        Resources(**wrong)


@pytest.mark.parametrize("number", [1, 3, 8, 11])
def test_parts_share_everything_and_overlap_nowhere(number):
    parts = [Part(number=i, of=number).among(range(10)) for i in range(1, number + 1)]
    assert [one for part in parts for one in part] == list(range(10))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
