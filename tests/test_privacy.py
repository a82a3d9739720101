"""Pages and tables that leave the machine say nothing of whose it is: no home folder, no user, no password."""

import base64
import gzip
import os
import re
from dataclasses import replace

import pytest

from netspace.networks.own_block import OwnBlock
from netspace.privacy import discreet
from netspace.report import StudyReport, render
from netspace.report.networks import columns
from netspace.storage.export import export_store
from netspace.storage.store import Entry, Store
from netspace.training.trial import TrialResult
from tests.report.conftest import population
from tests.storage.recorded import FACTS, STUDY, TEXT, fill

SECRETS = ("ada", "hunter2", "s3cr3t-token")
ROOTS = os.path.expanduser("~root")
SAID = (
    "/home/ada/images/a.png and '/Users/ada/b', C:\\Users\\ada\\c, file:///home/ada/d; "
    "postgresql://ada:hunter2@host/db?password=hunter2, HF_TOKEN=hunter2, Bearer s3cr3t-token"
).replace("ada:", "user:")


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("SOME_API_TOKEN", "s3cr3t-token")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/ada/images/a.png", "~/images/a.png"),
        ("read '/Users/ada'", "read '~'"),
        (f"{ROOTS}/x and {ROOTS}ed/x", f"~/x and {ROOTS}ed/x"),
        ("C:\\Users\\ada\\x", "~\\x"),
        ("https://host/home/page", "https://host/home/page"),
        ("runs/home/x", "runs/home/x"),
        ("http://user:pw@host", "http://user:***@host"),
        ("host:8080/a@b", "host:8080/a@b"),
        ("API_KEY=a,b; token = 'x'", "API_KEY=***; token = '***'"),
        ("Bearer s3cr3t-token", "Bearer ***"),
        ("12 of 200 images: unreadable", "12 of 200 images: unreadable"),
    ],
)
def test_homes_and_secrets_are_hidden_and_nothing_else(text, told):
    assert discreet(text) == told


def test_a_home_that_is_elsewhere_is_one_too(monkeypatch):
    monkeypatch.setenv("HOME", "/data/people/ada")
    assert discreet("/data/people/ada/images, /data/people/adam") == "~/images, /data/people/adam"


def with_homes(one):
    """A population of which a network failed with such a sentence, and another has an own block in a home."""
    results = [TrialResult(trial_id="x", status="failed", reason=SAID), *one.results[1:]]
    own = replace(
        one.networks[1],
        block="own",
        own_block=OwnBlock(file="/home/ada/blocks/own.py", digest="0" * 32),
        se_ratio=None,
    )
    return replace(one, results=tuple(results), networks=(one.networks[0], own, *one.networks[2:]))


def test_a_page_tells_of_nobody():
    one = with_homes(population("regnetx", n=4, seed=1))
    report = StudyReport(
        title=SAID,
        study_text=f'[data]\nname = "folder:{SAID}"',
        populations=(one,),
        facts={"Data": SAID},
        notes=(SAID,),
    )
    page = render(report)
    packed = gzip.decompress(base64.b64decode(re.search(r'id="networks-data">(.*?)<', page)[1])).decode()
    table = str(columns((one,)))
    for text in (page, packed, table):
        assert not [secret for secret in SECRETS if secret in text]
    assert "~/blocks/own.py" in packed
    assert "~/images/a.png" in page


@pytest.mark.parametrize("to", ["csv", "parquet", "json"])
def test_rows_of_an_export_tell_of_nobody(tmp_path, to):
    path = tmp_path / "study.db"
    with Store.create(path, study=STUDY, text=TEXT, facts=FACTS) as store:
        fill(store)
        waiting = set().union(*(trials for _, trials in store.origins().values())) - store.finished()
        store.record(*(Entry(result=TrialResult(trial_id=name, status="failed", reason=SAID)) for name in waiting))
    export_store(path, tmp_path / f"rows.{to}", to=to)
    content = (tmp_path / f"rows.{to}").read_bytes()
    if to != "parquet":  # whose bytes are packed
        assert b"~/images/a.png" in content
    else:
        import pyarrow.parquet as pq

        content = str(pq.read_table(tmp_path / "rows.parquet").to_pydict()["reason"]).encode()
        assert b"~/images/a.png" in content
    assert not [secret for secret in SECRETS if secret.encode() in content]
