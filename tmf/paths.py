"""Where the nine APIs are (as the official v4 files spell it), and the addresses of their resources."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

BASE_PATHS: Mapping[str, str] = {
    "620": "/tmf-api/productCatalogManagement/v4",
    "622": "/tmf-api/productOrderingManagement/v4",
    "633": "/tmf-api/serviceCatalogManagement/v4",
    "634": "/tmf-api/resourceCatalog/v4",
    "637": "/tmf-api/productInventory/v4",
    "638": "/tmf-api/serviceInventory/v4",
    "639": "/tmf-api/resourceInventoryManagement/v4",
    "641": "/tmf-api/serviceOrdering/v4",
    "652": "/tmf-api/resourceOrderingManagement/v4",
}


def href(base_path: str, path: str, id: str) -> str:  # noqa: A002
    """Return the address of a resource; ids are percent-encoded, slashes too."""
    return f"{base_path}{path}/{quote(id, safe='')}"
