"""The TMF APIs of this layer: 634 (catalog), 652 (orders) and 639 (inventory)."""

from __future__ import annotations

from fastapi import APIRouter

from catalog.collection import EntityCollection
from inventory.collection import InstanceCollection
from orders.desk import CancelCollection, OrderCollection
from rom.handlers import RomParts
from rom.resources import resource_body
from rom.service import Rom
from tmf.collection import Collection, HubPort, ResourceSpec, router
from tmf.paths import BASE_PATHS
from tmf.resources import (
    CANCEL_RESOURCE_ORDER,
    RESOURCE,
    RESOURCE_ORDER,
    RESOURCE_SPECIFICATION,
    read_only,
)


def routers(parts: RomParts, layer: Rom, hub: HubPort) -> list[APIRouter]:
    """Return the routers of the layer's three APIs."""
    orders = OrderCollection(parts.database, parts.ledger, layer.desk, RESOURCE_ORDER)
    cancels = CancelCollection(parts.database, parts.ledger, layer.desk)
    ordering: dict[ResourceSpec, Collection] = {
        RESOURCE_ORDER: orders,
        CANCEL_RESOURCE_ORDER: cancels,
    }
    instances = InstanceCollection(parts.database, "resource", resource_body)
    inventory: dict[ResourceSpec, Collection] = {read_only(RESOURCE): instances}
    catalog: dict[ResourceSpec, Collection] = {
        read_only(RESOURCE_SPECIFICATION): EntityCollection(
            parts.database, parts.catalogs, "resourceSpecification"
        ),
    }
    return [
        router(BASE_PATHS["634"], catalog, hub),
        router(BASE_PATHS["652"], ordering, hub),
        router(BASE_PATHS["639"], inventory, hub),
    ]
