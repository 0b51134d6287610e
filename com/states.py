"""States of a product (TMF637 4.0)."""

from __future__ import annotations

from enum import StrEnum


class ProductState(StrEnum):
    """Life of a product instance."""

    CREATED = "created"
    PENDING_ACTIVE = "pendingActive"
    CANCELLED = "cancelled"
    ACTIVE = "active"
    PENDING_TERMINATE = "pendingTerminate"
    TERMINATED = "terminated"
    SUSPENDED = "suspended"


LIVE = (
    ProductState.ACTIVE,
    ProductState.SUSPENDED,
    ProductState.PENDING_ACTIVE,
    ProductState.PENDING_TERMINATE,
)
