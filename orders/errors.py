"""What the order engine refuses.

TurnupError
├── NotFound
│   ├── OrderNotFound       ORDER_NOT_FOUND
│   ├── ItemNotFound        ITEM_NOT_FOUND
│   ├── TaskNotFound        TASK_NOT_FOUND
│   ├── WaitNotFound        WAIT_NOT_FOUND
│   └── FalloutNotFound     FALLOUT_NOT_FOUND
├── Conflict
│   ├── OrderNotFinal       ORDER_NOT_FINAL
│   ├── OrderFinal          ORDER_FINAL
│   ├── FalloutClosed       FALLOUT_CLOSED
│   └── LeaseLost           LEASE_LOST
├── InvalidInput
│   └── TaskNeedsInvalid    TASK_NEEDS_INVALID
└── HandlerUnknown          HANDLER_UNKNOWN 500

INTERNAL_ERROR and RETRIES_EXHAUSTED are causes of held items only.
"""

from __future__ import annotations

from store.errors import Conflict, InvalidInput, NotFound, TurnupError


class OrderNotFound(NotFound):
    """No order has this id."""

    code = "ORDER_NOT_FOUND"
    reason = "The order does not exist"


class ItemNotFound(NotFound):
    """The order has no item with this id."""

    code = "ITEM_NOT_FOUND"
    reason = "The order has no such item"


class TaskNotFound(NotFound):
    """No task has this id."""

    code = "TASK_NOT_FOUND"
    reason = "The task does not exist"


class WaitNotFound(NotFound):
    """Nothing waits under this id (any more)."""

    code = "WAIT_NOT_FOUND"
    reason = "Nothing waits under this id"


class FalloutNotFound(NotFound):
    """No fallout record has this id."""

    code = "FALLOUT_NOT_FOUND"
    reason = "The fallout record does not exist"


class FalloutClosed(Conflict):
    """The fallout record was resolved before."""

    code = "FALLOUT_CLOSED"
    reason = "The fallout record is already resolved"


class OrderNotFinal(Conflict):
    """The order is still being worked on."""

    code = "ORDER_NOT_FINAL"
    reason = "The order has not reached a final state"


class OrderFinal(Conflict):
    """The order has reached a final state, and those are never left."""

    code = "ORDER_FINAL"
    reason = "The order has already reached a final state"


class LeaseLost(Conflict):
    """The task was claimed anew, so what this claim did must not be recorded."""

    code = "LEASE_LOST"
    reason = "The task belongs to a later claim"


class TaskNeedsInvalid(InvalidInput):
    """Tasks need something that does not exist, or each other."""

    code = "TASK_NEEDS_INVALID"
    reason = "The dependencies between tasks cannot be met"


class HandlerUnknown(TurnupError):
    """A stored task names a kind of step that this server does not have."""

    code = "HANDLER_UNKNOWN"
    reason = "This server does not know the kind of step"
