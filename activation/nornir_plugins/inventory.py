"""Inventory plug-in `TurnupInventory`: Nornir hosts from devices as Turnup's registry knows them.

    InitNornir(inventory={"plugin": "TurnupInventory", "options": {"file": "devices.json"}},
               runner={"plugin": "turnup_async"})

`devices`: a list of mappings or objects. `file`: the same as JSON or YAML, as `turnup device list --output json` and
`turnup lab inspect --output json` print it, or a Nornir SimpleInventory host file (`data` may say protocol, host_key
and ca_path). Groups are role and platform; labels are host data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from nornir.core.inventory import (
    ConnectionOptions,
    Defaults,
    Group,
    Groups,
    Host,
    Hosts,
    Inventory,
    ParentGroups,
)

from activation.drivers.base import DriverError
from activation.drivers.factory import choose_access, field_of
from activation.nornir_plugins.connection import NAME
from store.errors import InvalidInput

NETCONF_PORTS = {830: "netconf", 8830: "netconf"}
"""What a SimpleInventory host without `protocol` speaks when it has one of these ports; on others, nothing of ours."""


class InventoryFileInvalid(InvalidInput):
    """The file is no list of devices."""

    code: ClassVar[str] = "INVENTORY_FILE_INVALID"
    reason: ClassVar[str] = "A device list cannot be read"


class TurnupInventory:
    """Hosts from a device list.

    `username`, `password`, `host_key`, `ca_path`: for hosts that have none of their own.
    `extras`: added to every host's connection options (sessions, credentials, timeout_s ...).
    """

    def __init__(
        self,
        devices: Iterable[Any] | None = None,
        file: str | None = None,
        username: str | None = None,
        password: str | None = None,
        host_key: str | None = None,
        ca_path: str | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        self._devices = devices
        self._file = file
        self._defaults = Defaults(username=username, password=password)
        self._trust = {"host_key": host_key, "ca_path": ca_path}
        self._extras = dict(extras or {})

    def load(self) -> Inventory:
        """Return the inventory.

        Raises:
            InventoryFileInvalid: the file cannot be read or is no device list.
        """
        devices = [*(self._devices or ()), *(_from_file(self._file) if self._file else ())]
        hosts, groups = Hosts(), Groups()
        for device in devices:
            host = self._host(device, groups)
            hosts[host.name] = host
        return Inventory(hosts=hosts, groups=groups, defaults=self._defaults)

    def _host(self, device: Any, groups: Groups) -> Host:
        name = str(field_of(device, "name"))
        platform = field_of(device, "platform")
        role = field_of(device, "role")
        host = Host(
            name=name,
            hostname=field_of(device, "host"),
            platform=platform,
            groups=ParentGroups(
                _group(groups, text, self._defaults) for text in (role, platform) if text
            ),
            data=_data(device),
            defaults=self._defaults,
        )
        if (options := self._options(device)) is not None:
            host.connection_options[NAME] = options
            host.port, host.username = options.port, options.username
        return host

    def _options(self, device: Any) -> ConnectionOptions | None:
        try:
            access = choose_access(str(field_of(device, "name")), _endpoints(device))
        except DriverError:
            return None  # it still is a host: other plug-ins may reach it
        extras = {
            "device": field_of(device, "name"),
            "protocol": field_of(access, "protocol"),
            **{name: field_of(device, name) or own for name, own in self._trust.items()},
            "credential_ref": field_of(device, "credential_ref"),
            **self._extras,
        }
        return ConnectionOptions(
            hostname=field_of(access, "host") or field_of(device, "host"),
            port=field_of(access, "port"),
            username=field_of(access, "username"),
            platform=field_of(device, "platform"),
            extras={key: value for key, value in extras.items() if value is not None},
        )


def _endpoints(device: Any) -> tuple[Any, ...]:
    return tuple(field_of(device, "endpoints") or field_of(device, "access") or ())


def _group(groups: Groups, text: str, defaults: Defaults) -> Group:
    name = re.sub(r"\W+", "-", text)
    return groups.setdefault(name, Group(name=name, defaults=defaults))


def _data(device: Any) -> dict[str, Any]:
    own = {key: field_of(device, key) for key in ("role", "site", "admin_state")}
    labels = field_of(device, "labels") or {}
    return {**labels, **{key: value for key, value in own.items() if value is not None}}


def _from_file(path: str) -> list[Any]:
    import yaml

    try:
        content = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"{path} cannot be read as a device list: {error}"
        raise InventoryFileInvalid(msg) from error
    devices = _entries(content)
    if not all(isinstance(entry, dict) and entry.get("name") for entry in devices):
        msg = f"{path} is no device list: every device needs a name. Make one with `turnup device list --output json`"
        raise InventoryFileInvalid(msg)
    return [_snake(entry) for entry in devices]


def _entries(content: Any) -> list[Any]:
    match content:
        case list():
            return content
        case dict() if content and all(isinstance(entry, list) for entry in content.values()):
            return [device for devices in content.values() for device in devices]
        case dict() if all(isinstance(entry, dict | None) for entry in content.values()):
            return [_simple(name, entry or {}) for name, entry in content.items()]
        case _:
            return [content]


def _simple(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Turn a host of Nornir's SimpleInventory into a device mapping; its `data` may hold our fields."""
    data = dict(fields.get("data") or {})
    options = dict((fields.get("connection_options") or {}).get(NAME) or {})
    extras = dict(options.get("extras") or {})
    merged = {**data, **extras, "labels": data.get("labels", {}), "name": name}
    merged |= {"platform": fields.get("platform"), "host": fields.get("hostname")}
    port = options.get("port") or fields.get("port")
    protocol = extras.get("protocol") or data.get("protocol") or NETCONF_PORTS.get(port or 0)
    if "endpoints" not in merged and protocol:
        host, user = options.get("hostname"), options.get("username")
        merged["endpoints"] = [
            {
                "protocol": protocol,
                "host": host or fields.get("hostname"),
                "port": port,
                "username": user or fields.get("username"),
            }
        ]
    return merged


def _snake(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Accept the API's camelCase names as well (hostKey, credentialRef, caPath)."""
    return {
        re.sub(r"(?<=[a-z])([A-Z])", r"_\1", key).lower(): value for key, value in entry.items()
    }
