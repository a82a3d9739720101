"""A verdict as a card: a picture, a headline in which spaces have their hues, and the sentence in two halves."""

from collections.abc import Sequence
from dataclasses import dataclass

from netspace.report.look import space_look
from netspace.report.wording import printable
from netspace.stats import Verdict, VerdictKind
from netspace.storage.population import Population


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


def decided_first(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return verdicts in their order, what is undecided after the others: of many spaces few pairs are decided."""
    return sorted(verdicts, key=lambda verdict: verdict.kind is VerdictKind.UNDECIDED)


def verdict_card(verdict: Verdict, populations: Sequence[Population], *, assisted: bool = False) -> Card:
    """Return the card of a verdict; where covariates are looked at besides, it is one by errors alone."""
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
        VerdictKind.UNDECIDED: (
            "undecided",
            ((None, f"Undecided{' by errors alone' * assisted}:"), first, (None, "or"), second),
        ),
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
