"""The TMF APIs of this layer: 633 (catalog), 641 (orders) and 638 (inventory)."""

from __future__ import annotations

from fastapi import APIRouter

from catalog.collection import EntityCollection
from inventory.collection import InstanceCollection
from orders.desk import CancelCollection, OrderCollection
from som.handlers import SomParts
from som.service import Som
from som.services import service_body
from tmf.collection import Collection, HubPort, ResourceSpec, router
from tmf.paths import BASE_PATHS
from tmf.resources import (
    CANCEL_SERVICE_ORDER,
    SERVICE,
    SERVICE_ORDER,
    SERVICE_SPECIFICATION,
    read_only,
)


def routers(parts: SomParts, layer: Som, hub: HubPort) -> list[APIRouter]:
    """Return the routers of the layer's three APIs."""
    orders = OrderCollection(parts.database, parts.ledger, layer.desk, SERVICE_ORDER)
    cancels = CancelCollection(parts.database, parts.ledger, layer.desk)
    ordering: dict[ResourceSpec, Collection] = {
        SERVICE_ORDER: orders,
        CANCEL_SERVICE_ORDER: cancels,
    }
    instances = InstanceCollection(parts.database, "service", service_body)
    inventory: dict[ResourceSpec, Collection] = {read_only(SERVICE): instances}
    catalog: dict[ResourceSpec, Collection] = {
        read_only(SERVICE_SPECIFICATION): EntityCollection(
            parts.database, parts.catalogs, "serviceSpecification"
        ),
    }
    return [
        router(BASE_PATHS["633"], catalog, hub),
        router(BASE_PATHS["641"], ordering, hub),
        router(BASE_PATHS["638"], inventory, hub),
    ]
