"""The chapter's RegNetX32 in MXNet, trained by Gluon: python examples/chapter/regnetx32_mxnet.py"""

import argparse

from mxnet import autograd, gluon, np, npx

import netspace as ns
from netspace.training.data import DataChoice, load

npx.set_np()
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", default="fashion_mnist", help="or digits")
parser.add_argument("--resolution", type=int, default=96)
parser.add_argument("--share", type=float, default=1.0, help="of the training images")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()

network = ns.build(ns.network("regnetx32"), backend="mxnet")  # a gluon.HybridBlock
x = np.zeros((1, 1, 96, 96))
for part in (network.stem, *network.stages, *network.head):
    x = part(x)
    print(type(part).__name__, "output shape:", x.shape)
learned = [p for p in network.collect_params().values() if p.grad_req != "null"]
print(f"{sum(p.data().size for p in learned):,} parameters")

data = load(DataChoice(name=options.data, resolution=options.resolution, training_share=options.share))
splits = (data.training, data.validation)
training, validation = (gluon.data.ArrayDataset(s.images.transpose(0, 3, 1, 2), s.labels) for s in splits)
mean, std = 255 * data.mean[0], 255 * data.std[0]
network.hybridize()
trainer = gluon.Trainer(network.collect_params(), "sgd", {"learning_rate": 0.05})
for epoch in range(options.epochs):
    for x, y in gluon.data.DataLoader(training, batch_size=128, shuffle=True):
        with autograd.record():
            loss = gluon.loss.SoftmaxCrossEntropyLoss()(network((x.astype("float32") - mean) / std), y)
        loss.backward(), trainer.step(len(y))
    held_out = gluon.data.DataLoader(validation, batch_size=512)
    right = sum((network((x.astype("float32") - mean) / std).argmax(axis=1) == y).sum().item() for x, y in held_out)
    print(f"epoch {epoch + 1}: validation accuracy {right / len(validation):.3f}")
