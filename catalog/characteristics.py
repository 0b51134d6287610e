"""Values of characteristics: checked against their specification, completed with its defaults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from catalog.errors import CharacteristicInvalid, CharacteristicMissing, CharacteristicUnknown
from catalog.expression import plain
from catalog.model import Characteristic, Offering

Json = dict[str, Any]


def from_tmf(characteristics: Iterable[Mapping[str, Any]]) -> Json:
    """Return a TMF characteristic list ({name, value}) as a mapping.

    Raises:
        CharacteristicInvalid: an entry has no name, or a name occurs twice.

    """
    values: Json = {}
    for entry in characteristics:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str):
            raise CharacteristicInvalid(
                "A characteristic has no name; write {name: …, value: …} for each."
            )
        if name in values:
            raise CharacteristicInvalid(f"{name} is given twice; give it once.")
        values[name] = plain(entry.get("value"))
    return values


def to_tmf(values: Mapping[str, Any]) -> list[Json]:
    """Return a mapping as a TMF characteristic list; null values are left out."""
    return [{"name": name, "value": value} for name, value in values.items() if value is not None]


def resolve(
    characteristics: Sequence[Characteristic],
    given: Mapping[str, Any],
    *,
    owner: str = "the specification",
    offering: Offering | None = None,
    defaults: bool = True,
) -> Json:
    """Return a value for every declared characteristic: what is given, else its default, else null.

    Args:
        characteristics: what is declared.
        given: what is said; null counts as not said.
        owner: id of what declares them, for messages.
        offering: limits values further than the specification does.
        defaults: False leaves out what is not given, defaults and requirements too.

    Raises:
        CharacteristicUnknown: a name is not declared.
        CharacteristicMissing: a required one has neither value nor default.
        CharacteristicInvalid: a value is not allowed.

    """
    declared = {c.name: c for c in characteristics}
    unknown = [name for name in given if name not in declared]
    if unknown:
        raise CharacteristicUnknown(
            f"{owner} has no characteristic {', '.join(unknown)}; it has {', '.join(declared) or 'none'}.",
            details={"characteristics": unknown, "declared": list(declared)},
        )
    values = {name: plain(given.get(name)) for name in declared}
    for name, value in values.items():
        if value is not None:
            _check(declared[name], value, owner, offering)
        elif defaults:
            values[name] = _default(declared[name], owner)
    return values if defaults else {n: v for n, v in values.items() if v is not None}


def problem(characteristic: Characteristic, value: Any) -> str | None:
    """Return what is wrong with a value, or None."""
    c = characteristic
    if not _TYPES[c.value_type](value):
        return f"must be of type {c.value_type}"
    if c.values and value not in c.values:
        return f"must be one of {_listed(c.values)}"
    if c.minimum is not None and value < c.minimum:
        return f"must be at least {c.minimum}"
    if c.maximum is not None and value > c.maximum:
        return f"must be at most {c.maximum}"
    if c.regex and not re.fullmatch(c.regex, str(value)):
        return f"must match {c.regex}"
    return None


def _check(c: Characteristic, value: Any, owner: str, offering: Offering | None) -> None:
    wrong = problem(c, value)
    limits = offering.allowed(c.name) if offering and c.configurable else ()
    if wrong is None and limits and value not in limits:
        wrong = f"must be {'one of ' if len(limits) > 1 else ''}{_listed(limits)}"
    if wrong:
        shown = "its value" if c.secret else repr(value)
        raise CharacteristicInvalid(
            f"{c.name} of {owner} {wrong}, not {shown}.",
            details={"characteristic": c.name, "allowed": list(limits or c.values)},
        )


def _default(c: Characteristic, owner: str) -> Any:
    if c.default is None and c.required:
        hint = f": one of {_listed(c.values)}" if c.values else f" ({c.value_type})"
        raise CharacteristicMissing(
            f"{owner} needs {c.name}{hint}; give it.",
            details={"characteristic": c.name, "allowed": list(c.values)},
        )
    return c.default


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(str(value) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "dateTime": _is_date,
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list | tuple),
}
