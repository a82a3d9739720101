"""One self-contained HTML page about a study: it opens from disk, offline, and asks nothing of anyone.

All of it can be read without the script, which adds what a reader does: point, zoom, sort, filter, copy, download.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspace.findings import readings
from netspace.findings.assumptions import Assumption, Standing
from netspace.findings.importance import ImportanceFound
from netspace.report import bars, cards, crowds, figures, found_tables, lines, networks, pairs, scatter, tables
from netspace.report.curves import MOST_STEPS, curves
from netspace.report.look import space_look
from netspace.report.script_data import as_json, script_data
from netspace.report.shell import drawing, families, render_page
from netspace.report.wording import counted, printable, short
from netspace.stats import Verdict
from netspace.storage.population import Population

BEST = 3
"""Networks of each space that are shown one by one."""

SCRIPTS = ("axes.js", "curves.js", "networks.js", "page.js")
"""The files that together are the page's script."""

_OPEN_LINES = 40
_SIGNS = {Standing.HOLDS: ("holds", "✓"), Standing.FAILS: ("fails", "✗"), Standing.NOT_ENOUGH_DATA: ("undecided", "?")}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReport:
    """All that the page says: `study_text` is the whole study file, `facts` rows such as the data set.

    `assisted` are sentences on what covariates tell of pairs of spaces; `marks` are for the tables, see
    `storage.rows.marks_of`. `ranges` are rows of `findings.ranges`; without `importance` nothing is said of what
    matters. `pairs` are those that the study names. `rungs` are rows of words below their titles, of a study that is
    the first of several, and `said_by_rungs` sentences on them.
    """

    title: str
    study_text: str
    populations: tuple[Population, ...]
    verdicts: tuple[Verdict, ...] = ()
    assisted: tuple[str, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str]
    notes: tuple[str, ...] = ()
    ranges: tuple[Mapping[str, Any], ...] = ()
    importance: ImportanceFound | None = None
    assumptions: tuple[Assumption, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    rungs: tuple[tuple[str, ...], ...] = ()
    said_by_rungs: tuple[str, ...] = ()


def render(report: StudyReport, *, version: str = "") -> str:
    """Return the page; equal reports give equal pages. A page with a `version` asks its server for newer ones."""
    populations = report.populations
    by_space = figures.columns_for(len(populations))
    return render_page(
        "page.html.jinja",
        scripts=SCRIPTS,
        live=bool(version),
        version=version,
        title=printable(report.title).strip() or "Untitled study",
        lead=_lead(populations),
        error_name=readings.error_name(populations),
        cards=[
            cards.verdict_card(verdict, populations, assisted=bool(report.assisted))
            for verdict in cards.decided_first(report.verdicts)
        ],
        assisted=[f"{printable(sentence)}." for sentence in report.assisted],
        effects=found_tables.effect_table(report.verdicts),
        num_compared=sum(bool(population.trained) for population in populations),
        numbers=tables.key_numbers(populations),
        notes=[printable(note) for note in report.notes],
        assumptions=[_assumption(one) for one in report.assumptions],
        rungs=[[printable(cell) for cell in row] for row in report.rungs],
        said_by_rungs=[printable(sentence) for sentence in report.said_by_rungs],
        spaces=[{"name": printable(p.name), "hue": space_look(k).hue} for k, p in enumerate(populations)],
        legend=functools.partial(_legend, populations),
        **_curves(populations),
        pairs=families(asked := pairs.pair_panels(populations, report.pairs), "pair", figures.columns_for(len(asked))),
        **_panels(populations, report.ranges),
        constants=[f"{title.lower()} {value:g}" for title, value in readings.constants(populations)],
        range_head=found_tables.RANGE_HEAD,
        ranges=found_tables.range_rows(populations, report.ranges),
        importance=None if report.importance is None else _importance(report.importance, populations),
        staircases=families(lines.staircase_panels(populations, BEST), "staircase", by_space),
        curves=families(lines.learning_curve_panels(populations), "curve", by_space),
        distribution_head=tables.DISTRIBUTION_HEAD,
        distributions=tables.distribution_rows(populations),
        sampling_head=tables.SAMPLING_HEAD,
        sampling=tables.sampling_rows(populations),
        failures=tables.failure_rows(populations),
        num_failed=sum(map(readings.num_failed, populations)),
        best_head=tables.BEST_HEAD,
        best=tables.best_rows(populations, BEST),
        best_count=BEST,
        facts=[(printable(name), printable(value)) for name, value in report.facts.items()],
        study_text=printable(report.study_text),
        study_lines=len(report.study_text.splitlines()),
        study_open=len(report.study_text.splitlines()) <= _OPEN_LINES,
        **_script(populations, report.marks),
    )


def _curves(populations: Sequence[Population]) -> dict[str, Any]:
    """Return the drawings of the distributions, and whether they show every step."""
    words = _edf_words(populations)
    wide, narrow = figures.edf_figure(populations), figures.edf_figure(populations, width=380.0, height=340.0)
    alike = any(curves(populations, "flops"))
    return {
        "edf_wide": drawing(wide, "edf", words),
        "edf_narrow": drawing(narrow, "edf-narrow", words),
        "edf_alike": alike
        and drawing(
            figures.edf_figure(populations, weighing="flops"), "edf-alike", f"Each level of flops alike. {words}"
        ),
        "most_steps": f"{MOST_STEPS:,}",
        "exact": all(edf is None or edf.steps[0].size <= MOST_STEPS for edf in map(readings.distribution, populations)),
    }


def _panels(populations: Sequence[Population], ranges: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the drawings of the networks one by one, and the words for what a mark or a line stands for."""
    crowded = crowds.is_crowd(populations)
    shaded = any(len(population.trained) > lines.MOST_LINES for population in populations)
    return {
        "complexity": families(scatter.complexity_panels(populations), "complexity", 3),
        "parameters": families(scatter.parameter_panels(populations, ranges), "parameter", 4),
        "crowded": crowded,
        "marks": "One mark for all networks that are near one another; its area is their number."
        if crowded
        else "One mark for each network.",
        "lines": f"one faint line for each network{' of a space with few' if shaded else ''}."
        + (
            f" Above {lines.MOST_LINES} networks the shades hold the middle half and the middle 80 %." if shaded else ""
        ),
    }


def _importance(found: ImportanceFound, populations: Sequence[Population]) -> dict[str, Any]:
    panels = bars.importance_panels(found.forests, populations)
    refused = [f"{row['space']}: {row['refused']}." for row in found.forests if row["refused"]]
    return {
        "left_out": printable(found.left_out),
        "panels": families(panels, "importance", figures.columns_for(len(panels))),
        "sentences": [printable(sentence) for sentence in (*refused, *(f"{said}." for said in found.sentences))],
        "relations": found_tables.relation_table(found.relations),
    }


def _assumption(one: Assumption) -> dict[str, Any]:
    mood, sign = _SIGNS[one.standing]
    return {
        "mood": mood,
        "sign": sign,
        "standing": str(one.standing),
        "title": printable(one.title),
        "sentence": printable(one.sentence),
        "evidence": [(printable(what), printable(value)) for what, value in one.evidence],
    }


def _script(populations: Sequence[Population], marks: Mapping[str, str]) -> dict[str, Any]:
    """Return what the script reads: curves, all networks, and these as Parquet where that is small."""
    from markupsafe import Markup

    return {
        "data": Markup(as_json(script_data(populations))),
        "networks": networks.packed(populations, marks),
        "parquet": networks.embedded_parquet(populations, marks),
    }


def _legend(populations: Sequence[Population], section: str) -> list[tuple[str, str]]:
    """Return (line and mark, name) of each space; `section` keeps ids apart."""
    return [
        (drawing(figures.sample_figure(k), f"{section}-key-{k}", ""), printable(population.name))
        for k, population in enumerate(populations)
    ]


def _lead(populations: Sequence[Population]) -> str:
    finished = sum(population.count("finished") for population in populations)
    if not populations:
        return "This study holds no design space yet."
    spaces = counted(len(populations), "design space")
    networks = counted(sum(len(population.trained) for population in populations), "network")
    if not finished:
        return f"{spaces}; none of the networks drawn has an error yet."
    if len(populations) == 1:
        return f"A population of {networks} from one design space, by their {readings.error_name(populations)}s."
    return f"{spaces}, compared by the {readings.error_name(populations)}s of {networks} drawn from them."


def _edf_words(populations: Sequence[Population]) -> str:
    words = []
    for population in populations:
        edf = readings.distribution(population)
        name = short(population.name)
        if edf is None:
            words.append(f"{name}: no network trained yet.")
        elif edf.num_failed == edf.n:
            words.append(f"{name}: all of {counted(edf.n, 'network')} failed.")
        else:
            ends = f"from {100 * edf.minimum:.3g} %"
            middle = f", half of the networks at {100 * edf.median:.3g} %" if edf.median <= 1.0 else ""
            words.append(f"{name}: {ends}{middle}; {edf.num_failed} of {edf.n} failed.")
    error = readings.error_name(populations)
    return " ".join((f"Share of networks with at most each {error}, a step curve per space.", *words))
