"""What only a CUDA device can show: a replayed graph gives the plain steps' numbers, near the processor's."""

import dataclasses
import subprocess
import sys

import pytest
import torch

from netspace.backends import torch_images
from netspace.backends.torch_devices import find_device
from netspace.backends.torch_graph import WARM_UP, Replayed
from netspace.backends.torch_training import TorchBackend, train
from netspace.training.checkpoint import Checkpoint
from netspace.training.trial import Trial
from tests.backends.test_torch_device_steps import ALL, PLAIN, SPEC, data, learned, same

__all__ = ["data"]

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def trial_on(data, device="cuda", kernels="torch", **changes):
    recipe = dataclasses.replace(PLAIN, **changes)
    return Trial(network=SPEC, recipe=recipe, data=data.fingerprint, device=device, kernels=kernels)


def losses(result):
    return [record.training_loss for record in result.curve]


def test_a_graph_replays_what_was_captured_once_each_time():
    total = torch.zeros((), device="cuda")
    replayed = Replayed(find_device("cuda"))
    for _ in range(WARM_UP + 4):
        replayed(lambda: total.add_(1))
    assert replayed._graph is not None
    assert total.item() == WARM_UP + 4


@pytest.mark.parametrize("kernels", ["torch", "contiguous"])
@pytest.mark.parametrize("changes", [{}, ALL, {"precision": "bfloat16"}, {"average_epochs": 0.5}])
def test_graphs_give_the_plain_steps_numbers(data, kernels, changes):
    asked = trial_on(data, kernels=kernels, **changes)
    graph, plain, again = (train(asked, data, capture=capture) for capture in (True, False, True))
    assert losses(graph) == losses(plain) == losses(again)
    assert graph.error == plain.error == again.error


def test_float32_is_near_the_processors(data):
    """Without dropout, whose numbers every device draws by itself; over few steps, for rounding grows."""
    spec = dataclasses.replace(SPEC, dropout=0.0)
    found = {}
    for device in ("cpu", "cuda"):
        asked = dataclasses.replace(trial_on(data, device, epochs=1, flip=True, shift=1, mixup=0.4), network=spec)
        found[device] = train(asked, data)
    assert losses(found["cuda"]) == pytest.approx(losses(found["cpu"]), rel=1e-3)


def test_images_that_do_not_fit_are_copied_batch_by_batch(data, monkeypatch):
    whole = train(trial_on(data, **ALL), data)
    monkeypatch.setattr(torch_images, "copied", lambda *given: None)
    assert losses(train(trial_on(data, **ALL), data)) == losses(whole)


def test_a_training_goes_on_where_it_stopped(data, tmp_path):
    asked = trial_on(data, epochs=4)
    whole = train(asked, data)
    checkpoint = Checkpoint(tmp_path, asked, {}, every=0.0)

    def stop(record):
        checkpoint.stop = record.epoch == 2

    with pytest.raises(RuntimeError):
        train(asked, data, on_epoch=stop, checkpoint=checkpoint)
    rest = train(asked, data, checkpoint=Checkpoint(tmp_path, asked, {}, every=0.0))
    assert losses(rest) == losses(whole)


def test_memory_that_is_short_is_a_failure_in_words(data):
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(torch.cuda.memory_reserved() / total)
    try:
        found = TorchBackend().train(trial_on(data, batch_size=100), data)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert found.status == "failed"
    assert found.reason.startswith("out of memory: ")
    assert TorchBackend().train(trial_on(data), data).reason is None


def test_the_processor_gives_the_same_beside_it(data):
    before = learned(data, None)
    train(trial_on(data), data)
    same(before, learned(data, None))


def test_the_benchmark_runs():
    command = [sys.executable, "benchmarks/gpu.py", "examples/digits.toml", "--networks", "2", "--processes", "1,2"]
    short = ["--rounds", "1", "--steps", "4", "--large-resolution", "64", "--large-batch", "8"]
    done = subprocess.run([*command, *short], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
