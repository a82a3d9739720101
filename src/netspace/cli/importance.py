"""The command that says which parameters and which relations matter most."""

from typing import Any

import typer
from rich.text import Text

from netspace.cli.options import AccuracyName, AsJson, ErrorName, InPercent, Source
from netspace.cli.populations import error_column, is_table, read_table
from netspace.cli.results import without_infinities
from netspace.cli.tables import console, print_json, print_table, table
from netspace.errors import InputError

app = typer.Typer()


@app.command(epilog="Example: netspace importance runs/vionets")
def importance(
    store: Source,
    error: ErrorName = None,
    accuracy: AccuracyName = None,
    percent: InPercent = False,
    as_json: AsJson = False,
) -> None:
    """Say which parameters matter most, and what it costs to break a relation between stages, by two routes.

    Parameters: how much worse a random forest predicts the errors when networks of like complexity exchange them.
    Relations: within spaces, the error at each step that breaks one; between a space and the one that violates it,
    how far the distributions of errors are apart. The last column says where the two routes disagree.
    """
    # SciPy and SQLAlchemy, which the commands about networks do without
    from netspace.findings.importance import forest_row, most_important, relation_rows
    from netspace.studies.study import Study

    column = error_column([store], error, accuracy, percent)
    if is_table(store):
        forests = [forest_row(population) for population in read_table(store, column).populations]
        if as_json:
            print_json(without_infinities({"parameters": forests}))
        else:
            _print_forests(forests)
            console().print("relations: a table does not say which its spaces obey; a store does")
        return
    study = Study.open(store)
    populations = [population for population in study.populations() if population.trained]
    if not populations:
        raise InputError(f"store {str(store)!r} has no results yet; `netspace run` trains its networks")
    spaces = study.spec.design_spaces(num_classes=2, in_channels=1)  # of any images: relations are the same
    forests = [forest_row(population) for population in populations]
    relations = relation_rows(populations, spaces)
    sentences = most_important(forests, relations)
    if as_json:
        print_json(without_infinities({"parameters": forests, "relations": relations, "sentences": sentences}))
    else:
        _print_forests(forests)
        _print_relations(relations)
        for sentence in sentences:
            console().print(Text(sentence), soft_wrap=True)


def _print_forests(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["refused"]:
            console().print(Text(f"{row['space']}: {row['refused']}"), soft_wrap=True)
            continue
        lines = table("parameter", right=("importance", "95 % limits", "over forests"))
        for group in row["groups"]:
            limits = f"{round(100 * group['low'])} to {round(100 * group['high'])}"
            lines.add_row(group["name"], f"{round(100 * group['rise'])} %", limits, f"± {100 * group['spread']:.1f}")
        explained = f"a forest explains {100 * row['explained']:.0f} % of the spread (out-of-bag R2)"
        strata = f"{row['networks']} networks exchange values"
        strata += f" in {row['strata']} strata of {row['measure']}" if row["measure"] else ", whatever they cost"
        print_table(lines, f"{row['space']}: {explained}; {strata}")


def _print_relations(rows: list[dict[str, Any]]) -> None:
    from netspace.findings.words import relation_lines  # SciPy, which the commands about networks do without

    if not rows:
        console().print("no relation is broken by some networks and obeyed by others")
        return
    violated = any(row["between"] for row in rows)
    between = ("violated by", "medians", "largest lead", "p") if violated else ()
    right = ("obey", "if broken", "p", "per broken step", "p", *between)
    lines = table("relation", right=right, left=("within and between",))
    for line in relation_lines(rows):
        lines.add_row(*map(Text, line))
    print_table(lines, "what breaking a relation costs, in points of error, with 95 % limits")
    spaces = dict.fromkeys(name for row in rows for name in row["within"]["spaces"])
    if spaces:
        console().print(f"within: among networks of like flops, of {', '.join(spaces)}", soft_wrap=True)
    if not violated:
        console().print("between: no space of this study violates one relation of another", soft_wrap=True)
