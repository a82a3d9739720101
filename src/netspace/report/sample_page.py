"""One self-contained HTML page about a sample of a design space, before anything is trained."""

from collections.abc import Callable
from pathlib import Path

from netspace.errors import SpaceError, SpecError
from netspace.findings.readings import block_widths
from netspace.networks.fitting import RegNetFit, fit_regnet
from netspace.networks.spec import NetworkSpec
from netspace.report.sample_panels import (
    MOST_MARKS,
    Staircase,
    cost_panels,
    marginal_panels,
    region_panels,
    staircase_panels,
)
from netspace.report.shell import families, render_page
from netspace.report.tables import KeyNumber
from netspace.report.wording import counted, printable
from netspace.spaces.budget import Budget
from netspace.spaces.counting import Estimate
from netspace.spaces.marginals import marginals
from netspace.spaces.regions import regions
from netspace.spaces.sample import Sample
from netspace.spaces.ties import ties
from netspace.spaces.union import Space
from netspace.storage.table_files import write_whole

STAIRCASES = 8
"""Networks whose widths are drawn one by one."""


def write_sample_page(space: Space, sample: Sample, path: Path) -> None:
    """Write the page of a sample; see `render_sample`. Raises: InputError where it cannot be written."""
    write_whole(render_sample(space, sample).encode(), path)


def render_sample(space: Space, sample: Sample) -> str:
    """Return the page of a sample that was drawn from a space; equal samples give equal pages."""
    stairs = [
        Staircase(draw=draw, widths=block_widths(spec), fit=_fit(spec))
        for draw, spec in list(zip(sample.positions, sample.networks, strict=True))[:STAIRCASES]
    ]
    where = regions(space, sample)
    exact = sample.in_band == sample.draws
    found = marginals(space, sample)
    return render_page(
        "sample_page.html.jinja",
        title=printable(space.name),
        lead=_lead(sample),
        numbers=_key_numbers(sample),
        notes=_notes(sample),
        exact=exact,
        law=_law_words(sample),
        marginals=families(marginal_panels(found, exact=exact), "marginal", 4),
        costs=families(cost_panels(sample), "cost", 2),
        marked=f"of the first {MOST_MARKS:,} networks" if len(sample.networks) > MOST_MARKS else "network",
        staircases=families(staircase_panels(stairs), "stairs", 4),
        num_stairs=len(stairs),
        everywhere=exact,
        regions=[] if exact else families(region_panels(where), "region", 2),
        region_draws=f"{where.num_draws:,}",
        region_networks=f"{int(where.networks.sum()):,}",
        facts=[(name, printable(words)) for name, words in _facts(space, sample)],
        ties=[printable(words) for words in ties(space)],
    )


def _fit(spec: NetworkSpec) -> RegNetFit | None:
    try:
        return fit_regnet(spec)
    except SpecError:  # more blocks, or wider ones, than a fit takes
        return None


def _lead(sample: Sample) -> str:
    budget = "" if sample.asked == Budget().describe() else f" with {sample.asked}"
    where = f"{budget} at {sample.resolution} x {sample.resolution} pixels"
    if sample.exhausted:
        return f"All {counted(len(sample.networks), 'network')} of a design space{where}."
    return f"The first {counted(len(sample.networks), 'network')} drawn from a design space{where}; seed {sample.seed}."


def _key_numbers(sample: Sample) -> tuple[KeyNumber, ...]:
    low, high = sample.acceptance_interval
    number = len(set(sample.networks))
    return (
        KeyNumber(value=f"{number:,}", label="distinct networks"),
        KeyNumber(value=f"{sample.draws:,}", label="raw draws, up to that of the last network"),
        KeyNumber(
            value=_percent(sample.acceptance),
            label=f"of the draws were accepted; 95 % interval {_percent(low)} to {_percent(high)}",
        ),
        KeyNumber(value=f"{sample.duplicates:,}", label="accepted draws repeated a network"),
    )


def _notes(sample: Sample) -> list[str]:
    if not sample.exhausted:
        return []
    return ["The space is exhausted: it holds no other network there, so fewer are shown than were asked for."]


def _law_words(sample: Sample) -> str:
    """Return what the line of the marginals is, and what stands between it and the bars."""
    if sample.in_band == sample.draws:
        left_out = sample.draws - len(sample.networks)
        return "The line is the exact law." + (
            f" {counted(left_out, 'draw')} that repeated a network {'is' if left_out == 1 else 'are'} left out."
            if left_out
            else ""
        )
    return (
        "The faint line is the exact law of the raw draws, before the budget and the rules of the space left some out: "
        "where bars and line differ, the choice is what moved them."
    )


def _facts(space: Space, sample: Sample) -> list[tuple[str, str]]:
    facts = {
        "budget": sample.asked,
        "images": f"{sample.resolution} x {sample.resolution} pixels",
        "seed": str(sample.seed),
        "free parameters": str(space.free_parameters()),
        "draws of the space": _count(space.size),
        "networks of the space": _count(space.distinct),
        "exhausted": "yes, these are all" if sample.exhausted else "no",
        "source": space.source or "not given",
        "digest": space.digest,
    }
    if sample.latencies:
        medians = [median for median, _ in sample.latencies]
        facts["measured latency"] = f"{min(medians):.3g} to {max(medians):.3g} ms"
    return list(facts.items())


def _count(count: Callable[[], int | Estimate]) -> str:
    try:
        number = count()
    except SpaceError as problem:
        return f"cannot be counted: {problem}"
    return f"{number:,}" if isinstance(number, int) else str(number)


def _percent(share: float) -> str:
    return f"{100 * share:.3g}\N{NO-BREAK SPACE}%"
