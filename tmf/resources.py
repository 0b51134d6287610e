"""The resources of the nine APIs, ready for `tmf.collection.router`: paths, models, verbs, unpatchable attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tmf.collection import ALL, Model, ResourceSpec
from tmf.models import catalog as shared
from tmf.models import product_catalog as catalog620
from tmf.models import product_ordering as api622
from tmf.models import resource_catalog as catalog634
from tmf.models import resource_ordering as api652
from tmf.models import service_catalog as catalog633
from tmf.models import service_ordering as api641
from tmf.models.product import Product, ProductCreate
from tmf.models.resource import Resource, ResourceCreate
from tmf.models.service import Service, ServiceCreate

_TASK: Final = frozenset({"list", "get", "create"})
_JOB: Final = frozenset({"list", "get", "create", "delete"})
_ALWAYS: Final = frozenset({"id", "href"})
_DATED: Final = _ALWAYS | {"lastUpdate"}


def _spec(
    path: str,
    model: Model,
    create: Model,
    *,
    operations: frozenset[str] = ALL,
    fixed: frozenset[str] = _ALWAYS,
) -> ResourceSpec:
    """Name the resource after its path: /productOrder is a ProductOrder."""
    name = path[1:2].upper() + path[2:]
    return ResourceSpec(path, name, create, model, operations, model, fixed)


def read_only(spec: ResourceSpec) -> ResourceSpec:
    """Return the resource as an API shows it that changes it by other means only."""
    return replace(spec, operations=frozenset({"list", "get"}))


CATALOG = _spec(
    "/catalog", catalog620.ProductCatalog, catalog620.ProductCatalogCreate, fixed=_DATED
)
CATEGORY = _spec(
    "/category", catalog620.ProductCategory, catalog620.ProductCategoryCreate, fixed=_DATED
)
PRODUCT_OFFERING = _spec(
    "/productOffering", catalog620.ProductOffering, catalog620.ProductOfferingCreate, fixed=_DATED
)
PRODUCT_OFFERING_PRICE = _spec(
    "/productOfferingPrice",
    catalog620.ProductOfferingPrice,
    catalog620.ProductOfferingPriceCreate,
    fixed=_DATED,
)
PRODUCT_SPECIFICATION = _spec(
    "/productSpecification",
    catalog620.ProductSpecification,
    catalog620.ProductSpecificationCreate,
    fixed=_DATED,
)
SERVICE_CATALOG = _spec(
    "/serviceCatalog", catalog633.ServiceCatalog, catalog633.ServiceCatalogCreate, fixed=_DATED
)
SERVICE_CATEGORY = _spec(
    "/serviceCategory", catalog633.ServiceCategory, catalog633.ServiceCategoryCreate, fixed=_DATED
)
SERVICE_CANDIDATE = _spec(
    "/serviceCandidate",
    catalog633.ServiceCandidate,
    catalog633.ServiceCandidateCreate,
    fixed=_DATED,
)
SERVICE_SPECIFICATION = _spec(
    "/serviceSpecification",
    catalog633.ServiceSpecification,
    catalog633.ServiceSpecificationCreate,
    fixed=_DATED,
)
RESOURCE_CATALOG = _spec(
    "/resourceCatalog", catalog634.ResourceCatalog, catalog634.ResourceCatalogCreate
)
RESOURCE_CATEGORY = _spec(
    "/resourceCategory", catalog634.ResourceCategory, catalog634.ResourceCategoryCreate
)
RESOURCE_CANDIDATE = _spec(
    "/resourceCandidate", catalog634.ResourceCandidate, catalog634.ResourceCandidateCreate
)
RESOURCE_SPECIFICATION = _spec(
    "/resourceSpecification",
    catalog634.ResourceSpecification,
    catalog634.ResourceSpecificationCreate,
)
IMPORT_JOB = _spec("/importJob", shared.ImportJob, shared.ImportJobCreate, operations=_JOB)
EXPORT_JOB = _spec("/exportJob", shared.ExportJob, shared.ExportJobCreate, operations=_JOB)

PRODUCT = _spec("/product", Product, ProductCreate)
SERVICE = _spec("/service", Service, ServiceCreate, fixed=_ALWAYS | {"serviceDate"})
RESOURCE = _spec("/resource", Resource, ResourceCreate)

PRODUCT_ORDER = _spec(
    "/productOrder",
    api622.ProductOrder,
    api622.ProductOrderCreate,
    fixed=_ALWAYS | {"orderDate"},
)
CANCEL_PRODUCT_ORDER = _spec(
    "/cancelProductOrder",
    api622.CancelProductOrder,
    api622.CancelProductOrderCreate,
    operations=_TASK,
)
SERVICE_ORDER = _spec(
    "/serviceOrder",
    api641.ServiceOrder,
    api641.ServiceOrderCreate,
    fixed=_ALWAYS
    | {
        "orderDate",
        "completionDate",
        "startDate",
        "category",
        "cancellationDate",
        "cancellationReason",
        "errorMessage",
        "milestone",
        "jeopardyAlert",
        "@type",
        "@baseType",
        "@schemaLocation",
    },
)
CANCEL_SERVICE_ORDER = _spec(
    "/cancelServiceOrder",
    api641.CancelServiceOrder,
    api641.CancelServiceOrderCreate,
    operations=_TASK,
)
RESOURCE_ORDER = _spec(
    "/resourceOrder",
    api652.ResourceOrder,
    api652.ResourceOrderCreate,
    fixed=_ALWAYS | {"orderDate", "completionDate"},
)
CANCEL_RESOURCE_ORDER = _spec(
    "/cancelResourceOrder",
    api652.CancelResourceOrder,
    api652.CancelResourceOrderCreate,
    operations=_TASK,
)

RESOURCES: Mapping[str, tuple[ResourceSpec, ...]] = {
    "620": (
        CATALOG,
        CATEGORY,
        PRODUCT_OFFERING,
        PRODUCT_OFFERING_PRICE,
        PRODUCT_SPECIFICATION,
        IMPORT_JOB,
        EXPORT_JOB,
    ),
    "622": (PRODUCT_ORDER, CANCEL_PRODUCT_ORDER),
    "633": (
        SERVICE_CATALOG,
        SERVICE_CATEGORY,
        SERVICE_CANDIDATE,
        SERVICE_SPECIFICATION,
        IMPORT_JOB,
        EXPORT_JOB,
    ),
    "634": (
        RESOURCE_CATALOG,
        RESOURCE_CATEGORY,
        RESOURCE_CANDIDATE,
        RESOURCE_SPECIFICATION,
        IMPORT_JOB,
        EXPORT_JOB,
    ),
    "637": (PRODUCT,),
    "638": (SERVICE,),
    "639": (RESOURCE,),
    "641": (SERVICE_ORDER, CANCEL_SERVICE_ORDER),
    "652": (RESOURCE_ORDER, CANCEL_RESOURCE_ORDER),
}
