"""The command that walks from a wide space to a simple one, principle by principle."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from netspace import values
from netspace.cli.options import AsJson, Grace, StorePath, Workers
from netspace.cli.progress import progress_display
from netspace.cli.results import verdict_row, without_infinities
from netspace.cli.studies import stop_on_signal
from netspace.cli.tables import clock, console, print_json, print_table, table
from netspace.execution.executor import GRACE

if TYPE_CHECKING:  # `netspace zoo` needs no SciPy and no SQLAlchemy
    from netspace.spaces.counting import Estimate
    from netspace.studies.principles import Step, Walk

app = typer.Typer()


@app.command(epilog="Example: netspace principles runs/digits --dry-run")
def principles(
    store: StorePath,
    space: Annotated[str, typer.Option(help="The space to begin with.", show_default="the study's first")] = "",
    networks: Annotated[int, typer.Option(min=1, help="Fresh networks on each side of a step.")] = 100,
    margin: Annotated[
        float | None, typer.Option(help="Margin of the EDFs, in 0..1.", show_default="the study's")
    ] = None,
    take_undecided: Annotated[
        bool, typer.Option("--take-undecided", help="Take a relation unless it is shown to lose.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Explore and plan; train nothing.")] = False,
    workers: Workers = None,
    grace: Grace = GRACE,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of a named data set's files.")] = None,
    as_json: AsJson = False,
) -> None:
    """Refine a space by the chapter's principles, and confirm each one on fresh networks; run again to continue.

    In turn: the bottleneck ratio is shared, the group width is shared, widths never fall, depths never fall, widths
    follow the RegNet rule, the bottleneck ratio is 1. What the store's networks suggest is shown first. Then the space
    as it is and the space with one more relation are drawn anew and trained, and the relation is accepted where it
    costs less than the margin, rejected where it loses, and else left undecided. What is accepted stays. The space that
    is left becomes a study file.
    """
    from netspace.studies.launching import number_of_workers
    from netspace.studies.principles import Walk
    from netspace.studies.study import Study

    study = Study.open(store)
    walk = Walk(study, space=space, networks=networks, margin=margin, take_undecided=take_undecided)
    plan = _plan_row(walk, number_of_workers(study.spec, workers or study.spec.workers))
    if not as_json:
        _print_plan(walk, plan)
    if dry_run:
        if as_json:
            print_json(plan | {"steps": [_row(step) for step in walk.plan]})
        return
    with progress_display(quiet=as_json) as display, stop_on_signal(grace) as should_stop:
        steps = walk.confirm(
            workers=workers, grace=grace, data_dir=data_dir, on_progress=display, should_stop=should_stop
        )
        for step in steps:
            if not as_json:
                _print_step(step)
    path = walk.write()
    if as_json:
        print_json(plan | {"steps": [_row(step) for step in walk.steps], "study": str(path)})
    else:
        _print_outcome(walk, path)


def _plan_row(walk: "Walk", workers: int) -> dict[str, Any]:
    """Return what is to be trained, how long it takes, and what so many networks can show, as plain data."""
    from netspace.stats import networks_if_harmless
    from netspace.stats.planning import fewest_networks, rough

    criteria, each = walk.criteria, walk.seconds_each
    total = 2 * walk.networks * walk.num_open
    return {
        "space": walk.start.name,
        "open_steps": walk.num_open,
        "networks_per_side": walk.networks,
        "networks": total,
        "workers": workers,
        "seconds": None if each is None else total * each / workers,
        "margin": criteria.margin,
        "level": walk.study.spec.comparison.level,
        "level_of_a_step": criteria.level,
        "fewest_networks": fewest_networks(criteria.margin, criteria.alpha),
        "networks_if_harmless": rough(networks_if_harmless(criteria.margin, criteria.alpha)),
    }


def _print_plan(walk: "Walk", plan: dict[str, Any]) -> None:
    from netspace.studies.principles import ENOUGH

    lines = table("relation", right=("obey by chance", "per broken step", "p", "draws before", "after"), left=("",))
    for step in walk.plan:
        sizes = tuple(map(_size, step.sizes)) if step.sizes else ("-", "-")
        note = f"nothing to do: {step.skipped}" if step.skipped else ""
        lines.add_row(step.principle.words, *_explored(step), *sizes, note)
    print_table(lines, f"{walk.start.name}: what the networks that are there suggest (cost in points of error)")
    if not walk.num_open:
        _say("no principle refines this space")
        return
    time = "" if plan["seconds"] is None else f", about {clock(plan['seconds'])} on {_count(plan['workers'], 'worker')}"
    _say(
        f"plan: {_count(walk.num_open, 'step')} of 2 x {walk.networks} fresh networks, "
        f"{plan['networks']:,} in all{time}; "
        f"margin {100 * plan['margin']:.3g} points of EDF, {100 * plan['level_of_a_step']:.3g} % confidence each, "
        f"{100 * plan['level']:.3g} % over all steps (Bonferroni)"
    )
    if walk.networks < plan["fewest_networks"]:
        fewest = plan["fewest_networks"]
        _say(f"{_count(walk.networks, 'network')} a side can accept nothing: that takes {fewest} at least")
    elif walk.networks < ENOUGH:
        _say(f"{_count(walk.networks, 'network')} a side show how it works, and decide little")
    if walk.networks < plan["networks_if_harmless"]:
        _say(
            f"a relation that changes nothing is accepted with 80 % probability from about "
            f"{plan['networks_if_harmless']} networks a side on; fewer show gains and losses, and leave most "
            "harmless relations undecided"
        )


def _print_step(step: "Step") -> None:
    if step.decision is None:
        _say(f"{step.principle.words}: nothing to do, since {step.skipped}")
        return
    assert step.verdict is not None
    obey, cost, p = _explored(step)
    found = (
        f"{obey} obey by chance; {cost} points per broken step (p {p})"
        if cost not in ("-", "too few")
        else (f"{obey} obey by chance, too few to tell" if obey != "-" else "no network obeys by chance")
    )
    _say(f"{step.principle.words}")
    _say(f"  explored:  {found}")
    _say(f"  confirmed: {step.verdict.sentence}")
    _say(f"  decided:   {_decision(step)}: {step.decision.reason}")


def _print_outcome(walk: "Walk", path: Path) -> None:
    right = ("per broken step", "networks", "log10 before", "after")
    lines = table("relation", right=right, left=("verdict", "decision"))
    for step in walk.steps:
        if step.decision is None or step.verdict is None or step.sizes is None:
            lines.add_row(step.principle.words, "-", "-", "-", "-", "-", "nothing to do")
            continue
        logs = (f"{math.log10(float(_value(size))):.2f}" for size in step.sizes)
        verdict = _verdict_words(step.verdict.kind.value)
        lines.add_row(step.principle.words, _explored(step)[1], str(step.networks), *logs, verdict, _decision(step))
    print_table(lines, f"{walk.start.name}, principle by principle")
    networks, seconds = (sum(getattr(step, name) for step in walk.steps) for name in ("networks", "seconds"))
    _say(f"{networks:,} fresh networks, {clock(seconds)} of one worker's time")
    _say(f"{walk.present.name}: {path}")


def _row(step: "Step") -> dict[str, Any]:
    """Return a step as plain data; infinite numbers as None."""
    row: dict[str, Any] = without_infinities(
        {
            "principle": step.principle.key,
            "words": step.principle.words,
            "skipped": step.skipped or None,
            "explored": step.explored,
            "sizes": None if step.sizes is None else [_plain_size(size) for size in step.sizes],
            "folder": None if step.folder is None else str(step.folder),
            "verdict": None if step.verdict is None else verdict_row(step.verdict),
            "decision": None if step.decision is None else values.to_dict(step.decision),
            "taken": step.taken,
            "networks": step.networks,
            "seconds": step.seconds,
        }
    )
    return row


def _explored(step: "Step") -> tuple[str, str, str]:
    """Return how many networks obey by chance, the cost per broken step with its limits, and p."""
    if step.explored is None or not step.explored["networks"]:
        return "-", "-", "-"
    obey, cost = f"{step.explored['obey']} of {step.explored['networks']}", step.explored["per_step"]
    if cost is None:
        return obey, "too few", "-"
    rise, low, high = (100 * cost[name] for name in ("rise", "low", "high"))
    p = "< 0.001" if cost["p_value"] < 0.001 else f"{cost['p_value']:.2g}"
    return obey, f"{rise:+.2f} ({low:.2f} to {high:.2f})", p


def _decision(step: "Step") -> str:
    assert step.decision is not None
    undecided = step.decision.kind == "undecided"
    return f"{step.decision.kind}, {'taken' if step.taken else 'not taken'}" if undecided else str(step.decision.kind)


def _verdict_words(kind: str) -> str:
    return {"a_majorises": "unrefined majorises", "b_majorises": "refined majorises"}.get(kind, kind)


def _size(size: "int | Estimate") -> str:
    return f"{float(_value(size)):.1e}".replace("e+0", "e").replace("e+", "e")


def _plain_size(size: "int | Estimate") -> Any:
    return size if isinstance(size, int) else values.to_dict(size)


def _value(size: "int | Estimate") -> float:
    return size if isinstance(size, int) else size.value


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _say(text: str) -> None:
    console().print(Text(text), soft_wrap=True)
