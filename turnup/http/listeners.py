"""Where other servers of ours post the events of the orders that we sent them (hub callbacks)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from com.service import Com
from som.service import Som
from store import Database
from store.errors import InvalidInput

Json = dict[str, Any]


def router(database: Database, com: Com, som: Som) -> APIRouter:
    """Return the routes; an event may come more than once, handling it again changes nothing."""
    api = APIRouter(prefix="/turnup/v1/listeners", tags=["events"])

    @api.post("/652", status_code=204)
    def resource_event(body: Json) -> Response:
        with database.write() as tx:
            som.on_resource_event(tx, _checked(body, "resourceOrder"))
        return Response(status_code=204)

    @api.post("/641", status_code=204)
    def service_event(body: Json) -> Response:
        with database.write() as tx:
            com.on_service_event(tx, _checked(body, "serviceOrder"))
        return Response(status_code=204)

    return api


def _checked(body: Json, key: str) -> Json:
    match body.get("event"):
        case dict() as event:
            match event.get(key):
                case None | {"id": str(), "state": str()}:
                    return body
    raise InvalidInput(f"This is no event of a {key}: event.{key} needs id and state.")
