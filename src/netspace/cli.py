"""The command line: parse, call, print. Exit codes: 0 done, 1 failed or stopped, 2 wrong usage."""

import dataclasses
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netspace import __version__, terminal, values
from netspace.errors import ExecutionError, InputError, NetspaceError, SpecError
from netspace.networks.complexity import complexity, parts
from netspace.networks.spec import NetworkSpec
from netspace.networks.zoo import NETWORKS, network
from netspace.spaces.budget import Budget, parse_band
from netspace.spaces.catalog import SPACES, space
from netspace.spaces.sample import sample as draw_sample

if TYPE_CHECKING:
    from netspace.study import Study

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Design network design spaces: sample networks, train them cheaply, compare spaces by their errors.",
)

# The family of wrong words on a command line, which typer exports only by its members.
UsageError: type[Any] = typer.BadParameter.__bases__[0]

INTERRUPTED = 130
"""What typer returns for Ctrl-C."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
StorePath = Annotated[Path, typer.Argument(help="A study's output folder or its study.db.", metavar="STORE")]
Resolution = Annotated[int, typer.Option(help="Side of the images [pixels].")]


def main() -> None:
    """Run the command line; every error of ours is one sentence on standard error."""
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"] or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a letter that the terminal lacks is no reason to fail
    try:
        code = app(arguments, prog_name="netspace", standalone_mode=False) or 0
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        sys.stdout.flush()
    except (NetspaceError, UsageError, KeyboardInterrupt, typer.Abort, OSError) as problem:
        if debug:
            traceback.print_exc()
        code = _tell(problem)
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


@app.command("zoo", epilog="Example: netspace zoo --json")
def list_zoo(resolution: Resolution = 224, as_json: AsJson = False) -> None:
    """List the named networks with their complexity."""
    costs = {name: complexity(network(name), resolution) for name in NETWORKS}
    if as_json:
        _print_json({name: values.to_dict(cost) for name, cost in costs.items()})
    else:
        terminal.print_zoo(costs, resolution)


@app.command(epilog="Example: netspace show regnetx32 --resolution 96 --in-channels 1")
def show(
    name: Annotated[str, typer.Argument(help="A name of `netspace zoo`, or a spec in a .json file.")],
    resolution: Resolution = 224,
    in_channels: Annotated[int | None, typer.Option(help="Channels of the images.")] = None,
    num_classes: Annotated[int | None, typer.Option(help="Classes of the head.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a network part by part: output shape, params, flops and activations."""
    spec = _read_spec(Path(name)) if name.endswith(".json") else network(name)
    if in_channels is not None:
        spec = dataclasses.replace(spec, in_channels=in_channels)
    if num_classes is not None:
        spec = dataclasses.replace(spec, num_classes=num_classes)
    lines = parts(spec, resolution)
    if as_json:
        total = values.to_dict(complexity(spec, resolution))
        _print_json({"network": spec.to_dict(), "digest": spec.digest, "parts": values.to_dict(lines)} | total)
    else:
        terminal.print_parts(name, spec, lines, complexity(spec, resolution), resolution)


@app.command("spaces", epilog="Example: netspace spaces")
def list_spaces(as_json: AsJson = False) -> None:
    """List the design spaces with their free parameters and exact sizes."""
    spaces = [space(name) for name in SPACES]
    if as_json:
        _print_json([values.to_dict(s) | {"size": s.size(), "free": s.free_parameters()} for s in spaces])
    else:
        terminal.print_spaces(spaces)


@app.command(epilog="Example: netspace sample anynetx_a -n 5 --flops 360M..400M")
def sample(
    name: Annotated[str, typer.Argument(help="A name of `netspace spaces`.", metavar="SPACE")],
    n: Annotated[int, typer.Option("-n", help="How many networks.")] = 10,
    flops: Annotated[str | None, typer.Option(help="Band of multiply-adds, such as 360M..400M.")] = None,
    params: Annotated[str | None, typer.Option(help="Band of learnable numbers.")] = None,
    activations: Annotated[str | None, typer.Option(help="Band of activations.")] = None,
    resolution: Resolution = 224,
    seed: Annotated[int, typer.Option(help="The first n accepted draws of this seed.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Draw distinct networks of a space inside a budget."""
    bands = {"flops": flops, "params": params, "activations": activations}
    budget = Budget(**{measure: parse_band(text) for measure, text in bands.items() if text is not None})
    taken = draw_sample(space(name), n, seed=seed, resolution=resolution, budget=budget)
    if as_json:
        _print_json(
            {
                "draws": taken.draws,
                "in_band": taken.in_band,
                "acceptance": taken.acceptance,
                "networks": [spec.to_dict() for spec in taken.networks],
                "drawn": list(taken.drawn),
            }
        )
    else:
        terminal.print_sample(taken)


@app.command(epilog="Example: netspace run examples/digits.toml")
def run(
    study_file: Annotated[Path, typer.Argument(help="The study's TOML file.", metavar="STUDY.toml")],
    output: Annotated[Path | None, typer.Option(help="Folder of store, page and figures.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes, instead of the file's.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of a named data set's files.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch a missing data set.")] = False,
) -> None:
    """Draw, train, store, compare and report; run it again to continue where it stopped."""
    from netspace.execution.processes import ProcessExecutor

    study = _open(study_file, output)
    executor = None if workers is None else ProcessExecutor(workers)
    with terminal.progress_display() as display, _stop_on_signal() as should_stop:
        progress = study.run(
            executor=executor,
            data_dir=data_dir,
            allow_download=download,
            on_progress=display,
            should_stop=should_stop,
        )
    terminal.print_run(progress, study.store_path)
    if progress.remaining:
        raise typer.Exit(1)
    _print_comparison(study)
    terminal.print_paths(study.report())
    if progress.best_error is None:
        raise ExecutionError("no network finished: every one diverged or failed; the page names the reasons")


@app.command(epilog="Example: netspace status runs/digits")
def status(store: StorePath, as_json: AsJson = False) -> None:
    """Say what a store holds: networks drawn, trained, failed, waiting."""
    study = _open(store)
    populations = study.populations()
    if as_json:
        _print_json({"study": study.spec.name, "spaces": [terminal.counts(p) for p in populations]})
    else:
        terminal.print_status(study.spec.name, populations)


@app.command(epilog="Example: netspace compare runs/digits")
def compare(store: StorePath, as_json: AsJson = False) -> None:
    """Compare the spaces of a store: their distributions, and a verdict for every pair."""
    study = _open(store)
    if as_json:
        _print_json([terminal.verdict_row(verdict) for verdict in study.verdicts()])
    else:
        _print_comparison(study)


@app.command(epilog="Example: netspace report runs/digits")
def report(store: StorePath) -> None:
    """Write the page and the figures beside a store."""
    terminal.print_paths(_open(store).report())


def _open(path: Path, output: Path | None = None) -> "Study":
    from netspace.study import Study  # SciPy and SQLAlchemy, which the commands about networks do without

    return Study.open(path, output=output)


def _print_comparison(study: "Study") -> None:
    terminal.print_comparison(study.populations(), study.verdicts())


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def _read_spec(path: Path) -> NetworkSpec:
    try:
        return NetworkSpec.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as problem:
        raise InputError(f"network file {str(path)!r} cannot be read ({problem.strerror})") from None
    except ValueError as problem:
        raise SpecError(f"network file {str(path)!r}: {problem}") from None


@contextmanager
def _stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C (or SIGTERM) into a wish to stop; the second one interrupts as usual.

    Before anybody has asked for wishes, while data are read and networks drawn, the first one interrupts.
    """
    asked = False
    wished = False

    def wish(number: int, frame: Any) -> None:
        nonlocal wished
        if wished or not asked:
            raise KeyboardInterrupt
        wished = True
        print("netspace: stopping; what is finished is stored", file=sys.stderr)

    def should_stop() -> bool:
        nonlocal asked
        asked = True
        return wished

    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield should_stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
