"""What figures plot is what the populations hold: exact steps, every network, every failure."""

import itertools
import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from netspace.findings import readings
from netspace.report import (
    complexity_figure,
    edf_figure,
    learning_curve_figure,
    parameter_figure,
    staircase_figure,
)
from netspace.report.crowds import MOST_MARKS
from netspace.report.curves import MOST_STEPS, _curve, curves
from netspace.report.figures import pair_figure
from netspace.report.images import pdf, png, svg
from netspace.report.look import space_look
from netspace.report.script_data import script_data
from netspace.stats import EDF, complexity_weights
from netspace.storage.population import Population
from tests.report.conftest import EPOCHS, SCRIPT, anynet_draw, population


def every_pair(populations: tuple[Population, ...]) -> Figure:
    return pair_figure(populations, list(itertools.combinations((one.name for one in populations), 2)))


FIGURES = [edf_figure, every_pair, complexity_figure, parameter_figure, staircase_figure, learning_curve_figure]

EDGE_CASES = {
    "none": (),
    "empty": (population("empty", n=0),),
    "untrained": (population("untrained", n=3, num_untrained=3),),
    "all failed": (population("broken", n=3, num_failed=3),),
    "one": (population("one", n=1),),
    "mixed": (population("empty", n=0), population("broken", n=2, num_diverged=2), population(SCRIPT, n=1)),
}


def lines_with(figure: Figure, gid: str) -> list[Line2D]:
    return [artist for artist in figure.findobj(Line2D) if artist.get_gid() == gid]


def marks_of(axes: Axes, marker: str) -> int:
    return sum(len(line.get_xdata()) for line in axes.lines if line.get_marker() == marker)


def all_words(figure: Figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def panel_titled(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if any(text.get_text().startswith(title) for text in axes.texts))


def test_edf_is_drawn_as_its_exact_steps(populations: tuple[Population, ...]) -> None:
    figure = edf_figure(populations)
    for position, one in enumerate(populations):
        (line,) = lines_with(figure, f"edf-{position}")
        errors, shares = EDF(errors=one.errors).steps
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        assert line.get_drawstyle() == "steps-post"
        np.testing.assert_array_equal(x[1:-1], 100 * errors)
        np.testing.assert_array_equal(y[1:-1], shares)
        assert (x[0], y[0]) == (100 * errors[0], 0.0)
        assert y[-1] == shares[-1]


def test_a_pair_is_drawn_as_the_two_curves_of_its_spaces_alone(populations: tuple[Population, ...]) -> None:
    a, b = populations[:2]
    figure = pair_figure(populations, [(b.name, a.name), (a.name, "not in the study")])
    assert len(figure.axes) == 1
    for position, one in enumerate((a, b)):
        (line,) = lines_with(figure, f"edf-{position}")
        np.testing.assert_array_equal(np.asarray(line.get_xdata())[1:-1], 100 * EDF(errors=one.errors).steps[0])
    assert not lines_with(figure, "edf-2")
    assert f"{b.name} and {a.name}" in all_words(figure)


def test_one_error_far_beyond_all_others_is_counted_and_does_not_stretch_the_panels(
    populations: tuple[Population, ...],
) -> None:
    whole, usual = (population(name, n=n, level=0.1) for name, n in (("far", 61), ("near", 60)))
    last = whole.results[-1]
    assert last is not None
    whole = replace(whole, results=(*whole.results[:-1], replace(last, error=0.95)))
    figure = pair_figure([whole, usual], [("far", "near")])
    assert figure.axes[0].get_xlim()[1] < 50
    (line,) = lines_with(figure, "edf-0")
    assert line.get_ydata()[-1] == 60 / 61
    assert line.get_xdata()[-1] == figure.axes[0].get_xlim()[1]
    assert "1 beyond" in all_words(figure)
    assert "beyond" not in all_words(pair_figure(populations, [("anynetx_a", "regnetx")]))
    figure = edf_figure([whole, usual])
    assert figure.axes[0].get_xlim()[1] < 50
    assert "61 networks, 1 beyond" in all_words(figure)
    assert "60 networks," not in all_words(figure)
    data = script_data([whole, usual])
    assert data["usual"]["high"] < 50 < 95 < data["axis"]["high"]


def test_edf_shows_failures_as_mass_that_the_curve_does_not_reach(
    populations: tuple[Population, ...],
) -> None:
    figure = edf_figure(populations)
    assert lines_with(figure, "edf-0")[0].get_ydata()[-1] == pytest.approx(11 / 14)
    axes = figure.axes[0].get_position()
    (bar,) = lines_with(figure, "failed-0")
    np.testing.assert_allclose(bar.get_ydata(), [axes.y0 + axes.height * 11 / 14, axes.y1])
    assert not lines_with(figure, "failed-1")
    words = all_words(figure)
    assert "14 networks, 3 failed" in words
    assert "11 networks |" in words


def test_a_long_curve_keeps_its_shape_in_fewer_steps() -> None:
    errors = np.sort(np.random.default_rng(0).random(30_000))
    whole = EDF(errors=errors)
    drawn = _curve(whole)
    assert drawn.errors.size <= MOST_STEPS + 1
    places = np.searchsorted(drawn.errors, errors, side="right")
    shares = np.concatenate(([0.0], drawn.shares))[places]
    assert np.abs(shares - whole(errors)).max() <= 1 / MOST_STEPS
    assert drawn.shares[-1] == 1.0


def test_each_level_of_complexity_counts_alike() -> None:
    one = population("x", n=30, seed=4)
    params = one.complexity.params
    (curve,) = curves((one,), "params")
    edges = np.geomspace(params.min(), params.max(), 11)
    edges[0], edges[-1] = params.min(), params.max()
    expected = EDF(errors=one.errors, weights=complexity_weights(params, edges))
    assert (curve.effective_n, curve.n) == (expected.effective_n, 30)
    np.testing.assert_array_equal(curve.shares, expected.steps[1])
    assert curves((population("one", n=1),), "params") == (None,)


def test_a_band_reaches_left_of_the_first_error(populations: tuple[Population, ...]) -> None:
    (axes,) = edf_figure(populations).axes
    left = axes.get_xlim()[0]
    assert [float(c.get_paths()[0].get_extents().x0) for c in axes.collections] == pytest.approx([left] * 3)


def test_edf_band_holds_the_curve(populations: tuple[Population, ...]) -> None:
    (axes,) = edf_figure(populations).axes
    assert len(axes.collections) == len(populations)
    tops = [collection.get_paths()[0].get_extents() for collection in axes.collections]
    for extents, one in zip(tops, populations, strict=True):
        lower, upper = EDF(errors=one.errors).band()
        assert extents.y1 == pytest.approx(upper.max())
        assert extents.y0 == pytest.approx(lower.min())


@pytest.mark.parametrize("measure", ["flops", "params", "activations"])
def test_complexity_shows_every_network_once(populations: tuple[Population, ...], measure: str) -> None:
    axes = panel_titled(complexity_figure(populations), measure.capitalize())
    assert axes.get_xscale() == "log"
    for position, one in enumerate(populations):
        finite = sum(result is not None and result.error is not None for result in one.results)
        assert marks_of(axes, space_look(position).mark) == finite
    assert marks_of(axes, "x") == 4
    assert "× 4 failed" in [text.get_text() for text in axes.texts]


def test_parameters_are_per_stage_where_a_space_does_not_share_them(
    populations: tuple[Population, ...],
) -> None:
    titles = [p.title for p in readings.parameters(populations)]
    assert titles[:4] == ["Total depth", "Initial width w₀", "Width slope wₐ", "Width multiplier wₘ"]
    for field in ("Depth", "Width", "Bottleneck ratio", "Group width"):
        assert [t for t in titles if t.startswith(f"{field}, ")] == [f"{field}, stage {i}" for i in range(1, 5)]
    assert len(parameter_figure(populations).axes) == len(titles)


def test_shared_parameters_are_one_panel_and_constants_none(populations: tuple[Population, ...]) -> None:
    regnet_only = populations[1:2]
    titles = [p.title for p in readings.parameters(regnet_only)]
    assert not any(title.startswith("Bottleneck") for title in titles)
    assert readings.constants(regnet_only) == (("Bottleneck ratio", 1.0),)


def test_drawn_values_are_shown_where_a_space_has_them(populations: tuple[Population, ...]) -> None:
    slopes = next(p for p in readings.parameters(populations) if p.title == "Width slope wₐ")
    assert np.isnan(slopes.values[0]).all()
    np.testing.assert_array_equal(slopes.values[1], [row["width_slope"] for row in populations[1].drawn])


def test_jitter_stays_near_the_value_and_is_the_same_each_time(populations: tuple[Population, ...]) -> None:
    first, second = (panel_titled(parameter_figure(populations), "Total depth") for _ in range(2))
    mark = space_look(1).mark
    (x, again) = (
        np.asarray(next(line for line in axes.lines if line.get_marker() == mark).get_xdata())
        for axes in (first, second)
    )
    np.testing.assert_array_equal(x, again)
    depths = [sum(stage.depth for stage in spec.stages) for spec in populations[1].networks[: len(x)]]
    np.testing.assert_array_equal(np.rint(x), depths)
    assert len(set(x)) > len(set(depths))


def test_no_mark_lies_outside_its_panel(populations: tuple[Population, ...]) -> None:
    for axes in (*parameter_figure(populations).axes, *complexity_figure(populations).axes):
        low, high = axes.get_xlim()
        for line in axes.lines:
            assert all(low <= x <= high for x in np.asarray(line.get_xdata()))


def test_staircases_are_the_widths_of_the_best_networks(populations: tuple[Population, ...]) -> None:
    figure = staircase_figure(populations, best=2)
    for axes, one in zip(figure.axes, populations, strict=True):
        drawn = sorted(axes.patches, key=lambda patch: -patch.get_linewidth())
        best = np.argsort(one.errors, kind="stable")[:2]
        for stairs, index in zip(drawn, best, strict=True):
            widths = [stage.width for stage in one.networks[index].stages for _ in range(stage.depth)]
            np.testing.assert_array_equal(stairs.get_data().values, widths)


def test_learning_curves_share_their_axis_and_count_failures(populations: tuple[Population, ...]) -> None:
    figure = learning_curve_figure(populations)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert [marks_of(axes, "x") for axes in figure.axes] == [3, 0, 1]
    assert "× 3 failed" in all_words(figure)


def test_median_curve_takes_a_failure_as_above_all_others() -> None:
    one = population("x", n=5, num_diverged=2)
    epochs, medians = readings.median_curve(one)
    assert epochs == tuple(range(1, EPOCHS + 1))
    last = sorted(r.curve[-1].validation_error for r in one.results[:3] if r is not None)
    assert medians[-1] == last[2]
    assert readings.median_curve(population("x", n=4, num_diverged=3))[0] == (1,)


def test_ranks_of_staircases_that_end_together_stand_side_by_side() -> None:
    one = population("x", n=6)
    same = replace(one, networks=one.networks[:1] * 6)
    (axes,) = staircase_figure((same,)).axes
    ranks = [text for text in axes.texts if text.get_text() in {"1", "2", "3"}]
    assert len(ranks) == 3
    assert len({tuple(map(float, text.xy)) for text in ranks}) == 3


def test_the_best_range_of_a_parameter_is_marked_in_its_panel(populations: tuple[Population, ...]) -> None:
    best = {"low": 10.0, "median": 12.0, "high": 16.0, "holds": 0.4, "networks": 12}
    row = {"space": "regnetx", "parameter": "Total depth", "sampled": [8, 27], "networks": 11, "best": best}
    figure = parameter_figure(populations, [row])
    bars = lines_with(figure, "best-1")
    assert [list(bar.get_xdata()) for bar in bars] == [[10.0, 16.0], [12.0]]
    assert {bar.axes for bar in bars} == {panel_titled(figure, "Total depth")}


def test_a_crowd_is_drawn_as_fewer_marks_that_hold_all() -> None:
    crowd = tuple(population(f"space {k}", n=MOST_MARKS // 2 + 1, seed=k, draw=anynet_draw) for k in range(2))
    axes = panel_titled(complexity_figure(crowd), "Flops")
    for position in range(2):
        marks = [line for line in axes.lines if line.get_gid() == f"marks-{position}"]
        assert 50 < sum(len(line.get_xdata()) for line in marks) < len(crowd[position])
        assert len({line.get_markersize() for line in marks}) > 2
    (shades,) = {len(axes.collections) for axes in learning_curve_figure(crowd).axes}
    assert shades == 2


@pytest.mark.parametrize("case", EDGE_CASES)
@pytest.mark.parametrize("draw", FIGURES)
def test_every_figure_can_be_drawn_of_anything(draw: Callable[[tuple[Population, ...]], Figure], case: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = svg(draw(EDGE_CASES[case])).decode().lower()
    assert "nan" not in drawn.replace("nanum", "")


def test_labels_of_many_spaces_do_not_touch() -> None:
    figure = edf_figure(tuple(population(f"space {k}", n=2, seed=k) for k in range(9)))
    heights = sorted(text.get_position()[1] * 470 for text in figure.texts if text.get_text().startswith("space"))
    assert len(heights) == 9
    assert min(np.diff(heights)) >= 30
    assert heights[0] > 0
    assert heights[-1] < 470


def test_a_png_of_a_name_without_glyphs_warns_of_nothing() -> None:
    assert png(edf_figure((population(SCRIPT, n=2),)), dots_per_inch=40.0).startswith(b"\x89PNG")


def test_equal_populations_give_equal_files(populations: tuple[Population, ...]) -> None:
    first, second = (edf_figure(populations) for _ in range(2))
    assert svg(first) == svg(second)
    assert png(first, dots_per_inch=50.0) == png(second, dots_per_inch=50.0)
    assert pdf(first) == pdf(second)
    assert b"CreationDate" not in pdf(first)


def test_figures_leave_global_settings_alone(populations: tuple[Population, ...]) -> None:
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"axes.facecolor": "yellow", "font.size": 30.0}):
        odd = svg(edf_figure(populations))
    assert dict(matplotlib.rcParams) == before
    assert odd == svg(edf_figure(populations))


def test_importing_report_loads_neither_matplotlib_nor_jinja2() -> None:
    code = "import sys, netspace.report; print([m for m in ('matplotlib', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_spaces_of_another_number_of_stages_have_no_value_there() -> None:
    four, three = population("four", n=3, draw=anynet_draw), population("three", n=0)
    last = next(p for p in readings.parameters((four, three)) if p.title == "Depth, stage 4")
    assert not np.isnan(last.values[0]).any()
    assert last.values[1].size == 0
    assert math.isfinite(last.choices[0])
