"""The sources of truth of one server: tokens by reference, one run at a time each, and pushing now and then.

Tokens are read when they are used, never stored, and only ever sent to the source's own URL.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from activation.credentials import CredentialError, Credentials
from inventory.sources import Patience, PushReport, RestSource, Source, connect, push, run_import
from inventory.sources.errors import SourceBusy
from inventory.sources.register import get, keep_report, sources
from store import Database, to_text
from store.errors import TurnupError

EVERY_S = 60.0
IMPORT_WAIT_S = 50.0
_BUSY_WAIT_S = 5.0
_STOP_S = 15.0
_LONGEST_TOKEN = 512
# a round that nobody waits for gives up soon: it is tried again in a minute
_IN_BACKGROUND = Patience(attempts=2, backoff_s=0.5, longest_wait_s=2.0, read_s=10.0)
Json = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass
class _Import:
    """An import under way, or how it ended."""

    done: threading.Event = field(default_factory=threading.Event)
    report: Json | None = None
    error: TurnupError | None = None


class Exchange:
    """Imports from and pushes to the registered sources.

    Args:
        database: where pools and allocations are.
        credentials: from a reference to a token.
        imported: what to do when an import may have brought devices.

    """

    def __init__(
        self, database: Database, credentials: Credentials, imported: Callable[[], None]
    ) -> None:
        self._database = database
        self._credentials = credentials
        self._imported = imported
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._imports: dict[str, _Import] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sources", daemon=True)

    def start(self) -> None:
        """Begin to push once a minute."""
        self._thread.start()

    def stop(self) -> None:
        """End; a source that does not answer is not waited for long: what was not written waits for the next start."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_S)

    # -- on demand ------------------------------------------------------------------------------------

    def start_import(self, name: str, wait_s: float = IMPORT_WAIT_S) -> Json | None:
        """Import, or join the import under way; return its report, None while it goes on after `wait_s` seconds.

        Raises SourceNotFound, CredentialError, and what `run_import` raises.
        """
        with self._guard:
            job = self._imports.get(name)
            if job is None or job.done.is_set():
                port = self._port(self._source(name), None)
                job = self._imports[name] = _Import()
                run = threading.Thread(target=self._import, args=(name, port, job), daemon=True)
                run.start()
        if not job.done.wait(wait_s):
            return None
        if job.error is not None:
            raise job.error
        return job.report

    def importing(self, name: str) -> bool:
        """Say whether an import is under way."""
        job = self._imports.get(name)
        return job is not None and not job.done.is_set()

    def push(self, name: str) -> PushReport:
        """Write what is due. Raises SourceNotFound, CredentialError, SourceBusy (SOURCE_BUSY: an import runs)."""
        source = self._source(name)
        with self._alone(name, _BUSY_WAIT_S):
            return self._push(source, None)

    # -- runs -----------------------------------------------------------------------------------------

    def _import(self, name: str, port: RestSource, job: _Import) -> None:
        try:
            with self._alone(name, None):
                job.report = run_import(self._database, name, port).body()
            self._imported()
        except TurnupError as error:
            job.error = error
            self._keep_failure(name, error)
        except Exception as error:
            log.exception("the import from %s failed", name)
            job.error = TurnupError(f"The import failed: {type(error).__name__}; see the log.")
        finally:
            port.close()
            job.done.set()

    def _keep_failure(self, name: str, error: TurnupError) -> None:
        ended = to_text(self._database.clock.now())
        failed = {"code": error.code, "message": error.message}
        with self._database.write() as tx:
            keep_report(tx, name, {"source": name, "ended": ended, "failed": failed})

    def _push(self, source: Source, patience: Patience | None) -> PushReport:
        port = self._port(source, patience)
        try:
            return push(self._database, source, port, stopping=self._stopping.is_set)
        finally:
            port.close()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                self.round()
            except Exception:
                log.exception("pushing to the sources failed; the next round tries again")

    def round(self) -> None:
        """Push to all sources once; one that cannot be reached does not keep the others."""
        with self._database.read() as rx:
            known = sources(rx)
        for source in known:
            try:
                with self._alone(source.name, 0):
                    report = self._push(source, _IN_BACKGROUND)
            except SourceBusy:
                continue
            except TurnupError as error:
                log.warning("source %s: %s: %s", source.name, error.code, error.message)
                continue
            if report.stopped:
                log.warning("source %s: %s", source.name, report.stopped)

    @contextmanager
    def _alone(self, name: str, wait_s: float | None) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        if not lock.acquire(timeout=-1 if wait_s is None else wait_s):
            raise SourceBusy(
                f"An import or a push of source {name} is under way; wait for it, then try again.",
                details={"source": name},
            )
        try:
            yield
        finally:
            lock.release()

    def _source(self, name: str) -> Source:
        with self._database.read() as rx:
            return get(rx, name)

    def _port(self, source: Source, patience: Patience | None) -> RestSource:
        token = self._credentials.resolve(source.token_ref).reveal().strip()
        # a reference to some other file would send its content to the source's URL
        if not (token.isascii() and token.isprintable() and 0 < len(token) <= _LONGEST_TOKEN):
            raise CredentialError(
                f"credential {source.token_ref} holds no token (one line of printable characters); write it there"
            )
        if any(character.isspace() for character in token):
            raise CredentialError(f"credential {source.token_ref} holds more than a token")
        return connect(source, token, patience)
