"""What SOM refuses.

TurnupError
├── InvalidInput
│   └── ServiceItemInvalid      SERVICE_ITEM_INVALID 400
└── NotFound
    └── ServiceNotFound         SERVICE_NOT_FOUND 404
"""

from __future__ import annotations

from store.errors import InvalidInput, NotFound


class ServiceItemInvalid(InvalidInput):
    """An order item lacks what its action needs."""

    code = "SERVICE_ITEM_INVALID"
    reason = "A service order item is not complete or contradicts itself"


class ServiceNotFound(NotFound):
    """The order names a service that the inventory does not hold."""

    code = "SERVICE_NOT_FOUND"
    reason = "The named service does not exist"
