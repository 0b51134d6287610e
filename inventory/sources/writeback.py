"""Write allocations back to the source their pool came from: what should stand there is made to stand there.

Idempotent: an object is looked for by its value before it is created, so a process killed between the source's 201
and our commit finds its own object again. Others' objects are never touched: the change is parked with
SOURCE_CONFLICT.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

from sqlalchemy import select

from inventory.sources import changes
from inventory.sources.changes import Change
from inventory.sources.errors import (
    SourceConflict,
    SourceDenied,
    SourceRefused,
    SourceUnreachable,
)
from inventory.sources.holding import Use, hold
from inventory.sources.marks import is_ours, mark
from inventory.sources.objects import PoolRef, Tally, pool_ref
from inventory.sources.port import Content, Found, SourceOfTruth, Target
from inventory.sources.register import Source
from inventory.tables import source_object
from inventory.values.kinds import render
from store import Database, Rx
from store.errors import TurnupError

BUDGET_S = 45.0
_BATCH = 200
_GIVE_UP_ROUND = 3
"""So many failures one after the other, and the round ends: the source is down, or the token may not write."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 3600.0
_MESSAGE = 500


@dataclass
class PushReport:
    """What a round did; `stopped`: why it ended before its time."""

    source: str
    created: int = 0
    updated: int = 0
    deleted: int = 0
    same: int = 0
    parked: int = 0
    later: int = 0
    stopped: str | None = None
    left: dict[changes.State, int] = field(default_factory=dict)

    @property
    def sent(self) -> int:
        """Return how many values changed there."""
        return self.created + self.updated + self.deleted


def push(
    database: Database,
    source: Source,
    port: SourceOfTruth,
    *,
    budget_s: float = BUDGET_S,
    stopping: Callable[[], bool] = lambda: False,
) -> PushReport:
    """Write what is due, for at most `budget_s` seconds or until `stopping`.

    A source that cannot be reached ends the round, it is no error: what is left waits.
    """
    report = PushReport(source.name)
    if source.rules.write_back.enabled:
        refresh(database, source)
        end = time.monotonic() + budget_s
        _Round(database, source, port, report).run(lambda: stopping() or time.monotonic() >= end)
    with database.read() as rx:
        report.left = dict(changes.count(rx, source.name))
    return report


def refresh(database: Database, source: Source) -> int:
    """Bring what should stand there up to date with what is held here; return how many values changed."""
    with database.read() as rx:
        places = changes.differing(rx, source)
    total = 0
    for n in range(0, len(places), _BATCH):
        with database.write() as tx:
            total += changes.bring(tx, source, places[n : n + _BATCH])
    return total


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pool's values stand in the source."""

    pool: PoolRef
    collection: str
    domain_id: str | None
    group_id: str | None
    length: int | None


class _Round:
    def __init__(
        self,
        database: Database,
        source: Source,
        port: SourceOfTruth,
        report: PushReport,
    ) -> None:
        self._database, self._source, self._port = database, source, port
        self._report = report
        self._places: dict[int, _Place] = {}
        self._failed = 0

    def run(self, is_over: Callable[[], bool]) -> None:
        while batch := self._due():
            for change in batch:
                if is_over():
                    self._report.stopped = "time is up"
                    return
                self._one(change)
                if self._report.stopped:
                    return

    def _due(self) -> list[Change]:
        with self._database.read() as rx:
            return changes.due(rx, self._source.name, _BATCH)

    def _one(self, change: Change) -> None:
        try:
            object_ = self._write(change)
        except (SourceUnreachable, SourceDenied) as error:
            self._later(change, error)
        except TurnupError as error:
            self._failed = 0
            self._report.parked += 1
            with self._database.write() as tx:
                changes.park(tx, change, error.code, error.message[:_MESSAGE])
        else:
            self._failed = 0
            with self._database.write() as tx:
                changes.done(tx, change, object_)

    def _later(self, change: Change, error: SourceUnreachable | SourceDenied) -> None:
        self._failed += 1
        self._report.later += 1
        asked = error.retry_after if isinstance(error, SourceUnreachable) else None
        pause = min(_FIRST_PAUSE_S * 2**change.attempts, _LONGEST_PAUSE_S)
        with self._database.write() as tx:
            changes.later(tx, change, error.code, error.message[:_MESSAGE], asked or pause)
        if asked or self._failed >= _GIVE_UP_ROUND:
            self._report.stopped = f"{error.code}: {error.message}"

    # -- one value ----------------------------------------------------------------------------------

    def _write(self, change: Change) -> str | None:
        """Make the value stand there as wanted; return the object's id (None: nothing stands there)."""
        place = self._place(change.pool)
        target = _target(place, change.value)
        if change.status is None:
            self._withdraw(place.pool, target)
            return None
        content = Content(
            status=change.status,
            mark=mark(self._source, change.owner),
            name=self._source.rules.write_back.vlan_name.replace("{value}", str(change.value)),
        )
        mine = self._mine(target)
        if mine is not None:
            return self._update(target, mine, content)
        return self._create(target, content)

    def _mine(self, target: Target) -> Found | None:
        """Return our object at a target. Raises SourceConflict when others use it."""
        found = self._port.find(target)
        mine, others = self._apart(found)
        if others:
            raise _conflict(self._source, target, others)
        return mine[0] if mine else None

    def _apart(self, found: Sequence[Found]) -> tuple[list[Found], list[Found]]:
        mine = sorted((f for f in found if is_ours(self._source, f.mark)), key=lambda f: f.id)
        return mine, [f for f in found if not is_ours(self._source, f.mark)]

    def _create(self, target: Target, content: Content) -> str:
        try:
            made = self._port.create(target, content)
        except SourceRefused:
            # somebody was faster: theirs is a conflict, ours (of a process that died) is what we want
            mine = self._mine(target)
            if mine is None:
                raise
            return self._update(target, mine, content)
        self._report.created += 1
        return made

    def _update(self, target: Target, mine: Found, content: Content) -> str:
        if (mine.status, mine.mark) == (content.status, content.mark):
            self._report.same += 1
        else:
            self._port.update(target, mine.id, content)
            self._report.updated += 1
        return mine.id

    def _withdraw(self, pool: PoolRef, target: Target) -> None:
        mine, others = self._apart(self._port.find(target))
        if others:
            # it was a conflict as long as somebody held it here; now it is theirs, before the next gets it
            uses = [Use(target.collection, one.id, one.text, one.holder) for one in others]
            with self._database.write() as tx:
                hold(tx, self._source, pool, uses, Tally())
        for one in mine:
            if self._port.assigned(target, one.id):
                raise SourceConflict(
                    f"{target.text} was tied to an interface in {self._source.name} after we wrote it; untie it there, "
                    "then retry.",
                    details={"object": one.id},
                )
            self._report.deleted += self._port.delete(target, one.id)

    def _place(self, number: int) -> _Place:
        if number not in self._places:
            with self._database.read() as rx:
                self._places[number] = _place(rx, self._source.name, number)
        return self._places[number]


def _place(rx: Rx, source: str, number: int) -> _Place:
    query = select(source_object.c.details).where(
        source_object.c.source == source,
        source_object.c.role == "pool",
        source_object.c.pool == number,
    )
    details = rx.scalar(query) or {}
    pool = pool_ref(rx, number)
    group = details.get("groupId")
    return _Place(
        pool=pool,
        collection="vlan" if group else ("prefix" if pool.prefix_length else "address"),
        domain_id=details.get("domainId"),
        group_id=group,
        length=details.get("length"),
    )


def _target(place: _Place, value: int) -> Target:
    text = render(place.pool.kind, place.pool.params, value)
    match place.collection:
        case "vlan":
            return Target("vlan", text, group_id=place.group_id)
        case "prefix":
            return Target("prefix", str(ip_network(text)), place.domain_id)
        case _:
            return Target("address", f"{text}/{place.length}", place.domain_id)


def _conflict(source: Source, target: Target, others: Sequence[Found]) -> SourceConflict:
    first = others[0]
    said = f"{first.holder!r}" if first.holder else "somebody"
    return SourceConflict(
        f"{target.text} is used in {source.name} by {said} (object {first.id}, {first.text}); "
        "nothing was changed there. Release it on one side, then retry.",
        details={"objects": [one.id for one in others]},
    )
