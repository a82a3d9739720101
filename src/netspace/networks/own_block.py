"""A user's own block: a Python file with two functions, `cost` and `build`, known by its content.

Both take one block's sizes as keywords: `in_width`, `width` [channels] and `stride`; `bottleneck_ratio` and
`group_width` where the function names them; and the block's options. `cost` also takes `in_side` and `out_side`
[pixels] and returns a `Complexity`; the widths are integers or arrays of them, so it holds arithmetic and no
`if` about a width. `build` returns a module of the framework that maps (batch, in_width, in_side, in_side) to
(batch, width, out_side, out_side), and imports the framework inside, so that costs and samples need none.
"""

import ast
import functools
import hashlib
import inspect
import keyword
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from netspace.errors import OwnBlockError, did_you_mean

OF_COST = ("in_width", "width", "stride", "in_side", "out_side")
OF_BUILD = ("in_width", "width", "stride")
OF_STAGE = {"bottleneck_ratio": 1.0, "group_width": None}
"""What a stage may have besides, and the value that says that it has none."""

FRAMEWORKS = ("torch", "jax", "flax", "tensorflow", "keras", "mxnet")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBlock:
    """A block from a Python file; make one with `of`.

    `digest` is that of the file's content, 32 hexadecimal digits of SHA-256: the block is its content and its
    options, wherever the file lies. `options` are numbers that both functions take as keywords.
    """

    file: str = field(default="", compare=False)
    digest: str = ""
    options: Mapping[str, int | float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not (self.file or self.digest):
            raise OwnBlockError("file: missing, and it has no default")
        options = {}
        for name, value in self.options.items():
            if not name.isidentifier() or keyword.iskeyword(name) or name in (*OF_COST, *OF_STAGE):
                raise OwnBlockError(
                    f"options.{name}: must be another name, fit for an argument and not taken by a size"
                )
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise OwnBlockError(f"options.{name} (={value!r}) must be a finite number")
            options[name] = int(value) if value == int(value) else value  # 4 and 4.0 are one option
        object.__setattr__(self, "options", options)

    @classmethod
    def of(cls, file: str | Path, **options: int | float) -> "OwnBlock":
        """Return the block that a file holds now. Raises: OwnBlockError."""
        return cls(file=str(file), options=options).found()

    def found(self, folder: str | Path = "") -> "OwnBlock":
        """Return the block with the path of its file made absolute (from `folder`, or `~`) and its digest filled in.

        Raises: OwnBlockError where there is no such file, or its content is another than the digest says.
        """
        if not self.file:
            raise OwnBlockError("own_block.file: missing; the block is known by its digest alone")
        file = str(Path(folder, os.path.expanduser(self.file)).absolute())
        found = OwnBlock(file=file, digest=self.digest or _digest(_read(file)), options=self.options)
        load(found)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFile:
    """A file that was run: its two functions with the options, and what they take of `OF_STAGE`."""

    file: str
    functions: Mapping[str, Callable[..., Any]]
    takes: tuple[str, ...]

    def call(self, name: Literal["cost", "build"], **sizes: Any) -> Any:
        """Return what a function makes of the sizes. Raises: OwnBlockError, with the line of the file."""
        for size, none in OF_STAGE.items():
            if size not in self.takes:
                given = sizes.pop(size)
                for number in () if given is None else np.unique(given).tolist():
                    if number != none:
                        raise OwnBlockError(
                            f"own block {self.file!r}: {size} (={number:g}) must be left out, for cost names no such "
                            "argument"
                        )
        with telling(self.file, name):
            return self.functions[name](**{size: _read_only(given) for size, given in sizes.items()})


@functools.lru_cache(maxsize=64)
def load(block: OwnBlock) -> BlockFile:
    """Return the functions of a block, checked to take its options; a process runs the file once.

    Raises: OwnBlockError where the file is missing, has changed, cannot be run, or lacks a function.
    """
    if not (block.file and block.digest):
        raise OwnBlockError(
            f"own_block.{'digest' if block.file else 'file'}: missing; OwnBlock.of(file) gives both, and so does "
            "running a study from its TOML file"
        )
    file, content = block.file, _read(block.file)
    if _digest(content) != block.digest:
        raise OwnBlockError(
            f"own block {file!r} has changed: its digest must be {block.digest}, and is {_digest(content)}"
        )
    module = ModuleType(f"netspace_own_block_{block.digest}")
    module.__file__ = file
    with telling(file, "reading"):
        tree = ast.parse(content, file)
        for line, name in _imports(tree.body):
            if name.split(".")[0] in FRAMEWORKS:
                raise OwnBlockError(f"own block {file!r}, line {line}: {name} must be imported inside build")
        sys.modules[module.__name__] = module  # dataclasses and pickles of the file look for it there
        exec(compile(tree, file, "exec"), module.__dict__)
    taken = {name: _parameters(module, file, name) for name in ("cost", "build")}
    takes = tuple(size for size in OF_STAGE if size in taken["cost"])
    for name, sizes in (("cost", OF_COST), ("build", OF_BUILD)):
        given = (*sizes, *takes, *block.options)
        try:
            inspect.signature(getattr(module, name)).bind(**dict.fromkeys(given))
        except TypeError as problem:
            own = [known for known in taken[name] if known not in (*OF_COST, *OF_STAGE)]
            for option in set(block.options).difference(own):
                raise OwnBlockError(
                    f"own block {file!r}: {name} has no option {option!r}{did_you_mean(option, own)}"
                ) from None
            raise OwnBlockError(
                f"own block {file!r}: {name} must take the keywords {', '.join(given)} and need no other ({problem})"
            ) from None
    functions = {name: functools.partial(getattr(module, name), **block.options) for name in taken}
    return BlockFile(file=file, functions=functions, takes=takes)


@contextmanager
def telling(file: str, doing: str) -> Iterator[None]:
    """Tell whatever a user's file raises in one sentence, with its line there. Raises: OwnBlockError."""
    try:
        yield
    except OwnBlockError:
        raise
    except (Exception, SystemExit) as problem:
        lines = [n for frame, n in traceback.walk_tb(problem.__traceback__) if frame.f_code.co_filename == file]
        text = str(problem)
        if isinstance(problem, SyntaxError) and problem.filename == file:
            text, lines = problem.msg, [problem.lineno or 1]
        where = f"{file!r}, line {lines[-1]}" if lines else f"{file!r}"
        raise OwnBlockError(
            f"own block {where}: {doing} failed with {type(problem).__name__}: {' '.join(text.split())}"
        ) from problem


def _imports(statements: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    """Yield (line, module) of the imports that happen when a file is run: none in functions or for types alone."""
    waiting: list[ast.AST] = list(statements)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _parameters(module: ModuleType, file: str, name: str) -> tuple[str, ...]:
    function = getattr(module, name, None)
    if not callable(function):
        sizes = OF_COST if name == "cost" else OF_BUILD
        raise OwnBlockError(f"own block {file!r} must define the function {name}({', '.join(sizes)}, ...)")
    return tuple(inspect.signature(function).parameters)


def _read_only(given: Any) -> Any:
    """Return an array as a view that cannot be written: `width //= 2` would change the networks themselves."""
    if isinstance(given, np.ndarray):
        given = given.view()
        given.flags.writeable = False
    return given


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise OwnBlockError(f"own block {file!r} cannot be read ({reason})") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
