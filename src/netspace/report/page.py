"""One self-contained HTML page about a study: it opens from disk, offline, and asks nothing of anyone."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netspace.errors import StoreError
from netspace.files import written_aside
from netspace.findings import readings
from netspace.report import figures, lines, scatter, tables
from netspace.report.images import png, svg
from netspace.report.look import space_look
from netspace.report.shell import drawing, families, render_page
from netspace.report.wording import counted, printable, short
from netspace.stats import Verdict, VerdictKind
from netspace.storage.population import Population

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEST = 3
"""Networks of each space that are shown one by one."""

_OPEN_LINES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReport:
    """All that the page says: `study_text` is the whole study file, `facts` rows such as the data set."""

    title: str
    study_text: str
    populations: tuple[Population, ...]
    verdicts: tuple[Verdict, ...] = ()
    facts: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A verdict as the page shows it: `picture` names the small drawing, `hues` are those of its two curves.

    The first curve is the better one, where there is one. `headline` holds (hue, words), where
    only the name of a space has a hue. `claim` and `terms` together are the verdict's sentence.
    """

    picture: str
    headline: tuple[tuple[int | None, str], ...]
    claim: str
    terms: str
    hues: tuple[int, int]


def render(report: StudyReport) -> str:
    """Return the page; equal reports give equal pages."""
    populations = report.populations
    by_space = figures.columns_for(len(populations))
    return render_page(
        "page.html.jinja",
        title=printable(report.title).strip() or "Untitled study",
        lead=_lead(populations),
        cards=[_card(verdict, populations) for verdict in report.verdicts],
        num_compared=sum(bool(population.trained) for population in populations),
        numbers=tables.key_numbers(populations),
        notes=[printable(note) for note in report.notes],
        spaces=[{"name": printable(p.name), "hue": space_look(k).hue} for k, p in enumerate(populations)],
        legend=functools.partial(_legend, populations),
        edf_wide=drawing(figures.edf_figure(populations), "edf", _edf_words(populations)),
        edf_narrow=drawing(
            figures.edf_figure(populations, width=380.0, height=340.0), "edf-narrow", _edf_words(populations)
        ),
        complexity=families(scatter.complexity_panels(populations), "complexity", 3),
        parameters=families(scatter.parameter_panels(populations), "parameter", 4),
        constants=[f"{title.lower()} {value:g}" for title, value in readings.constants(populations)],
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
    )


def write_report(report: StudyReport, folder: str | Path) -> tuple[Path, ...]:
    """Write `report.html` and each figure as PNG and SVG under `figures/`; return the paths, the page first.

    Each file is written aside and then renamed, so that a reader never meets half of one.
    Raises: StoreError where the folder cannot be written.
    """
    folder = Path(folder)
    drawn: Mapping[str, Callable[[Sequence[Population]], Figure]] = {
        "edf": figures.edf_figure,
        "complexity": figures.complexity_figure,
        "parameters": figures.parameter_figure,
        "staircases": functools.partial(figures.staircase_figure, best=BEST),
        "learning_curves": figures.learning_curve_figure,
    }
    page = folder / "report.html"
    written = [page]
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        with written_aside(page) as file:
            file.write(render(report).encode())
        for name, draw in drawn.items():
            figure = draw(report.populations)
            for kind, content in (("png", png(figure)), ("svg", svg(figure))):
                written.append(folder / "figures" / f"{name}.{kind}")
                with written_aside(written[-1]) as file:
                    file.write(content)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise StoreError(f"the report cannot be written to {folder}: {reason.lower()}") from None
    return tuple(written)


def _legend(populations: Sequence[Population], section: str) -> list[tuple[str, str]]:
    """Return (line and mark, name) of each space; `section` keeps ids apart."""
    return [
        (drawing(figures.sample_figure(k), f"{section}-key-{k}", ""), printable(population.name))
        for k, population in enumerate(populations)
    ]


def _lead(populations: Sequence[Population]) -> str:
    trained = sum(len(population.trained) for population in populations)
    if not populations:
        return "This study holds no design space yet."
    spaces = counted(len(populations), "design space")
    if len(populations) == 1:
        return f"A population of {counted(trained, 'trained network')} from one design space, by their errors."
    networks = counted(trained, "trained network")
    return f"{spaces}, compared by the validation errors of {networks} drawn from them."


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
    return " ".join(("Share of networks with at most each validation error, a step curve per space.", *words))


def _card(verdict: Verdict, populations: Sequence[Population]) -> Card:
    a, b = (printable(name) for name in verdict.names)
    hues = {population.name: space_look(k).hue for k, population in enumerate(populations)}
    # A space that is not on the page is drawn in the last hue, a grey.
    hue_a, hue_b = (hues.get(name, 5) for name in verdict.names)
    first, second = (hue_a, a), (hue_b, b)
    if verdict.kind is VerdictKind.B_MAJORISES:
        first, second = second, first
    headlines: dict[VerdictKind, tuple[str, tuple[tuple[int | None, str], ...]]] = {
        VerdictKind.A_MAJORISES: ("majorises", (first, (None, "majorises"), second)),
        VerdictKind.B_MAJORISES: ("majorises", (first, (None, "majorises"), second)),
        VerdictKind.EQUIVALENT: ("equivalent", (first, (None, "and"), second, (None, "are equivalent"))),
        VerdictKind.CROSSING: ("crossing", (first, (None, "and"), second, (None, "cross"))),
        VerdictKind.UNDECIDED: ("undecided", ((None, "Undecided:"), first, (None, "or"), second)),
    }
    picture, headline = headlines[verdict.kind]
    claim, terms = _halves(printable(verdict.sentence))
    return Card(picture=picture, headline=headline, claim=claim, terms=terms, hues=(first[0], second[0]))


def _halves(sentence: str) -> tuple[str, str]:
    """Return a sentence as what it claims and all that follows the first semicolon outside parentheses.

    >>> _halves("a majorises b (p; q); n = 3.")
    ('a majorises b (p; q);', ' n = 3.')
    """
    depth = 0
    for place, letter in enumerate(sentence):
        depth += (letter == "(") - (letter == ")")
        if letter == ";" and depth == 0:
            return sentence[: place + 1], sentence[place + 1 :]
    return sentence, ""
