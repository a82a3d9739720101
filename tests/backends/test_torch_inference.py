"""What a measurement of inference runs is what its setting says, and its figures are those of that run."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

import netspace as ns
from netspace.backends.inference import InferenceSetting
from netspace.backends.torch_inference import latencies, measure, random_images, ready_network
from netspace.errors import CheckpointError, ExecutionError, InputError
from netspace.networks.complexity import LARGEST_SIDE
from netspace.networks.spec import NetworkSpec, Stage
from tests.backends.disturbed import disturbed

SPEC = NetworkSpec(stages=(Stage(depth=2, width=16, group_width=8),), num_classes=5)
SETTING = InferenceSetting(resolution=16)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"fused": True},
        {"channels_last": False, "fused": True},
        {"precision": "bfloat16"},
        {"precision": "bfloat16", "fused": True, "batch_size": 3},
    ],
    ids=str,
)
def test_a_network_is_run_as_its_setting_says(change):
    setting = dataclasses.replace(SETTING, **change)
    network = ready_network(SPEC, setting)
    images = random_images(network, setting)
    assert images.shape == (setting.batch_size, 3, 16, 16)
    layout = torch.channels_last if setting.channels_last else torch.contiguous_format
    for tensor in (images, next(network.stem.parameters())):
        assert tensor.dtype == getattr(torch, setting.precision)
        assert tensor.is_contiguous(memory_format=layout)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()) != setting.fused
    assert not network.training


def test_a_folder_is_measured_with_its_weights(tmp_path):
    network = disturbed(SPEC)
    ns.save(network, tmp_path)
    ready = ready_network(tmp_path, SETTING)
    assert torch.equal(ready.head.linear.weight, network.head.linear.weight)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        measure(tmp_path, [SETTING])


def test_settings_take_equal_turns_and_the_number_of_threads_is_put_back():
    before = torch.get_num_threads()
    settings = [dataclasses.replace(SETTING, threads=threads) for threads in (1, 2)]
    times = latencies(SPEC, settings, rounds=3)
    assert [len(one) % 3 for one in times] == [0, 0]
    assert all(second > 0 for one in times for second in one)
    assert torch.get_num_threads() == before


def test_figures_are_of_the_same_run():
    small, large = (dataclasses.replace(SETTING, batch_size=n, resolution=64, fused=True) for n in (1, 64))
    figures = measure(SPEC, [small, large], rounds=2)
    for setting, one in zip((small, large), figures, strict=True):
        assert 0 < one.median_ms <= one.p95_ms
        assert one.images_per_second == pytest.approx(1e3 * setting.batch_size / one.median_ms)
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from Linux's /proc")
    # 64 images of 3x64x64 and the stem's 32x32x32, four bytes each, live at once: 3 + 8 MiB.
    assert figures[1].peak_mib - figures[0].peak_mib == pytest.approx(20, abs=9.5)


def test_a_batch_that_does_not_fit_is_one_sentence():
    huge = InferenceSetting(batch_size=65_536, resolution=LARGEST_SIDE)
    with pytest.raises(ExecutionError, match=r"^batch_size \(=65536\) at resolution \d+ does not fit in memory$"):
        measure(SPEC, [huge])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"batch_size": 0}, "batch_size (=0) must be a whole number of at least 1"),
        ({"batch_size": 65_537}, "at most 65536"),
        ({"threads": 0}, "threads (=0) must be"),
        ({"precision": "bfloat"}, "did you mean 'bfloat16'"),
        ({"device": "gpu"}, "device (='gpu') must be one of cpu, cuda"),
        ({"resolution": 0}, "resolution (=0) must be"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_one_sentence(change, sentence):
    with pytest.raises(InputError) as caught:
        InferenceSetting(**change)
    assert sentence in str(caught.value)


def test_rounds_are_counted_from_one():
    with pytest.raises(InputError, match=r"rounds \(=0\)"):
        measure(SPEC, [SETTING], rounds=0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what happens without a CUDA device")
def test_an_absent_device_is_one_sentence():
    with pytest.raises(InputError, match="no CUDA device on this machine"):
        measure(SPEC, [dataclasses.replace(SETTING, device="cuda")])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_device_is_measured():
    settings = [InferenceSetting(device="cuda", resolution=64, batch_size=n, fused=True) for n in (1, 64)]
    small, large = measure(SPEC, settings, rounds=2)
    assert small.median_ms > 0
    assert 3 < large.peak_mib - small.peak_mib < 200
