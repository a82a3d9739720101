"""What `test_torch_memory.py` starts: trainings in a process whose memory is limited for real.

    MALLOC_MMAP_THRESHOLD_=65536 python -m tests.backends.short_of_memory

prints a JSON object of results. That setting has glibc give memory back at once, so that what is in use is what counts.
"""

import json
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np

from netspace import values
from netspace.backends import torch_training
from netspace.backends.torch_memory import MicroBatches
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.data import DataChoice, load
from netspace.training.recipe import TrainingRecipe
from netspace.training.splits import Split
from netspace.training.trial import Trial

NETWORK = NetworkSpec(
    stages=(Stage(depth=1, width=32, group_width=8), Stage(depth=1, width=32, group_width=8)),
    stem=Stem(width=32, stride=1),
    num_classes=10,
    in_channels=1,
    dropout=0.2,
)
RECIPE = TrainingRecipe(epochs=1, batch_size=500, learning_rate=0.1, mixup=0.2)


class Halves(MicroBatches):
    """Two parts from the first step on."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.parts = 2


def address_space(field):
    """The address space [bytes] of this process: VmSize now, VmPeak at its largest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def main():
    data = load(DataChoice(name="digits"))
    trial = Trial(network=NETWORK, recipe=RECIPE, data=data.fingerprint)
    backend = torch_training.TorchBackend()

    def train(limit, trial=trial, data=data):
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        try:
            return backend.train(trial, data)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    torch_training.MicroBatches = Halves
    found = {"halves": train(resource.RLIM_INFINITY)}
    of_halves = address_space("VmPeak")
    torch_training.MicroBatches = MicroBatches
    found["whole"] = train(resource.RLIM_INFINITY)
    of_whole = address_space("VmPeak")
    found["short"] = train((of_halves + of_whole) // 2)

    few = replace(trial, recipe=replace(RECIPE, batch_size=20))
    found["judged whole"] = train(resource.RLIM_INFINITY, few)
    for mebibytes in range(14, 6, -1):  # what it takes depends a little on the machine
        found["judged in parts"] = train(address_space("VmSize") + mebibytes * 2**20, few)
        if found["judged in parts"].reason:
            break

    images = np.zeros((4, 256, 256, 1), np.uint8)
    split = Split(images=images, labels=np.zeros(4, np.int64))
    large = replace(data, training=split, validation=split, test=None)
    small = replace(trial, recipe=replace(RECIPE, batch_size=3))
    found["hopeless"] = train(address_space("VmSize") + 2**22, small, large)
    found["after"] = train(resource.RLIM_INFINITY)
    print(json.dumps({name: values.to_dict(result) for name, result in found.items()}))


if __name__ == "__main__":
    main()
