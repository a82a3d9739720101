"""Our C++ operators (`native/`): compiled once with the machine's own compiler, kept, and loaded.

The library is kept in the user's cache folder under a name that holds the digest of all that decides it: sources,
compiler, PyTorch, processor. It is written aside and renamed, so that processes which compile at once do no harm, and
a folder that machines share serves each of them. One that others may write is refused, since a library is code.
"""

import functools
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import torch

from netspace.errors import ExecutionError

FOLDER = Path(__file__).with_name("native")
SOURCES = tuple(FOLDER / name for name in ("norms.cpp", "products.cpp", "grouped.cpp"))
HEADER = FOLDER / "pairs.h"
FLAGS = ("-O3", "-march=native", "-std=c++20", "-fPIC", "-fno-math-errno", "-Wno-psabi")
COMPILERS = ("c++", "g++", "clang++")
CACHE_VARIABLE = "XDG_CACHE_HOME"


@functools.cache
def load_operators() -> None:
    """Make `torch.ops.netspace` known to this process, compiling it where that has not been done yet.

    Raises: ExecutionError where there is no compiler, or it fails; the sentence says which.
    """
    try:
        path = library_path()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_own(path.parent)
        if not path.exists():
            _compile(path)
        torch.ops.load_library(path)  # type: ignore[no-untyped-call]
    except OSError as problem:
        raise ExecutionError(f"the native operators cannot be kept or loaded ({problem})") from None


@functools.cache
def has_products() -> bool:
    """Return whether the processor multiplies pairs in bfloat16, so that there are `pointwise` and `grouped`.

    Raises: ExecutionError without a compiler.
    """
    load_operators()
    return hasattr(torch.ops.netspace, "pointwise")


def missing_operators() -> str | None:
    """Return why this machine has no native operators, in words; None where it has them."""
    try:
        load_operators()
    except ExecutionError as problem:
        return str(problem)
    return None


def library_path() -> Path:
    """Return where the library is, or will be. Raises: ExecutionError where there is no compiler, or no place."""
    sources = [source.read_text(encoding="utf-8") for source in (*SOURCES, HEADER)]
    parts = (*sources, *FLAGS, _compiler_version(), torch.__version__, _processor())
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    try:
        cache = Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache")
    except RuntimeError:
        raise ExecutionError(
            f"the native operators cannot be kept (this user has no home folder; set {CACHE_VARIABLE} to a folder)"
        ) from None
    return cache / "netspace" / f"operators-{digest}.so"


def _check_own(folder: Path) -> None:
    """Check that nobody else may put code into a folder. Raises: ExecutionError."""
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ExecutionError(
            f"folder {str(folder)!r} is not this user's alone, and the native operators in it are code; make it so "
            f"(chmod 700), or set {CACHE_VARIABLE} to another folder"
        )


def _compile(path: Path) -> None:
    from torch.utils.cpp_extension import include_paths, library_paths  # slow to import

    compiler = [_compiler(), *FLAGS]
    found = [f"-I{folder}" for folder in include_paths()]
    linked = [*(f"-L{folder}" for folder in library_paths()), "-lc10", "-ltorch_cpu", "-ltorch"]
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        objects = {source: str(Path(folder) / f"{source.stem}.o") for source in SOURCES}
        _finish([[*compiler, *found, "-c", str(source), "-o", made] for source, made in objects.items()])
        library = Path(folder) / path.name
        _finish([[*compiler, "-shared", *objects.values(), *linked, "-o", str(library)]])
        library.replace(path)


def _finish(commands: list[list[str]]) -> None:
    """Run commands of the compiler beside one another. Raises: ExecutionError where one fails."""
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    said = [process.communicate()[1] for process in running]
    for process, words in zip(running, said, strict=True):
        if process.returncode:
            why = next((line for line in words.splitlines() if "error" in line), "no message")
            raise ExecutionError(f"the C++ compiler {_compiler()!r} cannot compile the native operators: {why}")


def _compiler() -> str:
    """Return the program of `CXX`, or else the first known one. Raises: ExecutionError."""
    named = os.environ.get("CXX")
    for name in (named,) if named else COMPILERS:
        found = shutil.which(name)
        if found:
            return found
    raise ExecutionError(f"there is no C++ compiler ({f'CXX={named}' if named else ', '.join(COMPILERS)})")


def _compiler_version() -> str:
    done = subprocess.run([_compiler(), "--version"], capture_output=True, text=True)
    return done.stdout


def _processor() -> str:
    """Return what the processor can do, in the system's words, so that code for another one is never loaded."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())
