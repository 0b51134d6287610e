"""A simulated auto-configuration server: the north side of a TR-069 ACS.

`/acs/v1/endpoints/{serial}` says how a CPE is to be configured. An ONT that is up on its PON
informs (TR-069 §3.7.1.5): at once when it comes up or when its endpoint appears, then at every
inform interval. An ONT without endpoint is turned away.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from lab.embedded.device import NodeContext
from lab.embedded.pon import PonPlant
from lab.embedded.rest import values
from lab.embedded.rest.bodies import Field, Json, Schema
from lab.embedded.rest.collection import Collection, Kind
from lab.embedded.rest.database import Database
from lab.embedded.rest.https import Request, Response
from lab.embedded.rest.problems import json_response, not_allowed, not_found
from lab.embedded.rest.service import RestNode

PATH: Final = "/acs/v1/endpoints"
INFORM: Final = "/inform"
MODELS: Final = "HG8245H,HG8245X6"
PROFILES: Final = "residential,residential-static,business"
INTERVAL_S: Final = "300"


def build(context: NodeContext) -> RestNode:
    """The factory that the lab process calls.

    Labels: `sim-acs-models`, `sim-acs-profiles` (comma separated), `sim-inform-interval` (seconds).
    """
    labels = context.labels
    schema = _schema(
        labels.get("sim-acs-models", MODELS).split(","),
        labels.get("sim-acs-profiles", PROFILES).split(","),
    )

    def service(database: Database) -> Acs:
        collection = Collection(Kind(PATH, "serial", schema, _alone), database, context.faults)
        interval = float(labels.get("sim-inform-interval", INTERVAL_S))
        return Acs(collection, database, context.pon, interval)

    return RestNode(context, "endpoints", service)


class Acs:
    """The endpoints, and when each last informed."""

    def __init__(
        self, endpoints: Collection, database: Database, pon: PonPlant, interval_s: float
    ) -> None:
        self._endpoints, self._database, self._pon = endpoints, database, pon
        self._interval = interval_s
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        pon.watch(self._settle)

    async def answer(self, request: Request) -> Response:
        """Serve endpoints and informs."""
        serial = _inform_of(request.path)
        if serial is not None:
            return self._inform(request, serial)
        response = await self._endpoints.answer(request)
        self._settle()
        return response

    def _inform(self, request: Request, serial: str) -> Response:
        if self._database.get(serial) is None:
            raise not_found(request.path)
        if request.method not in {"GET", "HEAD"}:
            raise not_allowed(request.method, "GET")
        self._settle()
        last = self._last.get(serial)
        return json_response(HTTPStatus.OK, {"lastInform": None if last is None else _stamp(last)})

    def _settle(self) -> None:
        """Bring the informs up to now: CPEs that are up and have an endpoint inform."""
        now = time.time()
        known = set(self._database.ids())
        self._last = {serial: at for serial, at in self._last.items() if serial in known}
        talking = {serial for serial in known if self._pon.is_up(serial)}
        self._first = {serial: self._first.get(serial, now) for serial in talking}
        for serial, first in self._first.items():
            self._last[serial] = first + (now - first) // self._interval * self._interval


def _inform_of(path: str) -> str | None:
    """The serial of `…/endpoints/{serial}/inform`."""
    if not (path.startswith(f"{PATH}/") and path.endswith(INFORM)):
        return None
    serial = path.removeprefix(f"{PATH}/").removesuffix(INFORM)
    return serial if serial and "/" not in serial else None


def _stamp(moment: float) -> str:
    return (
        datetime.fromtimestamp(moment, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def _alone(body: Json, others: Mapping[str, Json]) -> None:
    """An endpoint does not depend on others."""


def _schema(models: list[str], profiles: list[str]) -> Schema:
    connection = {
        "ipv4": Field(nullable=True, check=values.ipv4),
        "ipv6Prefix": Field(nullable=True, check=values.ipv6_prefix),
    }
    return {
        "serial": Field(required=True, check=values.serial),
        "model": Field(required=True, check=values.one_of(models)),
        "profile": Field(required=True, check=values.one_of(profiles)),
        "connection": Field(kinds=(dict,), required=True, fields=connection),
        "parameters": Field(kinds=(dict,), default={}),
    }
