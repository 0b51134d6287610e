"""Sources of truth: `/turnup/v1/sources…`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from inventory.sources import PushReport, Source, changes, parse_rules, register
from inventory.sources.changes import Change, State
from inventory.sources.objects import pool_ref
from inventory.values.kinds import render
from store import Database, Rx, to_text
from tmf.web import TmfResponse, validate
from turnup.exchange import IMPORT_WAIT_S, Exchange
from turnup.http.strict import known_parameters

Json = dict[str, Any]
MOST = 1000


class SourceChanges(BaseModel):
    """What can be changed of a source."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    url: str = Field(min_length=1, max_length=2000)
    token_ref: str = Field(alias="tokenRef", min_length=1, max_length=1000)
    ca_path: str | None = Field(default=None, alias="caPath", max_length=1000)
    insecure: bool = False
    rules: dict[str, Any] | None = None


class NewSource(SourceChanges):
    """A source of truth; its token is only named: `env:NAME` or `file:PATH`, read by this server."""

    name: str
    type: Literal["netbox", "nautobot"]


def router(database: Database, exchange: Exchange) -> APIRouter:
    """Return the routes."""
    api = APIRouter(
        prefix="/turnup/v1/sources", tags=["sources"], dependencies=[Depends(known_parameters)]
    )

    @api.get("")
    def list_sources() -> list[Json]:
        with database.read() as rx:
            return [_body(rx, one, exchange) for one in register.sources(rx)]

    @api.post("", status_code=201)
    def add_source(body: NewSource) -> Json:
        new = Source(
            name=body.name,
            type=body.type,
            url=body.url,
            token_ref=body.token_ref,
            ca_path=body.ca_path,
            insecure=body.insecure,
            rules=parse_rules(body.rules),
        )
        with database.write() as tx:
            return _body(tx, register.add(tx, new), exchange)

    @api.get("/{name}")
    def show_source(name: str) -> Json:
        with database.read() as rx:
            return _body(rx, register.get(rx, name), exchange)

    @api.patch("/{name}")
    def change_source(name: str, body: Json) -> Json:
        with database.write() as tx:
            known = register.get(tx, name)
            wanted = {**_changeable(known), **body}
            validate(SourceChanges, wanted)
            given = SourceChanges.model_validate(wanted)
            changed = replace(
                known,
                url=given.url,
                token_ref=given.token_ref,
                ca_path=given.ca_path,
                insecure=given.insecure,
                rules=parse_rules(given.rules),
            )
            return _body(tx, register.change(tx, changed), exchange)

    @api.delete("/{name}", status_code=204)
    def remove_source(name: str) -> Response:
        with database.write() as tx:
            register.remove(tx, name)
        return Response(status_code=204)

    _runs(api, exchange)
    _changes(api, database)
    return api


def _runs(api: APIRouter, exchange: Exchange) -> None:
    @api.post("/{name}/import")
    def run_import(
        name: str, wait: Annotated[float, Query(ge=0, le=IMPORT_WAIT_S)] = IMPORT_WAIT_S
    ) -> Response:
        report = exchange.start_import(name, wait)
        if report is None:
            return TmfResponse({"source": name, "state": "running"}, 202)
        return TmfResponse({**report, "state": "done"}, 200)

    @api.post("/{name}/push")
    def run_push(name: str) -> Json:
        return _pushed(exchange.push(name))


def _changes(api: APIRouter, database: Database) -> None:
    @api.get("/{name}/changes")
    def list_changes(
        name: str,
        state: State | None = None,
        offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    ) -> Response:
        with database.read() as rx:
            register.get(rx, name)
            found = changes.changes(rx, name, state, offset, limit)
            shown = [_change(rx, one) for one in found]
            counts = changes.count(rx, name)
        total = sum(counts.values()) if state is None else counts[state]
        return TmfResponse(shown, headers={"X-Total-Count": str(total)})

    @api.post("/{name}/changes/{change}/retry")
    def retry(name: str, change: int) -> Json:
        with database.write() as tx:
            register.get(tx, name)
            return _change(tx, changes.retry(tx, name, change))


def _changeable(known: Source) -> Json:
    return {
        "url": known.url,
        "tokenRef": known.token_ref,
        "caPath": known.ca_path,
        "insecure": known.insecure,
        "rules": known.rules.model_dump(mode="json", by_alias=True),
    }


def _body(rx: Rx, source: Source, exchange: Exchange) -> Json:
    return {
        "name": source.name,
        "type": source.type,
        **_changeable(source),
        "importing": exchange.importing(source.name),
        "lastImport": source.report,
        "changes": changes.count(rx, source.name),
    }


def _pushed(report: PushReport) -> Json:
    return {
        "source": report.source,
        "created": report.created,
        "updated": report.updated,
        "deleted": report.deleted,
        "same": report.same,
        "parked": report.parked,
        "later": report.later,
        "stopped": report.stopped,
        "changes": report.left,
    }


def _change(rx: Rx, change: Change) -> Json:
    pool = pool_ref(rx, change.pool)
    return {
        "id": change.id,
        "pool": pool.id,
        "value": render(pool.kind, pool.params, change.value),
        "owner": change.owner,
        "wanted": change.wanted,
        "object": change.object,
        "state": change.state,
        "attempts": change.attempts,
        "due": to_text(change.due) if change.state == "waiting" else None,
        "code": change.code,
        "message": change.message,
        "changed": to_text(change.changed),
    }
