"""A process killed in the middle of delivery: nothing is lost, and nothing handled in process happens twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from store import Database, Tx
from tmf.deliverer import Deliverer
from tmf.events import Events, emit, events

ROOT = Path(__file__).parents[2]
EVENTS = 150

CHILD = """
import sys, time
from store import Database
from tests.tmf.test_kill import follow
from tmf.deliverer import Deliverer
from tmf.events import Events

source = Events(Database(sys.argv[1]))
def handle(tx, body):
    follow(tx, body)
    print("handled", flush=True)
source.subscribe_local("follower", "652", handle)
Deliverer(source).start()
time.sleep(60)
"""


def tell(tx: Tx, api: str, subject: str) -> None:
    emit(
        tx,
        api=api,
        event_type="ResourceOrderStateChangeEvent",
        resource_key="resourceOrder",
        resource={"id": subject},
        subject=subject,
        correlation=f"follow-up of {api}",
    )


def follow(tx: Tx, body: dict[str, Any]) -> None:
    """Do what must be done exactly once per event."""
    tell(tx, "641", body["event"]["resourceOrder"]["id"])


def test_kill_in_the_middle(store: Database) -> None:
    source = Events(store)
    source.subscribe_local("follower", "652", follow)
    with store.write() as tx:
        for number in range(EVENTS):
            tell(tx, "652", f"o{number % 10}")
    url = store.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, url],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    try:
        lines = [child.stdout.readline() for _ in range(30)]
    finally:
        child.send_signal(signal.SIGKILL)
        rest = child.communicate()[0].count("handled")
    assert lines == ["handled\n"] * 30
    assert 30 + rest < EVENTS, "it was over before it was killed"
    with store.read() as rx:
        done = len(events(rx, correlation="follow-up of 641"))
    # the last handler may have spoken and not been committed
    assert done in {30 + rest - 1, 30 + rest}

    deliverer = Deliverer(source)
    deliverer.start()
    assert deliverer.idle(30)
    deliverer.stop()
    with store.read() as rx:
        followed = [
            body["event"]["resourceOrder"]["id"]
            for body in events(rx, correlation="follow-up of 641")
        ]
    expected = [f"o{number % 10}" for number in range(EVENTS)]
    assert sorted(followed) == sorted(expected)
