"""The chapter's RegNetX-32 in JAX, trained with Flax NNX and optax: python examples/chapter/regnetx32_jax.py"""

import argparse

import numpy as np
from flax import nnx
from optax import sgd
from optax import softmax_cross_entropy_with_integer_labels as cross_entropy

import netspace as ns
from netspace.training.data import DataChoice, load

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", default="fashion_mnist", help="or digits")
parser.add_argument("--resolution", type=int, default=96)
parser.add_argument("--share", type=float, default=1.0, help="of the training images")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()
model, image = ns.build(ns.network("regnetx32"), backend="jax"), np.zeros((1, 96, 96, 1), np.float32)
shapes = nnx.eval_shape(lambda model: (model.stem(image), *model.features(image), model(image)), model)
for name, part in zip(("stem", "stage 1", "stage 2", "head"), shapes, strict=True):
    print(f"{name} output shape: {part.shape}")
print(f"{sum(number.size for _, number in nnx.to_flat_state(nnx.state(model, nnx.Param))):,} parameters")
data = load(DataChoice(name=options.data, resolution=options.resolution, training_share=options.share))
mean, std = 255 * data.mean[0], 255 * data.std[0]
optimizer = nnx.Optimizer(model, sgd(0.05), wrt=nnx.Param)
predict = nnx.jit(lambda model, images: nnx.view(model, use_running_average=True)((images - mean) / std).argmax(1))


@nnx.jit
def train_step(model, optimizer, images, labels):
    """Take one step; it is compiled once."""
    optimizer.update(model, nnx.grad(lambda model: cross_entropy(model((images - mean) / std), labels).mean())(model))


for epoch in range(options.epochs):
    for batch in np.random.default_rng(epoch).choice(len(data.training), (len(data.training) // 128, 128), False):
        train_step(model, optimizer, data.training.images[batch], data.training.labels[batch])
    found = [predict(model, images) for images in np.array_split(data.validation.images, 10)]
    print(f"epoch {epoch + 1}: validation accuracy {np.mean(np.concatenate(found) == data.validation.labels):.3f}")
