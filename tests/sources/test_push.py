"""Allocations stand in the source exactly once, whatever fails on the way; others' objects are never touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from inventory import allocator
from inventory.sources import PushReport, changes, push, run_import
from inventory.sources.changes import Change, State
from store import Database, ManualClock
from store.errors import TurnupError
from tests.sources import likeness
from tests.sources.conftest import QUICK, World, fill, world_of

ADDRESSES, PREFIXES, VLANS = "ipam/ip-addresses", "ipam/prefixes", "ipam/vlans"
Json = dict[str, Any]


def sent(world: World) -> PushReport:
    port = world.port()
    try:
        return push(world.base, world.source, port)
    finally:
        port.close()


def imported(world: World) -> World:
    port = world.port()
    run_import(world.base, "sot", port)
    port.close()
    world.there.requests.clear()
    return world


def take(world: World, owner: str, kind: str = "ipv4", **more: Any) -> str:
    more = {"state": "active"} | more
    with world.base.write() as tx:
        return allocator.take(tx, kind=kind, scope="bng-1", owner=owner, **more)[0].text


def release(world: World, owner: str) -> None:
    with world.base.write() as tx:
        allocator.release(tx, owner)


def ours(world: World, name: str = ADDRESSES) -> list[Json]:
    return [one for one in world.there.all(name) if one["description"].startswith("turnup ")]


def status(one: Json) -> str:
    return str(one["status"].get("value", one["status"].get("name"))).lower()


def parked(world: World, state: State = "parked") -> list[Change]:
    with world.base.read() as rx:
        return changes.changes(rx, "sot", state)


@pytest.fixture
def ready(world: World) -> World:
    return imported(world)


# -- what stands there --------------------------------------------------------------------------------


def test_what_is_taken_stands_there_with_its_owner(ready: World) -> None:
    text = take(ready, "res-1:address:3")
    report = sent(ready)
    assert (report.created, report.left) == (1, {"waiting": 0, "parked": 0, "done": 1})
    (one,) = ours(ready)
    assert one["address"] == f"{text}/24"
    assert one["description"].endswith(": res-1:address:3")
    assert status(one) == "active"


def test_prefixes_and_vlans_stand_there_too(ready: World) -> None:
    prefix = take(ready, "line-1", "ipv6-prefix")
    vlan = take(ready, "line-1", "s-vlan")
    sent(ready)
    assert [one["prefix"] for one in ours(ready, PREFIXES)] == [prefix]
    (one,) = ours(ready, VLANS)
    assert (str(one["vid"]), one["name"]) == (vlan, f"turnup-{vlan}")


def test_a_vrf_or_namespace_is_kept(base: Database, there: Any) -> None:
    mine = {
        "tags": there.all(PREFIXES)[0]["tags"],
        "custom_fields": {"turnup_scope": "bng-2"},
    }
    red: Json = (
        {"vrf": {"id": 7, "name": "red", "rd": "65000:7"}}
        if there.kind == "netbox"
        else {"namespace": there.namespace("red")}
    )
    # the same addresses in another domain
    there.put(PREFIXES, prefix="100.64.0.0/24", **mine, **red)
    world = imported(world_of(base, there))
    with base.write() as tx:
        allocator.take(tx, kind="ipv4", scope="bng-2", owner="o", value="100.64.0.10")
    sent(world)
    (made,) = ours(world)
    if there.kind == "netbox":
        assert made["vrf"]["name"] == "red"
    else:
        assert made["parent"]["of"] == there.namespaces["red"]


def test_pushing_again_sends_nothing(ready: World) -> None:
    for n in range(5):
        take(ready, f"o{n}")
    sent(ready)
    ready.there.requests.clear()
    report = sent(ready)
    assert (report.sent, ready.there.requests) == (0, [])


def test_importing_what_we_wrote_holds_nothing_twice(ready: World) -> None:
    take(ready, "o1")
    sent(ready)
    port = ready.port()
    report = run_import(ready.base, "sot", port)
    port.close()
    assert report.findings == ()
    assert report.counts["ours"] == 1
    assert sent(ready).sent == 0


def test_what_the_source_itself_uses_is_not_written_back(ready: World) -> None:
    assert sent(ready).sent == 0
    assert ready.there.sent("POST") == []


def test_a_reservation_is_reserved_there_until_it_is_confirmed(ready: World) -> None:
    take(ready, "o1", state="reserved")
    sent(ready)
    assert status(ours(ready)[0]) == "reserved"
    with ready.base.write() as tx:
        allocator.confirm(tx, "o1")
    assert sent(ready).updated == 1
    assert [status(one) for one in ours(ready)] == ["active"]


def test_a_released_value_rests_there_as_long_as_here(ready: World, clock: ManualClock) -> None:
    take(ready, "o1")
    sent(ready)
    release(ready, "o1")
    sent(ready)
    assert [status(one) for one in ours(ready)] == ["deprecated"]
    clock.advance(timedelta(seconds=3599))
    assert sent(ready).sent == 0
    clock.advance(timedelta(seconds=2))
    assert sent(ready).deleted == 1
    assert ours(ready) == []
    assert sent(ready).sent == 0


def test_a_released_value_goes_at_once_when_the_rules_say_so(base: Database, netbox: Any) -> None:
    fill(netbox)
    world = imported(world_of(base, netbox, {"writeBack": {"resting": False}}))
    take(world, "o1")
    sent(world)
    release(world, "o1")
    assert sent(world).deleted == 1


def test_a_value_that_changed_hands_has_its_new_owner_there(ready: World) -> None:
    text = take(ready, "o1")
    sent(ready)
    release_now(ready, "o1")
    take(ready, "o2", value=text)
    assert sent(ready).updated == 1
    (one,) = ours(ready)
    assert one["description"].endswith(": o2")


def release_now(world: World, owner: str) -> None:
    with world.base.write() as tx:
        allocator.release(tx, owner, quarantine=False)


def test_what_came_and_went_between_two_pushes_is_never_sent(ready: World) -> None:
    take(ready, "o1")
    release(ready, "o1")
    sent(ready)
    assert ready.there.requests == []


def test_an_expired_reservation_goes_there_too(ready: World, clock: ManualClock) -> None:
    take(ready, "o1", state="reserved", ttl_seconds=60)
    sent(ready)
    clock.advance(timedelta(seconds=61))
    assert sent(ready).deleted == 1
    assert ours(ready) == []


def test_our_mark_can_stand_in_a_custom_field(base: Database, there: Any) -> None:
    there.custom_fields.add("turnup_owner")
    world = imported(world_of(base, there, {"writeBack": {"ownerField": "turnup_owner"}}))
    take(world, "o1")
    sent(world)
    marked = [one for one in there.all(ADDRESSES) if one["custom_fields"].get("turnup_owner")]
    assert len(marked) == 1
    assert marked[0]["description"] == ""
    release_now(world, "o1")
    assert sent(world).deleted == 1


def test_a_very_long_owner_is_cut_but_told_apart(ready: World) -> None:
    for n in range(2):
        take(ready, "x" * 300 + str(n))
    sent(ready)
    first, second = (one["description"] for one in ours(ready))
    assert len(first) <= 200
    assert first != second
    assert sent(ready).sent == 0


def test_write_back_can_be_switched_off(base: Database, netbox: Any) -> None:
    fill(netbox)
    world = imported(world_of(base, netbox, {"writeBack": {"enabled": False}}))
    take(world, "o1")
    sent(world)
    assert netbox.requests == []


# -- others' objects ----------------------------------------------------------------------------------


def test_what_others_use_is_reported_and_never_overwritten(ready: World) -> None:
    intruder = ready.there.put(ADDRESSES, address="100.64.0.50/24", dns_name="intruder")
    before = dict(intruder)
    take(ready, "o1", value="100.64.0.50")
    report = sent(ready)
    assert (report.created, report.parked) == (0, 1)
    (change,) = parked(ready)
    assert change.code == "SOURCE_CONFLICT"
    assert "'intruder'" in str(change.message)
    assert intruder == before
    ready.there.drop(ADDRESSES, intruder)
    assert sent(ready).sent == 0, "a parked change waits for somebody"
    with ready.base.write() as tx:
        changes.retry(tx, "sot", change.id)
    assert sent(ready).created == 1


def test_a_conflict_is_theirs_as_soon_as_nobody_holds_it_here(
    ready: World, clock: ManualClock
) -> None:
    for host, quarantine in ((50, True), (51, False)):
        ready.there.put(ADDRESSES, address=f"100.64.0.{host}/24", dns_name="intruder")
        take(ready, f"o{host}", value=f"100.64.0.{host}")
        sent(ready)
        with ready.base.write() as tx:
            allocator.release(tx, f"o{host}", quarantine=quarantine)
        sent(ready)
        clock.advance(timedelta(days=1))
        with ready.base.write() as tx, pytest.raises(TurnupError):
            allocator.take(tx, kind="ipv4", scope="bng-1", owner="next", value=f"100.64.0.{host}")
    assert ours(ready) == []


def test_a_customers_prefix_inside_ours_is_a_conflict(ready: World) -> None:
    ready.there.put(PREFIXES, prefix="2001:db8:0:9:8000::/65", description="somebody")
    take(ready, "o1", "ipv6-prefix", value="2001:db8::/56")
    sent(ready)
    (change,) = parked(ready)
    assert change.code == "SOURCE_CONFLICT"


def test_who_was_faster_between_look_and_create_wins(ready: World) -> None:
    take(ready, "o1", value="100.64.0.60")

    def faster(request: Any) -> None:
        if request.method == "POST":
            ready.there.fault = None
            ready.there.put(ADDRESSES, address="100.64.0.60/24", dns_name="faster")

    ready.there.fault = faster
    sent(ready)
    (change,) = parked(ready)
    assert change.code == "SOURCE_CONFLICT"
    assert ours(ready) == []


def test_an_object_tied_to_an_interface_since_stays(ready: World) -> None:
    take(ready, "o1")
    sent(ready)
    (one,) = ours(ready)
    if ready.there.kind == "netbox":
        one |= {"assigned_object_type": "dcim.interface", "assigned_object_id": 5}
    else:
        tie = {"ip_address": {"id": one["id"]}}
        ready.there.put("ipam/ip-address-to-interface", **tie)
    release_now(ready, "o1")
    sent(ready)
    assert len(ours(ready)) == 1
    (change,) = parked(ready)
    assert change.code == "SOURCE_CONFLICT"


def test_another_turnups_objects_are_others(ready: World) -> None:
    ready.there.put(ADDRESSES, address="100.64.0.70/24", description="turnup abcdef: o1")
    take(ready, "o1", value="100.64.0.70")
    sent(ready)
    assert parked(ready)[0].code == "SOURCE_CONFLICT"


# -- bad days -----------------------------------------------------------------------------------------


def test_a_refusal_is_parked_with_the_sources_words(base: Database, there: Any) -> None:
    world = imported(world_of(base, there, {"writeBack": {"ownerField": "not_there"}}))
    take(world, "o1")
    take(world, "o2")
    report = sent(world)
    assert report.parked == 2
    change = parked(world)[0]
    assert change.code == "SOURCE_REFUSED"
    assert "not_there" in str(change.message)


def test_too_many_requests_are_waited_for(ready: World) -> None:
    for n in range(3):
        take(ready, f"o{n}")
    busy = likeness.Answer(429, {"detail": "Request was throttled."}, {"Retry-After": "0"})
    ready.there.fault = lambda request: busy if request.number % 2 else None
    assert sent(ready).created == 3
    assert len(ours(ready)) == 3


def test_a_long_retry_after_ends_the_round_and_is_kept_to(ready: World, clock: ManualClock) -> None:
    for n in range(3):
        take(ready, f"o{n}")
    busy = likeness.Answer(429, {}, {"Retry-After": "120"})
    ready.there.fault = lambda _: busy
    report = sent(ready)
    assert report.stopped is not None
    assert len(ready.there.requests) == 1
    ready.there.fault = None
    (first,) = [one for one in parked(ready, "waiting") if one.attempts]
    assert (first.due - clock.now()).total_seconds() == 120
    clock.advance(timedelta(seconds=121))
    assert sent(ready).created == 3


def test_a_source_that_is_down_is_left_alone_and_tried_again(
    ready: World, clock: ManualClock
) -> None:
    for n in range(10):
        take(ready, f"o{n}")
    ready.there.fault = lambda _: likeness.Answer(
        503, {"detail": "Service temporarily unavailable"}
    )
    report = sent(ready)
    assert (report.later, report.sent) == (3, 0)
    assert report.stopped is not None
    assert report.left["waiting"] == 10
    ready.there.fault = None
    clock.advance(timedelta(seconds=60))
    assert sent(ready).created == 10


def test_a_fault_now_and_then_is_tried_again_at_once(ready: World) -> None:
    for n in range(10):
        take(ready, f"o{n}")
    ready.there.fault = lambda request: (
        likeness.Answer(500, {"error": "…"})
        if request.number % 4 == 0 and request.method == "GET"
        else None
    )
    assert sent(ready).created == 10


def test_a_token_that_may_only_read_stops_the_round(ready: World) -> None:
    for n in range(10):
        take(ready, f"o{n}")
    ready.there.write_enabled = False
    report = sent(ready)
    assert (report.later, report.parked) == (3, 0)
    assert str(report.stopped).startswith("SOURCE_DENIED")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_interrupted_at_each_request_it_ends_with_one_object_each(
    ready: World, clock: ManualClock, *, after: bool
) -> None:
    """From the n-th request on nothing answers any more: before it took effect, or after."""
    ready.there.enforce_unique = False
    expected = 0
    for n in range(1, 8):
        for m in range(2):
            take(ready, f"o{n}.{m}")
        if expected:
            release_now(ready, f"o{n - 1}.0")
            expected -= 1
        expected += 2
        first = ready.there._number

        def dead(request: Any, n: int = n, first: int = first) -> Any:
            broken = request.number - first >= n
            return likeness.Answer(None, after=after) if broken else None

        ready.there.fault = dead
        sent(ready)
        ready.there.fault = None
        clock.advance(timedelta(hours=2))
        sent(ready)
        addresses = [one["address"] for one in ours(ready)]
        assert len(addresses) == len(set(addresses)) == expected
        assert {one["description"].rpartition(": ")[2] for one in ours(ready)} == holders(ready)


def holders(world: World) -> set[str]:
    with world.base.read() as rx:
        held = allocator.allocations(rx, pool="ipv4@bng-1")
        return {one.owner for one in held if not one.owner.startswith("source:")}


def test_an_answer_that_comes_too_late_is_found_again(ready: World, clock: ManualClock) -> None:
    take(ready, "o1")
    slow = likeness.Answer(201, {}, after=True, delay_s=QUICK.read_s + 0.5)
    ready.there.fault = lambda request: slow if request.method == "POST" else None
    report = sent(ready)
    assert report.later == 1
    ready.there.fault = None
    clock.advance(timedelta(minutes=1))
    report = sent(ready)
    assert (report.created, report.same) == (0, 1)
    assert len(ours(ready)) == 1


@pytest.mark.parametrize("nth", [1, 3])
def test_killed_between_their_answer_and_our_commit(
    store: Database, store_url: str, netbox: Any, nth: int
) -> None:
    """The process is killed by SIGKILL when the source has made the n-th object and before it answers."""
    netbox.enforce_unique = False  # nothing but our own care keeps it from making a second one
    fill(netbox)
    world = imported(world_of(store, netbox))
    for n in range(4):
        take(world, f"o{n}")
    script = Path(__file__).with_name("killed.py")
    command = [sys.executable, str(script), store_url, "sot", likeness.TOKEN]
    root = str(Path(__file__).parents[2])
    child: list[subprocess.Popen[bytes]] = []

    def killing(request: Any) -> Any:
        if request.method == "POST" and len(netbox.sent("POST")) == nth:
            os.kill(child[0].pid, signal.SIGKILL)
            return likeness.Answer(None, after=True)
        return None

    netbox.fault = killing
    child.append(subprocess.Popen(command, env={**os.environ, "PYTHONPATH": root}))
    assert child[0].wait(60) == -signal.SIGKILL
    netbox.fault = None
    assert len(ours(world)) == nth
    report = sent(world)
    assert (report.created, report.same) == (4 - nth, 1)
    assert len({one["address"] for one in ours(world)}) == len(ours(world)) == 4


def test_killed_after_their_answer_and_released_before_the_next_push(
    ready: World, clock: ManualClock
) -> None:
    take(ready, "o1")
    dead = likeness.Answer(None, after=True)
    ready.there.fault = lambda request: dead if request.method == "POST" else None
    sent(ready)
    ready.there.fault = None
    release(ready, "o1")
    clock.advance(timedelta(minutes=1))
    sent(ready)
    assert ours(ready) == []


def test_time_is_up_and_the_next_round_goes_on(ready: World) -> None:
    for n in range(20):
        take(ready, f"o{n}")
    port = ready.port()
    report = push(ready.base, ready.source, port, budget_s=0.0)
    assert report.stopped == "time is up"
    push(ready.base, ready.source, port)
    port.close()
    assert len(ours(ready)) == 20
