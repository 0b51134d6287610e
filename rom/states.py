"""Life of a realised resource, and what TMF639 shows of it (four independent states, facts: TMF639 4.0)."""

from __future__ import annotations

from enum import StrEnum


class ResourceState(StrEnum):
    """Lifecycle of a realised resource and of its parts."""

    RESERVED = "reserved"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"
    IDLE = "idle"


TMF639: dict[str, dict[str, str]] = {
    ResourceState.RESERVED: {
        "administrativeState": "locked",
        "operationalState": "disable",
        "resourceStatus": "reserved",
        "usageState": "idle",
    },
    ResourceState.ACTIVE: {
        "administrativeState": "unlocked",
        "operationalState": "enable",
        "resourceStatus": "available",
        "usageState": "active",
    },
    ResourceState.SUSPENDED: {
        "administrativeState": "locked",
        "operationalState": "enable",
        "resourceStatus": "suspended",
        "usageState": "active",
    },
    ResourceState.RETIRED: {
        "administrativeState": "locked",
        "operationalState": "disable",
        "resourceStatus": "standby",
        "usageState": "idle",
    },
    ResourceState.IDLE: {
        "administrativeState": "unlocked",
        "operationalState": "enable",
        "resourceStatus": "available",
        "usageState": "idle",
    },
}

TRANSITIONS: dict[ResourceState, frozenset[ResourceState]] = {
    ResourceState.RESERVED: frozenset({ResourceState.ACTIVE, ResourceState.RETIRED}),
    ResourceState.ACTIVE: frozenset({ResourceState.SUSPENDED, ResourceState.RETIRED}),
    ResourceState.SUSPENDED: frozenset({ResourceState.ACTIVE, ResourceState.RETIRED}),
    ResourceState.RETIRED: frozenset(),
    ResourceState.IDLE: frozenset(
        {ResourceState.RESERVED, ResourceState.ACTIVE, ResourceState.RETIRED}
    ),
}
