"""The command line for tests: in this process, where no second Python and no framework has to be loaded.

What depends on a process of its own (environment, signals, closed streams) asks for a fresh one.
"""

import contextlib
import io
import os
import subprocess
import sys
import warnings
from unittest import mock

from netspace.cli import main


class _Printed(io.TextIOWrapper):
    """A stream in memory that has an encoding, as a pipe has."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def text(self):
        return self.buffer.getvalue().decode()


def netspace(*words, cwd, check=0, fresh=False, **variables):
    """Run `netspace` with some words in a folder, and hold its exit code, unless `check` is None."""
    if fresh or variables:
        done = subprocess.run(
            [sys.executable, "-m", "netspace", *map(str, words)],
            cwd=cwd,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=120,
        )
    else:
        done = _here(list(map(str, words)), cwd)
    if check is not None:
        assert done.returncode == check, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    return done


def _here(words, cwd):
    out, err = _Printed(), _Printed()
    with (
        contextlib.chdir(cwd),
        mock.patch.object(sys, "argv", ["netspace", *words]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    return subprocess.CompletedProcess(words, code, out.text(), err.text())
