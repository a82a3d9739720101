"""The page of one network in training: loss and error by epoch, drawn anew after every epoch."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netspace.report.look import HUES
from netspace.report.panel import Panel, frame, say
from netspace.report.scales import Scale, error_scale, scale_of
from netspace.report.shell import families, render_page
from netspace.report.tables import KeyNumber
from netspace.report.wording import duration, percent, printable
from netspace.training.metrics import metric_name
from netspace.training.trial import EpochRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REFRESH_SECONDS = 15
"""How often a browser loads the page again while the network trains."""


def render_training(
    curve: Sequence[EpochRecord], *, title: str, lead: str, epochs: int, metric: str, finished: bool
) -> str:
    """Return the page of a training that is to last some `epochs`; equal values give equal pages.

    `metric` is the recipe's. Until it is `finished` the page asks the browser to load it again.
    """
    name = metric_name(metric)
    numbers = [KeyNumber(value=f"{len(curve)} of {epochs}", label="epochs")]
    if curve:
        spent = sum(one.seconds for one in curve)
        numbers += [
            KeyNumber(value=percent(curve[-1].validation_error), label=f"{name} after the last epoch"),
            KeyNumber(value=f"{curve[-1].training_loss:.4g}", label="mean training loss of the last epoch [nats]"),
            KeyNumber(value=duration(spent), label="in the epochs so far")
            if finished
            else KeyNumber(value=duration(spent / len(curve) * (epochs - len(curve))), label="left, at this pace"),
        ]
    return render_page(
        "training_page.html.jinja",
        title=printable(title),
        lead=printable(lead),
        numbers=numbers,
        drawings=families(training_panels(curve, epochs=epochs, metric=metric), "curve", 2),
        rows=[("epoch", "training loss", name, "seconds")]
        + [
            (f"{one.epoch}", f"{one.training_loss:.4f}", percent(one.validation_error), f"{one.seconds:.1f}")
            for one in curve
        ],
        refresh=None if finished else REFRESH_SECONDS,
    )


def training_panels(curve: Sequence[EpochRecord], *, epochs: int, metric: str) -> tuple[Panel, Panel]:
    """Return the loss and the error by epoch of a training that is to last some `epochs`."""
    name = metric_name(metric)
    errors, losses = [one.validation_error for one in curve], [one.training_loss for one in curve]
    return (
        _panel("Training loss", losses, epochs, HUES[1].light, scale_of(_span(losses), "{:.3g}".format, log_above=4.0)),
        _panel(name.capitalize(), [100.0 * e for e in errors], epochs, HUES[0].light, error_scale(_span(errors))),
    )


def _panel(title: str, heights: Sequence[float], epochs: int, colour: str, y_scale: Scale) -> Panel:
    x_scale = scale_of((1.0, float(max(epochs, 2))), lambda at: f"{at:g}" if at == int(at) else "", margin=0.03)

    def draw(axes: "Axes") -> None:
        x_scale.apply(axes, "x")
        y_scale.apply(axes, "y")
        frame(axes, title, colour=colour, unit="epoch")
        if heights:
            places = range(1, len(heights) + 1)
            axes.plot(
                places, heights, color=colour, linewidth=2.0, marker="o" if len(heights) < 40 else "", markersize=4.0
            )
        else:
            say(axes, "no epoch yet")

    falls = sum(after < before for before, after in itertools.pairwise(heights))
    seen = f"{title} by epoch." + (
        f" From {heights[0]:.4g} to {heights[-1]:.4g}; it fell {falls} of {len(heights) - 1} times." if heights else ""
    )
    return Panel(title=title, seen=seen, draw=draw)


def _span(heights: Sequence[float]) -> tuple[float, float]:
    return (min(heights), max(heights)) if heights else (0.0, 1.0)
