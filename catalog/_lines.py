"""Checks of whole lines: all rules that meet when one product is realised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from catalog._findings import Finding, Known
from catalog.model import Link, ProductSpec, ServiceSpec


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule, the parent it is of, and whether a line can have several of that parent by one rule."""

    parent: ProductSpec | ServiceSpec
    link: Link
    child: ServiceSpec
    repeated: bool = False

    @property
    def told_apart(self) -> bool:
        return bool(self.link.index_by)


def check_lines(known: Known) -> Iterator[Finding]:
    """Yield the findings of the lines of all products."""
    for where, product in known.products():
        first = _rules_of(known, product)
        second = [
            rule
            for above in first
            for rule in _rules_of(known, above.child, repeated=above.link.repeated)
        ]
        for layer in (first, second):
            yield from _cycles(where, layer)
            yield from _siblings(where, layer)
            for key, rules in _by_key(layer).items():
                yield from _sharing(f"{where} → {key}", rules)
                yield from _fed(f"{where} → {key}", rules)
        yield from _roles(known, where, second)


def _rules_of(
    known: Known, parent: ProductSpec | ServiceSpec, *, repeated: bool = False
) -> list[_Rule]:
    found = ((link, known.service(link.id, link.version)) for link in parent.links)
    return [_Rule(parent, link, child, repeated) for link, child in found if child]


def _by_key(rules: Sequence[_Rule]) -> Mapping[str, list[_Rule]]:
    found: dict[str, list[_Rule]] = {}
    for rule in rules:
        found.setdefault(rule.link.key, []).append(rule)
    return found


def _cycles(where: str, rules: Sequence[_Rule]) -> Iterator[Finding]:
    graph: dict[str, set[str]] = {}
    for rule in rules:
        after = {a.key for a in rule.link.sequence_after if a.scope == "line"}
        graph.setdefault(rule.link.key, set()).update(after)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " → ".join(error.args[1])
        yield Finding("SEQUENCE_CYCLE", where, f"these wait for each other: {circle}")


def _siblings(where: str, rules: Sequence[_Rule]) -> Iterator[Finding]:
    keys = {rule.link.key for rule in rules}
    for rule in rules:
        named = {
            "sequenceAfter": [a.key for a in rule.link.sequence_after],
            "replaceWith": rule.link.replace_with,
            "refreshWith": rule.link.refresh_with,
        }
        for attribute, others in named.items():
            for other in others:
                if other not in keys:
                    yield Finding(
                        "DANGLING_REFERENCE",
                        f"{where} → {rule.link.key}",
                        f"{attribute}: the line has no {other!r} (it has {', '.join(sorted(keys))})",
                    )


def _sharing(where: str, rules: Sequence[_Rule]) -> Iterator[Finding]:
    shared = [rule for rule in rules if rule.link.scope == "product"]
    if len({rule.child.id for rule in shared}) > 1:
        names = ", ".join(sorted({rule.child.id for rule in shared}))
        yield Finding("MAP_CONFLICT", where, f"one shared child of several specifications: {names}")
    own = [rule for rule in rules if rule.link.scope != "product"]
    several = len(own) + bool(shared) > 1 or any(rule.repeated for rule in own)
    if several and not all(rule.told_apart for rule in own):
        yield Finding(
            "KEY_COLLISION",
            where,
            "several services of the product make a child of this key; share it (scope: product) or tell them "
            "apart (indexBy, another key)",
        )
    yield from _unequal(where, shared)


def _unequal(where: str, shared: Sequence[_Rule]) -> Iterator[Finding]:
    said: dict[tuple[str, int], str] = {}
    for rule in shared:
        for name, text in rule.link.map.items():
            other = said.setdefault((name, rule.link.precedence), text)
            if other != text:
                yield Finding(
                    "MAP_CONFLICT",
                    where,
                    f"{name} is given {other!r} and {text!r} with equal precedence {rule.link.precedence}; raise one",
                )


def _fed(where: str, rules: Sequence[_Rule]) -> Iterator[Finding]:
    """Yield what a child must have and no rule hands down."""
    given = {name for rule in rules for name in (*rule.link.map, *rule.parent.declared_names)}
    child = rules[0].child
    for c in child.characteristics:
        if c.required and c.default is None and c.name not in given:
            yield Finding(
                "CHARACTERISTIC_MISSING",
                where,
                f"{child.id} needs {c.name}, which nothing gives; map it",
            )


def _roles(known: Known, where: str, rules: Sequence[_Rule]) -> Iterator[Finding]:
    """Yield roles that a resource of the line reads and none of the line plays."""
    found = ((rule, known.resource(rule.child.resource or "")) for rule in rules)
    resources = [(rule, resource) for rule, resource in found if resource]
    played = {resource.role for _, resource in resources}
    for rule, resource in resources:
        for role, uses in resource.uses.items():
            if role not in played and not uses.optional:
                yield Finding(
                    "DANGLING_REFERENCE",
                    f"{where} → {rule.link.key}",
                    f"{resource.id} uses role {role!r}, which no resource of this product plays",
                )
