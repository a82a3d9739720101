"""The chapter's RegNetX32 in PyTorch, with a plain training loop: python examples/chapter/regnetx32_torch.py"""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import netspace as ns
from netspace.training.data import DataChoice, load

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", default="fashion_mnist", help="or digits")
parser.add_argument("--resolution", type=int, default=96)
parser.add_argument("--share", type=float, default=1.0, help="of the training images")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()

network = ns.build(ns.network("regnetx32"))  # an nn.Module
x = torch.zeros(1, 1, 96, 96)
for part in (network.stem, *network.stages, network.head):
    x = part(x)
    print(type(part).__name__, "output shape:", tuple(x.shape))
print(f"{sum(p.numel() for p in network.parameters()):,} parameters")

data = load(DataChoice(name=options.data, resolution=options.resolution, training_share=options.share))
splits = [
    (torch.tensor(s.images).permute(0, 3, 1, 2), torch.tensor(s.labels)) for s in (data.training, data.validation)
]
training, validation = (TensorDataset(*split) for split in splits)
mean, std = 255 * data.mean[0], 255 * data.std[0]
optimiser = torch.optim.SGD(network.parameters(), lr=0.05)
for epoch in range(options.epochs):
    for x, y in DataLoader(training, batch_size=128, shuffle=True):
        loss = nn.functional.cross_entropy(network.train()((x - mean) / std), y)
        optimiser.zero_grad(), loss.backward(), optimiser.step()
    with torch.no_grad():
        right = sum((network.eval()((x - mean) / std).argmax(1) == y).sum() for x, y in DataLoader(validation, 512))
    print(f"epoch {epoch + 1}: validation accuracy {right / len(validation):.3f}")
