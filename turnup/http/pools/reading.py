"""Questions about pools and allocations, now or at a past time."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from inventory import journal
from inventory.allocation import lookup
from inventory.counting import usage
from inventory.values import kinds
from store import Database
from tmf.errors import InvalidQuery
from tmf.web import TmfResponse
from turnup.http.moments import instant
from turnup.http.pools import words
from turnup.http.pools.bodies import (
    event_body,
    holding_body,
    kind_body,
    pool_body,
    pool_details,
)
from turnup.http.pools.words import At, Limit, Offset, PoolLimit
from turnup.http.strict import Name

Json = dict[str, Any]
Asked = Annotated[str | None, Query(min_length=1, max_length=4 * words.LONGEST)]


def add_to(api: APIRouter, database: Database) -> None:
    """Add the routes."""

    @api.get("/pools")
    def list_pools(
        kind: Asked = None,
        scope: Asked = None,
        domain: Asked = None,
        at: At = None,
        offset: Offset = 0,
        limit: PoolLimit = 1_000,
    ) -> Response:
        which: Any = {"kind": kind, "scope": scope, "domain": domain, "at": instant(at)}
        with database.read() as rx:
            found = usage.pools(rx, **which, offset=offset, limit=limit)
            total = usage.count_pools(rx, **which)
        return _page([pool_body(pool) for pool in found], total)

    # an id may hold slashes (a port's does): the longer routes have to be asked first
    @api.get("/pools/{pool_id:path}/allocations")
    def list_allocations(
        pool_id: Name,
        owner: Asked = None,
        at: At = None,
        quarantined: bool = False,
        offset: Offset = 0,
        limit: Limit = 100,
    ) -> Response:
        which: Any = {"owner": owner, "at": instant(at), "quarantined": quarantined}
        with database.read() as rx:
            total = lookup.count(rx, pool_id, **which)
            found = lookup.page(rx, pool_id, **which, offset=offset, limit=limit)
        return _page([holding_body(one) for one in found], total)

    @api.get("/pools/{pool_id:path}/events")
    def list_events(pool_id: Name, offset: Offset = 0, limit: Limit = 100) -> Response:
        with database.read() as rx:
            found = journal.events(rx, pool_id)
            if not found:
                usage.pool_row(rx, pool_id)
        return _page([event_body(one) for one in found[offset : offset + limit]], len(found))

    @api.get("/pools/{pool_id:path}")
    def show_pool(pool_id: Name, at: At = None) -> Json:
        with database.read() as rx:
            return pool_details(usage.pool(rx, pool_id, instant(at)))

    @api.get("/allocations")
    def find_allocations(
        value: Asked = None,
        owner: Asked = None,
        kind: Asked = None,
        scope: Asked = None,
        at: At = None,
        offset: Offset = 0,
        limit: Limit = 100,
    ) -> Response:
        if (value is None) == (owner is None) or (owner is not None and (kind or scope)):
            raise InvalidQuery("Ask for one value=… (with kind or scope), or for one owner=….")
        paging: Any = {"at": instant(at), "offset": offset, "limit": limit}
        with database.read() as rx:
            found = (
                lookup.who(rx, value, kind=kind, scope=scope, **paging)
                if value is not None
                else lookup.held_by(rx, str(owner), **paging)
            )
            return _page([holding_body(one) for one in found.holdings], found.total)

    @api.get("/kinds")
    def list_kinds() -> list[Json]:
        with database.read() as rx:
            found = kinds.load(rx)
        own = kinds.own_kinds()
        return [kind_body(kind, own=name in own) for name, kind in sorted(found.items())]


def _page(shown: list[Json], total: int) -> TmfResponse:
    counts = {"X-Total-Count": str(total), "X-Result-Count": str(len(shown))}
    return TmfResponse(shown, headers=counts)
