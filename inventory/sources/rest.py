"""The engine under both dialects: lists into records, targets into requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_interface, ip_network
from typing import Any, TypeVar

from inventory.sources.client import Client, Json
from inventory.sources.dialect import Dialect
from inventory.sources.errors import SourceAnswerInvalid
from inventory.sources.port import (
    Address,
    Collection,
    Content,
    Found,
    Interface,
    PlantDevice,
    Prefix,
    Range,
    Space,
    Target,
    Vlan,
    VlanGroup,
)

T = TypeVar("T")
Fields = Mapping[str, Any]
Pages = Iterator[Sequence[T]]


class RestSource:
    """A source of truth over HTTP.

    Args:
        client: its calls.
        dialect: its type.
        owner_field: custom field that holds our mark; None: the description does.

    """

    def __init__(self, client: Client, dialect: Dialect, owner_field: str | None = None) -> None:
        self._client = client
        self._dialect = dialect
        self._owner_field = owner_field

    def close(self) -> None:
        self._client.close()

    def version(self) -> str:
        answer = self._client.get("status/")
        found = answer.get(self._dialect.version) if isinstance(answer, dict) else None
        if found is None:
            raise SourceAnswerInvalid(
                f"What answers there is no {self._dialect.label}; check URL and type of the source."
            )
        return str(found)

    # -- lists ----------------------------------------------------------------------------------------

    def prefixes(self, within: Space | None = None, only: str | None = None, /) -> Pages[Prefix]:
        return self._list("prefix", self._prefix, self._space("within", within), only)

    def ranges(self, within: Space | None = None, only: str | None = None, /) -> Pages[Range]:
        return self._list("range", _range, self._space("inside", within), only)

    def addresses(self, within: Space, only: str | None = None, /) -> Pages[Address]:
        return self._list("address", self._address, self._space("inside", within), only)

    def groups(self, only: str | None = None, /) -> Pages[VlanGroup]:
        return self._list("vlanGroup", _group, {}, only)

    def vlans(self, group: str, only: str | None = None, /) -> Pages[Vlan]:
        return self._list("vlan", self._vlan, {self._dialect.parameters["group"]: group}, only)

    def customer_vlans(self, only: str | None = None, /) -> Pages[Vlan]:
        if not self._dialect.customers:
            return iter(())
        return self._list("vlan", self._vlan, self._dialect.customers, only)

    def devices(self, only: str | None = None, /) -> Pages[PlantDevice]:
        return self._list("device", _device, {}, only)

    def interfaces(self, device: str, /) -> Pages[Interface]:
        parameters = {self._dialect.parameters["device"]: device}
        return self._list("interface", _interface, parameters, None)

    def _list(
        self,
        collection: Collection,
        record: Callable[[Fields], T],
        parameters: Mapping[str, str],
        only: str | None,
    ) -> Pages[T]:
        path = self._dialect.paths.get(collection)
        if path is None:
            return
        narrowed = {**self._dialect.always, **parameters, **({"id": only} if only else {})}
        for page in self._client.pages(path, narrowed):
            yield [record(self._fields(collection, entry)) for entry in page]

    def _space(self, parameter: str, space: Space | None) -> dict[str, str]:
        if space is None:
            return {}
        names = self._dialect.parameters
        domain = space.domain_id or self._dialect.no_domain
        return {names[parameter]: space.prefix, **({names["domain"]: domain} if domain else {})}

    def _fields(self, collection: Collection, entry: Json) -> Fields:
        try:
            return {
                name: pick(entry, path) for name, path in self._dialect.read[collection].items()
            }
        except (AttributeError, TypeError) as error:
            raise SourceAnswerInvalid(
                f"{self._dialect.label} sent an entry of {self._dialect.paths[collection]} that is none: {error}."
            ) from None

    # -- records --------------------------------------------------------------------------------------

    def _prefix(self, given: Fields) -> Prefix:
        return Prefix(
            id=str(given["id"]),
            prefix=str(ip_network(given["prefix"], strict=False)),
            domain=given["domain"],
            domain_id=_text(given["domain_id"]),
            status=_lower(given["status"]),
            container=given["kind"] == "container",
            role=given["role"],
            site=given["site"],
            tags=_tags(given),
            fields=given["fields"] or {},
            mark=self._mark(given),
        )

    def _address(self, given: Fields) -> Address:
        return Address(
            id=str(given["id"]),
            address=_host(given["address"]),
            status=_lower(given["status"]),
            role=given["role"],
            holder=given["holder"],
            mark=self._mark(given),
        )

    def _vlan(self, given: Fields) -> Vlan:
        return Vlan(
            id=str(given["id"]),
            vid=int(given["vid"]),
            name=given["name"],
            status=_lower(given["status"]),
            role=given["role"],
            svlan=given.get("svlan"),
            svlan_id=_text(given.get("svlan_id")),
            mark=self._mark(given),
        )

    def _mark(self, given: Fields) -> str | None:
        if self._owner_field is None:
            return given["description"] or None
        return _text((given["fields"] or {}).get(self._owner_field))

    # -- single values --------------------------------------------------------------------------------

    def find(self, target: Target, /) -> Sequence[Found]:
        found = self._client.pages(
            self._path(target), {**self._dialect.always, **self._where(target)}
        )
        listed = (self._fields(target.collection, entry) for page in found for entry in page)
        # a source that does not know a parameter ignores it: what it lists may stand anywhere
        return [self._found(target, given) for given in listed if _stands(target, given)]

    def create(self, target: Target, content: Content, /) -> str:
        body = {
            **self._dialect.constant.get(target.collection, {}),
            **self._written(target, content),
            **self._said(content),
        }
        made = self._client.post(self._path(target), body)
        return str(made["id"])

    def update(self, target: Target, object_id: str, content: Content, /) -> None:
        self._client.patch(f"{self._path(target)}{object_id}/", self._said(content))

    def assigned(self, target: Target, object_id: str, /) -> bool:
        if target.collection != "address":
            return False
        if self._dialect.assignments is None:
            entry = self._client.get(f"{self._path(target)}{object_id}/")
            return self._fields("address", entry)["assigned"] is not None
        path, parameter = self._dialect.assignments
        return any(self._client.pages(path, {parameter: object_id}))

    def delete(self, target: Target, object_id: str, /) -> bool:
        return self._client.delete(f"{self._path(target)}{object_id}/")

    def _path(self, target: Target) -> str:
        return self._dialect.paths[target.collection]

    def _where(self, target: Target) -> dict[str, str]:
        names = self._dialect.parameters
        match target.collection:
            case "address":
                return self._space("address", Space(_host(target.text), None, target.domain_id))
            case "prefix":
                return self._space("withinOrEqual", Space(target.text, None, target.domain_id))
            case "vlan":
                return {names["group"]: str(target.group_id), names["vid"]: target.text}

    def _found(self, target: Target, given: Fields) -> Found:
        return Found(
            id=str(given["id"]),
            text=_text_of(target, given),
            status=_lower(given["status"]),
            mark=self._mark(given),
            holder=given.get("holder") or given["description"],
        )

    def _written(self, target: Target, content: Content) -> dict[str, Any]:
        values: dict[str, Any] = {
            "text": target.text,
            "domain": _number(target.domain_id),
            "group": _number(target.group_id),
            "vid": target.text,
            "name": content.name,
        }
        return {
            theirs: values[ours] for ours, theirs in self._dialect.write[target.collection].items()
        }

    def _said(self, content: Content) -> dict[str, Any]:
        status = {"status": self._dialect.status[content.status]}
        if self._owner_field is None:
            return {**status, "description": content.mark}
        return {**status, "custom_fields": {self._owner_field: content.mark}}


# -- the JSON of a source -----------------------------------------------------------------------------


def pick(entry: Json, path: str) -> Any:
    """Return what stands at a dotted path (see `Dialect.read`); None when nothing does."""
    for alternative in path.split("|"):
        found = _walk(entry, alternative.split("."))
        if found not in (None, ""):
            return found
    return None


def _walk(entry: Json, steps: Sequence[str]) -> Any:
    for n, step in enumerate(steps):
        if entry is None:
            return None
        if step == "*":
            return [_walk(one, steps[n + 1 :]) for one in entry]
        if isinstance(entry, list):
            entry = entry[int(step)] if int(step) < len(entry) else None
        else:
            entry = entry.get(step)
    return entry


def _range(given: Fields) -> Range:
    return Range(
        id=str(given["id"]),
        first=_host(given["first"]),
        last=_host(given["last"]),
        domain=given["domain"],
        domain_id=_text(given["domain_id"]),
        status=_lower(given["status"]),
        role=given["role"],
        tags=_tags(given),
        fields=given["fields"] or {},
    )


def _group(given: Fields) -> VlanGroup:
    return VlanGroup(
        id=str(given["id"]),
        name=given["name"],
        ranges=_ranges(given["ranges"]),
        site=given["site"],
        tags=_tags(given),
        fields=given["fields"] or {},
    )


def _device(given: Fields) -> PlantDevice:
    return PlantDevice(
        id=str(given["id"]),
        name=given["name"],
        platform=given["platform"],
        role=given["role"],
        site=given["site"],
        status=_lower(given["status"]),
        address=given["address"] and _host(given["address"]),
        tags=_tags(given),
        fields=given["fields"] or {},
    )


def _interface(given: Fields) -> Interface:
    return Interface(id=str(given["id"]), name=given["name"], type=given["type"])


def _ranges(given: Any) -> tuple[tuple[int, int], ...]:
    """Read NetBox's [[1, 4094]] and Nautobot's "1-4094,5"; none = all there are (IEEE 802.1Q)."""
    match given:
        case list():
            pairs: Iterable[tuple[int, int]] = ((int(first), int(last)) for first, last in given)
        case str():
            pairs = (_pair(part) for part in given.split(",") if part.strip())
        case _:
            pairs = ((1, 4094),)
    return tuple(sorted(pairs))


def _pair(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    return int(first), int(last if dash else first)


def _stands(target: Target, given: Fields) -> bool:
    match target.collection:
        case "vlan":
            here = _text(given["group_id"]) == target.group_id
            return here and str(given["vid"]) == target.text
        case "address":
            same_domain = "domain_id" not in given or _text(given["domain_id"]) == target.domain_id
            return same_domain and _host(given["address"]) == _host(target.text)
        case "prefix":
            inside = ip_network(given["prefix"], strict=False)
            wanted = ip_network(target.text)
            return (
                _text(given["domain_id"]) == target.domain_id
                and inside.version == wanted.version
                and inside.subnet_of(wanted)  # type: ignore[arg-type]
            )


def _text_of(target: Target, given: Fields) -> str:
    match target.collection:
        case "address":
            return _host(given["address"])
        case "prefix":
            return str(given["prefix"])
        case "vlan":
            return str(given["vid"])


def _host(address: Any) -> str:
    return str(ip_interface(str(address)).ip)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(id_: str | None) -> int | str | None:
    """Return an id as the source writes it: NetBox's are numbers, Nautobot's UUIDs."""
    return int(id_) if id_ is not None and id_.isdecimal() else id_


def _lower(status: Any) -> str | None:
    return None if status is None else str(status).lower()


def _tags(given: Fields) -> tuple[str, ...]:
    return tuple(str(tag) for tag in given["tags"] or () if tag is not None)
