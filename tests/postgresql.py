"""A PostgreSQL of our own for a while: in a folder, on a socket in it, with a password, its disk never synced.

The programs of the server are looked for on PATH, by `pg_config` and where Debian puts them; a server refuses to be
root, so that it is another user's here where we are.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

USER, PASSWORD = "netspace", "a secret, 100 %"
QUOTED = "a%20secret%2C%20100%20%25"


class Server:
    """A server that can be stopped and started again."""

    def __init__(self, programs, folder):
        self._programs, self.folder = programs, folder
        self._as = {}
        if os.geteuid() == 0:
            account = _account()
            os.chown(folder, account.pw_uid, account.pw_gid)
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": ()}
        words = folder / "password"
        words.write_text(PASSWORD)
        words.chmod(0o644)
        options = ["--no-sync", "--auth=scram-sha-256", f"--username={USER}", f"--pwfile={words}", "--encoding=UTF8"]
        made = subprocess.run(
            [programs / "initdb", "-D", folder / "data", "--locale=C", *options],
            capture_output=True,
            text=True,
            cwd=folder,
            **self._as,
        )
        assert made.returncode == 0, made.stderr
        self.start()

    def start(self):
        """Start, and wait until it answers."""
        settings = ["fsync=off", "listen_addresses=", f"unix_socket_directories={self.folder}"]
        command = [self._programs / "postgres", "-D", self.folder / "data", *(f"--{setting}" for setting in settings)]
        # A shell between us ends the server when we are gone, however we went.
        with (self.folder / "log").open("ab") as log:
            self._shell = subprocess.Popen(
                ["sh", "-c", '"$@" & read gone; kill -INT $!; wait $!', "sh", *command],
                stdin=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                **self._as,
            )
        ready = [self._programs / "pg_isready", "--quiet", f"--host={self.folder}"]
        until = time.monotonic() + 60
        while subprocess.run(ready).returncode != 0:
            assert time.monotonic() < until, (self.folder / "log").read_text()
            assert self._shell.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)

    def stop(self):
        """Stop at once, and end every connection."""
        self._shell.stdin.close()
        self._shell.wait(60)

    def url(self, schema="", **options):
        """The URL of a schema, with the password in it."""
        query = {"host": self.folder} | ({"schema": schema} if schema else {}) | options
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return f"postgresql://{USER}:{QUOTED}@/postgres?{words}"


@contextlib.contextmanager
def running():
    """A server, or a skip that says why."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL's server (initdb, postgres) is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path must be short
    server = None
    try:
        server = Server(programs, folder)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _programs():
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    if shutil.which("pg_config"):
        asked = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True)
        places += [Path(asked.stdout.strip())]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    needed = ("initdb", "postgres", "pg_isready")
    return next((place for place in places if all((place / name).is_file() for name in needed)), None)


def _account():
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.skip("PostgreSQL refuses to be root, and there is no user postgres or nobody")
