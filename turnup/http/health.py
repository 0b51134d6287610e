"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import time

from fastapi import APIRouter, Response
from sqlalchemy import text

from inventory.counting.runout import PoolState
from inventory.counting.utilisation import fullest
from store import Rx
from turnup.application import Application

FULL_PERCENT, MOST_POOLS = 80.0, 100
"""Pools are shown from so full on, the fullest first: a series for each of 64,000 pools would drown a monitor."""
KEPT_S = 60.0
"""How long the fullest pools are kept: to look through 64,000 costs half a second, and monitors ask every few seconds."""


class Fullest:
    """The fullest pools, looked for at most once a minute."""

    def __init__(self) -> None:
        self._found: list[PoolState] = []
        self._until = 0.0

    def pools(self, rx: Rx) -> list[PoolState]:
        """Return them."""
        if time.monotonic() >= self._until:
            self._found = fullest(rx, FULL_PERCENT, MOST_POOLS)
            self._until = time.monotonic() + KEPT_S
        return self._found


def router(application: Application) -> APIRouter:
    """Return the routes."""
    api = APIRouter(tags=["health"])
    full = Fullest()

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
        return Response(_metrics(application, full), media_type="text/plain; version=0.0.4")

    return api


def _metrics(application: Application, full: Fullest) -> str:
    """Return counts in Prometheus' text format."""
    lines = ["# TYPE turnup_orders gauge"]
    with application.database.read() as rx:
        for layer, state, count in application.ledger.counts(rx):
            lines.append(f'turnup_orders{{layer="{layer}",state="{state}"}} {count}')
        lines.append("# TYPE turnup_fallouts_open gauge")
        lines.append(f"turnup_fallouts_open {len(application.ledger.fallouts(rx))}")
        lines.append("# TYPE turnup_pool_utilisation_percent gauge")
        for one in full.pools(rx):
            shown = f'{{pool="{_label(one.pool)}"}} {round(one.utilisation, 1)}'
            lines.append(f"turnup_pool_utilisation_percent{shown}")
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    """Escape a label's value as the text format wants it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
