"""The page in a real browser: what a reader points at, drags, presses, sorts, copies, takes home and watches."""

import csv
import io
import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from netspace.findings.assumptions import Assumption, Standing
from netspace.networks.spec import NetworkSpec
from netspace.report import StudyReport, render
from netspace.report.networks import columns
from netspace.report.server import address
from netspace.stats import EDF
from netspace.storage.population import Population
from netspace.storage.table_files import csv_bytes
from tests.report.conftest import ATTACKS, SCRIPT, hostile, population
from tests.report.growing import GrowingStudy, served

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium is installed", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, which drives Chromium, is not installed")

NAME = SCRIPT.replace("\x1b", "\N{REPLACEMENT CHARACTER}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


class Opened:
    """A page in a tab of its own, and all that went wrong in it or left the machine."""

    def __init__(self, browser: Any, where: str, **options: Any) -> None:
        options = {"viewport": {"width": 1280, "height": 900}, "accept_downloads": True} | options
        self.context = browser.new_context(**options)
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(15_000)
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda problem: self.complaints.append(str(problem)))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.goto(where)
        if options.get("java_script_enabled", True):
            self.tab.wait_for_selector("#all-networks tbody tr")

    def column(self, name: str) -> list[str]:
        """Return the words of one column of the rows that the table of all networks shows."""
        heads = [head.split(" ↑")[0] for head in self.tab.locator("#all-networks thead th").all_inner_texts()]
        return self.tab.locator(f"#all-networks tbody tr > :nth-child({heads.index(name) + 1})").all_inner_texts()

    def saved(self, name: str) -> bytes:
        """Press one of the buttons for a download and return what is saved."""
        with self.tab.expect_download() as download:
            self.tab.locator("#table").get_by_role("button", name=name, exact=True).first.click()
        return Path(download.value.path()).read_bytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, page: str) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page, encoding="utf-8")
    return file


@pytest.fixture
def opened(browser: Any, path: Path) -> Iterator[Opened]:
    one = Opened(browser, path.as_uri())
    yield one
    one.context.close()
    assert one.complaints == []
    assert [url for url in one.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_pointing_at_the_curves_reads_them_off(opened: Opened, populations: tuple[Population, ...]) -> None:
    drawing = opened.tab.locator("#curves-drawing")
    assert drawing.locator("path.curve").count() == 3
    assert opened.tab.locator(".tip").is_hidden()
    drawing.hover()
    said = opened.tab.locator(".tip").inner_text()
    error = float(re.search(r"error at most ([\d.]+)", said)[1])
    for one in populations:
        share = EDF(errors=one.errors)(error / 100)
        shown = NAME if one.name == SCRIPT else one.name
        (row,) = [line for line in opened.tab.locator(".tip tr").all_inner_texts() if line.startswith(shown)]
        assert f"{100 * share:.1f}" in row
        assert f"n = {len(one.errors)}" in row
    opened.tab.mouse.move(5, 5)
    assert opened.tab.locator(".tip").is_hidden()


def test_keys_read_off_zoom_and_show_all_again(opened: Opened) -> None:
    drawing, tip = opened.tab.locator("#curves-drawing"), opened.tab.locator(".tip p")
    reset = opened.tab.get_by_role("button", name="Reset zoom")
    drawing.focus()
    drawing.press("ArrowRight")
    first = tip.inner_text()
    drawing.press("ArrowRight")
    assert tip.inner_text() != first
    assert reset.is_disabled()
    drawing.press("+")
    assert reset.is_enabled()
    drawing.press("Escape")
    assert reset.is_disabled()


def test_dragging_zooms_and_a_button_shows_all_again(opened: Opened) -> None:
    drawing = opened.tab.locator("#curves-drawing")
    whole = drawing.locator("text.along").all_text_contents()
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    opened.tab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    opened.tab.mouse.down()
    opened.tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.52 * box["height"], steps=3)
    assert opened.tab.locator(".rubber").is_visible()
    opened.tab.mouse.up()
    zoomed = drawing.locator("text.along").all_text_contents()

    def ends(words: list[str]) -> tuple[float, float]:
        numbers = [float(word.split("\xa0")[0]) for word in words[:-1]]
        return min(numbers), max(numbers)

    assert ends(zoomed)[0] > ends(whole)[0]
    assert ends(zoomed)[1] < ends(whole)[1]
    opened.tab.get_by_role("button", name="Reset zoom").click()
    assert drawing.locator("text.along").all_text_contents() == whole


def test_an_error_far_beyond_all_others_is_counted_until_one_zooms_out(
    browser: Any, tmp_path: Path, report: StudyReport
) -> None:
    many = population("many", n=60, level=0.1)
    last = many.results[-1]
    assert last is not None
    many = replace(many, results=(*many.results[:-1], replace(last, error=0.95)))
    (tmp_path / "far.html").write_text(render(replace(report, populations=(many,), verdicts=())), encoding="utf-8")
    one = Opened(browser, (tmp_path / "far.html").as_uri())
    title = one.tab.locator("#curves-drawing text.quiet")
    assert title.inner_html().endswith("1 beyond (zoom out)")
    out, reset = (one.tab.get_by_role("button", name=name) for name in ("Zoom out", "Reset zoom"))
    while out.is_enabled():
        out.click()
    assert "beyond" not in title.inner_html()
    words = one.tab.locator("#curves-drawing text.along").all_text_contents()[:-1]
    numbers = [float(word.split("\xa0")[0]) for word in words]
    assert max(numbers) > 60
    reset.click()
    assert out.is_enabled()
    assert "1 beyond" in title.inner_html()
    assert one.complaints == []
    one.context.close()


def test_a_name_that_is_pressed_hides_its_space_everywhere(opened: Opened) -> None:
    names = opened.tab.locator("#errors .key button")
    assert names.all_inner_texts() == ["anynetx_a", "regnetx", NAME]
    assert opened.tab.locator('#parameters [data-space="1"]:visible').count() > 10
    names.nth(1).focus()
    opened.tab.keyboard.press("Space")
    pressed = opened.tab.locator(".key button[aria-pressed=false]")
    assert set(pressed.all_inner_texts()) == {"regnetx"}
    assert pressed.count() == 3
    assert opened.tab.locator("#curves-drawing path.curve").count() == 2
    assert opened.tab.locator('[data-space="1"]:visible').count() == 0
    assert opened.tab.locator('#parameters [data-space="0"]:visible').count() > 10
    opened.tab.locator("#complexity .key button").nth(1).click()
    assert pressed.count() == 0
    assert opened.tab.locator("#curves-drawing path.curve").count() == 3


def test_each_level_of_complexity_can_count_alike(opened: Opened) -> None:
    curve = opened.tab.locator('[data-curve="0"]')
    plain = curve.get_attribute("d")
    opened.tab.get_by_label("What counts alike").select_option("params")
    assert curve.get_attribute("d") != plain
    opened.tab.locator("#curves-drawing").hover()
    assert re.search(r"n = 14, worth [\d.]+ alike, 3 failed", opened.tab.locator(".tip").inner_text())


def test_a_press_on_a_column_sorts_and_failures_come_last(opened: Opened, populations: tuple[Population, ...]) -> None:
    finite = sorted(error for one in populations for error in one.errors if np.isfinite(error))
    words = [f"{100 * error:.2f}\xa0%" for error in finite]
    assert opened.column("error") == [*words, *["-"] * 5]
    head = opened.tab.get_by_role("button", name="error", exact=True)
    head.click()
    assert opened.column("error") == [*words[::-1], *["-"] * 5]
    assert opened.tab.locator("th[aria-sort=descending]").all_inner_texts()[0].startswith("error")
    opened.tab.get_by_role("button", name="params", exact=True).click()
    cost = [(int(p.complexity.params[i]), p.networks[i].digest) for p in populations for i in range(len(p))]
    assert opened.column("digest") == [digest for _, digest in sorted(cost, key=lambda row: row[0])]


def test_words_and_a_space_filter(opened: Opened) -> None:
    opened.tab.locator("#filter").fill("diverged")
    assert opened.column("status") == ["diverged"] * 2
    assert "1 to 2 of 2 networks, filtered from 32" in opened.tab.locator("#table").inner_text()
    opened.tab.locator("#filter").fill("")
    opened.tab.locator("#space").select_option(NAME)
    assert opened.column("space") == [NAME] * 6
    opened.tab.locator("#filter").fill("no such words")
    assert "no network fits the filter; 32 in all" in opened.tab.locator("#table").inner_text()


def test_what_is_saved_is_what_is_shown(opened: Opened, populations: tuple[Population, ...]) -> None:
    opened.tab.locator("#space").select_option("anynetx_a")
    opened.tab.get_by_role("button", name="network", exact=True).click()
    lines = list(csv.DictReader(io.StringIO(opened.saved("CSV").decode(), newline="")))
    records = json.loads(opened.saved("JSON"))
    specs = populations[0].networks
    assert [line["digest"] for line in lines] == [spec.digest for spec in specs]
    assert [NetworkSpec.from_dict(json.loads(line["spec"])) for line in lines] == list(specs)
    assert [NetworkSpec.from_dict(record["spec"]) for record in records] == list(specs)
    assert [record["error"] for record in records] == [r.error if r else None for r in populations[0].results]
    beside = csv.DictReader(io.StringIO(csv_bytes(columns(populations)).decode(), newline=""))
    same = [name for name in lines[0] if name not in {"seconds", "spec"}]  # a script writes 4 for 4.0
    assert list(lines[0]) == list(columns(populations))
    assert [[line[name] for name in same] for line in lines] == [[one[name] for name in same] for one in beside][
        : len(lines)
    ]
    assert lines[-1]["reason"] == "out of memory <script>alert(2)</script>"
    assert parquet.read_table(io.BytesIO(opened.saved("Parquet"))).num_rows == 32


def test_a_spec_is_copied_as_json_and_as_toml(opened: Opened, populations: tuple[Population, ...]) -> None:
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    specs = {spec.digest: spec for one in populations for spec in one.networks}
    expected = specs[opened.column("digest")[0]]
    for form, read in (("JSON", json.loads), ("TOML", tomllib.loads)):
        opened.tab.get_by_label(f"Copy the spec as {form}").first.click()
        opened.tab.get_by_text(f"copied {expected.digest[:8]} as {form}").wait_for()
        assert NetworkSpec.from_dict(read(opened.tab.evaluate("navigator.clipboard.readText()"))) == expected


def test_a_phone_shows_the_page_without_sideways_scrolling(browser: Any, path: Path) -> None:
    one = Opened(browser, path.as_uri(), viewport={"width": 400, "height": 800}, color_scheme="dark")
    assert one.tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert one.tab.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") == "rgb(14, 16, 19)"
    assert one.tab.locator("h1").evaluate("h1 => getComputedStyle(h1).fontWeight") == "720"
    assert one.complaints == []
    one.context.close()


def test_long_names_stay_on_the_page(browser: Any, tmp_path: Path, report: StudyReport) -> None:
    names = ("a" * 120, "a name of many words " * 6)
    told = Assumption(title="claim", standing=Standing.HOLDS, sentence="so", evidence=tuple((n, "yes") for n in names))
    shown = replace(report, populations=tuple(map(population, names)), verdicts=(), assumptions=(told,))
    (tmp_path / "long.html").write_text(render(shown), encoding="utf-8")
    for width in (390, 1280):
        one = Opened(browser, (tmp_path / "long.html").as_uri(), viewport={"width": width, "height": 800})
        assert one.tab.evaluate("document.documentElement.scrollWidth") == width
        ends = one.tab.evaluate("[...document.querySelectorAll('.card *')].map((e) => e.getBoundingClientRect().right)")
        assert max(ends) < width
        assert one.complaints == []
        one.context.close()


def test_the_differences_of_each_pair_open(opened: Opened) -> None:
    opened.tab.get_by_text("Differences of each pair, in points of error").click()
    assert opened.tab.get_by_role("columnheader", name="best of a few").is_visible()


def test_without_a_script_figures_and_tables_are_all_there(browser: Any, path: Path) -> None:
    one = Opened(browser, path.as_uri(), java_script_enabled=False)
    assert one.tab.locator("#errors svg[role=img]").first.is_visible()
    assert one.tab.locator("#best table").is_visible()
    assert one.tab.get_by_text("The table needs JavaScript").is_visible()
    assert not one.tab.locator(".live:visible").count()
    one.context.close()


def test_nothing_of_a_hostile_study_runs(browser: Any, tmp_path: Path) -> None:
    """Every text of a study is an attack: none runs, none loads, none even has to be stopped by the policy."""
    (tmp_path / "hostile.html").write_text(render(hostile("".join(ATTACKS))), encoding="utf-8")
    one = Opened(browser, (tmp_path / "hostile.html").as_uri())
    one.tab.locator("#curves-drawing").hover()
    one.tab.get_by_role("button", name="flops", exact=True).click()
    one.tab.locator("#filter").fill("window.ran")
    one.tab.locator(".key button").first.click()
    for summary in one.tab.locator("summary:visible").all():
        summary.click()
    one.tab.locator("h1").hover()
    assert one.tab.evaluate("typeof window.ran") == "undefined"
    assert one.complaints == []
    assert [url for url in one.asked if not url.startswith(("file:", "data:image/svg+xml;", "blob:"))] == []
    assert one.tab.url == (tmp_path / "hostile.html").as_uri()
    one.context.close()


def test_almost_nothing_is_no_reason_to_complain(browser: Any, tmp_path: Path, report: StudyReport) -> None:
    few = (population("one", n=1), population("broken", n=2, num_failed=2), population("none", n=0))
    (tmp_path / "few.html").write_text(render(replace(report, populations=few, verdicts=())), encoding="utf-8")
    one = Opened(browser, (tmp_path / "few.html").as_uri())
    one.tab.locator("#curves-drawing").hover()
    assert "NaN" not in one.tab.content()
    assert "Infinity" not in one.tab.locator("main").inner_text()
    assert one.complaints == []
    one.context.close()


def test_the_page_follows_a_running_study_and_leaves_the_reader_alone(browser: Any, tmp_path: Path) -> None:
    growing = GrowingStudy(tmp_path)
    growing.finish(8)
    with served(growing.press()) as server:
        one = Opened(browser, address(server))
        one.tab.get_by_role("button", name="regnetx").first.click()
        one.tab.get_by_label("What counts alike").select_option("flops")
        one.tab.get_by_role("button", name="Zoom in").click()
        one.tab.get_by_role("button", name="flops", exact=True).click()
        one.tab.locator("#drawing summary").click()
        one.tab.locator("#filter").fill("finished")
        one.tab.locator("#networks").scroll_into_view_if_needed()
        place = one.tab.locator("#networks h2").bounding_box()["y"]
        assert len(one.column("status")) == 14
        shown = one.tab.locator('[data-curve="0"]').get_attribute("d")

        growing.finish(3)
        sync_api.expect(one.tab.locator("#all-networks tbody tr")).to_have_count(20, timeout=30_000)
        assert one.tab.locator('[data-curve="0"]').get_attribute("d") != shown
        assert one.tab.locator(".key button[aria-pressed=false]").first.inner_text() == "regnetx"
        assert one.tab.locator("#weighing").input_value() == "flops"
        assert one.tab.get_by_role("button", name="Reset zoom").is_enabled()
        assert one.tab.locator("th[aria-sort=ascending]").inner_text().startswith("flops")
        assert one.tab.locator("#filter").input_value() == "finished"
        assert one.tab.evaluate("document.activeElement.id") == "filter"
        assert one.tab.locator("#drawing details").get_attribute("open") is not None
        assert one.tab.locator("#networks h2").bounding_box()["y"] == pytest.approx(place, abs=2)
        assert "out of memory </script>" in one.tab.locator("#drawing").text_content()

        assert {url.partition("://")[2].partition("/")[0] for url in one.asked if url.startswith("http")} == {
            address(server).removeprefix("http://").rstrip("/")
        }
        assert one.complaints == []
    one.tab.get_by_text("Not live").wait_for(timeout=30_000)
    one.context.close()
    growing.store.close()
