"""Checks of single rules: their expressions, the names these read, what they hand to the child."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from catalog._findings import Finding, Known
from catalog.errors import ExpressionFailed
from catalog.expression import Expression
from catalog.model import Characteristic, Link, ProductSpec, ServiceSpec

Names = Mapping[str, Sequence[str] | None]
"""Root → the names below it, or None when anything may stand there."""
_ENOUGH = 4096


def check_rules(known: Known) -> Iterator[Finding]:
    """Yield the findings of all rules of products and services."""
    for where, parent in known.parents():
        for link in parent.links:
            place = f"{where} → {link.key}"
            yield from _expressions(place, parent, link)
            yield from _reachable(place, parent, link)
            child = known.service(link.id, link.version)
            if child:
                yield from _handed_down(place, link, child)


def check_expression(where: str, text: str, names: Names) -> Iterator[Finding]:
    """Yield what is wrong with an expression that may read these names."""
    try:
        paths = Expression(text).references()
    except ExpressionFailed as error:
        yield Finding("EXPRESSION_INVALID", where, error.message)
        return
    for path in sorted(paths):
        if wrong := _unknown(path, names):
            yield Finding("UNDECLARED_NAME", where, f"{wrong} in {text!r}")


def variable(parent: ProductSpec | ServiceSpec) -> str:
    """Return the name under which a parent's rules read its characteristics."""
    return "product" if isinstance(parent, ProductSpec) else "service"


def _unknown(path: str, names: Names) -> str | None:
    for length in range(path.count(".") + 1, 0, -1):
        root = ".".join(path.split(".")[:length])
        if root in names:
            below = names[root]
            rest = path[len(root) + 1 :].partition(".")[0]
            if below is None or not rest or rest in below:
                return None
            return f"{root} has no {rest!r} (it has {', '.join(below) or 'nothing'})"
    return f"{path!r} is not bound (bound are {', '.join(names)})"


def _expressions(where: str, parent: ProductSpec | ServiceSpec, link: Link) -> Iterator[Finding]:
    names: dict[str, Sequence[str] | None] = {
        variable(parent): parent.declared_names,
        "place": None,
    }
    for text in filter(None, (link.for_each, link.quantity)):
        yield from check_expression(where, text, names)
    if link.repeated:
        names |= {"item": None, "index": None}
    single = (link.when, link.index_by, link.start_at, link.stage)
    for text in (*filter(None, single), *link.map.values()):
        yield from check_expression(where, text, names)
    for rule in link.sequence_after:
        if rule.where:
            yield from check_expression(where, rule.where, {"this": None, "other": None})


def _reachable(where: str, parent: ProductSpec | ServiceSpec, link: Link) -> Iterator[Finding]:
    """Try a condition with all combinations of the values it reads: never true is unreachable."""
    if link.when is None or link.repeated:
        return
    try:
        expression = Expression(link.when)
        results = [expression.holds(context) for context in _contexts(expression, parent)]
    except ExpressionFailed as error:
        yield Finding("EXPRESSION_INVALID", where, error.message)
        return
    if results and not any(results):
        yield Finding(
            "UNREACHABLE", where, f"{link.when!r} is never true; correct or remove the rule"
        )


def _contexts(
    expression: Expression, parent: ProductSpec | ServiceSpec
) -> Iterator[Mapping[str, Any]]:
    root = variable(parent)
    read = {path.split(".")[1] for path in expression.references() if path.startswith(f"{root}.")}
    domains = {c.name: domain(c) for c in parent.characteristics if c.name in read}
    if any(d is None for d in domains.values()):
        return
    values = [d or [] for d in domains.values()]
    if math.prod(map(len, values)) > _ENOUGH:
        return
    for combination in itertools.product(*values):
        bound = dict.fromkeys(parent.declared_names) | dict(zip(domains, combination, strict=True))
        yield {root: bound, "place": ""}


def domain(c: Characteristic) -> list[Any] | None:
    """Return all values that a characteristic can have after resolution, or None when they are not listed."""
    listed = [True, False] if c.value_type == "boolean" and not c.values else list(c.values)
    if not listed:
        return None
    return listed if c.required or c.default is not None else [*listed, None]


def _handed_down(where: str, link: Link, child: ServiceSpec) -> Iterator[Finding]:
    for name in link.map:
        if name not in child.declared_names:
            yield Finding("UNDECLARED_NAME", where, f"map: {child.id} has no characteristic {name}")
    for name in link.replace_on:
        if name not in (*child.declared_names, "place"):
            yield Finding(
                "UNDECLARED_NAME", where, f"replaceOn: {child.id} has no characteristic {name}"
            )
