"""Names of studies and spaces are words and never paths: whatever they are, files stand where they always do."""

import json
from urllib.parse import quote

import pytest

from netspace.errors import StoreError
from netspace.spaces.sample import sample
from netspace.storage.export import export_store
from netspace.storage.postgresql import PostgresSchema
from netspace.storage.store import Entry, Store
from netspace.studies.preparing import untrained
from netspace.studies.study import Study
from netspace.training.trial import TrialResult
from netspace.values import to_dict

NAMES = ("../../escaped", "/escaped", "C:\\escaped", "CON", "a" * 300, "~root", "$(touch escaped)", ".", "..")
SPACES = ("../../escaped" + "a" * 300,)
FILES = ("report.html", "networks.csv", "networks.parquet")
TEXT = """
name = "../../escaped\\u0000"
networks = 2
num_stages = 2
stem = { width = 8, stride = 1 }
[data]
name = "digits"
[ranges]
depth = [1, 2]
width = [8, 32]
"""


def test_files_stand_where_they_always_do(tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    spaces = "".join(f'[[spaces]]\nname = {json.dumps(name)}\nspace = "anynetx_a"\n' for name in SPACES)
    (folder / "study.toml").write_text(TEXT + spaces, encoding="utf-8")
    study = Study.open(folder / "study.toml", output=folder / "out")
    facts = {"rows": {}, "notes": []}
    with Store.create(study.place, study=study.spec.identity(), text=study.text, facts=facts) as store:
        for name, space in study.spec.design_spaces(num_classes=10, in_channels=1).items():
            taken = untrained(name, sample(space, 2, resolution=8))
            trials = [network.digest for network in taken.networks]
            store.add_population(taken, definition=to_dict(space), trials=trials)
        diverged = [TrialResult(trial_id=trial, status="diverged", reason="NaN") for trial in dict.fromkeys(trials)]
        store.record(*(Entry(result=result) for result in diverged))
    for path in study.report():
        assert path.is_relative_to(folder / "out")
        assert path.name in FILES or path.parent.name == "figures"
    pytest.importorskip("tensorboard")
    export_store(study.place, folder / "runs", to="tensorboard")
    found = {path.relative_to(tmp_path).parts[:3] for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {("a", "b", "study.toml"), ("a", "b", "out"), ("a", "b", "runs")}


@pytest.mark.parametrize("name", [*NAMES, "a;drop schema x", 'a"b', "pg_a", "a/../b", "a" * 64])
def test_a_schema_is_of_letters(name):
    url = f"postgresql://host/d?schema={quote(name, safe='')}"
    if name == "CON":
        assert PostgresSchema.named(url).schema == name
    else:
        with pytest.raises(StoreError, match=r"^schema \(=.*must be of letters"):
            PostgresSchema.named(url)
