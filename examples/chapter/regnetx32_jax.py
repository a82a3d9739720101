"""The chapter's RegNetX-32 in JAX, trained with Flax NNX and optax: python examples/chapter/regnetx32_jax.py"""

import argparse

import numpy as np
from flax import nnx
from optax import sgd
from optax import softmax_cross_entropy_with_integer_labels as cross_entropy

import netspace as ns
from netspace.training.data import DataChoice, load

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", default="fashion_mnist", help="or digits, or folder:PATH")
parser.add_argument("--resolution", type=int, default=96)
parser.add_argument("--share", type=float, default=1.0, help="of the training images")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()
model = ns.build(ns.network("regnetx32"), backend="jax")
image = np.zeros((1, 96, 96, 1), np.float32)
shapes = nnx.eval_shape(lambda model: (model.stem(image), *model.features(image), model(image)), model)
for name, part in zip(("stem", "stage 1", "stage 2", "head"), shapes, strict=True):
    print(f"{name} output shape: {part.shape}")
print(f"{sum(number.size for _, number in nnx.to_flat_state(nnx.state(model, nnx.Param))):,} parameters")
optimizer = nnx.Optimizer(model, sgd(0.05), wrt=nnx.Param)


@nnx.jit
def train_step(model, optimizer, images, labels):
    """Take one step and return its loss; it is compiled once."""
    loss, gradients = nnx.value_and_grad(lambda model: cross_entropy(model(images / 255), labels).mean())(model)
    optimizer.update(model, gradients)
    return loss


data = load(DataChoice(name=options.data, resolution=options.resolution, training_share=options.share)).training
for epoch in range(options.epochs):
    order = np.random.default_rng(epoch).permutation(len(data))[: len(data) // 128 * 128].reshape(-1, 128)
    losses = [train_step(model, optimizer, data.images[batch], data.labels[batch]) for batch in order]
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}")
