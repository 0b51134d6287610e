"""What talking to devices costs: our NETCONF driver against ncclient on the lab's OLT, and the fleet's own share.

    python benchmarks/drivers.py [--seconds 3] [--sessions 50]

CPU is the user and system time of this process (all threads), without the device, which is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from activation.credentials import Credentials
from activation.drivers.base import Driver, Endpoint, Mode
from activation.drivers.memory import LineDialect, MemoryNetwork
from activation.drivers.netconf import NetconfDriver, NetconfSettings, SshSettings
from activation.nornir_plugins.fleet import NornirFleet
from lab import api

ROOT = Path(__file__).parents[1]
OLT = "olt-east-07"
NS = "urn:bbf:yang:bbf-subscriber-profiles"
FILTER = f'<subscriber-profiles xmlns="{NS}"/>'
EDIT = (
    f'<subscriber-profiles xmlns="{NS}"><subscriber-profile><name>bench</name>'
    f"<circuit-id>olt-east-07 xpon pon1:7</circuit-id></subscriber-profile></subscriber-profiles>"
)
LAB_CRYPTO = NetconfSettings(
    SshSettings(kex_algs=("curve25519-sha256",), encryption_algs=("aes128-gcm@openssh.com",))
)


@dataclass
class Cost:
    """What a stretch of work took."""

    name: str
    count: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def row(self) -> str:
        rate = self.count / self.wall_s if self.wall_s else 0.0
        each = 1000 * self.cpu_s / self.count if self.count else 0.0
        return f"{self.name:<46} {self.count:>7} {rate:>9.1f} /s {each:>8.2f} ms CPU"


@contextmanager
def measured(name: str) -> Iterator[Cost]:
    cost = Cost(name)
    wall, cpu = time.perf_counter(), time.process_time()
    yield cost
    cost.wall_s, cost.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    print(cost.row(), flush=True)


def endpoint(info: api.LabInfo) -> Endpoint:
    node = info.node(OLT)
    access = next(access for access in node.access if access.protocol == "netconf")
    return Endpoint(
        device=OLT,
        platform=node.platform,
        protocol="netconf",
        host=access.host,
        port=access.port,
        username=access.username,
        password="admin",
        host_key=info.host_key,
        timeout_s=60,
    )


async def until(stop: float, call: Callable[[], Awaitable[object]], cost: Cost) -> None:
    while time.perf_counter() < stop:
        await call()
        cost.count += 1


async def ours(to: Endpoint, sessions: int, seconds: float, settings: NetconfSettings) -> None:
    label = f"ours, {sessions} session{'s' * (sessions > 1)}"
    drivers = [NetconfDriver(to, settings) for _ in range(sessions)]
    with measured(f"{label}: open") as cost:
        await asyncio.gather(*(driver.open() for driver in drivers))
        cost.count = sessions
    with measured(f"{label}: get-config, filtered") as cost:
        stop = time.perf_counter() + seconds
        await asyncio.gather(
            *(until(stop, partial(driver.read, FILTER), cost) for driver in drivers)
        )
    if sessions == 1:
        await _edits(drivers[0], label, seconds)
    await asyncio.gather(*(driver.close() for driver in drivers))


async def _edits(driver: NetconfDriver, label: str, seconds: float) -> None:
    await driver.lock("bench")
    with measured(f"{label}: edit-config, 0.3 KB") as cost:
        await until(time.perf_counter() + seconds, lambda: driver.stage("bench", [EDIT]), cost)
    await driver.unlock("bench")


async def whole_device(to: Endpoint, seconds: float, settings: NetconfSettings, label: str) -> None:
    """Open, lock, edit, validate, provisional commit, confirm, unlock, close."""
    with measured(f"ours, whole activation of a device, {label}") as cost:
        stop = time.perf_counter() + seconds
        while time.perf_counter() < stop:
            driver = NetconfDriver(to, settings)
            await driver.open()
            await driver.lock("bench")
            await driver.stage("bench", [EDIT])
            await driver.validate("bench")
            await driver.commit("bench", 60)
            await driver.confirm("bench")
            await driver.unlock("bench")
            await driver.close()
            cost.count += 1


def connect(to: Endpoint) -> Any:
    from ncclient import manager

    return manager.connect(
        host=to.host,
        port=to.port,
        username=to.username,
        password=to.password,
        hostkey_verify=False,
        allow_agent=False,
        look_for_keys=False,
        timeout=60,
    )


@dataclass
class Counter:
    counts: list[int] = field(default_factory=list)

    def work(self, session: Any, stop: float) -> None:
        done = 0
        while time.perf_counter() < stop:
            session.get_config("running", filter=("subtree", FILTER))
            done += 1
        self.counts.append(done)


def theirs(to: Endpoint, sessions: int, seconds: float) -> None:
    label = f"ncclient 0.7.0, {sessions} session{'s' * (sessions > 1)}"
    counter = Counter()
    with ThreadPoolExecutor(sessions) as pool:
        with measured(f"{label}: open") as cost:
            opened = list(pool.map(connect, [to] * sessions))
            cost.count = sessions
        with measured(f"{label}: get-config, filtered") as cost:
            stop = time.perf_counter() + seconds
            list(pool.map(lambda session: counter.work(session, stop), opened))
            cost.count = sum(counter.counts)
        list(pool.map(lambda session: session.close_session(), opened))


@dataclass(frozen=True)
class InMemory:
    name: str
    platform: str = "memory"
    host: str = ""
    endpoints: tuple[Any, ...] = ({"protocol": "netconf", "port": 1, "username": ""},)
    credential_ref: None = None
    host_key: None = None
    ca_path: None = None


def fleet_overhead(devices: int) -> None:
    """The share of Nornir, runner, inventory and pool: devices in memory, a task that does nothing."""
    network = MemoryNetwork()
    known = {f"d{n}": InMemory(f"d{n}") for n in range(devices)}
    for name in known:
        network.add(name, mode=Mode.CONFIRMED, dialect=LineDialect())
    fleet = NornirFleet(
        lambda names: [known[name] for name in names], Credentials(), make=network.driver
    )

    async def nothing(name: str, driver: Driver) -> None:
        del name, driver

    for turn in ("sessions opened", "sessions kept"):
        with measured(f"fleet, {devices} devices in memory, {turn}") as cost:
            fleet.run(nothing, list(known), deadline_s=60)
            cost.count = devices
    fleet.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="per measurement")
    parser.add_argument("--sessions", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        info = api.up(ROOT / "topologies" / "metro.clab.yml", state, owner_pid=os.getpid())
        try:
            compare(endpoint(info), given.seconds, given.sessions)
        finally:
            api.down(info.name, state)
    fleet_overhead(1000)


def compare(to: Endpoint, seconds: float, sessions: int) -> None:
    theirs(to, 1, seconds)
    asyncio.run(ours(to, 1, seconds, NetconfSettings()))
    theirs(to, sessions, seconds)
    asyncio.run(ours(to, sessions, seconds, NetconfSettings()))
    asyncio.run(whole_device(to, seconds, NetconfSettings(), "default crypto"))
    asyncio.run(whole_device(to, seconds, LAB_CRYPTO, "curve25519"))


if __name__ == "__main__":
    main()
