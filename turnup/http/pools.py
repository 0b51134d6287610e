"""Pools and allocations: `/turnup/v1/pools…` (contract)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from inventory import allocator, pools
from inventory.allocator import Allocation
from inventory.pools import Pool
from store import Database, to_text
from store.errors import InvalidInput
from tmf.web import TmfResponse

Json = dict[str, Any]


class NewPool(BaseModel):
    """A pool: either `first` and `last`, or `prefix` (with `prefixLength` for pools of prefixes), or `values`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    kind: str
    scope: str
    first: int | None = None
    last: int | None = None
    prefix: str | None = None
    prefix_length: int | None = Field(None, alias="prefixLength")
    values: list[str] | None = None
    quarantine_seconds: int | None = Field(None, alias="quarantineSeconds", ge=0)


class NewAllocation(BaseModel):
    """What to take from a pool; the same owner again gets the same values."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    owner: str = Field(min_length=1)
    value: int | str | None = None
    count: int = Field(1, ge=1, le=65536)
    ttl_seconds: int | None = Field(None, alias="ttlSeconds", ge=1)


def router(database: Database) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/turnup/v1/pools", tags=["pools"])

    @api.get("")
    def list_pools(kind: str | None = None, scope: str | None = None) -> list[Json]:
        with database.read() as rx:
            return [pool_body(pool) for pool in pools.pools(rx, kind=kind, scope=scope)]

    @api.post("", status_code=201)
    def create_pool(body: NewPool) -> Json:
        with database.write() as tx:
            made = pools.create_pool(
                tx,
                body.kind,
                body.scope,
                first=body.first,
                last=body.last,
                prefix=body.prefix,
                prefix_length=body.prefix_length,
                values=body.values,
                quarantine_seconds=body.quarantine_seconds,
            )
            return pool_body(made)

    @api.get("/{pool_id:path}/allocations")
    def list_allocations(pool_id: str) -> list[Json]:
        with database.read() as rx:
            pools.pool(rx, pool_id)
            return [allocation_body(a) for a in allocator.allocations(rx, pool=pool_id)]

    @api.post("/{pool_id:path}/allocations")
    def allocate(pool_id: str, body: NewAllocation) -> Response:
        if body.value is not None and body.count != 1:
            raise InvalidInput("Give a value or a count, not both.")
        with database.write() as tx:
            pool = pools.pool(tx, pool_id)
            known = allocator.allocations(tx, owner=body.owner, pool=pool_id)
            taken = allocator.take(
                tx,
                kind=pool.kind,
                scope=pool.scope,
                owner=body.owner,
                value=body.value,
                count=body.count,
                ttl_seconds=body.ttl_seconds,
                state="reserved" if body.ttl_seconds else "active",
            )
        shown = {"allocations": [allocation_body(a) for a in taken]}
        return TmfResponse(shown, 200 if known else 201)

    @api.post("/{pool_id:path}/allocations/{owner:path}/confirm")
    def confirm(pool_id: str, owner: str) -> Json:
        with database.write() as tx:
            pools.pool(tx, pool_id)
            allocator.confirm(tx, owner, pool=pool_id)
            found = allocator.allocations(tx, owner=owner, pool=pool_id)
            return {"allocations": [allocation_body(a) for a in found]}

    @api.delete("/{pool_id:path}/allocations/{owner:path}", status_code=204)
    def release(pool_id: str, owner: str) -> Response:
        with database.write() as tx:
            allocator.release_by_api(tx, pool_id, owner)
        return Response(status_code=204)

    @api.get("/{pool_id:path}")
    def show_pool(pool_id: str) -> Json:
        with database.read() as rx:
            return pool_body(pools.pool(rx, pool_id))

    return api


def pool_body(pool: Pool) -> Json:
    """Return a pool as JSON (contract)."""
    return {
        "id": pool.id,
        "kind": pool.kind,
        "scope": pool.scope,
        "first": pool.first,
        "last": pool.last,
        **pool.params,
        "quarantineSeconds": pool.quarantine_seconds,
        "capacity": pool.capacity,
        "allocated": pool.allocated,
        "reserved": pool.reserved,
        "quarantined": pool.quarantined,
        "free": pool.free,
    }


def allocation_body(allocation: Allocation) -> Json:
    """Return an allocation as JSON (contract)."""
    body = {
        "value": allocation.value,
        "text": allocation.text,
        "owner": allocation.owner,
        "state": allocation.state,
    }
    return body | ({"expiresAt": to_text(allocation.expires_at)} if allocation.expires_at else {})
