"""Which nodes of the connectivity graph fail with a node, seen from the edge, and what stands on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from inventory.errors import NodeNotFound
from inventory.lineage.relations import chunks
from inventory.lineage.walk import Walk
from inventory.plant.connectivity import Wiring, cables, neighbours, route_over, route_to_edge
from inventory.tables import node as table
from inventory.temporal import valid_at
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


def hurt_with(rx: Rx, name: str, at: datetime | None = None) -> Hurt:
    """Return what fails with a place, splitter, device or port, by id or name. Raises NodeNotFound."""
    node = _node(rx, name, at)
    plant = _Plant(rx, at)
    id_ = str(node["id"])
    match node["kind"]:
        case "place":
            return Hurt(frozenset({id_}), frozenset({id_}))
        case "splitter":
            upstream, ports = plant.towards_port(id_)
            nodes = frozenset(plant.downstream(id_, upstream))
            return Hurt(nodes, nodes, frozenset(ports))
        case "device":
            return Hurt(frozenset(plant.with_contents(plant.behind(id_, None))))
        case "port" if node["technology"] is None:
            behind = plant.behind(node["parent"], node["name"])
            return Hurt(frozenset(plant.with_contents(behind) | {id_}))
        case _:
            return Hurt(frozenset({id_}))


def access_ports(
    rx: Rx, nodes: Collection[str], at: datetime | None = None
) -> list[dict[str, Any]]:
    """Return the ports among these nodes: {id, device, technology}; a port towards customers has a technology."""
    found: list[dict[str, Any]] = []
    for chunk in chunks(sorted(nodes)):
        query = select(table).where(
            table.c.id.in_(chunk), table.c.kind == "port", valid_at(table.c, at)
        )
        for row in rx.execute(query).mappings():
            entry = {"id": row["id"], "device": row["parent"], "technology": row["technology"]}
            found.append({name: value for name, value in entry.items() if value is not None})
    return found


def _node(rx: Rx, name: str, at: datetime | None) -> Mapping[str, Any]:
    present = select(table).where(valid_at(table.c, at))
    query = present.where(or_(table.c.id == name, table.c.name == name))
    rows = rx.execute(query.where(table.c.kind != "port")).mappings().all()
    rows = rows or rx.execute(present.where(table.c.id == name)).mappings().all()
    if not rows:
        raise NodeNotFound(
            f"No place, splitter, device or port {name!r}; a port is written device/port.",
            details={"node": name},
        )
    return dict(next((row for row in rows if row["id"] == name), rows[0]))


class _Plant:
    """Looks along the links as they are, or were."""

    def __init__(self, rx: Rx, at: datetime | None) -> None:
        self._rx = rx
        self._at = at

    def behind(self, device: str, port: str | None) -> set[str]:
        """Return the devices whose way to the edge passes this device, or this port of it, going outwards from it."""
        frontier, seen = {device}, {device}
        here = port is None or self._passes(None, device, device, port)
        reached = {device} if here else set[str]()
        while frontier:
            peers = {cable.peer for cable in cables(self._rx, frontier, self._at)} - seen
            wiring = Wiring(self._rx, self._at) if len(peers) > _FEW else None
            seen |= peers
            frontier = {peer for peer in peers if self._passes(wiring, peer, device, port)}
            reached |= frontier
        return reached

    def _passes(self, wiring: Wiring | None, start: str, device: str, port: str | None) -> bool:
        if wiring is None:
            route = route_to_edge(self._rx, start, self._at)
        else:
            route = route_over(wiring, start)
        hops = (hop for hop in route if hop.device == device)
        return any(port is None or port in {hop.in_port, hop.out_port} for hop in hops)

    def with_contents(self, nodes: Collection[str]) -> set[str]:
        """Return nodes with what is in them."""
        found = set(nodes)
        for chunk in chunks(sorted(nodes)):
            query = select(table.c.id).where(table.c.parent.in_(chunk), valid_at(table.c, self._at))
            found |= set(self._rx.execute(query).scalars())
        return found

    def downstream(self, splitter: str, upstream: set[str]) -> set[str]:
        """Return the splitter with the splitters and places on all its sides but the one with the port."""
        seen, frontier = {splitter, *upstream}, {splitter}
        while frontier:
            reached = neighbours(self._rx, frontier, self._at)
            peers = {peer.id: peer for _, peer in reached if peer.id not in seen}
            seen |= peers.keys()
            frontier = {peer.id for peer in peers.values() if peer.kind == "splitter"}
        return seen - upstream

    def towards_port(self, splitter: str) -> tuple[set[str], set[str]]:
        """Return the neighbours by which a splitter reaches a port soonest, and those ports."""
        first: dict[str, set[str]] = {splitter: set()}
        frontier = {splitter}
        while frontier:
            around = neighbours(self._rx, frontier, self._at)
            reached = [(a, b) for a, b in around if b.id not in first]
            for origin, peer in reached:
                first.setdefault(peer.id, first[origin] or {peer.id})
            ports = {peer.id for _, peer in reached if peer.kind == "port"}
            if ports:
                return set().union(*(first[port] for port in ports)), ports
            frontier = {peer.id for _, peer in reached if peer.kind == "splitter"}
        return set(), set()
