"""What a measurement of inference is asked and answers, as values; no framework is needed to write one down."""

from dataclasses import dataclass

from netspace.checks import one_of, whole
from netspace.errors import InputError
from netspace.machine import MOST_THREADS
from netspace.networks.complexity import check_resolution
from netspace.training.recipe import PRECISIONS

DEVICES = ("cpu", "cuda")

MOST_IMAGES = 65_536
"""The largest batch, and more than any machine has use for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceSetting:
    """How a network is run: `fused` folds its norms first, `precision` is that of weights and images alike."""

    batch_size: int = 1
    threads: int = 1
    precision: str = "float32"
    fused: bool = False
    channels_last: bool = True
    resolution: int = 224
    device: str = "cpu"

    def __post_init__(self) -> None:
        whole(self, "batch_size", InputError, maximum=MOST_IMAGES)
        whole(self, "threads", InputError, maximum=MOST_THREADS)
        one_of(self, "precision", InputError, PRECISIONS)
        one_of(self, "device", InputError, DEVICES)
        check_resolution(self.resolution)


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceFigures:
    """What came out: latency of one batch [ms], its 95th percentile [ms], speed at the median, peak memory [MiB].

    `peak_mib` is None where the system does not tell it.
    """

    median_ms: float
    p95_ms: float
    images_per_second: float
    peak_mib: float | None
