"""Commands about studies: run one, say how far it is, compare its spaces, write its page."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netspace.cli.options import (
    AccuracyName,
    Address,
    AsJson,
    ErrorName,
    ExecutorName,
    Grace,
    InPercent,
    Insecure,
    PartOfStudy,
    Sources,
    StorePath,
    Where,
    Workers,
    database,
    where,
)
from netspace.cli.populations import error_column, is_table, read_sources
from netspace.cli.progress import print_run, progress_display
from netspace.cli.results import (
    counts,
    distribution_row,
    last_epoch,
    print_assisted,
    print_comparison,
    print_effects,
    print_looks,
    print_paths,
    print_status,
    verdict_row,
    without_infinities,
)
from netspace.cli.rungs import named_rung, print_rungs, print_weights, rung_counts, rungs_to_run
from netspace.cli.tables import console, print_json
from netspace.errors import ExecutionError, InputError
from netspace.execution.executor import GRACE

if TYPE_CHECKING:
    from netspace.storage.outcomes import Outcomes
    from netspace.storage.population import Population
    from netspace.studies.study import Study

app = typer.Typer()

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
"""What stops a run: Ctrl-C, a machine that goes down, a scheduler's warning, a terminal that is closed."""
REPEATED = (signal.SIGUSR1, signal.SIGHUP)
"""Those of them that come more than once by themselves: a second one is no more than the first."""

ASSISTED_ELSEWHERE = (
    "this study planned to look at covariates too, which takes its store and may have decided what is undecided here: "
    "`netspace store import` makes the store of a JSON or Parquet export, and `netspace compare` reads it"
)
"""What is said of an export whose plan a table cannot serve to the full."""


@app.command(epilog="Example: netspace run examples/digits.toml")
def run(
    study_file: Annotated[
        Path, typer.Argument(help="The study's TOML file, or its output folder.", metavar="STUDY.toml")
    ],
    output: Annotated[Path | None, typer.Option(help="Folder of store, page and figures.")] = None,
    store: Annotated[
        Where | None,
        typer.Option(help="A postgresql:// URL for the store, instead of that folder.", metavar="URL", parser=where),
    ] = None,
    workers: Workers = None,
    grace: Grace = GRACE,
    add: Annotated[
        int | None, typer.Option("--add", help="Grow a study that is done: so many networks more of every space.")
    ] = None,
    executor: ExecutorName = None,
    address: Address = None,
    insecure: Insecure = False,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of a named data set's files.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch a missing data set.")] = False,
    until_decided: Annotated[
        bool,
        typer.Option("--until-decided", help="Stop at the planned look (comparison.looks) that decides all pairs."),
    ] = False,
    part: PartOfStudy = None,
    reuse: Annotated[
        list[Where] | None,
        typer.Option(help="Take results of equal trials from this store, of any study; may be repeated.", parser=where),
    ] = None,
) -> None:
    """Draw, train, store, compare and report; then train the study's rungs and checks. Run it again to continue.

    Ctrl-C, SIGTERM, SIGUSR1 and a closed terminal stop it: within the grace, networks in training end or are saved at
    the end of their epoch, and the next run goes on with them. A second Ctrl-C or SIGTERM stops it at once.
    """
    from netspace.studies.telling import looks_in_words

    study = _open(study_file, output, database(store))
    if add is not None:
        study.grow(add)
    if study.growth is not None:
        console().print(f"networks: {study.growth.in_words}", soft_wrap=True)
    where_trained = study.spec.execution.changed(executor, address, insecure=insecure)
    if until_decided and study.spec.looks:
        console().print(looks_in_words(study.spec), soft_wrap=True)
    checks = {f"check {name}: ": check for name, check in study.checks().items()}
    rungs = rungs_to_run(study)  # also for a part, since it may not grow a study whose rungs cannot
    rungs = rungs if part is None else {}  # they wait for all parts
    with stop_on_signal(grace) as should_stop:  # one wish for all: what comes after a stopped study does not begin
        for what, one in {"": study, **rungs, **checks}.items():
            with progress_display(what) as display:
                done = one.run(
                    executor=where_trained,
                    workers=workers,
                    grace=grace,
                    data_dir=data_dir,
                    allow_download=download,
                    on_progress=display,
                    should_stop=should_stop,
                    until_decided=until_decided and one is study,
                    part=part,
                    reuse=reuse or (),
                )
            print_run(done, one.place.name, what if part is None else f"{what}part {part}: ")
            if done.failures and (logs := one.folder / "logs").is_dir():
                console().print(f"{what}what went before failures: {logs}", soft_wrap=True)
            print_weights(one)
            if done.remaining:
                raise typer.Exit(1)
            if one is study:
                progress = done
                if part is None:
                    _show_comparison(study)
    if part is not None:
        return
    print_paths(study.report())
    if progress.best_error is None:
        raise ExecutionError("no network finished: every one diverged or failed; the page names the reasons")


@app.command(epilog="Example: netspace status runs/digits")
def status(store: StorePath, as_json: AsJson = False) -> None:
    """Say what a store holds: networks drawn, trained, failed, waiting."""
    from netspace.studies.telling import decided_pairs

    study = _open(store)
    populations = study.populations()
    checked, climbed = study.checked(), study.climbed()
    looks: dict[str, Any] = {}
    if study.spec.looks:
        decided = decided_pairs(study.verdicts(), study.assisted() if study.spec.comparison.assisted else ())
        looks = {"looks": list(study.spec.looks), "decided": sorted(map(list, decided))}
    if as_json:
        told = {name: [counts(p) for p in checked.get(name, ())] for name in study.checks()}
        told_rungs = rung_counts(study, climbed)
        print_json(
            {"study": study.spec.name, "spaces": [counts(p) for p in populations], "checks": told} | looks | told_rungs
        )
        return
    print_status(study.spec.name + named_rung(study), populations)
    if looks:
        print_looks(study.spec.looks, len(decided), len(study.spec.pairs))
    print_rungs(study, climbed)
    for name in study.checks():
        if name in checked:
            print_status(f"check {name}", checked[name])
        else:
            print(f"check {name}: not begun")


@app.command(epilog="Example: netspace compare runs/digits, or: netspace compare runs/digits published.csv --percent")
def compare(
    sources: Sources,
    error: ErrorName = None,
    accuracy: AccuracyName = None,
    percent: InPercent = False,
    normalised: Annotated[
        str | None, typer.Option(help="Make spaces alike in this before: flops, params or activations.")
    ] = None,
    effects: Annotated[bool, typer.Option("--effects", help="Show all differences, with their limits.")] = False,
    assisted: Annotated[
        bool, typer.Option("--assisted", help="Beside the verdicts, say which space is better by covariates too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    r"""Compare the spaces of a store: their distributions, and a verdict for every pair.

    Several sources are compared together: studies, and anyone's tables with a row per network and a column of errors.
    With --assisted fresh networks are drawn of every space, and none is trained: what they say of depths, widths and
    complexity takes chance out of the comparison, which then is as sure as with several times as many networks. A study
    that plans its looks plans this too, by `assisted = true` under \[comparison], or goes without.
    """
    from netspace.studies.telling import beside_covariates

    column = error_column(sources, error, accuracy, percent)
    told: dict[str, Any] = {}
    rows, note = None, ""
    if len(sources) == 1 and not is_table(sources[0]):
        study = _open(sources[0])
        populations: Sequence[Population | Outcomes] = study.populations()
        verdicts, looks = study.verdicts(normalised=normalised), study.spec.looks
        title = last_epoch(study.spec.recipe.metric)
        if assisted or study.spec.comparison.assisted:
            rows = study.assisted()
            told = {"assisted": without_infinities(rows)}
    elif assisted:
        raise InputError("--assisted draws fresh networks of a study's spaces, and so takes one store")
    else:
        found = read_sources(sources, column, normalised)
        populations, verdicts, looks = found.populations, found.verdicts, found.looks
        title = "error, by each source's own measure"
        if found.assisted:
            told, note = {"assisted": None}, ASSISTED_ELSEWHERE
    if as_json:
        spaces = without_infinities([distribution_row(population) for population in populations])
        print_json({"spaces": spaces, "verdicts": [verdict_row(verdict) for verdict in verdicts]} | told)
        return
    print_comparison(populations, beside_covariates(verdicts, rows or ()), title, looks)
    if note:
        console().print(note, soft_wrap=True)
    if effects:
        print_effects(verdicts)
    if rows is not None:
        print_assisted(rows)


@app.command(epilog="Example: netspace report runs/digits")
def report(
    store: StorePath,
    output: Annotated[
        Path | None, typer.Option(help="Folder for those of a store in PostgreSQL.", show_default="runs/SCHEMA")
    ] = None,
) -> None:
    """Write the page and the figures beside a store."""
    print_paths(_open(store, output).report())


def _open(source: Where, output: Path | None = None, store: "Where | None" = None) -> "Study":
    from netspace.studies.study import Study  # SciPy and SQLAlchemy, which the commands about networks do without

    return Study.open(source, output=output, store=store)


def _show_comparison(study: "Study") -> None:
    from netspace.studies.telling import beside_covariates

    rows = study.assisted() if study.spec.comparison.assisted else ()
    title = last_epoch(study.spec.recipe.metric)
    print_comparison(study.populations(), beside_covariates(study.verdicts(), rows), title, study.spec.looks)
    print_assisted(rows)


@contextmanager
def stop_on_signal(grace: float, *, here: bool = False) -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C, or another of `STOPPING`, into a wish to stop; a second Ctrl-C interrupts as usual.

    Before anybody has asked for wishes, while data are read and networks drawn, the first one interrupts. Where the
    work is done `here`, and not by workers that can be ended, the end of the grace interrupts it.
    """
    asked = False
    wished = False

    def wish(number: int, frame: Any) -> None:
        nonlocal wished
        if wished and number in REPEATED:
            return
        if wished or not asked:
            raise KeyboardInterrupt
        wished = True
        if here:
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            signal.setitimer(signal.ITIMER_REAL, max(grace, 1e-3))  # of no time would be never
        said = f"stopping; what is finished is stored, what is not has {grace:g} s to be saved; once more ends at once"
        with contextlib.suppress(OSError):  # not by print, which may be what was interrupted
            os.write(sys.stderr.fileno(), f"netspace: {said}\n".encode())

    def should_stop() -> bool:
        nonlocal asked
        asked = True
        return wished

    heard = [number for number in STOPPING if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, wish) for number in heard}  # `nohup` ignores a terminal's end
    try:
        yield should_stop
    finally:
        if here:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number, handler in before.items():
            signal.signal(number, handler)
