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
from tmf.models import product_ordering as wire
from tmf.paths import BASE_PATHS

READ = frozenset({"list", "get"})
CANCEL = READ | {"create"}


def routers(parts: ComParts, layer: Com, hub: HubPort) -> list[APIRouter]:
    """Return the routers of the layer's three APIs."""
    orders = OrderCollection(parts.database, parts.ledger, layer.desk)
    cancels = CancelCollection(parts.database, parts.ledger, layer.desk)
    ordering: dict[ResourceSpec, Collection] = {
        ResourceSpec("/productOrder", "ProductOrder", wire.ProductOrderCreate): orders,
        ResourceSpec(
            "/cancelProductOrder",
            "CancelProductOrder",
            wire.CancelProductOrderCreate,
            operations=CANCEL,
        ): cancels,
    }
    instances = InstanceCollection(parts.database, "product", product_body)
    inventory: dict[ResourceSpec, Collection] = {
        ResourceSpec("/product", "Product", operations=READ): instances
    }
    catalog: dict[ResourceSpec, Collection] = {
        ResourceSpec("/productOffering", "ProductOffering", operations=READ): EntityCollection(
            parts.database, parts.catalogs, "productOffering"
        ),
        ResourceSpec(
            "/productOfferingPrice", "ProductOfferingPrice", operations=READ
        ): EntityCollection(parts.database, parts.catalogs, "productOfferingPrice"),
        ResourceSpec(
            "/productSpecification", "ProductSpecification", operations=READ
        ): EntityCollection(parts.database, parts.catalogs, "productSpecification"),
    }
    return [
        router(BASE_PATHS["620"], catalog, hub),
        router(BASE_PATHS["622"], ordering, hub),
        router(BASE_PATHS["637"], inventory, hub),
    ]
