import hashlib
import json
import re
import sys
from http.server import BaseHTTPRequestHandler

import pytest

from netspace.errors import DataError, MissingFrameworkError
from netspace.training.data import DataChoice, load
from netspace.training.hub import HubImages
from tests.training.conftest import alternating, write_table

pytest.importorskip("huggingface_hub", reason="the extra 'hub' is not installed")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def repository(tmp_path):
    """What stands in the repository owner/pets."""
    root = tmp_path / "repository"
    write_table(root / "data" / "train-00000-of-00001.parquet", alternating(24))
    write_table(root / "data" / "test-00000-of-00001.parquet", alternating(4), start=100)
    (root / "pets.py").write_text("raise SystemExit('code of a repository was run')")
    (root / "README.md").write_text("---\n---\n")
    return root


@pytest.fixture
def hub(repository, serve):
    """The address of a Hub with one repository, and the paths of the files that were fetched."""
    fetched = []

    class Hub(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            files = [path for path in repository.rglob("*") if path.is_file()]
            names = [path.relative_to(repository).as_posix() for path in files]
            headers = {}
            if match := re.fullmatch(rf"/datasets/owner/pets/resolve/{COMMIT}/(.*)", self.path):
                content = (repository / match[1]).read_bytes()
                headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
                fetched.append(match[1])
            elif self.path == "/api/datasets/owner/pets/revision/main":
                answer = {"id": "owner/pets", "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
                content = json.dumps(answer).encode()
            elif self.path.startswith(f"/api/datasets/owner/pets/tree/{COMMIT}"):
                sizes = {name: path.stat().st_size for name, path in zip(names, files, strict=True)}
                tree = [{"type": "file", "path": name, "size": size, "oid": COMMIT} for name, size in sizes.items()]
                content = json.dumps(tree).encode()
            else:
                content = b""
                headers = {"X-Error-Code": "RevisionNotFound" if "/owner/pets/" in self.path else "RepoNotFound"}
            self.send_response(200 if content else 404)
            for name, value in (headers | {"Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

    return serve(Hub).rstrip("/"), fetched


def source(hub, tmp_path, repository="owner/pets", **fields):
    return HubImages(
        **{"repository": repository, "endpoint": hub[0], "cache": tmp_path / "cache", "allow_download": True} | fields
    )


def test_parquet_files_are_fetched_once_and_nothing_else_is(hub, tmp_path):
    fetching = source(hub, tmp_path)
    files = fetching.files()
    assert [path.name for path in files] == ["train-00000-of-00001.parquet", "test-00000-of-00001.parquet"]
    assert {name.partition("/")[0] for name in hub[1]} == {"data"}
    assert len(fetching.read(4).training) == 24
    before = len(hub[1])
    again = source(hub, tmp_path, allow_download=False, endpoint="http://127.0.0.1:9")
    assert again.files() == files
    found = again.read(4)
    assert (found.class_names, len(found.test)) == (("cats", "dogs"), 4)
    assert len(hub[1]) == before


def test_a_folder_of_a_repository(hub, tmp_path):
    assert len(source(hub, tmp_path, "owner/pets/data").files()) == 2


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"repository": "owner/pest"}, "hub:owner/pest: the Hub shows no such data set; check its name, or log in"),
        ({"revision": "v9"}, "hub:owner/pets: the repository has no revision 'v9'$"),
        (
            {"repository": "owner/pets/text"},
            r"hub:owner/pets/text: .* no Parquet file here; .* add \?revision=refs/con",
        ),
        ({"allow_download": False}, "hub:owner/pets: no Parquet files of it are in the Hub's cache; .* --download$"),
        ({"endpoint": "http://127.0.0.1:9"}, r"hub:owner/pets: cannot be fetched from the Hub \(.*refused.*\)$"),
        ({"repository": "owner/-pets"}, "hub:owner/-pets: Repo id must use alphanumeric chars"),
    ],
)
def test_refused_in_one_sentence(hub, tmp_path, fields, sentence):
    with pytest.raises(DataError, match=f"^{sentence}") as caught:
        source(hub, tmp_path, **fields).files()
    assert "\n" not in str(caught.value)


def test_offline_by_the_library_s_own_switch(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"^hub:owner/pets: cannot be fetched from the Hub \(.*\)$"):
        source(hub, tmp_path).files()


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    sentence = r"^hub:owner/pets needs the package 'huggingface_hub'; install it with: pip install 'netspace\[hub\]'$"
    with pytest.raises(MissingFrameworkError, match=sentence):
        load(DataChoice(name="hub:owner/pets", resolution=4))


@pytest.mark.parametrize("name", ["hub:", "hub:pets", "hub:owner/pets/../other", "hub:owner//pets"])
def test_names_that_are_none(name):
    with pytest.raises(DataError, match=r"must give OWNER/NAME, as in 'hub:OWNER/NAME'$"):
        DataChoice(name=name, resolution=4)
