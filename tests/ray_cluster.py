"""A Ray cluster of our own for a while: a node without processors for the driver, and nodes of one that can be lost.

All are processes of this machine, on its loopback interface, in a folder of a short name, as their sockets need it.
"""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from netspace.execution.ray_cluster import STAY_INSIDE

ROOT = Path(__file__).parent.parent
STORE = 80 * 2**20
"""The smallest store of objects that Ray takes [bytes]."""


class RayCluster:
    """A cluster of some nodes besides the driver's."""

    def __init__(self, folder, nodes=2):
        from ray.cluster_utils import Cluster

        common = {"include_dashboard": False, "node_ip_address": "127.0.0.1", "temp_dir": str(folder)}
        self._node = {"num_cpus": 1, "object_store_memory": STORE}
        self._cluster = Cluster(initialize_head=True, head_node_args=self._node | common | {"num_cpus": 0})
        self.address = self._cluster.address
        self.nodes = []
        self.fill(nodes)

    def fill(self, nodes=2):
        """Add nodes until there are so many."""
        while len(self.nodes) < nodes:
            self.nodes.append(self._cluster.add_node(**self._node, node_ip_address="127.0.0.1"))

    @contextlib.contextmanager
    def node_of_gpus(self, gpus, cpus):
        """Add a node that says it has GPUs, for a while."""
        node = self._cluster.add_node(
            num_gpus=gpus, num_cpus=cpus, object_store_memory=STORE, node_ip_address="127.0.0.1"
        )
        try:
            yield
        finally:
            self._cluster.remove_node(node)

    def actors(self):
        """The processes of the actors on each node."""
        return [pid for node in self.nodes for pid in children(raylet(node)) if "RayWorker" in command(pid)]

    def kill_node(self):
        """Kill a node that has an actor with all that runs there, at once, as if its power were cut."""
        node = next(node for node in self.nodes if any("RayWorker" in command(pid) for pid in children(raylet(node))))
        self.nodes.remove(node)
        for pid in (raylet(node), *below(raylet(node))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self):
        self._cluster.shutdown()


def raylet(node):
    """The process number of a node's raylet."""
    return node.all_processes["raylet"][0].process.pid


def children(pid):
    """The numbers of the processes that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def below(pid):
    """The numbers of all processes that stem from a process."""
    return [found for child in children(pid) for found in (child, *below(child))]


def command(pid):
    """The words of a process, or nothing where it is no more."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def until(condition, seconds=30.0):
    """Wait until something is true, and return it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def ray_folder():
    """A folder for Ray, and an environment in which its workers import what these tests import."""
    if find_spec("ray") is None:  # imported below, once the environment is what Ray is to find
        pytest.skip("Ray is not installed")
    if not sys.platform.startswith("linux"):
        pytest.skip("the cluster's processes are looked for in /proc")
    folder = Path(tempfile.mkdtemp(prefix="ns", dir="/tmp"))
    (folder / "ray").mkdir()  # into which Ray writes its address before it is made
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]))
        patch.setenv(STAY_INSIDE, "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("HOME", str(folder))
        patch.setenv("RAY_TMPDIR", str(folder))
        patch.delenv("RAY_ADDRESS", raising=False)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running():
    """Yield a cluster."""
    with ray_folder() as folder:
        import ray

        made = RayCluster(folder / "ray")
        try:
            yield made
        finally:
            ray.shutdown()
            made.close()
