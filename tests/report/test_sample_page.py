"""The page of a sample stands alone, says how it was drawn, and shows its numbers."""

import re
from pathlib import Path

import pytest

from netspace.errors import InputError
from netspace.networks.fitting import fit_regnet
from netspace.report.figures import cost_figure, marginal_figure
from netspace.report.sample_page import render_sample, write_sample_page
from netspace.report.sample_panels import marginal_panels, region_panels
from netspace.spaces.catalog import space
from netspace.spaces.marginals import marginals
from netspace.spaces.regions import regions
from tests.report.test_page import Reader

BANDED = space("regnetx").sample(9, flops=(360e6, 400e6))


@pytest.fixture(scope="module")
def page() -> str:
    return render_sample(space("regnetx"), BANDED)


def test_the_page_asks_nothing_of_anyone_and_allows_one_style_sheet(page: str) -> None:
    reader = Reader(page)
    assert not re.findall(r"https?://[^\s\"'<]*", page)
    assert not {"script", "iframe", "object", "embed", "base", "form", "img"} & {tag for tag, _ in reader.tags}
    assert not reader.values("style")
    assert "style-src 'sha256-" in page
    ids = reader.values("id")
    assert len(ids) == len(set(ids))
    targets = {m[1] for v in reader.values("href", "clip-path") if (m := re.search(r"#([\w-]+)", v))}
    assert targets <= set(ids)


def test_its_figures_stand_alone() -> None:
    for axes in cost_figure(BANDED).axes:
        assert [len(marks.get_xdata()) for marks in axes.lines] == [len(BANDED.networks)]
    found = marginals(space("regnetx"), BANDED)
    assert len(marginal_figure(found).axes) == len(found) > 1


def test_the_headline_says_how_the_sample_was_drawn(page: str) -> None:
    text = Reader(page).text
    low, high = BANDED.acceptance_interval
    assert "The first 9 networks drawn from a design space with flops in 360M..400M at 224 x 224 pixels" in text
    assert f"{BANDED.draws:,} raw draws, up to that of the last network" in text
    assert f"{100 * BANDED.acceptance:.3g} % of the draws were accepted; 95 % interval" in text
    assert f"interval {100 * low:.3g} % to {100 * high:.3g} %" in text
    assert "0 accepted draws repeated a network" in text
    assert "exhausted no" in text
    assert "widths and depths by the RegNet rule; bottleneck_ratio is shared; group_width is shared" in text
    assert "draws of the space about" in text
    assert "exact law of the raw draws, before the budget" in text


def test_without_a_band_the_law_is_exact_and_draws_are_accepted_everywhere() -> None:
    text = Reader(render_sample(space("mlp"), space("mlp").sample(5))).text
    assert "The line is the exact law." in text
    assert "Everywhere: every raw draw was accepted." in text
    assert "union of 6: mlp_relu" in text
    assert f"draws of the space {6 * 4**3 * 32**3:,}" in text


def test_an_exhausted_space_is_told() -> None:
    few = space("anynet_resnet").narrow(depth=1, width=(8, 16), bottleneck_ratio=1)
    text = Reader(render_sample(few, few.sample(50))).text
    assert "All 16 networks of a design space at 224 x 224 pixels." in text
    assert "The space is exhausted" in text
    assert "that repeated a network are left out" in text


def test_a_space_of_one_network_has_a_page() -> None:
    alone = space("anynet_resnet").narrow(depth=1, width=64, bottleneck_ratio=1)
    page = render_sample(alone, alone.sample(1))
    assert "No parameter has more than one value." in Reader(page).text
    assert not re.search(r"\b(nan|inf|None)\b", Reader(page).text)


def test_every_drawing_says_what_is_seen(page: str) -> None:
    told = [a["aria-label"] for tag, a in Reader(page).tags if tag == "svg" and a.get("role") == "img"]
    assert len(told) == 6 + 2 + 8 + 2
    assert any(f"e_fit {fit_regnet(BANDED.networks[0]).error:.3f}" in words for words in told)
    assert all(len(words) > 40 for words in told)


def test_bars_are_the_shares_and_the_line_is_the_law() -> None:
    from matplotlib.figure import Figure
    from matplotlib.patches import StepPatch

    found = marginals(space("regnetx"), BANDED)
    for marginal, panel in zip(found, marginal_panels(found, exact=False), strict=True):
        axes = Figure().add_subplot()
        panel.draw(axes)
        bars, line = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
        assert bars.get_data().values.tolist() == (100 * marginal.sampled).tolist()
        assert line.get_data().values.tolist() == (100 * marginal.drawn).tolist()
        assert axes.get_ylim()[1] >= 100 * max(marginal.sampled.max(), marginal.drawn.max())


def test_cells_of_the_map_are_the_regions_that_hold_draws() -> None:
    from matplotlib.figure import Figure

    found = regions(space("regnetx"), BANDED)
    axes = Figure().add_subplot()
    region_panels(found)[0].draw(axes)
    assert len(axes.patches) == (found.networks > 0).sum()
    assert {text.get_text() for text in axes.texts} > {"0"}


def test_equal_samples_give_equal_pages(page: str) -> None:
    assert render_sample(space("regnetx"), space("regnetx").sample(9, flops=(360e6, 400e6))) == page


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.*cannot be written: no such file or directory$"):
        write_sample_page(space("regnetx"), BANDED, tmp_path / "nowhere" / "page.html")
    assert list(tmp_path.iterdir()) == []
