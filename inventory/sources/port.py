"""A source of truth as the inventory sees it: neutral records, and what can be asked and done.

NetBox and Nautobot implement it by data (`netbox`, `nautobot`) over one engine (`rest`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Collection = Literal["prefix", "range", "address", "vlanGroup", "vlan", "device", "interface"]
Status = Literal["active", "reserved", "deprecated"]


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix. `domain`: its VRF (NetBox) or namespace (Nautobot); None: NetBox's global table."""

    id: str
    prefix: str
    domain: str | None = None
    domain_id: str | None = None
    status: str | None = None
    container: bool = False
    role: str | None = None
    site: str | None = None
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """A range of addresses, both ends inside, as plain addresses."""

    id: str
    first: str
    last: str
    domain: str | None = None
    domain_id: str | None = None
    status: str | None = None
    role: str | None = None
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Address:
    """An address in use; `holder` says by whom or what for, `mark` is what we wrote on it, if we did."""

    id: str
    address: str
    status: str | None = None
    role: str | None = None
    holder: str | None = None
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class VlanGroup:
    """A group in which VLAN ids are unique; `ranges` are inclusive."""

    id: str
    name: str
    ranges: tuple[tuple[int, int], ...] = ((1, 4094),)
    site: str | None = None
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vlan:
    """A VLAN in use. `svlan`: the VLAN id of the S-VLAN (IEEE 802.1ad) in which it is a customer's."""

    id: str
    vid: int
    name: str | None = None
    status: str | None = None
    role: str | None = None
    svlan: int | None = None
    svlan_id: str | None = None
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class PlantDevice:
    """A device; `address` is its primary one, without mask."""

    id: str
    name: str | None
    platform: str | None = None
    role: str | None = None
    site: str | None = None
    status: str | None = None
    address: str | None = None
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interface:
    """A port of a device; `type` as both sources spell it: `xgs-pon`, `10gbase-x-sfpp`."""

    id: str
    name: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Space:
    """A prefix in a domain: where to look for what is inside."""

    prefix: str
    domain: str | None = None
    domain_id: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a value of ours stands in the source: an address, a prefix, or a VLAN of a group."""

    collection: Literal["address", "prefix", "vlan"]
    text: str
    domain_id: str | None = None
    group_id: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What we write about a value; `mark` tells that it is ours, and whose."""

    status: Status
    mark: str
    name: str


@dataclass(frozen=True, slots=True)
class Found:
    """An object that stands at a target, or inside it."""

    id: str
    text: str
    status: str | None
    mark: str | None
    holder: str | None


class SourceOfTruth(Protocol):
    """Lists come page by page; `only`: the object of this id, if it is there. All raise the errors of `client.Client`."""

    def version(self) -> str:
        """Return which version answers; raises SourceAnswerInvalid when it is none of this type."""
        ...

    def prefixes(
        self, within: Space | None = None, only: str | None = None, /
    ) -> Iterator[Sequence[Prefix]]:
        """Return all prefixes, or those strictly inside a space."""
        ...

    def ranges(
        self, within: Space | None = None, only: str | None = None, /
    ) -> Iterator[Sequence[Range]]:
        """Return all ranges of addresses, or those inside a space (none when the source has no such thing)."""
        ...

    def addresses(self, within: Space, only: str | None = None, /) -> Iterator[Sequence[Address]]:
        """Return the addresses inside a space."""
        ...

    def groups(self, only: str | None = None, /) -> Iterator[Sequence[VlanGroup]]:
        """Return the VLAN groups."""
        ...

    def vlans(self, group: str, only: str | None = None, /) -> Iterator[Sequence[Vlan]]:
        """Return the VLANs of a group."""
        ...

    def customer_vlans(self, only: str | None = None, /) -> Iterator[Sequence[Vlan]]:
        """Return the C-VLANs, each inside its S-VLAN (none when the source has no such thing)."""
        ...

    def devices(self, only: str | None = None, /) -> Iterator[Sequence[PlantDevice]]:
        """Return the devices."""
        ...

    def interfaces(self, device: str, /) -> Iterator[Sequence[Interface]]:
        """Return the interfaces of a device."""
        ...

    def find(self, target: Target, /) -> Sequence[Found]:
        """Return what stands at a target; for prefixes also what lies inside."""
        ...

    def create(self, target: Target, content: Content, /) -> str:
        """Create an object and return its id."""
        ...

    def update(self, target: Target, object_id: str, content: Content, /) -> None:
        """Change what we wrote on an object."""
        ...

    def assigned(self, target: Target, object_id: str, /) -> bool:
        """Say whether somebody has tied the object to an interface."""
        ...

    def delete(self, target: Target, object_id: str, /) -> bool:
        """Delete an object; say whether it was there."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
