"""What-if, trace, impact and qualification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from com.service import Com
from inventory.impact import LIMIT, MOST, Page
from inventory.impact import impact as impact_of
from rom.service import Rom
from som.service import Som
from store import Database
from store.errors import InvalidInput
from tmf.models.product_ordering import ProductOrderCreate
from tmf.models.resource_ordering import ResourceOrderCreate
from tmf.models.service_ordering import ServiceOrderCreate
from tmf.web import validate
from turnup.http.instances import At, Offset
from turnup.http.moments import instant
from turnup.trace import Tracer

Json = dict[str, Any]
_ORDERS: dict[str, type[BaseModel]] = {
    "productOrder": ProductOrderCreate,
    "serviceOrder": ServiceOrderCreate,
    "resourceOrder": ResourceOrderCreate,
}


@dataclass(frozen=True, slots=True)
class Layers:
    """The three layers of this server."""

    com: Com
    som: Som
    rom: Rom


def router(database: Database, layers: Layers, tracer: Tracer) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/turnup/v1", tags=["insight"])
    simulate = {
        "productOrder": layers.com.simulate,
        "serviceOrder": layers.som.simulate,
        "resourceOrder": layers.rom.simulate,
    }

    @api.post("/simulations")
    def simulation(body: Json) -> Json:
        named = [name for name in simulate if name in body]
        if len(named) != 1 or not isinstance(body[named[0]], dict):
            raise InvalidInput(f"Give one order under one of {', '.join(simulate)}.")
        validate(_ORDERS[named[0]], body[named[0]])
        return simulate[named[0]](body[named[0]])

    @api.get("/qualification")
    def qualification(place: str) -> Json:
        return layers.rom.qualify(place, {})

    @api.get("/trace/{order_id}")
    def trace(order_id: str) -> Json:
        return tracer.trace(order_id)

    @api.get("/impact")
    def impact(
        node: str | None = None,
        resource: str | None = None,
        pool: str | None = None,
        party: str | None = None,
        at: At = None,
        offset: Offset = 0,
        limit: Annotated[int, Query(ge=1, le=MOST)] = LIMIT,
    ) -> Json:
        asked = {"node": node, "resource": resource, "pool": pool, "party": party}
        with database.read() as rx:
            return impact_of(rx, **asked, at=instant(at), page=Page(offset, limit))

    return api
