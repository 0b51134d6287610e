"""Products in the inventory, and how TMF637 shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from inventory.instances import Cause, Instance, find, put
from orders.wire import characteristics, moment
from store import Rx, Tx
from tmf.events import emit
from tmf.paths import BASE_PATHS, href

Json = dict[str, Any]


def store_product(tx: Tx, instance: Instance, cause: Cause, action: str) -> Instance:
    """Record a product as it now is, with the order item that made it so, and tell the world."""
    known = find(tx, kind="product", ids=[instance.id])
    made_by = list((known[0].body if known else {}).get("orderItems", []))
    entry = {
        "productOrderId": cause.order_id,
        "productOrderHref": href(BASE_PATHS["622"], "/productOrder", str(cause.order_id)),
        "orderItemId": cause.item_id,
        "orderItemAction": action,
    }
    if entry not in made_by:
        made_by.append(entry)
    body = {**instance.body, "orderItems": made_by}
    stored = put(tx, replace(instance, body=body, changed=tx.now), cause)
    emit(
        tx,
        api="637",
        event_type=_event(known[0] if known else None, stored),
        resource_key="product",
        resource=product_body(tx, stored),
        subject=stored.id,
        correlation=cause.order_id,
    )
    return stored


def product_body(_rx: Rx, instance: Instance) -> Json:
    """Return the TMF637 representation of a product: what realises it, and the items that made it."""
    offering = instance.body.get("offering", {})
    body: Json = {
        "@type": "Product",
        "id": instance.id,
        "href": href(BASE_PATHS["637"], "/product", instance.id),
        "name": instance.name,
        "status": instance.state,
        "orderDate": moment(instance.created),
        "productOffering": {
            **offering,
            "href": href(BASE_PATHS["620"], "/productOffering", offering.get("id", "")),
        },
        "productSpecification": {
            "id": instance.spec,
            "href": href(BASE_PATHS["620"], "/productSpecification", instance.spec),
            "version": instance.version,
        },
        "productCharacteristic": characteristics(instance.characteristics),
        "productOrderItem": instance.body.get("orderItems", []),
        "relatedParty": instance.body.get("relatedParty", []),
        "realizingService": [
            _service_ref(child["service"]) for child in instance.body.get("children", [])
        ],
    }
    for name in ("startDate", "terminationDate", "productPrice", "productTerm"):
        if instance.body.get(name):
            body[name] = instance.body[name]
    if instance.place:
        body["place"] = [
            {"id": instance.place, "role": "installation", "@referredType": "GeographicSite"}
        ]
    return body


def _service_ref(service: str) -> Json:
    return {
        "id": service,
        "href": href(BASE_PATHS["638"], "/service", service),
        "@referredType": "Service",
    }


def _event(old: Instance | None, new: Instance) -> str:
    if old is None:
        return "ProductCreateEvent"
    return (
        "ProductStateChangeEvent" if old.state != new.state else "ProductAttributeValueChangeEvent"
    )
