"""Services in the inventory (CFS and RFS), and how TMF638 shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from inventory.instances import Cause, Instance, find, get, put, relate, related, unrelate
from orders.wire import characteristics, instant, moment
from som.states import LIVE, ServiceState
from store import Rx, Tx
from tmf.events import emit
from tmf.paths import BASE_PATHS, href

Json = dict[str, Any]
CFS, RFS = "CFS", "RFS"


def live(rx: Rx, line: str, category: str) -> list[Instance]:
    """Return a line's services of a category that are not terminated."""
    return list(find(rx, kind="service", category=category, line=line, states=LIVE))


def plan_service(tx: Tx, instance: Instance, cause: Cause) -> None:
    """Record a service that is to be made."""
    _store(tx, replace(instance, state=ServiceState.RESERVED), cause)


def activate(tx: Tx, service: str, cause: Cause, **changes: Any) -> None:
    """Record that a service now works as ordered; `changes` are attributes of the instance."""
    old = get(tx, service)
    _store(tx, replace(old, state=ServiceState.ACTIVE, changed=tx.now, **changes), cause)


def terminate(tx: Tx, service: str, cause: Cause) -> None:
    """Record that a service is gone; its relations end."""
    old = get(tx, service)
    for relation in (*related(tx, service), *related(tx, service, reverse=True)):
        unrelate(tx, relation.source, relation.target, relation.type, cause)
    _store(tx, replace(old, state=ServiceState.TERMINATED, changed=tx.now), cause)


def relations(rx: Rx, service: str) -> list[list[str]]:
    """Return [source, target, type] of each relation of a service."""
    found = (*related(rx, service), *related(rx, service, reverse=True))
    return [[relation.source, relation.target, relation.type] for relation in found]


def put_back(tx: Tx, before: Instance, had: Sequence[Sequence[str]], cause: Cause) -> None:
    """Bring a service back to what it was, with the relations it had: [source, target, type] each."""
    for source, target, kind in had:
        relate(tx, source, target, kind, cause)
    _store(tx, replace(before, changed=tx.now), cause)


def support(tx: Tx, service: str, realizing: set[str], cause: Cause) -> None:
    """Record which RFS support a CFS."""
    present = {relation.target for relation in related(tx, service, type="reliesOn")}
    for target in present - realizing:
        unrelate(tx, service, target, "reliesOn", cause)
    for target in realizing - present:
        relate(tx, service, target, "reliesOn", cause)


def service_body(rx: Rx, instance: Instance) -> Json:
    """Return the TMF638 representation of a service: what it relies on, and the items that made it."""
    body: Json = {
        "@type": "Service",
        "id": instance.id,
        "href": href(BASE_PATHS["638"], "/service", instance.id),
        "name": instance.name,
        "category": instance.category,
        "state": instance.state,
        "hasStarted": instance.state == ServiceState.ACTIVE,
        "isServiceEnabled": instance.state == ServiceState.ACTIVE,
        "serviceDate": moment(instance.created),
        "serviceSpecification": {
            "id": instance.spec,
            "href": href(BASE_PATHS["633"], "/serviceSpecification", instance.spec),
            "version": instance.version,
            "name": instance.name,
        },
        "serviceCharacteristic": characteristics(instance.characteristics),
        "serviceOrderItem": instance.body.get("orderItems", []),
        "supportingService": [
            _service_ref(relation.target) for relation in related(rx, instance.id, type="reliesOn")
        ],
        "supportingResource": [
            _resource_ref(resource) for resource in instance.body.get("resources", [])
        ],
    }
    if instance.place:
        body["place"] = [
            {"id": instance.place, "role": "installation", "@referredType": "GeographicSite"}
        ]
    for name in ("startDate", "endDate"):
        if instance.body.get(name):
            body[name] = instance.body[name]
    if instance.line:
        body["line"] = instance.line
    return body


def _service_ref(service: str) -> Json:
    return {
        "id": service,
        "href": href(BASE_PATHS["638"], "/service", service),
        "@referredType": "Service",
    }


def _resource_ref(resource: str) -> Json:
    return {
        "id": resource,
        "href": href(BASE_PATHS["639"], "/resource", resource),
        "@referredType": "Resource",
    }


def _store(tx: Tx, instance: Instance, cause: Cause) -> None:
    known = find(tx, kind="service", ids=[instance.id])
    body = {
        **instance.body,
        **_dates(instance, instant(tx.now)),
        "orderItems": _made_by(known[0] if known else None, instance, cause),
    }
    stored = put(tx, replace(instance, body=body), cause)
    emit(
        tx,
        api="638",
        event_type=_event(known[0] if known else None, stored),
        resource_key="service",
        resource=service_body(tx, stored),
        subject=stored.id,
        correlation=cause.order_id,
    )


def _made_by(old: Instance | None, new: Instance, cause: Cause) -> list[Json]:
    """Return the order items that made the service, each with what it did to it."""
    made_by = list((old or new).body.get("orderItems", []))
    by = (cause.order_id, cause.item_id)
    if all(by) and by not in [(entry["serviceOrderId"], entry["itemId"]) for entry in made_by]:
        action = "add" if old is None else "modify"
        action = "delete" if new.state == ServiceState.TERMINATED else action
        made_by.append({"serviceOrderId": by[0], "itemId": by[1], "itemAction": action})
    return made_by


def _dates(instance: Instance, now: str) -> Json:
    match instance.state:
        case ServiceState.ACTIVE if "startDate" not in instance.body:
            return {"startDate": now}
        case ServiceState.TERMINATED:
            return {"endDate": now}
        case _:
            return {}


def _event(old: Instance | None, new: Instance) -> str:
    if old is None:
        return "ServiceCreateEvent"
    return (
        "ServiceStateChangeEvent" if old.state != new.state else "ServiceAttributeValueChangeEvent"
    )
