"""From a running lab to the registry: nodes, ports, links, places and stock, as the inventory imports them."""

from __future__ import annotations

from inventory.plant.topology import ImportReport, TopologyImport, TopologyNode, import_topology
from lab.api import LabInfo, NodeInfo
from store import Database


def import_lab(database: Database, info: LabInfo) -> ImportReport:
    """Import a running lab's devices, places, splitters, links, stock and pools."""
    with database.write() as tx:
        return import_topology(tx, convert(info))


def convert(info: LabInfo) -> TopologyImport:
    """Return the lab in the inventory's own terms."""
    return TopologyImport(
        name=info.name,
        nodes=tuple(_node(node) for node in info.nodes),
        links=tuple((link.a, link.a_port, link.b, link.b_port) for link in info.links),
        host_key=info.host_key,
        ca_path=str(info.ca_path),
        source=f"lab {info.name}",
        credential_ref=f"lab:{next(iter(lab_logins(info)), 'admin')}",
    )


def lab_logins(info: LabInfo) -> dict[str, str]:
    """Return user → password of the lab's devices (labels, default admin / admin); never stored."""
    return {
        node.labels.get("sim-username", "admin"): node.labels.get("sim-password", "admin")
        for node in info.nodes
        if node.access
    }


def _node(node: NodeInfo) -> TopologyNode:
    return TopologyNode(
        name=node.name,
        role=node.role,
        platform=node.platform,
        host=node.host or "",
        access=tuple(
            {"protocol": a.protocol, "host": a.host, "port": a.port, "username": a.username}
            for a in node.access
        ),
        labels=dict(node.labels),
    )
