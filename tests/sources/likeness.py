"""A small HTTP server that answers as NetBox 4 or Nautobot 2 does: shapes, paging, tokens, validation, and bad days.

It keeps objects by their own JSON; nothing here is shared with the code under test. Faults are armed by a test:
each is a function that looks at a request and may answer, drop or delay it.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
TOKEN = "0123456789abcdef0123456789abcdef01234567"
TOKEN_2 = "nbt_4F9DAouzURLb.zjebxBPzICiPbWz0Wtx0fTL7bCKXKGTYhNzkgC2S"
MOST = 1000


@dataclass(frozen=True)
class Request:
    """A request as a fault sees it; `number` counts all of them from 1."""

    number: int
    method: str
    path: str
    query: dict[str, list[str]]
    body: Any


@dataclass(frozen=True)
class Answer:
    """An answer; `after`: let the request take effect first, then answer so. No status: drop the connection."""

    status: int | None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    delay_s: float = 0.0


Fault = Callable[[Request], Answer | None]


class Refused(Exception):
    """A request that the likeness refuses."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class Likeness:
    """One source of truth on loopback."""

    kind = ""
    key = "id"
    lists: tuple[str, ...] = (
        "ipam/prefixes",
        "ipam/ip-ranges",
        "ipam/ip-addresses",
        "ipam/vlan-groups",
        "ipam/vlans",
        "dcim/devices",
        "dcim/interfaces",
    )

    def __init__(self) -> None:
        self.objects: dict[str, list[Json]] = {name: [] for name in self.lists}
        self.requests: list[Request] = []
        self.fault: Fault | None = None
        self.page = 50
        self.write_enabled = True
        self.enforce_unique = True
        self.custom_fields: set[str] = {"turnup_scope"}
        self._lock = threading.RLock()
        self._number = 0
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # -- what a test sees and does ---------------------------------------------------------------------

    def all(self, name: str) -> list[Json]:
        return self.objects[name]

    def put(self, name: str, /, **attributes: Any) -> Json:
        """Add an object as if somebody had done so in the browser."""
        with self._lock:
            made = self._completed(name, attributes)
            self.objects[name].append(made)
            return made

    def drop(self, name: str, object_: Json) -> None:
        self.objects[name].remove(object_)

    def sent(self, method: str) -> list[Request]:
        return [one for one in self.requests if one.method == method]

    # -- requests ---------------------------------------------------------------------------------------

    def handle(self, method: str, target: str, headers: Any, body: Any) -> Answer:
        url = urlsplit(target)
        with self._lock:
            self._number += 1
            request = Request(self._number, method, url.path, parse_qs(url.query), body)
            self.requests.append(request)
            wrong = self.fault(request) if self.fault else None
            if wrong is not None and not wrong.after:
                return wrong
            try:
                answer = self._answer(request, headers.get("Authorization", ""))
            except Refused as error:
                answer = Answer(error.status, error.body)
            return answer if wrong is None else wrong

    def _answer(self, request: Request, authorization: str) -> Answer:
        self._authorize(request, authorization)
        if request.path == "/api/status/":
            return Answer(200, {"django-version": "5.2", f"{self.kind}-version": "4.6.8"})
        found = re.fullmatch(r"/api/((?:ipam|dcim)/[a-z-]+)/(?:([0-9a-f-]+)/)?", request.path)
        if found is None or found[1] not in self.objects:
            raise Refused(404, {"detail": "Not found."})
        name, id_ = found[1], found[2]
        match request.method:
            case "GET" if id_ is None:
                return Answer(200, self._listed(name, request))
            case "GET":
                return Answer(200, self._get(name, id_))
            case "POST":
                return Answer(201, self._create(name, request.body))
            case "PATCH":
                return Answer(200, self._patch(name, self._get(name, id_), request.body))
            case "DELETE":
                self.drop(name, self._get(name, id_))
                return Answer(204)
        raise Refused(405, {"detail": f'Method "{request.method}" not allowed.'})

    def _authorize(self, request: Request, authorization: str) -> None:
        if not authorization:
            raise Refused(403, {"detail": "Authentication credentials were not provided."})
        if authorization not in {f"Token {TOKEN}", f"Bearer {TOKEN_2}"}:
            raise Refused(403, {"detail": "Invalid token"})
        if request.method != "GET" and not self.write_enabled:
            raise Refused(403, {"detail": "You do not have permission to perform this action."})

    def _get(self, name: str, id_: str | None) -> Json:
        for one in self.objects[name]:
            if str(one["id"]) == id_:
                return one
        raise Refused(404, {"detail": "Not found."})

    def _listed(self, name: str, request: Request) -> Json:
        found = [one for one in self.objects[name] if self._fits(name, one, request.query)]
        offset = int(request.query.get("offset", ["0"])[0])
        limit = min(int(request.query.get("limit", [str(self.page)])[0]), self.page, MOST)
        more = offset + limit < len(found)
        # as behind a proxy that does not say what it is called: a host that must not be asked
        next_ = f"http://inside.invalid{request.path}?limit={limit}&offset={offset + limit}"
        return {
            "count": len(found),
            "next": next_ if more else None,
            "previous": None,
            "results": [self._shown(one, request.query) for one in found[offset : offset + limit]],
        }

    def _shown(self, one: Json, query: dict[str, list[str]]) -> Json:
        return one

    def _fits(self, name: str, one: Json, query: dict[str, list[str]]) -> bool:
        raise NotImplementedError

    def _completed(self, name: str, given: Json) -> Json:
        raise NotImplementedError

    def _create(self, name: str, body: Json) -> Json:
        raise NotImplementedError

    def _patch(self, name: str, one: Json, body: Json) -> Json:
        raise NotImplementedError

    def _check_custom(self, body: Json, refusal: Callable[[str], Json]) -> None:
        for field_ in body.get("custom_fields") or {}:
            if field_ not in self.custom_fields:
                raise Refused(400, refusal(field_))


class NetBox(Likeness):
    """NetBox 4.6: integer ids, {value, label}, brief objects, duplicates refused per VRF."""

    kind = "netbox"

    def __init__(self) -> None:
        super().__init__()
        self._next = 100

    def _completed(self, name: str, given: Json) -> Json:
        self._next += 1
        base: Json = {
            "id": self._next,
            "url": f"{self.url}/api/{name}/{self._next}/",
            "display": str(self._next),
            "description": "",
            "comments": "",
            "tags": [],
            "custom_fields": dict.fromkeys(sorted(self.custom_fields)),
            "created": "2026-11-01T08:00:00.000000Z",
        }
        extra: dict[str, Json] = {
            "ipam/prefixes": {
                "vrf": None,
                "scope_type": None,
                "scope_id": None,
                "scope": None,
                "status": choice("active"),
                "role": None,
                "is_pool": False,
            },
            "ipam/ip-ranges": {"vrf": None, "status": choice("active"), "role": None},
            "ipam/ip-addresses": {
                "vrf": None,
                "status": choice("active"),
                "role": None,
                "dns_name": "",
                "assigned_object_type": None,
                "assigned_object_id": None,
                "assigned_object": None,
            },
            "ipam/vlan-groups": {"scope": None, "vid_ranges": [[1, 4094]]},
            "ipam/vlans": {
                "site": None,
                "group": None,
                "status": choice("active"),
                "role": None,
                "qinq_role": None,
                "qinq_svlan": None,
            },
            "dcim/devices": {"status": choice("active"), "primary_ip": None, "platform": None},
            "dcim/interfaces": {"enabled": True, "mgmt_only": False},
        }
        made = {**base, **extra[name], **given}
        made["custom_fields"] = {**base["custom_fields"], **(given.get("custom_fields") or {})}
        return made

    def _fits(self, name: str, one: Json, query: dict[str, list[str]]) -> bool:
        tests: dict[str, Callable[[str], bool]] = {
            "id": lambda v: str(one["id"]) == v,
            "vrf_id": lambda v: str((one.get("vrf") or {"id": "null"})["id"]) == v,
            "within": lambda v: within(one["prefix"], v, strict=True),
            "within_include": lambda v: within(one["prefix"], v, strict=False),
            "parent": lambda v: holds(v, one.get("address") or one["start_address"]),
            "address": lambda v: str(ip_interface(one["address"]).ip) == v,
            "vid": lambda v: str(one["vid"]) == v,
            "group_id": lambda v: str((one["group"] or {"id": None})["id"]) == v,
            "qinq_role": lambda v: (one["qinq_role"] or {"value": None})["value"] == v,
            "device_id": lambda v: str(one["device"]["id"]) == v,
        }
        # NetBox ignores parameters that it does not know
        return all(tests[key](values[0]) for key, values in query.items() if key in tests)

    def _create(self, name: str, body: Json) -> Json:
        self._check_custom(
            body,
            lambda f: {
                "custom_fields": {f: [f"Custom field '{f}' does not exist for this object type."]}
            },
        )
        given = dict(body)
        given["status"] = self._status(body.get("status", "active"))
        if len(body.get("description", "")) > 200:
            raise Refused(
                400, {"description": ["Ensure this field has no more than 200 characters."]}
            )
        if "vrf" in body and body["vrf"] is not None:
            assert isinstance(body["vrf"], int)
            given["vrf"] = {"id": body["vrf"], "name": self._vrf(body["vrf"]), "rd": None}
        if name == "ipam/vlans":
            given["vid"] = int(body["vid"])
            given["group"] = {"id": body["group"], "name": "", "slug": ""}
        self._unique(name, given)
        return self.put(name, **given)

    def _vrf(self, id_: int) -> str:
        known = [one["vrf"] for one in self.objects["ipam/prefixes"] if one["vrf"]]
        for vrf in known:
            if vrf["id"] == id_:
                return str(vrf["name"])
        raise Refused(
            400, {"vrf": [f"Related object not found using the provided numeric ID: {id_}"]}
        )

    def _status(self, value: Any) -> Json:
        if value not in {"active", "reserved", "deprecated", "dhcp", "container"}:
            raise Refused(400, {"status": [f"{value} is not a valid choice."]})
        return choice(value)

    def _unique(self, name: str, given: Json) -> None:
        vrf = (given.get("vrf") or {"id": None})["id"]
        for one in self.objects[name]:
            if name == "ipam/ip-addresses" and self.enforce_unique:
                same = (one["vrf"] or {"id": None})["id"] == vrf
                host = ip_interface(one["address"]).ip == ip_interface(given["address"]).ip
                if same and host:
                    text = f"Duplicate IP address found in global table: {one['address']}"
                    raise Refused(400, {"address": [text]})
            if name == "ipam/vlans" and one["group"] and one["group"]["id"] == given["group"]["id"]:
                for unique in ("vid", "name"):
                    if one[unique] == given[unique]:
                        text = "VLAN with this Group and VLAN ID already exists."
                        raise Refused(400, {"__all__": [text]})

    def _patch(self, name: str, one: Json, body: Json) -> Json:
        changes = dict(body)
        if "status" in changes:
            changes["status"] = self._status(changes["status"])
        if "custom_fields" in changes:
            changes["custom_fields"] = {**one["custom_fields"], **changes["custom_fields"]}
        one.update(changes)
        return one


class Nautobot(Likeness):
    """Nautobot: UUIDs, related objects nested by depth, namespaces, strict filters."""

    kind = "nautobot"
    lists = (
        "ipam/prefixes",
        "ipam/ip-addresses",
        "ipam/vlan-groups",
        "ipam/vlans",
        "dcim/devices",
        "dcim/interfaces",
        "ipam/ip-address-to-interface",
    )

    def __init__(self) -> None:
        super().__init__()
        self.namespaces: dict[str, str] = {}
        self.namespace("Global")

    def namespace(self, name: str) -> Json:
        id_ = self.namespaces.setdefault(name, str(uuid.uuid4()))
        return {**self._related("ipam/namespaces", id_), "name": name}

    def status(self, name: str) -> Json:
        id_ = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        return {**self._related("extras/statuses", id_), "name": name}

    def _related(self, path: str, id_: str) -> Json:
        return {"id": id_, "object_type": path, "url": f"{self.url}/api/{path}/{id_}/"}

    def _completed(self, name: str, given: Json) -> Json:
        id_ = str(uuid.uuid4())
        base: Json = {
            **self._related(name, id_),
            "display": id_,
            "tags": [],
            "custom_fields": dict.fromkeys(sorted(self.custom_fields)),
            "notes_url": f"{self.url}/api/{name}/{id_}/notes/",
            "description": "",
        }
        extra: dict[str, Json] = {
            "ipam/prefixes": {
                "namespace": self.namespace("Global"),
                "status": self.status("Active"),
                "role": None,
                "type": choice("network"),
            },
            "ipam/ip-addresses": {
                "status": self.status("Active"),
                "role": None,
                "type": "host",
                "dns_name": "",
            },
            "ipam/vlan-groups": {"range": "1-4094", "location": None},
            "ipam/vlans": {"status": self.status("Active"), "role": None, "vlan_group": None},
            "dcim/devices": {
                "status": self.status("Active"),
                "primary_ip4": None,
                "primary_ip6": None,
            },
            "dcim/interfaces": {"enabled": True},
            "ipam/ip-address-to-interface": {},
        }
        made = {**base, **extra[name], **given}
        made["custom_fields"] = {**base["custom_fields"], **(given.get("custom_fields") or {})}
        if name == "ipam/ip-addresses" and "parent" not in made:
            made["parent"] = self._parent(made.pop("namespace", None), made["address"])
        return made

    def _parent(self, namespace: str | None, address: str) -> Json:
        wanted = namespace or self.namespaces["Global"]
        around = [
            one
            for one in self.objects["ipam/prefixes"]
            if one["namespace"]["id"] == wanted and holds(one["prefix"], address)
        ]
        if not around:
            text = f"No suitable parent Prefix for {address} exists in Namespace {wanted}"
            raise Refused(400, {"namespace": [text]})
        closest = max(around, key=lambda one: ip_network(one["prefix"]).prefixlen)
        return {**self._related("ipam/prefixes", closest["id"]), "of": wanted}

    def _fits(self, name: str, one: Json, query: dict[str, list[str]]) -> bool:
        tests: dict[str, Callable[[str], bool]] = {
            "id": lambda v: one["id"] == v,
            "namespace": lambda v: self._namespace_of(name, one) in {v, self.namespaces.get(v)},
            "within": lambda v: within(one["prefix"], v, strict=True),
            "within_include": lambda v: within(one["prefix"], v, strict=False),
            "prefix": lambda v: holds(v, one.get("address") or one["prefix"]),
            "address": lambda v: str(ip_interface(one["address"]).ip) == v,
            "vid": lambda v: str(one["vid"]) == v,
            "vlan_group": lambda v: (one["vlan_group"] or {"id": None})["id"] == v,
            "device": lambda v: one["device"]["id"] == v,
            "ip_address": lambda v: one["ip_address"]["id"] == v,
        }
        for key in query:
            if key not in {*tests, "limit", "offset", "depth", "exclude_m2m"}:
                raise Refused(400, {key: ["Unknown filter field"]})
        return all(tests[key](values[0]) for key, values in query.items() if key in tests)

    def _namespace_of(self, name: str, one: Json) -> str:
        return str(one["namespace"]["id"] if name == "ipam/prefixes" else one["parent"]["of"])

    def _shown(self, one: Json, query: dict[str, list[str]]) -> Json:
        """With depth 0 related objects are only named by id and url."""
        if query.get("depth", ["0"])[0] != "0":
            return one
        bare = ("id", "object_type", "url")
        return {
            name: {key: value[key] for key in bare}
            if isinstance(value, dict) and "object_type" in value
            else value
            for name, value in one.items()
        }

    def _create(self, name: str, body: Json) -> Json:
        self._check_custom(
            body, lambda f: {"custom_fields": [f"Unknown field name '{f}' in custom field data."]}
        )
        given = dict(body)
        if not isinstance(body.get("status"), dict):
            raise Refused(400, {"status": ["This field is required."]})
        given["status"] = self.status(body["status"]["name"])
        if name == "ipam/ip-addresses":
            parent = self._parent(body.get("namespace"), body["address"])
            if self.enforce_unique:
                self._no_twin(body["address"], parent)
        if name == "ipam/prefixes":
            given["namespace"] = self.namespace(self._name_of(body["namespace"]))
            given["type"] = choice(body.get("type", "network"))
        if name == "ipam/vlans":
            given["vid"] = int(body["vid"])
            given["vlan_group"] = self._related("ipam/vlan-groups", body["vlan_group"])
            twins = [
                one
                for one in self.objects[name]
                if one["vlan_group"]
                and one["vlan_group"]["id"] == body["vlan_group"]
                and one["vid"] == given["vid"]
            ]
            if twins:
                text = "The fields vlan_group, vid must make a unique set."
                raise Refused(400, {"non_field_errors": [text]})
        return self.put(name, **given)

    def _name_of(self, id_: str) -> str:
        return next(name for name, known in self.namespaces.items() if known == id_)

    def _no_twin(self, address: str, parent: Json) -> None:
        for one in self.objects["ipam/ip-addresses"]:
            same = ip_interface(one["address"]).ip == ip_interface(address).ip
            if same and one["parent"]["id"] == parent["id"]:
                text = "IP address with this Parent and Host already exists."
                raise Refused(400, {"__all__": [text]})

    def _patch(self, name: str, one: Json, body: Json) -> Json:
        changes = dict(body)
        if "status" in changes:
            changes["status"] = self.status(changes["status"]["name"])
        if "custom_fields" in changes:
            changes["custom_fields"] = {**one["custom_fields"], **changes["custom_fields"]}
        one.update(changes)
        return one


def choice(value: str) -> Json:
    return {"value": value, "label": value.capitalize()}


def holds(prefix: str, address: str) -> bool:
    """Say whether an address, whatever its mask, lies in a prefix."""
    around, host = ip_network(prefix), ip_address(address.partition("/")[0])
    return host.version == around.version and host in around


def within(inner: str, prefix: str, *, strict: bool) -> bool:
    """Say whether a prefix lies in another one; strictly: and is not the same."""
    a, b = ip_network(inner), ip_network(prefix)
    return a.version == b.version and a.subnet_of(b) and not (strict and a == b)  # type: ignore[arg-type]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _handler(likeness: Likeness) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one segment: apart, each answer waited 40 ms for an ACK

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            answer = likeness.handle(self.command, self.path, self.headers, body)
            if answer.delay_s:
                threading.Event().wait(answer.delay_s)
            if answer.status is None:
                # a reset, not an orderly end: what a restarted source looks like
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
                self.connection.close()
                return
            content = b"" if answer.body is None else _content(answer.body)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    return Handler


def _content(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()
