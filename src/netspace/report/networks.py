"""All networks of a study as one table: columns for files, and the same packed into a page, where scripts unpack it."""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from netspace.findings import readings
from netspace.networks.complexity import MEASURES
from netspace.networks.spec import NetworkSpec
from netspace.privacy import discreet
from netspace.report.wording import listed, printable
from netspace.storage.population import Population
from netspace.storage.table_files import parquet_bytes
from netspace.training.trial import TrialResult

Columns = dict[str, list[Any]]
NONE: Mapping[str, str] = MappingProxyType({})

MOST_EMBEDDED = 5_000
"""Networks above which the Parquet file, about 90 bytes each, is beside the page only and not inside it as well."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One network: the position of its space, its own place in it, its spec and its result."""

    space: int
    place: int
    spec: NetworkSpec
    result: TrialResult | None


def columns(populations: Sequence[Population], marks: Mapping[str, str] = NONE) -> Columns:
    """Return a column per field, a row per network: what failed or waits has no error, and a status that says so.

    `marks` of the study stand in every row: whoever compares the rows is told.
    """
    entries = _entries(populations)
    stages = {
        f"{field}s": [listed([getattr(stage, field) for stage in entry.spec.stages]) for entry in entries]
        for field in readings.STAGE_FIELDS
    }
    return {
        "space": [printable(populations[entry.space].name) for entry in entries],
        "position": [entry.place for entry in entries],
        "digest": [entry.spec.digest for entry in entries],
        **_results(entries),
        **_costs(populations),
        **stages,
        "reason": [entry.result and entry.result.reason and discreet(entry.result.reason) for entry in entries],
        "spec": [_spec(entry.spec.to_dict()) for entry in entries],
        **{name: [mark] * len(entries) for name, mark in marks.items()},
    }


def packed(populations: Sequence[Population], marks: Mapping[str, str] = NONE) -> str:
    """Return the table for the page: compressed JSON in base64, where what specs have in common stands once.

    A spec is its frame (`frames[frame[i]]`) and the numbers of its stages in the order of `fields`.
    """
    entries = _entries(populations)
    frames: dict[str, int] = {}
    fields: dict[str, None] = {}
    rows = []
    for entry in entries:
        plain = entry.spec.to_dict()
        stages = plain.pop("stages")
        fields.update(dict.fromkeys(field for stage in stages for field in stage))
        rows.append((frames.setdefault(_spec(plain), len(frames)), stages))
    table = {
        "frames": [json.loads(frame) for frame in frames],
        "fields": list(fields),
        "frame": [frame for frame, _ in rows],
        "stages": [[[stage.get(field) for field in fields] for stage in stages] for _, stages in rows],
        "space": [entry.space for entry in entries],
        "position": [entry.place for entry in entries],
        "digest": [entry.spec.digest for entry in entries],
        **_results(entries),
        **_costs(populations),
        "reason": [entry.result and entry.result.reason and printable(entry.result.reason) for entry in entries],
        "marks": dict(marks),
    }
    content = json.dumps(table, separators=(",", ":"), allow_nan=False).encode()
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def embedded_parquet(populations: Sequence[Population], marks: Mapping[str, str] = NONE) -> str:
    """Return the Parquet file in base64, empty above `MOST_EMBEDDED` networks."""
    if sum(map(len, populations)) > MOST_EMBEDDED:
        return ""
    return base64.b64encode(parquet_bytes(columns(populations, marks))).decode()


def _entries(populations: Sequence[Population]) -> list[Entry]:
    return [
        Entry(space, place, spec, result)
        for space, population in enumerate(populations)
        for place, (spec, result) in enumerate(zip(population.networks, population.results, strict=True))
    ]


def _spec(plain: dict[str, Any]) -> str:
    """Return a spec as JSON; the file of an own block does not say whose home it is in."""
    own = plain.get("own_block")
    return json.dumps(plain | {"own_block": own | {"file": discreet(own["file"])}} if own else plain)


def _results(entries: Sequence[Entry]) -> Columns:
    return {
        "status": [entry.result.status if entry.result else "waiting" for entry in entries],
        "error": [entry.result and entry.result.error for entry in entries],
        "seconds": [entry.result and round(entry.result.seconds, 3) for entry in entries],
    }


def _costs(populations: Sequence[Population]) -> Columns:
    return {m: [int(cost) for p in populations for cost in getattr(p.complexity, m)] for m in MEASURES}
