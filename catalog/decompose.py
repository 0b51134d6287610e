"""Pure: what a product's or a line's services decompose into. One algorithm for every layer and order type.

Names in expressions: the parent under its variable (`product` or `service`), `place`, and in a repeated link `item`
and `index`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from catalog.characteristics import resolve
from catalog.delta import Action, Desired, ItemDelta, Need, Present, delta
from catalog.errors import ExpressionFailed, MapConflict
from catalog.expression import Expression
from catalog.lines import Across, LineDelta, LineNeed, line_order, order_lines
from catalog.model import Link, ProductSpec, SequenceAfter, ServiceSpec

__all__ = [
    "Across",
    "Action",
    "Desired",
    "ItemDelta",
    "LineDelta",
    "LineNeed",
    "Need",
    "Parent",
    "Present",
    "decompose",
    "delta",
    "line_order",
    "order_lines",
]

SpecOf = Callable[[str, str | None], ServiceSpec]
PLACE = "place"


@dataclass(frozen=True, slots=True)
class Parent:
    """A product or customer-facing service as it shall be."""

    id: str
    spec: ServiceSpec | ProductSpec
    characteristics: Mapping[str, Any]
    place: str | None
    scope: str
    """The line (product instance) that children with `scope: product` are shared in."""
    variable: Literal["product", "service"]

    def context(self) -> dict[str, Any]:
        """Return what its rules may name; declared characteristics without a value are null."""
        values = dict.fromkeys(self.spec.declared_names) | dict(self.characteristics)
        return {self.variable: values, PLACE: self.place}


@dataclass(frozen=True, slots=True)
class _Offer:
    """One parent's say in one child."""

    link: Link
    spec: ServiceSpec
    parent: Parent
    index: str | None
    inherited: Mapping[str, Any]
    mapped: Mapping[str, Any]
    start_at: str | None = None
    stage: str | None = None

    @property
    def key(self) -> str:
        return self.link.key if self.index is None else f"{self.link.key}[{self.index}]"


@dataclass(frozen=True, slots=True)
class _Child:
    """All that the parents say of one child."""

    key: str
    offers: tuple[_Offer, ...]
    rules: tuple[SequenceAfter, ...] = field(default=())

    @property
    def first(self) -> _Offer:
        return self.offers[0]


def decompose(parents: Sequence[Parent], child_specs: SpecOf) -> tuple[Desired, ...]:
    """Return the children that the parents of one line shall have, in the order of their rules.

    A child inherits the characteristics of the same name that its own specification declares; `map` says more.
    A child of `scope: product` is one for all parents: the higher precedence wins, name by name.

    Args:
        parents: products or customer-facing services of one line.
        child_specs: finds a service specification by id and version (None: newest launched).

    Raises:
        MapConflict: parents say different things with equal precedence, or mean different specifications.
        ExpressionFailed, CharacteristicUnknown, CharacteristicMissing, CharacteristicInvalid: as catalog and values are.

    """
    _one_line(parents)
    offers = [o for p in parents for link in p.spec.links for o in _offers(p, link, child_specs)]
    children = _children(offers)
    keys = {child.key: child.first for child in children}
    return tuple(_desired(child, keys) for child in children)


def _one_line(parents: Sequence[Parent]) -> None:
    lines = sorted({parent.scope for parent in parents})
    if len(lines) > 1:
        raise ValueError(f"parents of one call are of one line, not of {', '.join(lines)}")


def _offers(parent: Parent, link: Link, child_specs: SpecOf) -> Iterator[_Offer]:
    context = parent.context()
    for index, bound in _repetitions(link, context):
        if link.when is None or Expression(link.when).holds(bound):
            spec = child_specs(link.id, link.version)
            yield _Offer(
                link=link,
                spec=spec,
                parent=parent,
                index=index,
                inherited=_inherited(parent, spec),
                mapped={name: Expression(text).evaluate(bound) for name, text in link.map.items()},
                start_at=_text(link.start_at, bound),
                stage=_text(link.stage, bound),
            )


def _repetitions(
    link: Link, context: Mapping[str, Any]
) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    for position, item in enumerate(_items(link, context)):
        bound = {**context, "item": item, "index": position} if link.repeated else context
        if link.index_by:
            yield str(Expression(link.index_by).evaluate(bound)), bound
        else:
            yield (str(position) if link.repeated else None), bound


def _items(link: Link, context: Mapping[str, Any]) -> Sequence[Any]:
    if link.for_each:
        return _typed(link.for_each, context, list) or []
    if link.quantity:
        return [None] * (_typed(link.quantity, context, int) or 0)
    return [None]


def _typed(text: str, context: Mapping[str, Any], wanted: type) -> Any:
    value = Expression(text).evaluate(context)
    if value is not None and type(value) is not wanted:
        raise ExpressionFailed(
            f"{text!r} gives {type(value).__name__}, where {wanted.__name__} is needed; correct the catalog."
        )
    return value


def _text(text: str | None, context: Mapping[str, Any]) -> str | None:
    value = None if text is None else Expression(text).evaluate(context)
    return None if value is None else str(value)


def _inherited(parent: Parent, spec: ServiceSpec) -> dict[str, Any]:
    given = parent.characteristics
    return {name: given[name] for name in spec.declared_names if given.get(name) is not None}


def _children(offers: Sequence[_Offer]) -> list[_Child]:
    claims: dict[str, list[_Offer]] = {}
    for offer in offers:
        claim = claims.setdefault(offer.key, [])
        if any(other.parent.id == offer.parent.id for other in claim):
            raise MapConflict(
                f"{offer.parent.spec.id} makes {offer.key} twice; the values behind its forEach must differ."
            )
        claim.append(offer)
    return [child for key, claim in claims.items() for child in _separated(key, claim)]


def _separated(key: str, claim: Sequence[_Offer]) -> Iterator[_Child]:
    """Yield one child for all that share, else one for each; a parent part tells colliding ones apart."""
    shared = [offer for offer in claim if offer.link.scope == "product"]
    own = [offer for offer in claim if offer.link.scope != "product"]
    groups = ([shared] if shared else []) + [[offer] for offer in own]
    for group in groups:
        part = "" if len(groups) == 1 else f"@{group[0].parent.id}"
        rules = dict.fromkeys(rule for offer in group for rule in offer.link.sequence_after)
        yield _Child(key + part, tuple(group), tuple(rules))


def _desired(child: _Child, keys: Mapping[str, _Offer]) -> Desired:
    first = child.first
    specs = {(offer.spec.id, offer.spec.version) for offer in child.offers}
    if len(specs) > 1:
        raise MapConflict(
            f"{child.key} is {' and '.join(sorted(id_ for id_, _ in specs))} at once; correct the catalog."
        )
    inputs = resolve(first.spec.characteristics, _merged(child), owner=first.spec.id)
    replace_on = _union(offer.link.replace_on for offer in child.offers)
    if PLACE in replace_on:
        inputs[PLACE] = first.parent.place
    return Desired(
        key=child.key,
        spec=first.spec.id,
        version=first.spec.version,
        inputs=inputs,
        after=_after(child, keys),
        parents=_union((offer.parent.id,) for offer in child.offers),
        start_at=next((offer.start_at for offer in child.offers if offer.start_at), None),
        stage=next((offer.stage for offer in child.offers if offer.stage), None),
        replace_on=replace_on,
        replace_with=_union(offer.link.replace_with for offer in child.offers),
        refresh_with=_union(offer.link.refresh_with for offer in child.offers),
        across=tuple(Across(r.key, r.where) for r in child.rules if r.scope == "order"),
    )


def _merged(child: _Child) -> dict[str, Any]:
    said: dict[str, tuple[int, Any]] = {}
    for offer in child.offers:
        rank = offer.link.precedence
        mapped = {name: value for name, value in offer.mapped.items() if value is not None}
        for name, value in {**offer.inherited, **mapped}.items():
            known = said.get(name)
            if known and known[0] == rank and known[1] != value:
                raise MapConflict(
                    f"{name} of {child.key} is given {known[1]!r} and {value!r} with equal precedence {rank}; "
                    "give one of the rules a higher precedence."
                )
            if known is None or known[0] < rank:
                said[name] = (rank, value)
    return {name: value for name, (_, value) in said.items()}


def _after(child: _Child, keys: Mapping[str, _Offer]) -> tuple[str, ...]:
    """Return the keys of the siblings that there are and that the rules name."""
    return tuple(
        dict.fromkeys(
            key
            for rule in child.rules
            if rule.scope == "line"
            for key, offer in keys.items()
            if offer.link.key == rule.key
            and key != child.key
            and (not rule.same_index or offer.index == child.first.index)
        )
    )


def _union(groups: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))
