"""Options: frozen dataclasses that say their ranges, read from mappings and checked.

A field made by `option` carries its range or choices. `read_options` turns nested mappings (of
JSON, of a stored profile, of the command line) into such a dataclass; `check_options` is what the
dataclass itself calls, so that no object with a wrong value exists. Messages name the field by its
whole path, such as `prf.dense.beta`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lsr.errors import InputError, QueryError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["check_options", "chosen", "option", "read_options"]

Options = TypeVar("Options", bound="DataclassInstance")
Value = TypeVar("Value")
Word = TypeVar("Word", bound=str)


def option(
    default: Value,
    help: str,  # noqa: A002
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    optional: bool = False,
) -> Value:
    """A dataclass field with a default and what it may be.

    Args:
        low, high: bounds of a number, both included. A whole default takes whole numbers only.
        choices: the words it may be.
        optional: whether None, which stands for a default that depends on other fields, is taken.
    """
    told = {"help": help, "low": low, "high": high, "choices": choices, "optional": optional}
    told["whole"] = isinstance(low, int)
    return field(default=default, metadata=told)


def chosen(value: str, words: Iterable[Word], what: str) -> Word:
    """The word that a text from outside is: typed from here on.

    Args:
        words: those that there are.
        what: what they are of, for the message, such as "precision".

    Raises:
        InputError: the text is none of them.
    """
    for word in words:
        if value == word:
            return word
    raise InputError(f"there is no {what} {value!r}; choose {', '.join(words)}")


def check_options(
    options: DataclassInstance, path: str = "", error: type[InputError] = QueryError
) -> None:
    """Check every field of a dataclass of options against what it may be.

    Args:
        path: stands before each field's name in messages.
        error: what is raised. Default: `QueryError`, which suits what a search is asked for; build
            options take `InputError`.

    Raises:
        InputError: of the class `error`; names the first field that is wrong, its value and its
            range.
    """
    for each in fields(options):
        if each.metadata:
            _check(getattr(options, each.name), f"{path}{each.name}", each.metadata, error)


def _check(value: Any, name: str, may_be: Mapping[str, Any], error: type[InputError]) -> None:
    if value is None and may_be["optional"]:
        return
    if may_be["choices"]:
        if value not in may_be["choices"]:
            raise error(f"{name} is {_shown(value)}; choose {', '.join(may_be['choices'])}")
    elif may_be["low"] is None:
        if not isinstance(value, bool):
            raise error(f"{name} is {_shown(value)}; it must be true or false")
    else:
        kind = "a whole number" if may_be["whole"] else "a number"
        right = isinstance(value, int if may_be["whole"] else int | float)
        right = right and not isinstance(value, bool)
        if not right or not may_be["low"] <= value <= may_be["high"]:  # NaN is in no range
            raise error(
                f"{name} is {_shown(value)}; it must be {kind} from {may_be['low']:,} "
                f"to {may_be['high']:,}"
            )


def read_options(
    kind: type[Options], given: Mapping[str, object], defaults: Options | None = None
) -> Options:
    """The options that a mapping stands for; what it leaves out is as in `defaults`.

    Raises:
        QueryError: a name that there is not, or a value out of its range; the path says which.
    """
    return _read(kind, given, defaults, "")


def _read(kind: type[Options], given: object, defaults: Options | None, path: str) -> Options:
    if not isinstance(given, Mapping):
        raise QueryError(f"{path.rstrip('.') or 'the plan'} must be an object with named fields")
    known = {each.name: each for each in fields(kind)}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean {path}{near[0]}" if near else f"there are {', '.join(known)}"
            raise QueryError(f"{path}{str(name)[:64]}: there is no such field; {hint}")
    values: dict[str, Any] = {}
    for name, each in known.items():
        default = getattr(defaults, name) if defaults is not None else _default(each)
        if name not in given:
            values[name] = default
        elif is_dataclass(default) and not isinstance(default, type):
            values[name] = _read(type(default), given[name], default, f"{path}{name}.")
        else:
            if each.metadata:
                _check(given[name], f"{path}{name}", each.metadata, QueryError)
            values[name] = given[name]
    return kind(**values)


def _default(each: Any) -> Any:
    return each.default if each.default is not MISSING else each.default_factory()


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:
        text = "a number of too many digits"  # Python writes out no whole number that long
    return text if len(text) <= 40 else f"{text[:39]}…"
