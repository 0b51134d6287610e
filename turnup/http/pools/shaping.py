"""Making pools, and declaring kinds of them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from inventory import pools
from inventory.values import kinds
from store import Database, Tx
from tmf.web import TmfResponse
from turnup.http.pools.bodies import kind_body, pool_details
from turnup.http.pools.words import NewPool, given
from turnup.http.writing import written

Json = dict[str, Any]


def add_to(api: APIRouter, database: Database) -> None:
    """Add the routes."""

    @api.post("/pools", status_code=201)
    def create_pool(body: NewPool) -> Json:
        words = given(body)
        kind, scope = words.pop("kind"), words.pop("scope")
        return written(
            database, lambda tx: pool_details(pools.create_pool(tx, kind, scope, **words))
        )

    @api.post("/kinds", status_code=201)
    def declare_kind(body: Json) -> Response:
        def work(tx: Tx) -> tuple[Json, bool]:
            before = kinds.load(tx)
            declared = kinds.declare(tx, body)
            return kind_body(declared, own=declared.name in kinds.own_kinds()), (
                declared.name in before
            )

        shown, known = written(database, work)
        return TmfResponse(shown, 200 if known else 201)
