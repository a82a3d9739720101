"""What all netspace values share: a plain dict, a content digest, and a strict way back from a dict.

A value is a frozen dataclass. Its digest covers only the fields that differ from their defaults, so that a
field added later, with a default that keeps the old meaning, leaves every stored digest as it was. A field that
does not take part in equality is no content, and no part of the digest either.
"""

import dataclasses
import functools
import hashlib
import json
import re
import tomllib
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from netspace.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

T = TypeVar("T")
_PLAIN = frozenset((str, int, float, bool))
_ABOUT_A_FIELD = re.compile(r"[a-z_]+(\[\d+\])?(\.[a-z_]+)*( \(=|: )")


def to_dict(value: Any, *, without_defaults: bool = False) -> Any:
    """Return a value as dicts, lists, strings and numbers (what JSON and TOML can hold).

    `without_defaults` keeps what a digest covers.
    """
    kind: Any = type(value)
    if kind in _PLAIN:  # most of what there is, and a study of many networks comes here often
        return value
    fields = _fields(kind)
    if fields is not None:
        return {
            field.name: to_dict(item, without_defaults=without_defaults)
            for field in fields
            if (item := getattr(value, field.name)) is not None
            and not (without_defaults and field.init and (not field.compare or _is_default(field, item)))
        }
    if isinstance(value, Mapping):
        return {str(key): to_dict(item, without_defaults=without_defaults) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_dict(item, without_defaults=without_defaults) for item in value]
    return value


def digest(value: Any) -> str:
    """Return the content digest of a value: 32 hexadecimal digits of SHA-256 over its canonical JSON.

    Raises: TypeError where a dataclass holds something that JSON cannot.
    """
    canonical = json.dumps(
        [type(value).__name__, to_dict(value, without_defaults=True)],
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def from_dict(cls: type[T], data: Any, *, where: str = "", error: type[InputError] = InputError) -> T:
    """Build a value of class `cls` from plain data, refusing unknown keys and wrong types.

    `where` is the path of `data` in the file that it came from; it begins the sentence.
    Raises: `error`, one sentence that names field, value, rule and, for an unknown key, the nearest known one.
    """
    from pydantic import ValidationError

    text = json.dumps(data, default=str)  # TOML's dates become text, and are refused where they stand
    try:
        kind: Any = cls
        value: T = _adapter(kind).validate_json(text, strict=True)
    except ValidationError as problem:
        details = problem.errors(include_url=False)
        # An unknown key explains a missing one, so it is told first.
        details.sort(key=lambda detail: detail["type"] != "unexpected_keyword_argument")
        raise error(_sentence(cls, data, details, where)) from None
    return value


def from_toml(
    cls: type[T],
    text: str,
    *,
    source: str,
    error: type[InputError] = InputError,
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> T:
    """Build a value of class `cls` from a TOML text; `source` names it in errors. Raises: `error`.

    `prepare` says what the text's plain data stand for, where they are not the value's own fields.
    """
    try:
        return from_dict(cls, prepare(tomllib.loads(text)), error=error)
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{source}: not valid TOML: {problem}") from None
    except error as problem:
        raise error(f"{source}: {problem}") from None


def first_difference(before: Any, now: Any, field: str = "") -> tuple[str, str, str] | None:
    """Return (path of the field, value before, value now) of the first difference between plain data.

    >>> first_difference({"recipe": {"epochs": 3}}, {"recipe": {"epochs": 4}})
    ('recipe.epochs', '3', '4')
    """
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            inner = first_difference(before.get(key), now.get(key), f"{field}.{key}" if field else key)
            if inner is not None:
                return inner
        return None
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i, (old, new) in enumerate(zip(before, now, strict=True)):
            inner = first_difference(old, new, f"{field}[{i}]")
            if inner is not None:
                return inner
        return None
    return None if before == now else (field, _show(before), _show(now))


def _show(value: Any) -> str:
    return "absent" if value is None else json.dumps(value)


@functools.cache
def _fields(cls: type) -> "tuple[dataclasses.Field[Any], ...] | None":
    """Return the fields of a dataclass; None of any other class."""
    return dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else None


@functools.cache
def _adapter(cls: Any) -> "TypeAdapter[Any]":
    from pydantic import ConfigDict, TypeAdapter

    _forbid_unknown_keys(cls)
    return TypeAdapter(cls, config=None if dataclasses.is_dataclass(cls) else ConfigDict(extra="forbid"))


def _forbid_unknown_keys(cls: Any) -> None:
    """Tell pydantic that a dataclass, and each one that its fields name, takes no unknown key."""
    if dataclasses.is_dataclass(cls) and isinstance(cls, type):
        cls.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
        for hint in typing.get_type_hints(cls).values():
            _forbid_unknown_keys(hint)
    for argument in typing.get_args(cls):
        _forbid_unknown_keys(argument)


def _is_default(field: "dataclasses.Field[Any]", item: Any) -> bool:
    if field.default is not dataclasses.MISSING:
        return item is field.default or bool(item == field.default)
    if field.default_factory is not dataclasses.MISSING:
        return bool(item == field.default_factory())
    return False


def _sentence(cls: type[Any], data: Any, details: "list[ErrorDetails]", where: str) -> str:
    detail = details[0]
    steps = _keys(detail, data)
    path = where
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    kind = detail["type"]
    if kind == "unexpected_keyword_argument":
        known = _fields_at(cls, detail["loc"][:-1])
        return f"{path}: unknown key{did_you_mean(str(detail['loc'][-1]), known)}"
    if kind == "missing":
        return f"{path}: missing, and it has no default"
    if kind == "value_error":
        text = str(detail.get("ctx", {}).get("error", detail["msg"]))
        # A sentence about a field continues the path to its value: `stem` and `stride (=3) ...`.
        return path + ("." if _ABOUT_A_FIELD.match(text) else ": ") + text if path else text
    # Where one of several types is allowed, each says why it is not this one.
    same = [other["msg"] for other in details if _keys(other, data)[: len(steps)] == steps]
    messages = list(dict.fromkeys(message[0].lower() + message[1:] for message in same))
    value: Any = data
    for step in steps:
        value = value[step]
    return f"{path or cls.__name__} (={value!r}): {' or '.join(messages)}"


def _keys(detail: "ErrorDetails", data: Any) -> list[int | str]:
    """Return the keys of `data` on the way to an error; pydantic's path also names the types of unions."""
    keys: list[int | str] = []
    here: Any = data
    for step in detail["loc"]:
        if (isinstance(here, dict) and step in here) or (isinstance(here, list) and step in range(len(here))):
            here = here[step]  # type: ignore[index]
        elif detail["type"] != "missing" or step is not detail["loc"][-1]:
            continue
        keys.append(step)
    return keys


def _fields_at(cls: Any, location: tuple[int | str, ...]) -> list[str]:
    """Return the field names of the dataclass that stands at a path inside `cls`."""
    for step in location:
        if isinstance(step, str) and dataclasses.is_dataclass(cls) and isinstance(cls, type):
            cls = typing.get_type_hints(cls).get(step, cls)
        while not dataclasses.is_dataclass(cls) and typing.get_args(cls):
            inner = [arg for arg in typing.get_args(cls) if arg not in (type(None), Ellipsis)]
            cls = inner[-1]
    return [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []
