"""Pools and allocations out and in again: as JSON, or as a sheet (CSV)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response

from inventory.documents import transfer
from store import Database
from tmf.errors import InvalidBody
from tmf.web import TmfResponse, media_type
from turnup.http.pools.reading import Asked
from turnup.http.writing import written

Json = dict[str, Any]
IMPORT = "/poolImport"
CSV = "text/csv"
OTHER_TYPES: Mapping[str, frozenset[str]] = {f"/turnup/v1{IMPORT}": frozenset({CSV})}
_DOCUMENT = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object"}},
            CSV: {"schema": {"type": "string"}},
        },
    }
}


def add_to(api: APIRouter, database: Database) -> None:
    """Add the routes."""

    @api.get("/poolExport")
    def export(
        format: Literal["json", "csv"] = "json",  # noqa: A002
        kind: Asked = None,
        scope: Asked = None,
        domain: Asked = None,
        pool: Asked = None,
        allocations: bool = True,
    ) -> Response:
        with database.read() as rx:
            found = transfer.export_pools(
                rx, kind=kind, scope=scope, domain=domain, pool=pool, allocations=allocations
            )
        if format == "json":
            return TmfResponse(found)
        named = {"Content-Disposition": 'attachment; filename="pools.csv"'}
        return Response(transfer.to_csv(found), media_type=CSV, headers=named)

    @api.post(IMPORT, openapi_extra=_DOCUMENT)
    def import_pools(
        sent: Annotated[Any, Depends(_sent)], conflicts: Literal["refuse", "skip"] = "refuse"
    ) -> Json:
        document = transfer.from_csv(sent) if isinstance(sent, bytes) else sent
        report = written(
            database, lambda tx: transfer.import_pools(tx, document, conflicts=conflicts)
        )
        return report.body()


async def _sent(request: Request) -> Any:
    """Return a sheet as its bytes, a document as it was read. Raises InvalidBody when nothing was sent."""
    if media_type(request.scope["headers"]) == CSV:
        return await request.body()
    document = getattr(request.state, "json", None)
    if document is None:
        raise InvalidBody("The body is empty; send what an export returned.")
    return document
