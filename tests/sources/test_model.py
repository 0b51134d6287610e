"""Whatever happens in whatever order, a push that gets through leaves there what is held here, once each.

A random walk over taking, confirming, releasing, time, others' doings in the source, imports and pushes of which any
request may fail before or after it took effect.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inventory import allocator, pools
from inventory.errors import AllocationNotFound, PoolExhausted
from inventory.sources import changes, push, run_import
from inventory.sources.errors import SourceUnreachable
from store import Database, ManualClock
from store.errors import TurnupError
from tests.sources import likeness
from tests.sources.conftest import World, tag, world_of

ADDRESSES = "ipam/ip-addresses"
SIZE = 13
OWNERS = st.sampled_from([f"line-{n}" for n in range(8)])
HOSTS = st.integers(1, 14)


class Exchanged(RuleBasedStateMachine):
    """One /28 (13 values) in one source."""

    kind: Callable[[], Any]
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.folder / "turnup.db")
        self.clock = ManualClock()
        url = f"sqlite:///{self.folder / 'turnup.db'}"
        self.base = Database(url, clock=self.clock, synchronous="NORMAL")
        self.there = self.kind()
        self.there.enforce_unique = False  # nothing there keeps us from making twins
        mine = {"tags": [tag(self.there, "turnup")], "custom_fields": {"turnup_scope": "bng-1"}}
        self.there.put("ipam/prefixes", prefix="100.64.0.0/28", **mine)
        self.world: World = world_of(self.base, self.there)
        self.run_import()

    def teardown(self) -> None:
        self.base.close()
        self.there.close()
        shutil.rmtree(self.folder)

    # -- here -----------------------------------------------------------------------------------------

    @rule(owner=OWNERS, active=st.booleans())
    def take(self, owner: str, *, active: bool) -> None:
        with self.base.write() as tx:
            state: Any = "active" if active else "reserved"
            with suppress(PoolExhausted):
                allocator.take(tx, kind="ipv4", scope="bng-1", owner=owner, state=state)

    @rule(owner=OWNERS)
    def confirm(self, owner: str) -> None:
        with self.base.write() as tx, suppress(AllocationNotFound):
            allocator.confirm(tx, owner)

    @rule(owner=OWNERS, quarantine=st.booleans())
    def release(self, owner: str, *, quarantine: bool) -> None:
        with self.base.write() as tx:
            allocator.release(tx, owner, quarantine=quarantine)

    @rule(minutes=st.sampled_from([1, 61]))
    def later(self, minutes: int) -> None:
        self.clock.advance(timedelta(minutes=minutes))

    # -- there ----------------------------------------------------------------------------------------

    @rule(host=HOSTS)
    def somebody_adds(self, host: int) -> None:
        address = f"100.64.0.{host}"
        if all(one["address"].split("/")[0] != address for one in self.there.all(ADDRESSES)):
            self.there.put(ADDRESSES, address=f"{address}/28", description="somebody")

    @precondition(lambda self: self.theirs())
    @rule(data=st.data())
    def somebody_deletes(self, data: st.DataObject) -> None:
        self.there.drop(ADDRESSES, data.draw(st.sampled_from(self.theirs())))

    # -- between --------------------------------------------------------------------------------------

    @rule()
    def run_import(self) -> None:
        port = self.world.port()
        report = run_import(self.base, "sot", port)
        port.close()
        assert {finding["code"] for finding in report.findings} <= {"SOURCE_CONFLICT"}

    @rule(n=st.integers(1, 12))
    def broken_import(self, n: int) -> None:
        first = self.there._number
        dead = likeness.Answer(503, {})
        self.there.fault = lambda request: dead if request.number - first >= n else None
        port = self.world.port()
        try:
            run_import(self.base, "sot", port)
        except SourceUnreachable:
            pass
        finally:
            port.close()
            self.there.fault = None

    @rule(n=st.integers(1, 12), after=st.booleans())
    def broken_push(self, n: int, *, after: bool) -> None:
        first = self.there._number
        dead = likeness.Answer(None, after=after)
        self.there.fault = lambda request: dead if request.number - first >= n else None
        self.push()
        self.there.fault = None

    @rule()
    def push_and_compare(self) -> None:
        self.clock.advance(timedelta(hours=2))
        with self.base.write() as tx:
            allocator.expire(tx)
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
        ours = [one for one in self.there.all(ADDRESSES) if self.is_ours(one)]
        stands = {one["address"].split("/")[0]: said(one) for one in ours}
        assert len(stands) == len(ours)
        assert stands == wanted
        self.there.requests.clear()
        self.push()
        assert self.there.requests == []

    @rule()
    def settle(self) -> None:
        """Somebody looks at what is parked."""
        with self.base.write() as tx:
            for one in changes.changes(tx, "sot", "parked"):
                changes.retry(tx, "sot", one.id)

    @invariant()
    def accounts_are_even(self) -> None:
        with self.base.read() as rx:
            pool = pools.pool(rx, "ipv4@bng-1")
        assert pool.allocated + pool.reserved + pool.quarantined + pool.free == pool.capacity
        assert pool.capacity <= SIZE

    @invariant()
    def nothing_stands_twice(self) -> None:
        hosts = [one["address"].split("/")[0] for one in self.there.all(ADDRESSES)]
        assert len(hosts) == len(set(hosts))

    @invariant()
    def others_are_never_touched(self) -> None:
        assert all(said(one)[1] == "active" for one in self.theirs())

    def push(self) -> None:
        port = self.world.port()
        try:
            push(self.base, self.world.source, port)
        except TurnupError as error:
            pytest.fail(f"a push raises nothing: {error}")
        finally:
            port.close()

    def is_ours(self, one: Any) -> bool:
        return bool(one["description"].startswith("turnup "))

    def theirs(self) -> list[Any]:
        return [one for one in self.there.all(ADDRESSES) if not self.is_ours(one)]


def said(one: Any) -> tuple[str, str]:
    status = one["status"].get("value", one["status"].get("name"))
    return one["description"].rpartition(": ")[2], str(status).lower()


@pytest.mark.parametrize("kind", [likeness.NetBox, likeness.Nautobot])
def test_a_random_walk(sqlite_template: Path, kind: Callable[[], Any]) -> None:
    walk = type("Walk", (Exchanged,), {"kind": staticmethod(kind), "template": sqlite_template})
    walk.kind = kind  # type: ignore[attr-defined]
    run_state_machine_as_test(
        walk,
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
