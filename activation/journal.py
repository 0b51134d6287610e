"""What is kept of a batch: state per device, journal, leases, outcome. Every function is part of the caller's transaction.

State per (batch, device): planned → locked → staged → validated → provisional → confirmed, or committed (mode B),
applying (mode C); reverting → reverted; unknown. What does not outlive a session (locked, staged, validated) is
written along with the next state that does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from activation.leaves import from_json, to_json
from activation.model import ChangePlan, ChangeRequest, ContributionChange, DevicePlan
from activation.tables import batch, batch_device, batch_journal, device_lease
from store import Rx, Tx, new_id

Json = dict[str, Any]
PLANNED = "planned"
PROVISIONAL = "provisional"
COMMITTED = "committed"
APPLYING = "applying"
VALIDATED = "validated"
CONFIRMING = "confirming"
CONFIRMED = "confirmed"
REVERTING = "reverting"
REVERTED = "reverted"
ABORTED = "aborted"
UNKNOWN = "unknown"
NO_CHANGE = "noChange"
ENDED = frozenset({CONFIRMED, REVERTED, ABORTED})
MAY_BE_ACTIVE = frozenset(
    {PROVISIONAL, COMMITTED, APPLYING, CONFIRMING, CONFIRMED, REVERTING, UNKNOWN}
)
"""Device states in which the device may have the change."""


@dataclass(frozen=True, slots=True)
class Record:
    """One batch as it is kept."""

    id: str
    state: str
    request: ChangeRequest
    plans: tuple[DevicePlan, ...]
    states: Mapping[str, str]
    cause: Json | None = None
    outcome: Json | None = None
    deadline: datetime | None = None

    @property
    def live(self) -> tuple[DevicePlan, ...]:
        """Return the plans that send something."""
        return tuple(plan for plan in self.plans if plan.edits)

    @property
    def plan(self) -> ChangePlan:
        """Return the change's plan."""
        return ChangePlan(self.request, self.plans)

    def of_mode(self, mode: str) -> tuple[DevicePlan, ...]:
        """Return the plans of one mode that send something."""
        return tuple(plan for plan in self.live if plan.mode == mode)

    def in_state(self, states: frozenset[str]) -> tuple[DevicePlan, ...]:
        """Return the plans whose device is in one of these states."""
        return tuple(plan for plan in self.live if self.states[plan.device] in states)


def latest(rx: Rx, change_id: str) -> Record | None:
    """Return the last batch of a change."""
    statement = (
        select(batch)
        .where(batch.c.change_id == change_id)
        .order_by(batch.c.created.desc(), batch.c.id.desc())
        .limit(1)
    )
    row = rx.row(statement)
    return _record(rx, row) if row else None


def load(rx: Rx, batch_id: str) -> Record | None:
    """Return a batch."""
    row = rx.row(select(batch).where(batch.c.id == batch_id))
    return _record(rx, row) if row else None


def create(tx: Tx, plan: ChangePlan, batch_id: str) -> Record:
    """Keep a new batch with its plan."""
    states = {p.device: PLANNED if p.edits else NO_CHANGE for p in plan.devices}
    request = plan.request
    tx.execute(
        insert(batch).values(
            id=batch_id,
            change_id=request.id,
            order_id=request.order_id,
            kind=request.kind,
            state=PLANNED,
            request=request_json(request),
            created=tx.now,
            changed=tx.now,
        )
    )
    for position, device in enumerate(plan.devices):
        tx.execute(insert(batch_device).values(_device_row(batch_id, position, device, states)))
    record = Record(batch_id, PLANNED, request, plan.devices, states)
    write(tx, record, PLANNED)
    return record


def new_batch_id() -> str:
    """Return a new batch id; it is also the name of the batch's commits on devices."""
    return new_id("b")


def enter(
    tx: Tx,
    record: Record,
    state: str,
    devices: Mapping[str, str],
    *,
    deadline: datetime | None = None,
    cause: Json | None = None,
    outcome: Json | None = None,
    detail: Json | None = None,
) -> Record:
    """Bring a batch and some of its devices into new states; what is None stays."""
    new = replace(
        record,
        state=state,
        states={**record.states, **devices},
        deadline=deadline or record.deadline,
        cause=cause if cause is not None else record.cause,
        outcome=outcome if outcome is not None else record.outcome,
    )
    tx.execute(
        update(batch)
        .where(batch.c.id == record.id)
        .values(
            state=state,
            changed=tx.now,
            deadline=new.deadline,
            cause=new.cause,
            outcome=new.outcome,
        )
    )
    for name, device_state in devices.items():
        tx.execute(_device(record.id, name).values(state=device_state))
    write(tx, new, state, devices, detail)
    return new


def with_states(record: Record, devices: Mapping[str, str]) -> Record:
    """Return a batch with some of its devices in new states."""
    return replace(record, states={**record.states, **devices})


def with_fingerprints(record: Record, found: Mapping[str, str]) -> Record:
    """Return a batch with what the devices' touched paths hashed to."""
    plans = tuple(
        replace(plan, fingerprint=found.get(plan.device, plan.fingerprint)) for plan in record.plans
    )
    return replace(record, plans=plans)


def with_outcome(record: Record, outcome: Json) -> Record:
    """Return a batch with its outcome."""
    return replace(record, outcome=outcome)


def keep_fingerprints(tx: Tx, record: Record) -> None:
    """Keep the fingerprints of a batch's plans."""
    for plan in record.live:
        tx.execute(_device(record.id, plan.device).values(fingerprint=plan.fingerprint))


def write(
    tx: Tx,
    record: Record,
    phase: str,
    devices: Mapping[str, str] | None = None,
    detail: Json | None = None,
) -> None:
    """Write one line of the journal."""
    last = tx.scalar(
        select(func.max(batch_journal.c.seq)).where(batch_journal.c.batch_id == record.id)
    )
    row = {
        "batch_id": record.id,
        "seq": (last or 0) + 1,
        "at": tx.now,
        "phase": phase,
        "devices": dict(record.states if devices is None else devices),
        "detail": detail,
    }
    tx.execute(insert(batch_journal).values(row))


def lease(tx: Tx, devices: Sequence[str], batch_id: str) -> str | None:
    """Take the leases of devices, in sorted order; return the batch that holds one of them, None when taken."""
    add = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    for device in sorted(devices):
        row = {"device": device, "batch_id": batch_id, "since": tx.now}
        tx.execute(add(device_lease).values(row).on_conflict_do_nothing())
    held = select(device_lease.c.batch_id).where(
        device_lease.c.device.in_(devices), device_lease.c.batch_id != batch_id
    )
    holder: str | None = tx.scalar(held)
    return holder


def release(tx: Tx, batch_id: str) -> None:
    """Give all leases of a batch back."""
    tx.execute(delete(device_lease).where(device_lease.c.batch_id == batch_id))


def request_json(request: ChangeRequest) -> Json:
    """Return a request as JSON."""
    return {**asdict(request), "contributions": [asdict(c) for c in request.contributions]}


def request_of(data: Json) -> ChangeRequest:
    """Read what `request_json` wrote."""
    said = tuple(ContributionChange(**c) for c in data["contributions"])
    return ChangeRequest(data["id"], data["order_id"], data["kind"], said)


def find(
    rx: Rx,
    *,
    device: str | None = None,
    order_id: str | None = None,
    state: str | None = None,
    offset: int = 0,
    limit: int = 100,
) -> list[Json]:
    """Return batches, the newest first: {id, state, change, order, created, changed, devices}."""
    statement = select(batch).order_by(batch.c.created.desc(), batch.c.id.desc())
    if device:
        named = select(batch_device.c.batch_id).where(batch_device.c.device == device)
        statement = statement.where(batch.c.id.in_(named))
    if order_id:
        statement = statement.where(batch.c.order_id == order_id)
    if state:
        statement = statement.where(batch.c.state == state)
    rows = rx.rows(statement.offset(offset).limit(limit))
    return [_summary(row) | {"devices": device_rows(rx, row.id)} for row in rows]


def device_rows(rx: Rx, batch_id: str) -> list[Json]:
    """Return {device, platform, mode, state} of a batch, in order."""
    return [
        {"device": r.device, "platform": r.platform, "mode": r.mode, "state": r.state}
        for r in rx.rows(_devices(batch_id))
    ]


def lines(rx: Rx, batch_id: str) -> list[Json]:
    """Return a batch's journal: {time, phase, devices, detail}."""
    statement = (
        select(batch_journal)
        .where(batch_journal.c.batch_id == batch_id)
        .order_by(batch_journal.c.seq)
    )
    return [
        {"time": r.at, "phase": r.phase, "devices": r.devices, "detail": r.detail}
        for r in rx.rows(statement)
    ]


def summary(rx: Rx, batch_id: str) -> Json | None:
    """Return a batch's {id, state, change, order, kind, created, changed, outcome}."""
    row = rx.row(select(batch).where(batch.c.id == batch_id))
    return _summary(row) | {"outcome": row.outcome} if row else None


def _summary(row: Row[Any]) -> Json:
    return {
        "id": row.id,
        "state": row.state,
        "change": row.change_id,
        "order": row.order_id,
        "kind": row.kind,
        "created": row.created,
        "changed": row.changed,
    }


def _record(rx: Rx, row: Row[Any]) -> Record:
    rows = rx.rows(_devices(row.id))
    return Record(
        id=row.id,
        state=row.state,
        request=request_of(row.request),
        plans=tuple(_plan(r) for r in rows),
        states={r.device: r.state for r in rows},
        cause=row.cause,
        outcome=row.outcome,
        deadline=row.deadline,
    )


def _devices(batch_id: str) -> Any:
    return (
        select(batch_device)
        .where(batch_device.c.batch_id == batch_id)
        .order_by(batch_device.c.position)
    )


def _device(batch_id: str, name: str) -> Any:
    return update(batch_device).where(
        batch_device.c.batch_id == batch_id, batch_device.c.device == name
    )


def _device_row(batch_id: str, position: int, plan: DevicePlan, states: Mapping[str, str]) -> Json:
    return {
        "batch_id": batch_id,
        "device": plan.device,
        "position": position,
        "platform": plan.platform,
        "mode": plan.mode,
        "state": states[plan.device],
        "edits": list(plan.edits),
        "inverse": list(plan.inverse),
        "before": to_json(plan.before),
        "after": to_json(plan.after),
        "ensured": sorted(list(path) for path in plan.ensured),
        "fingerprint": plan.fingerprint,
    }


def _plan(row: Row[Any]) -> DevicePlan:
    return DevicePlan(
        device=row.device,
        platform=row.platform,
        mode=row.mode,
        edits=tuple(row.edits),
        inverse=tuple(row.inverse),
        before=from_json(row.before),
        after=from_json(row.after),
        ensured=frozenset(tuple(path) for path in row.ensured),
        fingerprint=row.fingerprint,
    )
