"""What holds for all tests: how long an example of Hypothesis takes says nothing where processes share cores."""

import os

from hypothesis import settings

settings.register_profile("netspace", deadline=None)
settings.load_profile("netspace")

# JAX takes its number of threads once, when the first test starts it.
os.environ.setdefault("PJRT_NPROC", "1")
# TensorFlow too, and a network is built before it is trained.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
