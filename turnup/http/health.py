"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy import text

from inventory.utilisation import fullest
from turnup.application import Application

FULL_PERCENT, MOST_POOLS = 80.0, 100
"""Pools are shown from so full on, the fullest first: a series for each of 64,000 pools would drown a monitor."""


def router(application: Application) -> APIRouter:
    """Return the routes."""
    api = APIRouter(tags=["health"])

    @api.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/readyz")
    def ready() -> dict[str, str]:
        with application.database.read() as rx:
            rx.execute(text("SELECT 1"))
        return {"status": "ready", "environment": application.settings.environment}

    @api.get("/metrics")
    def metrics() -> Response:
        return Response(_metrics(application), media_type="text/plain; version=0.0.4")

    return api


def _metrics(application: Application) -> str:
    """Return counts in Prometheus' text format."""
    lines = ["# TYPE turnup_orders gauge"]
    with application.database.read() as rx:
        for layer, state, count in application.ledger.counts(rx):
            lines.append(f'turnup_orders{{layer="{layer}",state="{state}"}} {count}')
        lines.append("# TYPE turnup_fallouts_open gauge")
        lines.append(f"turnup_fallouts_open {len(application.ledger.fallouts(rx))}")
        lines.append("# TYPE turnup_pool_utilisation_percent gauge")
        for one in fullest(rx, FULL_PERCENT, MOST_POOLS):
            shown = f'{{pool="{_label(one.pool)}"}} {round(one.utilisation, 1)}'
            lines.append(f"turnup_pool_utilisation_percent{shown}")
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    """Escape a label's value as the text format wants it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
