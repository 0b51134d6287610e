"""Waits and wakes: neither misses the other, whichever comes first."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from orders.errors import WaitNotFound
from orders.model import Done, External, Outcome, Retry, State, Task, Wait
from orders.waits import final_key
from store import Tx

if TYPE_CHECKING:
    from tests.orders.conftest import Bench


class Waiter:
    """Waits for its key until it is woken or overdue."""

    def __init__(self, due_s: float | None = None) -> None:
        self.due_s = due_s
        self.seen: list[tuple[Any, bool]] = []

    def __call__(self, tx: Tx, task: Task, _result: Any) -> Outcome:
        self.seen.append((task.wake, task.overdue))
        if task.wake is not None or task.overdue:
            return Done()
        due = tx.now + timedelta(seconds=self.due_s) if self.due_s else None
        external = External("cpeDelivery", "1", {"serial": "X"}, {"place": "p"})
        return Wait(task.args["key"], due, external if task.args.get("external") else None)


def waiting(
    bench: Bench, *, due_s: float | None = None, external: bool = False
) -> tuple[str, Waiter]:
    waiter = Waiter(due_s)
    bench.on("wait@1", waiter)
    order_id = bench.order("1")
    args = {"key": "k", "external": external}
    bench.add(
        order_id, bench.spec("w", kind="wait@1", args=args, items=("1",)), bench.spec("n", "w")
    )
    bench.run()
    return order_id, waiter


def wake(bench: Bench, key: str, payload: Any = None) -> int:
    with bench.database.write() as tx:
        return bench.ledger.wake(tx, key, payload)


def test_a_wake_ends_the_wait(bench: Bench) -> None:
    order_id, waiter = waiting(bench)
    assert bench.states(order_id) == {"w": "waiting", "n": "blocked"}
    assert wake(bench, "other") == 0
    assert bench.run() == []
    assert wake(bench, "k", {"state": "completed"}) == 1
    assert bench.run() == ["w", "n"]
    assert waiter.seen == [(None, False), ({"state": "completed"}, False)]
    with bench.database.read() as rx:
        assert bench.ledger.waits(rx) == []


def test_a_wake_before_the_wait_is_kept_and_used_once(bench: Bench) -> None:
    assert wake(bench, "k", {"n": 1}) == 0
    assert wake(bench, "k") == 0
    order_id, waiter = waiting(bench)
    assert bench.states(order_id) == {"w": "done", "n": "done"}
    assert waiter.seen == [(None, False), ({"n": 1}, False)]
    second, waiter = waiting(bench)
    assert waiter.seen == [(None, False), ({}, False)]
    third, _ = waiting(bench)
    assert (bench.states(second)["w"], bench.states(third)["w"]) == ("done", "waiting")


def test_all_who_wait_are_woken(bench: Bench) -> None:
    first, _ = waiting(bench)
    second, _ = waiting(bench)
    assert wake(bench, "k") == 2
    assert sorted(bench.run()) == ["n", "n", "w", "w"]
    assert set(bench.states(first).values()) | set(bench.states(second).values()) == {"done"}


def test_a_wait_is_due(bench: Bench) -> None:
    order_id, waiter = waiting(bench, due_s=60)
    with bench.database.read() as rx:
        assert bench.ledger.next_due(rx) == bench.clock.now() + timedelta(seconds=60)
    bench.clock.advance(timedelta(seconds=59))
    assert bench.run() == []
    bench.clock.advance(timedelta(seconds=1))
    assert bench.run() == ["w", "n"]
    assert waiter.seen[-1] == (None, True)
    assert "overdue" in bench.events(order_id)
    with bench.database.read() as rx:
        assert bench.ledger.next_due(rx) is None


def test_an_external_wait_is_listed_and_keeps_its_id(bench: Bench) -> None:
    order_id, waiter = waiting(bench, due_s=60, external=True)
    with bench.database.read() as rx:
        (info,) = bench.ledger.waits(rx, external_only=True)
        assert bench.ledger.wait(rx, info.id) == info
    assert info.external == External("cpeDelivery", "1", {"serial": "X"}, {"place": "p"})
    assert (info.order_id, info.item, info.key, info.layer) == (order_id, "1", "k", "rom")
    assert info.due == bench.clock.now() + timedelta(seconds=60)
    again = Wait("k", None, info.external)
    bench.on("wait@1", lambda *_: again)
    bench.clock.advance(timedelta(seconds=60))
    assert bench.run() == ["w"]
    with bench.database.read() as rx:
        (later,) = bench.ledger.waits(rx)
    assert (later.id, later.due) == (info.id, None)
    assert waiter.seen == [(None, False)]


def test_other_waits_are_not_external(bench: Bench) -> None:
    waiting(bench)
    with bench.database.read() as rx:
        assert bench.ledger.waits(rx, external_only=True) == []
        (info,) = bench.ledger.waits(rx)
        assert (info.external, info.item) == (None, "1")
        with pytest.raises(WaitNotFound):
            bench.ledger.wait(rx, "nothing")


def test_the_end_of_an_order_wakes_who_waits_for_it(bench: Bench) -> None:
    first, second = bench.order("1"), bench.order("1")
    waiter = Waiter()
    bench.on("wait@1", waiter)
    bench.add(second, bench.spec("w", kind="wait@1", args={"key": final_key(first)}))
    bench.run()
    assert bench.states(second) == {"w": "waiting"}
    with bench.database.write() as tx:
        bench.ledger.update_item(tx, first, "1", state=State.FAILED)
    assert bench.run() == ["w"]
    assert waiter.seen[-1] == ({"state": "failed"}, False)


def test_who_waits_for_an_order_that_has_ended_goes_on(bench: Bench) -> None:
    first, second = bench.order("1"), bench.order("1")
    waiter = Waiter()
    bench.on("wait@1", waiter)
    with bench.database.write() as tx:
        bench.ledger.update_item(tx, first, "1", state=State.COMPLETED)
    bench.add(second, bench.spec("w", kind="wait@1", args={"key": final_key(first)}))
    bench.run()
    assert bench.states(second) == {"w": "done"}
    assert waiter.seen[-1] == ({"state": "completed"}, False)


def test_a_wake_is_seen_again_after_a_retry(bench: Bench) -> None:
    order_id, _ = waiting(bench)
    seen = []

    def record(_tx: Tx, task: Task, _result: Any) -> Outcome:
        seen.append(task.wake)
        if len(seen) < 2:
            raise RuntimeError
        return Done()

    bench.on("wait@1", record)
    wake(bench, "k", {"n": 1})
    bench.run()
    bench.clock.advance(timedelta(seconds=2))
    bench.run()
    assert seen == [{"n": 1}, {"n": 1}]
    assert bench.states(order_id)["w"] == "done"


def test_a_woken_task_has_all_its_attempts_again(bench: Bench) -> None:
    order_id = bench.order("1")
    outcomes: list[Outcome] = [Retry("x"), Retry("x"), Wait("k"), Retry("x"), Retry("x"), Done()]
    bench.on("wait@1", lambda *_: outcomes.pop(0))
    bench.add(order_id, bench.spec("w", kind="wait@1"))
    for _ in range(10):
        bench.run()
        bench.clock.advance(timedelta(seconds=2))
    assert bench.states(order_id) == {"w": "waiting"}
    wake(bench, "k")
    for _ in range(10):
        bench.run()
        bench.clock.advance(timedelta(seconds=2))
    assert bench.states(order_id) == {"w": "done"}
    assert bench.tasks(order_id)["w"].attempts == 6


def test_waits_and_wakes_at_the_same_moment_meet(bench: Bench) -> None:
    """The order in which the two transactions look and write must not matter."""
    for number in range(20):
        key = f"race-{number}"
        bench.on("wait@1", Waiter())
        order_id = bench.order("1")
        bench.add(order_id, bench.spec("w", kind="wait@1", args={"key": key}))
        task = bench.claim()
        gate = threading.Barrier(2)

        def finish(task: Task = task, gate: threading.Barrier = gate) -> None:
            gate.wait()
            bench.finish(task)

        def ring(key: str = key, gate: threading.Barrier = gate) -> None:
            gate.wait()
            wake(bench, key)

        threads = [threading.Thread(target=finish), threading.Thread(target=ring)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        bench.run()
        assert bench.states(order_id) == {"w": "done"}
