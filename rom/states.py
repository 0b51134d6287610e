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
