"""What the page's script reads: curves and axes as JSON that no name in it can break out of."""

import json
from collections.abc import Sequence
from typing import Any

from netspace.findings import readings
from netspace.report.curves import MOST_STEPS, WEIGHINGS, Curve, curves
from netspace.report.look import space_look
from netspace.report.scales import error_scale
from netspace.report.wording import printable
from netspace.storage.population import Population

_ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


def script_data(populations: Sequence[Population]) -> dict[str, Any]:
    """Return the spaces, the error axis [%] and the curves of each weighing; without a curve a space has None.

    `axis` holds all errors; `usual`, which is shown first, is without a few far beyond all
    others, which each space counts.
    """
    errors = [population.errors for population in populations]
    whole, usual = error_scale(readings.error_span(errors)), error_scale(readings.usual_span(errors))
    found = {weighing: curves(populations, weighing) for weighing in WEIGHINGS}
    return {
        "spaces": [
            {
                "name": printable(population.name),
                "hue": space_look(k).hue,
                "dash": space_look(k).svg_dash,
                "beyond": readings.num_beyond(population, usual.high / 100.0),
            }
            for k, population in enumerate(populations)
        ],
        "axis": {"low": whole.low, "high": whole.high, "log": usual.is_log},
        "usual": {"low": usual.low, "high": usual.high},
        "error": readings.error_name(populations),
        "mostSteps": MOST_STEPS,
        "curves": {
            weighing: [None if curve is None else _plain(curve) for curve in drawn]
            for weighing, drawn in found.items()
            if any(drawn)
        },
    }


def as_json(data: Any) -> str:
    """Return data as JSON for a `<script>` element: nothing in it can end the element or begin a comment.

    >>> as_json("</script><!--")
    '"\\\\u003c/script\\\\u003e\\\\u003c!--"'
    """
    return json.dumps(data, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def _plain(curve: Curve) -> dict[str, Any]:
    return {
        "n": curve.n,
        "failed": curve.num_failed,
        "effective": round(curve.effective_n, 1),
        "half": round(curve.half_width, 5),
        "errors": [float(f"{100 * error:.6g}") for error in curve.errors],
        "shares": [round(float(share), 5) for share in curve.shares],
    }
