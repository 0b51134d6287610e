"""Whom does it hurt: from a node, a resource or a pool up to services, products and parties, and back down.

Up: what stands on the hurt nodes (footprints), then what relies on that (relations), then the product of the
line and its parties. Down: what a product, service or resource stands on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import or_, select

from inventory import footprints, instances, lifecycle
from inventory.connectivity import Wiring, neighbours, route_over
from inventory.errors import NodeNotFound
from inventory.holdings import allocations
from inventory.instances import Instance
from inventory.pools import pool as pool_of
from inventory.relations import chunks, related_many
from inventory.tables import instance as instance_table
from inventory.tables import node as node_table
from inventory.tables import pool as pool_table
from inventory.tables import pool_user
from store import Rx
from store.errors import InvalidInput

Json = dict[str, Any]
_GONE = frozenset({*lifecycle.GONE, "terminated", "cancelled"})


def impact(
    rx: Rx, node: str | None = None, resource: str | None = None, pool: str | None = None
) -> Json:
    """Return who is hurt when a node, a resource (or service) or a pool fails.

    Args:
        rx: the transaction.
        node: device, port (`device/port`), splitter or place, by id or name.
        resource: id of an instance of any kind.
        pool: id of a pool: everyone who holds or uses a value of it.

    Returns:
        {nodes, resources, services, products, parties}, lists of what is in use, each with its id.

    Raises:
        NodeNotFound, InstanceNotFound, PoolNotFound.
        InvalidInput: not exactly one of the three was given.

    """
    match (node, resource, pool):
        case (str() as name, None, None):
            nodes, seeds = _hurt(rx, _node(rx, name))
        case (None, str() as id_, None):
            nodes, seeds = set[str](), {instances.get(rx, id_).id}
        case (None, None, str() as id_):
            nodes, seeds = set[str](), _users_of_pool(rx, id_)
        case _:
            raise InvalidInput("Give exactly one of node, resource and pool.")
    return {"nodes": sorted(nodes), **_shown(_upwards(rx, seeds))}


def foundation(rx: Rx, id: str) -> Json:  # noqa: A002
    """Return what an instance stands on: {nodes, resources, services}. Raises InstanceNotFound."""
    root = instances.get(rx, id)
    found = {root.id: root}
    frontier: set[str] = {root.id}
    while frontier:
        below = {relation.target for relation in related_many(rx, frontier)}
        below |= _realizers(rx, [found[one] for one in frontier])
        fresh = _load(rx, below - found.keys())
        found |= fresh
        frontier = set(fresh)
    shown = _shown(found)
    nodes = footprints.of(rx, [one.id for one in found.values() if one.kind == "resource"])
    return {"nodes": sorted(nodes), "resources": shown["resources"], "services": shown["services"]}


# -- nodes ------------------------------------------------------------------------------------------


def _hurt(rx: Rx, node: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Return the nodes that fail with a node, seen from the edge, and the resources on them."""
    id_ = str(node["id"])
    match node["kind"]:
        case "place":
            return {id_}, _at(rx, {id_})
        case "splitter":
            return _hurt_by_splitter(rx, id_)
        case "device":
            nodes = _with_contents(rx, _behind(rx, id_, None))
        case "port" if node["technology"] is None:
            nodes = _with_contents(rx, _behind(rx, node["parent"], node["name"])) | {id_}
        case _:
            nodes = {id_}
    return nodes, footprints.standing_on(rx, nodes) | set(_load(rx, nodes))


def _hurt_by_splitter(rx: Rx, splitter: str) -> tuple[set[str], set[str]]:
    """Return what hangs on a splitter: a place with a second fibre is hurt only where this one serves it."""
    upstream, ports = _towards_port(rx, splitter)
    nodes = _downstream(rx, splitter, upstream)
    return nodes, footprints.standing_on(rx, ports) & _at(rx, nodes)


def _node(rx: Rx, name: str) -> Mapping[str, Any]:
    present = select(node_table).where(node_table.c.valid_to.is_(None))
    query = present.where(or_(node_table.c.id == name, node_table.c.name == name))
    rows = rx.execute(query.where(node_table.c.kind != "port")).mappings().all()
    rows = rows or rx.execute(present.where(node_table.c.id == name)).mappings().all()
    if not rows:
        raise NodeNotFound(
            f"No place, splitter, device or port {name!r}; a port is written device/port.",
            details={"node": name},
        )
    return dict(next((row for row in rows if row["id"] == name), rows[0]))


def _behind(rx: Rx, device: str, port: str | None) -> set[str]:
    """Return the devices whose way to the edge passes this device, or this port of it."""
    query = select(node_table.c.id).where(
        node_table.c.kind == "device", node_table.c.valid_to.is_(None)
    )
    wiring = Wiring(rx)
    names = rx.execute(query).scalars().all()
    hurt = {name for name in names if _passes(wiring, name, device, port)}
    return hurt if port is not None else hurt | {device}


def _passes(wiring: Wiring, start: str, device: str, port: str | None) -> bool:
    hops = (hop for hop in route_over(wiring, start) if hop.device == device)
    return any(port is None or port in {hop.in_port, hop.out_port} for hop in hops)


def _with_contents(rx: Rx, nodes: Collection[str]) -> set[str]:
    found = set(nodes)
    for chunk in chunks(sorted(nodes)):
        query = select(node_table.c.id).where(
            node_table.c.parent.in_(chunk), node_table.c.valid_to.is_(None)
        )
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


def _at(rx: Rx, places: Collection[str]) -> set[str]:
    """Return the instances at these places."""
    found: set[str] = set()
    for chunk in chunks(sorted(places)):
        query = select(instance_table.c.id).where(
            instance_table.c.valid_to.is_(None), instance_table.c.place.in_(chunk)
        )
        found |= set(rx.execute(query).scalars())
    return found


# -- pools ------------------------------------------------------------------------------------------


def _users_of_pool(rx: Rx, id_: str) -> set[str]:
    pool_of(rx, id_)
    owners = {taken.owner for taken in allocations(rx, pool=id_)}
    query = select(pool_user.c.user).join(pool_table, pool_table.c.number == pool_user.c.pool)
    sharing = query.where(
        pool_table.c.id == id_, pool_table.c.removed.is_(None), pool_user.c.valid_to.is_(None)
    )
    return {resource_of(owner) for owner in owners} | set(rx.execute(sharing).scalars())


def resource_of(owner: str) -> str:
    """Return the resource in an owner key `resource:characteristic:item`; the whole key when it is another's."""
    parts = owner.rsplit(":", 2)
    return parts[0] if len(parts) == 3 else owner  # noqa: PLR2004


# -- relations --------------------------------------------------------------------------------------


def _upwards(rx: Rx, seeds: Collection[str]) -> dict[str, Instance]:
    found = _load(rx, seeds)
    frontier = set(found)
    while frontier:
        above = {relation.source for relation in related_many(rx, frontier, reverse=True)}
        above |= {service for one in frontier if (service := _realized(found[one])) is not None}
        fresh = _load(rx, above - found.keys())
        found |= fresh
        frontier = set(fresh)
    return found | _load(rx, {one.line for one in found.values() if one.line is not None})


def _realized(one: Instance) -> str | None:
    """Return the service that a resource says it realises (`realizes.serviceId` of its TMF652 item)."""
    realizes = one.body.get("realizes")
    return realizes.get("serviceId") if isinstance(realizes, Mapping) else None


def _realizers(rx: Rx, above: Iterable[Instance]) -> set[str]:
    """Return what realises products and services by their line: all of it for a product, else who says so."""
    found: set[str] = set()
    for one in above:
        if one.line is None or one.kind == "resource":
            continue
        line = [i for kind in ("service", "resource") for i in _of_line(rx, kind, one.line)]
        found |= {i.id for i in line if one.kind == "product" or _realized(i) == one.id}
    return found


def _of_line(rx: Rx, kind: str, line: str) -> list[Instance]:
    return instances.find(rx, kind="service" if kind == "service" else "resource", line=line)


def _load(rx: Rx, ids: Collection[str]) -> dict[str, Instance]:
    return {one.id: one for one in instances.by_ids(rx, ids) if one.state not in _GONE}


def _shown(found: Mapping[str, Instance]) -> Json:
    in_order = sorted(found.values(), key=lambda one: one.id)
    kinds = {"resources": "resource", "services": "service", "products": "product"}
    shown: Json = {
        plural: [_entry(one) for one in in_order if one.kind == kind]
        for plural, kind in kinds.items()
    }
    return shown | {"parties": _parties(in_order)}


def _entry(one: Instance) -> Json:
    entry = {
        "id": one.id,
        "name": one.name,
        "category": one.category,
        "specification": one.spec,
        "state": one.state,
        "place": one.place,
        "line": one.line,
    }
    return {name: value for name, value in entry.items() if value not in (None, "")}


def _parties(found: Iterable[Instance]) -> list[Json]:
    parties: dict[tuple[str, str], Json] = {}
    for one in found:
        for party in one.body.get("relatedParty") or ():
            parties.setdefault((str(party.get("id")), str(party.get("role"))), dict(party))
    return [parties[key] for key in sorted(parties)]
