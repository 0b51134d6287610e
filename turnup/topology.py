"""From a running lab to the registry: nodes, ports, links, places and stock, as the inventory imports them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inventory.devices import ImportReport, TopologyImport, import_topology
from lab import api as lab
from lab.topology import Topology
from lab.topology import load as load_topology
from store import Database

Json = dict[str, Any]


def import_lab(database: Database, info: lab.LabInfo, file: Path) -> ImportReport:
    """Import a running lab's devices and the topology's places, splitters, links and stock."""
    model = convert(info, load_topology(file))
    with database.write() as tx:
        return import_topology(tx, model)


def convert(info: lab.LabInfo, topology: Topology) -> TopologyImport:
    """Return the lab in the inventory's own terms."""
    running = {node.name: node for node in info.nodes}
    return TopologyImport(
        name=info.name,
        nodes=tuple(_node(node, running.get(node.name)) for node in topology.nodes),
        links=tuple((link.a.node, link.a.interface, link.b.node, link.b.interface) for link in topology.links),
        host_key=info.host_key,
        ca_path=str(info.ca_path),
    )
