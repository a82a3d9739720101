"""Nothing is lost and nothing is done twice: the quickest faults of `benchmarks/faults.py`, which has all of them."""

import os
import subprocess
import sys


def test_a_driver_that_is_killed_and_a_torn_checkpoint_cost_nothing():
    only = ("driver KILLED when recorded", "TORN checkpoints")
    words = [word for name in only for word in ("--only", name)]
    command = [sys.executable, "benchmarks/faults.py", "--short", *words]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    head, *rows, _ = done.stdout.splitlines()
    assert head.split() == ["fault", "runs", "lost", "doubled", "time", "[s]"]
    assert [row[36:].split()[1:3] for row in rows] == [["0", "0"]] * 2
