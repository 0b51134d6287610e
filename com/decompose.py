"""Pure: from a product to what its customer-facing services must become, and the TMF641 order that says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from catalog.decompose import Desired, ItemDelta, Parent, Present, decompose, delta
from catalog.model import ServiceSpec
from com.parse import ProductItem

Json = dict[str, Any]


def product_delta(
    item: ProductItem, children: Sequence[Json], spec_of: Callable[[str, str | None], ServiceSpec]
) -> tuple[tuple[ItemDelta, ...], tuple[Desired, ...]]:
    """Return what happens to a product's services, and what they shall be.

    Args:
        item: the order item.
        children: the product's present services: {key, service, spec, version, inputs, after} each.
        spec_of: finds a service specification by id and version.

    """
    desired = () if item.action == "delete" else decompose([_parent(item)], spec_of)
    present = [
        Present(c["key"], c["service"], c["spec"], c["version"], c["inputs"], tuple(c["after"]))
        for c in children
    ]
    return delta(desired, present), desired


def choose_technology(
    item: ProductItem, technologies: Sequence[Mapping[str, Any]]
) -> tuple[str | None, list[dict[str, str]]]:
    """Return the access technology to use, or None, and why each other one was turned down.

    Args:
        item: the order item; its offering says which technologies it allows, the preferred first.
        technologies: {technology, ports, free} of the place.

    """
    free = {str(entry["technology"]): int(entry["free"]) for entry in technologies}
    allowed = item.offering.allowed("accessTechnology") or tuple(free)
    refused = [
        {"technology": name, "why": "not at this place" if name not in free else "no free capacity"}
        for name in allowed
        if not free.get(name)
    ]
    return next((name for name in allowed if free.get(name)), None), refused


def service_order(
    entries: Sequence[Mapping[str, Any]], *, order_id: str, correlation: str | None
) -> Json:
    """Return the TMF641 order for all products of a product order; entries without change are left out."""
    changing = {entry["id"] for entry in entries if entry["action"] != "noChange"}
    return {
        "correlationId": correlation,
        "externalReference": [
            {
                "id": order_id,
                "name": order_id,
                "owner": "COM",
                "entityType": "ProductOrder",
                "externalReferenceType": "ProductOrder",
            }
        ],
        "orderRelationship": [
            {"id": order_id, "relationshipType": "cross-ref", "@referredType": "ProductOrder"}
        ],
        "serviceOrderItem": [
            _service_item(entry, changing) for entry in entries if entry["id"] in changing
        ],
    }


def _service_item(entry: Mapping[str, Any], changing: set[str]) -> Json:
    service: Json = {
        "serviceSpecification": {"id": entry["spec"], "version": entry["version"]},
        "relatedEntity": [
            {"id": entry["item"], "role": "sourceOrderItem", "@referredType": "ProductOrderItem"},
            {"id": entry["line"], "role": "product", "@referredType": "Product"},
        ],
    }
    if entry["instance"]:
        service["id"] = entry["instance"]
    if entry["after"] is not None:
        service["serviceCharacteristic"] = [
            {"name": name, "value": value}
            for name, value in entry["after"].items()
            if name != "place"
        ]
    if entry["place"]:
        service["place"] = [{"id": entry["place"], "role": "installation"}]
    return {
        "id": entry["id"],
        "action": entry["action"],
        "line": entry["line"],
        "key": entry["key"],
        "service": service,
        "serviceOrderItemRelationship": [
            {"relationshipType": "sequenceAfter", "orderItem": {"itemId": need}}
            for need in entry["needs"]
            if need in changing
        ],
    }


def _parent(item: ProductItem) -> Parent:
    return Parent(
        id=item.product,
        spec=item.spec,
        characteristics=dict(item.characteristics),
        place=item.place,
        scope=item.product,
        variable="product",
    )
