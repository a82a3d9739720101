"""A step that does not fit in memory: the same mean in parts, a note, a failure in words; memory is short for real."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest
import torch

from netspace.backends.torch_loss import mean_loss
from netspace.backends.torch_memory import MicroBatches, parts_of, shortage
from netspace.backends.torch_mixing import Mixed
from netspace.backends.torch_model import build
from netspace.errors import ExecutionError
from tests.backends.short_of_memory import NETWORK

IMAGES = 11


def batch():
    generator = torch.Generator().manual_seed(0)
    mixed = Mixed(partner=torch.randperm(IMAGES, generator=generator), share=torch.rand(IMAGES, generator=generator))
    images = torch.randn(IMAGES, 1, 8, 8, generator=generator)
    return images, torch.randint(0, 10, (IMAGES,), generator=generator), mixed


def gradients(network, parts, mixed=True):
    images, labels, mix = batch()
    weights = torch.linspace(0.5, 1.5, 10)

    def loss(part):
        return mean_loss(network(images[part]), labels, 0.1, weights, mix if mixed else None, part)

    micro = MicroBatches(network)
    micro.parts = parts
    found = micro.gradient(IMAGES, loss)
    return found, [parameter.grad.clone() for parameter in network.parameters()]


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("parts", [2, 4])
def test_the_gradient_is_that_of_the_whole_batch_where_norms_keep_to_what_they_know(parts, mixed):
    network = build(dataclasses.replace(NETWORK, dropout=0.0)).double().eval()
    images, labels, mix = batch()
    whole_mix = Mixed(partner=mix.partner, share=mix.share.double()) if mixed else None
    weights = torch.linspace(0.5, 1.5, 10).double()
    whole = mean_loss(network(images.double()), labels, 0.1, weights, whole_mix)
    whole.backward()
    expected = [parameter.grad.clone() for parameter in network.parameters()]
    float32 = build(dataclasses.replace(NETWORK, dropout=0.0)).eval()
    found, in_parts = gradients(float32, parts, mixed)
    assert found.item() == pytest.approx(whole.item(), rel=1e-6)
    for one, other in zip(in_parts, expected, strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()


def test_running_statistics_are_the_mean_over_the_parts():
    images, _, _ = batch()
    network, apart = (build(NETWORK).train() for _ in range(2))
    gradients(network, 2)
    conv, norm = apart.stem.conv, network.stem.norm
    means = [conv(images[part]).mean((0, 2, 3)) for part in parts_of(IMAGES, 2)]
    expected = 0.1 * (5 * means[0] + 6 * means[1]) / IMAGES
    torch.testing.assert_close(norm.running_mean, expected)
    assert norm.num_batches_tracked == 1


def test_only_what_is_about_memory_is():
    assert shortage(MemoryError()) == "no memory"
    assert shortage(torch.OutOfMemoryError("CUDA out of memory.\nMore")) == "CUDA out of memory."
    assert shortage(RuntimeError("shapes differ")) is None
    assert shortage(ExecutionError("what another sentence says of out of memory")) is None
    micro = MicroBatches(build(NETWORK))
    with pytest.raises(RuntimeError, match="shapes differ"):
        micro.gradient(IMAGES, lambda part: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    assert micro.note is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's address space")
def test_memory_that_is_short():
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.backends.short_of_memory"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    def learned(name):
        return [record["training_loss"] for record in found[name]["curve"]], found[name]["error"]

    assert "reason" not in found["whole"]
    assert found["short"]["reason"] == (
        "out of memory: batches were taken in parts, each with norms of its own: 250 of 500 images from step 1 on"
    )
    # What the failed step had done is undone, to the last bit; and parts are another training, which is why it is said.
    assert learned("short") == learned("halves")
    assert learned("short") != learned("whole")

    assert found["judged in parts"]["reason"].startswith("out of memory: images were judged in smaller batches, of ")
    assert learned("judged in parts") == learned("judged whole")

    assert found["hopeless"]["status"] == "failed"
    reason = found["hopeless"]["reason"]
    assert reason.startswith("out of memory: step 1 does not fit with 3 of its 3 images at a time (")
    assert "allocate memory" in reason
    assert "\n" not in reason
    assert learned("after") == learned("whole")
