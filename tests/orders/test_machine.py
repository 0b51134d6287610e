"""The ledger against a simple model of itself: any sequence of verbs leaves both in the same state."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete

from orders.errors import LeaseLost
from orders.fold import fold
from orders.ledger import Ledger
from orders.model import (
    FINAL,
    Done,
    Failed,
    Hold,
    NewItem,
    NewOrder,
    Outcome,
    Retry,
    State,
    Task,
    TaskSpec,
    Wait,
)
from orders.tables import orders, task_wake
from store import Database, ManualClock, Tx

ENDED = {"done", "failed", "skipped"}
KEYS = ("k1", "k2")
DIAMOND = (
    TaskSpec("t0", "any@1"),
    TaskSpec("t1", "any@1"),
    TaskSpec("t2", "any@1", needs=("t0", "t1")),
    TaskSpec("t3", "any@1", needs=("t2",)),
)
OUTCOMES = st.sampled_from(
    [
        Done(),
        Done(),
        Retry("x"),
        Retry("x", 0.0),
        Wait("k1"),
        Wait("k2"),
        Hold("H", "h"),
        Failed("F", "f"),
    ]
)


@dataclass
class ModelTask:
    """What the model knows of a task."""

    needs: set[str]
    item: str | None
    state: str = "ready"
    failures: int = 0
    stopping: bool = False
    wait: str | None = None
    records: int = 0
    kept_after_failure: bool = False


@dataclass
class ModelOrder:
    """What the model knows of an order."""

    items: dict[str, State]
    tasks: dict[str, ModelTask] = field(default_factory=dict)
    state: State = State.ACKNOWLEDGED

    def settle(self) -> None:
        self.state = fold(self.state, list(self.items.values()))

    def released(self) -> None:
        for task in self.tasks.values():
            if task.state == "blocked" and all(self.tasks[n].state in ENDED for n in task.needs):
                task.state = "ready"

    def move(self, item: str | None, state: State, only: State | None = None) -> None:
        if item and self.items[item] not in FINAL and only in {None, self.items[item]}:
            self.items[item] = state
        self.settle()

    def resume(self, item: str | None) -> None:
        if not any(t.state == "held" and t.item == item for t in self.tasks.values()):
            self.move(item, State.IN_PROGRESS, State.HELD)

    def below(self, key: str) -> set[str]:
        found: set[str] = set()
        while more := {
            k for k, t in self.tasks.items() if k not in found and t.needs & (found | {key})
        }:
            found |= more
        return found


class Machine(RuleBasedStateMachine):
    """Drives ledger and model side by side."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.database.clock = self.clock
        self.next_outcome: Outcome = Done()
        self.ledger = Ledger({"any@1": self})
        self.orders: dict[str, ModelOrder] = {}
        self.claimed: list[Task] = []
        self.stale: list[Task] = []
        self.wakes = dict.fromkeys(KEYS, 0)

    def record(self, tx: Tx, task: Task, _result: Any) -> Outcome:
        self.orders[task.order_id].tasks[task.key].records += 1
        assert tx
        return self.next_outcome

    def teardown(self) -> None:
        with self.database.write() as tx:
            tx.execute(delete(orders))
            tx.execute(delete(task_wake))

    # -- rules

    @rule(count=st.integers(1, 3))
    def create(self, count: int) -> None:
        names = [str(number) for number in range(count)]
        new = NewOrder("som", {}, tuple(NewItem(name, "add", {}) for name in names))
        with self.database.write() as tx:
            order, created = self.ledger.create(tx, new)
            self.ledger.add_tasks(tx, order.id, DIAMOND)
        assert created
        tasks = {
            s.key: ModelTask(set(s.needs), None, "blocked" if s.needs else "ready") for s in DIAMOND
        }
        self.orders[order.id] = ModelOrder(dict.fromkeys(names, State.ACKNOWLEDGED), tasks)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def add(self, data: st.DataObject) -> None:
        order_id = data.draw(st.sampled_from(list(self.orders)))
        model = self.orders[order_id]
        specs = []
        for _ in range(data.draw(st.integers(1, 3))):
            known = [*model.tasks]
            needs = set(data.draw(st.lists(st.sampled_from(known), max_size=2))) if known else set()
            item = data.draw(st.sampled_from([None, *model.items]))
            key = f"t{len(known)}"
            met = all(model.tasks[need].state in ENDED for need in needs)
            model.tasks[key] = ModelTask(needs, item, "ready" if met else "blocked")
            specs.append(TaskSpec(key, "any@1", {}, tuple(sorted(needs)), (item,) if item else ()))
        with self.database.write() as tx:
            self.ledger.add_tasks(tx, order_id, data.draw(st.permutations(specs)))

    @rule(count=st.integers(1, 3))
    def claim(self, count: int) -> None:
        due = [task for order in self.orders.values() for task in order.tasks.values()]
        ready = sum(task.state == "ready" for task in due)
        with self.database.write() as tx:
            tasks = self.ledger.claim_due(tx, count, "machine")
        assert len(tasks) == min(count, ready)
        for task in tasks:
            model = self.model(task)
            assert model.state == "ready"
            assert all(
                self.orders[task.order_id].tasks[need].state in ENDED for need in model.needs
            )
            model.state = "leased"
        self.claimed += tasks

    @rule(data=st.data(), outcome=OUTCOMES)
    def work(self, data: st.DataObject, outcome: Outcome) -> None:
        """Most steps of a real engine are claimed and finished: so are most of the machine's."""
        self.claim(1)
        if self.claimed:
            self.finish(data, outcome)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), outcome=OUTCOMES)
    def finish(self, data: st.DataObject, outcome: Outcome) -> None:
        task = self.claimed.pop(data.draw(st.integers(0, len(self.claimed) - 1)))
        self.next_outcome = outcome
        with self.database.write() as tx:
            self.ledger.finish(tx, task, task.fence, None)
        self.stale.append(task)
        self.apply(self.orders[task.order_id], task.key, outcome)
        # retries are planned for later: let it be later
        self.clock.advance(timedelta(seconds=10))
        with self.database.write() as tx:
            self.ledger.heartbeat(tx, {each.id: each.fence for each in self.claimed})

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def finish_again(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self.stale))
        with self.database.write() as tx, pytest.raises(LeaseLost):
            self.ledger.finish(tx, task, task.fence, None)

    @rule()
    def crash(self) -> None:
        with self.database.write() as tx:
            assert self.ledger.void_leases(tx) == len(self.claimed)
        for task in self.claimed:
            self.model(task).state = "ready"
        self.stale += self.claimed
        self.claimed = []

    @rule(key=st.sampled_from(KEYS))
    def wake(self, key: str) -> None:
        waiting = [(o, t) for o in self.orders.values() for t in o.tasks.values() if t.wait == key]
        with self.database.write() as tx:
            assert self.ledger.wake(tx, key) == len(waiting)
        for _, task in waiting:
            task.state, task.wait, task.failures = "ready", None, 0
        self.wakes[key] += not waiting

    @rule(data=st.data(), how=st.sampled_from(["retry", "skip", "complete"]))
    def resolve(self, data: st.DataObject, how: str) -> None:
        with self.database.read() as rx:
            fallouts = [(self.ledger.task(rx, f.task).key, f) for f in self.ledger.fallouts(rx)]
        if not fallouts:
            return
        # ids are random: what is drawn from must come in the same order each time
        known = list(self.orders)
        fallouts.sort(key=lambda each: (known.index(each[1].order_id), each[0]))
        key, fallout = fallouts[data.draw(st.integers(0, len(fallouts) - 1))]
        with self.database.write() as tx:
            if how == "retry":
                self.ledger.retry(tx, fallout.id)
            elif how == "skip":
                self.ledger.skip(tx, fallout.id, "because")
            else:
                self.ledger.complete(tx, fallout.id, "because", {})
        order = self.orders[fallout.order_id]
        task = order.tasks[key]
        task.state = {"retry": "ready", "skip": "skipped", "complete": "done"}[how]
        task.failures = 0 if how == "retry" else task.failures
        order.resume(task.item)
        if how != "retry":
            order.released()
            live = {t.item for t in order.tasks.values() if t.state not in ENDED}
            if task.item and task.item not in live:
                order.move(task.item, State.COMPLETED, State.IN_PROGRESS)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        order_id = data.draw(st.sampled_from(list(self.orders)))
        order = self.orders[order_id]
        with self.database.write() as tx:
            leased = self.ledger.stop_pending(tx, order_id)
        running = {key for key, task in order.tasks.items() if task.state == "leased"}
        assert {task.key for task in leased} == running
        stopped = []
        for task in order.tasks.values():
            task.stopping |= task.state == "leased"
            if task.state not in ENDED | {"leased"}:
                stopped.append(task)
                task.state, task.wait = "skipped", None
        for task in stopped:
            order.resume(task.item)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), state=st.sampled_from([State.IN_PROGRESS, State.COMPLETED, State.FAILED]))
    def update_item(self, data: st.DataObject, state: State) -> None:
        order_id = data.draw(st.sampled_from(list(self.orders)))
        order = self.orders[order_id]
        item = data.draw(st.sampled_from(sorted(order.items)))
        if order.state in FINAL:
            return
        with self.database.write() as tx:
            self.ledger.update_item(tx, order_id, item, state=state)
        order.items[item] = state
        order.settle()

    # -- the model

    def model(self, task: Task) -> ModelTask:
        return self.orders[task.order_id].tasks[task.key]

    def apply(self, order: ModelOrder, key: str, outcome: Outcome) -> None:
        task = order.tasks[key]
        match outcome:
            case Done():
                task.state = "done"
                order.released()
            case Failed():
                self.apply_failed(order, key)
            case _ if task.stopping:
                task.state = "skipped"
                order.released()
            case Wait(wait_key) if self.wakes[wait_key]:
                self.wakes[wait_key] -= 1
                task.state, task.failures = "ready", 0
            case Wait(wait_key):
                task.state, task.wait = "waiting", wait_key
            case Retry(_, None) if task.failures < 2:
                task.state, task.failures = "ready", task.failures + 1
            case Retry(_, float()):
                task.state = "ready"
            case _:
                task.state = "held"
                order.move(task.item, State.HELD)

    def apply_failed(self, order: ModelOrder, key: str) -> None:
        task = order.tasks[key]
        task.state = "failed"
        if not task.stopping:
            order.move(task.item, State.FAILED)
            lost = [order.tasks[k] for k in order.below(key) if order.tasks[k].state == "blocked"]
            for other in lost:
                other.state = "skipped"
            for other in lost:
                order.move(other.item, State.FAILED)
        order.released()

    # -- what must always hold

    @invariant()
    def same(self) -> None:
        with self.database.read() as rx:
            for order_id, model in self.orders.items():
                order = self.ledger.order(rx, order_id)
                assert {item.id: item.state for item in order.items} == model.items
                assert order.state is model.state
                tasks = {task.key: task for task in self.ledger.tasks(rx, order_id)}
                assert {key: task.state.value for key, task in tasks.items()} == {
                    key: task.state for key, task in model.tasks.items()
                }
                for key, task in tasks.items():
                    assert set(task.needs) == model.tasks[key].needs
            waits = sorted((wait.order_id, wait.key) for wait in self.ledger.waits(rx))
            held = sorted(fallout.order_id for fallout in self.ledger.fallouts(rx))
        assert waits == sorted(
            (order_id, task.wait)
            for order_id, model in self.orders.items()
            for task in model.tasks.values()
            if task.wait
        )
        assert held == sorted(
            order_id
            for order_id, model in self.orders.items()
            for task in model.tasks.values()
            if task.state == "held"
        )


@pytest.fixture
def machine(store: Database) -> type[Machine]:
    return type("BoundMachine", (Machine,), {"database": store})


def test_the_ledger_does_what_the_model_says(machine: type[Machine], store: Database) -> None:
    examples = 100 if store.dialect == "sqlite" else 15
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
