"""Events: written with the change they tell of, in one commit, and handed to every subscriber who asked.

`emit` writes the event and one delivery per matching subscription. Subscribers are listeners at a hub (HTTP) or
handlers in this process (`Events`); `tmf.deliverer` serves both alike, in order per (subscriber, subject).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update

from store import Database, Rx, Tx, new_id, to_text
from tmf._doorbell import doorbell
from tmf._json import Doc
from tmf.errors import DeliveryNotFound, SubscriptionNotFound
from tmf.query import Filter, Query
from tmf.tables import PENDING, delivery, event, subscription

LocalHandler = Callable[[Tx, Doc], None]

DOMAINS: Mapping[str, str] = {
    "620": "productCatalogManagement",
    "622": "productOrderingManagement",
    "633": "serviceCatalogManagement",
    "634": "resourceCatalog",
    "637": "productInventory",
    "638": "serviceInventory",
    "639": "resourceInventoryManagement",
    "641": "serviceOrdering",
    "652": "resourceOrderingManagement",
}
_ENVELOPE = frozenset({"eventId", "eventTime", "correlationId", "domain", "fieldPath", "event"})

_insert_event = insert(event)
_insert_delivery = insert(delivery)
_subscribers = select(subscription.c.id, subscription.c.query).where(
    subscription.c.api == bindparam("api")
)


def emit(
    tx: Tx,
    *,
    api: str,
    event_type: str,
    resource_key: str,
    resource: Doc,
    subject: str,
    correlation: str | None = None,
    field_path: str | None = None,
) -> str:
    """Record that something happened to a resource, and for whom; returns the event id.

    Events of one subject reach a subscriber in the order of their commits, provided that whoever emits them has
    locked the subject's row before (which an update of it does).

    Args:
        tx: the transaction of the change itself.
        api: number of the API, such as "641".
        event_type: name as in the official files, such as "ServiceOrderStateChangeEvent".
        resource_key: attribute of `event` that holds the resource, such as "serviceOrder".
        resource: the resource after the change.
        subject: id of the resource; events of one subject stay in order.
        correlation: the trace id that all layers share.
        field_path: what an InformationRequired event asks for.

    """
    now = tx.now
    body: Doc = {
        "@type": event_type,
        "eventId": new_id(),
        "eventTime": to_text(now),
        "timeOcurred": to_text(now),  # spelled so in the official files
        "eventType": event_type,
        "domain": DOMAINS.get(api, api),
        "event": {resource_key: resource},
    }
    optional = {"correlationId": correlation, "fieldPath": field_path}
    body |= {key: value for key, value in optional.items() if value is not None}
    row = {
        "id": body["eventId"],
        "api": api,
        "event_type": event_type,
        "subject": subject,
        "correlation": correlation,
        "at": now,
        "body": body,
    }
    tx.execute(_insert_event, row)
    _queue(tx, api, body, subject)
    return str(body["eventId"])


def wants(query: str | None, body: Doc) -> bool:
    """Tell whether a subscription's query lets an event through.

    `eventType=A,B` compares without regard to case; other names are attributes of the resource, or full paths
    that begin with an attribute of the notification (`event.serviceOrder.state=held`).
    """
    return all(_passes(condition, body) for condition in _parsed(query or "").filters)


def shaped(query: str | None, body: Doc) -> Doc:
    """Return the notification with the resource cut to the `fields` of the subscription's query."""
    parsed = _parsed(query or "")
    if not parsed.fields:
        return body
    return body | {"event": {key: parsed.select(value) for key, value in body["event"].items()}}


def parse_query(query: str) -> Query:
    """Read a subscription's query (raises InvalidQuery)."""
    pairs = [part.partition("=") for part in query.lstrip("?").split("&") if part.strip()]
    return Query.parse([(key.strip(), value.strip()) for key, _, value in pairs])


_parsed = lru_cache(maxsize=1024)(parse_query)


def _passes(condition: Filter, body: Doc) -> bool:
    head = condition.path.partition(".")[0]
    if condition.path == "eventType":
        folded = Filter("eventType", condition.op, tuple(v.lower() for v in condition.values))
        return folded.matches({"eventType": body["eventType"].lower()})
    if head in _ENVELOPE:
        return condition.matches(body)
    return any(condition.matches(resource) for resource in body["event"].values())


def _queue(tx: Tx, api: str, body: Doc, subject: str) -> None:
    found = tx.rows(_subscribers, {"api": api})
    ids = [row.id for row in found if wants(row.query, body)]
    if not ids:
        return
    now = tx.now
    common = {
        "event_id": body["eventId"],
        "subject": subject,
        "state": "pending",
        "attempts": 0,
        "queued_at": now,
        "next_at": now,
    }
    tx.execute(_insert_delivery, [common | {"subscription_id": id_} for id_ in ids])
    _ring(tx, ids)


def _ring(tx: Tx, ids: Sequence[str]) -> None:
    bell = doorbell(tx.engine)
    tx.after_commit(lambda: bell.ring(ids))


class Events:
    """The subscribers of this process: their names are kept in the database, their handlers here."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._handlers: dict[str, LocalHandler] = {}

    def subscribe_local(
        self, name: str, api: str, handler: LocalHandler, *, query: str | None = None
    ) -> str:
        """Have every event of an API handled in this process, exactly once, from the first call of this name on.

        The handler runs in the transaction that marks the delivery done; when it raises, all it wrote is undone and
        it is called again later. Call it at every start, before `Deliverer.start`; returns the subscription id.
        """
        parse_query(query or "")
        id_ = f"local:{api}:{name}"
        values = {"api": api, "local_name": name, "query": query}
        self._handlers[id_] = handler
        with self.db.write() as tx:
            changed = tx.execute(
                update(subscription).where(subscription.c.id == id_).values(values)
            )
            if not changed.rowcount:
                tx.execute(insert(subscription), {"id": id_, "created_at": tx.now, **values})
        return id_

    def handler(self, subscription_id: str) -> LocalHandler | None:
        """Return the handler of a local subscription; None when this process has none."""
        return self._handlers.get(subscription_id)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What has been, or is to be, told to one subscriber."""

    seq: int
    event_id: str
    event_type: str
    subscription_id: str
    subject: str
    state: str
    attempts: int
    queued_at: datetime
    next_at: datetime
    delivered_at: datetime | None
    error: str | None


def deliveries(
    rx: Rx, *, subscription_id: str | None = None, state: str | None = None, limit: int = 500
) -> tuple[Delivery, ...]:
    """Return deliveries, newest first; `state="dead"` is the dead-letter queue."""
    statement = (
        select(*delivery.c, event.c.event_type).join(event, event.c.id == delivery.c.event_id)
    ).order_by(delivery.c.seq.desc())
    if subscription_id:
        statement = statement.where(delivery.c.subscription_id == subscription_id)
    if state:
        statement = statement.where(delivery.c.state == state)
    return tuple(_delivery(row) for row in rx.rows(statement.limit(limit)))


def events(
    rx: Rx, *, subject: str | None = None, correlation: str | None = None, limit: int = 500
) -> tuple[Doc, ...]:
    """Return notifications, oldest first, of one subject or one trace."""
    statement = select(event.c.body).order_by(event.c.at, event.c.id)
    if subject:
        statement = statement.where(event.c.subject == subject)
    if correlation:
        statement = statement.where(event.c.correlation == correlation)
    return tuple(row.body for row in rx.rows(statement.limit(limit)))


def replay(tx: Tx, *, subscription_id: str | None = None, delivery_id: int | None = None) -> int:
    """Queue again the dead letters of a subscription, or one delivery whatever its state; returns how many.

    Raises:
        SubscriptionNotFound, DeliveryNotFound: there is no such thing.

    """
    again = update(delivery).values(state="pending", attempts=0, queued_at=tx.now, next_at=tx.now)
    if delivery_id is not None:
        found = tx.scalar(select(delivery.c.subscription_id).where(delivery.c.seq == delivery_id))
        if found is None:
            raise DeliveryNotFound(f"There is no delivery {delivery_id}.")
        again = again.where(delivery.c.seq == delivery_id)
        subscription_id = str(found)
    elif subscription_id is None or not _exists(tx, subscription_id):
        raise SubscriptionNotFound(f"There is no subscription {subscription_id}.")
    else:
        again = again.where(
            delivery.c.subscription_id == subscription_id, delivery.c.state == "dead"
        )
    changed = tx.execute(again).rowcount
    _ring(tx, [subscription_id])
    return changed


def purge(tx: Tx, before: datetime) -> int:
    """Forget events that happened before an instant and wait for nobody; returns how many."""
    waiting = select(delivery.c.event_id).where(PENDING)
    old = select(event.c.id).where(event.c.at < before, event.c.id.not_in(waiting))
    tx.execute(delete(delivery).where(delivery.c.event_id.in_(old)))
    return tx.execute(delete(event).where(event.c.id.in_(old))).rowcount


def _exists(rx: Rx, subscription_id: str) -> bool:
    return rx.scalar(select(1).where(subscription.c.id == subscription_id)) is not None


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**{name: getattr(row, name) for name in Delivery.__slots__})
