"""What has to be done now and then, off the hot path: expired reservations, free ranges, old events."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from inventory import allocator
from store import Database
from tmf.events import purge

EVERY_S = 60.0
AT_ONCE = 1_000
TIDY_STEPS = 20
KEEP_EVENTS = timedelta(days=30)
log = logging.getLogger(__name__)


class Maintenance:
    """A thread that tidies up once a minute; correctness never depends on it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place: allocator.Place | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)

    def start(self) -> None:
        """Begin; the first round is after one pause."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round under way."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def round(self) -> None:
        """Do everything once, in small transactions: others want to write, too."""
        while self._expired() == AT_ONCE:
            pass
        for _ in range(TIDY_STEPS):
            with self._database.write() as tx:
                _, self._place = allocator.tidy_some(tx, self._place)
            if self._place is None:
                break
        with self._database.write() as tx:
            purge(tx, tx.now - KEEP_EVENTS)

    def _expired(self) -> int:
        with self._database.write() as tx:
            return allocator.expire(tx, limit=AT_ONCE)

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                self.round()
            except Exception:
                log.exception("a maintenance round failed; the next one tries again")
