"""Connectivity: from a place over splitters to access ports, from a device over links to the edge.

Ports obey physics: only what a fibre reaches can serve a place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    RowMapping,
    Select,
    bindparam,
    select,
    union_all,
)

from inventory.lineage.relations import chunks
from inventory.plant.registry import natural
from inventory.tables import edge, node
from inventory.temporal import valid_at
from store import Rx

EDGE_ROLE = "bng"
"""Where the access network ends: the role towards which "uplink" points."""


@dataclass(frozen=True, slots=True)
class Reach:
    """An access port that a fibre connects with a place; `path` are the node ids from place to port."""

    port: str
    device: str
    technology: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hop:
    """A device on a path: the port by which the path comes in, and by which it goes on (None: it ends)."""

    device: str
    role: str | None
    in_port: str | None
    out_port: str | None


@dataclass(frozen=True, slots=True)
class Cable:
    """A link between ports of two devices, seen from `device`."""

    device: str
    port: str
    peer: str
    peer_port: str
    peer_role: str | None
    port_id: str


def reachable(rx: Rx, place: str, at: datetime | None = None) -> list[Reach]:
    """Return the access ports that a place is connected with, in natural order; none for an unknown place.

    `place` is the place's id, or its name in the topology; `at` a past time.
    """
    start = place_id(rx, place, at)
    if start is None:
        return []
    found: list[Reach] = []
    paths: dict[str, tuple[str, ...]] = {start: (start,)}
    frontier = {start}
    while frontier:
        reached = [(a, b) for a, b in neighbours(rx, frontier, at) if b.id not in paths]
        for origin, peer in reached:
            paths.setdefault(peer.id, (*paths[origin], peer.id))
        peers = {peer.id: peer for _, peer in reached}
        found += [_reach(peer, paths[peer.id]) for peer in peers.values() if peer.technology]
        frontier = {peer.id for peer in peers.values() if peer.kind == "splitter"}
    return sorted(found, key=lambda reach: natural(reach.port))


def technology_of(rx: Rx, port: str) -> str | None:
    """Return an access port's technology; None for what is no such port."""
    found: str | None = rx.scalar(
        select(node.c.technology).where(node.c.id == port, node.c.valid_to.is_(None))
    )
    return found


def path(rx: Rx, device: str, role: str) -> Hop | None:
    """Return the nearest node of a role on the way from a device to the edge; None when there is none."""
    route = route_to_edge(rx, device)
    on_way = next((hop for hop in route[1:] if hop.role == role), None)
    return on_way or next(iter(walk(_Cables(rx), device, role)[-1:]), None)


def route_to_edge(rx: Rx, device: str, at: datetime | None = None) -> tuple[Hop, ...]:
    """Return the hops from a device to the nearest node at the edge, both included; () when there is no way."""
    return walk(_Cables(rx, at), device, EDGE_ROLE)


def routes_to_edge(rx: Rx, devices: Collection[str]) -> dict[str, tuple[Hop, ...]]:
    """Return the same for several devices, in as many queries as for one."""
    wiring = _Cables(rx)
    if not wiring.to(devices, EDGE_ROLE):
        wiring.of(devices)
    return {device: walk(wiring, device, EDGE_ROLE) for device in devices}


def route_over(wiring: Wiring, device: str) -> tuple[Hop, ...]:
    """Do the same on wiring read before."""
    return walk(wiring, device, EDGE_ROLE)


def place_id(rx: Rx, place: str, at: datetime | None = None) -> str | None:
    """Return the id of a place given by id or name."""
    # by one column at a time: with the kind in the condition, SQLite read all places
    for column in (node.c.id, node.c.name):
        query = select(node.c.id, node.c.kind).where(column == place, valid_at(node.c, at))
        for row in rx.rows(query):
            if row.kind == "place":
                return str(row.id)
    return None


class _Cables:
    """The links between devices, read as a walk needs them, and those of a device once."""

    def __init__(self, rx: Rx, at: datetime | None = None) -> None:
        self._rx = rx
        self._at = at
        self._known: dict[tuple[str, str | None], list[Cable]] = {}

    def of(self, devices: Collection[str]) -> list[Cable]:
        return self._read(devices, None)

    def to(self, devices: Collection[str], role: str) -> list[Cable]:
        """Return only those that end at a node of a role: a router's other thousand need not be read."""
        return self._read(devices, role)

    def _read(self, devices: Collection[str], role: str | None) -> list[Cable]:
        fresh = sorted(name for name in devices if (name, role) not in self._known)
        self._known |= {(name, role): [] for name in fresh}
        for chunk in chunks(fresh):
            for cable in _cables(self._rx, chunk, self._at, role):
                self._known[cable.device, role].append(cable)
        return [cable for name in sorted(devices) for cable in self._known[name, role]]


class Wiring:
    """All links between devices, read once: for questions about many paths."""

    def __init__(self, rx: Rx, at: datetime | None = None) -> None:
        self._by_device: dict[str, list[Cable]] = {}
        for cable in cables(rx, None, at):
            self._by_device.setdefault(cable.device, []).append(cable)

    def of(self, devices: Collection[str]) -> list[Cable]:
        """Return the links of these devices."""
        return [cable for device in sorted(devices) for cable in self._by_device.get(device, ())]

    def to(self, devices: Collection[str], role: str) -> list[Cable]:
        """Return those of them that end at a node of a role."""
        return [cable for cable in self.of(devices) if cable.peer_role == role]


def walk(wiring: _Cables | Wiring, start: str, role: str) -> tuple[Hop, ...]:
    """Return the hops of a shortest way from a device to the nearest one of a role; () when there is none."""
    came: dict[str, Cable | None] = {start: None}
    frontier = [start]
    while frontier:
        for cable in _in_order(wiring.to(frontier, role)):
            if cable.peer not in came:
                return _hops(came, cable)
        ahead: list[str] = []
        for cable in _in_order(wiring.of(frontier)):
            if cable.peer not in came:
                came[cable.peer] = cable
                ahead.append(cable.peer)
        frontier = ahead
    return ()


def hops_to(rx: Rx, start: str, targets: Collection[str]) -> dict[str, int]:
    """Return how many links lie between a device and each of these; those without a way are left out.

    The network is read outwards from `start` until all are found.
    """
    seen, frontier, hops = {start}, {start}, 0
    found = {start: 0} if start in targets else {}
    while frontier and len(found) < len(set(targets)):
        hops += 1
        frontier = {cable.peer for cable in cables(rx, frontier)} - seen
        seen |= frontier
        found |= dict.fromkeys(frontier.intersection(targets), hops)
    return found


def cables(rx: Rx, devices: Collection[str] | None, at: datetime | None = None) -> list[Cable]:
    """Return the links of some devices (None: of all), each seen from the device asked for."""
    if devices is None:
        return _cables(rx, None, at)
    return [cable for chunk in chunks(sorted(devices)) for cable in _cables(rx, chunk, at)]


def _cables(
    rx: Rx, devices: list[str] | None, at: datetime | None, role: str | None = None
) -> list[Cable]:
    given = {"devices": devices, "role": role}
    some, to_role = devices is not None, role is not None
    query = _links(some, to_role) if at is None else _links_at(some, to_role, at)
    bound = {name: value for name, value in given.items() if value is not None}
    return [Cable(**row) for row in rx.execute(query, bound).mappings()]


_SIDES = ((edge.c.a, edge.c.b), (edge.c.b, edge.c.a))


@cache
def _links(some: bool, to_role: bool) -> CompoundSelect[Any]:
    """Return the query for links, made once: making it takes five times as long as asking it."""
    return _links_at(some, to_role, None)


def _links_at(some: bool, to_role: bool, at: datetime | None) -> CompoundSelect[Any]:
    return union_all(*(_side(here, there, some, to_role, at) for here, there in _SIDES))


def _side(
    here: ColumnElement[str],
    there: ColumnElement[str],
    some: bool,
    to_role: bool,
    at: datetime | None,
) -> Select[Any]:
    mine, theirs, owner = node.alias("mine"), node.alias("theirs"), node.alias("owner")
    query = (
        select(
            mine.c.parent.label("device"),
            mine.c.name.label("port"),
            theirs.c.parent.label("peer"),
            theirs.c.name.label("peer_port"),
            owner.c.role.label("peer_role"),
            mine.c.id.label("port_id"),
        )
        .select_from(mine)
        .join(edge, here == mine.c.id)
        .join(theirs, there == theirs.c.id)
        .join(owner, owner.c.id == theirs.c.parent)
        # only ports have a parent; said by their kind, SQLite without statistics joined all ports with all ports
        .where(mine.c.parent.is_not(None))
        .where(*(valid_at(part.c, at) for part in (mine, theirs, owner, edge)))
    )
    if some:
        query = query.where(mine.c.parent.in_(bindparam("devices", expanding=True)))
    return query.where(owner.c.role == bindparam("role")) if to_role else query


def _in_order(found: Iterable[Cable]) -> list[Cable]:
    return sorted(found, key=lambda cable: (natural(cable.device), natural(cable.port)))


def _hops(came: Mapping[str, Cable | None], last: Cable) -> tuple[Hop, ...]:
    """Read the way back from the last link."""
    hops = [Hop(last.peer, last.peer_role, last.peer_port, None)]
    cable: Cable | None = last
    while cable is not None:
        before = came[cable.device]
        role = before.peer_role if before else None
        came_in = before.peer_port if before else None
        hops.append(Hop(cable.device, role, came_in, cable.port))
        cable = before
    return tuple(reversed(hops))


@dataclass(frozen=True, slots=True)
class Peer:
    """A node at the other end of a link; `parent` and `technology` are set on ports."""

    id: str
    kind: str
    parent: str | None
    technology: str | None


def neighbours(
    rx: Rx, origins: Collection[str], at: datetime | None = None
) -> list[tuple[str, Peer]]:
    """Return the nodes connected with any of these, each with the one it was reached from, in order."""
    found: list[tuple[str, Peer]] = []
    for chunk in chunks(sorted(origins)):
        query = _adjacent() if at is None else _adjacent_at(at)
        rows = rx.execute(query, {"origins": chunk}).mappings()
        found += [(row["origin"], _peer(row)) for row in rows]
    return sorted(found, key=lambda pair: (pair[0], natural(pair[1].id)))


@cache
def _adjacent() -> CompoundSelect[Any]:
    return _adjacent_at(None)


def _adjacent_at(at: datetime | None) -> CompoundSelect[Any]:
    return union_all(*(_peers(here, there, at) for here, there in _SIDES))


def _peers(here: ColumnElement[str], there: ColumnElement[str], at: datetime | None) -> Select[Any]:
    query = select(
        here.label("origin"), node.c.id, node.c.kind, node.c.parent, node.c.technology
    ).join(node, node.c.id == there)
    origins = here.in_(bindparam("origins", expanding=True))
    return query.where(origins, valid_at(edge.c, at), valid_at(node.c, at))


def _peer(row: RowMapping) -> Peer:
    return Peer(row["id"], row["kind"], row["parent"], row["technology"])


def _reach(peer: Peer, path_to: tuple[str, ...]) -> Reach:
    assert peer.parent is not None
    assert peer.technology is not None
    return Reach(peer.id, peer.parent, peer.technology, path_to)
