"""The fleet over devices in memory: every device is answered for, sessions last, promises are kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from activation.credentials import Credentials
from activation.drivers.base import (
    DeviceRejected,
    DeviceUnreachable,
    Driver,
    DriverError,
    Mode,
    SessionDropped,
)
from activation.drivers.factory import DriverMissing
from activation.drivers.memory import LineDialect, MemoryNetwork, RestDialect
from activation.drivers.pool import Session
from activation.fleet import Fleet
from activation.nornir_plugins.fleet import FleetSettings, NornirFleet


@dataclass(frozen=True)
class Registered:
    name: str
    platform: str = "eos"
    host: str = "127.0.0.1"
    endpoints: tuple[Any, ...] = (
        {"protocol": "ssh", "host": "127.0.0.1", "port": 22, "username": "u"},
        {"protocol": "netconf", "host": "127.0.0.1", "port": 830, "username": "u"},
    )
    credential_ref: str | None = "lab:u"
    host_key: str | None = None
    ca_path: str | None = None
    role: str = "router"
    labels: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def network() -> MemoryNetwork:
    network = MemoryNetwork()
    for name in ("a", "b", "c"):
        network.add(name, dialect=LineDialect())
    return network


@pytest.fixture
def registry() -> dict[str, Registered]:
    return {name: Registered(name) for name in ("a", "b", "c")}


@pytest.fixture
def fleet(network: MemoryNetwork, registry: dict[str, Registered]) -> Iterator[NornirFleet]:
    def lookup(names: Sequence[str]) -> list[Registered]:
        return [registry[name] for name in names if name in registry]

    fleet = NornirFleet(
        lookup,
        Credentials(lab={"u": "secret-u"}),
        settings=FleetSettings(idle_s=0.2),
        make=network.driver,
    )
    yield fleet
    fleet.stop()


async def read(name: str, driver: Driver) -> str:
    return f"{name}:{await driver.read('')}"


def test_is_a_fleet(fleet: NornirFleet) -> None:
    checked: Fleet = fleet
    assert checked is fleet


def test_every_device_answers(fleet: NornirFleet, network: MemoryNetwork) -> None:
    network["b"].running = "hostname b"
    assert fleet.run(read, ["a", "b"], deadline_s=5) == {"a": "a:", "b": "b:hostname b"}


def test_device_that_fails_is_run_again_next_time(
    fleet: NornirFleet, network: MemoryNetwork
) -> None:
    network["b"].fail("read", DeviceRejected)
    first = fleet.run(read, ["a", "b"], deadline_s=5)
    assert isinstance(first["b"], DeviceRejected)
    assert fleet.run(read, ["a", "b"], deadline_s=5) == {"a": "a:", "b": "b:"}


def test_device_that_is_down(fleet: NornirFleet, network: MemoryNetwork) -> None:
    network["b"].down = True
    answers = fleet.run(read, ["a", "b", "c"], deadline_s=5)
    assert isinstance(answers["b"], DeviceUnreachable)
    assert list(answers) == ["a", "b", "c"]
    assert answers["c"] == "c:"


def test_unknown_device_and_missing_credential_and_no_driver(
    fleet: NornirFleet, registry: dict[str, Registered]
) -> None:
    registry["b"] = Registered("b", credential_ref="env:TURNUP_TEST_NOT_SET")
    registry["c"] = Registered("c", endpoints=({"protocol": "ssh", "port": 22},))
    answers = fleet.run(read, ["a", "b", "c", "x"], deadline_s=5)
    assert answers["a"] == "a:"
    assert isinstance(answers["b"], DriverError)
    assert answers["b"].code == "CREDENTIAL_MISSING"
    assert isinstance(answers["c"], DriverMissing)
    assert isinstance(answers["x"], DriverMissing)


def test_bug_in_a_task_is_an_answer(fleet: NornirFleet) -> None:
    async def broken(name: str, driver: Driver) -> None:
        if name == "a":
            raise SystemExit(3)

    answers = fleet.run(broken, ["a", "b"], deadline_s=5)
    assert isinstance(answers["a"], SessionDropped)
    assert isinstance(answers["a"].__cause__, SystemExit)
    assert answers["b"] is None


def test_deadline(fleet: NornirFleet, network: MemoryNetwork) -> None:
    network["b"].latency_s = 30
    began = time.monotonic()
    answers = fleet.run(read, ["a", "b"], deadline_s=0.2)
    assert time.monotonic() - began < 5
    assert isinstance(answers["b"], SessionDropped)
    assert answers["a"] == "a:"
    network["b"].latency_s = 0
    assert fleet.run(read, ["b"], deadline_s=5) == {"b": "b:"}


def test_session_lasts_from_run_to_run(fleet: NornirFleet, network: MemoryNetwork) -> None:
    async def stage(name: str, driver: Driver) -> None:
        await driver.lock("batch")
        await driver.stage("batch", ["hostname x"])

    async def commit(name: str, driver: Driver) -> None:
        await driver.commit("batch", 60)
        await driver.confirm("batch")
        await driver.unlock("batch")

    fleet.run(stage, ["a", "b"], deadline_s=5)
    time.sleep(0.3)  # longer than idle_s: a session that holds a lock is kept
    assert fleet.run(read, ["a"], deadline_s=5) == {"a": "a:"}  # a look in between does no harm
    assert fleet.run(commit, ["a", "b"], deadline_s=5) == {"a": None, "b": None}
    assert network["a"].running == "hostname x"
    assert network["a"].locked_by is None


def test_lost_session_commits_nothing(fleet: NornirFleet, network: MemoryNetwork) -> None:
    async def stage(name: str, driver: Driver) -> None:
        await driver.lock("batch")
        await driver.stage("batch", ["hostname x"])

    async def commit(name: str, driver: Driver) -> None:
        await driver.commit("batch", 60)

    fleet.run(stage, ["a"], deadline_s=5)
    network["a"].fail("read")
    assert isinstance(fleet.run(read, ["a"], deadline_s=5)["a"], SessionDropped)
    assert isinstance(fleet.run(commit, ["a"], deadline_s=5)["a"], SessionDropped)
    assert network["a"].running == ""
    assert network["a"].locked_by is None


def test_idle_sessions_are_closed(fleet: NornirFleet) -> None:
    fleet.run(read, ["a", "b"], deadline_s=5)
    pool = fleet._sessions.pool
    assert pool.open_sessions == 2
    for _ in range(50):
        if pool.open_sessions == 0:
            return
        time.sleep(0.05)
    pytest.fail("still open")


def test_one_borrower_at_a_time(fleet: NornirFleet) -> None:
    inside: set[str] = set()

    async def alone(name: str, driver: Driver) -> bool:
        clash = name in inside
        inside.add(name)
        await asyncio.sleep(0.02)
        inside.discard(name)
        return clash

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as threads:
        runs = [threads.submit(fleet.run, alone, ["a", "b"], deadline_s=5) for _ in range(8)]
    assert [run.result() for run in runs] == [{"a": False, "b": False}] * 8


def test_mode_by_platform_and_protocol(
    network: MemoryNetwork, registry: dict[str, Registered]
) -> None:
    fleet = NornirFleet(
        lambda _: [], Credentials(), modes={"acs": Mode.IMMEDIATE}, make=network.driver
    )
    assert fleet.mode(registry["a"]) is Mode.CONFIRMED
    assert fleet.mode(Registered("x", platform="acs")) is Mode.IMMEDIATE
    rest = ({"protocol": "rest", "host": "h", "port": 1, "username": "u"},)
    assert fleet.mode(Registered("y", platform="other", endpoints=rest)) is Mode.IMMEDIATE
    with pytest.raises(DriverMissing):
        fleet.mode(Registered("z", endpoints=()))
    fleet.stop()


def test_weaker_mode_than_promised_is_refused(fleet: NornirFleet, network: MemoryNetwork) -> None:
    network.add("b", mode=Mode.CANDIDATE, dialect=LineDialect())
    network.add("c", mode=Mode.IMMEDIATE, dialect=RestDialect())
    answers = fleet.run(read, ["a", "b", "c"], deadline_s=5)
    for name in ("b", "c"):
        error = answers[name]
        assert isinstance(error, DeviceRejected)
        assert "promises mode A" in error.message
    assert answers["a"] == "a:"


def test_stop_ends_the_thread_and_the_sessions(
    network: MemoryNetwork, registry: dict[str, Registered]
) -> None:
    made: list[Session] = []

    def make(endpoint: Any) -> Session:
        made.append(network.driver(endpoint))
        return made[-1]

    fleet = NornirFleet(lambda _: [registry["a"]], Credentials(lab={"u": "p"}), make=make)
    fleet.run(read, ["a"], deadline_s=5)
    thread = fleet._loop._thread
    assert thread is not None
    fleet.stop()
    assert not thread.is_alive()
    assert not made[0].alive


def test_secrets_are_not_shown(fleet: NornirFleet, network: MemoryNetwork) -> None:
    shown: list[str] = []

    async def show(name: str, driver: Driver) -> None:
        shown.append(repr(fleet._sessions.pool._slots.keys()))

    fleet.run(show, ["a"], deadline_s=5)
    assert "username='u'" in shown[0]
    assert "secret-u" not in shown[0]
    assert "secret-u" not in repr(fleet._credentials)
