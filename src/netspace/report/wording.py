"""How numbers and names are written on the page and in figures."""

import math

from netspace.privacy import discreet

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def percent(error: float) -> str:
    """Return an error in [0, 1] in per cent; a failure, which has no finite error, as a word.

    >>> percent(0.08314).split(), percent(math.inf)
    (['8.31', '%'], 'failed')
    """
    return f"{100 * error:.2f}\N{NO-BREAK SPACE}%" if math.isfinite(error) else "failed"


def amount(number: float) -> str:
    """Return a large number with three digits and a prefix.

    >>> [" ".join(amount(n).split()) for n in (199040872, 2_684_792, 999_999, 12)]
    ['199 M', '2.68 M', '1 M', '12']
    """
    for size, prefix in _PREFIXES:
        if abs(number) >= 0.9995 * size:
            return f"{float(f'{number / size:.3g}'):g}\N{NO-BREAK SPACE}{prefix}"
    return f"{number:.4g}"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units.

    >>> [duration(s) for s in (0.42, 75, 4000, 200000)]
    ['0.4 s', '1 min 15 s', '1 h 6 min', '2 d 7 h']
    """
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, below, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun.

    >>> counted(1, "network"), counted(2, "network"), counted(0, "space")
    ('1 network', '2 networks', '0 spaces')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(numbers: list[float | None]) -> str:
    """Return the numbers of the stages, or one number where all are equal; a dash where there is none.

    >>> listed([1, 1, 4, 7]), listed([16, 16]), listed([1.5]), listed([None, None])
    ('1, 1, 4, 7', '16', '1.5', '-')
    """
    words = ["-" if number is None else f"{number:g}" for number in numbers]
    return words[0] if len(set(words)) == 1 else ", ".join(words)


def printable(text: str) -> str:
    """Return text as a page may show it: without anybody's home folder or secrets, and what XML and HTML can hold.

    Control characters and lone surrogates become a mark.

    >>> printable("a\\x00b")
    'a\ufffdb'
    """
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in discreet(text)
    )


def short(name: str, length: int = 24) -> str:
    """Return a name that fits beside a figure.

    >>> short("a space with a very long name indeed", 12)
    'a space wit…'
    """
    line = " ".join(printable(name).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
