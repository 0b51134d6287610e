"""The NETCONF driver on the simulated OLT: what a real device refuses, faults, and ncclient as the outside witness."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from activation.drivers.base import (
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    Endpoint,
    SessionDropped,
)
from activation.drivers.netconf import NetconfDriver

if TYPE_CHECKING:
    from tests.activation.drivers.conftest import NetconfNode

IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
SUB = "urn:bbf:yang:bbf-subscriber-profiles"
FILTER = f'<subscriber-profiles xmlns="{SUB}"/>'


def profile(name: str) -> str:
    return (
        f'<subscriber-profiles xmlns="{SUB}"><subscriber-profile><name>{name}</name>'
        f"<circuit-id>{name}</circuit-id></subscriber-profile></subscriber-profiles>"
    )


def v_ani(partition: str) -> str:
    return f"""<interfaces xmlns="{IF}"><interface><name>vani-x</name>
      <type xmlns:xift="urn:bbf:yang:bbf-xpon-if-type">xift:v-ani</type>
      <v-ani xmlns="urn:bbf:yang:bbf-xponvani"><onu-id>7</onu-id>
        <channel-partition>{partition}</channel-partition>
        <expected-serial-number>HWTC1A2B3C01</expected-serial-number>
        <preferred-channel-pair>cp-pon1</preferred-channel-pair></v-ani></interface></interfaces>"""


@contextlib.asynccontextmanager
async def opened(node: NetconfNode) -> AsyncIterator[NetconfDriver]:
    driver = NetconfDriver(node.endpoint)
    await driver.open()
    try:
        yield driver
    finally:
        await driver.close()


@pytest.fixture(autouse=True)
def healthy(olt: NetconfNode) -> Iterator[None]:
    yield
    olt.clear()


def test_dangling_reference_is_found_before_anything_is_active(
    olt: NetconfNode, run: Callable[[Any], Any]
) -> None:
    async def test() -> None:
        async with opened(olt) as driver:
            await driver.lock("b1")
            with pytest.raises(DeviceRejected) as caught:
                await staged_and_validated(driver, v_ani("cpart-of-nobody"))
            assert any("cpart-of-nobody" in f"{m.message} {m.path}" for m in caught.value.messages)
            await driver.unlock("b1")
            await driver.lock("b1")
            await staged_and_validated(driver, v_ani("cpart-pon1"))
            await driver.unlock("b1")
            assert "vani-x" not in await driver.read("")

    run(test())


async def staged_and_validated(driver: NetconfDriver, edit: str) -> None:
    await driver.stage("b1", [edit])
    await driver.validate("b1")


@pytest.mark.parametrize(("when", "active"), [("before", False), ("after", True)])
def test_drop_at_commit_is_decided_by_looking(
    olt: NetconfNode, run: Callable[[Any], Any], when: str, active: bool
) -> None:
    async def test() -> None:
        olt.arm("drop", rpc=4, when=when)  # lock, edit, validate, commit
        driver = NetconfDriver(olt.endpoint)
        await driver.open()
        await driver.lock("b1")
        await staged_and_validated(driver, profile("dropped"))
        with pytest.raises(SessionDropped):
            await driver.commit("b1", 60)
        assert not driver.alive
        olt.clear()
        async with opened(olt) as second:
            assert ("dropped" in await second.read(FILTER)) is active
            await second.cancel("b1")
            assert "dropped" not in await second.read(FILTER)

    run(test())


def test_failed_commit_leaves_no_timer(olt: NetconfNode, run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        olt.arm("commit-fail", times=1)
        async with opened(olt) as driver:
            await driver.lock("b1")
            await staged_and_validated(driver, profile("failed"))
            with pytest.raises(DeviceRejected):
                await driver.commit("b1", 1)
            assert "failed" not in await driver.read(FILTER)
            await driver.unlock("b1")
            await driver.lock("b2")
            await driver.unlock("b2")

    run(test())


def test_reject_and_lock_faults(olt: NetconfNode, run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        async with opened(olt) as driver:
            olt.arm("lock")
            with pytest.raises(DeviceLocked):
                await driver.lock("b1")
            olt.clear()
            olt.arm("reject")
            await driver.lock("b1")
            with pytest.raises(DeviceRejected):
                await driver.stage("b1", [profile("x")])
            await driver.unlock("b1")

    run(test())


def test_slow_commit_is_waited_for(olt: NetconfNode, run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        olt.arm("slow-commit", ms=600)
        driver = NetconfDriver(quick(olt.endpoint))
        await driver.open()
        await driver.apply(profile("slow"))  # longer than timeout_s, shorter than commit_timeout_s
        assert "slow" in await driver.read(FILTER)
        olt.clear()
        await driver.close()

    run(test())


def quick(endpoint: Endpoint) -> Endpoint:
    from dataclasses import replace

    return replace(endpoint, timeout_s=0.5)


def test_power_cut(olt: NetconfNode, run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        async with opened(olt) as driver:
            olt.bench.call(olt.simulator.stop())
            with pytest.raises((SessionDropped, DeviceUnreachable)):
                await driver.read(FILTER)
            with pytest.raises(DeviceUnreachable):
                await NetconfDriver(olt.endpoint).open()
            olt.bench.call(olt.simulator.start())
        async with opened(olt) as driver:
            assert "cp-pon1" in await driver.read("")

    run(test())


@pytest.fixture
def witness(olt: NetconfNode) -> Iterator[Any]:
    """An ncclient session with the same device."""
    from ncclient import manager

    with manager.connect(
        host=olt.endpoint.host,
        port=olt.endpoint.port,
        username="admin",
        password="admin",
        hostkey_verify=False,
        allow_agent=False,
        look_for_keys=False,
        timeout=10,
    ) as session:
        yield session


def test_ncclient_sees_what_we_made(
    olt: NetconfNode, run: Callable[[Any], Any], witness: Any
) -> None:
    async def test() -> None:
        async with opened(olt) as driver:
            await driver.lock("b1")
            await driver.stage("b1", [profile("seen")])
            candidate = witness.get_config("candidate", filter=("subtree", FILTER)).data_xml
            assert "seen" in candidate
            assert "seen" not in witness.get_config("running", filter=("subtree", FILTER)).data_xml
            await driver.commit("b1", 60)
            assert "seen" in witness.get_config("running", filter=("subtree", FILTER)).data_xml
            await driver.unlock("b1")
            witness.commit(persist_id="b1")
            await driver.cancel("b1")
            assert "seen" in await driver.read(FILTER)

    run(test())


def test_ncclient_is_kept_out_by_our_lock(
    olt: NetconfNode, run: Callable[[Any], Any], witness: Any
) -> None:
    from ncclient.operations.rpc import RPCError

    async def test() -> None:
        async with opened(olt) as driver:
            await driver.lock("b1")
            with pytest.raises(RPCError, match="lock"):
                await asyncio.to_thread(witness.lock, "candidate")
            await driver.unlock("b1")
            with witness.locked("candidate"), pytest.raises(DeviceLocked):
                await driver.lock("b1")

    run(test())
