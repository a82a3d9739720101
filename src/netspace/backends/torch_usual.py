"""The usual way to train a population, against which `netspace bench train` measures ours; nothing else uses it.

One process, one network after another, all cores as threads, float32, PyTorch's default layout and operators, a
DataLoader that normalises image by image. Networks, recipe, split, augmentation and evaluation are ours: only the way
differs.

    python -m netspace.backends.torch_usual PACK_FOLDER LOADERS < networks.json

reads `{"recipe": ..., "networks": [...]}` and writes the validation errors as a JSON list.
"""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from netspace.backends.torch_augmentation import augment
from netspace.backends.torch_average import Average, evenly
from netspace.backends.torch_images import resized
from netspace.backends.torch_loss import mean_loss
from netspace.backends.torch_mixing import Mixed, Mixing
from netspace.backends.torch_model import build
from netspace.machine import usable_cores
from netspace.networks.spec import NetworkSpec
from netspace.training.data import Dataset
from netspace.training.epochs import EVALUATION_BATCH
from netspace.training.metrics import class_weights, judged
from netspace.training.packs import open_packed
from netspace.training.recipe import TrainingRecipe
from netspace.training.splits import Split


class Images(TorchDataset[tuple[Tensor, int]]):
    """Images of a split as PyTorch's users write it: one at a time, scaled and normalised."""

    def __init__(self, split: Split, data: Dataset) -> None:
        self.split = split
        self.mean = torch.tensor(data.mean).view(-1, 1, 1)
        self.std = torch.tensor(data.std).view(-1, 1, 1)

    def __len__(self) -> int:
        """The number of images."""
        return len(self.split.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return (channels, height, width) in float32, and the label."""
        image = torch.tensor(self.split.images[index]).permute(2, 0, 1).float().div(255)
        return (image - self.mean) / self.std, int(self.split.labels[index])


def train_usually(spec: NetworkSpec, data: Dataset, recipe: TrainingRecipe, loaders: int, device: str = "cpu") -> float:
    """Return the validation error of a network that was trained the usual way, by `loaders` processes for images.

    On another device than the processor, batches are made here and moved there, as they come.
    """
    network = build(spec).to(device)
    pinned = device != "cpu"
    optimiser = torch.optim.SGD(
        network.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    images_of = Images(data.training, data)
    training = DataLoader(
        images_of, recipe.batch_size, shuffle=True, drop_last=True, num_workers=loaders, pin_memory=pinned
    )
    validation = DataLoader(Images(data.validation, data), EVALUATION_BATCH, num_workers=loaders, pin_memory=pinned)
    generator = torch.Generator().manual_seed(0)
    mixing = Mixing(recipe, seed=0)

    def some_images() -> Tensor:
        found: Tensor = network(torch.stack([images_of[i][0] for i in evenly(len(images_of))]).to(device))
        return found

    average = Average(network, some_images) if recipe.average_epochs else None
    weights = class_weights(recipe.class_weights, data.training.labels, data.class_names)
    weighing = None if weights is None else torch.from_numpy(weights).to(device)
    error, step, steps = 1.0, 0, len(training)
    for _ in range(recipe.epochs):
        network.train()
        for images, labels in training:
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate(step, steps)
            batch = resized(augment(images, recipe, generator), recipe.side(step, steps, data.resolution))
            batch, mix = mixing(batch, step)
            mixed = None if mix is None else Mixed(partner=mix.partner.to(device), share=mix.share.to(device))
            logits = network(batch.to(device, non_blocking=True))
            there = labels.to(device, non_blocking=True)
            loss = mean_loss(logits, there, recipe.label_smoothing, weighing, mixed)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if average is not None:
                average.update(recipe.average_weight(step, steps))
            step += 1
        with nullcontext() if average is None else average.in_place():
            error = evaluate_usually(network, validation, recipe.metric, device)
    return error


@torch.no_grad()
def evaluate_usually(
    network: nn.Module, validation: DataLoader[tuple[Tensor, int]], metric: str, device: str = "cpu"
) -> float:
    """Return the error by a recipe's metric, in [0, 1]."""
    network.eval()
    batches = [(network(images.to(device)).argmax(1).cpu() != labels, labels) for images, labels in validation]
    wrong, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return judged(wrong.numpy(), labels.numpy(), metric)


def main(pack: str, loaders: str) -> None:
    """Train the networks of standard input one after the other."""
    asked: dict[str, Any] = json.load(sys.stdin)
    torch.set_num_threads(usable_cores())
    data = open_packed(Path(pack), ("training", "validation"))
    recipe = TrainingRecipe(**asked["recipe"])
    networks = [NetworkSpec.from_dict(plain) for plain in asked["networks"]]
    print(json.dumps([train_usually(network, data, recipe, int(loaders)) for network in networks]))


if __name__ == "__main__":
    main(*sys.argv[1:])
