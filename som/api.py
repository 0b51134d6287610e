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
from tmf.models import service_ordering as wire
from tmf.paths import BASE_PATHS

READ = frozenset({"list", "get"})
CANCEL = READ | {"create"}


def routers(parts: SomParts, layer: Som, hub: HubPort) -> list[APIRouter]:
    """Return the routers of the layer's three APIs."""
    orders = OrderCollection(parts.database, parts.ledger, layer.desk)
    cancels = CancelCollection(parts.database, parts.ledger, layer.desk)
    ordering: dict[ResourceSpec, Collection] = {
        ResourceSpec("/serviceOrder", "ServiceOrder", wire.ServiceOrderCreate): orders,
        ResourceSpec(
            "/cancelServiceOrder",
            "CancelServiceOrder",
            wire.CancelServiceOrderCreate,
            operations=CANCEL,
        ): cancels,
    }
    instances = InstanceCollection(parts.database, "service", service_body)
    inventory: dict[ResourceSpec, Collection] = {
        ResourceSpec("/service", "Service", operations=READ): instances
    }
    catalog: dict[ResourceSpec, Collection] = {
        ResourceSpec(
            "/serviceSpecification", "ServiceSpecification", operations=READ
        ): EntityCollection(parts.database, parts.catalogs, "serviceSpecification"),
    }
    return [
        router(BASE_PATHS["633"], catalog, hub),
        router(BASE_PATHS["641"], ordering, hub),
        router(BASE_PATHS["638"], inventory, hub),
    ]
