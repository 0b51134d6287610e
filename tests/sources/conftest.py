"""A database with a clock that stands still, and both likenesses on loopback with the same content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from inventory.sources import Patience, RestSource, Source, connect, parse_rules
from inventory.sources.register import add
from store import Database, ManualClock
from tests.sources import likeness

QUICK = Patience(attempts=3, backoff_s=0.001, longest_wait_s=1.0, connect_s=1.0, read_s=1.0)


@dataclass
class World:
    """A source of truth, and what we know of it."""

    base: Database
    there: Any
    source: Source

    def port(self, patience: Patience = QUICK) -> RestSource:
        return connect(self.source, likeness.TOKEN, patience)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def base(store_url: str, clock: ManualClock) -> Iterator[Database]:
    database = Database(store_url, clock=clock)
    yield database
    database.close()


@pytest.fixture
def netbox() -> Iterator[Any]:
    there = likeness.NetBox()
    yield there
    there.close()


@pytest.fixture
def nautobot() -> Iterator[Any]:
    there = likeness.Nautobot()
    yield there
    there.close()


@pytest.fixture(params=["netbox", "nautobot"])
def there(request: pytest.FixtureRequest) -> Any:
    """Either likeness, filled with the same small network."""
    made = request.getfixturevalue(request.param)
    fill(made)
    return made


@pytest.fixture
def world(base: Database, there: Any) -> World:
    return world_of(base, there)


def world_of(base: Database, there: Any, rules: dict[str, Any] | None = None) -> World:
    with base.write() as tx:
        made = add(
            tx,
            Source(
                name="sot",
                type=there.kind,
                url=there.url,
                token_ref="env:SOT_TOKEN",
                rules=parse_rules(rules),
            ),
        )
    return World(base, there, made)


def tag(there: Any, name: str) -> dict[str, Any]:
    """A tag as it stands in a list of tags."""
    if there.kind == "netbox":
        return {"id": 1, "name": name.upper(), "slug": name, "color": "9e9e9e"}
    return {"id": "1b5f", "object_type": "extras.tag", "url": "…", "name": name}


def fill(there: Any) -> None:
    """Two pools (100.64.0.0/24 with two addresses in use, 2001:db8::/48), one VLAN group with one VLAN."""
    mine = {"tags": [tag(there, "turnup")], "custom_fields": {"turnup_scope": "bng-1"}}
    there.put("ipam/prefixes", prefix="100.64.0.0/24", **mine)
    there.put("ipam/prefixes", prefix="2001:db8::/48", **mine)
    there.put("ipam/prefixes", prefix="192.0.2.0/24")
    there.put("ipam/ip-addresses", address="100.64.0.10/24", dns_name="www.example.net")
    there.put("ipam/ip-addresses", address="100.64.0.11/24", description="printer")
    there.put("ipam/ip-addresses", address="192.0.2.9/24")
    group = there.put("ipam/vlan-groups", name="Metro", slug="metro", **mine)
    place_in = "group" if there.kind == "netbox" else "vlan_group"
    there.put("ipam/vlans", vid=100, name="video", **{place_in: group})
    there.put("ipam/vlans", vid=7, name="elsewhere")
