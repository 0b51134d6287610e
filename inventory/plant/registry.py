"""The device registry: what there is, where it answers, and whether we may touch it. Secrets are only named."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import RowMapping, select

from inventory import instances
from inventory.errors import DeviceInvalid, DeviceNotFound
from inventory.lineage.lifecycle import Physical, gone
from inventory.tables import device as table
from inventory.tables import edge, node
from inventory.temporal import close, keep, valid_at, versions
from store import Rx, Tx

_NUMBERS = re.compile(r"(\d+)")
CONTAINED = "isContainedIn"
"""The relation of a part of a device to what it is in."""
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
class DeviceVersion:
    """A device as it stood from `valid_from` until `valid_to` (None: still); `by` and `ended_by` say what did it."""

    device: Device
    valid_from: datetime
    valid_to: datetime | None
    by: str | None
    ended_by: str | None


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


def put(tx: Tx, new: Device, by: str | None = None) -> Device:
    """Insert or replace a device, its node in the graph, and what its adminState means to its life.

    `by` says what did it (an imported file, an API call) and is kept with the version. Raises DeviceInvalid.
    """
    _check(new)
    keep(tx, table, [table.c.name == new.name], _columns(new), by)
    upsert_node(tx, new.name, kind="device", name=new.name, role=new.role, labels=new.labels, by=by)
    _live(tx, new)
    return new


def get(rx: Rx, name: str, at: datetime | None = None) -> Device:
    """Return a device as it stands, or stood at a past time. Raises DeviceNotFound (DEVICE_NOT_FOUND)."""
    query = select(table).where(table.c.name == name, valid_at(table.c, at))
    row = rx.execute(query.order_by(table.c.row.desc())).mappings().first()
    if row is None:
        when = "" if at is None else f" at {at.isoformat()}"
        raise DeviceNotFound(
            f"No device {name!r} in the registry{when}; import it (turnup device import).",
            details={"device": name},
        )
    return _device(row)


def devices(rx: Rx, role: str | None = None, at: datetime | None = None) -> list[Device]:
    """Return the devices (of one role) by name."""
    query = select(table).where(valid_at(table.c, at)).order_by(table.c.name)
    if role is not None:
        query = query.where(table.c.role == role)
    return [_device(row) for row in rx.execute(query).mappings()]


def named(rx: Rx, names: Collection[str]) -> list[Device]:
    """Return those of these devices that the registry has, by name, in one query."""
    query = (
        select(table)
        .where(table.c.valid_to.is_(None), table.c.name.in_(sorted(names)))
        .order_by(table.c.name)
    )
    return [_device(row) for row in rx.execute(query).mappings()]


def history(rx: Rx, name: str) -> list[DeviceVersion]:
    """Return all versions of a device, oldest first. Raises DeviceNotFound."""
    rows = versions(rx, select(table).where(table.c.name == name), table)
    if not rows:
        get(rx, name)
    return [
        DeviceVersion(
            _device(row), row["valid_from"], row["valid_to"], row["made_by"], row["ended_by"]
        )
        for row in rows
    ]


def patch(tx: Tx, name: str, changes: Mapping[str, Any], by: str | None = None) -> Device:
    """Change some fields of a device. Raises DeviceNotFound, DeviceInvalid (unknown field, wrong value)."""
    known = {one.name for one in fields(Device)} - {"name"}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise DeviceInvalid(
            f"A device has no changeable field {', '.join(unknown)}; use {', '.join(sorted(known))}.",
            details={"fields": unknown},
        )
    return put(tx, replace(get(tx, name), **changes), by)


def remove(tx: Tx, name: str, by: str | None = None) -> None:
    """Take a device with its ports and links out of registry and graph; its life ends, its history stays.

    Raises DeviceNotFound.
    """
    get(tx, name)
    inside = select(node.c.id).where(node.c.parent == name, node.c.valid_to.is_(None))
    inside = inside.order_by(node.c.id)
    ids = list(tx.execute(inside).scalars())
    close(tx, edge, [edge.c.a.in_(inside) | edge.c.b.in_(inside)], by)
    close(tx, node, [(node.c.parent == name) | (node.c.id == name)], by)
    close(tx, table, [table.c.name == name], by)
    for one in instances.by_ids(tx, [name, *ids]):
        instances.put(tx, replace(one, state=Physical.DECOMMISSIONED))


def ports(rx: Rx, device: str | None = None, at: datetime | None = None) -> list[Port]:
    """Return the ports (of one device), in natural order (pon2 before pon10)."""
    query = select(node).where(node.c.kind == "port", valid_at(node.c, at))
    if device is not None:
        query = query.where(node.c.parent == device)
    found = [
        Port(row["id"], row["parent"], row["name"], row["technology"], row["labels"])
        for row in rx.execute(query).mappings()
    ]
    return sorted(found, key=lambda port: natural(port.id))


def links(rx: Rx, node_id: str | None = None, at: datetime | None = None) -> list[Link]:
    """Return the links (of one port, splitter or place)."""
    query = select(edge).where(valid_at(edge.c, at)).order_by(edge.c.a, edge.c.b)
    if node_id is not None:
        query = query.where((edge.c.a == node_id) | (edge.c.b == node_id))
    return [Link(row.a, row.b) for row in rx.rows(query)]


def upsert_link(tx: Tx, a: str, b: str, by: str | None = None) -> bool:
    """Link two nodes; say whether they were not."""
    low, high = sorted((a, b))
    columns = {"a": low, "b": high}
    return keep(tx, edge, [edge.c.a == low, edge.c.b == high], columns, by)


def remove_link(tx: Tx, a: str, b: str, by: str | None = None) -> None:
    """End the link of two nodes; nothing happens when there is none."""
    low, high = sorted((a, b))
    close(tx, edge, [edge.c.a == low, edge.c.b == high], by)


def busy(rx: Rx, device: str) -> bool:
    """Say whether any port of a device is in service."""
    inside = instances.related(rx, device, type=CONTAINED, reverse=True)
    found = instances.by_ids(rx, [relation.source for relation in inside])
    return any(one.state == Physical.IN_SERVICE for one in found)


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
    by: str | None = None,
) -> bool:
    """Insert or replace a node of the graph; say whether it is new."""
    columns = {
        "id": id,
        "kind": kind,
        "name": name,
        "parent": parent,
        "role": role,
        "technology": technology,
        "labels": dict(labels or {}),
    }
    return keep(tx, node, [node.c.id == id], columns, by)


def _live(tx: Tx, new: Device) -> None:
    """Let a device that is taken into maintenance, or back, or into the registry again, say so in its life."""
    resting = new.admin_state == "maintenance"
    for one in instances.by_ids(tx, [new.name]):
        if gone(one.state):
            instances.put(tx, replace(one, state=Physical.COMMISSIONED))
        elif one.state == Physical.MAINTENANCE and not resting:
            back = Physical.IN_SERVICE if busy(tx, new.name) else Physical.COMMISSIONED
            instances.put(tx, replace(one, state=back))
        elif resting and one.state in _WORKING:
            instances.put(tx, replace(one, state=Physical.MAINTENANCE))


_WORKING = (Physical.INSTALLED, Physical.COMMISSIONED, Physical.IN_SERVICE)


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
