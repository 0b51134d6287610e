"""What the engine's tests share: orders, scripted handlers, and a way to run everything by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from orders.ledger import Ledger
from orders.model import (
    Done,
    Fallout,
    Hold,
    Item,
    NewItem,
    NewOrder,
    Order,
    Outcome,
    State,
    Task,
    TaskSpec,
)
from orders.runner import Runner
from store import Database, ManualClock, Tx

Step = Callable[[Tx, Task, Any], Outcome]


def _done(_tx: Tx, _task: Task, _result: Any) -> Outcome:
    return Done()


@dataclass
class Scripted:
    """A handler whose record is whatever the test says; by default the step is done."""

    step: Step = _done

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:
        return self.step(tx, task, result)


@dataclass
class Actor(Scripted):
    """A handler that also acts."""

    work: Callable[[Task], Any] = lambda _task: None

    def act(self, task: Task) -> Any:
        return self.work(task)


@dataclass
class Watcher:
    """An observer that writes down what it is told."""

    seen: list[tuple[str, str, str | None]] = field(default_factory=list)

    def order_changed(self, tx: Tx, order: Order, previous: State | None) -> None:
        self.seen.append(("order", order.state.value, previous.value if previous else None))

    def item_changed(self, tx: Tx, order: Order, item: Item, previous: State | None) -> None:
        self.seen.append((item.id, item.state.value, previous.value if previous else None))


class Bench:
    """A ledger on a fresh database, with a clock that stands still."""

    def __init__(self, database: Database) -> None:
        self.clock = ManualClock()
        database.clock = self.clock
        self.database = database
        self.watcher = Watcher()
        self.ledger = Ledger(observers={"rom": self.watcher})
        self.ledger.register("step@1", Scripted())
        self.runner = Runner(database, self.ledger)

    def order(self, *items: str, instances: Sequence[str] = (), **options: Any) -> str:
        """Create an order with these items and return its id."""
        given = dict(zip(items, instances, strict=False))
        new = NewOrder(
            "rom",
            {"note": "hello"},
            tuple(NewItem(item, "add", {"x": item}, instance=given.get(item)) for item in items),
            **options,
        )
        with self.database.write() as tx:
            return self.ledger.create(tx, new)[0].id

    def add(self, order_id: str, *specs: TaskSpec) -> None:
        with self.database.write() as tx:
            self.ledger.add_tasks(tx, order_id, specs)

    def on(self, kind: str, step: Step = _done, act: Callable[[Task], Any] | None = None) -> None:
        """Register a handler made of one or two functions."""
        self.ledger.register(kind, Actor(step, act) if act else Scripted(step))

    def spec(self, key: str, *needs: str, kind: str = "step@1", **options: Any) -> TaskSpec:
        """Return a task, of the kind that is done at once when nothing else is said."""
        return TaskSpec(key, kind, needs=needs, **options)

    def claim(self) -> Task:
        """Claim the next due task."""
        with self.database.write() as tx:
            (task,) = self.ledger.claim_due(tx, 1, "test")
        return task

    def finish(self, task: Task, result: Any = None) -> None:
        with self.database.write() as tx:
            self.ledger.finish(tx, task, task.fence, result)

    def hold(self, order_id: str, key: str = "t", *, items: tuple[str, ...] = ("1",)) -> Fallout:
        """Add a task, let it be held and return its fallout."""
        self.on(
            "hold@1",
            lambda *_: Hold("PORT_DEAD", "The port is dead.", "Use another one.", {"port": 3}),
        )
        self.add(order_id, self.spec(key, kind="hold@1", items=items))
        self.run()
        with self.database.read() as rx:
            return self.ledger.fallouts(rx, order_id=order_id)[-1]

    def run(self) -> list[str]:
        """Run all that is due, one after the other; return the keys in the order in which they ran."""
        ran = []
        with self.database.write() as tx:
            following = next(iter(self.ledger.claim_due(tx, 1, "test")), None)
        while following is not None:
            ran.append(following.key)
            following = self.runner.run_one(following)
        return ran

    def state(self, order_id: str) -> State:
        with self.database.read() as rx:
            return self.ledger.order(rx, order_id).state

    def item(self, order_id: str, item_id: str) -> Item:
        with self.database.read() as rx:
            return self.ledger.order(rx, order_id).item(item_id)

    def tasks(self, order_id: str) -> dict[str, Task]:
        with self.database.read() as rx:
            return {task.key: task for task in self.ledger.tasks(rx, order_id)}

    def states(self, order_id: str) -> dict[str, str]:
        return {key: task.state.value for key, task in self.tasks(order_id).items()}

    def events(self, order_id: str) -> list[str]:
        with self.database.read() as rx:
            return [entry.event for entry in self.ledger.journal(rx, order_id)]


@pytest.fixture
def bench(store: Database) -> Bench:
    return Bench(store)
