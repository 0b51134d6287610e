"""Orders as the TMF order APIs show them: one furniture for 622, 641 and 652, told apart by an `OrderShape`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orders.model import FINAL, Item, Layer, Order, State
from store import Tx
from tmf.events import emit
from tmf.paths import href

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OrderShape:
    """How one of the three order APIs names its parts (facts: TMF622 4.0, TMF641 4.1, TMF652 4.0)."""

    layer: Layer
    api: str
    base: str
    path: str
    type: str
    key: str
    items: str
    thing: str
    cancel_path: str
    cancel_type: str
    cancel_first_state: str

    def href(self, order_id: str) -> str:
        """Return the address of an order."""
        return href(self.base, self.path, order_id)


def order_body(shape: OrderShape, order: Order) -> Json:
    """Return the TMF representation: what was sent, plus what the server knows."""
    body: Json = {
        "@type": shape.type,
        **order.body,
        "id": order.id,
        "href": shape.href(order.id),
        "state": order.state.value,
        "orderDate": instant(order.created),
        shape.items: [item_body(item) for item in order.items],
    }
    body.update(_dates(shape, order))
    errors = [_error(shape, item) for item in order.items if item.error]
    if errors:
        body["errorMessage"] = errors
    return body


def item_body(item: Item) -> Json:
    """Return one item: what was sent, its state and, when something is wrong, what."""
    body = {**item.body, "id": item.id, "action": item.action, "state": item.state.value}
    if item.error:
        body["errorMessage"] = [_message(item.error)]
    return body


def instant(moment: datetime) -> str:
    """Write an instant for JSON: ISO 8601, milliseconds, Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def moment(instant_: datetime | None) -> str | None:
    """Write an instant that may be missing."""
    return None if instant_ is None else instant(instant_)


def characteristics(values: Mapping[str, Any]) -> list[Json]:
    """Write a mapping as a TMF characteristic list; null values are left out."""
    return [{"name": name, "value": value} for name, value in values.items() if value is not None]


def reference(body: Mapping[str, Any], name: str) -> str | None:
    """Return the id in a reference attribute such as `productOffering`, or None."""
    value = body.get(name)
    return value.get("id") if isinstance(value, Mapping) else None


def place_of(thing: Mapping[str, Any]) -> str | None:
    """Return the id of the first place of a product, service (lists) or resource (one)."""
    place = thing.get("place")
    if isinstance(place, list):
        place = place[0] if place else None
    return place.get("id") if isinstance(place, Mapping) else None


def cancel_body(shape: OrderShape, order: Order, cancel: Mapping[str, Any]) -> Json:
    """Return the cancel task of an order (TMF: `cancelProductOrder`, `cancelServiceOrder`, `cancelResourceOrder`)."""
    body: Json = {
        "@type": shape.cancel_type,
        "id": cancel["id"],
        "href": href(shape.base, shape.cancel_path, str(cancel["id"])),
        "state": cancel["state"],
        "cancellationReason": cancel.get("reason"),
        "requestedCancellationDate": cancel["requested"],
        "effectiveCancellationDate": cancel.get("effective"),
        shape.key: {"id": order.id, "href": shape.href(order.id), "@referredType": shape.type},
    }
    return {key: value for key, value in body.items() if value is not None}


class OrderEvents:
    """Tell the world about orders: create, state change and item change, in the commit that made them."""

    def __init__(self, shape: OrderShape) -> None:
        self._shape = shape

    def order_changed(self, tx: Tx, order: Order, previous: State | None) -> None:
        """Emit `…CreateEvent` for a new order, `…StateChangeEvent` afterwards."""
        kind = "CreateEvent" if previous is None else "StateChangeEvent"
        self._emit(tx, order, f"{self._shape.type}{kind}")

    def item_changed(self, tx: Tx, order: Order, item: Item, previous: State | None) -> None:
        """Emit `…AttributeValueChangeEvent` when an item of a live order changes its state."""
        if previous is not None and previous != item.state and order.state not in FINAL:
            self._emit(tx, order, f"{self._shape.type}AttributeValueChangeEvent")

    def _emit(self, tx: Tx, order: Order, event_type: str) -> None:
        emit(
            tx,
            api=self._shape.api,
            event_type=event_type,
            resource_key=self._shape.key,
            resource=order_body(self._shape, order),
            subject=order.id,
            correlation=order.correlation,
        )


def _dates(shape: OrderShape, order: Order) -> Json:
    dates: Json = {}
    if order.started and shape.layer != "com":
        dates["startDate"] = instant(order.started)
    if order.completed:
        name = "cancellationDate" if order.state is State.CANCELLED else "completionDate"
        dates[name] = instant(order.completed)
    if order.expected:
        dates["expectedCompletionDate"] = instant(order.expected)
    return dates


def _message(error: Mapping[str, Any]) -> Json:
    code = str(error.get("code", "INTERNAL_ERROR"))
    return {
        "code": code,
        "reason": str(error.get("reason") or code),
        "message": str(error.get("explanation") or error.get("message") or ""),
        "referenceError": f"/docs/errors/{code}",
    }


def _error(shape: OrderShape, item: Item) -> Json:
    assert item.error is not None
    return {**_message(item.error), shape.items: [{"itemId": item.id, "id": item.id}]}
