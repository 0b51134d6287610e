"""The batch: one change on all its devices or on none, journaled so that any crash can be recovered.

lease and plan → lock and read (drift, plan hash) → stage and validate all → A provisional → B commit → C edit by
edit → read back → confirm A → settle. The journal is written, for all devices in one commit, before every call whose
effect outlives the session.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any, NoReturn

from activation import fingerprint, journal, outcome
from activation.compare import Difference, drift
from activation.drivers.base import DriverError, Mode, SessionDropped
from activation.errors import DeviceBusy, DeviceDrift, PlanChanged
from activation.journal import APPLYING, COMMITTED, CONFIRMED, ENDED, PROVISIONAL, VALIDATED, Record
from activation.leaves import Leaves
from activation.model import ChangeOutcome, ChangePlan, ChangeRequest
from activation.phases import BatchSettings, Phases, failures
from activation.recovery import Patience, Recovery
from store import Database, Tx
from store.errors import TurnupError

Json = dict[str, Any]
Plan = Callable[[Tx, ChangeRequest], ChangePlan]
Present = Callable[[ChangePlan], list[Json]]


class Runner:
    """Runs changes; `run` may be called again with the same request at any time, also after a crash."""

    def __init__(
        self,
        database: Database,
        phases: Phases,
        recovery: Recovery,
        patience: Patience,
        settings: BatchSettings,
        plan: Plan,
        present: Present,
    ) -> None:
        self._database = database
        self._phases = phases
        self._recovery = recovery
        self._patience = patience
        self._settings = settings
        self._plan = plan
        self._present = present
        self._turns = Turns()
        self._queue = Turns()

    def run(self, request: ChangeRequest, expect: str | None) -> ChangeOutcome:
        """Return how the change ended; what an earlier call began is brought to its end first.

        Raises:
            Stopping: the process ends in the middle.
        """
        with self._turns.of(request.id):
            found = self._resumed(request)
            return found if found is not None else self._anew(request, expect)

    def _anew(self, request: ChangeRequest, expect: str | None) -> ChangeOutcome:
        devices = sorted({c.device for c in request.contributions})
        with self._queue.all_of(devices, self._settings.lease_wait_s) as free:
            try:
                record = self._begin(request, devices) if free else _busy("of this server", devices)
            except TurnupError as error:
                return outcome.refused(request, error)
            if record.outcome is not None:
                return outcome.from_json(record.outcome)
            return self._carry_out(record, expect)

    def _resumed(self, request: ChangeRequest) -> ChangeOutcome | None:
        with self._database.read() as rx:
            record = journal.latest(rx, request.id)
        if record is None:
            return None
        if record.state not in ENDED:
            return self._recovery.recover(record)
        if record.state == CONFIRMED and record.request == request and record.outcome:
            return outcome.from_json(record.outcome)
        return None

    def _begin(self, request: ChangeRequest, devices: Sequence[str]) -> Record:
        """Take the devices, plan under their leases, and keep the batch.

        Raises:
            DeviceBusy: other batches hold a device for too long. TurnupError: it cannot be planned.
        """
        begun: list[Record] = []
        holder = ""

        def step() -> bool:
            nonlocal holder
            try:
                begun.append(self._try(request, devices))
            except _Held as held:
                holder = held.batch_id
                self._free(holder)
            return bool(begun)

        if self._patience.until(self._settings.lease_wait_s, step):
            return begun[0]
        return _busy(holder, devices)

    def _try(self, request: ChangeRequest, devices: Sequence[str]) -> Record:
        batch_id = journal.new_batch_id()
        with self._database.write() as tx:
            if holder := journal.lease(tx, devices, batch_id):
                raise _Held(holder)
            record = journal.create(tx, self._plan(tx, request), batch_id)
            if not record.live:
                done = self._recovery.settle_in(tx, record, {})
                return journal.with_outcome(record, outcome.to_json(done))
        return record

    def _free(self, batch_id: str) -> None:
        """Recover the batch that holds a device when nobody is at it: its process died and its order may not return."""
        with self._database.read() as rx:
            record = journal.load(rx, batch_id)
        if record is None or record.state in ENDED:
            return
        with self._turns.if_free(record.request.id) as free:
            if free:
                self._recover_orphan(batch_id)

    def _recover_orphan(self, batch_id: str) -> None:
        with self._database.read() as rx:
            record = journal.load(rx, batch_id)
        if record is not None and record.state not in {*ENDED, journal.UNKNOWN}:
            self._recovery.recover(record)

    def _carry_out(self, record: Record, expect: str | None) -> ChangeOutcome:
        shown = self._phases.lock_and_read(record.id, record.live)
        if errors := failures(shown):
            return self._recovery.abort(record, outcome.cause_of(errors))
        read = {name: leaves for name, leaves in shown.items() if isinstance(leaves, dict)}
        record = self._fingerprinted(record, read)
        if why := self._objection(record, read, expect):
            return self._recovery.abort(record, why)
        if errors := failures(self._phases.stage(record.id, record.live)):
            return self._recovery.abort(record, outcome.cause_of(errors))
        return self._activate(record)

    def _fingerprinted(self, record: Record, shown: dict[str, Leaves]) -> Record:
        found = {
            plan.device: fingerprint.fingerprint(plan, shown[plan.device]) for plan in record.live
        }
        return journal.with_fingerprints(record, found)

    def _objection(
        self, record: Record, shown: dict[str, Leaves], expect: str | None
    ) -> Json | None:
        """Return why the change must not be made as things stand."""
        differences = {
            plan.device: found for plan in record.live if (found := drift(plan, shown[plan.device]))
        }
        actual = fingerprint.change_hash(record.plan)
        if expect is not None and expect != actual:
            return outcome.cause(self._plan_changed(record, actual, differences))
        return outcome.cause(_drifted(differences), list(differences)) if differences else None

    def _plan_changed(
        self, record: Record, actual: str, differences: dict[str, list[Difference]]
    ) -> PlanChanged:
        return PlanChanged(
            "The plan is no longer the one that was shown; nothing was sent.",
            details={
                "changeHash": actual,
                "devices": self._present(record.plan),
                "differences": _json(differences),
            },
        )

    def _activate(self, record: Record) -> ChangeOutcome:
        doubt: dict[str, DriverError] = {}
        for mode, state in ((Mode.CONFIRMED, PROVISIONAL), (Mode.CANDIDATE, COMMITTED)):
            record, errors = self._commit(record, mode, state)
            if why := _definite(errors):
                return self._recovery.undo(record, outcome.cause_of(why))
            doubt |= errors
        for plan in record.of_mode(Mode.IMMEDIATE) if not doubt else ():
            for number, edit in enumerate(plan.edits):
                record = self._enter_applying(record, plan.device, number)
                error = self._phases.apply(plan, edit)
                if error is not None and not isinstance(error, SessionDropped):
                    return self._recovery.undo(record, outcome.cause_of({plan.device: error}))
                if error is not None:
                    return self._recovery.check(record, outcome.cause_of({plan.device: error}))
        return self._recovery.check(record, outcome.cause_of(doubt) if doubt else None)

    def _commit(
        self, record: Record, mode: Mode, state: str
    ) -> tuple[Record, dict[str, DriverError]]:
        plans = record.of_mode(mode)
        if not plans:
            return record, {}
        with self._database.write() as tx:
            states = {plan.device: VALIDATED for plan in record.live if plan not in plans}
            states = {n: s for n, s in states.items() if record.states[n] == journal.PLANNED}
            states |= {plan.device: state for plan in plans}
            deadline = tx.now + timedelta(seconds=self._settings.commit_timeout_s)
            record = journal.enter(
                tx, record, PROVISIONAL, states, deadline=record.deadline or deadline
            )
            journal.keep_fingerprints(tx, record)
        return record, failures(self._phases.commit(record.id, plans))

    def _enter_applying(self, record: Record, device: str, number: int) -> Record:
        with self._database.write() as tx:
            if number == 0:
                journal.keep_fingerprints(tx, record)
            return journal.enter(
                tx, record, PROVISIONAL, {device: APPLYING}, detail={"edit": number}
            )


class Turns:
    """One thread at a time per name (of a change, of a device)."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Wait for the turn."""
        lock = self._enlist(name)
        try:
            with lock:
                yield
        finally:
            self._delist(name)

    @contextmanager
    def all_of(self, names: Sequence[str], wait_s: float) -> Iterator[bool]:
        """Wait for the turn of several names, given in sorted order; False when it did not come in time."""
        end = time.monotonic() + wait_s
        with ExitStack() as stack:
            yield all(
                stack.enter_context(self.if_free(name, end - time.monotonic())) for name in names
            )

    @contextmanager
    def if_free(self, name: str, wait_s: float = 0.0) -> Iterator[bool]:
        """Take the turn when it comes in time; say whether it was taken."""
        lock = self._enlist(name)
        taken = lock.acquire(timeout=max(wait_s, 0.0))
        try:
            yield taken
        finally:
            if taken:
                lock.release()
            self._delist(name)

    def _enlist(self, name: str) -> threading.Lock:
        with self._guard:
            lock, users = self._locks.get(name, (threading.Lock(), 0))
            self._locks[name] = (lock, users + 1)
            return lock

    def _delist(self, name: str) -> None:
        with self._guard:
            lock, users = self._locks[name]
            if users == 1:
                del self._locks[name]
            else:
                self._locks[name] = (lock, users - 1)


def _busy(holder: str, devices: Sequence[str]) -> NoReturn:
    raise DeviceBusy(
        f"Batch {holder} holds a device of {', '.join(devices)}; nothing was sent.",
        details={"batch": holder, "devices": list(devices)},
    )


class _Held(Exception):
    """A device is leased to another batch; the transaction is rolled back."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(batch_id)
        self.batch_id = batch_id


def _definite(errors: dict[str, DriverError]) -> dict[str, DriverError]:
    """Return the errors that say that the call did not take effect."""
    return {n: e for n, e in errors.items() if not isinstance(e, SessionDropped)}


def _json(differences: dict[str, list[Difference]]) -> dict[str, list[Json]]:
    return {name: [one.json() for one in found] for name, found in differences.items()}


def _drifted(differences: dict[str, list[Difference]]) -> DeviceDrift:
    device, found = next(iter(differences.items()))
    first = found[0].json()
    return DeviceDrift(
        f"{device} is not as it is intended to be: {first['path']} is {first['found']}, expected "
        f"{first['expected']}; nothing was sent.",
        details={"differences": _json(differences)},
    )
