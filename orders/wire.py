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
        **_ALWAYS[shape.layer],
        **order.body,
        "id": order.id,
        "href": shape.href(order.id),
        "state": order.state.value,
        "orderDate": instant(order.created),
        shape.items: [item_body(item) for item in order.items],
    }
    body.update(_dates(shape, order))
    if shape.layer == "rom" and "externalReference" in body:
        body["externalReference"] = [_external_id(r) for r in body["externalReference"]]
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
    running = order.state is State.PENDING_CANCELLATION and cancel["state"] != "done"
    state = "done" if order.state in FINAL else "inProgress" if running else cancel["state"]
    body: Json = {
        "@type": shape.cancel_type,
        "cancellationReason": cancel.get("reason") or None,
        "requestedCancellationDate": cancel["requested"],
        **cancel.get("body", {}),
        "id": cancel["id"],
        "href": href(shape.base, shape.cancel_path, str(cancel["id"])),
        "state": state,
        "effectiveCancellationDate": cancel.get("effective"),
        shape.key: {"id": order.id, "href": shape.href(order.id), "@referredType": shape.type},
    }
    return {key: value for key, value in body.items() if value is not None}


class OrderEvents:
    """Tell the world about orders and their cancel tasks, in the commit that made the change."""

    def __init__(self, shape: OrderShape) -> None:
        self._shape = shape

    def order_changed(self, tx: Tx, order: Order, previous: State | None) -> None:
        """Emit `…CreateEvent` for a new order, `…StateChangeEvent` afterwards."""
        kind = "CreateEvent" if previous is None else "StateChangeEvent"
        self._emit(tx, order, kind)
        cancel = (order.plan or {}).get("cancel")
        if cancel and order.state in _CANCEL_EVENTS:
            self._emit_cancel(tx, order, cancel)

    def item_changed(self, tx: Tx, order: Order, item: Item, previous: State | None) -> None:
        """Emit `…AttributeValueChangeEvent` when an item of a live order changes its state."""
        if previous is not None and previous != item.state and order.state not in FINAL:
            self._emit(tx, order, "AttributeValueChangeEvent")

    def patched(self, tx: Tx, order: Order) -> None:
        """Emit `…AttributeValueChangeEvent` after a PATCH."""
        self._emit(tx, order, "AttributeValueChangeEvent")

    def deleted(self, tx: Tx, order: Order) -> None:
        """Emit `…DeleteEvent` with the order as it was."""
        self._emit(tx, order, "DeleteEvent")

    def _emit(self, tx: Tx, order: Order, kind: str) -> None:
        emit(
            tx,
            api=self._shape.api,
            event_type=self._shape.type + kind,
            resource_key=self._shape.key,
            resource=order_body(self._shape, order),
            subject=order.id,
            correlation=order.correlation,
        )

    def _emit_cancel(self, tx: Tx, order: Order, cancel: Mapping[str, Any]) -> None:
        name = self._shape.cancel_type
        emit(
            tx,
            api=self._shape.api,
            event_type=name + _CANCEL_EVENTS[order.state],
            resource_key=name[0].lower() + name[1:],
            resource=cancel_body(self._shape, order, cancel),
            subject=order.id,
            correlation=order.correlation,
        )


_ALWAYS: Mapping[Layer, Json] = {"com": {"relatedParty": []}, "som": {}, "rom": {}}
_CANCEL_EVENTS: Mapping[State, str] = {
    State.ASSESSING_CANCELLATION: "CreateEvent",
    State.PENDING_CANCELLATION: "StateChangeEvent",
    State.CANCELLED: "StateChangeEvent",
    State.COMPLETED: "StateChangeEvent",
}


def _external_id(reference: Json) -> Json:
    """Complete a reference in TMF641's words, which are taken too, with those that TMF652 demands."""
    return {
        "id": reference.get("name"),
        "owner": "unspecified",
        "entityType": reference.get("externalReferenceType", "unspecified"),
        **reference,
    }


def _dates(shape: OrderShape, order: Order) -> Json:
    dates: Json = {}
    if order.started and shape.layer != "com":
        dates["startDate"] = instant(order.started)
    if order.completed:
        name = "cancellationDate" if order.state is State.CANCELLED else "completionDate"
        dates[name] = instant(order.completed)
    if order.expected:
        dates["expectedCompletionDate"] = instant(order.expected)
    reason = (order.plan or {}).get("cancel", {}).get("reason")
    if reason and shape.layer != "rom":
        dates["cancellationReason"] = reason
    return dates


def _message(error: Mapping[str, Any]) -> Json:
    code = str(error.get("code", "INTERNAL_ERROR"))
    said = (error.get("explanation") or error.get("message"), error.get("remedy"))
    return {
        "code": code,
        "reason": str(error.get("reason") or code.replace("_", " ").capitalize()),
        "message": " ".join(str(part) for part in said if part),
        "referenceError": f"/docs/errors/{code}",
    }


def _error(shape: OrderShape, item: Item) -> Json:
    assert item.error is not None
    return {**_message(item.error), shape.items: [{"itemId": item.id, "id": item.id}]}
