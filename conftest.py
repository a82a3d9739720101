"""What pytest looks into: a backend's modules, for doctests, only where their framework is installed.

To pass over what cannot be imported (`--doctest-ignore-import-errors`) would leave half of it among the modules, where
the tests of a missing framework find it.
"""

from importlib.util import find_spec

FRAMEWORKS = {"jax": "flax", "mxnet": "mxnet", "tensorflow": "keras"}
collect_ignore_glob = [
    f"src/netspace/backends/{name}_*.py" for name, framework in FRAMEWORKS.items() if find_spec(framework) is None
]
