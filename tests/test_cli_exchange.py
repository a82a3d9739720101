"""Stores and tables side by side, as a user meets them: `store`, and every command that takes anyone's results."""

import json

import numpy as np
import pytest

from netspace.cli import main
from tests.test_cli_statistics import by_depth, made

PUBLISHED = "published"
"""A space of others, far worse than ours, whose errors rise with the depth."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store of two spaces of 20 networks, and a published table in percent with one more."""
    folder = made(tmp_path_factory.mktemp("exchange é"), 20, by_depth)
    rng = np.random.default_rng(0)
    depths = rng.integers(1, 9, 40)
    errors = 60.0 + 4.0 * depths + rng.normal(0.0, 0.5, 40)
    rows = [f"{PUBLISHED},{depth},{error:.3f},{rng.random():.3f}" for depth, error in zip(depths, errors, strict=True)]
    (folder / "published.csv").write_text("space,depth,error,noise\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture
def told(folder, monkeypatch, capsys):
    """Run a command in the folder; return its exit code and what it printed on both streams."""

    def run(*words):
        monkeypatch.chdir(folder)
        monkeypatch.setattr("sys.argv", ["netspace", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run


def test_an_export_says_what_its_store_says(told, folder):
    assert told("store", "export", "out", "--to", "json", "--output", "ours.json")[:2] == (
        0,
        "ours.json: 40 networks\n",
    )
    code, _, refused = told("store", "export", "out/study.db", "--to", "json", "--output", "ours.json")
    assert (code, refused.count("\n")) == (2, 1)
    assert told("store", "import", "ours.json", "--output", "again")[:2] == (0, "again/study.db: 40 networks\n")
    for words in (["compare", "--json"], ["ranges", "--json"]):
        outputs = {source: told(*words, source) for source in ("out", "again", "ours.json")}
        assert outputs["out"][0] == 0
        said = {out.replace(f'"store": "{source}"', "") for source, (_, out, _) in outputs.items()}
        assert len(said) == 1
    forests = [json.loads(told("importance", source, "--json")[1])["parameters"] for source in ("out", "ours.json")]
    assert forests[0] == forests[1]


def test_stores_and_tables_are_compared_together(told):
    code, out, said = told("compare", "out", "published.csv", "--percent", "--json")
    assert code == 0
    chances = {tuple(row["spaces"]): row["p_values"]["a_better"] for row in json.loads(out)["verdicts"]}
    assert list(chances) == [("anynetx_a", "anynetx_e"), ("anynetx_a", PUBLISHED), ("anynetx_e", PUBLISHED)]
    assert chances["anynetx_a", PUBLISHED] < 1e-6
    assert said == (
        "published.csv: 40 networks of published; error from 'error' in percent; parameters: depth, noise; "
        "left aside, as no numbers: none\n"
    )
    code, out, _ = told("compare", "out", "published.csv", "--percent")
    assert "error, by each source's own measure" in out
    assert [PUBLISHED, "40", "0"] in [line.split()[:3] for line in out.splitlines()]


def test_what_says_itself_how_it_is_read_is_not_read_otherwise(told):
    told("store", "export", "out", "--to", "csv", "--output", "own.csv")
    alone, beside = (told("compare", "own.csv", *more, "--json") for more in ([], ["published.csv", "--percent"]))
    first, again = (json.loads(out)["verdicts"][0]["p_values"] for _, out, _ in (alone, beside))
    assert first == again


def test_equal_names_get_their_source_in_front(told, folder):
    for name in ("first", "second"):
        (folder / f"{name}.csv").write_text("space,error\n" + "A,0.1\nB,0.2\n" * 10)
    code, out, _ = told("compare", "first.csv", "second.csv", "--json")
    assert code == 0
    assert json.loads(out)["verdicts"][0]["spaces"] == ["first.csv/A", "first.csv/B"]
    (folder / "one.csv").write_text("error\n0.1\n")
    code, out, said = told("compare", "one.csv")
    assert out.endswith("no verdict: a comparison takes two spaces\n")
    assert "1 network of one;" in said
    code, _, said = told("compare", "first.csv", "first.csv")
    assert code == 2
    assert "2 populations are named 'first.csv/A'; rename a file" in said


def test_a_table_has_ranges_importance_and_a_plan(told):
    code, out, _ = told("ranges", "published.csv", "--percent", "--json")
    depth, noise = json.loads(out)["ranges"]
    assert (code, depth["parameter"], noise["parameter"]) == (0, "depth", "noise")
    assert (depth["sampled"], depth["best"]["low"]) == ([1.0, 8.0], 1.0)
    assert depth["best"]["high"] <= 3.0
    code, out, _ = told("importance", "published.csv", "--percent")
    assert code == 0
    assert "40 networks exchange values, whatever they cost" in out
    assert out.splitlines()[2].startswith("Depth")
    wide = ("--margin", 0.3, "--median-margin", 0.04)
    code, out, _ = told("samplesize", "--store", "published.csv", "--percent", "--spread", 0.05, *wide, "--json")
    assert (code, json.loads(out)["plans"][0]["hours"]) == (0, None)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["compare", "published.csv"], "if the column is in percent, add --percent"),
        (["compare", "out", "--percent"], "are about tables (.csv, .json, .parquet), and none is given"),
        (["compare", "out", "missing.csv"], "file 'missing.csv' cannot be read (No such file or directory)"),
        (["compare", "out", "published.xlsx"], "store 'published.xlsx' does not exist"),
        (["compare", "published.csv", "--error-column", "a", "--accuracy-column", "b"], "exclude each other"),
        (["ranges", "published.csv", "--error-column", "eror"], "there is no column 'eror'; did you mean 'error'?"),
        (["store", "import", "published.csv", "--output", "x"], "`netspace ranges` take the file itself"),
        (["store", "export", "out", "--to", "xls", "--output", "x"], "is no format of `netspace store export`"),
        (["store", "export", "missing", "--to", "csv", "--output", "x"], "store 'missing' does not exist"),
    ],
)
def test_a_wrong_word_is_one_sentence(told, folder, words, sentence):
    code, _, said = told(*words)
    assert code == 2
    assert sentence in said
    assert said.count("\n") == 1
    assert not (folder / "x").exists()
