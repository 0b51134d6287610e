"""Configuration sessions and the one commit timer of a box.

A session is a copy of the running configuration at its start; its commit replaces the running
configuration whole (EOS without merge-on-commit: what others committed meanwhile is lost).
`commit timer` keeps a checkpoint; expiry and abort go back to it, a second commit keeps the new.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from lab.embedded.eos.config import Configuration
from lab.embedded.eos.errors import CannotRun

State = Literal["pending", "pendingCommitTimer", "completed"]
MAX_PENDING: Final = 5
MAX_COMPLETED: Final = 1


class Handle(Protocol):
    """What a clock gives for a planned call."""

    def cancel(self) -> None:
        """Forget the call."""


class Clock(Protocol):
    """An event loop, or a test's clock. Seconds, monotonic."""

    def time(self) -> float:
        """Now."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Handle:
        """Plan a call."""


@dataclass
class Session:
    """One session. `completed_at` is Unix time, `commit_by` on the clock's time."""

    name: str
    candidate: Configuration
    user: str
    state: State = "pending"
    completed_at: float | None = None
    commit_by: float | None = None


@dataclass
class _Timer:
    session: Session
    checkpoint: Configuration
    handle: Handle


class Sessions:
    """All sessions of a box, and its running configuration, which only they and `replace` change."""

    def __init__(self, running: Configuration, clock: Clock) -> None:
        self.running = running
        self.all: dict[str, Session] = {}
        self._clock = clock
        self._timer: _Timer | None = None

    @property
    def timed(self) -> Session | None:
        """The session whose commit waits for confirmation."""
        return self._timer.session if self._timer else None

    def enter(self, name: str, user: str) -> Session:
        """Open a session or come back to it.

        Raises:
            CannotRun: it is completed, or too many are open.
        """
        session = self.all.get(name)
        if session is None:
            return self._open(name, user)
        if session.state == "completed":
            raise CannotRun(f"Cannot enter session {name} (already completed)")
        return session

    def get(self, name: str) -> Session:
        """CannotRun: no session of that name is open."""
        session = self.all.get(name)
        if session is None or session.state == "completed":
            raise CannotRun(f"Session {name} does not exist or is already completed")
        return session

    def commit(self, name: str) -> None:
        """Commit for good; for the session of the timer: confirm it."""
        session = self.get(name)
        if session is self.timed:
            self._disarm()
        else:
            self._refuse_while_timed()
            self.running = session.candidate.copy()
        self._complete(session)

    def commit_with_timer(self, name: str, seconds: float) -> None:
        """Commit until `seconds` have gone by; again for the same session: a new deadline."""
        session = self.get(name)
        checkpoint = self.running
        if session is self.timed:
            checkpoint = self._disarm()
        else:
            self._refuse_while_timed()
            self.running = session.candidate.copy()
        session.state = "pendingCommitTimer"
        session.completed_at = time.time()
        session.commit_by = self._clock.time() + seconds
        self._timer = _Timer(session, checkpoint, self._clock.call_later(seconds, self._expire))

    def abort(self, name: str) -> None:
        """Forget the session; for the session of the timer: go back to the checkpoint."""
        session = self.get(name)
        if session is self.timed:
            self.running = self._disarm()
        del self.all[name]

    def replace(self, configuration: Configuration) -> None:
        """`configure replace`. CannotRun: while a commit timer runs."""
        self._refuse_while_timed()
        self.running = configuration

    def stop(self) -> None:
        """Forget sessions and timer, as a power cut does."""
        if self._timer is not None:
            self._disarm()
        self.all.clear()

    def _open(self, name: str, user: str) -> Session:
        if sum(session.state == "pending" for session in self.all.values()) >= MAX_PENDING:
            raise CannotRun(
                "Maximum number of pending sessions has been reached. "
                "Please commit or abort previous sessions before creating a new one."
            )
        self.all[name] = Session(name, self.running.copy(), user)
        return self.all[name]

    def _refuse_while_timed(self) -> None:
        if self._timer is not None:
            raise CannotRun(
                f"Cannot commit: session {self._timer.session.name} has a pending commit timer"
            )

    def _disarm(self) -> Configuration:
        assert self._timer is not None
        timer, self._timer = self._timer, None
        timer.handle.cancel()
        timer.session.commit_by = None
        return timer.checkpoint

    def _complete(self, session: Session) -> None:
        session.state, session.completed_at = "completed", time.time()
        completed = [name for name, other in self.all.items() if other.state == "completed"]
        surplus = [name for name in completed if name != session.name]
        for name in surplus[: len(completed) - MAX_COMPLETED]:
            del self.all[name]

    def _expire(self) -> None:
        if self._timer is not None:
            self.abort(self._timer.session.name)
