"""The benchmark beside other libraries times the same network in every way."""

import pytest

from netspace.networks.spec import NetworkSpec, Stage, Stem
from tests.parity.originals import ABSENT

pytestmark = pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}")


def test_every_way_takes_steps_of_one_network():
    from benchmarks import peers

    stages = (
        Stage(depth=1, width=16, bottleneck_ratio=2.0, group_width=4),
        Stage(depth=2, width=32, bottleneck_ratio=1.0, group_width=8),
    )
    spec = NetworkSpec(stages=stages, stem=Stem(width=8, stride=1), num_classes=10)
    found = peers.row("tiny", spec, {"pycls": lambda: peers.pycls_anynet(spec)}, batch=4, side=8, steps=1)
    assert set(found.seconds) == {*peers.OURS, *(f"pycls, {form}" for form in peers.FORMS)}
    assert all(seconds > 0 for seconds in found.seconds.values())
    other = NetworkSpec(stages=stages[:1], stem=spec.stem, num_classes=10)
    with pytest.raises(SystemExit, match="parameters"):
        peers.row("tiny", spec, {"pycls": lambda: peers.pycls_anynet(other)}, batch=4, side=8, steps=1)
