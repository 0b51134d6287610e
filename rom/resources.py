"""Realised resources and their parts in the inventory, and how TMF639 shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from inventory import allocator
from inventory.instances import (
    Cause,
    Instance,
    Relation,
    by_ids,
    find,
    get,
    put,
    relate,
    related,
    unrelate,
)
from inventory.lineage.lifecycle import Logical, Physical, gone
from inventory.plant.candidates import PROMISED
from inventory.plant.registry import CONTAINED, busy
from orders.wire import characteristics, moment
from rom.assign import Assigned
from rom.placing import promised
from rom.states import TMF639
from store import Rx, Tx
from store.errors import NotFound
from tmf.events import emit
from tmf.paths import BASE_PATHS, href

Json = dict[str, Any]
COMPOSITE, PART = "composite", "part"
REALIZED, COMPOSED = "realizedBy", "isComposedOf"


def reserve(tx: Tx, assigned: Assigned, order_id: str) -> None:
    """Record a resource that is to be added as reserved, with its parts."""
    item = assigned.item
    now = tx.now
    instance = Instance(
        id=item.resource,
        kind="resource",
        category=COMPOSITE,
        spec=item.spec.id,
        version=item.spec.version,
        name=item.spec.name,
        state=Logical.ASSIGNED,
        characteristics=dict(item.after or {}),
        place=item.place,
        line=item.line,
        key=item.role,
        inputs=dict(item.inputs),
        after=(),
        body=_body(assigned),
        created=now,
        changed=now,
    )
    cause = _cause(assigned, order_id)
    _store(tx, instance, cause)
    _realize(tx, instance, cause)


def promise(tx: Tx, assigned: Assigned, order_id: str) -> None:
    """Keep what a resource will take when it is changed, so that nobody else is given the room meanwhile."""
    more = promised(assigned.item)
    if more:
        old = get(tx, assigned.item.resource)
        body = {**old.body, PROMISED: more}
        put(tx, replace(old, body=body), _cause(assigned, order_id))


def held_by(rx: Rx, resource: str) -> dict[str, Json]:
    """Return what a resource holds: characteristic → allocation."""
    try:
        return dict(get(rx, resource).body.get("allocations") or {})
    except NotFound:
        return {}


def commission(tx: Tx, assigned: Assigned, order_id: str) -> None:
    """Record that a resource now is as ordered; what it no longer holds is given back when the order ends."""
    cause = _cause(assigned, order_id)
    item = assigned.item
    old = get(tx, item.resource)
    kept = {name: value for name, value in old.body.items() if name != PROMISED}
    body = {**kept, **_body(assigned), "reasons": _reasons(old, assigned)}
    for held in assigned.allocations.values():
        if "sharedBy" not in held:
            allocator.confirm(tx, held["owner"])
    _store(
        tx,
        replace(
            old,
            state=Logical.IN_USE,
            characteristics=dict(item.after or {}),
            inputs=dict(item.inputs),
            version=item.spec.version,
            body=body,
            changed=tx.now,
        ),
        cause,
    )
    _realize(tx, replace(old, body=body), cause)
    _relate_parts(tx, assigned, cause)


def retire(tx: Tx, assigned: Assigned, order_id: str) -> None:
    """Record that a resource is gone and its relations end; what it held is given back when the order ends."""
    cause = _cause(assigned, order_id)
    old = get(tx, assigned.item.resource)
    for relation in related(tx, old.id):
        _let_go(tx, relation, cause)
    for relation in related(tx, old.id, type=REALIZED, reverse=True):
        unrelate(tx, relation.source, relation.target, relation.type, cause)
    body = {**old.body, "allocations": {}}
    _store(tx, replace(old, state=Logical.RELEASED, body=body, changed=tx.now), cause)


def give_back(tx: Tx, assigned: Assigned, order_id: str, *, undo: bool = False) -> None:
    """Give back what an item does not hold at the end: of the old when it was done, of the new when it was undone."""
    old, new = assigned.held, assigned.allocations
    gone, kept = (new, old) if undo else (old, new)
    for name, allocation in gone.items():
        if kept.get(name) != allocation:
            _release(tx, assigned, allocation, _cause(assigned, order_id), quarantine=not undo)


def restore(tx: Tx, assigned: Assigned, order_id: str) -> None:
    """Undo what an order did to a resource in the inventory (after its configuration was undone)."""
    item = assigned.item
    give_back(tx, assigned, order_id, undo=True)
    if item.before is None:
        retire(tx, assigned, order_id)
        return
    old = get(tx, item.resource)
    before = replace(assigned, item=item.with_after(item.before), allocations=assigned.held)
    state = replace(old, inputs=_inputs_of(item.spec.input_names, item.before))
    commission(tx, replace(before, item=replace(before.item, inputs=state.inputs)), order_id)


def resource_body(rx: Rx, instance: Instance) -> Json:
    """Return the TMF639 representation of a resource, its parts, its services and the items that made it."""
    body: Json = {
        "@type": instance.body.get("@type", "LogicalResource"),
        "id": instance.id,
        "href": href(BASE_PATHS["639"], "/resource", instance.id),
        "name": instance.name,
        "category": instance.category,
        "resourceCharacteristic": characteristics(instance.characteristics),
        "startOperatingDate": moment(instance.created),
        **TMF639.get(instance.state, TMF639[Physical.COMMISSIONED]),
        "lifecycleState": instance.state,
        "resourceOrderItem": instance.body.get("orderItems", []),
        "resourceRelationship": _relationships(rx, related(rx, instance.id)),
    }
    if instance.spec:
        body["resourceSpecification"] = _spec_ref(instance)
    if instance.place:
        body["place"] = {
            "id": instance.place,
            "role": "installation",
            "@referredType": "GeographicSite",
        }
    for name in ("realizes", "reasons", "verification"):
        if instance.body.get(name):
            body[name] = instance.body[name]
    if instance.line:
        body["line"] = instance.line
    return body


def _spec_ref(instance: Instance) -> Json:
    """Point to the catalog; a part is of a kind that has no entry there."""
    if instance.category != COMPOSITE:
        return {"id": instance.spec}
    return {
        "id": instance.spec,
        "href": href(BASE_PATHS["634"], "/resourceSpecification", instance.spec),
        "version": instance.version,
        "name": instance.name,
    }


def _inputs_of(names: Iterable[str], values: Mapping[str, Any]) -> Json:
    return {name: values[name] for name in names if name in values}


def _cause(assigned: Assigned, order_id: str) -> Cause:
    return Cause(order_id=order_id, item_id=assigned.item.id, layer="rom")


def _body(assigned: Assigned) -> Json:
    wire = assigned.item.body or {}
    return {
        "@type": "LogicalResource",
        "realizes": wire.get("realizes"),
        "allocations": dict(assigned.allocations),
        "reasons": dict(assigned.reasons),
    }


def _reasons(old: Instance, assigned: Assigned) -> Json:
    """Keep why what stays was chosen: a later order that chooses nothing anew has no reasons of its own."""
    kept = old.body.get("reasons") or {}
    values = assigned.item.after or {}
    standing = {name: why for name, why in kept.items() if values.get(name) == why.get("chosen")}
    return standing | dict(assigned.reasons)


def _release(
    tx: Tx, assigned: Assigned, allocation: Json, cause: Cause, *, quarantine: bool
) -> None:
    if "sharedBy" in allocation:
        allocator.release_shared(
            tx,
            kind=allocation["kind"],
            scope=allocation["scope"],
            shared_by=allocation["sharedBy"],
            user=assigned.item.resource,
            cause=cause,
            quarantine=quarantine,
        )
    else:
        allocator.release(tx, allocation["owner"], quarantine=quarantine, cause=cause)


def _relate_parts(tx: Tx, assigned: Assigned, cause: Cause) -> None:
    resource = assigned.item.resource
    values = assigned.item.after or {}
    wanted = {
        _part(tx, assigned, rule.as_, rule.part, cause)
        for rule in assigned.item.spec.assign
        if rule.part and values.get(rule.as_) is not None
    }
    present = {relation.target: relation for relation in related(tx, resource, type=COMPOSED)}
    for target in present.keys() - wanted:
        _let_go(tx, present[target], cause)
    for target in wanted - present.keys():
        relate(tx, resource, target, COMPOSED, cause)


def _let_go(tx: Tx, relation: Relation, cause: Cause) -> None:
    """End a relation; what exists from import is free again, what was made here ends with its last user."""
    unrelate(tx, relation.source, relation.target, relation.type, cause)
    part = get(tx, relation.target)
    if part.category != PART:
        _usage(tx, part, cause)
    elif not related(tx, part.id, reverse=True):
        _store(tx, replace(part, state=Logical.RELEASED, changed=tx.now), cause)


def _part(tx: Tx, assigned: Assigned, name: str, part: str, cause: Cause) -> str:
    """Return the id of the part: the one that exists from import (port, ONT), or a logical one made here."""
    value = str((assigned.item.after or {})[name])
    existing = find(tx, kind="resource", ids=[value])
    if existing:
        _usage(tx, existing[0], cause, used=True)
        return existing[0].id
    held = assigned.allocations.get(name, {})
    part_id = f"{part}:{held.get('scope', assigned.item.resource)}:{value}"
    known = find(tx, kind="resource", ids=[part_id])
    if known and known[0].state == Logical.IN_USE:
        # shared by many: a version for each of its users would grow with their square, the relation tells of them
        return part_id
    created = known[0].created if known else tx.now
    _store(
        tx,
        Instance(
            id=part_id,
            kind="resource",
            category=PART,
            spec=part,
            version="",
            name=f"{part} {value}",
            state=Logical.IN_USE,
            characteristics={name: value, "scope": held.get("scope")},
            place=None,
            line=None,
            key=value,
            inputs={},
            after=(),
            body={"@type": "LogicalResource"},
            created=created,
            changed=tx.now,
        ),
        cause,
    )
    return part_id


def _realize(tx: Tx, instance: Instance, cause: Cause) -> None:
    """Relate a resource to the service that relies on it, and to no other."""
    service = (instance.body.get("realizes") or {}).get("serviceId")
    for relation in related(tx, instance.id, type=REALIZED, reverse=True):
        if relation.source != service:
            unrelate(tx, relation.source, relation.target, relation.type, cause)
    if service:
        relate(tx, service, instance.id, REALIZED, cause)


def _usage(tx: Tx, part: Instance, cause: Cause, *, used: bool = False) -> None:
    """Bring a port or ONT, and the device it is in, to the state that its users give it."""
    if gone(part.state):
        return
    used = used or bool(related(tx, part.id, reverse=True, type=COMPOSED))
    free = Physical.IN_STOCK if part.category == "stock" else Physical.COMMISSIONED
    _live(tx, part, Physical.IN_SERVICE if used else free, cause)
    for relation in related(tx, part.id, type=CONTAINED):
        device = get(tx, relation.target)
        if device.state in (Physical.COMMISSIONED, Physical.IN_SERVICE):
            at_work = Physical.IN_SERVICE if used or busy(tx, device.id) else Physical.COMMISSIONED
            _live(tx, device, at_work, cause)


def _live(tx: Tx, instance: Instance, state: Physical, cause: Cause) -> None:
    if instance.state != state:
        _store(tx, replace(instance, state=state, changed=tx.now), cause)


def _relationships(rx: Rx, relations: Iterable[Relation]) -> list[Json]:
    found = list(relations)
    names = {one.id: one.name for one in by_ids(rx, {relation.target for relation in found})}
    return [
        {
            "relationshipType": relation.type,
            "resource": {
                "id": relation.target,
                "href": href(BASE_PATHS["639"], "/resource", relation.target),
                "name": names.get(relation.target, relation.target),
                "@referredType": "Resource",
            },
        }
        for relation in found
    ]


def _store(tx: Tx, instance: Instance, cause: Cause) -> None:
    known = find(tx, kind="resource", ids=[instance.id])
    made_by = list((known[0].body if known else {}).get("orderItems", []))
    entry = {"resourceOrderId": cause.order_id, "itemId": cause.item_id}
    if cause.order_id and entry not in made_by:
        made_by.append(entry)
    stored = put(tx, replace(instance, body={**instance.body, "orderItems": made_by}), cause)
    emit(
        tx,
        api="639",
        event_type=_event(known[0] if known else None, stored),
        resource_key="resource",
        resource=resource_body(tx, stored),
        subject=stored.id,
        correlation=cause.order_id,
    )


def _event(old: Instance | None, new: Instance) -> str:
    if old is None:
        return "ResourceCreateEvent"
    return (
        "ResourceStateChangeEvent"
        if old.state != new.state
        else "ResourceAttributeValueChangeEvent"
    )
