"""Drawings in fewer elements and letters: all marks of one kind as one path, steps by their one changing coordinate.

A browser takes ten times as long for a thousand `<use>` elements as for a path that looks the same.
"""

import re
from xml.etree import ElementTree

_COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def join_marks(root: ElementTree.Element) -> None:
    """Replace the `<use>` elements of each group by one path, where they are several of one mark and alike."""
    marks = {path.attrib["id"]: path for path in root.iter("path") if "id" in path.attrib}
    for group in root.iter("g"):
        uses = group.findall("use")
        if len(uses) < 2 or len({_looks(use) for use in uses}) > 1:
            continue
        mark = marks[uses[0].attrib["href"].removeprefix("#")]
        outline = _from_its_centre(mark.attrib["d"])
        style = dict(_looks(uses[0])) | {key: value for key, value in mark.attrib.items() if key not in {"id", "d"}}
        del style["href"]
        places = "".join(f"M{use.get('x', '0')} {use.get('y', '0')}{outline}" for use in uses)
        group.insert(list(group).index(uses[0]), ElementTree.Element("path", {"d": places, **style}))
        for use in uses:
            group.remove(use)


def shorter(path: str) -> str:
    """Return a path whose lines along an axis name one coordinate.

    >>> shorter("M1 2L5 2L5 7L6 8")
    'M1 2H5V7L6 8'
    """
    found = []
    before: list[str] = []
    for command, text in _COMMAND.findall(path):
        numbers = _NUMBER.findall(text)
        if command == "L" and len(numbers) == 2 and before:
            same_x, same_y = numbers[0] == before[0], numbers[1] == before[1]
            text = numbers[0] if same_y else numbers[1] if same_x else text
            command = "H" if same_y else "V" if same_x else "L"
        found.append(command + text)
        before = numbers[-2:]
    return "".join(found)


def _looks(use: ElementTree.Element) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in use.attrib.items() if key not in {"x", "y"}))


def _from_its_centre(outline: str) -> str:
    """Return a mark around (0, 0) in steps from its centre; curves are those of a circle, the only round mark."""
    commands = [(command, [float(n) for n in _NUMBER.findall(text)]) for command, text in _COMMAND.findall(outline)]
    if any(command == "C" for command, _ in commands):
        r = max(numbers[-1] for _, numbers in commands if numbers)
        return f"m{-r:g} 0a{r:g} {r:g} 0 1 0 {2 * r:g} 0a{r:g} {r:g} 0 1 0 {-2 * r:g} 0z"
    found = []
    x = y = 0.0
    for command, numbers in commands:
        if not numbers:
            found.append("z")
            continue
        found.append(f"{command.lower()}{_step(numbers[0] - x)} {_step(numbers[1] - y)}")
        x, y = numbers
    return "".join(found)


def _step(number: float) -> str:
    return f"{round(number, 2):g}"
