"""Whatever happens in whatever order, a push that gets through leaves there what is held here, once each.

A long walk, by seed, over taking, confirming, releasing, time, others' doings in the source, imports and pushes of
which any request may fail before or after it took effect. (Walks drawn by hypothesis were too short: without the look
before the create they all passed. In these, any missing care shows.)
"""

from __future__ import annotations

import json
import random
import shutil
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from inventory import allocator, pools
from inventory.errors import AllocationNotFound, PoolExhausted
from inventory.sources import changes, push, run_import
from inventory.sources.errors import SourceUnreachable
from store import Database, ManualClock
from tests.sources import likeness
from tests.sources.conftest import World, tag, world_of

ADDRESSES = "ipam/ip-addresses"
CAPACITY = 13
STEPS = 250
WEIGHTS = {
    "take": 20,
    "confirm": 5,
    "release": 10,
    "later": 3,
    "somebody_adds": 4,
    "somebody_deletes": 4,
    "run_import": 4,
    "broken_import": 4,
    "broken_push": 20,
    "push_and_compare": 8,
    "settle": 4,
}


class Walk:
    """One /28 (13 values) in one source."""

    def __init__(self, base: Database, clock: ManualClock, there: Any, seed: int) -> None:
        self.base, self.clock, self.there = base, clock, there
        self.random = random.Random(seed)
        self.others: dict[Any, str] = {}
        self.known: set[str] = set()
        there.enforce_unique = False  # nothing there keeps us from making twins
        mine = {"tags": [tag(there, "turnup")], "custom_fields": {"turnup_scope": "bng-1"}}
        there.put("ipam/prefixes", prefix="100.64.0.0/28", **mine)
        self.world: World = world_of(base, there)
        self.run_import()

    def run(self) -> None:
        for _ in range(STEPS):
            (name,) = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
            getattr(self, name)()
            self.accounts_are_even()
            self.nothing_of_ours_stands_twice()
            self.others_are_never_touched()
        self.push_and_compare()

    def owner(self) -> str:
        return f"line-{self.random.randrange(10)}"

    def chance(self) -> bool:
        return self.random.random() < 0.5

    # -- here -----------------------------------------------------------------------------------------

    def take(self) -> None:
        owner, state = self.owner(), self.random.choice(("active", "reserved"))
        with self.base.write() as tx, suppress(PoolExhausted):
            before = allocator.allocations(tx, owner=owner)
            what: Any = {"kind": "ipv4", "scope": "bng-1", "owner": owner, "state": state}
            took = allocator.take(tx, **what)
            assert before or took[0].text not in self.known, "it is in use there"

    def confirm(self) -> None:
        with self.base.write() as tx, suppress(AllocationNotFound):
            allocator.confirm(tx, self.owner())

    def release(self) -> None:
        with self.base.write() as tx:
            allocator.release(tx, self.owner(), quarantine=self.chance())

    def later(self) -> None:
        self.clock.advance(timedelta(minutes=self.random.choice((1, 61))))

    # -- there ----------------------------------------------------------------------------------------

    def somebody_adds(self) -> None:
        address = f"100.64.0.{self.random.randrange(1, 15)}"
        if address not in self.hosts(self.there.all(ADDRESSES)):
            made = self.there.put(ADDRESSES, address=f"{address}/28", description="somebody")
            self.others[made["id"]] = json.dumps(made)

    def somebody_deletes(self) -> None:
        if theirs := self.theirs():
            gone = self.random.choice(theirs)
            self.there.drop(ADDRESSES, gone)
            del self.others[gone["id"]]
            self.known -= set(self.hosts([gone]))

    # -- between --------------------------------------------------------------------------------------

    def run_import(self) -> None:
        port = self.world.port()
        report = run_import(self.base, "sot", port)
        port.close()
        assert {finding["code"] for finding in report.findings} <= {"SOURCE_CONFLICT"}
        with self.base.read() as rx:
            held = allocator.allocations(rx, pool="ipv4@bng-1")
        conflicts = {one.text for one in held if not one.owner.startswith("source:")}
        self.known = set(self.hosts(self.theirs())) - conflicts

    def broken_import(self) -> None:
        self.breaks(after=False)
        port = self.world.port()
        with suppress(SourceUnreachable):
            run_import(self.base, "sot", port)
        port.close()
        self.there.fault = None

    def broken_push(self) -> None:
        self.breaks(after=self.chance())
        self.push()
        self.there.fault = None

    def breaks(self, *, after: bool) -> None:
        first, n = self.there._number, self.random.randrange(1, 10)
        dead = likeness.Answer(None, after=after)
        self.there.fault = lambda request: dead if request.number - first >= n else None

    def push_and_compare(self) -> None:
        self.clock.advance(timedelta(hours=2))
        self.push()
        with self.base.read() as rx:
            held = allocator.allocations(rx, pool="ipv4@bng-1")
            parked = {one.value for one in changes.changes(rx, "sot", "parked")}
            assert changes.changes(rx, "sot", "waiting") == []
        wanted = {
            one.text: (one.owner, one.state)
            for one in held
            if not one.owner.startswith("source:") and one.value not in parked
        }
        ours = self.ours()
        assert dict(zip(self.hosts(ours), map(said, ours), strict=True)) == wanted
        self.there.requests.clear()
        self.push()
        assert self.there.requests == []

    def settle(self) -> None:
        """Somebody looks at what is parked."""
        with self.base.write() as tx:
            for one in changes.changes(tx, "sot", "parked"):
                changes.retry(tx, "sot", one.id)

    # -- always ---------------------------------------------------------------------------------------

    def accounts_are_even(self) -> None:
        with self.base.read() as rx:
            pool = pools.pool(rx, "ipv4@bng-1")
        assert pool.allocated + pool.reserved + pool.quarantined + pool.free == pool.capacity
        assert pool.capacity <= CAPACITY

    def nothing_of_ours_stands_twice(self) -> None:
        ours = self.hosts(self.ours())
        assert len(ours) == len(set(ours))

    def others_are_never_touched(self) -> None:
        present = {one["id"]: json.dumps(one) for one in self.there.all(ADDRESSES)}
        assert {id_: present.get(id_) for id_ in self.others} == self.others

    def push(self) -> None:
        port = self.world.port()
        push(self.base, self.world.source, port)
        port.close()

    def ours(self) -> list[Any]:
        return [one for one in self.there.all(ADDRESSES) if one["id"] not in self.others]

    def theirs(self) -> list[Any]:
        return [one for one in self.there.all(ADDRESSES) if one["id"] in self.others]

    def hosts(self, objects: list[Any]) -> list[str]:
        return [one["address"].split("/")[0] for one in objects]


def said(one: Any) -> tuple[str, str]:
    status = one["status"].get("value", one["status"].get("name"))
    return one["description"].rpartition(": ")[2], str(status).lower()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", ["netbox", "nautobot"])
def test_a_random_walk(
    request: pytest.FixtureRequest,
    sqlite_template: Path,
    tmp_path: Path,
    clock: ManualClock,
    kind: str,
    seed: int,
) -> None:
    shutil.copy(sqlite_template, tmp_path / "turnup.db")
    url = f"sqlite:///{tmp_path / 'turnup.db'}"
    base = Database(url, clock=clock, synchronous="NORMAL")
    Walk(base, clock, request.getfixturevalue(kind), seed).run()
    base.close()
