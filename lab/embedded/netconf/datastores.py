"""Running, candidate and startup of one device, with locks and the confirmed commit (RFC 6241).

No I/O and no awaits: a call either does all it says or raises RpcError and does nothing. `session`
is the id of the session that asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import is_
from typing import Protocol

from lab.embedded.netconf.data import EMPTY, Branch
from lab.embedded.netconf.rpcerror import Errors, RpcError, denied, in_use, invalid
from lab.embedded.netconf.schema import Schema
from lab.embedded.netconf.validate import Index, Validator

RUNNING, CANDIDATE, STARTUP = "running", "candidate", "startup"
DATASTORES = (RUNNING, CANDIDATE, STARTUP)


class Timer(Protocol):
    """Something that will happen unless it is cancelled."""

    def cancel(self) -> None:
        """Make sure that it does not happen."""


StartTimer = Callable[[float, Callable[[], None]], Timer]
"""(seconds, what to do then)"""


@dataclass(frozen=True, slots=True)
class Confirm:
    """`<confirmed/>` of a commit: seconds until it reverts, and a name to outlive its session by."""

    timeout: float
    persist: str | None


@dataclass(frozen=True, slots=True)
class Pending:
    """A confirmed commit that waits: what to go back to, who may end it, when it ends by itself."""

    backup: Branch
    session: int
    persist: str | None
    timer: Timer


class Datastores:
    """The three datastores of one device."""

    def __init__(
        self,
        schema: Schema,
        *,
        start_timer: StartTimer,
        on_running: Callable[[Branch], None],
        on_startup: Callable[[Branch], None],
    ) -> None:
        self._schema = schema
        self._validator = Validator(schema)
        self._index: Index | None = None
        self._start_timer = start_timer
        self._on_running = on_running
        self._on_startup = on_startup
        self._locks: dict[str, int] = {}
        self._pending: Pending | None = None
        self._checked: tuple[Branch, Branch] | None = None
        self.running = EMPTY
        self.candidate = EMPTY
        self.startup = EMPTY

    def boot(self, startup: Branch) -> None:
        """Start from `startup`, which is valid; locks, candidate and a pending commit are gone."""
        self.power_off()
        self.startup = self.candidate = startup
        self._activate(startup)

    def power_off(self) -> None:
        """Forget everything; timers stop."""
        if self._pending:
            self._pending.timer.cancel()
        self._pending = None
        self._locks.clear()
        self._index = None
        self.running = self.candidate = EMPTY

    @property
    def pending(self) -> Pending | None:
        """Return the confirmed commit that waits to be confirmed."""
        return self._pending

    @property
    def index(self) -> Index:
        """Return the index of running, made when first needed: most devices of a big lab only stand there."""
        if self._index is None:
            self._index = Index()
            self._validator.reindex(self._index, EMPTY, self.running)
        return self._index

    def get(self, datastore: str) -> Branch:
        """Return the tree of a datastore."""
        trees = {RUNNING: self.running, CANDIDATE: self.candidate, STARTUP: self.startup}
        return trees[datastore]

    # locks

    def lock(self, session: int, datastore: str) -> None:
        """Give `session` the lock (RFC 6241 §7.5); raises RpcError lock-denied."""
        if datastore in self._locks:
            raise denied(self._locks[datastore])
        if datastore == CANDIDATE and self.candidate is not self.running:
            raise RpcError(
                "lock-denied",
                "the candidate has changes that are neither committed nor discarded",
                info={"session-id": "0"},
                kind="protocol",
            )
        if datastore == RUNNING and self._pending and self._pending.session != session:
            raise denied(self._pending.session)
        self._locks[datastore] = session

    def unlock(self, session: int, datastore: str) -> None:
        """Take the lock back; unlocking the candidate discards its changes (§8.3.5.2)."""
        if self._locks.get(datastore) != session:
            raise RpcError(
                "operation-failed",
                f"session {session} does not hold the lock on {datastore}",
                kind="protocol",
            )
        del self._locks[datastore]
        if datastore == CANDIDATE:
            self.candidate = self.running

    def check_free(self, session: int, *datastores: str) -> None:
        """Raise RpcError in-use when another session holds the lock on one of them."""
        for datastore in datastores:
            holder = self._locks.get(datastore, session)
            if holder != session:
                raise in_use(f"{datastore} is locked by session {holder}")

    # candidate and startup

    def stage(self, session: int, tree: Branch) -> None:
        """Make `tree` the candidate."""
        self.check_free(session, CANDIDATE)
        self.candidate = self.running if tree == self.running else tree

    def save(self, session: int, tree: Branch) -> None:
        """Make `tree` the startup configuration.

        Not while running waits to be confirmed: a reboot must bring back what was before (§8.4.1).
        """
        self.check_free(session, STARTUP)
        if self._pending and tree is self.running:
            raise in_use("running is not confirmed yet; confirm or cancel the commit first")
        self._check(tree)
        self.startup = tree
        self._on_startup(tree)

    def validate(self, tree: Branch) -> None:
        """Raise Errors with everything that is wrong in `tree`."""
        self._check(tree)

    # commit

    def check_commit(self, session: int, persist_id: str | None) -> None:
        """Raise RpcError when `session` may not commit now (before anything slow is done)."""
        self.check_free(session, RUNNING, CANDIDATE)
        self._check_owner(session, persist_id)

    def commit(self, session: int, persist_id: str | None, confirm: Confirm | None) -> None:
        """Make the candidate running (§8.3.4, §8.4.5); with `confirm` until further notice.

        Raises:
            RpcError: in-use, invalid-value. Errors: the candidate is not valid. A pending commit
            is as it was then, its timer included.
        """
        self.check_commit(session, persist_id)
        self._check(self.candidate)
        before = self._pending.backup if self._pending else self.running
        self._activate(self.candidate)
        if self._pending:
            self._pending.timer.cancel()
            self._pending = None
        if confirm:
            timer = self._start_timer(confirm.timeout, self._revert)
            self._pending = Pending(before, session, confirm.persist, timer)

    def cancel(self, session: int, persist_id: str | None) -> None:
        """Undo the pending commit (§8.4.4.1)."""
        if self._pending is None and persist_id is None:
            raise RpcError("operation-failed", "no confirmed commit is pending", kind="protocol")
        self._check_owner(session, persist_id)
        self._revert()

    def end_session(self, session: int) -> None:
        """Release the locks of a session that is gone, and undo its commit if that had no name."""
        pending = self._pending
        if pending and pending.session == session and pending.persist is None:
            self._revert()
        for datastore in [name for name, holder in self._locks.items() if holder == session]:
            self.unlock(session, datastore)

    def _check_owner(self, session: int, persist_id: str | None) -> None:
        pending = self._pending
        if persist_id is not None and (pending is None or pending.persist != persist_id):
            raise invalid(
                f"no confirmed commit of the name {persist_id!r} is pending",
                **{"bad-element": "persist-id"},
            )
        if pending is None or persist_id is not None:
            return
        if pending.persist is not None:
            raise in_use("a confirmed commit is pending: its persist-id must be given")
        if pending.session != session:
            raise in_use(f"a confirmed commit of session {pending.session} is pending")

    def _revert(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        pending.timer.cancel()
        if self.candidate is self.running:
            self.candidate = pending.backup
        self._activate(pending.backup)

    def _activate(self, tree: Branch) -> None:
        if self._index is not None:
            self._validator.reindex(self._index, self.running, tree)
        self.running = tree
        self._on_running(tree)

    def _check(self, tree: Branch) -> None:
        if tree is self.running or self._known(tree):
            return
        errors = self._validator.check(self.running, self.index, tree)
        if errors:
            raise Errors(errors)
        self._checked = (self.running, tree)

    def _known(self, tree: Branch) -> bool:
        """Say whether this very step was the last one checked: validate, then commit."""
        return self._checked is not None and all(map(is_, self._checked, (self.running, tree)))
