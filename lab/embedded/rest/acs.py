"""A simulated auto-configuration server: the north side of a TR-069 ACS.

`/acs/v1/endpoints/{serial}` says how a CPE is to be configured. An ONT that is up on its PON
informs (TR-069 §3.7.1.5): at once when it comes up or when its endpoint appears, then at every
inform interval. An ONT without endpoint is turned away.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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

    database = Database(context.state_dir / "endpoints")
    informs = Database(context.state_dir / "informs", durable=False)
    interval = float(labels.get("sim-inform-interval", INTERVAL_S))
    endpoints = Collection(Kind(PATH, "serial", schema, _alone), database, context.faults)
    acs = Acs(endpoints, database, Informs(informs, context.pon, interval))
    context.pon.watch(acs.settle)
    return RestNode(context, acs, database, informs)


class Informs:
    """When each CPE last informed.

    Args:
        database: keeps the time by serial.
        interval_s: between two informs of a CPE that stays up, in seconds.
    """

    def __init__(self, database: Database, pon: PonPlant, interval_s: float) -> None:
        self._database, self._pon, self._interval = database, pon, interval_s
        self._first: dict[str, float] = {}

    def last(self, serial: str) -> float | None:
        """Unix time of the last inform."""
        stored = self._database.get(serial)
        return None if stored is None else float(stored.body["time"])

    def settle(self, known: Sequence[str]) -> None:
        """Bring all up to now: CPEs that are up and that the ACS knows inform."""
        now = time.time()
        for serial in set(self._database.ids()) - set(known):
            self._database.delete(serial)
        talking = (serial for serial in known if self._pon.is_up(serial))
        self._first = {serial: self._first.get(serial, now) for serial in talking}
        for serial, first in self._first.items():
            self._note(serial, first + (now - first) // self._interval * self._interval)

    def _note(self, serial: str, moment: float) -> None:
        if self.last(serial) != moment:
            self._database.put(serial, {"time": moment})


class Acs:
    """The endpoints and their informs."""

    def __init__(self, endpoints: Collection, database: Database, informs: Informs) -> None:
        self._endpoints, self._database, self._informs = endpoints, database, informs

    def settle(self) -> None:
        """Something changed on the PON or in the database; without power nobody is informed."""
        if self._database.loaded:
            self._informs.settle(self._database.ids())

    async def answer(self, request: Request) -> Response:
        """Serve endpoints and informs."""
        serial = _inform_of(request.path)
        if serial is not None:
            return self._inform(request, serial)
        response = await self._endpoints.answer(request)
        if request.method not in {"GET", "HEAD"}:
            self.settle()
        return response

    def _inform(self, request: Request, serial: str) -> Response:
        if self._database.get(serial) is None:
            raise not_found(request.path)
        if request.method not in {"GET", "HEAD"}:
            raise not_allowed(request.method, "GET")
        self.settle()
        last = self._informs.last(serial)
        return json_response(HTTPStatus.OK, {"lastInform": None if last is None else _stamp(last)})


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
