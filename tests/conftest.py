"""What holds for all tests: how long an example of Hypothesis takes says nothing where processes share cores."""

import os

import pytest
from hypothesis import settings

from tests.postgresql import running
from tests.ray_cluster import running as ray_running

settings.register_profile("netspace", deadline=None)
settings.load_profile("netspace")

# JAX takes its number of threads once, when the first test starts it.
os.environ.setdefault("PJRT_NPROC", "1")
# TensorFlow too, and a network is built before it is trained.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


@pytest.fixture(scope="session")
def postgresql():
    """A server of PostgreSQL, which starts when the first test asks for it; where it cannot, these are skipped."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def ray_cluster():
    """A Ray cluster, which starts when the first test asks for it; without Ray these are skipped."""
    with ray_running() as cluster:
        yield cluster
