"""`kill -9` at random moments: no order is lost, and no database step is done twice."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import select

from orders.ledger import Ledger
from orders.model import State
from store import Database, metadata

WORKER = Path(__file__).with_name("crash_worker.py")
ROOT = WORKER.parents[2]


def load_worker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("crash_worker", WORKER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", str(WORKER), url]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "started\n"
    return process


def kill_often(url: str, kills: int, seed: int) -> int:
    """Start and kill the worker; return how many kills met it at work."""
    chance = random.Random(seed)
    met = 0
    for _ in range(kills):
        process = start(url)
        time.sleep(chance.uniform(0.0, 0.15))
        met += process.poll() is None
        process.kill()
        process.communicate(timeout=10)
    return met


def run_to_the_end(url: str) -> None:
    process = start(url)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "idle\n")


def crash(store: Database, url: str, *, orders: int, kills: int) -> int:
    worker = load_worker()
    metadata.create_all(store.engine, [worker.STEPS])
    try:
        return _crash(store, url, worker, orders=orders, kills=kills)
    finally:
        metadata.remove(worker.STEPS)


def _crash(store: Database, url: str, worker: ModuleType, *, orders: int, kills: int) -> int:
    ledger = Ledger()
    for number in range(orders):
        with store.write() as tx:
            worker.submit(ledger, tx, number)
    met = kill_often(url, kills, seed=orders)
    run_to_the_end(url)
    with store.read() as rx:
        done = Counter((row.order_id, row.key) for row in rx.rows(select(worker.STEPS)))
        found, total = ledger.orders(rx, "rom")
    assert total == orders
    assert {order.state for order in found} == {State.COMPLETED}
    expected = {
        (o.id, k) for o in found for k in ("begin1", "wait2", "wait3", "end1", "end2", "end3")
    }
    assert set(done) == expected
    assert max(done.values()) == 1
    return met


def test_killed_a_few_times(store: Database, store_url: str) -> None:
    assert crash(store, store_url, orders=60, kills=3) >= 2


@pytest.mark.crash
@pytest.mark.timeout(300)
def test_killed_many_times(store: Database, store_url: str, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--crash-all", default=False):
        pytest.skip("25 kills take minutes: make crash")
    assert crash(store, store_url, orders=400, kills=25) >= 12
