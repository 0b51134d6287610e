"""The second half of every batch, entered in order or after a crash: check, confirm and settle, or undo.

Everything here may be entered again at any point: confirming twice, cancelling twice and undoing what is undone
already are harmless, and what a device has is always decided by reading it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from activation import journal, outcome
from activation.compare import not_read_back
from activation.drivers.base import DriverError, Mode
from activation.errors import ChangeInterrupted, ReadBackFailed
from activation.journal import (
    ABORTED,
    CONFIRMED,
    CONFIRMING,
    MAY_BE_ACTIVE,
    REVERTED,
    REVERTING,
    UNKNOWN,
    Json,
    Record,
)
from activation.model import ChangeOutcome, DevicePlan
from activation.phases import BatchSettings, Phases, failures
from store import Database, Tx

LONGEST_PAUSE_S = 2.0
GRACE_S = 5.0
"""A device's timer starts a little after ours."""


class OnSettled(Protocol):
    """Told of every change that was settled, in the same transaction."""

    def __call__(self, tx: Tx, outcome: ChangeOutcome, /) -> None:
        """Keep what follows from it."""
        ...


class Keeper(Protocol):
    """Keeps the intended state."""

    def keep(self, tx: Tx, record: Record) -> None:
        """Keep what a batch made of the intended state."""
        ...

    def keep_shared(self, tx: Tx, record: Record, devices: Collection[str]) -> None:
        """Keep the shared objects that an undone batch left on devices, without users: they are swept."""
        ...


class Stopping(Exception):
    """The process ends; the batch stays as the journal says and is taken up again later."""


class Patience:
    """Tries until a time is over; ends early when the process stops."""

    def __init__(self, database: Database, stopping: threading.Event, pause_s: float) -> None:
        self._clock = database.clock
        self._stopping = stopping
        self._pause_s = pause_s

    def until(self, seconds: float, step: Callable[[], bool]) -> bool:
        """Call `step` until it returns True; False when `seconds` are over.

        Raises:
            Stopping: the process ends.
        """
        end = self._clock.monotonic() + seconds
        pause = self._pause_s
        while not step():
            if self._clock.monotonic() + pause > end:
                return False
            if self._stopping.wait(pause):
                raise Stopping
            pause = min(pause * 2, LONGEST_PAUSE_S)
        return True


class Recovery:
    """Brings a batch that may be active on devices to one side."""

    def __init__(
        self,
        database: Database,
        phases: Phases,
        settings: BatchSettings,
        patience: Patience,
        keeper: Keeper,
        on_settled: OnSettled | None,
    ) -> None:
        self._database = database
        self._phases = phases
        self._settings = settings
        self._patience = patience
        self._keeper = keeper
        self._on_settled = on_settled

    def recover(self, record: Record) -> ChangeOutcome | None:
        """Take up a batch where the journal says it stands; None when nothing is left of it: begin anew."""
        why = record.cause or _interrupted()
        match record.state:
            case journal.PLANNED:
                self.abort(record, why)
                return None
            case journal.REVERTING:
                result = self.undo(record, why)
            case _:
                result = self.check(record, why)
        return None if result.transient else result

    def check(self, record: Record, why: Json | None) -> ChangeOutcome:
        """Read back; go on to confirm when every device shows the change, else undo.

        `why`: the cause if it is not there; None when nothing speaks against it.
        """
        wrong, unread = self._read_back(record)
        if not wrong and not unread:
            return self.confirm(record)
        if unread:
            return self.undo(record, outcome.cause_of(unread))
        return self.undo(record, why or _not_read_back(wrong))

    def confirm(self, record: Record) -> ChangeOutcome:
        """Past the point of decision: confirm until every device says so, then settle."""
        states = {plan.device: CONFIRMING for plan in record.live}
        record = self._enter(record, CONFIRMING, states)
        gone: set[str] = set()
        errors: dict[str, DriverError] = {}
        pending = {plan.device: plan for plan in record.of_mode(Mode.CONFIRMED)}

        def step() -> bool:
            results = self._phases.confirm(record.id, list(pending.values()))
            errors.clear()
            errors.update(failures(results))
            for name in results.keys() - errors.keys():
                del pending[name]
                gone.update(() if results[name] else {name})
            return not pending

        self._patience.until(self._until_decided(record), step)
        if gone or errors:
            return self._after_doubt(record, errors)
        return self.settle(record)

    def settle(self, record: Record) -> ChangeOutcome:
        """Keep the intended state, give the devices back; the change is done."""
        trouble = self._phases.finish(record.id, record.live)
        details = {"warnings": [error.message for error in trouble.values()]} if trouble else {}
        with self._database.write() as tx:
            return self.settle_in(tx, record, details)

    def settle_in(self, tx: Tx, record: Record, details: Json) -> ChangeOutcome:
        """Settle within a transaction."""
        result = outcome.succeeded(record, details)
        self._keeper.keep(tx, record)
        states = {plan.device: CONFIRMED for plan in record.live}
        journal.enter(tx, record, CONFIRMED, states, outcome=outcome.to_json(result))
        journal.release(tx, record.id)
        if self._on_settled:
            self._on_settled(tx, result)
        return result

    def abort(self, record: Record, why: Json) -> ChangeOutcome:
        """End a batch of which nothing is active anywhere."""
        self._phases.unlock(record.id, record.live)
        states = {plan.device: ABORTED for plan in record.live}
        return self._end(record, ABORTED, states, why)

    def undo(self, record: Record, why: Json) -> ChangeOutcome:
        """Undo on every device that may have the change: mode C first, then B, then A."""
        active = record.in_state(MAY_BE_ACTIVE)
        quiet = [plan for plan in record.live if plan not in active]
        record = self._enter(record, REVERTING, {p.device: REVERTING for p in active}, cause=why)
        self._phases.unlock(record.id, quiet)
        left: dict[str, DevicePlan] = {}
        shared_left: set[str] = set()
        for mode in (Mode.IMMEDIATE, Mode.CANDIDATE, Mode.CONFIRMED):
            plans = [plan for plan in active if plan.mode == mode.value]
            left |= self._undo(plans, record, shared_left)
        states = {plan.device: UNKNOWN if plan.device in left else REVERTED for plan in active}
        states |= {plan.device: ABORTED for plan in quiet}
        return self._end(record, UNKNOWN if left else REVERTED, states, why, shared_left)

    def _undo(
        self, plans: Sequence[DevicePlan], record: Record, shared_left: set[str]
    ) -> dict[str, DevicePlan]:
        """Return what could not be undone."""
        pending = {plan.device: plan for plan in plans}
        refused: dict[str, DevicePlan] = {}

        def step() -> bool:
            for name, undone in self._phases.revert(record.id, list(pending.values())).items():
                if isinstance(undone, DriverError):
                    if not undone.transient:
                        refused[name] = pending.pop(name)
                    continue
                plan = pending.pop(name)
                refused.update({name: plan} if undone.differences else {})
                shared_left.update({name} if undone.shared_left else ())
            return not pending

        if pending:
            self._patience.until(self._settings.in_doubt_s, step)
        return pending | refused

    def _after_doubt(self, record: Record, errors: dict[str, DriverError]) -> ChangeOutcome:
        """Decide by reading what a confirm that failed or found nothing has left."""
        wrong, unread = self._read_back(record)
        undecided = set(errors) if self._may_still_revert(record) else set()
        if names := sorted({*undecided, *unread}):
            states = {p.device: UNKNOWN if p.device in names else CONFIRMED for p in record.live}
            return self._end(record, UNKNOWN, states, outcome.cause_of({**errors, **unread}))
        if not wrong:
            return self.settle(record)
        return self.undo(record, outcome.cause_of(errors) if errors else _interrupted())

    def _until_decided(self, record: Record) -> float:
        """Return seconds to the moment when no provisional commit of the batch can be pending any more."""
        if record.deadline is None:
            return self._settings.in_doubt_s
        left = (record.deadline - self._database.clock.now()).total_seconds()
        return max(left + GRACE_S, 0.0)

    def _may_still_revert(self, record: Record) -> bool:
        return record.deadline is None or self._until_decided(record) > 0

    def _read_back(self, record: Record) -> tuple[dict[str, list[Json]], dict[str, DriverError]]:
        """Return where devices do not show the change, and the devices that could not be read."""
        wrong: dict[str, list[Json]] = {}
        unread: dict[str, DriverError] = {}
        pending = {plan.device: plan for plan in record.live}

        def step() -> bool:
            results = self._phases.read(list(pending.values()))
            unread.clear()
            unread.update(failures(results))
            for name, shown in results.items():
                if not isinstance(shown, DriverError):
                    differences = not_read_back(pending.pop(name), shown)
                    wrong.update({name: [d.json() for d in differences]} if differences else {})
            return not pending or any(not error.transient for error in unread.values())

        if pending:
            self._patience.until(self._settings.check_s, step)
        return wrong, unread

    def _enter(
        self, record: Record, state: str, devices: dict[str, str], cause: Json | None = None
    ) -> Record:
        with self._database.write() as tx:
            return journal.enter(tx, record, state, devices, cause=cause)

    def _end(
        self,
        record: Record,
        state: str,
        devices: dict[str, str],
        why: Json,
        shared_left: Collection[str] = (),
    ) -> ChangeOutcome:
        with self._database.write() as tx:
            result = outcome.failed(journal.with_states(record, devices), why)
            kept = outcome.to_json(result)
            journal.enter(tx, record, state, devices, cause=why, outcome=kept)
            if shared_left:
                self._keeper.keep_shared(tx, record, shared_left)
            if state != UNKNOWN:
                journal.release(tx, record.id)
        return result


def _interrupted() -> Json:
    return outcome.cause(
        ChangeInterrupted("The change was interrupted and undone; nothing is left of it.")
    )


def _not_read_back(wrong: dict[str, list[Json]]) -> Json:
    device, differences = next(iter(wrong.items()))
    first = differences[0]
    error = ReadBackFailed(
        f"{device} accepted the change but shows {first['found']} at {first['path']}, "
        f"not {first['expected']}; everything was undone.",
        details={"differences": wrong},
    )
    return outcome.cause(error, list(wrong))
