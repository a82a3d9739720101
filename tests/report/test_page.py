"""The page stands alone, says everything, escapes everything, and is the same for the same report."""

import base64
import csv
import gzip
import hashlib
import io
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pyarrow import parquet

from netspace.errors import StoreError
from netspace.findings.assumptions import Assumption, Standing
from netspace.findings.importance import ImportanceFound
from netspace.networks.spec import NetworkSpec
from netspace.report import StudyReport, render, write_report
from netspace.report.networks import columns
from netspace.stats import VerdictKind, compare
from netspace.storage.population import Population
from netspace.storage.table_files import csv_bytes, parquet_bytes
from tests.report.conftest import ATTACKS, SCRIPT, hostile, population

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that tags close in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        self.words.append(" " if tag in {"td", "th", "dt", "dd", "p"} else "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "script"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def values(self, *names: str) -> list[str]:
        return [value for _, attributes in self.tags for key, value in attributes.items() if key in names]


def sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def data_of(page: str, name: str) -> str:
    (text,) = re.findall(rf'<script type="[^"]*" id="{name}"[^>]*>(.*?)</script>', page, re.DOTALL)
    return text


def test_nothing_is_asked_of_anyone(page: str) -> None:
    reader = Reader(page)
    assert not re.findall(r"https?://[^\s\"'<]*", page)
    assert "@import" not in page
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", page)
    for link in reader.values("src", "href", "srcset", "action", "data"):
        assert link.startswith(("#", "data:image/svg+xml;base64,"))
    assert not {"iframe", "object", "embed", "base", "form"} & {tag for tag, _ in reader.tags}


def test_the_policy_allows_the_one_style_sheet_and_the_one_script_and_nothing_else(page: str) -> None:
    reader = Reader(page)
    (policy,) = [a["content"] for _, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{sha256(style)}'",
        f"script-src 'sha256-{sha256(script)}'",
        "img-src data:",
        "connect-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    kinds = [attributes.get("type") for tag, attributes in reader.tags if tag == "script"]
    assert kinds == ["application/json", "text/plain", "text/plain", None]
    assert "eval(" not in script
    assert "innerHTML" not in script
    assert "unsafe" not in policy
    assert not reader.values("style")
    assert not [key for _, attributes in reader.tags for key in attributes if key.startswith("on")]


def test_what_comes_from_files_is_escaped(page: str, report: StudyReport) -> None:
    assert page.count("<script") == page.count("</script>") == 4
    assert "<!--" not in page
    assert "<b>sharing" not in page
    assert "<i>band" not in page
    text = Reader(page).text
    assert report.title in text
    assert "the <i>band</i> is wide" in text
    assert 'title = "</pre><script>alert(3)</script>"' in text
    assert "out of memory <script>alert(2)</script>" in text
    assert "<script>alert(1)</script> ﹩ 深度 $a_b$ \N{REPLACEMENT CHARACTER}" in text


@pytest.mark.parametrize("attack", ["".join(ATTACKS), "".join(reversed(ATTACKS))], ids=["forth", "back"])
def test_no_text_of_a_study_becomes_a_part_of_the_page(attack: str, page: str) -> None:
    shown, plain = Reader(render(hostile(attack))), Reader(page)
    assert {tag for tag, _ in shown.tags} <= {tag for tag, _ in plain.tags} | {"aside", "code"}
    assert [a.get("type") for tag, a in shown.tags if tag == "script"] == [
        "application/json",
        "text/plain",
        "text/plain",
        None,
    ]
    assert not [key for _, given in shown.tags for key in given if key.startswith("on") or key in ("style", "srcdoc")]
    for link in shown.values("src", "href", "srcset", "action", "data"):
        assert link.startswith(("#", "data:image/svg+xml;base64,"))
    seen = " ".join(attack.replace("\u2028", "\N{REPLACEMENT CHARACTER}").replace("`", "").split())
    assert shown.text.replace("`", "").count(seen) >= 10


def test_what_the_script_reads_holds_every_network_and_every_name_as_it_is(
    page: str, populations: tuple[Population, ...]
) -> None:
    data = json.loads(data_of(page, "page-data"))
    assert data["spaces"][2]["name"] == SCRIPT.replace("\x1b", "\N{REPLACEMENT CHARACTER}")
    curve = data["curves"]["networks"][0]
    assert (curve["n"], curve["failed"], len(curve["errors"])) == (14, 3, 11)
    assert curve["shares"][-1] == pytest.approx(11 / 14, abs=1e-5)
    assert set(data["curves"]) == {"networks", "flops", "params", "activations"}
    table = json.loads(gzip.decompress(base64.b64decode(data_of(page, "networks-data"))))
    specs = [spec for one in populations for spec in one.networks]
    assert table["digest"] == [spec.digest for spec in specs]
    for i, spec in enumerate(specs):
        stages = [dict(zip(table["fields"], numbers, strict=True)) for numbers in table["stages"][i]]
        assert NetworkSpec.from_dict({**table["frames"][table["frame"][i]], "stages": stages}) == spec
    assert [error is None for error in table["error"]] == [status != "finished" for status in table["status"]]


def test_the_files_beside_the_page_hold_every_network(populations: tuple[Population, ...]) -> None:
    table = columns(populations)
    lines = list(csv.DictReader(io.StringIO(csv_bytes(table).decode(), newline="")))
    rows = parquet.read_table(io.BytesIO(parquet_bytes(table))).to_pylist()
    assert len(lines) == len(rows) == 32
    for line, row in zip(lines, rows, strict=True):
        assert line["digest"] == row["digest"] == NetworkSpec.from_dict(json.loads(row["spec"])).digest
        assert (float(line["error"]) if line["error"] else None) == row["error"]
    assert Counter(row["status"] for row in rows) == {"finished": 27, "diverged": 2, "failed": 2, "waiting": 1}


def test_findings_are_shown_where_there_are_some(report: StudyReport, populations: tuple[Population, ...]) -> None:
    names = [one.name for one in populations]
    best = {"low": 8.0, "median": 12.0, "high": 16.0, "holds": 0.4, "networks": 12}
    ranges = (
        {"space": "regnetx", "parameter": "Total depth", "sampled": [8, 27], "networks": 11, "best": best},
        {"space": "anynetx_a", "parameter": "Total depth", "sampled": [5, 30], "networks": 14, "best": None},
    )
    groups = [{"name": "Depth", "rise": 0.6, "low": 0.5, "high": 0.7, "spread": 0.1}]
    told = {"space": names[1], "networks": 40, "explained": 0.7, "groups": groups, "refused": ""}
    refused = {"space": names[2], "networks": 6, "explained": None, "groups": [], "refused": "not enough data"}
    importance = ImportanceFound(forests=(told, refused), sentences=("depth matters <most>",))
    assumptions = tuple(
        Assumption(title=f"claim {k}", standing=standing, sentence="because <b> `x < 1`", evidence=(("tau", "0.4"),))
        for k, standing in enumerate(Standing)
    )
    shown = render(replace(report, ranges=ranges, importance=importance, assumptions=assumptions))
    text = Reader(shown).text
    assert "regnetx Total depth 8 to 27 12 8 to 16 40 % 11" in text
    assert "anynetx_a Total depth 5 to 30 not enough data - - 14" in text
    assert f"Best values: {names[1]} 8 to 16, median 12." in shown
    assert "Depth 60 % (50 to 70)" in shown
    assert "not enough data. depth matters <most>." in text
    assert "claim 0: holds" in text
    assert "claim 1: does not hold" in text
    assert "claim 2: not enough data" in text
    assert text.count("because <b> x < 1") == 3
    assert shown.count("<code>x &lt; 1</code>") == 3


def test_of_many_verdicts_the_decided_ones_come_first(report: StudyReport) -> None:
    better, worse, alike = ([k / 1000 + shift for k in range(60)] for shift in (0.0, 0.3, 0.001))
    undecided, decided = compare(better, alike, names=("a", "b")), compare(better, worse, names=("a", "c"))
    assert (undecided.kind, decided.kind) == (VerdictKind.UNDECIDED, VerdictKind.A_MAJORISES)
    text = Reader(render(replace(report, verdicts=(undecided, decided)))).text
    assert text.index("a majorises c") < text.index("Undecided: a or b")


def test_what_was_not_found_has_no_section(page: str) -> None:
    assert not {"assumptions", "ranges", "importance"} & set(Reader(page).values("id"))


def test_equal_reports_give_equal_pages(report: StudyReport) -> None:
    # Equal by value only: nothing that is kept between calls may show.
    first, second = (render(replace(report, populations=(population("x", n=4, num_failed=1),))) for _ in range(2))
    assert first == second


def test_ids_are_unique_and_every_reference_has_its_target(page: str) -> None:
    reader = Reader(page)
    ids = Counter(reader.values("id"))
    assert ids.most_common(1)[0][1] == 1
    targets = [match[1] for v in reader.values("href", "clip-path") if (match := re.search(r"#([\w-]+)", v))]
    assert len(targets) > 50
    assert set(targets) <= set(ids)


def test_each_verdict_stands_first_in_full(page: str, report: StudyReport) -> None:
    text = Reader(page).text
    places = [text.index(verdict.sentence.replace("\x1b", "\N{REPLACEMENT CHARACTER}")) for verdict in report.verdicts]
    assert places == sorted(places)
    assert places[-1] < text.index("Distribution of errors")
    assert len(places) == 3


@pytest.mark.parametrize(
    ("kind", "a", "b", "headline"),
    [
        (VerdictKind.A_MAJORISES, (0.1, 0.12), (0.3, 0.4), "x majorises y"),
        (VerdictKind.B_MAJORISES, (0.3, 0.4), (0.1, 0.12), "y majorises x"),
        (VerdictKind.EQUIVALENT, (0.1, 0.12), (0.1, 0.12), "x and y are equivalent"),
        (VerdictKind.CROSSING, (0.1, 0.5), (0.2, 0.3), "x and y cross"),
    ],
)
def test_each_kind_of_verdict_has_its_words_and_its_picture(
    report: StudyReport, kind: VerdictKind, a: tuple[float, float], b: tuple[float, float], headline: str
) -> None:
    n = 1500
    errors = [[low + (high - low) * i / n for i in range(n)] for low, high in (a, b)]
    verdict = compare(*errors, names=("x", "y"))
    assert verdict.kind is kind
    reader = Reader(render(replace(report, verdicts=(verdict,), populations=())))
    assert headline in reader.text
    (card,) = [at["class"] for tag, at in reader.tags if tag == "article"]
    assert card == f"card {kind.value.removeprefix('a_').removeprefix('b_')}"


def test_counts_and_the_best_error_are_told(page: str) -> None:
    text = Reader(page).text
    assert "31 of 32 networks have a result" in text
    assert "4 failed; they count as worse than every other" in text
    assert "2 diverged the training loss was not finite in epoch 2" in text
    assert "anynetx_a 560 15 2.68 % 14 14 2 1 0" in text


def test_the_table_holds_the_distribution(page: str, populations: tuple[Population, ...]) -> None:
    text = Reader(page).text
    for one in populations[:2]:
        errors = sorted(one.errors)
        n = len(errors)
        row = [errors[0], errors[-(-n // 10) - 1], errors[(n - 1) // 2]]
        words = " ".join(f"{100 * error:.2f} %" for error in row)
        failed = sum(error > 1 for error in errors)
        assert f"{one.name} {n} {failed} {words}" in text


def test_pictures_say_what_is_seen(page: str) -> None:
    drawings = [a for tag, a in Reader(page).tags if tag == "svg"]
    told = [a["aria-label"] for a in drawings if a.get("role") == "img"]
    assert len(told) == 3 + 1 + 3 + 20 + 3 + 3
    assert all(len(label) > 40 and label.rstrip()[-1] in ".)" for label in told)
    assert all(a.get("aria-hidden") == "true" for a in drawings if "role" not in a)


def test_colours_follow_the_page(page: str) -> None:
    body = page[page.index("</style>") :]
    assert not re.findall(r"(?:fill|stroke)=\"#[0-9a-f]{6}\"", body)
    assert 'fill="currentColor"' in body
    assert "prefers-color-scheme: dark" in page


@pytest.mark.parametrize(
    "populations",
    [
        (),
        (population("empty", n=0),),
        (population("waiting", n=2, num_untrained=2), population("broken", n=2, num_failed=2)),
        (population("one", n=1),),
    ],
    ids=["none", "empty", "nothing finished", "one"],
)
def test_a_page_of_almost_nothing_is_whole(populations: tuple[Population, ...]) -> None:
    page = render(StudyReport(title=" ", study_text="", populations=populations, facts={}))
    text = Reader(page).text
    assert "Untitled study" in text
    assert "No verdict" in text
    assert not re.search(r"\b(nan|inf|None)\b", text)


def test_a_study_of_which_all_failed_says_so() -> None:
    broken = (population("a", n=3, num_failed=3), population("b", n=2, num_diverged=2))
    text = Reader(render(StudyReport(title="broken", study_text="", populations=broken, facts={}))).text
    assert "2 design spaces; none of the networks drawn has an error yet." in text
    assert "5 of 5 networks have a result 5 failed" in text
    assert "trained" not in text


def test_four_spaces_of_fifty_networks_stay_small(report: StudyReport) -> None:
    spaces = tuple(population(f"space {k}", n=50, seed=k) for k in range(4))
    assert len(render(replace(report, populations=spaces, verdicts=())).encode()) < 1_000_000


def test_write_report_leaves_the_page_and_the_figures(tmp_path: Path) -> None:
    small = StudyReport(title="small", study_text="", populations=(population("x", n=0),), facts={})
    folder = tmp_path / "deep" / "folder"
    paths = write_report(small, folder)
    assert paths[0].read_text(encoding="utf-8") == render(small)
    assert [path.name for path in paths[:3]] == ["report.html", "networks.csv", "networks.parquet"]
    stems = ("edf", "edf_by_flops", "complexity", "parameters", "staircases", "learning_curves")
    assert {path.name for path in paths[3:]} == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg", "pdf")}
    assert {path for path in folder.rglob("*") if path.is_file()} == set(paths)
    assert all(path.stat().st_size > 1000 for path in (paths[0], *paths[3:]))


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, report: StudyReport) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("here already")
    with pytest.raises(StoreError, match=r"^the report cannot be written to .*file: [a-z ]+$"):
        write_report(report, blocked)
    assert blocked.read_text() == "here already"
