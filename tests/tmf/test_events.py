"""Outbox, hub and delivery, on both stores and over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import insert, select, text

from store import Database, ManualClock, Tx
from tmf import deliverer as module
from tmf.callbacks import CallbackPolicy
from tmf.collection import router
from tmf.deliverer import Deliverer, DeliverySettings
from tmf.errors import DeliveryNotFound, InvalidQuery, SubscriptionNotFound, install
from tmf.events import Events, deliveries, emit, events, purge, replay, wants
from tmf.hub import Hub, subscriptions
from tmf.paths import BASE_PATHS
from tmf.tables import delivery

LOOPBACK = CallbackPolicy(allow_loopback=True)
QUICK = DeliverySettings(first_retry_s=0.02, max_retry_s=0.05, timeout_s=2)


class Listener(Protocol):
    url: str
    received: list[dict[str, Any]]
    paths: list[str]
    answer: Callable[[dict[str, Any]], int]

    def wait_for(self, count: int, timeout: float = 5) -> list[dict[str, Any]]: ...


Listen = Callable[..., Listener]
Deliver = Callable[..., Deliverer]


def tell(tx: Tx, subject: str = "o1", state: str = "held", kind: str = "StateChange") -> str:
    return emit(
        tx,
        api="641",
        event_type=f"ServiceOrder{kind}Event",
        resource_key="serviceOrder",
        resource={"id": subject, "state": state, "serviceOrderItem": [{"id": "1"}]},
        subject=subject,
        correlation="trace-1",
    )


def subscribe(store: Database, url: str, query: str | None = None) -> str:
    return str(Hub(store, LOOPBACK).register("641", url, query)["id"])


def states(store: Database) -> list[str]:
    with store.read() as rx:
        return [d.state for d in reversed(deliveries(rx))]


@pytest.fixture
def deliver(store: Database) -> Iterator[Deliver]:
    running: list[Deliverer] = []

    def start(source: Events | None = None, settings: DeliverySettings = QUICK) -> Deliverer:
        deliverer = Deliverer(source or Events(store), settings, LOOPBACK)
        deliverer.start()
        running.append(deliverer)
        return deliverer

    yield start
    for deliverer in running:
        deliverer.stop()


def test_a_listener_gets_the_notification(
    store: Database, listen: Listen, deliver: Deliver
) -> None:
    listener = listen()
    subscribe(store, listener.url)
    deliverer = deliver()
    with store.write() as tx:
        id_ = tell(tx)
        assert listener.received == []
    [body] = listener.wait_for(1)
    assert body["eventId"] == id_
    assert body["eventType"] == "ServiceOrderStateChangeEvent"
    assert body["correlationId"] == "trace-1"
    assert body["event"]["serviceOrder"]["state"] == "held"
    assert body["eventTime"].endswith("Z")
    assert deliverer.idle(5)
    assert states(store) == ["delivered"]


def test_what_is_rolled_back_was_never_told(
    store: Database, listen: Listen, deliver: Deliver
) -> None:
    subscribe(store, listen().url)
    deliverer = deliver()
    with store.dry_run() as tx:
        tell(tx)
    with suppress(ZeroDivisionError), store.write() as tx:
        tell(tx)
        _ = 1 / 0
    assert deliverer.idle(5)
    with store.read() as rx:
        assert events(rx) == ()
        assert deliveries(rx) == ()


def test_pending_events_of_an_earlier_process_are_delivered(
    store: Database, listen: Listen, deliver: Deliver
) -> None:
    listener = listen()
    subscribe(store, listener.url)
    with store.write() as tx:
        tell(tx)
    deliver()
    listener.wait_for(1)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (None, True),
        ("", True),
        ("eventType=ServiceOrderCreateEvent,serviceOrderStateChangeEvent", True),
        ("eventType=ServiceOrderCreateEvent", False),
        ("state=held", True),
        ("event.serviceOrder.state=held&eventType=ServiceOrderStateChangeEvent", True),
        ("state=completed,failed", False),
        ("correlationId=trace-1", True),
        ("serviceOrderItem.id=1", True),
        ("id.ne=o1", False),
    ],
)
def test_queries_choose_events(query: str | None, expected: bool) -> None:
    body = {
        "eventType": "ServiceOrderStateChangeEvent",
        "correlationId": "trace-1",
        "event": {"serviceOrder": {"id": "o1", "state": "held", "serviceOrderItem": [{"id": "1"}]}},
    }
    assert wants(query, body) is expected


def test_only_matching_events_are_queued_and_fields_are_cut(
    store: Database, listen: Listen, deliver: Deliver
) -> None:
    listener = listen()
    subscribe(store, listener.url, "state=completed&fields=state")
    deliver()
    with store.write() as tx:
        tell(tx, state="held")
        tell(tx, state="completed")
    [body] = listener.wait_for(1)
    assert body["event"]["serviceOrder"] == {"id": "o1", "state": "completed"}


def test_order_is_kept_per_subject_while_others_overtake(
    store: Database, listen: Listen, deliver: Deliver
) -> None:
    refusals = {"bad": 3}

    def answer(body: dict[str, Any]) -> int:
        order = body["event"]["serviceOrder"]
        if order["id"] == "bad" and order["state"] == "0" and refusals["bad"]:
            refusals["bad"] -= 1
            return 500
        return 204

    listener = listen(answer)
    subscribe(store, listener.url)
    deliverer = deliver()
    for number in range(5):
        with store.write() as tx:
            tell(tx, "bad", str(number))
            tell(tx, "good", str(number))
    bodies = [body["event"]["serviceOrder"] for body in listener.wait_for(10)]
    for subject in ("bad", "good"):
        assert [b["state"] for b in bodies if b["id"] == subject] == list("01234")
    assert bodies[0]["id"] == "good"
    assert deliverer.idle(5)
    with store.read() as rx:
        attempts = {d.seq: d.attempts for d in deliveries(rx)}
    assert max(attempts.values()) == 3


def test_a_hanging_listener_delays_nobody(
    store: Database, listen: Listen, deliver: Deliver
) -> None:
    release = threading.Event()

    def hang(_body: dict[str, Any]) -> int:
        release.wait(10)
        return 200

    slow, quick = listen(hang), listen()
    subscribe(store, slow.url)
    subscribe(store, quick.url)
    deliver()
    for number in range(20):
        with store.write() as tx:
            tell(tx, f"o{number}")
    quick.wait_for(20)
    assert slow.received == []
    release.set()
    slow.wait_for(20)


def test_a_listener_that_comes_back_gets_everything(
    store: Database, listen: Listen, deliver: Deliver
) -> None:
    tries = threading.Semaphore(0)

    def refuse(_body: dict[str, Any]) -> int:
        tries.release()
        return 503

    listener = listen(refuse)
    subscribe(store, listener.url)
    deliver()
    with store.write() as tx:
        tell(tx, state="1")
        tell(tx, state="2")
    for _ in range(3):
        assert tries.acquire(timeout=5)
    assert states(store) == ["pending", "pending"]
    listener.answer = lambda _body: 200
    assert [b["event"]["serviceOrder"]["state"] for b in listener.wait_for(2)] == ["1", "2"]


def test_after_its_budget_a_delivery_is_a_dead_letter_until_replayed(
    store: Database, listen: Listen, deliver: Deliver
) -> None:
    clock = ManualClock()
    store.clock = clock
    listener = listen(lambda _body: 500)
    id_ = subscribe(store, listener.url)
    deliverer = deliver(settings=DeliverySettings())
    with store.write() as tx:
        tell(tx)
    assert deliverer.idle(5)
    clock.advance(timedelta(days=1))
    deliverer.wake()
    assert deliverer.idle(5)
    with store.read() as rx:
        [dead] = deliveries(rx, state="dead")
    assert (dead.attempts, dead.error) == (2, "ListenerRefused: HTTP 500")
    listener.answer = lambda _body: 200
    with store.write() as tx:
        assert replay(tx, subscription_id=id_) == 1
    listener.wait_for(1)
    assert deliverer.idle(5)
    with store.write() as tx:
        assert replay(tx, subscription_id=id_) == 0
        assert replay(tx, delivery_id=dead.seq) == 1
    listener.wait_for(2)


def test_replay_of_nothing_is_refused(store: Database) -> None:
    with store.write() as tx:
        with pytest.raises(SubscriptionNotFound):
            replay(tx, subscription_id="none")
        with pytest.raises(DeliveryNotFound):
            replay(tx, delivery_id=1)


def test_pauses_double_up_to_an_hour_and_differ() -> None:
    settings = DeliverySettings()
    pauses = [settings.pause(n).total_seconds() for n in range(1, 40)]
    assert pauses[0] == 1
    for attempts, pause in enumerate(pauses, 1):
        longest = min(3600, 2 ** (attempts - 1))
        assert max(1, longest / 2) <= pause <= longest
    assert len({settings.pause(10) for _ in range(20)}) > 1


def test_local_handlers_run_in_the_transaction_that_settles(
    store: Database, deliver: Deliver
) -> None:
    failures = iter([True, True, False])
    done = threading.Event()
    seen: list[str] = []

    def handle(tx: Tx, body: dict[str, Any]) -> None:
        order = body["event"]["serviceOrder"]
        if order["state"] == "follow-up":
            done.set()
            return
        seen.append(order["state"])
        tell(tx, "other", "follow-up")
        if next(failures):
            raise RuntimeError("not yet")

    source = Events(store)
    source.subscribe_local("com", "641", handle, query="eventType=ServiceOrderStateChangeEvent")
    deliverer = deliver(source)
    with store.write() as tx:
        tell(tx, state="held")
        tell(tx, kind="Create")
    assert done.wait(5)
    assert deliverer.idle(5)
    assert seen == ["held"] * 3
    with store.read() as rx:
        # what the failed attempts wrote is gone: one follow-up only
        assert len(events(rx, subject="other")) == 1
    assert set(states(store)) == {"delivered"}


def test_a_local_name_waits_for_its_handler(store: Database, deliver: Deliver) -> None:
    Events(store).subscribe_local("com", "641", lambda _tx, _body: None)
    deliverer = deliver()
    with store.write() as tx:
        tell(tx)
    assert deliverer.idle(5)
    assert states(store) == ["pending"]
    deliverer.stop()
    seen: list[str] = []
    source = Events(store)
    source.subscribe_local("com", "641", lambda _tx, body: seen.append(body["eventId"]))
    assert deliver(source).idle(5)
    assert len(seen) == 1


def test_many_writers_lose_and_repeat_nothing(store: Database, deliver: Deliver) -> None:
    seen: list[tuple[str, int]] = []

    def handle(_tx: Tx, body: dict[str, Any]) -> None:
        order = body["event"]["serviceOrder"]
        seen.append((order["id"], int(order["state"])))

    source = Events(store)
    source.subscribe_local("com", "641", handle)
    deliverer = deliver(source)

    def write(subject: str) -> None:
        for number in range(15):
            with store.write() as tx:
                tell(tx, subject, str(number))

    writers = [threading.Thread(target=write, args=(f"o{n}",)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert deliverer.idle(20)
    for number in range(4):
        assert [n for subject, n in seen if subject == f"o{number}"] == list(range(15))


def test_the_event_name_may_be_appended(store: Database, listen: Listen, deliver: Deliver) -> None:
    listener = listen()
    subscribe(store, listener.url)
    deliver(settings=DeliverySettings(append_listener=True))
    with store.write() as tx:
        tell(tx)
    listener.wait_for(1)
    assert listener.paths == ["/events/listener/serviceOrderStateChangeEvent"]


def test_addresses_are_checked_again_when_sending(store: Database, listen: Listen) -> None:
    listener = listen()
    subscribe(store, listener.url)
    with store.write() as tx:
        tell(tx)
    deliverer = Deliverer(Events(store), DeliverySettings(), CallbackPolicy())
    deliverer.start()
    assert deliverer.idle(5)
    deliverer.stop()
    with store.read() as rx:
        [found] = deliveries(rx)
    assert found.state == "pending"
    assert found.error
    assert found.error.startswith("CALLBACK_REFUSED")
    assert listener.received == []


def test_redirects_are_not_followed(store: Database, listen: Listen, deliver: Deliver) -> None:
    subscribe(store, listen(lambda _body: 307).url)
    deliverer = deliver(settings=DeliverySettings())
    with store.write() as tx:
        tell(tx)
    assert deliverer.idle(5)
    with store.read() as rx:
        assert deliveries(rx)[0].error == "ListenerRefused: HTTP 307"


def test_purge_forgets_only_what_waits_for_nobody(store: Database, listen: Listen) -> None:
    with store.write() as tx:
        tell(tx, "old")
    subscribe(store, listen().url)
    with store.write() as tx:
        tell(tx, "waiting")
    with store.write() as tx:
        assert purge(tx, tx.now + timedelta(hours=1)) == 1
        assert [body["event"]["serviceOrder"]["id"] for body in events(tx)] == ["waiting"]


def test_hub_over_http(store: Database, serve: Callable[[FastAPI], str]) -> None:
    app = FastAPI()
    install(app)
    app.include_router(router(BASE_PATHS["641"], {}, Hub(store, LOOPBACK)))
    app.include_router(router(BASE_PATHS["652"], {}, Hub(store)))
    address = serve(app)
    hub = address + BASE_PATHS["641"] + "/hub"
    body = {"callback": "http://127.0.0.1:9/x", "query": "eventType=A"}
    answer = httpx.post(hub, json=body)
    assert answer.status_code == 201
    assert answer.json() == body | {"id": answer.json()["id"]}
    assert httpx.post(hub, json=body).json() == answer.json()
    with store.read() as rx:
        assert [(s.api, s.callback) for s in subscriptions(rx)] == [("641", body["callback"])]
    other = address + BASE_PATHS["652"] + "/hub"
    assert httpx.post(other, json=body).json()["code"] == "CALLBACK_REFUSED"
    gone = address + answer.headers["location"]
    assert (
        httpx.delete(gone.replace("serviceOrdering", "resourceOrderingManagement")).status_code
        == 404
    )
    assert httpx.delete(gone).status_code == 204
    assert httpx.delete(gone).json()["code"] == "SUBSCRIPTION_NOT_FOUND"
    assert httpx.post(hub, json={}).json()["code"] == "INVALID_BODY"
    assert httpx.post(hub, json=body | {"query": "a.regex=("}).json()["code"] == "INVALID_QUERY"


def test_unsubscribed_listeners_get_nothing_more(
    store: Database, listen: Listen, deliver: Deliver
) -> None:
    listener = listen()
    id_ = subscribe(store, listener.url)
    with store.write() as tx:
        tell(tx)
    Hub(store).unregister("641", id_)
    deliverer = deliver()
    with store.write() as tx:
        tell(tx)
    assert deliverer.idle(5)
    assert listener.received == []


def test_local_queries_are_checked(store: Database) -> None:
    with pytest.raises(InvalidQuery):
        Events(store).subscribe_local("com", "641", lambda _tx, _body: None, query="a.regex=(")


def test_the_connection_trusts_no_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with module._client(1) as client:
        assert client.trust_env is False


def test_what_has_been_delivered_costs_no_time(store: Database) -> None:
    """The search for due deliveries must use the index of pending ones, not the whole history."""
    rows = [
        {
            "event_id": f"e{n}",
            "subscription_id": f"s{n % 3}",
            "subject": f"o{n}",
            "state": "delivered" if n else "pending",
            "attempts": 0,
            "queued_at": store.clock.now(),
            "next_at": store.clock.now(),
        }
        for n in range(5000)
    ]
    prefix = "EXPLAIN QUERY PLAN " if store.dialect == "sqlite" else "EXPLAIN "
    with store.write() as tx:
        tx.execute(insert(delivery), rows)
        if store.dialect == "postgresql":
            tx.execute(text("ANALYZE tmf_delivery"))
        for subscription_id in (None, "s0"):
            statement = select(module._heads(subscription_id)).compile(
                tx.connection, compile_kwargs={"literal_binds": False}
            )
            asked = text(
                prefix
                + str(statement).replace("%(subscription_id_1)s", "'s0'").replace("?", "'s0'")
            )
            plan = "\n".join(str(row) for row in tx.rows(asked))
            assert "ix_tmf_delivery_pending" in plan


def test_a_subscription_that_returns_is_served_again(store: Database, deliver: Deliver) -> None:
    source = Events(store)
    deliverer = deliver(source)
    with store.write() as tx:
        tell(tx)
    seen: list[str] = []
    source.subscribe_local("late", "641", lambda _tx, body: seen.append(body["eventId"]))
    with store.write() as tx:
        id_ = tell(tx)
    assert deliverer.idle(5)
    assert seen == [id_]
