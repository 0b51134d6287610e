"""What ROM refuses or holds, beside what allocator, catalog and devices say.

TurnupError
├── InvalidInput
│   ├── ItemInvalid             ITEM_INVALID 400
│   └── TransactionCycle        TRANSACTION_CYCLE 400
├── NotFound
│   └── ResourceNotFound        RESOURCE_NOT_FOUND 404
└── Conflict
    ├── PlanChanged             PLAN_CHANGED 409
    ├── SerialMismatch          SERIAL_MISMATCH 409
    ├── RoleMissing             ROLE_MISSING 409
    └── NoDeviceOfRole          NO_DEVICE_OF_ROLE 409
"""

from __future__ import annotations

from store.errors import Conflict, InvalidInput, NotFound


class ItemInvalid(InvalidInput):
    """An order item lacks what its action needs."""

    code = "ITEM_INVALID"
    reason = "An order item is not complete or contradicts itself"


class TransactionCycle(InvalidInput):
    """Items that share a transaction wait for items that wait for the transaction."""

    code = "TRANSACTION_CYCLE"
    reason = "Transactions of the order wait for each other"


class ResourceNotFound(NotFound):
    """The order names a resource that the inventory does not hold."""

    code = "RESOURCE_NOT_FOUND"
    reason = "The named resource does not exist"


class PlanChanged(Conflict):
    """The plan is no longer the one whose hash the order carries."""

    code = "PLAN_CHANGED"
    reason = "The plan is no longer the one that was shown"


class SerialMismatch(Conflict):
    """An external party reports another value than the one that was assigned."""

    code = "SERIAL_MISMATCH"
    reason = "What was delivered is not what was assigned"


class RoleMissing(Conflict):
    """A resource uses a role that neither the order nor the line has."""

    code = "ROLE_MISSING"
    reason = "A resource needs another one that is not there"


class NoDeviceOfRole(Conflict):
    """The device registry has no managed device of the wanted role."""

    code = "NO_DEVICE_OF_ROLE"
    reason = "No managed device has the wanted role"
