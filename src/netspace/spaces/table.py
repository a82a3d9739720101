"""A sample as columns: a row per network, ready for a file that other programs read."""

import json
from typing import Any

from netspace.networks.complexity import MEASURES
from netspace.networks.spec import NetworkSpec
from netspace.spaces.parameters import PER_STAGE, WHOLE
from netspace.spaces.sample import Sample


def sample_table(sample: Sample) -> dict[str, list[Any]]:
    """Return the columns of a sample in order, each with a value per network, None where a network has none.

    `draw` (the number of the raw draw), `digest`, the three measures of complexity (and latency, where it was
    measured); what was drawn (`depth[0]`, `width_slope`); what that became (`realised_width[0]`, after widths were
    adjusted to group widths); the fields in which networks differ besides their stages (`activation`, `stem.width`),
    as in a union; `spec` as JSON. A column holds numbers of one kind, text or truth values.

    >>> from netspace.spaces.catalog import space
    >>> list(sample_table(space("mlp").sample(2)))[:7]
    ['draw', 'digest', 'flops', 'params', 'activations', 'depth[0]', 'depth[1]']
    """
    columns: dict[str, list[Any]] = {
        "draw": list(sample.positions),
        "digest": [spec.digest for spec in sample.networks],
        **{measure: getattr(sample.complexity, measure).tolist() for measure in MEASURES},
    }
    if sample.latencies:
        columns["latency_ms"], columns["latency_noise_ms"] = map(list, zip(*sample.latencies, strict=True))
    for name in dict.fromkeys(name for row in sample.drawn for name in row):
        columns[name] = [_number(name, row.get(name)) for row in sample.drawn]
    num_stages = max(len(spec.stages) for spec in sample.networks)
    for field in PER_STAGE:
        for stage in range(num_stages):
            column = [_of_stage(spec, stage, field) for spec in sample.networks]
            if any(value is not None for value in column):
                columns[f"realised_{field}[{stage}]"] = column
    frames = [
        _flat({name: item for name, item in spec.to_dict().items() if name != "stages"}) for spec in sample.networks
    ]
    for name in dict.fromkeys(name for frame in frames for name in frame):
        column = [frame.get(name) for frame in frames]
        if any(value != column[0] for value in column):
            columns[name] = column
    columns["spec"] = [json.dumps(spec.to_dict()) for spec in sample.networks]
    return columns


def _number(name: str, value: float | None) -> float | None:
    return int(value) if value is not None and name.partition("[")[0] in WHOLE else value


def _of_stage(spec: NetworkSpec, stage: int, field: str) -> float | None:
    """Return a number of one stage, None where a network has no such stage or no such number."""
    value: float | None = getattr(spec.stages[stage], field) if stage < len(spec.stages) else None
    return value


def _flat(plain: dict[str, Any], where: str = "") -> dict[str, Any]:
    """Return nested fields under dotted names: `stem.width`."""
    flat: dict[str, Any] = {}
    for name, item in plain.items():
        flat |= _flat(item, f"{where}{name}.") if isinstance(item, dict) else {f"{where}{name}": item}
    return flat
