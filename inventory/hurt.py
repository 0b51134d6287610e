"""Which nodes of the connectivity graph fail with a node, seen from the edge, and what stands on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select

from inventory.connectivity import Wiring, cables, neighbours, route_over, route_to_edge
from inventory.errors import NodeNotFound
from inventory.relations import chunks
from inventory.tables import node as table
from inventory.temporal import valid_at
from inventory.walk import Walk
from store import Rx

_FEW = 4
"""From how many neighbours on all wiring is read at once instead of a way at a time."""


@dataclass(frozen=True, slots=True)
class Hurt:
    """The nodes that fail together; who is behind them is found at `places` where that is given."""

    nodes: frozenset[str]
    places: frozenset[str] | None = None
    """Hurt is only who is at one of these places: those of a splitter, which other fibres may reach too."""
    ports: frozenset[str] | None = None
    """With `places`: hurt is only who there is on these ports."""

    def seeds(self, walk: Walk) -> set[str]:
        """Return the resources that fail first."""
        if self.places is None:
            return walk.standing_on(self.nodes) | self.nodes
        behind = set(walk.at_places(self.places))
        return behind if self.ports is None else behind & walk.standing_on(self.ports)


def hurt_with(rx: Rx, name: str) -> Hurt:
    """Return what fails with a place, splitter, device or port, by id or name. Raises NodeNotFound."""
    node = _node(rx, name)
    id_ = str(node["id"])
    match node["kind"]:
        case "place":
            return Hurt(frozenset({id_}), frozenset({id_}))
        case "splitter":
            upstream, ports = _towards_port(rx, id_)
            nodes = frozenset(_downstream(rx, id_, upstream))
            return Hurt(nodes, nodes, frozenset(ports))
        case "device":
            return Hurt(frozenset(_with_contents(rx, _behind(rx, id_, None))))
        case "port" if node["technology"] is None:
            behind = _behind(rx, node["parent"], node["name"])
            return Hurt(frozenset(_with_contents(rx, behind) | {id_}))
        case _:
            return Hurt(frozenset({id_}))


def access_ports(rx: Rx, nodes: Collection[str]) -> list[dict[str, Any]]:
    """Return the ports among these nodes: {id, device, technology}; a port towards customers has a technology."""
    found: list[dict[str, Any]] = []
    for chunk in chunks(sorted(nodes)):
        query = select(table).where(
            table.c.id.in_(chunk), table.c.kind == "port", valid_at(table.c, None)
        )
        for row in rx.execute(query).mappings():
            entry = {"id": row["id"], "device": row["parent"], "technology": row["technology"]}
            found.append({name: value for name, value in entry.items() if value is not None})
    return found


def _node(rx: Rx, name: str) -> Mapping[str, Any]:
    present = select(table).where(table.c.valid_to.is_(None))
    query = present.where(or_(table.c.id == name, table.c.name == name))
    rows = rx.execute(query.where(table.c.kind != "port")).mappings().all()
    rows = rows or rx.execute(present.where(table.c.id == name)).mappings().all()
    if not rows:
        raise NodeNotFound(
            f"No place, splitter, device or port {name!r}; a port is written device/port.",
            details={"node": name},
        )
    return dict(next((row for row in rows if row["id"] == name), rows[0]))


def _behind(rx: Rx, device: str, port: str | None) -> set[str]:
    """Return the devices whose way to the edge passes this device, or this port of it, going outwards from it."""
    reached = {device} if port is None or _passes(rx, None, device, device, port) else set[str]()
    frontier, seen = {device}, {device}
    while frontier:
        peers = {cable.peer for cable in cables(rx, frontier)} - seen
        wiring = Wiring(rx) if len(peers) > _FEW else None
        seen |= peers
        frontier = {peer for peer in peers if _passes(rx, wiring, peer, device, port)}
        reached |= frontier
    return reached


def _passes(rx: Rx, wiring: Wiring | None, start: str, device: str, port: str | None) -> bool:
    route = route_to_edge(rx, start) if wiring is None else route_over(wiring, start)
    hops = (hop for hop in route if hop.device == device)
    return any(port is None or port in {hop.in_port, hop.out_port} for hop in hops)


def _with_contents(rx: Rx, nodes: Collection[str]) -> set[str]:
    found = set(nodes)
    for chunk in chunks(sorted(nodes)):
        query = select(table.c.id).where(table.c.parent.in_(chunk), table.c.valid_to.is_(None))
        found |= set(rx.execute(query).scalars())
    return found


def _downstream(rx: Rx, splitter: str, upstream: set[str]) -> set[str]:
    """Return the splitter with the splitters and places on all its sides but the one with the port."""
    seen, frontier = {splitter, *upstream}, {splitter}
    while frontier:
        peers = {peer.id: peer for _, peer in neighbours(rx, frontier) if peer.id not in seen}
        seen |= peers.keys()
        frontier = {peer.id for peer in peers.values() if peer.kind == "splitter"}
    return seen - upstream


def _towards_port(rx: Rx, splitter: str) -> tuple[set[str], set[str]]:
    """Return the neighbours by which a splitter reaches a port soonest, and those ports."""
    first: dict[str, set[str]] = {splitter: set()}
    frontier = {splitter}
    while frontier:
        reached = [(a, b) for a, b in neighbours(rx, frontier) if b.id not in first]
        for origin, peer in reached:
            first.setdefault(peer.id, first[origin] or {peer.id})
        ports = {peer.id for _, peer in reached if peer.kind == "port"}
        if ports:
            return set().union(*(first[port] for port in ports)), ports
        frontier = {peer.id for _, peer in reached if peer.kind == "splitter"}
    return set(), set()
