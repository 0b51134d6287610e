"""States of a service (TMF638 4.0; v4 has no `suspended`: a suspended service is inactive)."""

from __future__ import annotations

from enum import StrEnum


class ServiceState(StrEnum):
    """Life of a CFS or RFS."""

    DESIGNED = "designed"
    RESERVED = "reserved"
    INACTIVE = "inactive"
    ACTIVE = "active"
    TERMINATED = "terminated"


LIVE = (ServiceState.DESIGNED, ServiceState.RESERVED, ServiceState.INACTIVE, ServiceState.ACTIVE)
