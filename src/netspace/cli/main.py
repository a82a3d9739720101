"""The `netspace` command: its parts put together, and every error of ours told in one sentence.

Exit codes: 0 done, 1 failed or stopped, 2 wrong usage.
"""

import io
import os
import signal
import sys
import traceback
import warnings
from typing import Annotated, Any, TextIO

import typer

from netspace import __version__
from netspace.cli import (
    assumptions,
    bench,
    importance,
    networks,
    pick,
    predicting,
    principles,
    ranges,
    rungs,
    samplesize,
    scale,
    serve,
    spaces,
    stores,
    studies,
    submit,
    training,
)
from netspace.errors import FallbackWarning, NetspaceError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Design network design spaces: sample networks, train them cheaply, compare spaces by their errors.",
)

for part in (
    networks,
    training,
    predicting,
    spaces,
    studies,
    submit,
    serve,
    ranges,
    importance,
    assumptions,
    principles,
    rungs,
    samplesize,
    pick,
    scale,
):
    app.add_typer(part.app)
app.add_typer(bench.app, name="bench")
app.add_typer(stores.app, name="store")

# The family of wrong words on a command line, which typer exports only by its members.
UsageError: type[Any] = typer.BadParameter.__bases__[0]

INTERRUPTED = 130
"""What typer returns for Ctrl-C."""


def main() -> None:
    """Run the command line; every error of ours is one sentence on standard error."""
    debug = "--debug" in sys.argv
    warnings.showwarning = _tell_warning
    arguments = [word for word in sys.argv[1:] if word != "--debug"] or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a letter that the terminal lacks is no reason to fail
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends as by Ctrl-C
    try:
        code = app(arguments, prog_name="netspace", standalone_mode=False) or 0
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        sys.stdout.flush()
    except (NetspaceError, UsageError, KeyboardInterrupt, typer.Abort, OSError) as problem:
        if debug:
            traceback.print_exc()
        code = _tell(problem)
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(code)


def _tell(problem: BaseException) -> int:
    """Say in one sentence why a command ended; return its exit code."""
    if isinstance(problem, NetspaceError):
        sentence, code = str(problem), problem.exit_code
    elif isinstance(problem, UsageError):
        sentence, code = problem.format_message(), 2
    elif isinstance(problem, OSError):
        sentence, code = f"{problem.strerror or problem}", 1
        # Whoever read our output has gone, or its disk is full; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        sentence, code = "interrupted", 1
    if not isinstance(problem, BrokenPipeError):
        print(f"netspace: {sentence}", file=sys.stderr)
    return code


def _tell_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Say in one sentence what we warn of; others' warnings look as they always do."""
    ours = issubclass(category, FallbackWarning)
    text = f"netspace: {message}\n" if ours else warnings.formatwarning(message, category, filename, lineno, line)
    print(text, end="", file=file or sys.stderr)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"netspace {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command; both have done their work when this is called."""
