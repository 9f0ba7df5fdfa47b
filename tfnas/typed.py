"""Types of JSON values from outside: what a manifest or a run's record must hold, written as `TypedDict` classes."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from tfnas.errors import ConfigurationError, CorruptArtefactError, MismatchError

Instance = TypeVar("Instance")

Natural = typing.NewType("Natural", int)
"""A whole number from 0 to 2^63 - 1."""

_NAMES = {str: "text", bool: "true or false", int: "a whole number", float: "a number", Natural: "a natural number"}
_LARGEST = 2**63


def misfit(value: Any, kind: Any, name: str = "") -> str | None:
    """Where a JSON value is not of a type, and what was expected there; None if the value is of the type.

    Args:
      value: JSON value.
      kind: str, bool, int, `Natural`, float (finite), Any, a list, a tuple, a dict with text as keys, a `TypedDict`, or
        a union of such types.
      name: name of the value in the answer.

    Example:
      >>> misfit({"sizes": [1, "2"]}, dict[str, list[int]])
      "['sizes'][1] is '2', expected a whole number"
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return None
    if origin in (typing.Union, types.UnionType):
        reasons = [misfit(value, one, name) for one in arguments]
        return None if None in reasons else reasons[0]
    if typing.is_typeddict(kind):
        return _dictionary_misfit(value, kind, name)
    if origin is list or (origin is tuple and arguments[-1:] == (...,)):
        return _first_misfit(value, list, arguments[0], name, "a list")
    if origin is tuple:
        if not isinstance(value, list) or len(value) != len(arguments):
            return _wrong(name, value, f"a list of {len(arguments)}")
        pairs = enumerate(zip(value, arguments, strict=True))
        return next(filter(None, (misfit(item, one, f"{name}[{key}]") for key, (item, one) in pairs)), None)
    if origin is dict:
        return _first_misfit(value, dict, arguments[1], name, "an object")
    fits = {
        str: isinstance(value, str),
        bool: isinstance(value, bool),
        int: _is_whole(value),
        Natural: _is_whole(value) and 0 <= value < _LARGEST,
        float: _is_whole(value) or (isinstance(value, float) and math.isfinite(value)),
        types.NoneType: value is None,
    }
    return None if fits[kind] else _wrong(name, value, _NAMES.get(kind, "null"))


def instance(kind: type[Instance], values: Any, where: str) -> Instance:
    """An instance of a frozen dataclass from JSON values, in which tuples are lists.

    Args:
      kind: dataclass.
      values: values of its fields by name; fields with a default may be missing.
      where: file and entry of the values for the text of an error.

    Raises:
      CorruptArtefactError: a value that is no object, or a field of another type.
      MismatchError: a field that is missing or not known, or settings that the dataclass refuses.
    """
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if not isinstance(values, Mapping):
        raise CorruptArtefactError(f"{where}{_wrong('', values, 'an object')}")
    for name in values:
        if name not in fields:
            raise _unknown(where, f"a setting {name!r}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if name not in values and required:
            raise _unknown(where, f"no {name!r}")
        reason = misfit(values[name], hints[name], f"[{name!r}]") if name in values else None
        if reason is not None:
            raise CorruptArtefactError(f"{where}{reason}")
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except ConfigurationError as error:
        raise _unknown(where, str(error)) from error


def _unknown(where: str, reason: str) -> MismatchError:
    return MismatchError(f"{where}: settings that this version of tfnas does not know ({reason})")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong(name: str, value: Any, expected: str) -> str:
    text = repr(value)
    return f"{name} is {text if len(text) <= 60 else f'{text[:60]}...'}, expected {expected}"


def _first_misfit(value: Any, container: type, kind: Any, name: str, expected: str) -> str | None:
    """The first item of a list or of an object that is not of a type."""
    if not isinstance(value, container):
        return _wrong(name, value, expected)
    items = value.items() if container is dict else enumerate(value)
    return next(filter(None, (misfit(item, kind, f"{name}[{key!r}]") for key, item in items)), None)


def _dictionary_misfit(value: Any, kind: Any, name: str) -> str | None:
    """The first entry of a `TypedDict` that is missing or of another type."""
    if not isinstance(value, Mapping):
        return _wrong(name, value, "an object")
    for key, one in typing.get_type_hints(kind).items():
        if key not in value and key in kind.__required_keys__:
            return f"{name}[{key!r}] is missing"
        reason = misfit(value[key], one, f"{name}[{key!r}]") if key in value else None
        if reason is not None:
            return reason
    return None
