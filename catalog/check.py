"""Find what is wrong with product data before an order does. Every finding has a code, a place and a remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from catalog import _lines, _resources, _rules
from catalog._findings import Finding, Known
from catalog.characteristics import problem
from catalog.data import CatalogData, Kind
from catalog.model import Characteristic, Offering, ProductSpec, ServiceSpec

__all__ = ["Finding", "check"]

Features = Mapping[str, AbstractSet[str]]


def check(
    data: CatalogData,
    features: Features | None = None,
    pool_kinds: AbstractSet[str] | None = None,
) -> list[Finding]:
    """Return what is wrong, by place; an empty list means that every product can be decomposed.

    Args:
        data: all entities; what is not launched is checked too.
        features: what each platform can configure; None leaves that out.
        pool_kinds: the kinds of pools that the inventory has, beside those the data declares; None leaves that out.

    """
    known = Known(data)
    found = {
        *_references(known),
        *_values(known),
        *_offerings(known),
        *_orphans(known),
        *_rules.check_rules(known),
        *_lines.check_lines(known),
        *_resources.check_resources(known, features, pool_kinds),
    }
    return sorted(found, key=lambda f: (f.where, f.code, f.message))


def _references(known: Known) -> Iterator[Finding]:
    for where, offering in known.offerings():
        yield from _dangling(known, where, "productSpecification", offering.product_spec)
        for price in offering.prices:
            yield from _dangling(known, where, "productOfferingPrice", price)
    for where, product in known.products():
        for link in product.links:
            yield from _dangling(known, where, "serviceSpecification", link.id, link.version)
    for where, service in known.services():
        named = [(link.id, link.version) for link in service.links]
        named += [(other, None) for other in (*service.requires, *service.excludes)]
        for id_, version in named:
            yield from _dangling(known, where, "serviceSpecification", id_, version)
        if service.resource:
            yield from _dangling(known, where, "resourceSpecification", service.resource)
        yield from _shape(where, service)
    for where, resource in known.resources():
        for uses in resource.uses.values():
            yield from _dangling(known, where, "resourceSpecification", uses.spec)


def _dangling(
    known: Known, where: str, kind: Kind, id_: str, version: str | None = None
) -> Iterator[Finding]:
    if known.data.find(kind, id_, version) is None:
        shown = f"{id_!r} {version}" if version else repr(id_)
        yield Finding("DANGLING_REFERENCE", where, f"there is no launched {kind} {shown}; add it")


def _shape(where: str, service: ServiceSpec) -> Iterator[Finding]:
    if service.category == "RFS" and not service.resource:
        yield Finding(
            "NOT_REALISED",
            where,
            "an RFS names the resource that realises it; add resourceSpecification",
        )
    if service.category == "CFS" and not service.links:
        yield Finding("NOT_REALISED", where, "a CFS decomposes; add a realizedBy relationship")


def _values(known: Known) -> Iterator[Finding]:
    for where, spec in known.specs():
        for c in spec.characteristics:
            if c.default is not None and (wrong := problem(c, c.default)):
                yield Finding("VALUE_NOT_ALLOWED", where, f"default of {c.name} {wrong}")
            if c.secret:
                yield Finding(
                    "SECRET_UNSUPPORTED", where, f"{c.name} would be stored in clear; take it out"
                )
            yield from _ill_typed(where, c)


def _ill_typed(where: str, c: Characteristic) -> Iterator[Finding]:
    free = c.model_copy(update={"values": (), "minimum": None, "maximum": None, "regex": None})
    for value in c.values:
        if wrong := problem(free, value):
            yield Finding("VALUE_NOT_ALLOWED", where, f"{value!r} of {c.name} {wrong}")


def _offerings(known: Known) -> Iterator[Finding]:
    for where, offering in known.offerings():
        spec = known.find(ProductSpec, "productSpecification", offering.product_spec)
        if spec is not None:
            yield from _limits(where, offering, spec)


def _limits(where: str, offering: Offering, spec: ProductSpec) -> Iterator[Finding]:
    declared = {c.name: c for c in spec.characteristics}
    for name, values in offering.limits.items():
        if name not in declared:
            yield Finding("UNDECLARED_NAME", where, f"{spec.id} has no characteristic {name}")
            continue
        for value in values:
            if wrong := problem(declared[name], value):
                yield Finding("VALUE_NOT_ALLOWED", where, f"{value!r} of {name} {wrong}")


def _orphans(known: Known) -> Iterator[Finding]:
    """Yield what no offering leads to."""
    wanted: set[tuple[Kind, str]] = set()
    for _, offering in known.offerings():
        wanted |= {("productSpecification", offering.product_spec)}
        wanted |= {("productOfferingPrice", price) for price in offering.prices}
    for _, parent in known.parents():
        wanted |= {("serviceSpecification", link.id) for link in parent.links}
    for _, service in known.services():
        wanted |= {("resourceSpecification", service.resource or "")}
    for entry in known.data.entries:
        if entry.kind != "productOffering" and (entry.kind, entry.id) not in wanted:
            yield Finding("UNREACHABLE", entry.where, "nothing leads to it; use it or take it out")
