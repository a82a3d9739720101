"""The latency meter: really measured, remembered by digest, device and setting."""

import json

import pytest

from netspace.backends.inference import InferenceSetting
from netspace.backends.torch_latency import LatencyMeter
from netspace.errors import InputError
from netspace.networks.spec import NetworkSpec, Stage

SMALL = NetworkSpec(stages=(Stage(depth=1, width=16, group_width=8),))
LARGE = NetworkSpec(stages=(Stage(depth=6, width=128, group_width=128),))
SETTING = InferenceSetting(resolution=32)


def test_a_larger_network_takes_longer_and_what_was_measured_is_remembered(tmp_path):
    cache = tmp_path / "latency.jsonl"
    meter = LatencyMeter(setting=SETTING, cache=cache)
    small, large = meter(SMALL), meter(LARGE)
    assert 0 < small[0] < large[0]
    assert small[1] >= 0
    assert meter(SMALL) == small
    assert LatencyMeter(setting=SETTING, cache=cache)(LARGE) == large
    assert [json.loads(line)["network"] for line in cache.read_text().splitlines()] == [SMALL.digest, LARGE.digest]


def test_what_another_setting_or_machine_found_is_not_taken(tmp_path):
    cache = tmp_path / "latency.jsonl"
    meter = LatencyMeter(setting=SETTING, cache=cache)
    foreign = {"network": SMALL.digest, "median_ms": 1e6, "noise_ms": 0.0}
    lines = [foreign | {"where": meter.where() | {"machine": "another"}}, foreign | {"where": {}}]
    cache.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert LatencyMeter(setting=SETTING, cache=cache)(SMALL)[0] < 1e5
    other = LatencyMeter(setting=InferenceSetting(resolution=16), cache=cache)
    assert other(SMALL) is not None
    assert len(cache.read_text().splitlines()) == 4


def test_a_damaged_cache_is_named(tmp_path):
    (tmp_path / "latency.jsonl").write_text("{\n")
    with pytest.raises(InputError, match=r"latency.jsonl', line 1: not JSON; delete the line"):
        LatencyMeter(setting=SETTING, cache=tmp_path / "latency.jsonl")
    with pytest.raises(InputError, match="cannot be written"):
        LatencyMeter(setting=SETTING, cache=tmp_path / "none" / "latency.jsonl")(SMALL)
