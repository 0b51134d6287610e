"""A simulated cloud Wi-Fi controller: one site per home, `/wifi/v1/sites/{siteId}`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from lab.embedded.device import NodeContext
from lab.embedded.rest import values
from lab.embedded.rest.bodies import Field, Json, Schema
from lab.embedded.rest.collection import Collection, Kind
from lab.embedded.rest.database import Database
from lab.embedded.rest.problems import ApiError, bad_value
from lab.embedded.rest.service import RestNode

PATH: Final = "/wifi/v1/sites"
BOTH_BANDS: Final = "2.4+5"
CHANNELS: Final[Mapping[str, frozenset[int]]] = {
    "2.4": frozenset(range(1, 14)),
    "5": frozenset([*range(36, 65, 4), *range(100, 145, 4), *range(149, 166, 4)]),
}
_MAX_SSID: Final = 32
_MAX_NAME: Final = 64


def build(context: NodeContext) -> RestNode:
    """The factory that the lab process calls."""
    database = Database(context.state_dir / "sites")
    kind = Kind(PATH, "siteId", SCHEMA, _check)
    return RestNode(context, Collection(kind, database, context.faults), database)


def _check(body: Json, others: Mapping[str, Json]) -> None:
    """A serial belongs to one site; a channel to the band."""
    taken = next((key for key, other in others.items() if other["serial"] == body["serial"]), None)
    if taken is not None:
        message = f"serial {body['serial']} belongs to site {taken}; remove it there first"
        raise ApiError(HTTPStatus.CONFLICT, "SERIAL_IN_USE", message)
    channel, band = body.get("channel"), body["band"]
    if channel is not None and channel not in _channels(band):
        raise bad_value(f"channel {channel} is not in band {band}")


def _channels(band: str) -> frozenset[int]:
    """With both bands a channel is that of 2.4 GHz or of 5 GHz; the ranges do not overlap."""
    if band == BOTH_BANDS:
        return CHANNELS["2.4"] | CHANNELS["5"]
    return CHANNELS[band]


def _positive(value: Any) -> str | None:
    return None if value > 0 else "must be positive"


SCHEMA: Final[Schema] = {
    "siteId": Field(required=True, check=values.identifier),
    "name": Field(required=True, check=values.octets(1, _MAX_NAME)),
    "serial": Field(required=True, check=values.serial),
    "ssid": Field(required=True, check=values.octets(1, _MAX_SSID)),
    "band": Field(default=BOTH_BANDS, check=values.one_of(("2.4", "5", BOTH_BANDS))),
    "enabled": Field(kinds=(bool,), default=True),
    "channel": Field(kinds=(int,), check=_positive),
}
