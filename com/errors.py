"""What COM refuses.

TurnupError
├── InvalidInput
│   └── ProductItemInvalid      PRODUCT_ITEM_INVALID 400
├── NotFound
│   └── ProductNotFound         PRODUCT_NOT_FOUND 404
└── Conflict
    └── NoAccessPath            NO_ACCESS_PATH 409
"""

from __future__ import annotations

from store.errors import Conflict, InvalidInput, NotFound


class ProductItemInvalid(InvalidInput):
    """An order item lacks what its action needs."""

    code = "PRODUCT_ITEM_INVALID"
    reason = "A product order item is not complete or contradicts itself"


class ProductNotFound(NotFound):
    """The order names a product that the inventory does not hold."""

    code = "PRODUCT_NOT_FOUND"
    reason = "The named product does not exist"


class NoAccessPath(Conflict):
    """No access technology of the offering reaches the place."""

    code = "NO_ACCESS_PATH"
    reason = "The place cannot have the offering"
