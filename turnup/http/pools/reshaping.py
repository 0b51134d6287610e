"""Changing pools while they are used: grow, shrink, split, move, drain, pressure, policy, removal, new owners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response

from inventory import reshape
from inventory.counting import usage
from inventory.counting.usage import Pool
from store import Database, Tx
from store.errors import InvalidInput
from turnup.http.pools.bodies import allocations_body, pool_details
from turnup.http.pools.words import (
    ChangedPool,
    Grown,
    Moved,
    OwnerName,
    Pressed,
    Reassigned,
    Shrunk,
    Split,
    given,
)
from turnup.http.strict import Name
from turnup.http.writing import written

Json = dict[str, Any]


def add_to(api: APIRouter, database: Database) -> None:
    """Add the routes."""
    _add_shape(api, database)
    _add_holders(api, database)
    _add_policy(api, database)


def _add_shape(api: APIRouter, database: Database) -> None:
    def pool(work: Callable[[Tx], Pool]) -> Json:
        return written(database, lambda tx: pool_details(work(tx)))

    @api.post("/pools/{pool_id:path}/grow")
    def grow(pool_id: Name, body: Grown) -> Json:
        return pool(lambda tx: reshape.grow(tx, pool_id, **given(body)))

    @api.post("/pools/{pool_id:path}/shrink")
    def shrink(pool_id: Name, body: Shrunk) -> Json:
        return pool(lambda tx: reshape.shrink(tx, pool_id, **given(body)))


def _add_holders(api: APIRouter, database: Database) -> None:
    def two_pools(work: Callable[[Tx], tuple[Pool, Pool]]) -> Json:
        return written(database, lambda tx: {"pools": [pool_details(one) for one in work(tx)]})

    @api.post("/pools/{pool_id:path}/split")
    def split(pool_id: Name, body: Split) -> Json:
        return two_pools(lambda tx: reshape.split(tx, pool_id, at=body.at, scope=body.scope))

    @api.post("/pools/{pool_id:path}/move")
    def move(pool_id: Name, body: Moved) -> Json:
        return two_pools(lambda tx: reshape.move(tx, pool_id, **given(body)))

    @api.post("/pools/{pool_id:path}/allocations/{owner:path}/reassign")
    def reassign(pool_id: Name, owner: OwnerName, body: Reassigned) -> Json:
        return written(
            database,
            lambda tx: allocations_body(reshape.reassign(tx, pool_id, owner, body.to)),
        )


def _add_policy(api: APIRouter, database: Database) -> None:
    def pool(work: Callable[[Tx], Pool]) -> Json:
        return written(database, lambda tx: pool_details(work(tx)))

    @api.post("/pools/{pool_id:path}/pressure")
    def declare_pressure(pool_id: Name, body: Pressed) -> Json:
        return pool(
            lambda tx: reshape.declare_pressure(
                tx, pool_id, seconds=body.seconds, reason=body.reason
            )
        )

    @api.delete("/pools/{pool_id:path}/pressure", status_code=204)
    def end_pressure(pool_id: Name) -> Response:
        pool(lambda tx: reshape.end_pressure(tx, pool_id))
        return Response(status_code=204)

    @api.patch("/pools/{pool_id:path}")
    def change(pool_id: Name, body: ChangedPool) -> Json:
        words = given(body)
        if not words:
            raise InvalidInput("Nothing is said: give quarantineSeconds, reuse or draining.")
        return pool(lambda tx: _change(tx, pool_id, **words))

    # last: any address below a pool's looks like a longer id
    @api.delete("/pools/{pool_id:path}", status_code=204)
    def remove(pool_id: Name) -> Response:
        written(database, lambda tx: reshape.remove(tx, pool_id))
        return Response(status_code=204)


def _change(tx: Tx, pool_id: str, *, draining: bool | None = None, **policy: Any) -> Pool:
    if draining is not None:
        reshape.drain(tx, pool_id, draining)
    if policy:
        reshape.change(tx, pool_id, **policy)
    return usage.pool(tx, pool_id)
