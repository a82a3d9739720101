"""The page stands alone, says everything, escapes everything, and is the same for the same report."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from netspace.errors import StoreError
from netspace.report import StudyReport, render, write_report
from netspace.stats import VerdictKind, compare
from netspace.storage.population import Population
from tests.report.conftest import population

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
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def values(self, *names: str) -> list[str]:
        return [value for _, attributes in self.tags for key, value in attributes.items() if key in names]


def test_nothing_is_asked_of_anyone(page: str) -> None:
    reader = Reader(page)
    assert not re.findall(r"https?://[^\s\"'<]*", page)
    assert "@import" not in page
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", page)
    for link in reader.values("src", "href", "srcset", "action", "data"):
        assert link.startswith(("#", "data:image/svg+xml;base64,"))
    assert not {"script", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in reader.tags}


def test_the_policy_allows_the_one_style_sheet_and_nothing_else(page: str) -> None:
    reader = Reader(page)
    (policy,) = [a["content"] for _, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not reader.values("style")
    assert not [key for _, attributes in reader.tags for key in attributes if key.startswith("on")]


def test_what_comes_from_files_is_escaped(page: str, report: StudyReport) -> None:
    assert "<script" not in page
    assert "<b>sharing" not in page
    assert "<i>band" not in page
    text = Reader(page).text
    assert report.title in text
    assert "the <i>band</i> is wide" in text
    assert 'title = "</pre><script>alert(3)</script>"' in text
    assert "out of memory <script>alert(2)</script>" in text
    assert "<script>alert(1)</script> ﹩ 深度 $a_b$ \N{REPLACEMENT CHARACTER}" in text


def test_equal_reports_give_equal_pages(report: StudyReport) -> None:
    # Equal by value only: nothing that is kept between calls may show.
    first, second = (render(replace(report, populations=(population("x", n=4, num_failed=1),))) for _ in range(2))
    assert first == second


def test_ids_are_unique_and_every_reference_has_its_target(page: str) -> None:
    reader = Reader(page)
    ids = Counter(reader.values("id"))
    assert ids.most_common(1)[0][1] == 1
    targets = [match[1] for v in reader.values("href", "clip-path") if (match := re.search(r"#([\w-]+)", v))]
    assert len(targets) > 100
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
    assert "31 of 32 networks trained" in text
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
    assert len(told) == 2 + 3 + 20 + 3 + 3
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


def test_four_spaces_of_fifty_networks_stay_small(report: StudyReport) -> None:
    spaces = tuple(population(f"space {k}", n=50, seed=k) for k in range(4))
    assert len(render(replace(report, populations=spaces, verdicts=())).encode()) < 1_000_000


def test_write_report_leaves_the_page_and_the_figures(tmp_path: Path) -> None:
    small = StudyReport(title="small", study_text="", populations=(population("x", n=0),), facts={})
    folder = tmp_path / "deep" / "folder"
    paths = write_report(small, folder)
    assert paths[0].read_text(encoding="utf-8") == render(small)
    names = {path.name for path in paths[1:]}
    stems = ("edf", "complexity", "parameters", "staircases", "learning_curves")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    assert {path for path in folder.rglob("*") if path.is_file()} == set(paths)
    assert all(path.stat().st_size > 1000 for path in paths)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, report: StudyReport) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("here already")
    with pytest.raises(StoreError, match=r"^the report cannot be written to .*file: [a-z ]+$"):
        write_report(report, blocked)
    assert blocked.read_text() == "here already"


def test_the_page_opens_in_a_browser_without_a_complaint(tmp_path: Path, page: str) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    probe = tmp_path / "probe.html"
    # The policy forbids scripts, so the probe looks into the page from outside: a frame of the phone's width.
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    probe.write_text(
        "<iframe src=report.html width=400 height=800></iframe><script>onload = () => {"
        "const d = document.querySelector('iframe').contentDocument;"
        "document.title = JSON.stringify({spill: d.body.scrollWidth - d.documentElement.clientWidth,"
        " font: getComputedStyle(d.querySelector('h1')).fontWeight,"
        " drawings: d.querySelectorAll('svg').length});"
        "}</script>"
    )
    quiet = (
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    )
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            *quiet,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            "--dump-dom",
            probe.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    complaints = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    assert not complaints
    seen = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout)[1]))
    assert seen["spill"] == 0
    assert seen["font"] == "720"
    assert seen["drawings"] > 30
