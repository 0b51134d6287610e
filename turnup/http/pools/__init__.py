"""Pools and allocations: `/turnup/v1/pools…`, `/allocations`, `/allocationSets`, `/kinds`, `/poolExport`, `/poolImport` (contract)."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from store import Database
from turnup.http.pools import exchange, reading, reshaping, shaping, taking
from turnup.http.pools.exchange import OTHER_TYPES
from turnup.http.strict import known_parameters

__all__ = ["OTHER_TYPES", "PREFIX", "router"]

PREFIX = "/turnup/v1/pools/"


def router(database: Database) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/turnup/v1", tags=["pools"], dependencies=[Depends(known_parameters)])
    # taking first: it is asked for a thousand times as often, and addresses are compared one after the other
    taking.add_to(api, database)
    shaping.add_to(api, database)
    reshaping.add_to(api, database)
    reading.add_to(api, database)
    exchange.add_to(api, database)
    return api
