"""The device registry and its imports, in one place for callers."""

from __future__ import annotations

from inventory.plant.registry import (
    AdminState,
    Device,
    DeviceVersion,
    Link,
    Port,
    devices,
    get,
    history,
    links,
    patch,
    ports,
    put,
    remove,
)
from inventory.plant.topology import ImportReport, TopologyImport, TopologyNode, import_topology

__all__ = [
    "AdminState",
    "Device",
    "DeviceVersion",
    "ImportReport",
    "Link",
    "Port",
    "TopologyImport",
    "TopologyNode",
    "devices",
    "get",
    "history",
    "import_topology",
    "links",
    "patch",
    "ports",
    "put",
    "remove",
]
