"""From a TMF652 body to items: everything that can be said about an order before it is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from catalog.characteristics import from_tmf, resolve
from catalog.model import ResourceSpec
from catalog.repository import Catalog
from inventory.instances import Instance, find, get
from inventory.lineage.lifecycle import gone
from orders.model import Item, NewItem, NewOrder, Order
from orders.wire import place_of
from rom.errors import ItemInvalid, ResourceNotFound
from rom.model import Action, ResourceItem
from rom.states import LIVE
from store import Rx, new_id
from store.errors import NotFound
from tmf.wording import action_of, duplicates, priority_of

Json = dict[str, Any]


def new_order(rx: Rx, catalog: Catalog, body: Json, key: str | None = None) -> NewOrder:
    """Check a TMF652 body against catalog and inventory; nothing is stored.

    Raises ItemInvalid, ResourceNotFound, and the catalog's SPECIFICATION_NOT_FOUND and CHARACTERISTIC_… errors.
    """
    items = body.get("orderItem")
    if not isinstance(items, list) or not items:
        raise ItemInvalid(
            "orderItem is missing or empty; a resource order needs at least one item."
        )
    _check_ids(items)
    order_id = new_id("ro")
    line = str(body.get("line") or order_id)
    return NewOrder(
        layer="rom",
        id=order_id,
        body={name: value for name, value in body.items() if name != "orderItem"},
        items=tuple(_new_item(rx, catalog, item, line) for item in items),
        key=key,
        priority=priority_of(body),
        correlation=str(body.get("correlationId") or order_id),
        plan_hash=body.get("planHash"),
    )


def load_items(rx: Rx, catalog: Catalog, order: Order) -> tuple[ResourceItem, ...]:
    """Return the items of a stored order, joined with what the inventory holds of their resources."""
    return tuple(_load(rx, catalog, item) for item in order.items)


def of_role(rx: Rx, line: str, role: str) -> Instance | None:
    """Return the live resource of a role on a line, or None."""
    found = find(rx, kind="resource", line=line, key=role, states=LIVE)
    return found[-1] if found else None


def _check_ids(items: Sequence[Mapping[str, Any]]) -> None:
    for number, item in enumerate(items, 1):
        if not isinstance(item, Mapping) or not item.get("id"):
            raise ItemInvalid(
                f"orderItem number {number} has no id; give each item one of its own."
            )
    twice = duplicates(str(item["id"]) for item in items)
    if twice:
        raise ItemInvalid(f"orderItem ids must differ; these occur twice: {', '.join(twice)}.")
    known = {str(item["id"]) for item in items}
    for item in items:
        for need in _needs(item):
            if need not in known:
                raise ItemInvalid(
                    f"Item {item['id']} depends on item {need}, which the order does not have."
                )


def _new_item(rx: Rx, catalog: Catalog, item: Json, line: str) -> NewItem:
    action = Action(action_of(item))
    resource = dict(item.get("resource") or {})
    if action is Action.ADD:
        spec = _spec_of(catalog, item, resource)
        _inputs(spec, {}, resource, str(item["id"]))
        resource = {**resource, "id": new_id("re")}
        line_of_item = str(item.get("line") or line)
    else:
        instance = _instance(rx, resource, str(item["id"]))
        spec = catalog.resource_spec(instance.spec, instance.version)
        _inputs(spec, instance.inputs, resource, str(item["id"]))
        line_of_item = instance.line or line
    return NewItem(
        id=str(item["id"]),
        action=action.value,
        instance=str(resource["id"]),
        spec=spec.id,
        body={
            **{
                name: value for name, value in item.items() if name not in ("id", "action", "state")
            },
            "line": line_of_item,
            "resource": {
                **resource,
                "resourceSpecification": {"id": spec.id, "version": spec.version},
            },
        },
    )


def _spec_of(catalog: Catalog, item: Json, resource: Json) -> ResourceSpec:
    reference_ = resource.get("resourceSpecification") or item.get("resourceSpecification") or {}
    if not reference_.get("id"):
        raise ItemInvalid(
            f"Item {item['id']} adds a resource but names no resourceSpecification.id."
        )
    return catalog.resource_spec(str(reference_["id"]), reference_.get("version"))


def _instance(rx: Rx, resource: Json, item: str) -> Instance:
    if not resource.get("id"):
        raise ItemInvalid(f"Item {item} changes a resource but does not name it; give resource.id.")
    try:
        instance = get(rx, str(resource["id"]))
    except NotFound:
        raise ResourceNotFound(
            f"Item {item} names resource {resource['id']}, which the inventory does not hold."
        ) from None
    if instance.kind != "resource" or gone(instance.state):
        raise ResourceNotFound(
            f"Item {item} names resource {resource['id']}, which is released or not a resource."
        )
    return instance


def _inputs(spec: ResourceSpec, old: Mapping[str, Any], resource: Json, item: str) -> Json:
    """Return the complete inputs: what is given, over what was, over the defaults."""
    given = from_tmf(resource.get("resourceCharacteristic") or [])
    assigned = spec.assigned_names & given.keys()
    if assigned - {name for name in given if given[name] is None}:
        raise ItemInvalid(
            f"Item {item} sets {', '.join(sorted(assigned))}, which the system assigns itself; leave it out."
        )
    return resolve(spec.input_characteristics, {**old, **given}, owner=spec.id)


def _load(rx: Rx, catalog: Catalog, item: Item) -> ResourceItem:
    body = item.body
    resource = body["resource"]
    pinned = resource["resourceSpecification"]
    spec = catalog.resource_spec(pinned["id"], pinned.get("version"))
    action = Action(item.action)
    instance = None if action is Action.ADD else get(rx, str(resource["id"]))
    asked = _without_assigned(spec, resource)
    return ResourceItem(
        id=item.id,
        action=action,
        resource=str(resource["id"]),
        spec=spec,
        line=str(body["line"]),
        place=place_of(resource) or (instance.place if instance else None),
        inputs=_inputs(spec, instance.inputs if instance else {}, asked, item.id),
        needs=tuple(_needs(body)),
        before=instance.characteristics if instance else None,
        after=item.after,
        body=body,
    )


def _without_assigned(spec: ResourceSpec, resource: Json) -> Json:
    """Return the resource as it was asked for: a stored item also shows what was assigned since."""
    given = resource.get("resourceCharacteristic") or []
    asked = [entry for entry in given if entry["name"] not in spec.assigned_names]
    return {**resource, "resourceCharacteristic": asked}


def _needs(item: Mapping[str, Any]) -> list[str]:
    needs = []
    for relation in item.get("orderItemRelationship") or []:
        if relation.get("relationshipType") in ("sequenceAfter", "dependency", "requires"):
            target = relation.get("orderItem") or {}
            needs.append(str(target.get("itemId") or target.get("id") or relation.get("id")))
    return needs
