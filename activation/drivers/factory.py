"""Which driver speaks which protocol, and which endpoint of a device is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from activation.credentials import Credentials
from activation.drivers.base import DriverError, Endpoint, Mode
from activation.drivers.eos import EosDriver, EosSettings
from activation.drivers.netconf import NetconfDriver, NetconfSettings
from activation.drivers.pool import Session
from activation.drivers.rest import RestDriver

PROTOCOLS: Mapping[str, Mode] = {
    "netconf": Mode.CONFIRMED,
    "eapi": Mode.CONFIRMED,
    "rest": Mode.IMMEDIATE,
}
"""Protocols with a driver, best first, with the mode a device of that protocol is expected to offer."""


class DriverMissing(DriverError):
    """No driver speaks any protocol of the device, or it is not in the registry."""

    code = "DRIVER_MISSING"
    reason = "No driver speaks to a device"


class DeviceView(Protocol):
    """What drivers need to know of a device (inventory's Device has it)."""

    @property
    def name(self) -> str: ...
    @property
    def platform(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def endpoints(self) -> Sequence[Any]:
        """Objects or mappings with `protocol`, `host`, `port`, `username`."""
        ...

    @property
    def credential_ref(self) -> str | None: ...
    @property
    def host_key(self) -> str | None: ...
    @property
    def ca_path(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class DriverSettings:
    """Settings of all drivers; `timeout_s` is for login and every ordinary answer."""

    netconf: NetconfSettings = field(default_factory=NetconfSettings)
    eos: EosSettings = field(default_factory=EosSettings)
    timeout_s: float = 10.0


class Drivers:
    """Makes sessions by protocol (a SessionFactory)."""

    def __init__(self, settings: DriverSettings | None = None) -> None:
        self._settings = settings or DriverSettings()

    def __call__(self, endpoint: Endpoint) -> Session:
        """Return a session with `endpoint`, not open yet.

        Raises:
            DriverMissing: nobody speaks its protocol.
        """
        match endpoint.protocol:
            case "netconf":
                return NetconfDriver(endpoint, self._settings.netconf)
            case "eapi":
                return EosDriver(endpoint, self._settings.eos)
            case "rest":
                return RestDriver(endpoint)
            case other:
                raise DriverMissing(endpoint.device, _no_driver(other))


def field_of(item: Any, name: str, default: Any = None) -> Any:
    """Return a field of an object or of a mapping."""
    if isinstance(item, Mapping):
        return item.get(name, default)
    return getattr(item, name, default)


def access_of(device: DeviceView) -> Any:
    """Return the endpoint of `device` with the best protocol that has a driver.

    Raises:
        DriverMissing: it has none.
    """
    return choose_access(device.name, device.endpoints)


def choose_access(device: str, endpoints: Sequence[Any]) -> Any:
    """Do the same for the endpoints of a device that is no object yet."""
    by_protocol = {field_of(item, "protocol"): item for item in reversed(endpoints)}
    best = next((by_protocol[name] for name in PROTOCOLS if name in by_protocol), None)
    if best is None:
        offered = ", ".join(sorted(map(str, by_protocol))) or "none at all"
        raise DriverMissing(device, _no_driver(offered))
    return best


def endpoint_of(
    device: DeviceView, credentials: Credentials, *, timeout_s: float = 10.0
) -> Endpoint:
    """Return where and as whom `device` is reached.

    Raises:
        DriverMissing: no driver for it.  CredentialError: its credential cannot be found.
    """
    access = access_of(device)
    ref = device.credential_ref
    return Endpoint(
        device=device.name,
        platform=device.platform,
        protocol=str(field_of(access, "protocol")),
        host=str(field_of(access, "host") or device.host),
        port=int(field_of(access, "port")),
        username=str(field_of(access, "username") or ""),
        password=credentials.resolve(ref).reveal() if ref else "",
        host_key=device.host_key,
        ca_path=device.ca_path,
        timeout_s=timeout_s,
    )


def _no_driver(offered: str) -> str:
    return f"no driver speaks {offered}; register an endpoint with one of: {', '.join(PROTOCOLS)}"
