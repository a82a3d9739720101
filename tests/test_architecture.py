"""Arrows point one way: every import is checked against the table, and a fresh interpreter proves the cheap one."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "netspace"

GROUND = {"errors", "values", "checks", "faults", "files", "machine", "privacy"}
MAY_IMPORT = {
    "errors": set(),
    "values": {"errors"},
    "checks": {"errors"},
    "faults": set(),
    "files": {"faults"},
    "machine": set(),
    "privacy": set(),
    "networks": GROUND,
    "spaces": GROUND | {"networks"},
    "stats": {"errors"},
    "training": GROUND | {"networks", "execution"},
    "backends": GROUND | {"networks", "training"},
    "execution": {"errors", "checks"},
    "storage": GROUND | {"__version__", "networks", "training"},
    "findings": GROUND | {"networks", "spaces", "stats", "storage", "training"},
    "report": GROUND | {"networks", "spaces", "stats", "storage", "training", "findings"},
    "ladder": {"errors", "checks", "networks", "spaces", "training"},
    "choices": {"errors", "checks", "networks", "spaces", "stats", "training"},
    "spec": GROUND | {"execution", "ladder", "networks", "spaces", "stats", "choices", "training"},
    "samples": {"errors", "backends", "findings", "spaces", "spec", "training"},
    "climbing": {"errors", "findings", "ladder", "stats", "storage", "spec"},
    "hosts": {"__version__", "errors", "backends", "training"},
    "settling": {"errors", "backends", "spaces", "spec", "training"},
    "parts": {"errors"},
    "preparing": {"errors", "values", "faults", "growing", "spaces", "storage", "spec", "training"},
    "running": {"errors", "backends", "execution", "faults", "hosts", "networks", "storage", "training"},
    "launching": {
        "errors",
        "backends",
        "execution",
        "hosts",
        "ladder",
        "machine",
        "networks",
        "parts",
        "running",
        "spec",
        "training",
    },
    "single": {"errors", "backends", "networks", "training"},
    "final": GROUND | {"__version__", "backends", "networks", "report", "single", "training"},
    "telling": {
        "errors",
        "values",
        "climbing",
        "findings",
        "ladder",
        "networks",
        "report",
        "spaces",
        "stats",
        "storage",
        "choices",
        "spec",
        "training",
    },
    "growing": {"errors", "values", "spaces", "storage", "spec"},
    "merging": {"errors", "values", "growing", "ladder", "parts", "spec", "storage", "training"},
    "study": GROUND
    | {
        "networks",
        "spaces",
        "stats",
        "training",
        "backends",
        "execution",
        "storage",
        "findings",
        "report",
        "ladder",
        "growing",
        "launching",
        "merging",
        "parts",
        "preparing",
        "running",
        "settling",
        "telling",
        "spec",
        "samples",
        "text",
    },
    "rungs": GROUND
    | {
        "climbing",
        "findings",
        "ladder",
        "launching",
        "networks",
        "preparing",
        "running",
        "spaces",
        "storage",
        "study",
        "spec",
        "text",
        "training",
    },
    "submitting": {"errors", "execution", "launching", "parts", "preparing", "rungs", "storage", "study", "training"},
    "throughput": {"errors", "values", "preparing", "storage", "study", "spec", "text", "training"},
    "text": {"values", "spec"},
    "picking": {
        "errors",
        "backends",
        "findings",
        "networks",
        "spaces",
        "stats",
        "storage",
        "study",
        "training",
    },
    "principles": GROUND
    | {
        "execution",
        "findings",
        "ladder",
        "launching",
        "preparing",
        "running",
        "spaces",
        "stats",
        "storage",
        "study",
        "spec",
        "text",
    },
    "cli": GROUND
    | {
        "__version__",
        "backends",
        "climbing",
        "execution",
        "final",
        "findings",
        "ladder",
        "launching",
        "merging",
        "networks",
        "parts",
        "picking",
        "principles",
        "report",
        "rungs",
        "running",
        "telling",
        "single",
        "spaces",
        "stats",
        "storage",
        "study",
        "submitting",
        "throughput",
        "training",
    },
    "studies": set(),
    "__main__": {"cli"},
    "__init__": {"errors", "networks", "spaces", "stats", "study", "backends", "training"},
}
FRAMEWORKS = {"torch", "jax", "flax", "tensorflow", "keras", "mxnet"}
SLOW_TO_IMPORT = {"ray", "matplotlib", "scipy", "sklearn", "sqlalchemy", "pydantic", "PIL", "jinja2", "typer", "rich"}
HEAVY = FRAMEWORKS | SLOW_TO_IMPORT | {"pyarrow"}


def imports(path):
    """Yield the dotted names that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module in ("netspace", "netspace.studies"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def part(path):
    """Return the row of the table that a file stands in: its folder, or itself at the top and inside studies/."""
    return named(".".join(path.relative_to(SOURCE.parent).with_suffix("").parts))


def named(module):
    """Return the row of a module by its dotted name, such as netspace.studies.ladder."""
    folder, *inside = module.split(".")[1:]
    return inside[0] if folder == "studies" and inside != ["__init__"] else folder


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_file_imports_only_what_its_folder_may(path):
    here = part(path)
    for name in imports(path):
        if name.startswith("netspace."):
            there = named(name)
            assert there == here or there in MAY_IMPORT[here], f"{here} may not import {there}"
        elif name.split(".")[0] in FRAMEWORKS:
            assert here == "backends", f"{name} outside backends"
        elif name.split(".")[0] == "ray":
            assert path.relative_to(SOURCE).match("execution/ray_*.py"), f"{name} outside execution/ray_*.py"


def test_the_table_has_no_part_that_does_not_exist_and_no_circle():
    assert {part(path) for path in FILES} == set(MAY_IMPORT)
    done = {"__version__"}
    while len(done) - 1 < len(MAY_IMPORT):
        ready = {name for name, below in MAY_IMPORT.items() if name not in done and below <= done}
        assert ready, f"a circle among {sorted(set(MAY_IMPORT) - done)}"
        done |= ready


def fresh(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_netspace_loads_nothing_heavy():
    code = "import sys, netspace; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    assert not HEAVY & set(fresh(code).split())


def test_a_network_can_be_described_without_a_framework():
    code = (
        "import sys, netspace as ns;"
        "spec = ns.network('regnetx_400mf'); ns.complexity(spec); ns.space('regnetx').sample(2);"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    assert not HEAVY & set(fresh(code).split())


def test_the_public_names_are_these():
    import netspace

    assert netspace.__all__ == sorted(netspace.__all__)
    for name in netspace.__all__:
        assert getattr(netspace, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = netspace.nothing


def test_no_file_outgrows_its_idea():
    assert [path for path in FILES if len(path.read_text().splitlines()) > 400] == []


def test_every_file_says_its_idea_first():
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"
