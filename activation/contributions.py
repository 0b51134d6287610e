"""Who says what in a fragment: one contribution per role, from one resource instance, made by one order item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from activation import history
from activation.model import ContributionChange
from activation.tables import contribution as table
from inventory.temporal import valid_at
from store import Rx, Tx


@dataclass(frozen=True, slots=True, order=True)
class FragmentKey:
    """Which fragment."""

    device: str
    feature: str
    line: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one resource says in the role it plays."""

    role: str
    source: str
    item: str
    values: Mapping[str, Any]


Contributions = Mapping[str, Contribution]
"""By role."""


def current(
    rx: Rx, keys: Sequence[FragmentKey], at: datetime | None = None
) -> dict[FragmentKey, dict[str, Contribution]]:
    """Return the contributions of fragments, now or as they were at an instant; all keys are in the answer."""
    found: dict[FragmentKey, dict[str, Contribution]] = {key: {} for key in keys}
    statement = select(table).where(
        valid_at(table.c, at),
        table.c.device.in_({key.device for key in keys}),
        table.c.line.in_({key.line for key in keys}),
    )
    for row in rx.rows(statement):
        key = FragmentKey(row.device, row.feature, row.line)
        if key in found:
            found[key][row.role] = _contribution(row)
    return found


def changed(
    before: Contributions, changes: Iterable[ContributionChange]
) -> dict[str, Contribution]:
    """Return the contributions after these changes.

    A withdrawal by a source whose place another one has taken is void: on a port swap the new resource
    speaks before the old one falls silent.
    """
    after = dict(before)
    for change in changes:
        if change.values is not None:
            after[change.role] = Contribution(
                change.role, change.source, change.item, dict(change.values)
            )
        elif change.role in after and after[change.role].source == change.source:
            del after[change.role]
    return after


def values(contributions: Contributions) -> dict[str, Mapping[str, Any]]:
    """Return what templates see."""
    return {role: contribution.values for role, contribution in contributions.items()}


def write(
    tx: Tx, key: FragmentKey, before: Contributions, after: Contributions, order_id: str | None
) -> None:
    """Keep what changed, with history."""
    place = {"device": key.device, "feature": key.feature, "line": key.line}
    for role in dict.fromkeys((*before, *after)):
        if before.get(role) == after.get(role):
            continue
        if role in before:
            history.close(tx, table, **place, role=role)
        if role in after:
            new = after[role]
            said = {"role": role, "source": new.source, "values": dict(new.values)}
            history.open_row(tx, table, order_id, new.item, {**place, **said})


def _contribution(row: Row[Any]) -> Contribution:
    return Contribution(row.role, row.source, row.item, row.values)
