"""The live page is for readers at this machine alone: one host name, two methods, few paths, and no writing."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netspace.errors import InputError
from netspace.report import render
from netspace.report.server import Press, address, serving
from tests.report.growing import GrowingStudy, served


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrowingStudy]:
    study = GrowingStudy(tmp_path_factory.mktemp("study"))
    yield study
    study.store.close()


@pytest.fixture(scope="module")
def port(growing: GrowingStudy) -> Iterator[int]:
    with served(growing.press()) as server:
        yield server.server_address[1]


def ask(port: int, path: str = "/", method: str = "GET", host: str | None = None) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_the_page_is_the_one_that_a_report_writes_but_for_what_makes_it_live(port: int, growing: GrowingStudy) -> None:
    status, headers, body = ask(port)
    _, _, version = ask(port, "/version")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert body.decode() == render(growing.study.findings(while_waiting=False), version=version.decode())
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert f'content="{headers["Content-Security-Policy"].partition("; frame")[0]}"' in body.decode()
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers
    assert headers["Server"] == "netspace"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "evil.example:{port}", "localhost.evil.example:{port}"])
def test_another_name_of_this_machine_finds_nothing(port: int, host: str) -> None:
    status, _, body = ask(port, host=host.format(port=port))
    assert status == 421
    assert b"growing" not in body


def test_other_machines_are_not_listened_to(growing: GrowingStudy) -> None:
    with served(growing.press()) as server:
        assert server.socket.getsockname()[0] == "127.0.0.1"


def test_localhost_is_this_machine(port: int) -> None:
    assert ask(port, "/version", host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_reading_is_answered(port: int, method: str) -> None:
    status, headers, _ = ask(port, method=method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_a_head_has_no_body(port: int) -> None:
    status, headers, body = ask(port, method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 10_000


@pytest.mark.parametrize("path", ["/study.db", "/..%2fstudy.db", "/../study.db", "/figures/", "/index.html"])
def test_there_are_no_files_to_be_had(port: int, path: str) -> None:
    assert ask(port, path)[0] == 404


def test_the_tables_can_be_had(port: int) -> None:
    assert len(ask(port, "/networks.csv")[2].splitlines()) == 1 + 24
    assert ask(port, "/networks.parquet")[2][:4] == b"PAR1"


def test_a_page_rests_after_it_was_made_and_then_follows_the_store(growing: GrowingStudy) -> None:
    eager, resting = growing.press(), growing.press(rest=1e6)
    before = eager.edition(), resting.edition()
    assert eager.edition() is before[0]
    growing.finish(1)
    assert b"2 of 24" not in before[0].page
    after = eager.edition()
    assert after.version != before[0].version
    assert "of 24 networks have a result" in after.page.decode()
    assert resting.edition() is before[1]


def test_what_cannot_be_read_leaves_the_last_page(growing: GrowingStudy) -> None:
    press = growing.press()
    before = press.edition()
    path = growing.study.store_path
    path.rename(path.with_suffix(".away"))
    try:
        assert press.edition() is before
    finally:
        path.with_suffix(".away").rename(path)


def test_a_reader_does_not_hold_the_writer_up(growing: GrowingStudy, port: int) -> None:
    ask(port, "/version")
    begun = time.monotonic()
    growing.finish(1)
    assert time.monotonic() - begun < 10


def test_a_port_that_is_taken_is_one_sentence_with_a_free_one(growing: GrowingStudy, port: int) -> None:
    press = object.__new__(Press)  # never asked
    with (
        pytest.raises(
            InputError, match=rf"^port \(={port}\) cannot be used \(address already in use\); .* is \d+$"
        ) as told,
        serving(press, port),
    ):
        pass
    free = int(str(told.value).split()[-1])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free))
    with pytest.raises(InputError, match=r"^port \(=70000\) must lie between 1 and 65535"), serving(press, 70000):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_address_and_ends_when_told(
    growing: GrowingStudy, tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "netspace", "serve", str(growing.study.folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            port = int(line.partition("http://127.0.0.1:")[2].partition("/")[0])
            status, _, body = ask(port)
            assert (status, b"growing" in body) == (200, True)
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out.strip(), err) == (0, "ended", "")
    assert os.listdir(tmp_path) == []


def test_the_address_names_the_port(port: int, growing: GrowingStudy) -> None:
    with serving(object.__new__(Press), 0) as server:
        assert address(server) == f"http://127.0.0.1:{server.server_address[1]}/"
