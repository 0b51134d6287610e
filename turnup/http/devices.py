"""The device registry, configurations and audits, and the transactions that changed them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from activation.api import Activation
from inventory import devices as registry
from inventory.devices import Device
from store import Database, from_text

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


def router(database: Database, import_from: Callable[[str], Json]) -> APIRouter:
    """Return the registry's routes; `import_from` imports from a running lab or a file."""
    api = APIRouter(prefix="/turnup/v1", tags=["devices"])

    @api.get("/devices")
    def list_devices(role: str | None = None) -> list[Json]:
        with database.read() as rx:
            return [device_body(d) for d in registry.devices(rx, role=role)]

    @api.post("/devices", status_code=201)
    def create_device(body: DeviceBody) -> Json:
        with database.write() as tx:
            registry.put(tx, _device(body))
            return device_body(registry.get(tx, body.name))

    @api.post("/devices/import")
    def import_devices(body: dict[str, str]) -> Json:
        return import_from(body["source"])

    @api.get("/devices/{name}")
    def show_device(name: str) -> Json:
        with database.read() as rx:
            return device_body(registry.get(rx, name))

    @api.patch("/devices/{name}")
    def patch_device(name: str, body: Json) -> Json:
        with database.write() as tx:
            shown = device_body(registry.get(tx, name))
            changed = DeviceBody.model_validate({**shown, **body, "name": name})
            registry.put(tx, _device(changed))
            return device_body(registry.get(tx, name))

    @api.delete("/devices/{name}", status_code=204)
    def delete_device(name: str) -> Response:
        with database.write() as tx:
            registry.remove(tx, name)
        return Response(status_code=204)

    return api


def config_router(database: Database, activation: Activation) -> APIRouter:
    """Return the routes to configurations, audits and transactions."""
    api = APIRouter(prefix="/turnup/v1", tags=["devices"])

    @api.get("/devices/{name}/config")
    def config(
        name: str, view: Literal["intended", "running"] = "intended", at: str | None = None
    ) -> Json:
        with database.read() as rx:
            registry.get(rx, name)
            if view == "intended":
                moment: datetime | None = from_text(at) if at else None
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
