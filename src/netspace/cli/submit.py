"""The command that hands a study to a cluster: `netspace submit`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from netspace.cli.options import Grace, StoreUrl, database
from netspace.cli.tables import console
from netspace.errors import InputError
from netspace.execution.executor import GRACE

app = typer.Typer()


@app.command(epilog="Example: netspace submit examples/digits.toml --store 'postgresql://me@db/studies' --jobs 8")
def submit(
    study_file: Annotated[Path, typer.Argument(help="The study's TOML file.", metavar="STUDY.toml")],
    store: StoreUrl,
    jobs: Annotated[int, typer.Option(min=1, help="Jobs that share the study's networks.")],
    output: Annotated[Path | None, typer.Option(help="Folder of data, logs and page, on a disk of all nodes.")] = None,
    minutes: Annotated[int, typer.Option(min=1, help="Wall time of a job; one that needs more is requeued.")] = 60,
    cpus: Annotated[int, typer.Option(min=1, help="Cores of a job; as many workers train in it.")] = 1,
    memory_gib: Annotated[float | None, typer.Option(help="Memory of a job.", show_default="the cluster's")] = None,
    gpus: Annotated[int | None, typer.Option(min=1, help="GPUs of a job.", show_default="none")] = None,
    partition: Annotated[str | None, typer.Option(help="Slurm's partition.", show_default="the cluster's")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="Any other option of sbatch, such as account=vision.", metavar="NAME=VALUE"),
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Run the jobs on this machine, and wait for them.")] = False,
    grace: Grace = GRACE,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of a named data set's files.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch a missing data set.")] = False,
) -> None:
    """Submit a study to Slurm: as an array of jobs that train a part of its networks each, into one store.

    The store is in PostgreSQL. Networks are drawn and data packed here and now; each job then is `netspace run` with
    --part. A job that ends early loses only what was in training; the same command submits what has no result yet.
    """
    from netspace.execution.slurm import Resources, ask_to_end
    from netspace.findings.words import count
    from netspace.studies.study import Study
    from netspace.studies.submitting import submit_study

    study = Study.open(study_file, output=output, store=database(store))
    resources = Resources(
        minutes=minutes,
        cpus=cpus,
        memory_gib=memory_gib,
        gpus=gpus,
        partition=partition,
        options=_options(option or []),
    )
    begun = submit_study(
        study,
        study_file,
        jobs=jobs,
        resources=resources,
        local=local,
        grace=grace,
        data_dir=data_dir,
        allow_download=download,
    )
    name = study.place.name
    if not begun.parts:
        console().print(f"nothing to submit: all networks have a result in {name}", soft_wrap=True)
        return
    which = f"part {', '.join(map(str, begun.parts))}" if len(begun.parts) < jobs else count(jobs, "part")
    array = begun.jobs[0].job_id.partition("_")[0]
    where = "jobs on this machine" if local else f"Slurm's job {array}"
    console().print(f"submitted {which} as {where}; their logs: {begun.folder}", soft_wrap=True)
    if not local:
        console().print(f"`netspace status '{name}'` says how far they are", soft_wrap=True)
        return
    try:
        _wait(begun.jobs)
    except KeyboardInterrupt:
        console().print(f"stopping; what is not finished has {grace:g} s to be saved", soft_wrap=True)
        ask_to_end(begun.jobs)
        _wait(begun.jobs)
    drawn = [population for one in (study, *study.checks().values()) for population in one.populations()]
    waiting = sum(result is None for population in drawn for result in population.results)
    if waiting:
        left = f"{count(waiting, 'network')} without a result; the same command submits what is left"
        console().print(left, soft_wrap=True)
        raise typer.Exit(1)
    console().print(f"all networks have a result in {name}", soft_wrap=True)


def _wait(jobs: Sequence[Any]) -> None:
    for job in jobs:
        job.wait()


def _options(words: list[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"option (={word!r}) must be NAME=VALUE, such as account=vision")
        found[name] = value
    return found
