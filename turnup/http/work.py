"""Work for people: fallouts (held tasks) and external tasks (deliveries, visits)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from orders.ledger import Ledger
from orders.model import Fallout, WaitInfo
from orders.wire import instant
from rom.service import Rom
from store import Database
from store.errors import InvalidInput

Json = dict[str, Any]


class Resolution(BaseModel):
    """How a fallout is resolved."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    evidence: str | None = None
    arguments: Json | None = None
    plan_hash: str | None = Field(None, alias="planHash")


def router(database: Database, ledger: Ledger, rom: Rom) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/turnup/v1", tags=["work"])

    @api.get("/fallouts")
    def list_fallouts(state: str = "open", order: str | None = None) -> list[Json]:
        with database.read() as rx:
            return [fallout_body(f) for f in ledger.fallouts(rx, state=state, order_id=order)]

    @api.get("/fallouts/{fallout_id}")
    def show_fallout(fallout_id: str) -> Json:
        with database.read() as rx:
            return fallout_body(ledger.fallout(rx, fallout_id))

    @api.post("/fallouts/{fallout_id}/retry")
    def retry(fallout_id: str, body: Resolution | None = None) -> Json:
        how = body or Resolution.model_validate({})
        with database.write() as tx:
            ledger.retry(
                tx,
                fallout_id,
                arguments=how.arguments,
                plan_hash=how.plan_hash,
                evidence=how.evidence,
            )
            return fallout_body(ledger.fallout(tx, fallout_id))

    @api.post("/fallouts/{fallout_id}/skip")
    def skip(fallout_id: str, body: Resolution) -> Json:
        with database.write() as tx:
            ledger.skip(tx, fallout_id, _evidence(body))
            return fallout_body(ledger.fallout(tx, fallout_id))

    @api.post("/fallouts/{fallout_id}/complete")
    def complete(fallout_id: str, body: Resolution) -> Json:
        with database.write() as tx:
            ledger.complete(tx, fallout_id, _evidence(body), body.arguments)
            return fallout_body(ledger.fallout(tx, fallout_id))

    @api.get("/externalTasks")
    def list_external(state: str = "waiting") -> list[Json]:
        if state != "waiting":
            raise InvalidInput(f"state={state}: only waiting external tasks are listed.")
        with database.read() as rx:
            return [external_body(w) for w in ledger.waits(rx, external_only=True)]

    @api.post("/externalTasks/{wait_id}/complete")
    def complete_external(wait_id: str, body: Json) -> Json:
        return rom.complete_external(wait_id, body)

    return api


def fallout_body(fallout: Fallout) -> Json:
    """Return a fallout as JSON."""
    body: Json = {
        "id": fallout.id,
        "code": fallout.code,
        "explanation": fallout.explanation,
        "remedy": fallout.remedy,
        "details": fallout.details,
        "state": fallout.state,
        "layer": fallout.layer,
        "order": fallout.order_id,
        "items": list(fallout.items),
        "task": fallout.task,
        "created": instant(fallout.created),
        "documentation": f"/docs/errors/{fallout.code}",
    }
    if fallout.closed:
        body["closed"] = instant(fallout.closed)
        body["resolution"] = fallout.resolution
        body["evidence"] = fallout.evidence
    return body


def external_body(wait: WaitInfo) -> Json:
    """Return an external task as JSON (contract)."""
    assert wait.external is not None
    return {
        "id": wait.id,
        "kind": wait.external.kind,
        "order": wait.order_id,
        "item": wait.external.item,
        "subject": wait.external.subject,
        "due": instant(wait.due) if wait.due else None,
        "example": wait.external.example,
    }


def _evidence(body: Resolution) -> str:
    if not body.evidence:
        raise InvalidInput("Say what was done and how it is known: give evidence.")
    return body.evidence
