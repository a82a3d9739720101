"""`netspace sample` and its files as a user meets them: what is written reads back as the networks that were drawn."""

import csv
import json

import pytest

from netspace.networks.spec import NetworkSpec
from netspace.spaces.catalog import space
from tests.command_line import netspace

DECLARED = """
name = "mine"
num_stages = 2
increasing = ["width"]
share = ["group_width"]
[parameters]
depth = { law = "uniform", low = 1, high = 3 }
width = { law = "uniform", low = 16, high = 64, step = 16 }
group_width = { options = [8, 16] }
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("é files")
    words = ("sample", "regnetx", "-n", 4, "--flops", "360M..400M", "--seed", 3)
    files = ("--csv", "s.csv", "--parquet", "s.parquet", "--page", "s.html")
    return folder, netspace(*words, *files, cwd=folder, check=0).stdout


NETWORKS = [spec.digest for spec in space("regnetx").sample(4, seed=3, flops=(360e6, 400e6)).networks]


def test_the_csv_file_reads_back_as_the_networks(written):
    folder, text = written
    with open(folder / "s.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [NetworkSpec.from_dict(json.loads(row["spec"])).digest for row in rows] == NETWORKS
    assert [row["digest"] for row in rows] == NETWORKS
    assert all(360e6 <= int(row["flops"]) <= 400e6 for row in rows)
    assert "wrote s.csv" in text
    assert "regnetx: 4 networks from" in text
    assert NETWORKS[0][:8] not in text


def test_the_parquet_file_holds_the_same_columns_with_their_types(written):
    from pyarrow import parquet

    folder, _ = written
    table = parquet.read_table(folder / "s.parquet")
    assert [NetworkSpec.from_dict(json.loads(text)).digest for text in table["spec"].to_pylist()] == NETWORKS
    types = {name: str(table.schema.field(name).type) for name in ("draw", "total_depth", "width_slope", "digest")}
    assert types == {"draw": "int64", "total_depth": "int64", "width_slope": "double", "digest": "string"}
    with open(folder / "s.csv", encoding="utf-8", newline="") as file:
        assert table.column_names == next(csv.reader(file))


def test_the_page_is_written_whole_and_nothing_is_left_beside_it(written):
    folder, _ = written
    assert (folder / "s.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert {path.name for path in folder.iterdir()} == {"s.csv", "s.parquet", "s.html"}


def test_json_says_all_that_a_sample_says(tmp_path):
    words = ("sample", "mlp", "-n", 3, "--image-side", 28, "--json", "--csv", "m.csv")
    read = json.loads(netspace(*words, cwd=tmp_path, check=0).stdout)
    assert (read["space"], read["resolution"], read["exhausted"], read["duplicates"]) == ("mlp", 28, False, 0)
    assert read["networks"][0]["stem"]["kernel_size"] == 28
    assert len(read["complexity"]["flops"]) == len(read["positions"]) == 3
    assert (tmp_path / "m.csv").is_file()


def test_a_declared_space_is_sampled_and_repeats_may_come(tmp_path):
    (tmp_path / "mine.toml").write_text(DECLARED)
    words = ("sample", "mine.toml", "-n", 300, "--json")
    distinct = json.loads(netspace(*words, cwd=tmp_path, check=0).stdout)
    assert distinct["space"] == "mine"
    # 9 depths; 10 pairs of widths; group widths of which all divide their widths
    assert (len(distinct["networks"]), distinct["exhausted"]) == (180, True)
    repeated = json.loads(netspace(*words, "--repeats", cwd=tmp_path, check=0).stdout)
    assert len(repeated["networks"]) == 300
    assert repeated["duplicates"] > 100


def test_catalogue_variants_and_equal_weights(tmp_path):
    words = ("sample", "anynetx_e", "-n", 200, "--stages", 3, "--image-side", 8, "--json")
    weighted = json.loads(netspace(*words, cwd=tmp_path, check=0).stdout)
    even = json.loads(netspace(*words, "--uniform", cwd=tmp_path, check=0).stdout)
    assert weighted["resolution"] == 8
    assert {len(spec["stages"]) for spec in weighted["networks"]} == {3}
    assert weighted["networks"][0]["stem"]["stride"] == 1

    def depth(sample):
        return sum(row["depth[0]"] for row in sample["drawn"]) / 200

    assert depth(even) > 1.5 * depth(weighted)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("anynetx_a", "--csv", "s.txt"), "--csv (='s.txt') must end in .csv; nearest: 's.csv'"),
        (("anynetx_a", "--page", "s"), "--page (='s') must end in .html; nearest: 's.html'"),
        (("anynetx_a", "--csv", "s.csv", "--parquet", "no/s.parquet"), "the folder 'no' does not exist"),
        (("none.toml",), "space file 'none.toml' cannot be read"),
        (("bad.toml",), "bad.toml: shares: unknown key; did you mean 'share'?"),
        (("broken.toml",), "broken.toml: not valid TOML"),
        (("mine.toml", "--image-side", "8"), "--image-side (=8) scales spaces of the catalogue"),
        (("mine.toml", "--stages", "0"), "num_stages (=0) must be a whole number from 1 to 8"),
        (("anynetx_a", "--image-side", "0"), "resolution (=0) must be"),
        (("union.toml", "--image-side", "0"), "resolution (=0) must be"),
        (("mine.toml", "--stages", "9"), "num_stages (=9) must be a whole number from 1 to 8"),
        (("anynetx_a", "--stages", "0", "--csv", "s.csv"), "num_stages (=0) must be a whole number from 1 to 8"),
        (("anynetx_a", "--resolution", "0"), "resolution (=0) must be"),
        (("anynetx_a", "--csv", "s.csv", "--flops", "1..2"), "acceptance 0"),
    ],
    ids=str,
)
def test_wrong_words_are_one_sentence_and_nothing_is_written(tmp_path, words, sentence):
    (tmp_path / "mine.toml").write_text(DECLARED)
    (tmp_path / "bad.toml").write_text('space = "anynetx_a"\nshares = ["width"]')
    (tmp_path / "union.toml").write_text('name = "u"\nunion = ["anynetx_a", "regnetx"]')
    (tmp_path / "broken.toml").write_text("space =")
    before = {path.name for path in tmp_path.iterdir()}
    done = netspace("sample", *words, cwd=tmp_path, check=2)
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_file_that_cannot_be_replaced_is_one_sentence(tmp_path):
    (tmp_path / "s.csv").mkdir()
    done = netspace("sample", "anynetx_a", "-n", 1, "--csv", "s.csv", cwd=tmp_path, check=2)
    assert "'s.csv' cannot be written: is a directory" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]


def test_a_band_of_latency_is_measured_and_remembered(tmp_path):
    asked = ("sample", "anynetx_a", "-n", "2", "--image-side", "32", "--flops", "1M..2M", "--latency", "0..60000")
    first = netspace(
        *asked, "--latency-cache", tmp_path / "seen.jsonl", "--csv", tmp_path / "a.csv", cwd=tmp_path, check=None
    )
    again = netspace(
        *asked, "--latency-cache", tmp_path / "seen.jsonl", "--csv", tmp_path / "b.csv", cwd=tmp_path, check=None
    )
    assert first.stdout.splitlines()[0] == again.stdout.splitlines()[0]
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    assert "latency_ms" in (tmp_path / "a.csv").read_text().splitlines()[0]
    assert len((tmp_path / "seen.jsonl").read_text().splitlines()) == 2
    listed = netspace(*asked, "--latency-cache", tmp_path / "seen.jsonl", cwd=tmp_path).stdout
    assert "latency ms" in listed.splitlines()[1]
    assert "±" in listed
    wrong = netspace("sample", "anynetx_a", "--latency", "8..5", cwd=tmp_path, check=2)
    assert "latency (=8..5 ms) is upside down; the nearest is 5..8" in wrong.stderr
