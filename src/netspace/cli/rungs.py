"""The rungs of a study, as a command says them: which there are, how far they are, and what they say of one another."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from netspace import values
from netspace.cli.options import AsJson, StorePath
from netspace.cli.results import counts, print_status, without_infinities
from netspace.cli.tables import console, print_json, print_table, table
from netspace.errors import InputError
from netspace.studies.ladder import leaves_weights

if TYPE_CHECKING:  # `netspace zoo` needs no SciPy and no SQLAlchemy
    from netspace.storage.population import Population
    from netspace.studies.study import Study

app = typer.Typer()


@app.command(epilog="Example: netspace rungs runs/rungs")
def rungs(store: StorePath, as_json: AsJson = False) -> None:
    """Say how the ranking of networks changes from rung to rung, and what the rungs cost.

    A rung is a training of all networks, or of the best of the rung before, at another fidelity: `rungs` of the
    study file. Beside it stands what it would cost to train all networks as those of the last rung.
    """
    # SciPy and SQLAlchemy, which the commands about networks do without
    from netspace.studies.climbing import rung_report, rung_sentences, rung_table
    from netspace.studies.study import Study

    study = Study.open(store)
    if study.spec.rung is not None:
        raise InputError(
            f"{str(store)!r} is rung {study.spec.rung.number} of a study; name the store of that study, the first rung"
        )
    if not study.spec.rungs:
        raise InputError(f"the study of {str(store)!r} has one rung; [[rungs]] in the study file adds others")
    found = rung_report(study.spec, study.populations(), study.climbed())
    if as_json:
        print_json(without_infinities(values.to_dict(found)))
        return
    head, *rows = rung_table(found)
    lines = table(head[0], left=(head[1],), right=head[2:])
    for row in rows:
        lines.add_row(*map(Text, row))
    print_table(lines, study.spec.name)
    for sentence in rung_sentences(found):
        console().print(Text("• " + sentence), soft_wrap=True)


def rungs_to_run(study: "Study") -> dict[str, "Study"]:
    """Return the rungs after a study, by what begins the lines about them."""
    from netspace.studies.rungs import rungs_of

    return {f"rung {rung.number}: ": rung for rung in rungs_of(study)}


def named_rung(study: "Study") -> str:
    """Return what is added to the name of a study that is the first of several rungs; others have it in their name."""
    return " (rung 1)" if study.spec.rungs and study.spec.rung is None else ""


def print_rungs(study: "Study", climbed: Mapping[int, Sequence["Population"]]) -> None:
    """Print how far the rungs after a study are, unless it is one of them itself."""
    if study.spec.rung is not None:
        return
    for step in study.spec.ladder:
        number = step.place.number
        if number in climbed:
            print_status(f"rung {number}", climbed[number])
        else:
            print(f"rung {number}: not begun; it waits for rung {number - 1}")


def rung_counts(study: "Study", climbed: Mapping[int, Sequence["Population"]]) -> dict[str, Any]:
    """Return which rung a study is, and how far those after it are, as plain data; nothing where there is one."""
    spec = study.spec
    if not spec.rungs and spec.rung is None:
        return {}
    number = spec.rung.number if spec.rung else 1
    told = {str(s.place.number): [counts(p) for p in climbed.get(s.place.number, ())] for s in spec.ladder}
    return {"rung": number} | ({} if spec.rung else {"rungs": told})


def print_weights(study: "Study") -> None:
    """Say what is kept for the next rung, if that begins from the weights of this one."""
    from netspace.training.last_weights import weights_size

    size = weights_size(study.weights) if leaves_weights(study.spec.rungs) else 0
    if size:
        console().print(f"weights kept for the next rung: {size / 1e6:,.1f} MB in {study.weights}", soft_wrap=True)
