"""A store in PostgreSQL, beyond the contract: URL, lock, a server that goes, the password, which nobody sees."""

import itertools
import json
import os
import signal
import subprocess
import sys

import pytest

from netspace.cli import main
from netspace.errors import ExecutionError, MissingFrameworkError, StoreError, StoreInUseError
from netspace.storage.address import place_of
from netspace.storage.store import Entry, Store
from netspace.training.trial import TrialResult
from tests import tiny
from tests.postgresql import PASSWORD, QUOTED
from tests.storage.recorded import FACTS, RESULTS, STUDY, TEXT, fill

NUMBERS = itertools.count()


def failed(i):
    return Entry(result=TrialResult(trial_id=f"trial {i}", status="failed", reason="no"))


@pytest.fixture
def url(postgresql):
    return postgresql.url(f"own-{next(NUMBERS)}")


@pytest.fixture
def store(url):
    with Store.create(url, study=STUDY, text=TEXT, facts=FACTS) as opened:
        fill(opened)
        yield opened


def in_another(code, *words):
    """Start a process that may import what stands here."""
    code = f"import sys\nfrom tests.storage.test_postgresql import *\n{code}"
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    options = {**pipes, "text": True, "cwd": os.getcwd()}
    return subprocess.Popen([sys.executable, "-c", code, *words], **options)


@pytest.fixture
def netspace(monkeypatch, capsys, tmp_path):
    """The command line in this process; returns exit code and what was printed."""

    def run(*words):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["netspace", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, "".join(capsys.readouterr())

    return run


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://me:secret@host/db", "begins with 'mysql://'; a store is in PostgreSQL"),
        ("sqlite:///secret.db", "a file that is named by its path"),
        ("postgresql://me:secret@host:port/db", "cannot be read; it is of the form postgresql://USER@HOST/DATABASE"),
        ("postgresql://me:secret@host/db?schema=a.b", "schema (='a.b') of a store's URL must be of letters"),
        ("postgresql://me:secret@host/db?schema=pg_x", "not begin with pg_"),
        ("postgresql://me:secret@host/db?schema=" + "x" * 64, "have 63 letters at most"),
        ("postgresql://me:secret@host/db?schema=a&schema=b", "schema (=['a', 'b']) stands in the URL of the store"),
    ],
)
def test_a_wrong_url_is_one_sentence_without_its_password(url, sentence):
    with pytest.raises(StoreError) as caught:
        place_of(url)
    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_place_shows_where_it_is_and_no_password():
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    place = place_of("postgres://me:secret@host:5433/db?schema=digits/checks&sslpassword=secret&host=/run")
    assert place.name == str(place) == "postgresql://me@host:5433/db?host=/run&schema=digits/checks"
    assert "secret" not in repr(place)
    assert place_of("postgresql://host/db").name == "postgresql://host/db?schema=netspace"
    assert place.inside("seed_1").schema == "digits/checks/seed_1"
    with pytest.raises(StoreError, match="63 letters at most"):
        place.inside("x" * 60)


def test_a_missing_driver_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingFrameworkError, match=r"pip install 'netspace\[postgresql\]'"):
        Store.open("postgresql://host/db")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ((QUOTED, "wrong"), "password authentication failed"),
        (("/postgres?", "/nowhere?"), 'database "nowhere" does not exist'),
        (("host=/", "host=/nowhere/"), "No such file or directory"),
        (("&schema", "&unknown=1&schema"), 'invalid connection option "unknown"'),
    ],
)
def test_what_cannot_be_reached_is_one_sentence(url, wrong, said):
    for use in (Store.open, lambda url: Store.create(url, study=STUDY, text="")):
        with pytest.raises((ExecutionError, StoreError)) as caught:
            use(url.replace(*wrong))
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
        assert PASSWORD not in str(caught.value)


def test_a_user_without_rights_is_told(store, url):
    with store._begin() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS reader")
        connection.exec_driver_sql(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD.replace('%', '%%')}'")
    theirs = url.replace("//netspace:", "//reader:")
    with pytest.raises(StoreError, match=r"permission denied for schema .*; ask for rights on this schema"):
        Store.open(theirs)
    with pytest.raises(StoreError, match=r"permission denied for database .*; ask for rights on this schema"):
        Store.create(f"{theirs}-new", study=STUDY, text="")


def test_a_second_driver_is_refused_by_the_name_of_the_first(store, url):
    second = in_another("Store.create(sys.argv[1], study=STUDY, text='')", url)
    _, said = second.communicate(timeout=60)
    assert f"is being written by process {os.getpid()} on {os.uname().nodename}; wait for it or stop it" in said
    assert PASSWORD not in said
    assert QUOTED not in said
    store.record(failed(1))


def test_of_drivers_that_begin_at_once_one_makes_the_store(url):
    code = """
try:
    store = Store.create(sys.argv[1], study=STUDY, text="")
    print("made", flush=True)
    sys.stdin.read()
except StoreError as problem:
    print(problem, flush=True)
"""
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": os.getcwd()}
    code = f"import sys\nfrom tests.storage.test_postgresql import *\n{code}"
    drivers = [subprocess.Popen([sys.executable, "-c", code, url], **options) for _ in range(3)]
    said = sorted(driver.stdout.readline() for driver in drivers)
    for driver in drivers:
        driver.communicate("")
    assert said[0] == "made\n"
    assert all("is being written by process" in words for words in said[1:])


def test_what_is_committed_is_durable_whatever_the_connection_s_default(url):
    lazy = f"{url}&options=-csynchronous_commit%3Doff"
    with Store.create(lazy, study=STUDY, text=TEXT, facts=FACTS) as opened, opened._engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_a_killed_driver_leaves_what_it_committed_and_no_lock(url):
    code = """
store = Store.create(sys.argv[1], study=STUDY, text=TEXT)
fill(store)
with store._begin() as connection:
    connection.exec_driver_sql("DELETE FROM \\"%s\\".results" % store.place.schema)
    print("deleted", flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    driver = in_another(code, url)
    ended = driver.communicate(timeout=60)
    assert driver.returncode == -signal.SIGKILL, ended
    with Store.create(url, study=STUDY, text=TEXT) as again:
        assert again.finished() == {result.trial_id for result in RESULTS}


def test_of_several_who_record_the_same_at_once_nothing_is_lost_or_doubled(url):
    code = """
import random
store, mine = Store.join(sys.argv[1], study=STUDY), int(sys.argv[2])
trials = [f"trial {i}" for i in range(60)]
random.Random(mine).shuffle(trials)
stamps = [store.stamp()]
print("ready", flush=True)
sys.stdin.readline()
while trials:
    some = [trials.pop() for _ in range(min(len(trials), 1 + len(trials) % 7))]
    results = [TrialResult(trial_id=trial, status="finished", error=mine / 10) for trial in some]
    store.record(*(Entry(result=result) for result in results))
    stamps.append(store.stamp())
assert len(set(stamps)) == len(stamps)
store.close()
"""
    Store.create(url, study=STUDY, text=TEXT).close()
    several = [in_another(code, url, str(i)) for i in range(1, 4)]
    assert {one.stdout.readline() for one in several} == {"ready\n"}
    for one in several:
        one.stdin.write("\n")
        one.stdin.flush()
    for one in several:
        ended = one.communicate(timeout=60)
        assert one.returncode == 0, ended
    with Store.open(url) as reader:
        attempts = reader.attempts()
        assert reader.finished() == {f"trial {i}" for i in range(60)}
    assert [attempt["number"] for attempt in attempts] == list(range(1, 181))
    firsts = {}
    for attempt in attempts:  # in the order of their numbers, which is that of their commits
        first = firsts.setdefault(attempt["trial"], attempt["error"])
        said = None if attempt["error"] == first else f"another result stands (finished, error {first!r})"
        assert attempt["reason"] == said
    assert len(set(firsts.values())) > 1


def test_one_of_several_that_is_killed_leaves_what_it_committed_and_no_lock(store, url):
    store.close()
    code = """
store = Store.join(sys.argv[1], study=STUDY)
store.record(failed(1))
with store._begin("record") as connection:
    connection.exec_driver_sql('DELETE FROM "%s".results' % store.place.schema)
    print("deleted", flush=True)
    sys.stdin.read()
"""
    one = in_another(code, url)
    assert one.stdout.readline() == "deleted\n"
    with Store.join(url, study=STUDY) as other:
        with pytest.raises(StoreInUseError, match=f"by process ({one.pid}|{os.getpid()}) on .* and 1 more"):
            Store.create(url, study=STUDY, text=TEXT)
        one.kill()
        other.record(failed(2))  # waits until the other's commit is undone
    one.communicate()
    with Store.create(url, study=STUDY, text=TEXT) as again:
        assert again.finished() == {result.trial_id for result in RESULTS} | {"trial 1", "trial 2"}


def test_a_server_that_goes_and_comes_back(store, url, postgresql):
    postgresql.stop()
    try:
        with pytest.raises(ExecutionError, match=r"cannot be reached .*: what was committed is kept") as caught:
            store.record(failed(1))
        assert "\n" not in str(caught.value)
        with pytest.raises(ExecutionError, match="cannot be reached"):
            Store.open(url)
    finally:
        postgresql.start()
    store.record(failed(1))
    assert store.finished() == {result.trial_id for result in RESULTS} | {"trial 1"}
    with pytest.raises(StoreError, match="is being written by"):  # the lock came back with the connection
        Store.create(url, study=STUDY, text=TEXT)


def test_a_driver_whose_connection_was_lost_gives_way_to_the_one_that_came(store, url):
    with Store.open(url) as reader, reader._engine.connect() as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
        connection.exec_driver_sql(ended)
    with Store.create(url, study=STUDY, text=TEXT) as second:
        with pytest.raises(StoreError, match="is being written by process"):
            store.record(failed(1))
        second.record(failed(2))
    store.record(failed(3))
    assert {"trial 2", "trial 3"} < store.finished()


def test_a_database_without_the_store_and_one_with_other_tables(store, url):
    with pytest.raises(StoreError, match=r"does not exist; `netspace run STUDY.toml --store URL` makes one"):
        Store.open(f"{url}-other")
    with store._begin() as connection:
        connection.exec_driver_sql(f'CREATE SCHEMA "{store.place.schema}-other"')
        connection.exec_driver_sql(f'CREATE TABLE "{store.place.schema}-other".notes (words text)')
    with Store.create(f"{url}-other", study=STUDY, text="") as beside:
        assert beside.populations() == ()


def test_a_study_lives_in_a_database_and_its_pages_know_no_password(url, tmp_path, netspace):
    checks = "[checks]\nseeds = 1\nshare = 0.5\n"
    (tmp_path / "tiny.toml").write_text(tiny.STUDY.replace("workers = 2", "workers = 1") + checks)
    texts = []
    for words in (
        ("run", "tiny.toml", "--store", url),
        ("run", "tiny.toml", "--store", url),
        ("status", url, "--json"),
        ("compare", url),
        ("compare", url, f"{url}/checks/seed_1"),
        ("report", url, "--output", "page"),
        ("ranges", url, "--json"),
        ("samplesize", "--store", url, "--json"),
        ("store", "export", url, "--to", "json", "--output", "all.json"),
        ("store", "import", "all.json", "--output", f"{url}-again"),
        ("status", f"{url}-again"),
    ):
        code, text = netspace(*words)
        assert code == 0, (words, text)
        texts.append(text)
    assert "nothing to train: all 6 networks have a result in postgresql://netspace@/postgres?" in texts[1]
    told = json.loads(texts[2])
    assert [space["finished"] for space in told["spaces"]] == [3, 3]
    assert {space["waiting"] for space in told["checks"]["seed_1"]} == {0}
    for wrong in (f"{url}-none", url.replace(QUOTED, "wrong"), f"{url}.none"):
        code, text = netspace("status", wrong)
        assert (code > 0, text.count("\n")) == (True, 1)
        texts.append(text)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert tmp_path / "page" / "report.html" in files
    assert not [file for file in files if file.suffix == ".db"]
    for secret in (PASSWORD, QUOTED):
        assert not any(secret in text for text in texts)
        assert not any(secret.encode() in file.read_bytes() for file in files)


def test_only_a_url_is_a_store_beside_the_output_folder(tmp_path, netspace):
    (tmp_path / "tiny.toml").write_text(tiny.STUDY)
    code, text = netspace("run", "tiny.toml", "--store", "other.db")
    assert code == 2
    assert "--store (='other.db') must be a postgresql:// URL; a store in a file goes by --output" in text
