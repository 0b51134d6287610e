"""The connectivity graph and the choice of access ports in it, in one place for callers."""

from __future__ import annotations

from inventory.plant.choosing import PortChoice, alternatives, choose_device, choose_port, qualify
from inventory.plant.connectivity import (
    EDGE_ROLE,
    Hop,
    Reach,
    path,
    place_id,
    reachable,
    route_to_edge,
)

__all__ = [
    "EDGE_ROLE",
    "Hop",
    "PortChoice",
    "Reach",
    "alternatives",
    "choose_device",
    "choose_port",
    "path",
    "place_id",
    "qualify",
    "reachable",
    "route_to_edge",
]
