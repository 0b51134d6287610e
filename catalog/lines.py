"""Pure: what the lines of one order wait for on each other (`sequenceAfter` with `scope: order`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catalog.expression import Expression

if TYPE_CHECKING:
    from catalog.delta import Action, Desired, ItemDelta


@dataclass(frozen=True, slots=True)
class Across:
    """A rule of a child: wait for children of this key on those other lines that fulfil the condition."""

    key: str
    where: str | None


@dataclass(frozen=True, slots=True)
class LineDelta:
    """One line of an order."""

    line: str
    characteristics: Mapping[str, Any]
    """What `this` and `other` stand for in conditions: the product's (or its services') characteristics."""
    deltas: tuple[ItemDelta, ...]
    desired: tuple[Desired, ...]
    """What the line shall be; for a cease, what it was (decomposed from the services it has)."""


@dataclass(frozen=True, slots=True)
class LineNeed:
    """One item waits for another on another line."""

    line: str
    key: str
    action: Action
    on_line: str
    on_key: str
    on_action: Action


def order_lines(lines: Sequence[LineDelta]) -> tuple[LineNeed, ...]:
    """Return what waits for what across lines; what does not change is waited for by nobody.

    A delete waits the other way round: what was made last goes first.
    """
    return tuple(
        sorted(
            {need for line in lines for other in lines for need in _needs(line, other)},
            key=lambda n: (n.line, n.key, n.action, n.on_line, n.on_key, n.on_action),
        )
    )


def line_order(lines: Sequence[LineDelta]) -> dict[str, tuple[str, ...]]:
    """Return line → the lines that it waits for, for those who execute a line as a whole."""
    found: dict[str, set[str]] = {line.line: set() for line in lines}
    for need in order_lines(lines):
        found[need.line].add(need.on_line)
    return {line: tuple(sorted(others)) for line, others in found.items()}


def _needs(line: LineDelta, other: LineDelta) -> Iterator[LineNeed]:
    if line.line == other.line:
        return
    for wanted in line.desired:
        for rule in wanted.across:
            if _applies(rule, line, other):
                yield from _pairs(line, wanted.key, other, rule.key)


def _applies(rule: Across, line: LineDelta, other: LineDelta) -> bool:
    context = {"this": line.characteristics, "other": other.characteristics}
    return rule.where is None or Expression(rule.where).holds(context)


def _pairs(line: LineDelta, key: str, other: LineDelta, base: str) -> Iterator[LineNeed]:
    targets = {d.key for d in other.desired if d.key.partition("[")[0].partition("@")[0] == base}
    for mine in line.deltas:
        for theirs in other.deltas:
            if mine.key == key and theirs.key in targets:
                yield from _pair(line.line, mine, other.line, theirs)


def _pair(line: str, mine: ItemDelta, other: str, theirs: ItemDelta) -> Iterator[LineNeed]:
    if "noChange" in (mine.action, theirs.action):
        return
    if mine.action != "delete" and theirs.action != "delete":
        yield LineNeed(line, mine.key, mine.action, other, theirs.key, theirs.action)
    elif mine.action == theirs.action == "delete":
        yield LineNeed(other, theirs.key, theirs.action, line, mine.key, mine.action)
