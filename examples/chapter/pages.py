"""Pages whose tables, sentences and numbers are what commands print: templates, and what stands in them.

A page.md.jinja becomes page.md beside it. In a template, a store is named by its folder, "runs/chapter":

    {{ printed("compare runs/chapter") }}      a command of netspace, and all that it prints
    {{ printed("python examples/chapter/search.py") }}      the same of a program of this folder
    {{ spaces("runs/chapter") }}               a table of the spaces and of the distributions of their errors
    {{ verdicts("runs/chapter") }}             the sentence of every pair of spaces
    {{ broken("runs/chapter") }}               a table of what it costs to break each relation, in points of error
    {{ told("status runs/chapter").spaces[0].networks }}    one number of what a command tells a program

One entry of what `compare`, `importance` and `ranges` tell is `verdict(store, a, b)` of two spaces, `relation(store,
name)` of what breaking it costs, `matters(store, space, name)` of what a forest says of a parameter, `best(store,
space, parameter)` of where the best networks lie; of any other list it is `entry(list, way="random", budget=60)`.
`asked(store)` is what its comparisons ask of the p-value of one direction, and `read("runs/regnetx32/card.json")` is a
file as it stands.
"""

import functools
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2

ROOT = Path(__file__).parents[2]
SUFFIX = ".jinja"
LONGEST = 120

FILTERS = {
    "percent": lambda share: f"{100 * share:.3g} %",
    "points": lambda share: f"{100 * share:#.2g}".rstrip("."),
    "decimals": lambda value: f"{value:z.2f}",
    "p": lambda value: "p < 0.001" if value < 0.001 else f"p = {value:.2g}",
    "count": lambda number: f"{number:,}",
}
"""How a number is written: a share, a difference of two shares, any other to two decimals, a p-value, a count."""


def filled(template: str, folder: Path) -> str:
    """Return a page, of stores whose runs/ is in a folder.

    Raises: jinja2.TemplateError for a template that cannot be; CalledProcessError where a command fails.
    """
    told = functools.cache(functools.partial(_told, folder))
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters.update(FILTERS)
    environment.globals.update(
        told=told,
        entry=_entry,
        read=lambda file: json.loads((folder / file).read_text("utf-8")),
        printed=lambda command: "\n".join(_printed(folder, command)),
        spaces=lambda store: "\n".join(_spaces(told(f"compare {store}")["spaces"])),
        verdicts=lambda store: "\n".join(_verdicts(told(f"compare {store}"))),
        broken=lambda store: "\n".join(_broken_rules(told(f"importance {store}")["relations"])),
        verdict=lambda store, *pair: _entry(told(f"compare {store}")["verdicts"], spaces=list(pair)),
        relation=lambda store, name: _entry(told(f"importance {store}")["relations"], relation=name)["within"],
        asked=lambda store: _asked(told(f"compare {store}")["verdicts"][0]["criteria"]),
        matters=lambda store, space, name: _entry(
            _entry(told(f"importance {store}")["parameters"], space=space)["groups"], name=name
        ),
        best=lambda store, space, parameter: _entry(
            told(f"ranges {store}")["ranges"], space=space, parameter=parameter
        )["best"],
    )
    text = environment.from_string(template).render()
    # Sentences that numbers have made longer are broken anew; what is no plain paragraph stays as it stands.
    return "\n\n".join(_wrapped(part) for part in text.rstrip().split("\n\n")) + "\n"


def _entry(entries: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    """Return the one entry that has these values. Raises: ValueError for none, or several."""
    (found,) = (entry for entry in entries if wanted.items() <= entry.items())
    return found


def _asked(criteria: dict[str, Any]) -> str:
    """Return what a comparison asks of the p-value of one direction."""
    return f"{(1 - criteria['level']) / criteria['comparisons'] / 2:.2g}"


def _printed(folder: Path, command: str) -> Iterable[str]:
    yield "```text"
    yield f"$ {command if command.startswith('python ') else f'netspace {command}'}"
    yield from _said(folder, command).splitlines()
    yield "```"


def _spaces(rows: list[dict[str, Any]]) -> Iterable[str]:
    yield "| space | networks | failed | lowest error | best tenth below | half below | mean |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for row in rows:
        errors = (f"{100 * row[name]:.1f} %" for name in ("minimum", "best_decile", "median", "finite_mean"))
        yield f"| {' | '.join([row['space'], str(row['networks']), str(row['failed']), *errors])} |"


def _verdicts(compared: Any) -> Iterable[str]:
    for verdict in compared["verdicts"]:
        yield from _lines(f"- {verdict['sentence']}", indent="  ")


def _broken_rules(relations: list[dict[str, Any]]) -> Iterable[str]:
    def cells(rise: str, found: Any) -> list[str]:
        if not found:
            return ["", ""]
        cost, low, high = (100 * found[key] for key in (rise, "low", "high"))
        return [f"{cost:+.2f} ({low:.2f} to {high:.2f})", FILTERS["p"](found["p_value"])]

    between = any(one["between"] for one in relations)
    yield "| rule | a step that breaks it, within a space | |" + " the space that breaks it | |" * between
    yield "|---|--:|--:|" + "--:|--:|" * between
    for one in relations:
        within = [one["relation"].replace("_", " "), *cells("rise", one["within"]["per_step"])]
        for other in one["between"] or [{"shift": None}]:
            yield f"| {' | '.join([*within, *(cells('median', other['shift']) if between else ())])} |"


def _wrapped(part: str) -> str:
    """Return a paragraph in lines of at most `LONGEST` characters."""
    if part.lstrip("*\n")[:1].isalpha() and "```" not in part:
        return "\n".join(_lines(" ".join(part.split())))
    return part


def _lines(text: str, indent: str = "") -> list[str]:
    kept = re.sub(r"(?<=\b[pn]) = (?=[\d.])|(?<=\d) (?=%)", lambda gap: gap[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    lines = textwrap.wrap(kept, LONGEST, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _told(folder: Path, command: str) -> Any:
    """Return what a command tells a program."""
    return json.loads(_said(folder, f"{command} --json"))


def _said(folder: Path, command: str) -> str:
    """Return what a command prints. Raises: CalledProcessError."""
    plain = {**os.environ, "COLUMNS": str(LONGEST), "NO_COLOR": "1", "TERM": "dumb"}
    first, *words = shlex.split(command)
    program = [str(ROOT / words.pop(0))] if first == "python" else ["-m", "netspace", first]
    words = [sys.executable, *program, *words]
    done = subprocess.run(words, cwd=folder, env=plain, stdout=subprocess.PIPE, text=True, check=True)
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"
