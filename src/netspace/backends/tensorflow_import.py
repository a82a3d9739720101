"""Keras, imported on TensorFlow unless KERAS_BACKEND says otherwise, with what TensorFlow logs below an error left out.

Both variables are read once, at import; the files of this backend take `keras` from here, so that they are set before.
TensorFlow's lines on oneDNN heed no variable but TF_ENABLE_ONEDNN_OPTS, which would change its numbers.
"""

import os

from netspace.errors import InputError

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only

BELOW = ("tensorflow", "jax", "torch")
"""What Keras can train on."""

if os.environ["KERAS_BACKEND"] not in BELOW:
    raise InputError(
        f"KERAS_BACKEND (={os.environ['KERAS_BACKEND']!r}) in the environment must be one of {', '.join(BELOW)}"
    )

import keras  # noqa: E402 - it reads the variables
from keras import layers, ops  # noqa: E402

__all__ = ["keras", "layers", "ops"]
