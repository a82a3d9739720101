"""No code comes out of data, no command out of words: every call of the repository that could do so is known by name.

`docs/security.md` says what is trusted; here the code is held to it, that of tests, examples and pages too.
"""

import ast
import doctest
import itertools
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("src", "benchmarks", "examples", "tests", "docs")

NEVER = {
    "eval": "code out of data",
    "exec": "code out of data",
    "compile": "code out of data",
    "pickle.load": "code out of data",
    "pickle.loads": "code out of data",
    "pickle.Unpickler": "code out of data",
    "pandas.read_pickle": "code out of data",
    "torch.jit.load": "code out of data",
    "torch.hub.load": "code out of data",
    "torch.package": "code out of data",
    "keras.models.load_model": "code out of data",
    "keras.saving.load_model": "code out of data",
    "shelve": "code out of data",
    "marshal": "code out of data",
    "joblib": "code out of data",
    "dill": "code out of data",
    "cloudpickle": "code out of data",
    "multiprocessing": "code out of data",
    "yaml.load": "code out of data",
    "yaml.unsafe_load": "code out of data",
    "yaml.full_load": "code out of data",
    "os.system": "a command out of words",
    "os.popen": "a command out of words",
    "subprocess.getoutput": "a command out of words",
    "subprocess.getstatusoutput": "a command out of words",
    "hashlib.md5": "a weak hash",
    "hashlib.sha1": "a weak hash",
    "hashlib.new": "a hash that is not named",
    "ssl._create_unverified_context": "a server that is not checked",
    "tempfile.mktemp": "a file that another may make first",
    "shutil.unpack_archive": "an archive unpacked unseen",
}
"""What has to do with names: a call, or any other mention, and an import."""

KNOWN = {
    ("src/netspace/networks/own_block.py", "exec"): "a user's own block is a program, and runs by design",
    ("src/netspace/networks/own_block.py", "compile"): "the same",
    ("src/netspace/backends/checkpoints.py", "torch.load"): "plain data alone: weights_only=True",
    ("src/netspace/execution/process.py", "multiprocessing"): "the pipe to a worker that this process has started",
    ("src/netspace/execution/processes.py", "multiprocessing"): "the same: waiting for it",
    ("src/netspace/execution/worker.py", "multiprocessing"): "the same: its other end",
    ("src/netspace/execution/ray_worker.py", "multiprocessing"): "the same: waiting for it, on a host of a cluster",
    ("tests/networks/test_own_block.py", "pickle.loads"): "what that pipe does",
    ("tests/training/test_recipe.py", "pickle.loads"): "what that pipe does",
    ("tests/test_cli.py", "shell"): "a pipeline of a shell is what is tested",
    ("tests/training/test_hub.py", "hashlib.sha1"): "a server of the Hub's kind, which names files so",
}


def dotted(node, known):
    """The full name of an expression, by what was imported; empty where it has none."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (before := dotted(node.value, known)):
        return f"{before}.{node.attr}"
    return ""


def imported(tree):
    """The full names behind the names of a file, and each import with its line."""
    known, lines = {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                known[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
                lines.append((node.lineno, alias.name))
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                lines.append((node.lineno, f"{node.module}.{alias.name}"))
    return known, lines


def is_false(node):
    return isinstance(node, ast.Constant) and node.value is False


def is_text(node):
    text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return text or isinstance(node, ast.JoinedStr | ast.BinOp)


def of_call(node, name):
    """Yield what is wrong with a call by its arguments."""
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    if name == "torch.load" and not (
        isinstance(given.get("weights_only"), ast.Constant) and given["weights_only"].value
    ):
        yield "torch.load without weights_only"
    if "allow_pickle" in given and not is_false(given["allow_pickle"]) and not name.endswith(".save"):
        yield "allow_pickle"
    if "shell" in given and not is_false(given["shell"]):
        yield "shell"
    if name.startswith("subprocess.") and node.args and is_text(node.args[0]) and "shell" not in given:
        yield "a command as one text"
    for check in ("verify", "check_hostname"):
        if check in given and is_false(given[check]):
            yield check
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("extract", "extractall") and "pc." not in name:
        yield "extract"


def dangers(code):
    """Yield (line, rule) of whatever is forbidden in a program, known or not."""
    tree = ast.parse(code)
    known, lines = imported(tree)
    names = [*lines]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from ((node.lineno, rule) for rule in of_call(node, dotted(node.func, known)))
        if isinstance(node, ast.Name | ast.Attribute):
            names.append((node.lineno, dotted(node, known)))
        if isinstance(node, ast.Constant) and node.value == "0.0.0.0":
            yield node.lineno, "every address of the machine"
    for line, name in names:
        for before in itertools.accumulate(name.split("."), "{}.{}".format):
            if before in NEVER or before == "torch.load":
                yield line, before


def programs():
    """Yield path and code of every program: files, cells of notebooks, and what pages show as Python."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "_build" not in path.parts:
                yield path, path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "examples").rglob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        yield path, re.sub(r"^%matplotlib inline$", "", code, flags=re.MULTILINE)
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for shown in re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            yield path, doctest.script_from_examples(shown) if shown.startswith(">>>") else shown


def test_every_program_keeps_to_what_is_known():
    found, strange = set(), []
    for path, code in programs():
        name = path.relative_to(ROOT).as_posix()
        for line, rule in dangers(code):
            found.add((name, rule))
            if (name, rule) not in KNOWN and name != "tests/test_security.py":
                strange.append(f"{name}:{line}: {rule} ({NEVER.get(rule, 'forbidden')})")
    assert strange == []
    assert set(KNOWN) <= found, "what is no longer there needs no exception"


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import pickle as p\np.load(file)", "pickle.load"),
        ("from pickle import loads\nmap(loads, lines)", "pickle.loads"),
        ("import numpy as np\nnp.load(path, allow_pickle=True)", "allow_pickle"),
        ("import torch\ntorch.load(path, weights_only=False)", "torch.load without weights_only"),
        ("from torch import load\nload(path, weights_only=True)", "torch.load"),
        ("import joblib", "joblib"),
        ("from multiprocessing import Pool", "multiprocessing"),
        ("import yaml\nyaml.load(text)", "yaml.load"),
        ("eval(text)", "eval"),
        ("run = exec", "exec"),
        ("import subprocess\nsubprocess.run(words, shell=True)", "shell"),
        ("import subprocess\nsubprocess.run(f'ls {name}')", "a command as one text"),
        ("import os\nos.system('ls')", "os.system"),
        ("import tarfile\ntarfile.open(path).extractall(folder)", "extract"),
        ("import hashlib\nhashlib.md5(content)", "hashlib.md5"),
        ("requests.get(address, verify=False)", "verify"),
        ("server.bind(('0.0.0.0', 80))", "every address of the machine"),
    ],
)
def test_what_is_forbidden_is_seen(code, rule):
    assert rule in {found for _, found in dangers(code)}
