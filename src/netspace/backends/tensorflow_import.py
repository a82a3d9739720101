"""Keras, imported on TensorFlow unless KERAS_BACKEND says otherwise, without TensorFlow's notes on the machine.

Both variables are read once, at import; the files of this backend take `keras` from here, so that they are set before.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only

import keras
from keras import layers, ops

__all__ = ["keras", "layers", "ops"]
