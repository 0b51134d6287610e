"""From a TMF622 body to items: everything that can be said about a product order before it is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from catalog.characteristics import from_tmf, resolve
from catalog.model import Offering, ProductSpec
from catalog.repository import Catalog
from com.errors import ProductItemInvalid, ProductNotFound
from com.states import LIVE
from inventory.instances import Instance, get
from orders.model import Item, NewItem, NewOrder, Order
from orders.wire import place_of, reference
from store import Rx, new_id
from store.errors import NotFound
from tmf.wording import action_of, duplicates, priority_of

Json = dict[str, Any]

QUALIFIED = "accessTechnology"
"""The characteristic that COM sets from what the place can have."""


@dataclass(frozen=True, slots=True)
class ProductItem:
    """One item: a product of an offering at a place, and what it should become."""

    id: str
    action: str
    product: str
    offering: Offering
    spec: ProductSpec
    place: str | None
    characteristics: Mapping[str, Any]
    related_party: Sequence[Json] = ()

    def with_technology(self, technology: str) -> ProductItem:
        """Return a copy that is realised with this access technology."""
        return replace(self, characteristics={**self.characteristics, QUALIFIED: technology})

    @property
    def needs_qualification(self) -> bool:
        """Return whether the access technology has to be found out."""
        if self.action == "delete" or QUALIFIED not in self.spec.declared_names:
            return False
        allowed = self.offering.allowed(QUALIFIED)
        return self.characteristics.get(QUALIFIED) is None or (
            bool(allowed) and self.characteristics[QUALIFIED] not in allowed
        )


def new_order(rx: Rx, catalog: Catalog, body: Json, key: str | None) -> NewOrder:
    """Check a TMF622 body against catalog and inventory; nothing is stored.

    Raises ProductItemInvalid, ProductNotFound, and the catalog's OFFERING_NOT_FOUND, CHARACTERISTIC_… errors.
    """
    items = body.get("productOrderItem")
    if not isinstance(items, list) or not items:
        raise ProductItemInvalid(
            "productOrderItem is missing or empty; a product order needs at least one item."
        )
    _check_ids(items)
    order_id = new_id("po")
    parties = body.get("relatedParty") or []
    return NewOrder(
        layer="com",
        id=order_id,
        body={name: value for name, value in body.items() if name != "productOrderItem"},
        items=tuple(_new_item(rx, catalog, item, parties) for item in items),
        key=key,
        priority=priority_of(body),
        correlation=str(body.get("externalId") or order_id),
        plan_hash=body.get("planHash"),
    )


def load_items(rx: Rx, catalog: Catalog, order: Order) -> tuple[ProductItem, ...]:
    """Return the items of a stored order with their complete characteristics."""
    return tuple(_load(rx, catalog, item) for item in order.items)


def _check_ids(items: Sequence[Any]) -> None:
    for number, item in enumerate(items, 1):
        if not isinstance(item, Mapping) or not item.get("id"):
            raise ProductItemInvalid(
                f"productOrderItem number {number} has no id; give each item one of its own."
            )
    twice = duplicates(str(item["id"]) for item in items)
    if twice:
        raise ProductItemInvalid(
            f"productOrderItem ids must differ; these occur twice: {', '.join(twice)}."
        )


def _new_item(rx: Rx, catalog: Catalog, item: Json, parties: list[Json]) -> NewItem:
    action = action_of(item)
    product = dict(item.get("product") or {})
    instance = None if action == "add" else _instance(rx, product, str(item["id"]))
    offering = _offering(catalog, item, instance)
    spec = catalog.product_spec(offering.product_spec)
    if instance is None:
        product["id"] = new_id("pr")
    product.setdefault(
        "relatedParty", instance.body.get("relatedParty", []) if instance else parties
    )
    if action != "delete":
        _characteristics(offering, spec, instance, product)
    if action == "add" and QUALIFIED in spec.declared_names and not place_of(product):
        raise ProductItemInvalid(f"Item {item['id']} needs a place: give product.place [{{id}}].")
    return NewItem(
        id=str(item["id"]),
        action=action,
        instance=str(product["id"]),
        spec=spec.id,
        body={
            **{
                name: value for name, value in item.items() if name not in ("id", "action", "state")
            },
            "productOffering": {
                "id": offering.id,
                "version": offering.version,
                "name": offering.name,
            },
            "product": product,
        },
    )


def _offering(catalog: Catalog, item: Json, instance: Instance | None) -> Offering:
    named = reference(item, "productOffering")
    if named:
        return catalog.offering(named, item["productOffering"].get("version"))
    if instance is None:
        raise ProductItemInvalid(
            f"Item {item['id']} adds a product but names no productOffering.id."
        )
    pinned = instance.body["offering"]
    return catalog.offering(pinned["id"], pinned["version"])


def _instance(rx: Rx, product: Json, item: str) -> Instance:
    try:
        instance = get(rx, str(product.get("id")))
    except NotFound:
        raise ProductNotFound(
            f"Item {item} names product {product.get('id')}, which the inventory does not hold."
        ) from None
    if instance.kind != "product" or instance.state not in LIVE:
        raise ProductNotFound(f"Item {item} names {instance.id}, which is not a live product.")
    return instance


def _characteristics(
    offering: Offering, spec: ProductSpec, instance: Instance | None, product: Json
) -> Json:
    given = from_tmf(product.get("productCharacteristic") or [])
    old = instance.inputs if instance else {}
    return resolve(
        spec.characteristics,
        {**old, **offering.fixed, **given},
        owner=offering.id,
        offering=offering,
    )


def _load(rx: Rx, catalog: Catalog, item: Item) -> ProductItem:
    product = item.body["product"]
    pinned = item.body["productOffering"]
    offering = catalog.offering(pinned["id"], pinned["version"])
    spec = catalog.product_spec(offering.product_spec)
    instance = None if item.action == "add" else get(rx, str(product["id"]))
    values = (
        instance.inputs
        if instance and item.action == "delete"
        else _characteristics(offering, spec, instance, product)
    )
    return ProductItem(
        id=item.id,
        action=item.action,
        product=str(product["id"]),
        offering=offering,
        spec=spec,
        place=place_of(product) or (instance.place if instance else None),
        characteristics=values,
        related_party=product.get("relatedParty") or [],
    )
