"""Hands events to their subscribers: in order per (subscriber, subject), at least once, each at its own pace.

Every subscription has a lane, a thread of its own, so a listener that hangs delays nobody else; within a lane a
subject that fails waits by itself. Lanes sleep until something is committed or due.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from random import SystemRandom
from typing import Any

import httpx
from sqlalchemy import Row, bindparam, func, select, update

from store import Database, Rx, TurnupError
from tmf._doorbell import doorbell
from tmf._json import Doc
from tmf.callbacks import CallbackPolicy
from tmf.events import Events, LocalHandler, shaped
from tmf.tables import PENDING, delivery, event, subscription

log = logging.getLogger("turnup.events")

_BATCH = 100
_MAX_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How patiently and where to events are sent.

    Args:
        first_retry_s: pause after the first failure, in seconds; it doubles up to `max_retry_s`.
        max_retry_s: longest pause between attempts, in seconds.
        budget_s: how long a delivery is tried before it becomes a dead letter, in seconds.
        timeout_s: how long a listener may take to answer, in seconds.
        append_listener: post to `callback/listener/<eventName>` instead of to the callback itself.
        poll_s: longest sleep of a lane, for events committed by other processes, in seconds.

    """

    first_retry_s: float = 1.0
    max_retry_s: float = 3600.0
    budget_s: float = 86_400.0
    timeout_s: float = 10.0
    append_listener: bool = False
    poll_s: float = 30.0

    def pause(self, attempts: int) -> timedelta:
        """Return how long to wait after so many failed attempts: doubled each time, with jitter."""
        longest = min(self.max_retry_s, self.first_retry_s * 2.0 ** min(attempts - 1, 32))
        jittered = SystemRandom().uniform(longest / 2, longest)
        return timedelta(seconds=max(min(self.first_retry_s, longest), jittered))


class Deliverer:
    """Serves all subscriptions of one database; there is one per database."""

    def __init__(
        self,
        events: Events,
        settings: DeliverySettings | None = None,
        policy: CallbackPolicy | None = None,
    ) -> None:
        self.db = events.db
        self.events = events
        self.settings = settings or DeliverySettings()
        self.policy = policy or CallbackPolicy()
        self._lanes: dict[str, _Lane] = {}
        self._changed = threading.Condition()
        self._rounds = 0
        self._running = False

    def start(self) -> None:
        """Take up whatever is pending, then what is committed from now on."""
        with self._changed:
            self._running = True
        doorbell(self.db.engine).attach(self._ring)
        self.wake()

    def stop(self) -> None:
        """Finish the attempts under way and end all lanes."""
        doorbell(self.db.engine).detach(self._ring)
        with self._changed:
            self._running = False
            lanes = list(self._lanes.values())
            self._lanes.clear()
        for lane in lanes:
            lane.stop()
        for lane in lanes:
            lane.join(self.settings.timeout_s + 1)

    def wake(self) -> None:
        """Look again at every subscription."""
        with self.db.read() as rx:
            self._ring([row.id for row in rx.rows(select(subscription.c.id))])

    def idle(self, timeout: float) -> bool:
        """Wait until nothing is left to deliver now; False when that took longer than `timeout` seconds.

        Deliveries that wait for their next attempt, and those of local names without a handler, do not count.
        """
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                seen = self._rounds
            if not self._busy():
                return True
            with self._changed:
                left = deadline - time.monotonic()
                if not self._changed.wait_for(lambda seen=seen: self._rounds != seen, left):  # type: ignore[misc]
                    return not self._busy()

    def round_done(self) -> None:
        """Note that a lane has gone through what was due."""
        with self._changed:
            self._rounds += 1
            self._changed.notify_all()

    def retire(self, subscription_id: str) -> bool:
        """Let a lane end, unless it has been rung since it looked."""
        with self._changed:
            lane = self._lanes.get(subscription_id)
            if lane is not None and lane.rung:
                return False
            self._lanes.pop(subscription_id, None)
            return True

    def _busy(self) -> bool:
        with self.db.read() as rx:
            due = _due_subscriptions(rx)
        with self._changed:
            return any(self._counts(id_) for id_ in due)

    def _counts(self, subscription_id: str) -> bool:
        if subscription_id.startswith("local:"):
            return self.events.handler(subscription_id) is not None
        lane = self._lanes.get(subscription_id)
        return lane is None or not lane.paused

    def _ring(self, subscription_ids: Collection[str]) -> None:
        with self._changed:
            if not self._running:
                return
            for id_ in subscription_ids:
                lane = self._lanes.get(id_)
                if lane is None or not lane.is_alive():
                    lane = self._lanes[id_] = _Lane(self, id_)
                    lane.start()
                lane.ring()


class _Lane(threading.Thread):
    """The queue of one subscription."""

    def __init__(self, deliverer: Deliverer, subscription_id: str) -> None:
        super().__init__(name=f"events-{subscription_id}", daemon=True)
        self._deliverer = deliverer
        self._db: Database = deliverer.db
        self._id = subscription_id
        self._bell = threading.Condition()
        self._rung = False
        self._stopping = False
        self._paused_until: datetime | None = None
        self._client: httpx.Client | None = None

    @property
    def paused(self) -> bool:
        """Tell whether the listener was not reachable and is left alone for a while."""
        return self._paused_until is not None and self._paused_until > self._db.clock.now()

    @property
    def rung(self) -> bool:
        """Tell whether something new has come since the lane last looked."""
        return self._rung

    def ring(self) -> None:
        """Look again at once."""
        with self._bell:
            self._rung = True
            self._bell.notify()

    def stop(self) -> None:
        """End after the attempt under way."""
        with self._bell:
            self._stopping = True
            self._bell.notify()

    def run(self) -> None:
        """Deliver, sleep, deliver, until stopped or the subscription is gone."""
        pause: float | None = 0.0
        while not self._sleep(pause or 0.0):
            try:
                pause = self._round()
            except Exception:
                log.exception("the lane of %s failed and goes on", self._id)
                pause = self._deliverer.settings.first_retry_s
            self._deliverer.round_done()
            if pause is None and self._deliverer.retire(self._id):
                break
        if self._client:
            self._client.close()

    def _sleep(self, seconds: float) -> bool:
        """Wait for the bell or the time; return whether to stop."""
        with self._bell:
            self._bell.wait_for(lambda: self._rung or self._stopping, seconds)
            self._rung = False
            return self._stopping

    def _round(self) -> float | None:
        """Deliver what is due; return the seconds to sleep, None when nobody subscribes any more."""
        if self.paused:
            return self._seconds_until(self._paused_until)
        with self._db.read() as rx:
            who = rx.row(select(subscription).where(subscription.c.id == self._id))
            heads = _due_heads(rx, self._id)
            following = _next_due(rx, self._id) if not heads else None
        if who is None or (who.callback is None and self._handler is None):
            return None
        for head in heads:
            if self._stopping or self.paused:
                break
            self._attempt(who, head)
        return 0.0 if heads else self._seconds_until(following)

    @property
    def _handler(self) -> LocalHandler | None:
        return self._deliverer.events.handler(self._id)

    def _seconds_until(self, instant: datetime | None) -> float:
        longest = self._deliverer.settings.poll_s
        if instant is None:
            return longest
        left = (instant - self._db.clock.now()).total_seconds()
        return min(longest, max(left, 0.001))

    def _attempt(self, who: Row[Any], head: Row[Any]) -> None:
        try:
            if who.callback is None:
                self._handle(head)
            else:
                self._post(who.callback, shaped(who.query, head.body))
                self._settle(head, state="delivered", delivered_at=self._db.clock.now(), error=None)
        except Exception as error:  # noqa: BLE001 - whatever a handler does, its lane goes on
            self._failed(head, error)

    def _handle(self, head: Row[Any]) -> None:
        handler = self._handler
        assert handler
        with self._db.write() as tx:
            mine = tx.execute(_settle_pending, _settled(head, tx.now))
            if mine.rowcount:
                handler(tx, head.body)

    def _post(self, callback: str, body: Doc) -> None:
        url = httpx.URL(callback)
        if self._deliverer.settings.append_listener:
            name = body["eventType"][:1].lower() + body["eventType"][1:]
            url = url.copy_with(path=f"{url.path.rstrip('/')}/listener/{name}")
        targets = self._deliverer.policy.targets(callback)
        for number, address in enumerate(targets, 1):
            try:
                return self._post_to(url, address, body)
            except httpx.ConnectError:
                if number == len(targets):
                    raise
        return None

    def _post_to(self, url: httpx.URL, address: str, body: Doc) -> None:
        """Post to the very address that was checked: a name may lead elsewhere the next time it is asked."""
        self._client = self._client or _client(self._deliverer.settings.timeout_s)
        headers = {"host": url.netloc.decode("ascii")}
        extensions = {"sni_hostname": url.host}
        target = url.copy_with(host=address)
        with self._client.stream(
            "POST", target, json=body, headers=headers, extensions=extensions
        ) as answer:
            _swallow(answer, time.monotonic() + self._deliverer.settings.timeout_s)
            if not answer.is_success:
                raise ListenerRefused(f"HTTP {answer.status_code}")

    def _failed(self, head: Row[Any], error: Exception) -> None:
        settings, now = self._deliverer.settings, self._db.clock.now()
        attempts = head.attempts + 1
        dead = now - head.queued_at >= timedelta(seconds=settings.budget_s)
        following = now + settings.pause(attempts)
        text = _describe(error)
        level = logging.ERROR if dead or not isinstance(error, _EXPECTED) else logging.WARNING
        trace = None if isinstance(error, _EXPECTED) else error
        log.log(level, "event %s for %s: %s", head.event_id, self._id, text, exc_info=trace)
        state = "dead" if dead else "pending"
        self._settle(head, state=state, attempts=attempts, next_at=following, error=text)
        if isinstance(error, httpx.TransportError):
            self._paused_until = following

    def _settle(self, head: Row[Any], **values: Any) -> None:
        with self._db.write() as tx:
            tx.execute(update(delivery).where(delivery.c.seq == head.seq).values(values))


class ListenerRefused(Exception):
    """A listener answered something else than 2xx."""


_EXPECTED = (ListenerRefused, httpx.HTTPError, TurnupError)

_settle_pending = (
    update(delivery)
    .where(delivery.c.seq == bindparam("b_seq"), PENDING)
    .values(state="delivered", delivered_at=bindparam("b_at"), error=None)
)


def _settled(head: Row[Any], now: datetime) -> dict[str, Any]:
    return {"b_seq": head.seq, "b_at": now}


def _heads(subscription_id: str | None) -> Any:
    """Select the oldest pending delivery of each (subscription, subject)."""
    statement = select(func.min(delivery.c.seq).label("seq")).where(PENDING)
    if subscription_id is not None:
        statement = statement.where(delivery.c.subscription_id == subscription_id)
    return statement.group_by(delivery.c.subscription_id, delivery.c.subject).subquery()


def _due_heads(rx: Rx, subscription_id: str) -> list[Row[Any]]:
    heads = _heads(subscription_id)
    statement = (
        select(*delivery.c, event.c.body)
        .join(heads, heads.c.seq == delivery.c.seq)
        .join(event, event.c.id == delivery.c.event_id)
        .where(delivery.c.next_at <= rx.now)
        .order_by(delivery.c.seq)
        .limit(_BATCH)
    )
    return list(rx.rows(statement))


def _due_subscriptions(rx: Rx) -> set[str]:
    heads = _heads(None)
    statement = select(delivery.c.subscription_id).join(heads, heads.c.seq == delivery.c.seq)
    due = rx.rows(statement.where(delivery.c.next_at <= rx.now).distinct())
    return {row.subscription_id for row in due}


def _next_due(rx: Rx, subscription_id: str) -> datetime | None:
    heads = _heads(subscription_id)
    statement = select(delivery.c.next_at).join(heads, heads.c.seq == delivery.c.seq)
    found: datetime | None = rx.scalar(statement.order_by(delivery.c.next_at).limit(1))
    return found


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _client(timeout_s: float) -> httpx.Client:
    # a proxy of the environment would resolve names itself, past the check of addresses
    return httpx.Client(timeout=timeout_s, verify=_trust(), trust_env=False, follow_redirects=False)


def _swallow(answer: httpx.Response, deadline: float) -> None:
    """Read a short answer, so that the connection can be used again; leave a long or slow one."""
    size = 0
    for chunk in answer.iter_raw():
        size += len(chunk)
        if size > _MAX_ANSWER or time.monotonic() > deadline:
            return


def _describe(error: Exception) -> str:
    if isinstance(error, TurnupError):
        return f"{error.code}: {error.message}"[:1000]
    return f"{type(error).__name__}: {error}"[:1000]
