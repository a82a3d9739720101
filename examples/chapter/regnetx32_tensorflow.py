"""The chapter's RegNetX-32 in TensorFlow: built, summed up and trained as a Keras model.

python examples/chapter/regnetx32_tensorflow.py --epochs 10 --share 1.0
"""

import argparse
import math

import keras

import netspace as ns
from netspace.training.data import DataChoice, load

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", default="fashion_mnist", help="or digits")
parser.add_argument("--resolution", type=int, default=96)
parser.add_argument("--share", type=float, default=1.0, help="of the training images")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()

network = ns.build(ns.network("regnetx32"), backend="tensorflow")
x = keras.ops.zeros((1, 96, 96, 1))
for part in (network.stem, *network.stages, network.head):
    x = part(x)
    print(f"{part.name} output shape: {tuple(x.shape)}")
print(f"{sum(math.prod(weight.shape) for weight in network.trainable_weights):,} parameters")

data = load(DataChoice(name=options.data, resolution=options.resolution, training_share=options.share))
mean, std = 255 * data.mean[0], 255 * data.std[0]
model = keras.Sequential([keras.layers.Rescaling(1 / std, offset=-mean / std), network])
model.compile(
    optimizer=keras.optimizers.SGD(0.05),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
    jit_compile=False,  # on a CPU, XLA is slower here
)
training, validation = data.training, data.validation
model.fit(training.images, training.labels, 128, options.epochs, validation_data=(validation.images, validation.labels))
