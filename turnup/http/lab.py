"""Faults and plugs of the running lab (only when this server runs a lab)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from lab import api as lab
from lab.errors import LabError
from store import TurnupError

Json = dict[str, Any]
_MISSING = frozenset({"LAB_NOT_FOUND", "NODE_UNKNOWN"})
_WRONG = frozenset({"FAULT_UNKNOWN", "FAULT_PARAMETER", "NODE_NOT_SIMULATED", "NODE_NOT_PLUGGABLE"})


class LabRefused(TurnupError):
    """The lab refused; code and message are its own."""

    code = "LAB_REFUSED"
    status = 409
    reason = "The lab refused"

    def __init__(self, error: LabError) -> None:
        super().__init__(error.message)
        status = 404 if error.code in _MISSING else 400 if error.code in _WRONG else self.status
        self.__dict__.update(code=error.code, status=status)


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
        with _refusals():
            return list(lab.faults(name, state_dir))

    @api.post("/faults", status_code=201)
    def arm(body: FaultBody) -> Json:
        parameters = dict(body.model_extra or {})
        with _refusals():
            lab.fault(name, body.node, body.fault, parameters, state_dir=state_dir)
        return body.model_dump()

    @api.delete("/faults", status_code=204)
    def clear(node: str | None = None) -> Response:
        with _refusals():
            lab.clear_faults(name, node, state_dir=state_dir)
        return Response(status_code=204)

    @api.post("/plugs/{node}")
    def plug(node: str, place: str | None = None) -> Json:
        with _refusals():
            return dict(lab.plug(name, node, place=place, state_dir=state_dir))

    @api.delete("/plugs/{node}", status_code=204)
    def unplug(node: str) -> Response:
        with _refusals():
            lab.unplug(name, node, state_dir=state_dir)
        return Response(status_code=204)

    return api


@contextmanager
def _refusals() -> Iterator[None]:
    """Let the lab's refusals leave as ours do, in the Error body."""
    try:
        yield
    except LabError as error:
        raise LabRefused(error) from None
