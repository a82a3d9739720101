"""How a command names populations: a study's store, or anyone's table of results."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from netspace.cli.options import Where
from netspace.errors import InputError

if TYPE_CHECKING:  # `netspace zoo` needs no SciPy and no SQLAlchemy
    from netspace.stats import Verdict
    from netspace.storage.outcomes import Outcomes
    from netspace.storage.population import Population
    from netspace.storage.published import ErrorColumn, Reading
    from netspace.studies.ladder import RungPlace

TABLES = (".csv", ".json", ".parquet")


def is_table(source: Where) -> TypeGuard[Path]:
    """Whether a source is a table, by its name."""
    return isinstance(source, Path) and source.suffix.lower() in TABLES and not source.is_dir()


def error_column(
    sources: Sequence[Where], error: str | None, accuracy: str | None, percent: bool
) -> "ErrorColumn | None":
    """Return the column of tables that three options name; None without any. Raises: InputError."""
    if error is None and accuracy is None and not percent:
        return None
    if error is not None and accuracy is not None:
        raise InputError(f"--error-column (={error!r}) and --accuracy-column (={accuracy!r}) exclude each other")
    if not any(map(is_table, sources)):
        raise InputError(
            f"--error-column, --accuracy-column and --percent are about tables ({', '.join(TABLES)}), and none is given"
        )
    from netspace.storage.published import ErrorColumn

    return ErrorColumn(name=accuracy or error or ErrorColumn().name, accuracy=accuracy is not None, percent=percent)


def read_table(source: Path, column: "ErrorColumn | None") -> "Reading":
    """Return what a table holds; what was taken for what is told on standard error. Raises: InputError."""
    from netspace.storage.published import read_results

    reading = read_results(source, column)
    print(reading.told, file=sys.stderr)
    return reading


def rung_of(source: Path, table: "Reading") -> "RungPlace | None":
    """Return which rung of another study a table's is, where its rows say so. Raises: InputError."""
    from netspace import values
    from netspace.studies.ladder import RungPlace

    return None if table.rung is None else values.from_dict(RungPlace, table.rung, where=f"{source}: study_rung")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Populations, the verdict of every pair that has results, and the looks at which it was judged, if planned.

    `assisted` says that these were planned with covariates, of which a table does not tell.
    """

    populations: "Sequence[Population | Outcomes]"
    verdicts: "tuple[Verdict, ...]"
    looks: tuple[int, ...] = ()
    assisted: bool = False


def read_sources(sources: Sequence[Where], column: "ErrorColumn | None", normalised: str | None = None) -> Compared:
    """Return the populations of several sources, compared.

    `normalised` names the measure of complexity in which each pair is made alike before.

    A population has its space's name, and its source's in front where two have the same. The margins are those of
    the stores' studies. An export of a study that plans its looks is judged at these, as its store is.
    Raises: InputError where two sources have one name, two studies other margins or are other rungs, one of several
    plans its looks, or one is a rung that holds only the best of each space.
    """
    from netspace.findings.normalised import complexities
    from netspace.stats import compare_all
    from netspace.studies.climbing import training_in_words
    from netspace.studies.ladder import check_equal_rungs, check_sampled
    from netspace.studies.study import Study

    found: list[tuple[str, Population | Outcomes]] = []
    terms: dict[Where, dict[str, Any]] = {}
    rungs: dict[str, int] = {}
    trainings: dict[str, str] = {}
    for source in sources:
        if is_table(source):
            table = read_table(source, column)
            planned = table.planned_looks is not None
            rung = rung_of(source, table)
            of_study = table.of_study
            if planned and len(sources) == 1:
                return _at_looks(source, table, normalised)
            found += [(source.name, population) for population in table.populations]
        else:
            study = Study.open(source)
            rung, of_study = study.spec.rung, True
            trainings[str(source)] = training_in_words(study.spec, None)
            planned = bool(study.spec.looks)
            terms[source] = study.spec.comparison.terms
            found += [(study.folder.resolve().name, population) for population in study.populations()]
        check_sampled(rung, f"a comparison with {str(source)!r}")
        if of_study:
            rungs[str(source)] = rung.number if rung else 1
        if planned:
            raise InputError(
                f"{str(source)!r} plans looks, and its pairs are judged at these alone; compare it by itself"
            )
    check_equal_rungs(rungs, trainings)
    for source, its in terms.items():
        first = next(iter(terms))
        if its != terms[first]:
            raise InputError(
                f"{str(source)!r} is compared by other margins than {str(first)!r}: its [comparison] is {its}, "
                f"not {terms[first]}; compare exports of them, which take the defaults"
            )
    count = Counter(population.name for _, population in found)
    named = [
        replace(population, name=f"{source}/{population.name}") if count[population.name] > 1 else population
        for source, population in found
    ]
    for name, times in Counter(population.name for population in named).items():
        if times > 1:
            raise InputError(f"{times} populations are named {name!r}; rename a file, so that each has its own name")
    trained = [population for population in named if population.trained]
    judged_by = dict(next(iter(terms.values()), {}))
    if normalised is not None:
        judged_by |= {"measure": normalised, "complexity": complexities(trained, normalised)}
    errors = {population.name: population.errors for population in trained}
    verdicts = compare_all(errors, **judged_by) if len(errors) > 1 else ()
    return Compared(populations=named, verdicts=verdicts)


def _at_looks(source: Path, table: "Reading", normalised: str | None) -> Compared:
    """Return the populations of an export, compared at the looks that its study planned. Raises: InputError."""
    from netspace.storage.population import Population
    from netspace.studies.telling import judge_plan

    populations = [one for one in table.populations if isinstance(one, Population)]
    plan = table.planned_looks or {}
    looks, verdicts = judge_plan(plan, populations, where=f"{source}: planned_looks", normalised=normalised)
    assisted = bool(plan["comparison"].get("assisted"))
    return Compared(populations=populations, verdicts=verdicts, looks=looks, assisted=assisted)
