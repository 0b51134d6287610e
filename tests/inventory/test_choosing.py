"""Choosing where it is read and held: what it costs, what it locks, which devices it takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from inventory import allocator, devices, graph, instances, reshape
from inventory.errors import NoAccessPath, NoPortFits, PoolExhausted
from inventory.instances import Instance
from inventory.plant.candidates import Ground, ground, standing
from inventory.plant.choosing import outgrown
from inventory.plant.placement import Affinity, Candidate, Condition, Load, Rules
from inventory.raw import Raw
from store import Database, ManualClock, Tx
from tests.inventory import city

PON1, PON2, WEST = "olt-east-07/pon1", "olt-east-07/pon2", "olt-west-02/pon1"


def use(tx: Tx, port: str, count: int, **more: Any) -> None:
    allocator.take(tx, kind="onu-id", scope=port, owner=f"use-{port}", count=count, **more)


def line(tx: Tx, name: str, place: str = "PL-1001", **values: Any) -> None:
    """Put a customer's resource on the nodes that its values name."""
    new = Instance(f"re-{name}", "resource", "composite", "S", "1.0", name, "inUse", values)
    instances.put(tx, replace(new, line=name, place=place))


def at_most(number: int) -> Rules:
    return Rules(limit=lambda _: number)


# -- what conditions can read


def test_a_candidate_has_what_conditions_ask_for(network: Database) -> None:
    read: dict[str, Any] = {}

    def look(one: Any) -> bool:
        read.setdefault(one["port"]["id"], one)
        return True

    with network.write() as tx:
        use(tx, PON1, 2)
        line(tx, "l1", ponPort=PON1, mbps=300)
        rules = Rules(require=(Condition("look", look),))
        graph.choose_port(tx, "PL-1001", "GPON", rules=rules, load="mbps")
    port = read[PON1]["port"]
    assert {
        name: port[name] for name in ("name", "device", "technology", "free", "used", "load")
    } == {
        "name": "pon1",
        "device": "olt-east-07",
        "technology": "GPON",
        "free": 252,
        "used": 2,
        "load": 300,
    }
    assert read[PON1]["device"]["adminState"] == "managed"
    assert read[PON2]["port"]["used"] == 0


def test_the_splitting_ratio_of_the_path_can_limit(base: Database) -> None:
    with base.write() as tx:
        city.build(tx, 4, customers=32)
        assert graph.choose_port(tx, "PL-0", "GPON").port == "olt-0000/pon1"
        rules = Rules(limit=lambda one: one["port"]["splitRatio"])
        with pytest.raises(NoPortFits, match="full: 32 of at most 32 in use") as failure:
            graph.choose_port(tx, "PL-0", "GPON", rules=rules)
    assert {one["code"] for one in failure.value.details["rejected"]} == {"LIMIT_REACHED"}
    assert len(failure.value.details["rejected"]) == 4


def test_a_lapsed_reservation_is_no_customer(network: Database, clock: ManualClock) -> None:
    with network.write() as tx:
        use(tx, PON1, 5, ttl_seconds=60)
    with network.write() as tx, pytest.raises(NoPortFits):
        graph.choose_port(tx, "PL-1003", "GPON", rules=at_most(5))
    clock.advance(timedelta(seconds=61))
    with network.write() as tx:
        assert graph.choose_port(tx, "PL-1003", "GPON", rules=at_most(5)).port == PON1


# -- what is turned down


def test_other_technologies_are_told_too(network: Database) -> None:
    with network.read() as rx:
        reason = graph.choose_port(rx, "PL-1003", "GPON").reason
    assert reason["considered"] == 2
    assert reason["rejected"] == [
        {"port": WEST, "code": "WRONG_TECHNOLOGY", "why": "is XGS-PON, GPON is wanted"}
    ]


def test_any_technology_will_do_when_none_is_asked_for(network: Database) -> None:
    with network.write() as tx:
        use(tx, WEST, 1000)
        assert graph.choose_port(tx, "PL-1003", None).port == WEST


def test_a_draining_port_gets_no_new_customer(network: Database) -> None:
    with network.write() as tx:
        reshape.drain(tx, f"gem-port@{PON1}")
        choice = graph.choose_port(tx, "PL-1001", "GPON")
        assert choice.port == PON2
        assert choice.reason["rejected"] == [
            {"port": PON1, "code": "POOL_DRAINING", "why": "its pools are being drained"}
        ]
        reshape.drain(tx, f"onu-id@{PON2}")
        with pytest.raises(PoolExhausted):
            graph.choose_port(tx, "PL-1001", "GPON")


def test_a_port_without_pools_is_no_port(network: Database) -> None:
    with network.write() as tx:
        for kind in ("onu-id", "alloc-id", "gem-port"):
            reshape.remove(tx, f"{kind}@{PON1}")
        assert graph.choose_port(tx, "PL-1001", "GPON").reason["rejected"][0]["code"] == "NO_POOL"
        with pytest.raises(NoAccessPath, match="no pools"):
            graph.choose_port(tx, "PL-1003", "GPON")


def test_rules_that_turn_down_all_are_named(network: Database) -> None:
    away = Affinity("away from main (device)", frozenset({"olt-east-07"}), near=False, must=True)
    with network.read() as rx, pytest.raises(NoPortFits, match="is not away from main") as failure:
        graph.choose_port(rx, "PL-1001", "GPON", rules=Rules(affinity=(away,)))
    assert (failure.value.code, failure.value.status) == ("NO_PORT_FITS", 409)
    assert [one["code"] for one in failure.value.details["rejected"]] == ["AFFINITY_NOT_MET"] * 2


# -- loads


def test_loads_add_up_over_the_resources_on_a_port(network: Database) -> None:
    def loaded(tx: Tx, demand: float, added: float = 0) -> str:
        rules = Rules(load=Load(demand, lambda _: 1000, {PON1: added}))
        return graph.choose_port(tx, "PL-1003", "GPON", rules=rules, load="mbps").port

    with network.write() as tx:
        line(tx, "l1", ponPort=PON1, mbps=300)
        line(tx, "l2", ponPort=PON1, mbps=400)
        line(tx, "l3", ponPort=PON2, mbps=900)
        line(tx, "l4", ponPort=PON1)
        assert loaded(tx, 300) == PON1
        for demand, added in ((301, 0), (300, 1)):
            with pytest.raises(NoPortFits, match=r"full: 70[01] of 1000 in use, 30[01] more"):
                loaded(tx, demand, added)
        assert outgrown(tx, PON1, Load(300, lambda _: 1000), "mbps") is None
        turned = outgrown(tx, PON1, Load(301, lambda _: 1000), "mbps")
        assert turned is not None
        assert turned.code == "CEILING_REACHED"


# -- devices


def acs(tx: Tx, *names: str) -> None:
    for name in names:
        devices.put(tx, devices.Device(name, "acs", "acs", site=f"site-{name}"))


def test_devices_are_filled_spread_or_taken_nearest(network: Database) -> None:
    with network.write() as tx:
        acs(tx, "acs-2", "acs-10")
        line(tx, "l1", acs="acs-1")
        line(tx, "l2", acs="acs-2")
        assert graph.choose_device(tx, "acs").reason["chosen"] == "acs-1"
        spread = graph.choose_device(tx, "acs", rules=Rules("spread"))
        assert spread.reason["chosen"] == "acs-10"
        limited = graph.choose_device(tx, "acs", rules=Rules("fill", limit=lambda _: 1))
        assert limited.reason["chosen"] == "acs-10"
        assert [one["code"] for one in limited.reason["rejected"]] == ["LIMIT_REACHED"] * 2
        bng = graph.choose_device(tx, "bng", rules=Rules("nearest"), origin="olt-east-07")
        assert bng.reason["because"] == "the only device of role bng that may be used (2 hops)"
        assert graph.choose_device(tx, "nobody").chosen is None


def test_a_device_that_is_not_managed_is_turned_down(network: Database) -> None:
    with network.write() as tx:
        acs(tx, "acs-2")
        devices.patch(tx, "acs-1", {"admin_state": "maintenance"})
        choice = graph.choose_device(tx, "acs")
    assert choice.reason["chosen"] == "acs-2"
    assert choice.reason["rejected"] == [
        {"device": "acs-1", "code": "DEVICE_NOT_MANAGED", "why": "acs-1 is maintenance"}
    ]


# -- who stands where


def test_ground_is_read_off_what_resources_name(network: Database) -> None:
    with network.write() as tx:
        line(tx, "l1", ponPort=PON1, olt="olt-east-07", bng="bng-1", note="pon9")
        line(tx, "l2", place="PL-1003", ponPort=WEST)
        assert standing(tx, [], place="PL-1001", not_line="mine") == {PON1, "olt-east-07", "bng-1"}
        assert standing(tx, [], place="PL-1001", not_line="l1") == set()
        assert standing(tx, ["re-l1"], line="l1") == set()
        assert standing(tx, []) == set()
        found = ground(tx, standing(tx, [], line="l1"))
        assert found == Ground(frozenset({PON1}), frozenset({"olt-east-07"}), found.sites)
        assert ground(tx, [PON1, "bng-1"], role="bng").devices == {"bng-1"}
        assert ground(tx, [3, None]) == Ground()


# -- two orders at the same moment


def order(database: Database, name: str, rules: Rules, gate: threading.Barrier) -> str:
    gate.wait()
    with database.write() as tx:
        port = graph.choose_port(tx, "PL-1001", "GPON", rules=rules).port
        allocator.take(tx, kind="onu-id", scope=port, owner=name)
        return port


def race(database: Database, names: list[str], rules: Rules) -> list[str]:
    gate = threading.Barrier(len(names))

    def run(name: str) -> str:
        try:
            return order(database, name, rules, gate)
        except (NoPortFits, PoolExhausted) as refused:
            return refused.code

    with ThreadPoolExecutor(len(names)) as threads:
        return list(threads.map(run, names))


def test_the_last_place_within_a_limit_goes_to_one_order_only(network: Database) -> None:
    with network.write() as tx:
        use(tx, PON1, 3)
        use(tx, PON2, 3)
    got = race(network, [f"order-{n}" for n in range(8)], at_most(5))
    assert sorted(got) == ["NO_PORT_FITS"] * 4 + [PON1] * 2 + [PON2] * 2


def test_who_finds_the_last_id_gone_chooses_again(network: Database) -> None:
    with network.write() as tx:
        use(tx, PON1, 253)
        use(tx, PON2, 252)
    got = race(network, [f"order-{n}" for n in range(5)], Rules())
    assert sorted(got) == ["POOL_EXHAUSTED"] * 2 + [PON1] + [PON2] * 2


def test_the_last_place_on_a_device_goes_to_one_order_only(network: Database) -> None:
    with network.write() as tx:
        acs(tx, "acs-2")
    rules, gate = Rules("fill", limit=lambda _: 2), threading.Barrier(6)

    def run(name: str) -> str | None:
        gate.wait()
        with network.write() as tx:
            chosen = graph.choose_device(tx, "acs", rules=rules).chosen
            if chosen is not None:
                line(tx, name, acs=chosen.name)
            return chosen.name if chosen else None

    with ThreadPoolExecutor(6) as threads:
        got = list(threads.map(run, [f"l{n}" for n in range(6)]))
    assert sorted(got, key=str) == [None, None, "acs-1", "acs-1", "acs-2", "acs-2"]


# -- what it costs


@contextmanager
def counted(rx: Any) -> Iterator[list[str]]:
    """Collect the statements that are sent on a transaction's connection."""
    from sqlalchemy import event

    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    execute = Raw._execute

    def raw(self: Raw, sql: str, params: tuple[object, ...]) -> None:
        sent.append(sql)
        execute(self, sql, params)

    event.listen(rx.connection, "before_cursor_execute", note)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Raw, "_execute", raw)
        yield sent


def test_the_work_depends_on_the_reachable_ports_only(
    base: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Candidate] = []
    init = Candidate.__init__

    def note(self: Candidate, *args: Any, **more: Any) -> None:
        init(self, *args, **more)
        built.append(self)

    with base.write() as tx:
        city.build(tx, 200, customers=3)
    monkeypatch.setattr(Candidate, "__init__", note)
    with base.read() as rx, counted(rx) as sent:
        choice = graph.choose_port(rx, "PL-77", "GPON")
    assert choice.reason["considered"] == 4
    assert {one.device for one in built} == {"olt-0077", "olt-0078"}
    assert len(sent) <= 14


def test_no_query_of_a_choice_reads_a_whole_table(base: Database) -> None:
    if base.dialect != "sqlite":
        pytest.skip(
            "SQLite tells in words whether it scans; PostgreSQL by costs, which need statistics"
        )
    with base.write() as tx:
        city.build(tx, 4)
    with base.read() as rx:
        plans = _plans(rx, lambda: graph.choose_port(rx, "PL-2", "GPON", load="mbps"))
    assert plans
    assert [step for step in plans if step.startswith("SCAN")] == []
    assert [step for step in plans if "ix_node_kind" in step] == []


def _plans(rx: Any, act: Any) -> list[str]:
    seen: list[tuple[str, Any]] = []
    rx.connection.connection.driver_connection.set_trace_callback(
        lambda sql: seen.append((sql, ()))
    )
    act()
    rx.connection.connection.driver_connection.set_trace_callback(None)
    cursor = rx.cursor()
    plans: list[str] = []
    for sql, _ in seen:
        if sql.lstrip().upper().startswith("SELECT"):
            plans += [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {sql}")]
    return plans
