"""What TMF639 shows of a resource's life: four states that are independent of each other (facts: TMF639 4.0)."""

from __future__ import annotations

from collections.abc import Mapping

from inventory.lineage.lifecycle import Logical, Physical

LIVE = (Logical.ASSIGNED, Logical.IN_USE, Logical.SUSPENDED)


def _states(administrative: str, operational: str, status: str, usage: str) -> dict[str, str]:
    return {
        "administrativeState": administrative,
        "operationalState": operational,
        "resourceStatus": status,
        "usageState": usage,
    }


TMF639: Mapping[str, Mapping[str, str]] = {
    Physical.PLANNED: _states("locked", "disable", "standby", "idle"),
    Physical.IN_STOCK: _states("unlocked", "enable", "available", "idle"),
    Physical.INSTALLED: _states("locked", "disable", "standby", "idle"),
    Physical.COMMISSIONED: _states("unlocked", "enable", "available", "idle"),
    Physical.IN_SERVICE: _states("unlocked", "enable", "available", "active"),
    # X.731: who uses it goes on, nobody new is let in
    Physical.MAINTENANCE: _states("shutdown", "enable", "suspended", "active"),
    Physical.DECOMMISSIONED: _states("locked", "disable", "standby", "idle"),
    Logical.CREATED: _states("locked", "disable", "standby", "idle"),
    Logical.ASSIGNED: _states("locked", "disable", "reserved", "idle"),
    Logical.IN_USE: _states("unlocked", "enable", "available", "active"),
    Logical.SUSPENDED: _states("locked", "enable", "suspended", "active"),
    Logical.RELEASED: _states("locked", "disable", "standby", "idle"),
}
