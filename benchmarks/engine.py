"""CPU of the order engine: 1 order = 3 items, 6 steps, each step one insert; no device, no API, no events.

    python benchmarks/engine.py [--orders N] [--postgres URL]

The comparable figure is CPU milliseconds per order in this process (on PostgreSQL the server's CPU is not in it);
orders per second depend on the machine's other load and on its disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer, String, Table, create_engine, insert, text

import orders.tables
from orders.executor import EmbeddedExecutor, Runner
from orders.ledger import Ledger
from orders.model import Done, NewItem, NewOrder, Outcome, State, Task, TaskSpec, Wait
from store import Database, Tx, metadata, new_id

WORK = Table(
    "benchmark_work",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("task", String(64)),
)
TABLES = [*(t for t in metadata.tables.values() if t.name in vars(orders.tables)), WORK]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result."""

    store: str
    what: str
    count: int
    cpu_ms: float
    wall_ms: float


class Step:
    """Database only: one insert; the second step of an item completes it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:
        tx.execute(insert(WORK).values(task=task.id))
        if task.args["last"]:
            self._ledger.update_item(tx, task.order_id, task.items[0], state=State.COMPLETED)
        return Done(result)


class Acting(Step):
    """The same with an `act`, as device steps have one."""

    def act(self, task: Task) -> dict[str, str]:
        return {"did": task.key}


class Waiting:
    """Waits for its order's key."""

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:  # noqa: ARG002
        return Wait(task.order_id) if task.wake is None else Done()


def submit(ledger: Ledger, tx: Tx, kind: str) -> str:
    """Accept one order with its six tasks in a chain."""
    body = {"description": "benchmark", "note": [{"text": "x" * 200}]}
    items = tuple(NewItem(str(n), "add", {"id": str(n), "name": "item"}) for n in range(3))
    order, _ = ledger.create(tx, NewOrder("rom", body, items))
    specs = []
    for number in range(6):
        needs = (f"t{number - 1}",) if number else ()
        args = {"last": bool(number % 2)}
        specs.append(TaskSpec(f"t{number}", kind, args, needs, (str(number // 2),)))
    ledger.add_tasks(tx, order.id, specs)
    return order.id


@contextmanager
def measured(store: str, what: str, count: int, figures: list[Figure]) -> Iterator[None]:
    """Add the CPU and wall milliseconds per piece of what is done inside."""
    cpu, wall = time.process_time(), time.perf_counter()
    yield
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    figures.append(Figure(store, what, count, 1000 * cpu / count, 1000 * wall / count))


def measure(database: Database, count: int) -> list[Figure]:
    """Run the orders of each kind and then wake many waiting ones."""
    figures: list[Figure] = []
    ledger = Ledger()
    ledger.register("record@1", Step(ledger))
    ledger.register("act@1", Acting(ledger))
    ledger.register("wait@1", Waiting())
    for kind in ("record@1", "act@1"):
        with measured(database.dialect, f"accept ({kind})", count, figures):
            for _ in range(count):
                with database.write() as tx:
                    submit(ledger, tx, kind)
        executor = EmbeddedExecutor(database, ledger, threads=4)
        with measured(database.dialect, f"run ({kind})", count, figures):
            executor.start(Runner(database, ledger).run_one)
            assert executor.idle(600)
            executor.stop()
    figures += measure_waiting(database, ledger, count * 10)
    with database.read() as rx:
        completed = {state: n for _, state, n in ledger.counts(rx)}[State.COMPLETED]
        assert completed == 2 * count
        assert rx.scalar(text("SELECT count(*) FROM benchmark_work")) == 12 * count
    return figures


def measure_waiting(database: Database, ledger: Ledger, count: int) -> list[Figure]:
    """Let orders wait, look how much CPU that costs, and wake some of them."""
    figures: list[Figure] = []
    with database.write() as tx:
        ids = [ledger.create(tx, NewOrder("som", {}, ()))[0].id for _ in range(count)]
        for order_id in ids:
            ledger.add_tasks(tx, order_id, [TaskSpec("w", "wait@1")])
    executor = EmbeddedExecutor(database, ledger, threads=4)
    with measured(database.dialect, "go to wait", count, figures):
        executor.start(Runner(database, ledger).run_one)
        assert executor.idle(600)
    with measured(database.dialect, "idle second", 3, figures):
        time.sleep(3)
    with measured(database.dialect, "wake to done", 100, figures):
        for order_id in ids[:100]:
            with database.write() as tx:
                ledger.wake(tx, order_id)
            assert executor.idle(10)
    executor.stop()
    return figures


def on_sqlite(count: int) -> list[Figure]:
    """Measure on a file in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        return _measure(f"sqlite:///{Path(folder) / 'bench.db'}", count)


def on_postgres(server: str, count: int) -> list[Figure]:
    """Measure in a database of its own on the server."""
    name = f"turnup_bench_{new_id()}"
    admin = create_engine(
        server.replace("postgresql://", "postgresql+psycopg://", 1), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        return _measure(f"{server.rsplit('/', 1)[0]}/{name}", count)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


def _measure(url: str, count: int) -> list[Figure]:
    database = Database(url)
    metadata.create_all(database.engine, TABLES)
    try:
        return measure(database, count)
    finally:
        database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--postgres", help="URL of a server on which databases may be created")
    chosen = parser.parse_args()
    figures = on_sqlite(chosen.orders)
    if chosen.postgres:
        figures += on_postgres(chosen.postgres, chosen.orders)
    print(f"{'store':<11} {'what':<18} {'count':>6} {'CPU ms each':>12} {'wall ms each':>13}")
    for line in figures:
        print(
            f"{line.store:<11} {line.what:<18} {line.count:>6} {line.cpu_ms:>12.2f} {line.wall_ms:>13.2f}"
        )


if __name__ == "__main__":
    main()
