"""The device registry, configurations and audits, and the transactions that changed them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from activation.api import Activation
from inventory import devices as registry
from inventory.devices import Device, Port
from inventory.lineage import timeline
from inventory.lineage.timeline import DeviceStep
from store import Database, Rx, to_text
from store.errors import InvalidInput
from tmf.errors import InvalidQuery
from tmf.web import validate
from turnup.http.instances import At, change_body
from turnup.http.moments import instant

Json = dict[str, Any]


class EndpointBody(BaseModel):
    """One way to reach a device."""

    model_config = ConfigDict(extra="forbid")

    protocol: Literal["netconf", "ssh", "eapi", "rest"]
    host: str
    port: int = Field(ge=1, le=65535)
    username: str


class DeviceBody(BaseModel):
    """A device of the registry; secrets are only ever named, by `credentialRef`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    name: str = Field(min_length=1)
    platform: str
    role: str
    site: str | None = None
    host: str
    endpoints: list[EndpointBody] = Field(min_length=1)
    credential_ref: str | None = Field(None, alias="credentialRef")
    host_key: str | None = Field(None, alias="hostKey")
    ca_path: str | None = Field(None, alias="caPath")
    admin_state: Literal["managed", "maintenance", "readOnly", "unmanaged"] = Field(
        "managed", alias="adminState"
    )
    labels: dict[str, str] = Field(default_factory=dict)


class ImportBody(BaseModel):
    """What to import: a running lab by its name, or a list of devices."""

    model_config = ConfigDict(extra="forbid")

    source: str | None = Field(None, min_length=1)
    devices: list[DeviceBody] | None = None


class Imports(Protocol):
    """Imports what the registry does not have yet."""

    def lab(self, name: str, /) -> Json:
        """Import a running lab."""
        ...

    def devices(self, devices: Sequence[Device], /) -> Json:
        """Import a list of devices."""
        ...


def router(database: Database, imports: Imports) -> APIRouter:
    """Return the registry's routes."""
    api = APIRouter(prefix="/turnup/v1", tags=["devices"])

    @api.get("/devices")
    def list_devices(role: str | None = None, at: At = None) -> list[Json]:
        moment = instant(at)
        with database.read() as rx:
            return [device_body(d) for d in registry.devices(rx, role=role, at=moment)]

    @api.post("/devices", status_code=201)
    def create_device(body: DeviceBody) -> Json:
        with database.write() as tx:
            registry.put(tx, _device(body), by=f"{_BY} create")
            return device_body(registry.get(tx, body.name))

    @api.post("/devices/import")
    def import_devices(body: ImportBody) -> Json:
        match body.source, body.devices:
            case str() as lab, None:
                return imports.lab(lab)
            case None, list() as given:
                return imports.devices([_device(one) for one in given])
            case _:
                raise InvalidInput("Give either source (the name of a running lab) or devices.")

    @api.get("/devices/{name}")
    def show_device(name: str, at: At = None) -> Json:
        moment = instant(at)
        with database.read() as rx:
            return device_body(registry.get(rx, name, moment))

    @api.patch("/devices/{name}")
    def patch_device(name: str, body: Json) -> Json:
        with database.write() as tx:
            shown = device_body(registry.get(tx, name))
            wanted = {**shown, **body, "name": name}
            validate(DeviceBody, wanted)
            changed = DeviceBody.model_validate(wanted)
            registry.put(tx, _device(changed), by=f"{_BY} patch")
            return device_body(registry.get(tx, name))

    @api.delete("/devices/{name}", status_code=204)
    def delete_device(name: str) -> Response:
        with database.write() as tx:
            registry.remove(tx, name, by=f"{_BY} delete")
        return Response(status_code=204)

    _plant(api, database)
    return api


def _plant(api: APIRouter, database: Database) -> None:
    @api.get("/devices/{name}/ports")
    def ports(name: str, at: At = None) -> list[Json]:
        moment = instant(at)
        with database.read() as rx:
            registry.get(rx, name, moment)
            return [_port(rx, port, moment) for port in registry.ports(rx, device=name, at=moment)]

    @api.get("/devices/{name}/history")
    def history(name: str) -> list[Json]:
        with database.read() as rx:
            return [_step(step) for step in timeline.of_device(rx, name)]


def config_router(database: Database, activation: Activation) -> APIRouter:
    """Return the routes to configurations, audits and transactions."""
    api = APIRouter(prefix="/turnup/v1", tags=["devices"])

    @api.get("/devices/{name}/config")
    def config(name: str, view: Literal["intended", "running"] = "intended", at: At = None) -> Json:
        moment = instant(at)
        if moment is not None and view == "running":
            raise InvalidQuery(
                "at goes with view=intended: a device only has its present configuration."
            )
        with database.read() as rx:
            registry.get(rx, name, moment)
            if view == "intended":
                return {
                    "device": name,
                    "view": view,
                    "fragments": activation.intended(rx, name, at=moment),
                }
        return {"device": name, "view": view, "text": activation.running(name)}

    @api.post("/devices/{name}/audit")
    def audit(name: str) -> Json:
        with database.read() as rx:
            registry.get(rx, name)
        return activation.audit(name)

    @api.get("/batches")
    def batches(order: str | None = None) -> list[Json]:
        with database.read() as rx:
            return activation.batches(rx, order_id=order)

    @api.get("/batches/{batch_id}")
    def batch(batch_id: str) -> Json:
        with database.read() as rx:
            return activation.batch(rx, batch_id)

    return api


_BY = "API: device"


def _port(rx: Rx, port: Port, at: datetime | None) -> Json:
    linked = registry.links(rx, port.id, at)
    return {
        "id": port.id,
        "name": port.name,
        "technology": port.technology,
        "labels": dict(port.labels),
        "linkedTo": [link.b if link.a == port.id else link.a for link in linked],
    }


def _step(step: DeviceStep) -> Json:
    version = step.version
    return {
        "validFrom": to_text(version.valid_from),
        "validTo": to_text(version.valid_to) if version.valid_to else None,
        "by": version.by,
        "endedBy": version.ended_by,
        "adminState": version.device.admin_state,
        "changes": [change_body(change) for change in step.changes],
    }


def device_body(device: Device) -> Json:
    """Return a device as JSON."""
    return {
        "name": device.name,
        "platform": device.platform,
        "role": device.role,
        "site": device.site,
        "host": device.host,
        "endpoints": [dict(endpoint) for endpoint in device.endpoints],
        "credentialRef": device.credential_ref,
        "hostKey": device.host_key,
        "caPath": device.ca_path,
        "adminState": device.admin_state,
        "labels": dict(device.labels),
    }


def _device(body: DeviceBody) -> Device:
    return Device(
        name=body.name,
        platform=body.platform,
        role=body.role,
        site=body.site,
        host=body.host,
        endpoints=tuple(endpoint.model_dump() for endpoint in body.endpoints),
        credential_ref=body.credential_ref,
        host_key=body.host_key,
        ca_path=body.ca_path,
        admin_state=body.admin_state,
        labels=body.labels,
    )
