"""Rules of an import, as data: which prefixes, ranges and VLAN groups become pools, which devices we manage.

The first rule that fits a record decides. Texts of a rule are templates: `{site}`, `{fields.turnup_scope}`, or
alternatives `{fields.turnup_scope|site}`, of which the first that has a value is taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

_HOLE = re.compile(r"\{([^{}]+)\}")
GLOBAL = "global"
"""How a rule calls NetBox's table of no VRF."""


class _Rule(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class Match(_Rule):
    """What a record must have; nothing said = anything. Lists: one of these. Upper and lower case are the same."""

    status: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()
    site: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    family: Literal[4, 6] | None = None
    fields: dict[str, str] = Field(default_factory=dict)

    def fits(self, facts: Mapping[str, Any]) -> bool:
        """Say whether a record (as `facts`) fits."""
        lists = (
            (self.status, "status"),
            (self.role, "role"),
            (self.domain, "domain"),
            (self.site, "site"),
            (self.name, "name"),
        )
        return (
            all(_one_of(wanted, facts.get(name)) for wanted, name in lists)
            and (not self.tag or any(_one_of(self.tag, tag) for tag in facts.get("tags") or ()))
            and self.family in {None, facts.get("family")}
            and all(
                str(facts.get(f"fields.{name}")) == value for name, value in self.fields.items()
            )
        )


_TAGGED = Match(tag=("turnup",))


class PoolRule(_Rule):
    """Prefixes and ranges that become pools. `kind`: by IP version, ipv4 or ipv6-prefix, when left out."""

    match: Match = _TAGGED
    kind: str | None = None
    scope: str = "{fields.turnup_scope|site}"
    domain: str = "{domain}"
    prefix_length: int | None = Field(default=None, ge=1, le=128)
    quarantine_seconds: int | None = Field(default=None, ge=0)


class VlanRule(_Rule):
    """VLAN groups that become pools of S-VLANs (or another kind of numbers)."""

    match: Match = _TAGGED
    kind: str = "s-vlan"
    scope: str = "{fields.turnup_scope|site|name}"
    quarantine_seconds: int | None = Field(default=None, ge=0)


class DeviceRule(_Rule):
    """Devices to register, and how they are reached. `platforms`, `roles`: their word → ours."""

    match: Match = _TAGGED
    platform: str = "{fields.turnup_platform|platform}"
    role: str = "{fields.turnup_role|role}"
    platforms: dict[str, str] = Field(default_factory=dict)
    roles: dict[str, str] = Field(default_factory=dict)
    protocol: Literal["netconf", "ssh", "eapi", "rest"] = "netconf"
    port: int = Field(default=830, ge=1, le=65535)
    username: str = "turnup"
    credential_ref: str | None = None
    admin_state: Literal["managed", "maintenance", "readOnly", "unmanaged"] = "managed"
    ports: bool = True
    """Import the device's PON ports, each with its pools of ids."""


class WriteBack(_Rule):
    """What is written back. `owner_field`: custom field for our mark; left out, the description holds it."""

    enabled: bool = True
    owner_field: str | None = None
    resting: bool = True
    """Keep a released value as `deprecated` until its quarantine here is over."""
    vlan_name: str = "turnup-{value}"


class Rules(_Rule):
    """All rules of a source; left out, what is tagged `turnup` is taken."""

    prefixes: tuple[PoolRule, ...] = (PoolRule(),)
    ranges: tuple[PoolRule, ...] = (PoolRule(),)
    vlan_groups: tuple[VlanRule, ...] = (VlanRule(),)
    devices: tuple[DeviceRule, ...] = (DeviceRule(),)
    write_back: WriteBack = WriteBack()


DEFAULT_RULES = Rules()

R = TypeVar("R", PoolRule, VlanRule, DeviceRule)


def rule_for(rules: Sequence[R], facts: Mapping[str, Any]) -> R | None:
    """Return the first rule that fits a record."""
    return next((rule for rule in rules if rule.match.fits(facts)), None)


def facts(record: object, **more: Any) -> dict[str, Any]:
    """Return a record's fields by name, custom fields as `fields.NAME`."""
    assert is_dataclass(record)
    known = {one.name: getattr(record, one.name) for one in fields_of(record)}
    custom = {f"fields.{name}": _plain(value) for name, value in known.pop("fields", {}).items()}
    named = {"domain": known.get("domain") or GLOBAL} if "domain" in known else {}
    return {**known, **custom, **named, **more}


def filled(template: str, facts: Mapping[str, Any]) -> str | None:
    """Return a template with its holes filled; None when a hole has no value."""
    values = {hole: _first(hole, facts) for hole in _HOLE.findall(template)}
    if None in values.values():
        return None
    return _HOLE.sub(lambda hole: str(values[hole[1]]), template)


def _first(hole: str, facts: Mapping[str, Any]) -> Any:
    found = (facts.get(name.strip()) for name in hole.split("|"))
    return next((value for value in found if value not in (None, "", [], ())), None)


def _plain(value: Any) -> Any:
    """Return a choice of a custom field by its value."""
    return value.get("value", value.get("name")) if isinstance(value, dict) else value


def _one_of(wanted: Sequence[str], value: Any) -> bool:
    return not wanted or str(value).lower() in {one.lower() for one in wanted}
