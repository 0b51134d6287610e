"""Whose an instance is: the parties that a product or service names (`relatedParty`), by index and with history."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from inventory.lineage.walk import Walk
from inventory.tables import stake
from inventory.temporal import halves
from store import Rx, Tx

_Stake = tuple[str, str, str | None]


def refresh(tx: Tx, instance: str, body: Mapping[str, Any]) -> None:
    """Record the parties that an instance names now."""
    now = tx.now
    query = select(stake).where(stake.c.instance == instance, stake.c.valid_to.is_(None))
    before = {(row.party, row.role, row.name): row.row for row in tx.rows(query)}
    wanted = _named(body)
    gone = [before[key] for key in before.keys() - wanted]
    if gone:
        tx.execute(update(stake).where(stake.c.row.in_(gone)).values(valid_to=now))
    rows = [
        {"instance": instance, "party": party, "role": role, "name": name, "valid_from": now}
        for party, role, name in sorted(wanted - before.keys(), key=str)
    ]
    if rows:
        tx.execute(insert(stake), rows)


def of_party(rx: Rx, party: str, at: datetime | None = None) -> set[str]:
    """Return the instances that name, or named, this party."""
    found: set[str] = set()
    for valid in halves(stake.c, at):
        query = select(stake.c.instance).where(stake.c.party == party, valid)
        found |= set(rx.execute(query).scalars())
    return found


def parties(rx: Rx, instances: Collection[str], at: datetime | None = None) -> list[dict[str, str]]:
    """Return the parties of these instances, each role once: {id, role, name?}."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for party, role, name in Walk(rx, at).stakes(instances):
        found[party, role] = {"id": party, "role": role} | ({"name": name} if name else {})
    return [found[key] for key in sorted(found)]


def _named(body: Mapping[str, Any]) -> set[_Stake]:
    """Return the parties of a body; of two names under one id and role the last stands."""
    named = {
        (str(party["id"]), str(party.get("role") or "")): party.get("name")
        for party in body.get("relatedParty") or ()
        if isinstance(party, Mapping) and party.get("id")
    }
    return {(*key, None if name is None else str(name)) for key, name in named.items()}
