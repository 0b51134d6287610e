"""The hub of every API: listeners subscribe to events by POST and leave by DELETE."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from store import Database, Rx, Tx, new_id
from tmf._json import Doc
from tmf.callbacks import CallbackPolicy
from tmf.errors import SubscriptionNotFound
from tmf.events import parse_query
from tmf.tables import delivery, subscription


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who wants to know what; local ones have a name and no callback."""

    id: str
    api: str
    local_name: str | None
    callback: str | None
    query: str | None


class Hub:
    """Subscriptions of listeners, checked before they are kept."""

    def __init__(self, db: Database, policy: CallbackPolicy | None = None) -> None:
        self._db = db
        self.policy = policy or CallbackPolicy()

    def register(self, api: str, callback: str, query: str | None) -> Doc:
        """Resolve and check a callback, then subscribe it in a transaction of its own.

        Raises:
            CallbackRefused: events may not be sent there.
            InvalidQuery: the query cannot be understood.

        """
        self.policy.targets(callback)
        with self._db.write() as tx:
            return self.subscribe(tx, api, callback, query)

    def unregister(self, api: str, subscription_id: str) -> None:
        """End a subscription in a transaction of its own (raises SubscriptionNotFound)."""
        with self._db.write() as tx:
            self.unsubscribe(tx, api, subscription_id)

    def subscribe(self, tx: Tx, api: str, callback: str, query: str | None = None) -> Doc:
        """Keep a subscription; the same callback and query again is the same subscription.

        Asks no DNS (the transaction is open), so it judges only addresses written as numbers.
        """
        self.policy.check_url(callback)
        parse_query(query or "")
        id_ = _same(tx, api, callback, query)
        if id_ is None:
            id_ = new_id()
            row = {"id": id_, "api": api, "callback": callback, "query": query or None}
            tx.execute(insert(subscription), row | {"created_at": tx.now})
        return {"id": id_, "callback": callback} | ({"query": query} if query else {})

    def unsubscribe(self, tx: Tx, api: str, subscription_id: str) -> None:
        """Forget a subscription and what it has not been told yet."""
        mine = (subscription.c.id == subscription_id) & (subscription.c.api == api)
        gone = tx.execute(delete(subscription).where(mine, subscription.c.callback.is_not(None)))
        if not gone.rowcount:
            raise SubscriptionNotFound(f"There is no subscription {subscription_id} at this hub.")
        tx.execute(delete(delivery).where(delivery.c.subscription_id == subscription_id))


def subscriptions(rx: Rx) -> tuple[Subscription, ...]:
    """Return all subscriptions, local ones too."""
    columns = [subscription.c[name] for name in Subscription.__slots__]
    return tuple(
        Subscription(*tuple(row)) for row in rx.rows(select(*columns).order_by(columns[0]))
    )


def _same(rx: Rx, api: str, callback: str, query: str | None) -> str | None:
    statement = select(subscription.c.id).where(
        subscription.c.api == api,
        subscription.c.callback == callback,
        subscription.c.query.is_(None) if not query else subscription.c.query == query,
    )
    found = rx.scalar(statement)
    return None if found is None else str(found)
