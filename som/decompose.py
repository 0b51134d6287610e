"""Pure: from the customer-facing services of a line to what its resource-facing services must become."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from catalog.decompose import Desired, ItemDelta, Parent, Present, decompose, delta
from catalog.model import ServiceSpec
from inventory.instances import Instance
from som.parse import ServiceItem

Json = dict[str, Any]
SpecOf = Callable[[str, str | None], ServiceSpec]


def target(
    items: Sequence[ServiceItem], present: Sequence[Instance], spec_of: SpecOf
) -> tuple[Parent, ...]:
    """Return the customer-facing services that a line shall have: what it has, changed by the order's items."""
    changed = {item.service: item for item in items}
    kept = [_of_instance(instance, spec_of) for instance in present if instance.id not in changed]
    return (*kept, *(_of_item(item) for item in items if item.action != "delete"))


def line_delta(
    items: Sequence[ServiceItem],
    services: Sequence[Instance],
    realizing: Sequence[Instance],
    spec_of: SpecOf,
) -> tuple[tuple[ItemDelta, ...], tuple[Desired, ...]]:
    """Return what happens to a line's resource-facing services, and what they shall be.

    Args:
        items: the order's items on this line.
        services: the line's live CFS.
        realizing: the line's live RFS.
        spec_of: finds a service specification by id and version.

    """
    desired = decompose(target(items, services, spec_of), spec_of)
    return delta(desired, [present(instance) for instance in realizing]), desired


def present(instance: Instance) -> Present:
    """Return an inventory instance as the delta algorithm sees it."""
    return Present(
        key=str(instance.key),
        instance=instance.id,
        spec=instance.spec,
        version=instance.version,
        inputs=instance.inputs,
        after=instance.after,
    )


def lines_of(items: Iterable[ServiceItem]) -> dict[str, list[ServiceItem]]:
    """Return the items by line, in the order of their first item."""
    lines: dict[str, list[ServiceItem]] = {}
    for item in items:
        lines.setdefault(item.line, []).append(item)
    return lines


def resource_order(
    entries: Sequence[Mapping[str, Any]],
    *,
    line: str,
    place: str | None,
    order_id: str,
    correlation: str | None,
    references: Sequence[Mapping[str, Any]] = (),
) -> Json:
    """Return the TMF652 order for one line; entries without change are left out, also as needs.

    Args:
        entries: {id, key, action, service, resource, resourceSpec, before, after, needs, items} each.
        line: the line's id.
        place: where the line is.
        order_id: the service order's id.
        correlation: the id that follows the order through all layers.
        references: the service order's own external references: the product order's is handed on.

    """
    changing = {entry["id"] for entry in entries if entry["action"] != "noChange"}
    return {
        "line": line,
        "correlationId": correlation,
        "externalReference": [
            _reference("ServiceOrder", order_id),
            *(_reference("ServiceOrderItem", f"{order_id}/{item}") for item in _sources(entries)),
            *(dict(r) for r in references if r.get("externalReferenceType") == "ProductOrder"),
        ],
        "orderItem": [
            _resource_item(entry, changing, line, place, order_id)
            for entry in entries
            if entry["id"] in changing
        ],
    }


def _reference(kind: str, id_: str) -> Json:
    """Return an external reference with the attributes of both shapes, TMF652's and TMF641's."""
    return {
        "id": id_,
        "name": id_,
        "owner": "SOM",
        "entityType": kind,
        "externalReferenceType": kind,
    }


def _sources(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    changing = (entry for entry in entries if entry["action"] != "noChange")
    return list(dict.fromkeys(item for entry in changing for item in entry["items"]))


def _resource_item(
    entry: Mapping[str, Any], changing: set[str], line: str, place: str | None, order_id: str
) -> Json:
    resource: Json = {
        "resourceSpecification": {
            "id": entry["resourceSpec"]["id"],
            "version": entry["resourceSpec"]["version"],
        }
    }
    if entry["resource"]:
        resource["id"] = entry["resource"]
    if entry["after"] is not None:
        resource["resourceCharacteristic"] = [
            {"name": name, "value": value}
            for name, value in entry["after"].items()
            if name != "place"
        ]
    if place:
        resource["place"] = {"id": place, "role": "installation"}
    return {
        "id": entry["id"],
        "action": entry["action"],
        "line": line,
        "resource": resource,
        "orderItemRelationship": [
            {"relationshipType": "sequenceAfter", "orderItem": {"itemId": need}}
            for need in entry["needs"]
            if need in changing
        ],
        "startAt": entry.get("startAt"),
        "realizes": {
            "serviceId": entry["service"],
            "serviceOrderId": order_id,
            "serviceItemId": entry["items"][0] if entry["items"] else None,
        },
    }


def _of_instance(instance: Instance, spec_of: SpecOf) -> Parent:
    spec = spec_of(instance.spec, instance.version)
    return Parent(
        id=instance.id,
        spec=spec,
        characteristics=dict(instance.inputs),
        place=instance.place,
        scope=str(instance.line),
        variable="service",
    )


def _of_item(item: ServiceItem) -> Parent:
    return Parent(
        id=item.service,
        spec=item.spec,
        characteristics=dict(item.characteristics),
        place=item.place,
        scope=item.line,
        variable="service",
    )
