"""Functions and values as JSON text, for workers on other machines: nothing of a user's main script travels.

A function is its name, and so has to stand at the top of a module that the other end can import; `functools.partial`
of one carries its arguments. A value is None, a bool, a number, a string, or a list, a tuple, a dict or a dataclass of
such. Floats come back bit for bit.
"""

import dataclasses
import functools
import importlib
import json
from collections.abc import Callable
from typing import Any

from netspace.errors import InputError
from netspace.execution.executor import Last, Report, Setup, Work

# What JSON has no word for is an object with one of these keys.
TUPLE, DICT, CLASS, FIELDS = "tuple", "dict", "class", "fields"


def encoded(value: Any) -> str:
    """Return a value as text. Raises: InputError for what is none of those that travel.

    >>> decoded(encoded((1, {"a": [0.1, None]})))
    (1, {'a': [0.1, None]})
    """
    return json.dumps(_plain(value), separators=(",", ":"))


def decoded(text: str) -> Any:
    """Return the value of a text. Raises: InputError for a class that is no dataclass; ImportError."""
    return _value(json.loads(text))


def encoded_setup(setup: Setup) -> str:
    """Return as text what sets up a worker. Raises: InputError where no other machine could import it."""
    wrapped = setup if isinstance(setup, functools.partial) else functools.partial(setup)
    return json.dumps([_name(wrapped.func), _plain(wrapped.args), _plain(wrapped.keywords)], separators=(",", ":"))


def set_up(text: str) -> Work:
    """Return the work function of a setup's text: payloads, reports and what it returns are texts as well."""
    name, positional, keywords = json.loads(text)
    function: Callable[..., Work] = _named(name)
    work = function(*_value(positional), **_value(keywords))

    def wired(payload: str, report: Report) -> str:
        try:
            return encoded(work(decoded(payload), lambda value: report(encoded(value))))
        except Last as last:
            raise Last(encoded(last.value)) from None

    return wired


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        return {TUPLE: [_plain(item) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {DICT: {key: _plain(item) for key, item in value.items()}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init}
        return {CLASS: _name(type(value)), FIELDS: fields}
    raise InputError(
        f"{type(value).__name__} (={value!r}) cannot go to another machine; numbers, strings, lists, tuples, dicts "
        "with strings as keys, and dataclasses of them can"
    )


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_value(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if TUPLE in plain:
        return tuple(_value(item) for item in plain[TUPLE])
    if DICT in plain:
        return {key: _value(item) for key, item in plain[DICT].items()}
    cls = _named(plain[CLASS])
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise InputError(f"{plain[CLASS]} is no dataclass")
    return cls(**{name: _value(item) for name, item in plain[FIELDS].items()})


def _name(named: Any) -> str:
    """Return the name by which another process imports a function or a class. Raises: InputError."""
    module, name = getattr(named, "__module__", None), getattr(named, "__qualname__", repr(named))
    try:
        importable = module != "__main__" and getattr(importlib.import_module(str(module)), name) is named
    except (ImportError, AttributeError):
        importable = False
    if not importable:
        raise InputError(
            f"{name} (of module {module!r}) must stand at the top of a module that other machines can import, and not "
            "in the main script"
        )
    return f"{module}:{name}"


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
