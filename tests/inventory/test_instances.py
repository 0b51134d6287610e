"""Instances and relations keep every version, with the order item that made it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from inventory import Cause, instances
from inventory.errors import InstanceNotFound
from inventory.instances import Instance
from store import Database, ManualClock

FIRST = Cause("order-1", "1", "rom")
SECOND = Cause("order-2", "7", "rom")
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def base(store_url: str, clock: ManualClock) -> Iterator[Database]:
    database = Database(store_url, clock=clock)
    yield database
    database.close()


def vlan(**changes: object) -> Instance:
    some = Instance(
        id="res-1",
        kind="resource",
        category="composite",
        spec="RES-VLAN-Service",
        version="1.0",
        name="vlan",
        state="inUse",
        characteristics={"sVlan": 1001, "cVlan": 2, "tags": ["a", "b"], "none": None},
        place="PL-1001",
        line="line-1",
        key="vlan",
        inputs={"down": 200},
        after=("access",),
        body={"note": [{"text": "ü"}]},
    )
    return replace(some, **changes)  # type: ignore[arg-type]


def test_what_was_put_is_got(base: Database) -> None:
    with base.write() as tx:
        stored = instances.put(tx, vlan(), FIRST)
    with base.read() as rx:
        assert instances.get(rx, "res-1") == stored
    assert replace(stored, created=None, changed=None) == vlan()
    assert stored.created == stored.changed == base.clock.now()


def test_versions_answer_for_their_time(base: Database, clock: ManualClock) -> None:
    start = clock.now()
    with base.write() as tx:
        instances.put(tx, vlan(), FIRST)
        clock.advance(HOUR)
        instances.put(tx, vlan(state="released"), SECOND)
    with base.read() as rx:
        assert instances.get(rx, "res-1").state == "released"
        assert instances.get(rx, "res-1").created == start
        assert instances.get(rx, "res-1").changed == start + HOUR
        assert instances.get(rx, "res-1", at=start).state == "inUse"
        assert instances.get(rx, "res-1", at=start + HOUR / 2).state == "inUse"
        assert instances.get(rx, "res-1", at=start + HOUR).state == "released"
        with pytest.raises(InstanceNotFound, match="res-1"):
            instances.get(rx, "res-1", at=start - HOUR)
        versions = instances.history(rx, "res-1")
    assert [(v.instance.state, v.valid_from, v.valid_to, v.cause) for v in versions] == [
        ("inUse", start, start + HOUR, FIRST),
        ("released", start + HOUR, None, SECOND),
    ]


def test_putting_the_same_again_makes_no_version(base: Database, clock: ManualClock) -> None:
    with base.write() as tx:
        first = instances.put(tx, vlan(), FIRST)
        clock.advance(HOUR)
        again = instances.put(tx, vlan(), SECOND)
        assert again == first
        assert len(instances.history(tx, "res-1")) == 1


def test_two_changes_in_one_instant_leave_one_present(base: Database) -> None:
    with base.write() as tx:
        for state in ("inUse", "suspended", "released"):
            instances.put(tx, vlan(state=state), FIRST)
    with base.read() as rx:
        assert instances.get(rx, "res-1").state == "released"
        assert instances.get(rx, "res-1", at=base.clock.now()).state == "released"
        assert instances.count(rx, kind="resource") == 1


def test_unknown_instance_is_not_found(base: Database) -> None:
    with base.read() as rx:
        with pytest.raises(InstanceNotFound) as failure:
            instances.history(rx, "nothing")
        assert failure.value.code == "INSTANCE_NOT_FOUND"
        assert failure.value.status == 404


def test_find_and_count_narrow_by_everything_given(base: Database, clock: ManualClock) -> None:
    with base.write() as tx:
        for number in range(5):
            clock.advance(HOUR)
            instances.put(tx, vlan(id=f"r{number}", line=f"l{number % 2}", key=f"k{number}"), FIRST)
        instances.put(
            tx, vlan(id="s", kind="service", category="RFS", spec="RFS", place="PL-2"), FIRST
        )
        instances.put(tx, vlan(id="r4", line="l0", key="k4", state="released"), SECOND)
    with base.read() as rx:

        def ids(**query: object) -> list[str]:
            found = instances.find(rx, **query)  # type: ignore[arg-type]
            counted = {k: v for k, v in query.items() if k not in {"offset", "limit"}}
            if counted == query:
                assert instances.count(rx, **counted) == len(found)  # type: ignore[arg-type]
            return [one.id for one in found]

        assert ids(kind="resource") == ["r0", "r1", "r2", "r3", "r4"]
        assert ids(kind="resource", line="l1") == ["r1", "r3"]
        assert ids(kind="resource", line="l1", key="k3") == ["r3"]
        assert ids(kind="resource", states=["released"]) == ["r4"]
        assert ids(kind="resource", states=[]) == []
        assert ids(kind="resource", ids=["r2", "r0", "s"]) == ["r0", "r2"]
        assert ids(kind="service", spec="RFS", category="RFS", place="PL-2") == ["s"]
        assert ids(kind="service", place="PL-1001") == []
        assert ids(kind="resource", offset=1, limit=2) == ["r1", "r2"]
        assert ids(kind="resource", offset=4) == ["r4"]
        assert ids(kind="product") == []


def test_relations_have_history_and_two_ends(base: Database, clock: ManualClock) -> None:
    start = clock.now()
    with base.write() as tx:
        instances.relate(tx, "product", "service", "realizingService", FIRST)
        instances.relate(tx, "product", "service", "realizingService", SECOND)
        instances.relate(tx, "service", "res-1", "supportingResource", FIRST)
        clock.advance(HOUR)
        instances.unrelate(tx, "service", "res-1", "supportingResource", SECOND)
        instances.relate(tx, "service", "res-2", "supportingResource", SECOND)
    with base.read() as rx:
        assert [r.target for r in instances.related(rx, "product")] == ["service"]
        assert [r.target for r in instances.related(rx, "service")] == ["res-2"]
        assert [r.target for r in instances.related(rx, "service", at=start)] == ["res-1"]
        assert [r.source for r in instances.related(rx, "service", reverse=True)] == ["product"]
        assert instances.related(rx, "service", type="other") == []
        assert instances.related(rx, "res-1", reverse=True) == []
        assert len(instances.related_many(rx, ["product", "service"])) == 2


def test_a_dry_run_leaves_nothing(base: Database) -> None:
    with base.dry_run() as tx:
        instances.put(tx, vlan(), FIRST)
        instances.relate(tx, "a", "b", "t", FIRST)
    with base.read() as rx:
        assert instances.find(rx, kind="resource") == []
        assert instances.related(rx, "a") == []
