"""The EOS driver against the simulated box, on the days on which something is in the way."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from activation.drivers._eapi import session_name
from activation.drivers.base import (
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    DriverError,
    Endpoint,
    SessionDropped,
)
from activation.drivers.eos import EosDriver
from lab.embedded.eos.router import EosRouter
from lab.embedded.rest.bench import Bench, Node

ADD = "vlan 7\nname SV7"


@pytest.fixture
def node(bench: Bench, tmp_path: Path) -> Iterator[Node]:
    node = bench.start(f"agg-{tmp_path.name[-12:]}", "eos")
    yield node
    bench.clear(node)


@pytest.fixture
def endpoint(bench: Bench, node: Node) -> Endpoint:
    return Endpoint(
        device="agg-1",
        platform="eos",
        protocol="eapi",
        host="127.0.0.1",
        port=node.port,
        username="admin",
        password="admin",
        ca_path=str(bench.ca),
    )


Opened = Callable[[], contextlib.AbstractAsyncContextManager[EosDriver]]


@pytest.fixture
def opened(endpoint: Endpoint) -> Opened:
    @contextlib.asynccontextmanager
    async def open_driver() -> AsyncIterator[EosDriver]:
        driver = EosDriver(endpoint)
        await driver.open()
        yield driver
        await driver.close()

    return open_driver


def sessions(node: Node) -> dict[str, str]:
    router = cast("EosRouter", node.simulator)
    return {name: entry.state for name, entry in router.box.sessions.all.items()}


async def eapi(driver: EosDriver, *commands: str) -> None:
    """Do something behind the driver's back."""
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, lambda: driver._box._run(*commands))


def test_foreign_session_is_a_lock(opened: Opened, run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        async with opened() as driver:
            await eapi(driver, "configure session somebody")
            with pytest.raises(DeviceLocked, match="somebody"):
                await driver.lock("b1")
            await eapi(driver, "configure session somebody abort")
            await driver.lock("b1")

    run(test())


def test_foreign_commit_timer_is_a_lock(opened: Opened, run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        async with opened() as driver:
            await eapi(driver, "configure session somebody", "vlan 9", "commit timer 00:05:00")
            with pytest.raises(DeviceLocked, match="somebody"):
                await driver.lock("b1")
            with pytest.raises(DeviceLocked, match="somebody"):
                await driver.apply(ADD)

    run(test())


def test_commit_behind_a_foreign_timer_is_locked_not_rejected(
    opened: Opened, node: Node, run: Callable[[Any], Any]
) -> None:
    async def test() -> None:
        async with opened() as driver:
            await driver.lock("b1")
            await driver.stage("b1", [ADD])
            await eapi(driver, "configure session somebody", "vlan 9", "commit timer 00:05:00")
            with pytest.raises(DeviceLocked):
                await driver.commit("b1", 60)
            await driver.unlock("b1")
            assert sessions(node) == {"somebody": "pendingCommitTimer"}

    run(test())


def test_session_that_a_crash_left_is_cleared(
    opened: Opened, node: Node, run: Callable[[Any], Any]
) -> None:
    async def test() -> None:
        async with opened() as crashed:
            await crashed.lock("old")
            await crashed.stage("old", [ADD])
        assert sessions(node) == {session_name("old"): "pending"}
        async with opened() as driver:
            await driver.lock("b1")
            assert sessions(node) == {}

    run(test())


def test_staging_again_under_the_same_name_starts_empty(
    opened: Opened, run: Callable[[Any], Any]
) -> None:
    async def test() -> None:
        async with opened() as crashed:
            await crashed.lock("b1")
            await crashed.stage("b1", ["vlan 8\nname SV8"])
        async with opened() as driver:
            await driver.lock("b1")
            await driver.stage("b1", [ADD])
            await driver.commit("b1", 60)
            running = await driver.read("")
            assert "SV7" in running
            assert "SV8" not in running

    run(test())


def test_closing_leaves_a_provisional_commit_alone(
    opened: Opened, node: Node, run: Callable[[Any], Any]
) -> None:
    async def test() -> None:
        async with opened() as driver:
            await driver.lock("b1")
            await driver.stage("b1", [ADD])
            await driver.commit("b1", 60)
            await driver.unlock("b1")
        assert sessions(node) == {session_name("b1"): "pendingCommitTimer"}

    run(test())


def test_confirmed_commit_is_in_startup(
    opened: Opened, node: Node, run: Callable[[Any], Any]
) -> None:
    async def test() -> None:
        async with opened() as driver:
            await driver.lock("b1")
            await driver.stage("b1", [ADD])
            await driver.commit("b1", 60)
            startup = node.context.state_dir / "startup-config"
            assert "SV7" not in startup.read_text()
            await driver.confirm("b1")
            assert "SV7" in startup.read_text()

    run(test())


def test_rejected_line_is_told_with_the_command(opened: Opened, run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        async with opened() as driver:
            await driver.lock("b1")
            with pytest.raises(DeviceRejected) as caught:
                await driver.stage("b1", ["vlan 7\nflux capacitor"])
            (message,) = caught.value.messages
            assert message.tag == "1002"
            assert "Invalid input" in message.message
            assert message.path == "flux capacitor"

    run(test())


@pytest.mark.parametrize(("when", "active"), [("before", False), ("after", True)])
def test_drop_at_commit_is_decided_by_looking(
    opened: Opened, bench: Bench, node: Node, run: Callable[[Any], Any], when: str, active: bool
) -> None:
    async def test() -> None:
        async with opened() as driver:
            await driver.lock("b1")
            await driver.stage("b1", [ADD])
            bench.arm(node, "drop", rpc=4, when=when)  # sessions, pending?, version, commit
            with pytest.raises(SessionDropped):
                await driver.commit("b1", 60)
            assert not driver.alive
            bench.clear(node)
        async with opened() as driver:
            assert ("SV7" in await driver.read("")) is active
            await driver.cancel("b1")
            assert "SV7" not in await driver.read("")
            assert sessions(node) == {}

    run(test())


def test_who_gave_up_sends_nothing_more(
    opened: Opened, bench: Bench, node: Node, run: Callable[[Any], Any]
) -> None:
    async def test() -> None:
        async with opened() as driver:
            await driver.lock("b1")
            await driver.stage("b1", [ADD])
            bench.arm(node, "latency", ms=200)
            call = asyncio.ensure_future(driver.commit("b1", 60))
            await asyncio.sleep(0.1)  # the thread is at its first of four requests
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.sleep(0.8)
            assert sessions(node) == {session_name("b1"): "pending"}
            assert not driver.alive

    run(test())


def test_down_in_the_middle_is_unreachable_when_nothing_was_sent(
    opened: Opened, bench: Bench, node: Node, run: Callable[[Any], Any]
) -> None:
    async def test() -> None:
        async with opened() as driver:
            bench.arm(node, "down")
            with pytest.raises(DeviceUnreachable):
                await driver.read("")

    run(test())


def test_show_commands(opened: Opened, run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        async with opened() as driver:
            assert "SV7" not in await driver.read_state("show running-config")
            assert "Arista" in await driver.read_state("")

    run(test())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{}",
        b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
        b"SSH-2.0-what\r\n",
    ],
)
def test_something_else_answers(
    bench: Bench, endpoint: Endpoint, run: Callable[[Any], Any], answer: bytes, tls_server: Any
) -> None:
    async def test() -> None:
        with tls_server(bench, answer) as port:
            from dataclasses import replace

            driver = EosDriver(replace(endpoint, port=port))
            with pytest.raises(DriverError) as caught:
                await driver.open()
            assert isinstance(caught.value, DeviceUnreachable)

    run(test())


def test_napalm_is_imported_only_when_asked_for() -> None:
    code = (
        "import sys\n"
        "from activation.drivers.factory import Drivers\n"
        "from activation.drivers.eos import preload\n"
        "assert 'napalm' not in sys.modules and 'ncclient' not in sys.modules\n"
        "preload().result()\n"
        "assert 'napalm.eos' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
