"""A study as the text of its TOML file: what `spec` reads, written."""

import json
from collections.abc import Iterable
from typing import Any

from netspace import values
from netspace.studies.spec import StudySpec


def study_text(spec: StudySpec, comments: Iterable[str] = ()) -> str:
    """Return the TOML file of a study, with lines of comments above it; fields with their defaults are left out.

    Reading it gives the same study: `parse_study(study_text(spec))`.
    """
    plain = values.to_dict(spec, without_defaults=True)
    spaces = plain.pop("spaces")
    for choice, table in zip(spec.spaces, spaces, strict=True):
        if choice.frame:  # the file of an own block is no content of the study, but has to be found again
            table["frame"] = values.to_dict(choice.frame)
    lines = [" ".join(f"# {line}".split()) for line in comments]
    lines += [""] if lines else []
    lines += [f"{name} = {_inline(value)}" for name, value in plain.items() if not isinstance(value, dict)]
    for name, value in plain.items():
        if isinstance(value, dict) and value:
            lines += ["", f"[{name}]", *_fields(value)]
    for table in spaces:
        lines += ["", "[[spaces]]", *_fields(table)]
    return "\n".join(lines) + "\n"


def _fields(table: dict[str, Any]) -> list[str]:
    return [f"{_key(name)} = {_inline(value)}" for name, value in table.items()]


def _inline(value: Any) -> str:
    """Return a value as it stands to the right of an equals sign; JSON's strings and numbers are those of TOML."""
    if isinstance(value, dict):
        return f"{{ {', '.join(_fields(value))} }}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 8 for 8.0, as a person would write it
    # A control character is escaped in both, but for DEL, which JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() and name.isascii() else _inline(name)
