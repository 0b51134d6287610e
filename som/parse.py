"""From a TMF641 body to items: everything that can be said about a service order before it is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.characteristics import from_tmf, resolve
from catalog.model import ServiceSpec
from catalog.repository import Catalog
from inventory.instances import Instance, get
from orders.model import Item, NewItem, NewOrder, Order
from orders.wire import place_of
from som.errors import ServiceItemInvalid, ServiceNotFound
from som.states import LIVE
from store import Rx, new_id
from store.errors import NotFound
from tmf.wording import action_of, duplicates, priority_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ServiceItem:
    """One item: a customer-facing service on a line, and what it should become."""

    id: str
    action: str
    service: str
    spec: ServiceSpec
    key: str
    line: str
    place: str | None
    characteristics: Mapping[str, Any]


def new_order(rx: Rx, catalog: Catalog, body: Json, key: str | None) -> NewOrder:
    """Check a TMF641 body against catalog and inventory; nothing is stored.

    Raises ServiceItemInvalid, ServiceNotFound, and the catalog's SPECIFICATION_NOT_FOUND, CHARACTERISTIC_… errors.
    """
    items = body.get("serviceOrderItem")
    if not isinstance(items, list) or not items:
        raise ServiceItemInvalid(
            "serviceOrderItem is missing or empty; a service order needs at least one item."
        )
    _check_ids(items)
    order_id = new_id("so")
    return NewOrder(
        layer="som",
        id=order_id,
        body={name: value for name, value in body.items() if name != "serviceOrderItem"},
        items=tuple(
            _new_item(rx, catalog, item, str(body.get("line") or order_id)) for item in items
        ),
        key=key,
        priority=priority_of(body),
        correlation=str(body.get("correlationId") or order_id),
        plan_hash=body.get("planHash"),
    )


def load_items(rx: Rx, catalog: Catalog, order: Order) -> tuple[ServiceItem, ...]:
    """Return the items of a stored order with their complete characteristics."""
    return tuple(_load(rx, catalog, item) for item in order.items)


def _check_ids(items: Sequence[Any]) -> None:
    for number, item in enumerate(items, 1):
        if (
            not isinstance(item, Mapping)
            or not item.get("id")
            or not isinstance(item.get("service"), Mapping)
        ):
            raise ServiceItemInvalid(
                f"serviceOrderItem number {number} needs an id of its own and a service."
            )
    twice = duplicates(str(item["id"]) for item in items)
    if twice:
        raise ServiceItemInvalid(
            f"serviceOrderItem ids must differ; these occur twice: {', '.join(twice)}."
        )


def _new_item(rx: Rx, catalog: Catalog, item: Json, line: str) -> NewItem:
    action = action_of(item)
    service = dict(item["service"])
    if action == "add":
        spec = _spec_of(catalog, service, str(item["id"]))
        resolve(
            spec.characteristics,
            from_tmf(service.get("serviceCharacteristic") or []),
            owner=spec.id,
        )
        service["id"] = new_id("se")
        line_of_item, key = str(item.get("line") or line), str(item.get("key") or spec.id)
    else:
        instance = _instance(rx, service, str(item["id"]))
        spec = catalog.service_spec(instance.spec, instance.version)
        given = from_tmf(service.get("serviceCharacteristic") or [])
        resolve(spec.characteristics, {**instance.inputs, **given}, owner=spec.id)
        line_of_item, key = instance.line or line, instance.key or spec.id
    service["serviceSpecification"] = {"id": spec.id, "version": spec.version, "name": spec.name}
    return NewItem(
        id=str(item["id"]),
        action=action,
        instance=str(service["id"]),
        spec=spec.id,
        body={
            **{
                name: value for name, value in item.items() if name not in ("id", "action", "state")
            },
            "line": line_of_item,
            "key": key,
            "service": service,
        },
    )


def _spec_of(catalog: Catalog, service: Json, item: str) -> ServiceSpec:
    named = service.get("serviceSpecification") or {}
    if not named.get("id"):
        raise ServiceItemInvalid(
            f"Item {item} adds a service but names no service.serviceSpecification.id."
        )
    spec = catalog.service_spec(str(named["id"]), named.get("version"))
    if spec.category != "CFS":
        raise ServiceItemInvalid(
            f"Item {item} orders {spec.id}, which is not customer-facing; order the CFS that needs it."
        )
    return spec


def _instance(rx: Rx, service: Json, item: str) -> Instance:
    try:
        instance = get(rx, str(service.get("id")))
    except NotFound:
        raise ServiceNotFound(
            f"Item {item} names service {service.get('id')}, which does not exist."
        ) from None
    if instance.kind != "service" or instance.category != "CFS" or instance.state not in LIVE:
        raise ServiceNotFound(
            f"Item {item} names {instance.id}, which is not a live customer-facing service."
        )
    return instance


def _load(rx: Rx, catalog: Catalog, item: Item) -> ServiceItem:
    service = item.body["service"]
    pinned = service["serviceSpecification"]
    spec = catalog.service_spec(pinned["id"], pinned.get("version"))
    instance = None if item.action == "add" else get(rx, str(service["id"]))
    given = from_tmf(service.get("serviceCharacteristic") or [])
    return ServiceItem(
        id=item.id,
        action=item.action,
        service=str(service["id"]),
        spec=spec,
        key=str(item.body["key"]),
        line=str(item.body["line"]),
        place=place_of(service) or (instance.place if instance else None),
        characteristics=resolve(
            spec.characteristics, {**(instance.inputs if instance else {}), **given}, owner=spec.id
        ),
    )
