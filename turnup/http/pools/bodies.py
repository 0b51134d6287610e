"""Pools, allocations and what was done to them, as JSON (contract)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from inventory.allocation.lookup import Holding
from inventory.allocator import Allocation
from inventory.cause import Cause
from inventory.counting.usage import Band, Pool, Span
from inventory.journal import PoolEvent
from inventory.values.kind import Kind
from inventory.values.kinds import render
from store import to_text

Json = dict[str, Any]


def pool_body(pool: Pool) -> Json:
    """Return a pool as lists show it; null is what it does not have."""
    return {
        "id": pool.id,
        "kind": pool.kind,
        "scope": pool.scope,
        "first": pool.first,
        "last": pool.last,
        "firstText": _text(pool, pool.first),
        "lastText": _text(pool, pool.last),
        **pool.params,
        "domain": pool.domain,
        "parent": pool.parent,
        "quarantineSeconds": pool.quarantine_seconds,
        "reuse": pool.reuse,
        "stripes": pool.stripes,
        "draining": pool.draining,
        "pressure": pool.pressure
        and {"until": to_text(pool.pressure.until), "reason": pool.pressure.reason},
        "created": _moment(pool.created),
        "capacity": pool.capacity,
        "allocated": pool.allocated,
        "reserved": pool.reserved,
        "quarantined": pool.quarantined,
        "free": pool.free,
        "utilisation": _utilisation(pool),
    }


def pool_details(pool: Pool) -> Json:
    """Return a pool with its bands and what it excludes."""
    return {
        **pool_body(pool),
        "bands": [_band(pool, band) for band in pool.bands],
        "exclusions": [_span(pool, span) for span in pool.exclusions],
    }


def allocation_body(allocation: Allocation) -> Json:
    """Return a value just taken."""
    body = {
        "value": allocation.value,
        "text": allocation.text,
        "owner": allocation.owner,
        "state": allocation.state,
    }
    return body | ({"expiresAt": to_text(allocation.expires_at)} if allocation.expires_at else {})


def holding_body(found: Holding) -> Json:
    """Return a value and who holds it; what it has not is left out."""
    body: Json = {
        "pool": found.pool.id,
        "kind": found.pool.kind,
        "scope": found.pool.scope,
        "domain": found.pool.domain,
        "value": found.value,
        "text": found.text,
        "state": found.state,
        "band": found.band,
        "owner": found.owner,
        "subject": found.subject,
        "resource": found.resource,
        "line": found.line,
        "users": list(found.users) or None,
        "since": _moment(found.since),
        "until": _moment(found.until),
        "expiresAt": _moment(found.expires_at),
        "restsUntil": _moment(found.rests_until),
        "order": _cause(found.cause),
        "endedBy": _cause(found.ended_by),
        "reason": dict(found.reason) if found.reason else None,
    }
    return {name: value for name, value in body.items() if value is not None}


def event_body(event: PoolEvent) -> Json:
    """Return one entry of a pool's journal."""
    return {"at": to_text(event.at), "what": event.what, "details": dict(event.details)}


def kind_body(kind: Kind, *, own: bool) -> Json:
    """Return a kind in the words of its declaration."""
    return {"name": kind.name, "own": own, **kind.document}


def allocations_body(taken: Iterable[Allocation]) -> Json:
    """Return the answer of an allocation."""
    return {"allocations": [allocation_body(one) for one in taken]}


def _band(pool: Pool, band: Band) -> Json:
    spans = [_span(pool, span) for span in band.spans]
    return {"name": band.name, "ranges": spans, "capacity": band.capacity, "free": band.free}


def _span(pool: Pool, span: Span) -> Json:
    first, last = span
    return {
        "first": first,
        "last": last,
        "firstText": _text(pool, first),
        "lastText": _text(pool, last),
    }


def _text(pool: Pool, value: int) -> str | None:
    """Return a value as people write it; None of a pool without values."""
    return render(pool.kind, pool.params, value) if pool.first <= pool.last else None


def _utilisation(pool: Pool) -> float:
    used = pool.allocated + pool.reserved
    return round(100 * used / pool.capacity, 1) if pool.capacity else 100.0


def _cause(cause: Cause) -> Json | None:
    if cause.order_id is None:
        return None
    return {"id": cause.order_id, "item": cause.item_id, "layer": cause.layer}


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else to_text(moment)
