"""Devices in files: CSV, a Nornir SimpleInventory host file, or what `device list` and `lab inspect` print as JSON.

A password in such a file is never sent or stored: name where it is with `credential_ref` (`env:NAME`, `file:PATH`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from store.errors import NotFound
from turnup.data import folder
from turnup.errors import DeviceFileInvalid

Json = dict[str, Any]
FILES = (".csv", ".json", ".yaml", ".yml")
OURS = {
    "name": "name",
    "platform": "platform",
    "role": "role",
    "site": "site",
    "host": "host",
    "credential_ref": "credentialRef",
    "host_key": "hostKey",
    "ca_path": "caPath",
}
"""Field of a file → field of the API. What else a file says becomes a label."""
ENDPOINT = ("protocol", "port", "username")
SECRET = ("password", "secret")
NETCONF_PORTS, SSH_PORTS, HTTPS_PORTS = (830, 8830), (22, 8022), (443, 8443)
DEFAULT_PORTS = {"netconf": 830, "ssh": 22, "eapi": 443, "rest": 443}


def import_body(source: str, credential: str | None = None) -> Json:
    """Return what to send: `{source: LAB}` for a lab or its topology file, else `{devices: […]}`.

    Raises NotFound, DeviceFileInvalid, and the lab's errors for a topology that is not valid.
    """
    path = Path(source)
    if not path.is_file():
        path = _shipped(path)
    if not path.is_file():
        if path.suffix in FILES or len(path.parts) > 1:
            raise NotFound(f"{source} does not exist; give a file, or the name of a running lab.")
        return {"source": source}
    if (lab := _lab_of(path)) is not None:
        return {"source": lab}
    return {"devices": read_devices(path, credential)}


def read_devices(path: Path, credential: str | None = None) -> list[Json]:
    """Return the devices of a file as the API takes them. Raises DeviceFileInvalid."""
    text = _read(path)
    rows = _csv(text, path) if path.suffix == ".csv" else _structured(text, path)
    devices: dict[str, Json] = {}
    for where, row in rows:
        device = _device(row, where, credential)
        known = devices.setdefault(device["name"], device)
        if known is not device:
            known["endpoints"] += device["endpoints"]
    if not devices:
        raise DeviceFileInvalid(f"{path} has no device.")
    return list(devices.values())


def _shipped(path: Path) -> Path:
    shipped = folder("topologies") / path.name
    return shipped if path.suffix in FILES and shipped.is_file() else path


def _lab_of(path: Path) -> str | None:
    """Return the name of the lab when the file is a topology."""
    if path.suffix == ".csv" or not isinstance(content := _yaml(_read(path), path), dict):
        return None
    if not isinstance(content.get("topology"), dict):
        return None
    from lab import topology

    return topology.load(path).name


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DeviceFileInvalid(f"{path} cannot be read as text: {error}.") from error


def _yaml(text: str, path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise DeviceFileInvalid(f"{path} is no YAML or JSON: {error}.") from error


# -- the forms ----------------------------------------------------------------------------------------


def _csv(text: str, path: Path) -> Iterator[tuple[str, Json]]:
    """Yield each line; a name on several lines is a device that can be reached in several ways."""
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    columns = [name.strip() for name in reader.fieldnames or ()]
    if missing := [name for name in ("name", "platform", "role", "host") if name not in columns]:
        raise DeviceFileInvalid(f"{path} needs the columns {', '.join(missing)} in its first line.")
    reader.fieldnames = columns
    for row in reader:
        if None in row:
            raise DeviceFileInvalid(f"{path} line {reader.line_num} has more fields than columns.")
        filled = {name: value.strip() for name, value in row.items() if value and value.strip()}
        if filled:
            yield f"{path} line {reader.line_num}", filled


def _structured(text: str, path: Path) -> Iterator[tuple[str, Json]]:
    match _yaml(text, path):
        case list() as entries:
            yield from _entries(entries, path)
        case dict() as labs if labs and all(isinstance(entry, list) for entry in labs.values()):
            reachable = (node for nodes in labs.values() for node in nodes if _access(node))
            yield from _entries(list(reachable), path)
        case dict() as hosts if hosts and all(isinstance(v, dict | None) for v in hosts.values()):
            yield from _nornir(hosts, path)
        case _:
            raise DeviceFileInvalid(
                f"{path} is no list of devices, no Nornir host file and no topology."
            )


def _entries(entries: list[Any], path: Path) -> Iterator[tuple[str, Json]]:
    for n, entry in enumerate(entries, 1):
        where = f"{path} entry {n}"
        if not isinstance(entry, dict):
            raise DeviceFileInvalid(f"{where} is no device: it needs name, platform, role, host.")
        shown = {name: name for name in entry} | {api: own for own, api in OURS.items()}
        yield where, {shown[name]: value for name, value in entry.items()}


def _access(node: Any) -> Any:
    return isinstance(node, dict) and (node.get("access") or node.get("endpoints"))


def _nornir(hosts: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Json]]:
    """Yield the hosts with what they inherit from `groups.yaml` and `defaults.yaml` beside the file."""
    groups = _beside(path, "groups")
    defaults = _beside(path, "defaults")
    for name, host in hosts.items():
        merged = _merged([host or {}, *_ancestors(host or {}, groups, set()), defaults])
        connection = merged["connection_options"].get("turnup") or {}
        extras = connection.get("extras") or {}
        roles = (host or {}).get("groups") or [None]
        own = {
            "name": name,
            "host": connection.get("hostname") or merged.get("hostname"),
            **{key: connection.get(key) or merged.get(key) for key in ("port", "username")},
            "platform": merged.get("platform"),
        }
        said = {**merged["data"], **extras}
        said.setdefault("role", roles[0])
        yield f"{path} host {name}", {**said, **{k: v for k, v in own.items() if v is not None}}


def _beside(path: Path, name: str) -> Json:
    for suffix in (".yaml", ".yml"):
        if (file := path.with_name(name + suffix)).is_file():
            content = _yaml(_read(file), file)
            return content if isinstance(content, dict) else {}
    return {}


def _ancestors(host: Json, groups: Json, seen: set[str]) -> Iterator[Json]:
    """Yield the groups of a host, nearest first, as Nornir resolves them."""
    for name in host.get("groups") or ():
        if name not in seen and isinstance(group := groups.get(name), dict):
            seen.add(name)
            yield group
            yield from _ancestors(group, groups, seen)


def _merged(layers: list[Json]) -> Json:
    merged: Json = {"data": {}, "connection_options": {}}
    for layer in reversed(layers):
        for key in ("hostname", "port", "username", "platform"):
            if layer.get(key) is not None:
                merged[key] = layer[key]
        for key in ("data", "connection_options"):
            merged[key] |= layer.get(key) or {}
    return merged


# -- one device -----------------------------------------------------------------------------------------


def _device(row: Json, where: str, credential: str | None) -> Json:
    if missing := [name for name in ("name", "platform", "role", "host") if not row.get(name)]:
        raise DeviceFileInvalid(f"{where} has no {', '.join(missing)}.")
    device = {api: str(row[own]) for own, api in OURS.items() if row.get(own) is not None}
    if credential:
        device.setdefault("credentialRef", credential)
    labels = dict(row.get("labels") or {})
    known = {*OURS, *ENDPOINT, *SECRET, "labels", "endpoints", "access", "adminState"}
    labels |= {k: v for k, v in row.items() if k not in known and isinstance(v, str | int | float)}
    return {
        **device,
        "labels": {str(name): str(value) for name, value in labels.items()},
        "endpoints": _endpoints(row, where),
    }


def _endpoints(row: Json, where: str) -> list[Json]:
    given = row.get("endpoints") or row.get("access")
    entries = given if isinstance(given, list) else [row]
    return [_endpoint({"host": row["host"], **entry}, row, where) for entry in entries]


def _endpoint(entry: Json, row: Json, where: str) -> Json:
    port = _port(entry.get("port"), where)
    protocol = str(entry.get("protocol") or _protocol(port, str(row["platform"])))
    if protocol not in DEFAULT_PORTS:
        raise DeviceFileInvalid(
            f"{where}: protocol {protocol} is none of {', '.join(DEFAULT_PORTS)}."
        )
    return {
        "protocol": protocol,
        "host": str(entry["host"]),
        "port": port or DEFAULT_PORTS[protocol],
        "username": str(entry.get("username") or row.get("username") or "admin"),
    }


def _port(value: Any, where: str) -> int | None:
    if value in (None, ""):
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise DeviceFileInvalid(f"{where}: port {value} is no number.") from None


def _protocol(port: int | None, platform: str) -> str:
    """Guess what a device speaks, by the port's custom and the platform's."""
    from activation.platform import Platforms

    usual = Platforms().usual_protocol(platform) or "netconf"
    if port in SSH_PORTS:
        return "ssh"
    if port in HTTPS_PORTS:
        return "rest" if usual == "netconf" else usual
    return usual if port is None else "netconf"
