"""The embedded executor: one dispatcher and some workers, threads of the one process that has the database.

The dispatcher sleeps until it is told that something is due, or until the next due time; it never polls.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from queue import SimpleQueue

from orders.ledger import Ledger
from orders.model import Task
from store import Database

_LOG = logging.getLogger(__name__)
_TROUBLE_S = 1.0
RunOne = Callable[[Task], Task | None]


class EmbeddedExecutor:
    """Runs tasks on `threads` threads. It must be the only executor of its database."""

    def __init__(self, database: Database, ledger: Ledger, *, threads: int = 4) -> None:
        self._database = database
        self._ledger = ledger
        self._count = threads
        self._owner = f"embedded-{os.getpid()}"
        self._changed = threading.Condition()
        self._signalled = False
        self._starved = False
        self._stopping = True
        self._running: dict[str, int] = {}
        self._handed: SimpleQueue[Task | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._beat_at = 0.0

    def start(self, run_one: RunOne) -> None:
        """Void all leases (their holders are dead: this is the only executor) and begin to work."""
        with self._database.write() as tx:
            self._ledger.void_leases(tx)
        self._ledger.on_ready = self.notify
        self._signalled, self._starved, self._stopping = True, False, False
        self._threads = [
            threading.Thread(target=self._dispatch, name="orders-dispatcher", daemon=True),
            *(
                threading.Thread(
                    target=self._work, args=(run_one,), name=f"orders-{number}", daemon=True
                )
                for number in range(self._count)
            ),
        ]
        for thread in self._threads:
            thread.start()

    def notify(self) -> None:
        """Look for due tasks now."""
        with self._changed:
            self._signalled = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Let what runs finish and return when all threads have ended."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for _ in self._threads[1:]:
            self._handed.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def idle(self, timeout: float = 10.0) -> bool:
        """Wait until nothing runs and nothing is due now; return False when that takes longer (tests)."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._at_rest():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _at_rest(self) -> bool:
        return not self._running and not self._signalled and not self._starved

    # -- the dispatcher

    def _dispatch(self) -> None:
        due: datetime | None = None
        while self._sleep(due):
            try:
                due = self._hand_out()
            except Exception:  # noqa: BLE001 - the dispatcher outlives whatever the database raises
                _LOG.exception("The order engine cannot reach its database; it tries again")
                due = None
                self._pause()

    def _sleep(self, due: datetime | None) -> bool:
        """Sleep until something is due; return False when it is time to stop."""
        with self._changed:
            while not (self._signalled or self._stopping):
                seconds = self._seconds(due)
                if seconds is not None and seconds <= 0:
                    break
                self._changed.wait(seconds)
            return not self._stopping

    def _seconds(self, due: datetime | None) -> float | None:
        """Return how long to sleep: until the next due time or, while something runs, the next heartbeat."""
        moments = []
        if due is not None:
            moments.append((due - self._database.clock.now()).total_seconds())
        if self._running:
            moments.append(self._beat_at - time.monotonic())
        return max(0.0, min(moments)) if moments else None

    def _hand_out(self) -> datetime | None:
        with self._changed:
            self._signalled = False
            free = self._count - len(self._running)
            leases = dict(self._running)
            # counts as running while it is claimed, so that idle() cannot look in between
            self._running[""] = 0
        try:
            with self._database.write() as tx:
                self._beat(lambda: self._ledger.heartbeat(tx, leases))
                tasks = self._ledger.claim_due(tx, free, self._owner)
                due = self._ledger.next_due(tx)
                starved = len(tasks) == free and self._ledger.any_due(tx)
        except BaseException:
            self._claimed([], starved=True)
            raise
        self._claimed(tasks, starved=starved)
        return due

    def _beat(self, renew: Callable[[], None]) -> None:
        if time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + self._ledger.settings.lease_s / 3
            renew()

    def _claimed(self, tasks: list[Task], *, starved: bool) -> None:
        with self._changed:
            del self._running[""]
            self._running.update({task.id: task.fence for task in tasks})
            self._starved = starved
            self._changed.notify_all()
        for task in tasks:
            self._handed.put(task)

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, timeout=_TROUBLE_S)
            self._signalled = True

    # -- the workers

    def _work(self, run_one: RunOne) -> None:
        while task := self._handed.get():
            following: Task | None = task
            while following is not None:
                following = self._run(run_one, following)

    def _run(self, run_one: RunOne, task: Task) -> Task | None:
        following: Task | None = None
        try:
            following = run_one(task)
        except Exception:  # noqa: BLE001 - a worker outlives whatever the database raises
            # the lease runs out and the task is claimed again
            _LOG.exception("Task %s of order %s could not be finished", task.id, task.order_id)
        if following is not None and self._stopping:
            self._give_back(following)
            following = None
        self._moved_on(task, following)
        return following

    def _give_back(self, task: Task) -> None:
        with self._database.write() as tx:
            self._ledger.give_back(tx, task)

    def _moved_on(self, task: Task, following: Task | None) -> None:
        with self._changed:
            self._running.pop(task.id, None)
            if following is not None:
                self._running[following.id] = following.fence
            elif self._starved:
                self._signalled = True
            self._changed.notify_all()
