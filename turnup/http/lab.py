"""Faults and plugs of the running lab (only when this server runs a lab)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from lab import api as lab

Json = dict[str, Any]


class FaultBody(BaseModel):
    """A fault to arm on a node, with its parameters beside it (`ms`, `rpc`, `when`, `path`, `times`)."""

    model_config = ConfigDict(extra="allow")

    node: str
    fault: str


def router(name: str, state_dir: Path) -> APIRouter:
    """Return the routes for the lab of that name."""
    api = APIRouter(prefix="/turnup/v1/lab", tags=["lab"])

    @api.get("/faults")
    def list_faults() -> list[Json]:
        return list(lab.faults(name, state_dir))

    @api.post("/faults", status_code=201)
    def arm(body: FaultBody) -> Json:
        lab.fault(name, body.node, body.fault, dict(body.model_extra or {}), state_dir=state_dir)
        return body.model_dump()

    @api.delete("/faults", status_code=204)
    def clear(node: str | None = None) -> Response:
        lab.clear_faults(name, node, state_dir=state_dir)
        return Response(status_code=204)

    @api.post("/plugs/{node}")
    def plug(node: str, place: str | None = None) -> Json:
        return dict(lab.plug(name, node, place=place, state_dir=state_dir))

    @api.delete("/plugs/{node}", status_code=204)
    def unplug(node: str) -> Response:
        lab.unplug(name, node, state_dir=state_dir)
        return Response(status_code=204)

    return api
