"""Checks of what resource specifications say about the choice of a port or device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from catalog._findings import Finding
from catalog._rules import Names, check_expression
from catalog.errors import ExpressionFailed
from catalog.expression import Expression
from catalog.model import (
    CHOSEN_DEVICE_NAMES,
    DEVICE_NAMES,
    PORT_NAMES,
    Affinity,
    Assign,
    ResourceSpec,
)

_NUMERIC = {"integer", "number"}
_NUMBERS = {"free": 0, "used": 0, "load": 0, "splitRatio": 32, "hops": 1}
_OPEN = {"labels"}
"""What holds names that nobody declares, so that no condition over it can be tried."""


def check_placing(where: str, spec: ResourceSpec, names: Names) -> Iterator[Finding]:
    """Yield the findings of all rules that choose."""
    for rule in spec.assign:
        if rule.choose:
            place = f"{where}.assign.{rule.as_}"
            yield from _expressions(place, rule, names)
            yield from _companions(place, rule, spec)
            yield from _load(place, rule, spec)
    yield from _unread(where, spec)


def _expressions(where: str, rule: Assign, names: Names) -> Iterator[Finding]:
    candidate = _candidate(rule)
    if rule.from_:
        yield from check_expression(where, rule.from_, names)
    for text in (*rule.require, *rule.prefer):
        wrong = list(check_expression(where, text, {**names, **candidate}))
        yield from wrong or _no_condition(where, text, candidate)
    capacity = rule.capacity
    for number in filter(None, (capacity.limit, capacity.ceiling) if capacity else ()):
        yield from check_expression(where, number, {**names, **candidate})


def _candidate(rule: Assign) -> dict[str, Sequence[str] | None]:
    if rule.choose == "device":
        return {"device": CHOSEN_DEVICE_NAMES}
    return {"port": PORT_NAMES, "device": DEVICE_NAMES}


def _no_condition(
    where: str, text: str, candidate: dict[str, Sequence[str] | None]
) -> Iterator[Finding]:
    """Try a condition on a made-up candidate, when it reads nothing else."""
    read = [path.split(".") for path in Expression(text).references()]
    if any(path[0] not in candidate or not _OPEN.isdisjoint(path) for path in read):
        return
    bound = {
        root: {n: _NUMBERS.get(n, "") for n in below or ()} for root, below in candidate.items()
    }
    try:
        Expression(text).holds(bound)
    except ExpressionFailed as error:
        yield Finding("EXPRESSION_INVALID", where, error.message)


def _companions(where: str, rule: Assign, spec: ResourceSpec) -> Iterator[Finding]:
    known = {Affinity.PLACE, Affinity.LINE, *spec.uses}
    for one in rule.affinity:
        if one.whose not in known:
            yield Finding(
                "DANGLING_REFERENCE",
                where,
                f"affinity: {one.whose!r} is neither `place`, `line` nor a role that it uses; add it to uses",
            )


def _load(where: str, rule: Assign, spec: ResourceSpec) -> Iterator[Finding]:
    load = rule.capacity.load if rule.capacity else None
    if load is None:
        return
    declared = {c.name: c for c in spec.characteristics}
    if load not in declared:
        yield Finding("UNDECLARED_NAME", where, f"capacity: {spec.id} has no characteristic {load}")
    elif declared[load].value_type not in _NUMERIC:
        yield Finding(
            "VALUE_NOT_ALLOWED",
            where,
            f"capacity: {load} is {declared[load].value_type}; a load is an integer or a number",
        )


def _unread(where: str, spec: ResourceSpec) -> Iterator[Finding]:
    """Yield the second rule that says how the one port is chosen: only the first is read."""
    ports = [rule for rule in spec.assign if rule.choose == "ponPort" and rule.places]
    for rule in ports[1:]:
        yield Finding(
            "UNREACHABLE",
            f"{where}.assign.{rule.as_}",
            f"{ports[0].as_} says already how the port is chosen; put {', '.join(rule.places)} there",
        )
