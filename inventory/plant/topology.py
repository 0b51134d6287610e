"""Topology import: devices, ports, links, places, splitters, stock and pools, from one description. Idempotent.

What exists stays: an import never takes away, never resets the state of what is in use, and lets an operator's
adminState and site stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select

from inventory import instances
from inventory.errors import TopologyConflict
from inventory.instances import Instance
from inventory.lineage.lifecycle import Physical, gone
from inventory.plant.registry import (
    CONTAINED,
    Device,
    devices,
    links,
    put,
    upsert_link,
    upsert_node,
)
from inventory.pools import add_values, create_pool, pool_id
from inventory.tables import pool as pool_table
from inventory.values.kinds import own_kinds, technology
from store import Tx
from store.errors import NotFound

PLACE, SPLITTER, ONT = "place", "splitter", "ont"
_SERIALS = "onu-serial"
_PASSIVE = (PLACE, SPLITTER)


@dataclass(frozen=True, slots=True)
class TopologyNode:
    """One node: a device when it can be reached by an `access` entry, else passive plant, stock, or nothing of ours.

    `access` holds mappings {protocol, host, port, username}.
    """

    name: str
    role: str
    platform: str = ""
    host: str = ""
    access: tuple[Mapping[str, Any], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopologyImport:
    """A topology in the inventory's own terms; `links` are (node, port, node, port)."""

    name: str
    nodes: tuple[TopologyNode, ...]
    links: tuple[tuple[str, str, str, str], ...] = ()
    host_key: str | None = None
    ca_path: str | None = None
    credential_ref: str | None = "lab"
    source: str | None = None
    """What the import is from, kept with every change of the plant; the topology's name unless given."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import found, and how much of it was new."""

    devices: tuple[str, ...]
    ports: int
    links: int
    places: int
    splitters: int
    stock: int
    pools: tuple[str, ...]
    """Ids of the pools that were made."""
    created: int
    """How many nodes, links, pools and stock values were new."""
    ignored: tuple[str, ...]
    """Nodes that are no device, place, splitter or ONT (parties without a way to reach them)."""


def import_topology(tx: Tx, topology: TopologyImport) -> ImportReport:
    """Import a topology; importing it again changes nothing.

    Labels read: `sim-pon-type`, `sim-pon-ports` (how many, named pon1 …) on access nodes; `place-id`, `address`
    on places; `sim-serial`, `sim-device-model`, `stock` on ONTs; `pool-ipv4`, `pool-ipv4-static`, `pool-ipv6`,
    `pool-s-vlan`, `vrf` on any device; each of the pools also with `-exclude` (values, ranges and prefixes, by commas)
    and `-bands` (`name=range` by commas).

    Raises:
        TopologyConflict: TOPOLOGY_CONFLICT, a link names an unknown node, or one port has two links.

    """
    return _Import(tx, topology).run()


class _Import:
    def __init__(self, tx: Tx, topology: TopologyImport) -> None:
        self._tx = tx
        self._topology = topology
        self._by = topology.source or f"topology {topology.name}"
        self._nodes = {node.name: node for node in topology.nodes}
        self._known_pools = set(
            tx.execute(select(pool_table.c.id).where(pool_table.c.removed.is_(None))).scalars()
        )
        self._created = 0
        self._pools: list[str] = []

    def run(self) -> ImportReport:
        _check_links(self._topology, self._nodes)
        registered = [node for node in self._topology.nodes if is_device(node)]
        places = self._passive(PLACE)
        splitters = self._passive(SPLITTER)
        known = {device.name: device for device in devices(self._tx)}
        for node in registered:
            self._device(node, known.get(node.name))
        ports = sum(self._ports(node) for node in registered)
        links = self._links()
        stock = self._stock()
        for node in registered:
            self._device_pools(node)
        return ImportReport(
            devices=tuple(node.name for node in registered),
            ports=ports,
            links=links,
            places=places,
            splitters=splitters,
            stock=stock,
            pools=tuple(self._pools),
            created=self._created,
            ignored=tuple(n.name for n in self._topology.nodes if not is_known(n)),
        )

    # -- plant --------------------------------------------------------------------------------------

    def _passive(self, role: str) -> int:
        found = [node for node in self._topology.nodes if node.role == role]
        for node in found:
            self._node(node_id(node), kind=role, name=node.name, role=role, labels=node.labels)
        return len(found)

    def _device(self, node: TopologyNode, known: Device | None) -> None:
        new = Device(
            name=node.name,
            platform=node.platform,
            role=node.role,
            site=node.labels.get("site"),
            host=node.host,
            endpoints=node.access,
            credential_ref=self._topology.credential_ref,
            host_key=self._topology.host_key,
            ca_path=self._topology.ca_path,
            labels=node.labels,
        )
        if known is not None:
            new = replace(new, site=new.site or known.site, admin_state=known.admin_state)
        self._created += known is None
        put(self._tx, new, self._by)
        values = {"role": node.role, "platform": node.platform}
        self._instance(node.name, "device", values, Physical.COMMISSIONED)

    def _ports(self, node: TopologyNode) -> int:
        access = self._access_ports(node)
        linked = [port for name, port in self._ends() if name == node.name]
        names = dict.fromkeys([*access, *linked])
        tech = technology(node.labels.get("sim-pon-type", "")) or None
        for name in names:
            on_access = tech if name in access else None
            self._port(node, name, on_access)
        return len(names)

    def _port(self, node: TopologyNode, name: str, tech: str | None) -> None:
        port = f"{node.name}/{name}"
        self._node(port, kind="port", name=name, parent=node.name, role=node.role, technology=tech)
        if tech is None:
            return
        values = {"device": node.name, "technology": tech}
        self._instance(port, "port", values, Physical.COMMISSIONED)
        instances.relate(self._tx, port, node.name, CONTAINED)
        for kind in own_kinds().values():
            if kind.per_port:
                self._pool(kind.name, port, technology=tech)

    def _access_ports(self, node: TopologyNode) -> list[str]:
        """Return the ports towards customers: those linked to passive plant, and those the labels count."""
        if "sim-pon-type" not in node.labels:
            return []
        counted = [f"pon{n + 1}" for n in range(int(node.labels.get("sim-pon-ports", "0")))]
        linked = [
            port
            for (name, port), (peer, _) in self._both_ways()
            if name == node.name and self._nodes[peer].role in _PASSIVE
        ]
        return list(dict.fromkeys([*counted, *linked]))

    def _links(self) -> int:
        known = {(link.a, link.b) for link in links(self._tx)}
        wanted = {pair for pair in map(self._edge, self._topology.links) if pair is not None}
        new = sorted(wanted - known)
        for a, b in new:
            upsert_link(self._tx, a, b, self._by)
        self._created += len(new)
        return len(wanted)

    def _edge(self, link: tuple[str, str, str, str]) -> tuple[str, str] | None:
        a, a_port, b, b_port = link
        ends = [self._end(a, a_port), self._end(b, b_port)]
        known = sorted(end for end in ends if end is not None)
        return (known[0], known[1]) if len(known) == len(ends) else None

    def _end(self, name: str, port: str) -> str | None:
        node = self._nodes[name]
        if node.role in _PASSIVE:
            return node_id(node)
        return f"{name}/{port}" if is_device(node) else None

    # -- stock and pools ----------------------------------------------------------------------------

    def _stock(self) -> int:
        onts = [n for n in self._topology.nodes if n.role == ONT and "sim-serial" in n.labels]
        by_model: dict[str, list[str]] = {}
        for node in onts:
            serial, model = node.labels["sim-serial"], node.labels.get("sim-device-model", "ONT")
            by_model.setdefault(model, []).append(serial)
            store = {"serial": serial, "deviceModel": model, "stock": node.labels.get("stock")}
            self._instance(serial, "stock", store, Physical.IN_STOCK)
        for model, serials in by_model.items():
            self._pool(_SERIALS, model, values=serials)
        return len(onts)

    def _device_pools(self, node: TopologyNode) -> None:
        labels, name = node.labels, node.name
        vrf = {"domain": labels["vrf"]} if "vrf" in labels else {}
        for label, (kind, part) in _PREFIX_POOLS.items():
            if label in labels:
                parts = _parts(node, label)
                self._pool(kind, f"{name}{part}", prefix=labels[label], **vrf, **parts)
        if "pool-s-vlan" in labels:
            first, last = _range(name, labels["pool-s-vlan"])
            parts = _parts(node, "pool-s-vlan")
            self._pool("s-vlan", name, first=first, last=last, **parts)

    def _pool(self, kind: str, scope: str, **content: Any) -> None:
        id_ = pool_id(kind, scope)
        if id_ not in self._known_pools:
            create_pool(self._tx, kind, scope, **content)
            self._pools.append(id_)
            self._known_pools.add(id_)
            self._created += 1
        elif "values" in content:
            add_values(self._tx, id_, content["values"])

    # -- furniture ----------------------------------------------------------------------------------

    def _node(self, id_: str, **columns: Any) -> None:
        self._created += upsert_node(self._tx, id_, **columns, by=self._by)

    def _instance(
        self, id_: str, category: str, characteristics: Mapping[str, Any], state: Physical
    ) -> None:
        """Record what exists from import on; its state is its users' matter afterwards."""
        try:
            present = instances.get(self._tx, id_)
        except NotFound:
            present = Instance(
                id=id_, kind="resource", category=category, key=id_, state=state, body=_PHYSICAL
            )
        if gone(present.state):
            present = replace(present, state=state)
        instances.put(self._tx, replace(present, name=id_, characteristics=dict(characteristics)))

    def _ends(self) -> Iterable[tuple[str, str]]:
        return (end for end, _ in self._both_ways())

    def _both_ways(self) -> Iterable[tuple[tuple[str, str], tuple[str, str]]]:
        for a, a_port, b, b_port in self._topology.links:
            yield (a, a_port), (b, b_port)
            yield (b, b_port), (a, a_port)


_PREFIX_POOLS = {
    "pool-ipv4": ("ipv4", ""),
    "pool-ipv4-static": ("ipv4", "/static"),
    "pool-ipv6": ("ipv6-prefix", ""),
}
_PHYSICAL = {"@type": "PhysicalResource"}


def is_device(node: TopologyNode) -> bool:
    """Say whether a node goes into the device registry."""
    return bool(node.access) and node.role not in {*_PASSIVE, ONT}


def is_known(node: TopologyNode) -> bool:
    """Say whether the inventory has a place for this node."""
    return is_device(node) or node.role in {*_PASSIVE, ONT}


def node_id(node: TopologyNode) -> str:
    """Return the id that orders use for a place (its label `place-id`), and the name of any other node."""
    return node.labels.get("place-id", node.name) if node.role == PLACE else node.name


def _check_links(topology: TopologyImport, nodes: Mapping[str, TopologyNode]) -> None:
    seen: set[tuple[str, str]] = set()
    for link in topology.links:
        for name, port in (link[:2], link[2:]):
            if name not in nodes:
                raise TopologyConflict(
                    f"Link {_spelled(link)} names {name!r}, which is no node of {topology.name}; "
                    "add the node or correct the link.",
                    details={"link": list(link), "node": name},
                )
            if (name, port) in seen:
                raise TopologyConflict(
                    f"{name}:{port} has two links in {topology.name}; a port has one, use another port.",
                    details={"link": list(link), "node": name},
                )
            seen.add((name, port))


def _spelled(link: tuple[str, str, str, str]) -> str:
    a, a_port, b, b_port = link
    return f"{a}:{a_port} to {b}:{b_port}"


def _parts(node: TopologyNode, label: str) -> dict[str, Any]:
    """Return what is excluded from a pool and what is reserved in it, as the labels beside the pool's say."""
    exclude = _listed(node.labels.get(f"{label}-exclude", ""))
    bands = [entry.partition("=") for entry in _listed(node.labels.get(f"{label}-bands", ""))]
    for band, separator, span in bands:
        if not (band.strip() and separator and span.strip()):
            raise TopologyConflict(
                f"Label {label}-bands of {node.name} has {band!r}; write name=range, such as "
                "static=100.64.8.0/24.",
                details={"node": node.name, "label": f"{label}-bands"},
            )
    return {"exclude": exclude, "bands": {band.strip(): span.strip() for band, _, span in bands}}


def _listed(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _range(name: str, text: str) -> tuple[int, int]:
    first, separator, last = text.partition("-")
    if not (separator and first.strip().isdecimal() and last.strip().isdecimal()):
        raise TopologyConflict(
            f"Label pool-s-vlan of {name} is {text!r}; write first-last, such as 1001-1999.",
            details={"node": name, "label": "pool-s-vlan"},
        )
    return int(first), int(last)
