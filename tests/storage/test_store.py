"""A store in a file, beyond the contract: what lies on the disk, what a fault leaves of it, who may use it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from netspace.errors import ExecutionError, StoreError
from netspace.storage import network_disks
from netspace.storage.store import Entry, Store
from netspace.storage.tables import SCHEMA_VERSION
from netspace.training.trial import TrialResult
from tests.storage.recorded import FACTS, RESULTS, STUDY, TEXT, fill, populations

RECORDED = Path(__file__).parent.parent / "golden" / "stores"
FINISHED = {result.trial_id for result in RESULTS}


def create(path):
    return Store.create(path, study=STUDY, text=TEXT, facts=FACTS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "with space é" / "study.db"


@pytest.fixture
def store(path):
    with create(path) as opened:
        yield opened


def failed(i):
    return Entry(result=TrialResult(trial_id=f"trial {i}", status="failed", reason="x" * 3000))


def killed_at(path, code):
    """Fill a store in a process that ends by what `code` does to it."""
    words = f"""
import os, signal
from pathlib import Path
from tests.storage.test_store import *
store = create(Path({str(path)!r}))
fill(store)
{code}
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", words], cwd=os.getcwd(), capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def test_a_result_is_on_disk_when_record_returns(path):
    killed_at(path, "store.record(failed(1))")
    with create(path) as again:
        assert again.finished() == FINISHED | {"trial 1"}


CUT_OFF = """
(store.place.folder / "before").write_bytes(store.place.path.read_bytes())
with store._begin() as connection:
    connection.exec_driver_sql("PRAGMA cache_size=1")
    from netspace.storage.records import result_row
    from netspace.storage.tables import RESULTS as TABLE
    connection.execute(TABLE.insert(), [result_row(failed(i).result) for i in range(100)])
    os.kill(os.getpid(), signal.SIGKILL)
"""
"""What kills a writer when half of a commit is in the file."""


def test_a_commit_that_was_cut_off_never_happened(path):
    """Whoever comes first rolls it back, a reader too."""
    killed_at(path, CUT_OFF)
    journal = path.with_name(path.name + "-journal")
    assert journal.stat().st_size > 0
    with Store.open(path) as reader:
        assert reader.finished() == FINISHED
    assert not journal.exists()
    with create(path) as again:
        again.record(failed(1))
        assert again.finished() == FINISHED | {"trial 1"}


def test_a_journal_that_was_cut_off_changes_nothing(path):
    """SQLite touches its file once the journal is whole, so a journal that is cut stands beside the file of before."""
    killed_at(path, CUT_OFF)
    journal, before = path.with_name(path.name + "-journal"), path.with_name("before").read_bytes()
    whole = journal.read_bytes()
    for kept in (0, 3, 28, 511, 600, len(whole) // 2, len(whole) - 1, len(whole)):
        path.write_bytes(before)
        journal.write_bytes(whole[:kept])
        with Store.open(path) as reader:
            assert reader.finished() == FINISHED
        with create(path) as again:
            again.record(failed(1))
            assert again.finished() == FINISHED | {"trial 1"}


def test_the_lock_is_free_when_its_owner_was_killed(path):
    killed_at(path, "")
    create(path).close()


def test_a_second_driver_is_refused_by_the_name_of_the_first_through_a_link_too(store, path, tmp_path):
    (tmp_path / "link.db").symlink_to(path)
    for name in (path, tmp_path / "link.db"):
        code = f"from tests.storage.test_store import *; create(Path({str(name)!r}))"
        second = subprocess.run([sys.executable, "-c", code], cwd=os.getcwd(), capture_output=True, text=True)
        assert f"is being written by process {os.getpid()} on {os.uname().nodename}; wait for it" in second.stderr
    store.record(failed(1))


def test_a_truncated_store_is_one_sentence_and_left_as_it_is(store, path):
    """Cut within the header, within a page, between pages, and by a byte."""
    fill(store)
    store.close()
    content = path.read_bytes()
    assert len(content) > 3 * 4096
    for kept in (0, 7, 17, 60, 2000, 4096, 6000, 8192, -4096, -1):
        path.write_bytes(content[:kept])
        for use in (lambda: Store.open(path).populations(), lambda: create(path)):
            with pytest.raises(StoreError, match=r"damaged|is no SQLite file|it is empty, as a copy that was") as told:
                use()
            assert "\n" not in str(told.value)
        assert path.read_bytes() == content[:kept]


def test_a_store_damaged_inside_is_one_sentence(store, path):
    fill(store)
    store.record(*map(failed, range(100)))
    store.close()
    content = bytearray(path.read_bytes())
    content[4 * 4096 :] = os.urandom(len(content) - 4 * 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"), Store.open(path) as damaged:
        damaged.populations()


def test_a_full_disk_loses_nothing_and_the_run_continues(store):
    fill(store)
    with store._engine.connect() as connection:  # SQLite's own limit, which ends as a full disk does
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 4}")
    with pytest.raises(ExecutionError, match="the disk is full; free some space and run the study again"):
        store.record(*map(failed, range(100)))
    assert store.finished() == FINISHED
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=100000")
    store.record(*map(failed, range(100)))
    assert len(store.finished()) == len(FINISHED) + 100


def test_a_small_disk_fills_and_a_read_only_one_is_read(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    code = f"""
mount -t tmpfs -o size=1m none {disk} || exit 77
{sys.executable} -c "
from tests.storage.test_store import *
store = create(Path('{disk}/study.db'))
fill(store)
try:
    for i in range(1000):
        store.record(failed(i))
except ExecutionError as problem:
    print(problem)
print(len(store.finished()) == i + 3)
store.close()
"
mount -o remount,ro {disk} || exit 77
{sys.executable} -c "
from tests.storage.test_store import *
with Store.open(Path('{disk}/study.db')) as store:
    print(len(store.populations()))
try:
    create(Path('{disk}/study.db'))
except StoreError as problem:
    print(problem)
"
"""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("mounting a small disk takes root and unshare")
    done = subprocess.run(["unshare", "-m", "sh", "-c", code], cwd=os.getcwd(), capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip(f"a small disk cannot be mounted here ({done.stderr.strip()})")
    full, kept, read, refused = done.stdout.splitlines()
    assert "full; free some space" in full, done.stderr
    assert (kept, read) == ("True", "2")
    assert "cannot be written (Read-only file system)" in refused


def test_a_path_that_is_no_text_in_the_locale_is_one_all_the_same(path):
    code = (
        "import sys; from tests.storage.test_store import *; fill(create(sys.argv[1])); Store.open(sys.argv[1]).close()"
    )
    ascii_only = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", code, str(path)], env=ascii_only, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Store.open(path) as store:
        assert store.finished() == FINISHED


def test_no_store_and_no_folder(tmp_path):
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(tmp_path / "none.db")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        create(tmp_path / "file" / "study.db")


@pytest.mark.parametrize("use", [Store.open, create])
def test_a_file_that_is_no_store_is_left_alone_and_gets_no_lock(tmp_path, use):
    path = tmp_path / "study.db"
    path.write_text("these are notes, not a database " * 100)
    with pytest.raises(StoreError, match="is not a netspace store"):
        use(path)
    assert path.read_text().startswith("these are notes")
    assert [file.name for file in tmp_path.iterdir()] == ["study.db"]


def test_a_database_of_somebody_else_is_left_alone(tmp_path):
    path = tmp_path / "study.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE notes (text)")
    engine.dispose()
    for use in (Store.open, create):
        with pytest.raises(StoreError, match="is not a netspace store"):
            use(path)


def test_sqlite_keeps_its_rollback_journal_and_full_synchronisation(store):
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "delete"
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 2


MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
36 21 0:32 / /home rw,relatime shared:2 - nfs4 server:/home rw
37 36 0:33 / /home/local rw,relatime - xfs /dev/sdb rw
38 21 0:34 / /mnt/shared\\040disk rw,relatime - fuse.sshfs me@host: rw
39 21 0:35 / /scratch rw - ext4 /dev/sdc rw
40 21 0:36 / /scratch rw - lustre mgs@tcp:/scratch rw
"""


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("/tmp/study.db", "ext4"),
        ("/home/me/new/study.db", "nfs4"),
        ("/homescratch/study.db", "ext4"),
        ("/home/local/study.db", "xfs"),
        ("/mnt/shared disk/study.db", "fuse.sshfs"),
        ("/scratch/study.db", "lustre"),
    ],
)
def test_the_disk_of_a_path(tmp_path, monkeypatch, where, kind):
    (tmp_path / "mounts").write_text(MOUNTS)
    monkeypatch.setattr(network_disks, "MOUNTS", tmp_path / "mounts")
    assert network_disks.disk(Path(where)) == kind
    assert network_disks.network_disk(Path(where)) == (None if kind in ("ext4", "xfs") else kind)


def test_a_network_disk_is_refused_for_writing_and_read(store, path, monkeypatch, tmp_path):
    fill(store)
    store.close()
    (tmp_path / "mounts").write_text("21 1 0:30 / / rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(network_disks, "MOUNTS", tmp_path / "mounts")
    with pytest.raises(StoreError, match=r"network file system \(nfs4\), .* or a store in PostgreSQL \(--store\)"):
        create(path)
    with Store.open(path) as reader:
        assert reader.finished() == FINISHED
    monkeypatch.setattr(network_disks, "MOUNTS", tmp_path / "none")
    create(path).close()


def test_every_schema_has_its_recorded_store():
    versions = {int(re.findall(r"\d+", file.name)[0]) for file in RECORDED.glob("schema-*.db")}
    assert versions == set(range(1, SCHEMA_VERSION + 1))


@pytest.mark.parametrize("recorded", sorted(RECORDED.glob("schema-*.db")), ids=lambda file: file.stem)
class TestRecordedStore:
    def check(self, store):
        assert (store.study, store.text, store.facts) == (STUDY, TEXT, FACTS)
        assert [p.networks for p in store.populations()] == [p.networks for p in populations()]
        results = [result for p in store.populations() for result in p.results if result is not None]
        assert results == list(RESULTS)
        assert [a["outcome"] for a in store.attempts()[:4]] == ["crashed", "finished", "diverged", "failed"]
        assert all(attempt["error"] in (None, 0.25) for attempt in store.attempts()[:4])

    def test_it_is_read_and_left_as_it_is(self, recorded, tmp_path):
        copy = Path(shutil.copy(recorded, tmp_path))
        with Store.open(copy) as store:
            self.check(store)
        assert copy.read_bytes() == recorded.read_bytes()

    def test_it_is_continued(self, recorded, tmp_path):
        copy = Path(shutil.copy(recorded, tmp_path))
        with create(copy) as store:
            self.check(store)
            store.record(failed(1))
        with Store.open(copy) as store:
            assert store._version() == SCHEMA_VERSION
            self.check(store)
            assert store.finished() == FINISHED | {"trial 1"}

    def test_an_upgrade_that_is_cut_off_never_began(self, recorded, tmp_path, monkeypatch):
        copy = Path(shutil.copy(recorded, tmp_path))

        def broken(connection, version):
            connection.exec_driver_sql("ALTER TABLE attempts ADD COLUMN other FLOAT")
            raise KeyboardInterrupt

        monkeypatch.setattr("netspace.storage.store.upgrade", broken)
        monkeypatch.setattr("netspace.storage.store.SCHEMA_VERSION", SCHEMA_VERSION + 1)
        with pytest.raises(KeyboardInterrupt):
            create(copy)
        assert copy.read_bytes() == recorded.read_bytes()
        monkeypatch.undo()
        create(copy).close()
