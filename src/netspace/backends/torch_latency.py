"""The latency of networks on this device, measured once each and remembered by the digest of the spec."""

import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from netspace import values
from netspace.backends.inference import InferenceSetting
from netspace.backends.torch_inference import latencies, versions
from netspace.errors import InputError
from netspace.networks.spec import NetworkSpec

ROUNDS = 5
"""Turns of each network, between which the machine may do other work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyMeter:
    """Measures networks in one setting: call it with a spec, and it gives (median, noise) [ms].

    Noise is half of what the middle half of the calls spans. Weights are as initialised: they do not change the
    time. `cache` is a file of one JSON object a line; what another device or another setting found is kept there too,
    and not taken.
    """

    setting: InferenceSetting
    cache: Path | None = None
    _known: dict[str, tuple[float, float]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for line in self._lines():
            if line.get("where") == self.where():
                self._known[line["network"]] = (line["median_ms"], line["noise_ms"])

    def where(self) -> dict[str, object]:
        """Return what a figure belongs to: the machine, the library and the setting."""
        machine = f"{platform.node()}, {platform.machine()}"
        return {"machine": machine, "library": versions(self.setting.device), "setting": values.to_dict(self.setting)}

    def __call__(self, spec: NetworkSpec) -> tuple[float, float]:
        """Return (median, noise) [ms] of a network. Raises: InputError where the cache cannot be written."""
        if spec.digest not in self._known:
            (calls,) = latencies(spec, (self.setting,), rounds=ROUNDS)
            quarter, median, three_quarters = 1e3 * np.percentile(calls, (25, 50, 75))
            self._known[spec.digest] = (float(median), float(three_quarters - quarter) / 2)
            self._remember(spec.digest)
        return self._known[spec.digest]

    def _remember(self, digest: str) -> None:
        if self.cache is None:
            return
        median, noise = self._known[digest]
        line = {"network": digest, "median_ms": median, "noise_ms": noise, "where": self.where()}
        try:
            with self.cache.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as problem:
            raise InputError(f"cache {str(self.cache)!r} cannot be written ({problem.strerror})") from None

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self.cache is None or not self.cache.exists():
            return
        for number, text in enumerate(self.cache.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                yield json.loads(text)
            except ValueError:
                raise InputError(f"cache {str(self.cache)!r}, line {number}: not JSON; delete the line") from None
