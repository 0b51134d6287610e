"""Life of a resource: which state may follow which. What can be touched has one table, what is only counted another.

    physical  planned → installed → commissioned → inService ⇄ maintenance → decommissioned    (stock: inStock → inService)
    logical   created → assigned → inUse ⇄ suspended → released

Names and order are those of plant and number management; TMF639 shows each as four states (`rom.states`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from inventory.errors import LifecycleInvalid


class Physical(StrEnum):
    """Life of a device, a port, an ONT."""

    PLANNED = "planned"
    IN_STOCK = "inStock"
    INSTALLED = "installed"
    COMMISSIONED = "commissioned"
    IN_SERVICE = "inService"
    MAINTENANCE = "maintenance"
    DECOMMISSIONED = "decommissioned"


class Logical(StrEnum):
    """Life of a VLAN, an address, a realised resource."""

    CREATED = "created"
    ASSIGNED = "assigned"
    IN_USE = "inUse"
    SUSPENDED = "suspended"
    RELEASED = "released"


PHYSICAL_CATEGORIES = frozenset({"device", "port", "stock"})
GONE = frozenset({Physical.DECOMMISSIONED, Logical.RELEASED})
"""Where a life ends; an id that comes back begins anew."""

PHYSICAL: Mapping[str, frozenset[Physical]] = {
    Physical.PLANNED: frozenset(
        {
            Physical.IN_STOCK,
            Physical.INSTALLED,
            Physical.COMMISSIONED,
            Physical.DECOMMISSIONED,
        }
    ),
    Physical.IN_STOCK: frozenset(
        {Physical.INSTALLED, Physical.IN_SERVICE, Physical.DECOMMISSIONED}
    ),
    Physical.INSTALLED: frozenset(
        {
            Physical.IN_STOCK,
            Physical.COMMISSIONED,
            Physical.MAINTENANCE,
            Physical.DECOMMISSIONED,
        }
    ),
    Physical.COMMISSIONED: frozenset(
        {Physical.IN_SERVICE, Physical.MAINTENANCE, Physical.DECOMMISSIONED}
    ),
    Physical.IN_SERVICE: frozenset(
        {
            Physical.COMMISSIONED,
            Physical.IN_STOCK,
            Physical.MAINTENANCE,
            Physical.DECOMMISSIONED,
        }
    ),
    Physical.MAINTENANCE: frozenset(
        {Physical.COMMISSIONED, Physical.IN_SERVICE, Physical.DECOMMISSIONED}
    ),
    Physical.DECOMMISSIONED: frozenset(
        {Physical.PLANNED, Physical.IN_STOCK, Physical.INSTALLED, Physical.COMMISSIONED}
    ),
}
LOGICAL: Mapping[str, frozenset[Logical]] = {
    Logical.CREATED: frozenset({Logical.ASSIGNED, Logical.IN_USE, Logical.RELEASED}),
    Logical.ASSIGNED: frozenset({Logical.IN_USE, Logical.RELEASED}),
    Logical.IN_USE: frozenset({Logical.SUSPENDED, Logical.RELEASED}),
    Logical.SUSPENDED: frozenset({Logical.IN_USE, Logical.RELEASED}),
    # the next user of the value; or an order that let it go was undone
    Logical.RELEASED: frozenset({Logical.CREATED, Logical.ASSIGNED, Logical.IN_USE}),
}
_FIRST_PHYSICAL = frozenset(PHYSICAL) - {
    Physical.IN_SERVICE,
    Physical.MAINTENANCE,
    Physical.DECOMMISSIONED,
}
_FIRST_LOGICAL = frozenset({Logical.CREATED, Logical.ASSIGNED, Logical.IN_USE})


def physical(category: str | None) -> bool:
    """Say whether resources of a category are of the physical table."""
    return category in PHYSICAL_CATEGORIES


def gone(state: str) -> bool:
    """Say whether a resource's life has ended."""
    return state in GONE


def allowed(category: str | None, before: str | None) -> frozenset[str]:
    """Return the states that may follow `before` (None: the states to begin with)."""
    table: Mapping[str, frozenset[str]] = PHYSICAL if physical(category) else LOGICAL
    if before is None:
        return frozenset(_FIRST_PHYSICAL if physical(category) else _FIRST_LOGICAL)
    return table.get(before, frozenset())


def check(id: str, category: str | None, before: str | None, after: str) -> None:  # noqa: A002
    """Refuse a step that no table has. Raises LifecycleInvalid (LIFECYCLE_INVALID), naming the allowed states."""
    following = allowed(category, before)
    if after == before or after in following:
        return
    known = PHYSICAL if physical(category) else LOGICAL
    ways = ", ".join(state for state in known if state in following)
    begins = "it begins as" if before is None else f"it is {before}; next can be"
    raise LifecycleInvalid(
        f"Resource {id} ({category or 'no category'}) cannot become {after or 'nothing'}: {begins} {ways or 'nothing'}.",
        details={"id": id, "state": before, "wanted": after, "allowed": sorted(following)},
    )
