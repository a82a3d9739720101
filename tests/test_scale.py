"""The benchmark of scale drives a study of a few dozen networks through the real engine, to the last row."""

import re
import subprocess
import sys


def test_every_network_is_trained_recorded_and_found_again(tmp_path):
    words = ["36", "--no-page", "--seconds", "0", "--folder", str(tmp_path)]
    done = subprocess.run([sys.executable, "benchmarks/scale.py", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = dict(re.findall(r"^\| (.+) \| (.+) \|$", done.stdout, re.MULTILINE))
    assert rows.pop("networks") == "36"
    assert {"trained and recorded [networks/s]", "the store [MB]", "a run that finds all done [s]"} <= rows.keys()
    assert float(rows["the driver's processor time for each [ms]"]) > 0.0
