"""The device registry: what there is, where it answers, and whether we may touch it. Secrets are only named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from sqlalchemy import RowMapping, delete, insert, select, update

from inventory.errors import DeviceInvalid, DeviceNotFound
from inventory.tables import device as table
from inventory.tables import edge, node
from store import Rx, Tx

_NUMBERS = re.compile(r"(\d+)")
AdminState = Literal["managed", "maintenance", "readOnly", "unmanaged"]


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the registry. `endpoints` are mappings {protocol, host, port, username}."""

    name: str
    platform: str
    role: str
    site: str | None = None
    host: str = ""
    endpoints: tuple[Mapping[str, Any], ...] = ()
    credential_ref: str | None = None
    host_key: str | None = None
    ca_path: str | None = None
    admin_state: AdminState = "managed"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a device; `id` is `device/name`. `technology` is set on access ports."""

    id: str
    device: str
    name: str
    technology: str | None
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Link:
    """A connection between two nodes (port, splitter, place), undirected; a < b."""

    a: str
    b: str


def put(tx: Tx, new: Device) -> Device:
    """Insert or replace a device, and its node in the graph. Raises DeviceInvalid."""
    _check(new)
    row = tx.execute(select(table).where(table.c.name == new.name)).mappings().first()
    if row is None:
        tx.execute(insert(table).values(**_columns(new), changed=tx.now))
    elif _columns(_device(row)) != _columns(new):
        changed = update(table).where(table.c.name == new.name)
        tx.execute(changed.values(**_columns(new), changed=tx.now))
    upsert_node(tx, new.name, kind="device", name=new.name, role=new.role, labels=new.labels)
    return new


def get(rx: Rx, name: str) -> Device:
    """Return a device. Raises DeviceNotFound (DEVICE_NOT_FOUND)."""
    row = rx.execute(select(table).where(table.c.name == name)).mappings().first()
    if row is None:
        raise DeviceNotFound(
            f"No device {name!r} in the registry; import it (turnup device import).",
            details={"device": name},
        )
    return _device(row)


def devices(rx: Rx, role: str | None = None) -> list[Device]:
    """Return the devices (of one role) by name."""
    query = select(table).order_by(table.c.name)
    if role is not None:
        query = query.where(table.c.role == role)
    return [_device(row) for row in rx.execute(query).mappings()]


def patch(tx: Tx, name: str, changes: Mapping[str, Any]) -> Device:
    """Change some fields of a device. Raises DeviceNotFound, DeviceInvalid (unknown field, wrong value)."""
    known = {one.name for one in fields(Device)} - {"name"}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise DeviceInvalid(
            f"A device has no changeable field {', '.join(unknown)}; use {', '.join(sorted(known))}.",
            details={"fields": unknown},
        )
    return put(tx, replace(get(tx, name), **changes))


def remove(tx: Tx, name: str) -> None:
    """Remove a device with its ports and links from registry and graph. Raises DeviceNotFound."""
    get(tx, name)
    inside = select(node.c.id).where(node.c.parent == name)
    tx.execute(delete(edge).where(edge.c.a.in_(inside) | edge.c.b.in_(inside)))
    tx.execute(delete(node).where((node.c.parent == name) | (node.c.id == name)))
    tx.execute(delete(table).where(table.c.name == name))


def ports(rx: Rx, device: str | None = None) -> list[Port]:
    """Return the ports (of one device), in natural order (pon2 before pon10)."""
    query = select(node).where(node.c.kind == "port")
    if device is not None:
        query = query.where(node.c.parent == device)
    found = [
        Port(row["id"], row["parent"], row["name"], row["technology"], row["labels"])
        for row in rx.execute(query).mappings()
    ]
    return sorted(found, key=lambda port: natural(port.id))


def links(rx: Rx, node_id: str | None = None) -> list[Link]:
    """Return the links (of one port, splitter or place)."""
    query = select(edge).order_by(edge.c.a, edge.c.b)
    if node_id is not None:
        query = query.where((edge.c.a == node_id) | (edge.c.b == node_id))
    return [Link(row.a, row.b) for row in rx.rows(query)]


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a sorting key in which numbers count as numbers: pon2 before pon10."""
    return tuple(
        (int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBERS.split(name)
    )


def upsert_node(
    tx: Tx,
    id: str,  # noqa: A002
    *,
    kind: str,
    name: str,
    parent: str | None = None,
    role: str | None = None,
    technology: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> bool:
    """Insert or replace a node of the graph; say whether it is new."""
    row = {
        "kind": kind,
        "name": name,
        "parent": parent,
        "role": role,
        "technology": technology,
        "labels": dict(labels or {}),
    }
    if tx.execute(update(node).where(node.c.id == id).values(**row)).rowcount:
        return False
    tx.execute(insert(node).values(id=id, **row))
    return True


def _check(new: Device) -> None:
    if new.admin_state not in get_args(AdminState):
        raise DeviceInvalid(
            f"adminState {new.admin_state!r} of {new.name} is none of {', '.join(get_args(AdminState))}.",
            details={"device": new.name, "adminState": new.admin_state},
        )
    if not new.name or "/" in new.name:
        raise DeviceInvalid(
            f"{new.name!r} is no device name; use one without '/', which separates device and port.",
            details={"device": new.name},
        )


def _columns(some: Device) -> dict[str, Any]:
    return {
        "name": some.name,
        "platform": some.platform,
        "role": some.role,
        "site": some.site,
        "host": some.host,
        "endpoints": [dict(endpoint) for endpoint in some.endpoints],
        "credential_ref": some.credential_ref,
        "host_key": some.host_key,
        "ca_path": some.ca_path,
        "admin_state": some.admin_state,
        "labels": dict(some.labels),
    }


def _device(row: RowMapping) -> Device:
    return Device(
        name=row["name"],
        platform=row["platform"],
        role=row["role"],
        site=row["site"],
        host=row["host"],
        endpoints=tuple(row["endpoints"]),
        credential_ref=row["credential_ref"],
        host_key=row["host_key"],
        ca_path=row["ca_path"],
        admin_state=row["admin_state"],
        labels=row["labels"],
    )
