"""Candidates as they stand now: the access ports that reach a place, the devices of a role.

What is read is what can be reached from the place: no query grows with the rest of the network.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from sqlalchemy import case, func, select

from inventory.counting.usage import free_of
from inventory.lineage.relations import chunks
from inventory.plant.connectivity import EDGE_ROLE, Hop, Reach, hops_to, routes_to_edge
from inventory.plant.placement import Candidate, Turned
from inventory.plant.registry import Device
from inventory.plant.registry import devices as devices_of_role
from inventory.plant.registry import named as devices_named
from inventory.raw import Raw, marks
from inventory.tables import footprint, instance, node
from inventory.types import to_micros
from inventory.values.kinds import kinds
from store import Rx, Tx

CUSTOMERS = "onu-id"
"""The kind of pool whose taken values count a port's customers, and whose row is locked while one is added."""
SPLIT_RATIO = "split-ratio"
PROMISED = "promised"
"""What a resource will take when an order that is under way is through: kept in its body, counted from now on."""
_RATIO = re.compile(r"1:(\d+)")
_STANDS = (footprint.c.valid_to.is_(None), footprint.c.line.is_not(None))
"""What customers' resources stand on now; what has ended stands nowhere."""


Routes = Mapping[str, tuple[Hop, ...]]
"""Device → its way to the edge; () where there is none."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Access ports with what orders do not change: their devices, routes and labels."""

    reached: Sequence[Reach]
    routes: Routes
    labels: Mapping[str, Mapping[str, str]]
    devices: Mapping[str, Device]
    load: str | None
    """The characteristic whose sum over the resources on a port is its load."""

    @classmethod
    def read(cls, rx: Rx, reached: Sequence[Reach], load: str | None = None) -> Self:
        """Read all about these ports that does not depend on who is on them."""
        owners = {reach.device for reach in reached}
        return cls(
            reached=reached,
            routes=routes_to_edge(rx, owners),
            labels=_labels(rx, {name for reach in reached for name in reach.path}),
            devices={one.name: one for one in devices_named(rx, owners)},
            load=load,
        )

    def candidates(self, rx: Rx) -> list[Candidate]:
        """Return the ports as they stand now, with all that rules may ask about them."""
        names = [reach.port for reach in self.reached]
        if not names:
            return []
        used, draining = _customers(rx, names)
        facts = _Facts(_rooms(rx, names), draining, used, _loads(rx, names, self.load))
        return [_port(reach, self, facts) for reach in self.reached]


def devices(
    rx: Rx,
    role: str,
    *,
    load: str | None = None,
    origin: str | None = None,
    counted: bool = False,
) -> list[Candidate]:
    """Return the devices of a role.

    Args:
        rx: the transaction.
        role: the role.
        load: the characteristic whose sum over the resources on a device is its load.
        origin: the device from which hops are counted; None: they are not.
        counted: whether to count the resources on each.

    """
    found = devices_of_role(rx, role)
    names = [one.name for one in found]
    used = _standing(rx, names) if counted else {}
    loads = _loads(rx, names, load)
    hops = hops_to(rx, origin, set(names)) if origin else {}
    return [_device(one, used, loads, hops) for one in found]


def lock_port(tx: Tx, port: str) -> bool:
    """Let no other order choose this port until the transaction ends; say whether others could have meanwhile."""
    raw = Raw(tx)
    sql = "SELECT number FROM pool WHERE kind = ? AND scope = ? AND removed IS NULL {lock}"
    return raw.waits and raw.one(sql, CUSTOMERS, port) is not None


def lock_device(tx: Tx, name: str) -> bool:
    """Let no other order choose this device under a capacity until the transaction ends; say as `lock_port`."""
    raw = Raw(tx)
    sql = "SELECT name FROM device WHERE name = ? AND valid_to IS NULL {lock}"
    return raw.waits and raw.one(sql, name) is not None


@dataclass(frozen=True, slots=True)
class Ground:
    """Where some resources stand: access ports, devices, and the devices' sites."""

    ports: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()


def ground(rx: Rx, values: Iterable[Any], role: str | None = None) -> Ground:
    """Return where resources with these values stand.

    Args:
        rx: the transaction.
        values: their characteristics' values, of any type.
        role: None: by the access ports that they name; else by the devices of this role that they name.

    """
    names = sorted({value for value in values if isinstance(value, str)})
    if not names:
        return Ground()
    if role is not None:
        found = [one for one in devices_named(rx, names) if one.role == role]
        return Ground(devices=_names(found), sites=_sites(found))
    query = select(node.c.id, node.c.parent).where(
        node.c.kind == "port", node.c.technology.is_not(None), node.c.valid_to.is_(None)
    )
    rows = [row for part in chunks(names) for row in rx.rows(query.where(node.c.id.in_(part)))]
    parents = devices_named(rx, {row.parent for row in rows})
    return Ground(frozenset(row.id for row in rows), _names(parents), _sites(parents))


def standing(
    rx: Rx,
    besides: Collection[str],
    *,
    place: str | None = None,
    line: str | None = None,
    not_line: str | None = None,
) -> set[str]:
    """Return the nodes on which the resources at a place, or of a line, stand, leaving out some resources."""
    query = select(footprint.c.node).distinct()
    query = query.where(*_STANDS, footprint.c.instance.not_in(sorted(besides)))
    if line is not None:
        return set(rx.execute(query.where(footprint.c.line == line)).scalars())
    if place is None:
        return set()
    query = query.join(instance, instance.c.id == footprint.c.instance)
    query = query.where(instance.c.valid_to.is_(None), instance.c.place == place)
    return set(rx.execute(query.where(footprint.c.line != not_line)).scalars())


# -- one candidate ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Facts:
    rooms: Mapping[str, int]
    draining: Collection[str]
    used: Mapping[str, int]
    loads: Mapping[str, float]


def _port(reach: Reach, known: Ports, facts: _Facts) -> Candidate:
    device = known.devices.get(reach.device)
    one = Candidate(
        name=reach.port,
        device=reach.device,
        site=device.site if device else None,
        technology=reach.technology,
        free=facts.rooms.get(reach.port, 0),
        used=facts.used.get(reach.port, 0),
        load=facts.loads.get(reach.port, 0),
        path=reach.path,
        fault=_fault(reach, known, facts),
    )
    shown = {
        "id": one.name,
        "name": one.name.partition("/")[2],
        "device": one.device,
        "technology": one.technology,
        "labels": known.labels.get(one.name, {}),
        "free": one.free,
        "used": one.used,
        "load": one.load,
        "splitRatio": _split_ratio(reach.path, known.labels),
    }
    return replace(one, attributes={"port": shown, "device": _shown(device) if device else {}})


def _fault(reach: Reach, known: Ports, facts: _Facts) -> Turned | None:
    device = known.devices.get(reach.device)
    if device is None or device.admin_state != "managed":
        return _unmanaged(reach.device, device)
    if not known.routes[reach.device]:
        return Turned("NO_UPLINK", f"{reach.device} has no way to a node of role {EDGE_ROLE}")
    if reach.port not in facts.rooms:
        return Turned("NO_POOL", "has no pools to take ids from")
    if reach.port in facts.draining:
        return Turned("POOL_DRAINING", "its pools are being drained")
    return None


def _unmanaged(name: str, device: Device | None) -> Turned:
    state = device.admin_state if device else "not in the device registry"
    return Turned("DEVICE_NOT_MANAGED", f"{name} is {state}")


def _device(
    device: Device, used: Mapping[str, int], loads: Mapping[str, float], hops: Mapping[str, int]
) -> Candidate:
    one = Candidate(
        name=device.name,
        device=device.name,
        site=device.site,
        used=used.get(device.name, 0),
        load=loads.get(device.name, 0),
        hops=hops.get(device.name),
        fault=None if device.admin_state == "managed" else _unmanaged(device.name, device),
    )
    shown = {**_shown(device), "used": one.used, "load": one.load, "hops": one.hops}
    return replace(one, attributes={"device": shown})


def _shown(device: Device) -> dict[str, Any]:
    return {
        "name": device.name,
        "role": device.role,
        "site": device.site,
        "platform": device.platform,
        "adminState": device.admin_state,
        "labels": dict(device.labels),
    }


def _split_ratio(path: Sequence[str], labels: Mapping[str, Mapping[str, str]]) -> int | None:
    """Return how many customers the splitters on a path can serve; None when none of them says so."""
    said = [_RATIO.fullmatch(labels.get(name, {}).get(SPLIT_RATIO, "")) for name in path]
    ratios = [int(match[1]) for match in said if match]
    return math.prod(ratios) if ratios else None


def _names(found: Iterable[Device]) -> frozenset[str]:
    return frozenset(one.name for one in found)


def _sites(found: Iterable[Device]) -> frozenset[str]:
    return frozenset(one.site for one in found if one.site is not None)


# -- reading ----------------------------------------------------------------------------------------


def _per_port() -> list[str]:
    return [kind.name for kind in kinds().values() if kind.per_port]


def _rooms(rx: Rx, names: list[str]) -> dict[str, int]:
    """Return how many more customers each port's pools can take: the least decides; ports without pools are left out."""
    rooms: dict[str, int] = {}
    for kind in _per_port():
        for port, free in free_of(rx, kind, names).items():
            rooms[port] = min(free, rooms.get(port, free))
    return rooms


def _customers(rx: Rx, names: list[str]) -> tuple[dict[str, int], set[str]]:
    """Return how many customers each port has, and which ports' pools are being drained."""
    kinds_ = _per_port()
    rows = Raw(rx).all(
        "SELECT p.scope, p.kind, p.draining, CASE WHEN p.kind = ? THEN (SELECT count(*) FROM allocation a "
        "WHERE a.pool = p.number AND a.valid_to IS NULL AND (a.confirmed_at IS NOT NULL "
        "OR a.expires_at IS NULL OR a.expires_at > ?)) ELSE 0 END FROM pool p "
        f"WHERE p.kind IN ({marks(len(kinds_))}) AND p.scope IN ({marks(len(names))}) AND p.removed IS NULL",
        CUSTOMERS,
        to_micros(rx.now),
        *kinds_,
        *names,
    )
    used = {scope: int(count) for scope, kind, _, count in rows if kind == CUSTOMERS}
    return used, {scope for scope, _, draining, _ in rows if draining}


def _labels(rx: Rx, names: Collection[str]) -> dict[str, Mapping[str, str]]:
    query = select(node.c.id, node.c.labels).where(
        node.c.id.in_(sorted(names)), node.c.valid_to.is_(None)
    )
    return {row.id: row.labels for row in rx.rows(query)}


def _loads(rx: Rx, names: list[str], load: str | None) -> dict[str, float]:
    if load is None:
        return {}
    present = func.coalesce(instance.c.characteristics[load].as_float(), 0)
    promised = instance.c.body[(PROMISED, load)].as_float()
    value = case((promised > present, promised), else_=present)
    query = select(footprint.c.node, func.sum(value).label("load")).group_by(footprint.c.node)
    query = query.join(instance, instance.c.id == footprint.c.instance)
    query = query.where(footprint.c.node.in_(names), *_STANDS, instance.c.valid_to.is_(None))
    return {row.node: row.load or 0 for row in rx.rows(query)}


def _standing(rx: Rx, names: list[str]) -> dict[str, int]:
    query = select(footprint.c.node, func.count().label("used")).group_by(footprint.c.node)
    return {
        row.node: row.used for row in rx.rows(query.where(footprint.c.node.in_(names), *_STANDS))
    }
