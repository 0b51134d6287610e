"""What every executor must do. `embedded` is the only one yet; others join the list of EXECUTORS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from orders.executor import EmbeddedExecutor, Executor, Runner
from orders.ledger import Ledger
from orders.model import (
    Done,
    EngineSettings,
    Handler,
    NewItem,
    NewOrder,
    Outcome,
    Retry,
    State,
    Task,
    TaskSpec,
    Wait,
)
from store import Database, Tx

Make = Callable[[Database, Ledger], Executor]
EXECUTORS: dict[str, Make] = {
    "embedded": lambda database, ledger: EmbeddedExecutor(database, ledger, threads=4)
}


class Rig:
    """An executor that runs, and what its steps have seen."""

    def __init__(self, store: Database, make: Make) -> None:
        self.store = store
        self.ledger = Ledger(settings=EngineSettings(retry_delays_s=(0.05, 0.05)))
        self.executor = make(store, self.ledger)
        self.runner = Runner(store, self.ledger)
        self.started = False

    def on(self, kind: str, handler: Handler) -> None:
        self.ledger.register(kind, handler)

    def start(self) -> None:
        self.executor.start(self.runner.run_one)
        self.started = True

    def stop(self) -> None:
        if self.started:
            self.executor.stop()
            self.started = False

    def submit(self, *specs: TaskSpec, priority: int = 4) -> str:
        with self.store.write() as tx:
            new = NewOrder("rom", {}, (NewItem("1", "add", {}),), priority=priority)
            order, _ = self.ledger.create(tx, new)
            self.ledger.add_tasks(tx, order.id, specs)
        return order.id

    def states(self, order_id: str) -> dict[str, str]:
        with self.store.read() as rx:
            return {t.key: t.state.value for t in self.ledger.tasks(rx, order_id)}

    def until(self, order_id: str, timeout: float = 10.0, **states: str) -> None:
        """Wait until the order's tasks are in these states."""
        deadline = time.monotonic() + timeout
        while (now := self.states(order_id)) != states:
            assert time.monotonic() < deadline, now
            time.sleep(0.01)


class Plain:
    """Counts what is recorded; a step that says `last` completes the item."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.ran: list[str] = []

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:
        self.ran.append(task.key)
        if task.args.get("last"):
            self.ledger.update_item(tx, task.order_id, "1", state=State.COMPLETED)
        return Done(result)


class Working(Plain):
    """Acts as the test says."""

    def __init__(self, ledger: Ledger, work: Callable[[Task], Any]) -> None:
        super().__init__(ledger)
        self.work = work

    def act(self, task: Task) -> Any:
        return self.work(task)


@pytest.fixture(params=list(EXECUTORS))
def rig(request: pytest.FixtureRequest, store: Database) -> Iterator[Rig]:
    rig = Rig(store, EXECUTORS[request.param])
    yield rig
    rig.stop()


def test_orders_run_to_their_end(rig: Rig) -> None:
    plain = Plain(rig.ledger)
    rig.on("step@1", plain)
    rig.start()
    chain = [
        TaskSpec("a", "step@1"),
        TaskSpec("b", "step@1", needs=("a",)),
        TaskSpec("c", "step@1", {"last": True}, needs=("b",)),
    ]
    ids = [rig.submit(*chain) for _ in range(10)]
    for order_id in ids:
        rig.until(order_id, a="done", b="done", c="done")
    assert sorted(plain.ran) == ["a"] * 10 + ["b"] * 10 + ["c"] * 10
    with rig.store.read() as rx:
        assert rig.ledger.counts(rx) == [("rom", State.COMPLETED, 10)]


def test_what_was_there_before_the_start_is_run(rig: Rig) -> None:
    rig.on("step@1", Plain(rig.ledger))
    order_id = rig.submit(TaskSpec("a", "step@1"), TaskSpec("b", "step@1"))
    with rig.store.write() as tx:
        assert rig.ledger.claim_due(tx, 1, "a dead process")
    rig.start()
    rig.until(order_id, timeout=5, a="done", b="done")


def test_independent_steps_run_side_by_side(rig: Rig) -> None:
    together = threading.Barrier(3)
    rig.on("meet@1", Working(rig.ledger, lambda _task: together.wait(5)))
    rig.start()
    order_id = rig.submit(*(TaskSpec(key, "meet@1") for key in "abc"))
    rig.until(order_id, a="done", b="done", c="done")


def test_more_steps_than_threads_all_run(rig: Rig) -> None:
    rig.on("slow@1", Working(rig.ledger, lambda _task: time.sleep(0.02)))
    rig.start()
    keys = [f"t{number}" for number in range(30)]
    order_id = rig.submit(*(TaskSpec(key, "slow@1") for key in keys))
    rig.until(order_id, 10.0, **dict.fromkeys(keys, "done"))


def test_a_retry_comes_back_by_itself(rig: Rig) -> None:
    tries = []

    class Flaky:
        def record(self, tx: Tx, task: Task, result: Any) -> Outcome:
            tries.append(time.monotonic())
            return Done() if len(tries) == 3 else Retry("again")

    rig.on("flaky@1", Flaky())
    rig.start()
    rig.until(rig.submit(TaskSpec("a", "flaky@1")), a="done")
    assert len(tries) == 3
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(tries))


def test_waits_wake_and_fall_due(rig: Rig) -> None:
    class Waiter:
        def record(self, tx: Tx, task: Task, result: Any) -> Outcome:
            if task.wake is not None or task.overdue:
                return Done({"overdue": task.overdue})
            seconds = task.args.get("due")
            return Wait(task.order_id, tx.now + timedelta(seconds=seconds) if seconds else None)

    rig.on("wait@1", Waiter())
    rig.start()
    due = rig.submit(TaskSpec("a", "wait@1", {"due": 0.1}))
    woken = rig.submit(TaskSpec("a", "wait@1"))
    rig.until(due, a="done")
    rig.until(woken, a="waiting")
    with rig.store.write() as tx:
        rig.ledger.wake(tx, woken)
    rig.until(woken, a="done")


def test_a_planned_time_is_kept(rig: Rig) -> None:
    plain = Plain(rig.ledger)
    rig.on("step@1", plain)
    rig.start()
    later = rig.store.clock.now() + timedelta(seconds=0.3)
    order_id = rig.submit(
        TaskSpec("a", "step@1"), TaskSpec("b", "step@1", needs=("a",), run_at=later)
    )
    rig.until(order_id, a="done", b="ready")
    rig.until(order_id, a="done", b="done")
    assert rig.store.clock.now() >= later


def test_a_step_that_raises_stops_nobody_else(rig: Rig) -> None:
    def work(task: Task) -> None:
        if task.key == "bad":
            raise ValueError

    rig.on("work@1", Working(rig.ledger, work))
    rig.start()
    order_id = rig.submit(TaskSpec("bad", "work@1"), *(TaskSpec(k, "work@1") for k in "abcd"))
    rig.until(order_id, bad="held", a="done", b="done", c="done", d="done")


def test_stop_lets_running_steps_finish_and_claims_no_more(rig: Rig) -> None:
    begun, go = threading.Event(), threading.Event()

    def work(_task: Task) -> None:
        begun.set()
        go.wait(5)

    rig.on("work@1", Working(rig.ledger, work))
    rig.start()
    order_id = rig.submit(TaskSpec("a", "work@1"), TaskSpec("b", "work@1", needs=("a",)))
    assert begun.wait(5)
    stopping = threading.Thread(target=rig.stop)
    stopping.start()
    time.sleep(0.05)
    go.set()
    stopping.join(5)
    assert not stopping.is_alive()
    assert rig.states(order_id) == {"a": "done", "b": "ready"}
    rig.start()
    rig.until(order_id, a="done", b="done")


def test_a_step_longer_than_its_lease_runs_once(store: Database) -> None:
    ledger = Ledger(settings=EngineSettings(lease_s=0.3))
    working = Working(ledger, lambda _task: time.sleep(1.0))
    ledger.register("long@1", working)
    executor = EmbeddedExecutor(store, ledger, threads=2)
    executor.start(Runner(store, ledger).run_one)
    with store.write() as tx:
        order, _ = ledger.create(tx, NewOrder("rom", {}, (NewItem("1", "add", {}),)))
        ledger.add_tasks(tx, order.id, [TaskSpec("a", "long@1")])
    assert executor.idle(5)
    executor.stop()
    with store.read() as rx:
        (task,) = ledger.tasks(rx, order.id)
    assert (task.state, task.attempts, working.ran) == ("done", 1, ["a"])


def test_at_rest_it_does_nothing(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    executor = EmbeddedExecutor(store, ledger)
    executor.start(Runner(store, ledger).run_one)
    assert executor.idle(5)
    claims: list[int] = []
    real = ledger.claim_due

    def counted(tx: Tx, count: int, owner: str) -> list[Task]:
        claims.append(count)
        return real(tx, count, owner)

    monkeypatch.setattr(ledger, "claim_due", counted)
    time.sleep(0.3)
    assert claims == []
    executor.notify()
    assert executor.idle(5)
    assert claims == [4]
    executor.stop()


def test_it_outlives_a_database_that_is_away(
    store: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger()
    ledger.register("step@1", Plain(ledger))
    executor = EmbeddedExecutor(store, ledger)
    real, broken = ledger.claim_due, [True]

    def claim(tx: Tx, count: int, owner: str) -> list[Task]:
        if broken.pop() if broken else False:
            raise OSError
        return real(tx, count, owner)

    monkeypatch.setattr(ledger, "claim_due", claim)
    with store.write() as tx:
        order, _ = ledger.create(tx, NewOrder("rom", {}, (NewItem("1", "add", {}),)))
        ledger.add_tasks(tx, order.id, [TaskSpec("a", "step@1", {"last": True})])
    executor.start(Runner(store, ledger).run_one)
    assert executor.idle(10)
    executor.stop()
    assert "cannot reach its database" in caplog.text
    with store.read() as rx:
        assert ledger.order(rx, order.id).state is State.COMPLETED
