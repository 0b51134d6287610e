"""The TMF APIs of this layer: 620 (catalog), 622 (orders) and 637 (inventory)."""

from __future__ import annotations

from fastapi import APIRouter

from catalog.collection import EntityCollection
from com.handlers import ComParts
from com.products import product_body
from com.service import Com
from inventory.collection import InstanceCollection
from orders.desk import CancelCollection, OrderCollection
from tmf.collection import Collection, HubPort, ResourceSpec, router
from tmf.paths import BASE_PATHS
from tmf.resources import (
    CANCEL_PRODUCT_ORDER,
    PRODUCT,
    PRODUCT_OFFERING,
    PRODUCT_OFFERING_PRICE,
    PRODUCT_ORDER,
    PRODUCT_SPECIFICATION,
    read_only,
)


def routers(parts: ComParts, layer: Com, hub: HubPort) -> list[APIRouter]:
    """Return the routers of the layer's three APIs."""
    orders = OrderCollection(parts.database, parts.ledger, layer.desk, PRODUCT_ORDER)
    cancels = CancelCollection(parts.database, parts.ledger, layer.desk)
    ordering: dict[ResourceSpec, Collection] = {
        PRODUCT_ORDER: orders,
        CANCEL_PRODUCT_ORDER: cancels,
    }
    instances = InstanceCollection(parts.database, "product", product_body)
    inventory: dict[ResourceSpec, Collection] = {read_only(PRODUCT): instances}
    catalog: dict[ResourceSpec, Collection] = {
        read_only(PRODUCT_OFFERING): EntityCollection(
            parts.database, parts.catalogs, "productOffering"
        ),
        read_only(PRODUCT_OFFERING_PRICE): EntityCollection(
            parts.database, parts.catalogs, "productOfferingPrice"
        ),
        read_only(PRODUCT_SPECIFICATION): EntityCollection(
            parts.database, parts.catalogs, "productSpecification"
        ),
    }
    return [
        router(BASE_PATHS["620"], catalog, hub),
        router(BASE_PATHS["622"], ordering, hub),
        router(BASE_PATHS["637"], inventory, hub),
    ]
