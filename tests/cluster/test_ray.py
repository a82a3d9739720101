"""A study on a real cluster of several nodes: nothing is lost or doubled, and the numbers are those of one process.

Workers, actors, nodes and drivers are really killed; tokens are really asked for.
"""

import functools
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from netspace.errors import ExecutionError
from netspace.execution.choice import ExecutionChoice
from netspace.execution.executor import Done, InlineExecutor, Limits, Overran, Task
from netspace.execution.ray_executor import RayExecutor
from netspace.storage.store import Store
from netspace.studies.study import Study
from tests.execution.test_watching import suffering
from tests.ray_cluster import STORE, children, command, ray_folder, until
from tests.tiny import A_AND_E, study_of

pytestmark = pytest.mark.cluster

TOKEN = "a secret of this test"

STUDY = study_of(A_AND_E, flops="20k..200k")
NETWORKS = 6
PATIENCE = 150.0
"""How long a driver may take on a machine that does much else [s]."""
DRIVER = """
import sys
from netspace.execution.choice import ExecutionChoice
from netspace.studies.study import Study
choice = ExecutionChoice(executor="ray", address=sys.argv[3])
Study.open(sys.argv[1], output=sys.argv[2]).run(executor=choice)
"""


def suffering_in(folder):
    """Set up what suffers, told where by a text."""
    return suffering(Path(folder))


def numbers(folder):
    """What stands of every network, without the times."""
    study = Study.open(folder)
    return [
        (result.status, result.error, [(r.training_loss, r.validation_error) for r in result.curve])
        for population in study.populations()
        for result in population.results
        if result
    ]


def outcomes(folder):
    with Store.open(folder) as store:
        return Counter(attempt["outcome"] for attempt in store.attempts())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "study.toml").write_text(STUDY)
    Study.open(folder / "study.toml", output=folder / "out").run(executor=InlineExecutor(raise_errors=True))
    return numbers(folder / "out")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def choice(cluster, **more):
    return ExecutionChoice(executor="ray", address=cluster.address, **more)


def worker_process(actor):
    return next(pid for pid in children(actor) if "netspace.execution.worker" in command(pid))


def kill_worker(cluster):
    os.kill(worker_process(cluster.actors()[0]), signal.SIGKILL)


def kill_actor(cluster):
    os.kill(cluster.actors()[0], signal.SIGKILL)


def kill_node(cluster):
    cluster.kill_node()


@pytest.mark.parametrize(
    ("disturb", "reason"),
    [
        (kill_worker, "the worker process was ended by SIGKILL"),
        (kill_actor, "the Ray worker on host"),
        (kill_node, "the Ray "),
    ],
)
def test_what_is_killed_in_mid_study_costs_one_attempt(ray_cluster, place, undisturbed, disturb, reason):
    ray_cluster.fill()
    killed = []

    def on_progress(progress):
        if progress.images and not killed:
            killed.append(disturb(ray_cluster))

    study = Study.open(place / "study.toml", output=place / "out")
    done = study.run(executor=choice(ray_cluster), on_progress=on_progress)
    assert (done.trained, done.failures, len(killed)) == (NETWORKS, 0, 1)
    assert numbers(place / "out") == undisturbed
    assert outcomes(place / "out") == {"finished": NETWORKS, "crashed": 1}
    with Store.open(place / "out") as store:
        (crash,) = (attempt for attempt in store.attempts() if attempt["outcome"] == "crashed")
    assert reason in crash["reason"]


def test_a_driver_that_is_killed_takes_its_workers_with_it_and_the_next_goes_on(ray_cluster, place, undisturbed):
    ray_cluster.fill()
    words = [place / "study.toml", place / "out", ray_cluster.address]
    line = [sys.executable, "-c", DRIVER, *map(str, words)]
    fault = {**os.environ, "NETSPACE_FAULT": "recorded:1"}
    killed = subprocess.run(line, env=fault, capture_output=True, text=True, timeout=PATIENCE)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert 0 < len(numbers(place / "out")) < NETWORKS
    until(lambda: not ray_cluster.actors())
    again = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE)
    assert again.returncode == 0, again.stderr
    assert numbers(place / "out") == undisturbed
    assert outcomes(place / "out") == {"finished": NETWORKS}


@pytest.fixture
def run(ray_cluster, tmp_path):
    ray_cluster.fill()

    def events(*payloads, should_stop=lambda: False, cpus=1.0, **limits):
        executor = RayExecutor(
            1, choice=choice(ray_cluster, cpus=cpus), limits=Limits(**limits), logs=tmp_path / "logs"
        )
        tasks = [Task(key=payload, payload=payload) for payload in payloads]
        setup = functools.partial(suffering_in, str(tmp_path))
        return [event for some in executor.run(setup, tasks, should_stop=should_stop) for event in some]

    return events


def test_a_task_that_takes_too_long_is_ended(run, tmp_path):
    slow, fine = run("slow", "fine", seconds=0.5)
    assert slow == Overran(key="slow", reason="took longer than its limit of 0.5 s", log="logs/slow.log")
    assert isinstance(fine, Done)
    assert "took longer" in (tmp_path / "logs" / "slow.log").read_text()


def test_a_task_that_is_asked_to_end_is_saved(run, tmp_path):
    begun = tmp_path / "until asked has begun"
    assert not [event for event in run("until asked", should_stop=begun.exists, grace=10.0) if isinstance(event, Done)]
    assert (tmp_path / "saved").read_text() == "all of it"


def test_a_cluster_without_room_is_one_sentence(run):
    with pytest.raises(ExecutionError, match=r"no machine of this Ray cluster had 64 CPUs for a worker within 1 s"):
        run("fine", cpus=64.0, silence=1.0)


def sharing(folder):
    """Set up work that says which GPUs it sees, once so many of its kind as the payload's number run at once."""

    def work(payload, _report):
        name, together = payload.split()
        (Path(folder) / f"{name} has begun").touch()
        until(lambda: len(list(Path(folder).glob("* has begun"))) == int(together), PATIENCE)
        return os.environ["CUDA_VISIBLE_DEVICES"]

    return work


@pytest.mark.parametrize(
    ("gpus", "seen"),
    [(0.5, {"0": 2, "1": 2}), (1.0, {"0": 1, "1": 1}), (2.0, {"0,1": 1})],
    ids=["halves", "one each", "both"],
)
def test_workers_share_the_gpus_of_their_nodes(ray_cluster, tmp_path, gpus, seen):
    workers = sum(seen.values())
    tasks = [Task(key=name, payload=f"{name} {workers}") for name in "abcd"[:workers]]
    with ray_cluster.node_of_gpus(2, cpus=4):  # logical ones: which process sees which, nobody computes on them
        executor = RayExecutor(choice=choice(ray_cluster, cpus=0.5, gpus=gpus))
        events = [event for some in executor.run(functools.partial(sharing, str(tmp_path)), tasks) for event in some]
    assert Counter(event.value for event in events) == seen


def test_a_cluster_without_such_gpus_is_one_sentence(ray_cluster, tmp_path):
    with ray_cluster.node_of_gpus(1, cpus=4):
        limits = Limits(silence=1.0, memory=2**30)
        executor = RayExecutor(1, choice=choice(ray_cluster, cpus=0.5, gpus=2.0), limits=limits)
        with pytest.raises(
            ExecutionError, match=r"had 0.5 CPUs and 2 GPUs and 1 GiB of memory for a worker within 1 s"
        ):
            list(executor.run(functools.partial(sharing, str(tmp_path)), [Task(key="a", payload="a 1")]))


@pytest.fixture(scope="module")
def guarded():
    """The address of a cluster that asks for a token, in processes of its own: Ray takes a mode once."""
    with ray_folder() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        words = ["start", "--head", "--block", f"--port={port}", "--node-ip-address=127.0.0.1", "--num-cpus=1"]
        words += ["--include-dashboard=false", "--disable-usage-stats", f"--object-store-memory={STORE}"]
        words += [f"--temp-dir={folder / 'ray'}", "--min-worker-port=0", "--max-worker-port=0"]
        node = subprocess.Popen(
            [Path(sys.executable).with_name("ray"), *words],
            env={**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: (folder / "ray" / "ray_current_cluster").exists(), PATIENCE)
            yield f"127.0.0.1:{port}"
        finally:
            node.terminate()
            node.wait(timeout=30)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}, ""),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "another"}, "the Ray cluster there does not take this command"),
        ({"RAY_AUTH_MODE": "disabled"}, "if it asks for a token, set RAY_AUTH_MODE=token"),
    ],
    ids=["right", "wrong", "none"],
)
def test_a_guarded_cluster_takes_its_token_alone(guarded, place, variables, sentence):
    words = ["run", place / "study.toml", "--output", place / "out", "--executor", "ray", "--address", guarded]
    line = [sys.executable, "-m", "netspace", *map(str, words)]
    done = subprocess.run(line, env=os.environ | variables, capture_output=True, text=True, timeout=PATIENCE)
    assert "Traceback" not in done.stderr
    if sentence:
        assert done.returncode == 2, done.stderr
        assert sentence in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert outcomes(place / "out") == {"finished": NETWORKS}
