"""The page while its study runs: read-only, on this machine only, made again when the store has changed.

A page in another tab cannot read this one: the host that a request names is checked, so that a foreign name that
leads here (DNS rebinding) finds nothing, and no answer may be shared with another origin.
"""

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from netspace.errors import InputError, NetspaceError
from netspace.report import networks
from netspace.report.page import SCRIPTS, StudyReport, render
from netspace.report.shell import content_policy
from netspace.storage.table_files import csv_bytes, parquet_bytes

HOST = "127.0.0.1"
PORT = 8765

REST = 9.0
"""A page rests for this many times as long as it took to make: a tenth of one core at most goes into it."""

_NO_VERSION = "none"
_TRIED = 100
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One state of the page and what it shows: its version names its content."""

    version: str
    page: bytes
    report: StudyReport

    @property
    def table(self) -> networks.Columns:
        """All networks, a row each."""
        return networks.columns(self.report.populations, self.report.marks)


class Press:
    """Makes the page of what `read` returns, again when `stamp` differs, and not more often than it rests."""

    def __init__(self, read: Callable[[], StudyReport], stamp: Callable[[], Hashable], *, rest: float = REST) -> None:
        self._read, self._stamp, self._rest = read, stamp, rest
        self._busy = threading.Lock()
        self._next = 0.0
        self._printed = stamp()
        self._edition = self._print()

    def edition(self) -> Edition:
        """Return the newest page; while one is made, or nothing can be read, the one before."""
        if time.monotonic() >= self._next and self._busy.acquire(blocking=False):
            try:
                stamp = self._stamp()
                if stamp != self._printed:
                    self._edition = self._print()
                    # What came while it was made is in the next one.
                    self._printed = stamp
            except NetspaceError:
                self._next = time.monotonic() + 1.0
            finally:
                self._busy.release()
        return self._edition

    def _print(self) -> Edition:
        begun = time.monotonic()
        report = self._read()
        page = render(report, version=_NO_VERSION).encode()
        version = hashlib.sha256(page).hexdigest()[:16]
        page = page.replace(f'data-version="{_NO_VERSION}"'.encode(), f'data-version="{version}"'.encode(), 1)
        now = time.monotonic()
        self._next = now + self._rest * (now - begun)
        return Edition(version=version, page=page, report=report)


@contextlib.contextmanager
def serving(press: Press, port: int = PORT) -> Iterator[ThreadingHTTPServer]:
    """Listen on a port of this machine, any free one for 0; call `serve_forever` of what this gives.

    Raises: InputError for a port that is taken, naming the nearest free one, or that cannot be.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"port (={port}) must lie between 1 and 65535, or be 0 for any free one; such as {PORT}")

    class Handler(_Handler):
        shown = press

    try:
        server = _Server((HOST, port), Handler)
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise InputError(
            f"port (={port}) cannot be used ({reason}); the nearest free one is {_nearest(port)}"
        ) from None
    try:
        yield server
    finally:
        server.server_close()


def address(server: ThreadingHTTPServer) -> str:
    """Return where a browser finds the page."""
    return f"http://{HOST}:{server.server_address[1]}/"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a reader that went away in the middle is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    shown: Press
    timeout = _PATIENCE

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _refuse(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"this page can only be read\n", Allow="GET, HEAD")

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _refuse

    def _answer(self) -> None:
        port = self.connection.getsockname()[1]
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self._send(HTTPStatus.MISDIRECTED_REQUEST, b"this server answers to no other name\n")
            return
        path = self.path.partition("?")[0]
        if path == "/":
            self._send(HTTPStatus.OK, self.shown.edition().page, "text/html; charset=utf-8")
        elif path == "/version":
            self._send(HTTPStatus.OK, self.shown.edition().version.encode())
        elif path == "/networks.csv":
            self._send(HTTPStatus.OK, csv_bytes(self.shown.edition().table), "text/csv; charset=utf-8")
        elif path == "/networks.parquet":
            self._send(HTTPStatus.OK, parquet_bytes(self.shown.edition().table), "application/vnd.apache.parquet")
        else:
            self._send(HTTPStatus.NOT_FOUND, b"there is only the page here\n")

    def _send(
        self, status: HTTPStatus, content: bytes, kind: str = "text/plain; charset=utf-8", **headers: str
    ) -> None:
        self.send_response(status)
        for name, value in (_HEADERS | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def version_string(self) -> str:
        """Name no versions."""
        return "netspace"

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log: whoever asks is the reader at this machine."""


_HEADERS = {
    "Content-Security-Policy": content_policy(SCRIPTS, live=True) + "; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def _nearest(port: int) -> int:
    """Return the free port that is nearest to one that is taken."""
    near = (port + sign * step for step in range(1, _TRIED) for sign in (1, -1))
    for other in near:
        if 1024 <= other <= 65535:
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind((HOST, other))
                return other
    raise InputError(f"port (={port}): no port near it is free; 0 takes any free one")
