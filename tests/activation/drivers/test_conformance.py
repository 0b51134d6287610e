"""One suite that every driver passes, as far as its mode allows, against a device that really answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from activation.drivers.base import (
    AuthenticationRefused,
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    Endpoint,
    HostKeyMismatch,
    Mode,
    SessionDropped,
)
from activation.drivers.factory import Drivers
from activation.drivers.memory import (
    Dialect,
    LineDialect,
    MemoryNetwork,
    RestDialect,
    XmlDialect,
)
from activation.drivers.netconf import NO_SUCH_COMMIT
from activation.drivers.pool import Session
from lab.embedded.rest.bench import Bench, Node

if TYPE_CHECKING:
    from tests.activation.drivers.conftest import ServerFactory

T = TypeVar("T")
XML_ADD = '<top xmlns="urn:test"><item><name>a</name><value>1</value></item></top>'
XML_REMOVE = (
    '<top xmlns="urn:test"><item xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" '
    'nc:operation="remove"><name>a</name></item></top>'
)


@dataclass(frozen=True)
class Text:
    """Native texts of one dialect."""

    add: str
    remove: str
    bad: str
    selection: str
    mark: str
    """Is in the answer to `selection` when `add` is active, and only then."""


XML = Text(XML_ADD, XML_REMOVE, "<top xmlns='urn:test'><item", '<top xmlns="urn:test"/>', ">a<")
LINES = Text("vlan 7\nname SV7", "no vlan 7", "% nonsense", "", "SV7")
REST = Text(
    add='{"method": "PUT", "path": "/x/1", "body": {"v": 1}}',
    remove='{"method": "DELETE", "path": "/x/1"}',
    bad='{"method": "BREW", "path": "/x/1"}',
    selection='["/x/1"]',
    mark='"v": 1',
)
EOS = replace(LINES, bad="vlan 7\nflux capacitor", selection="")
ACS_PATH = "/acs/v1/endpoints/HWTC1A2B3C01"


def acs_put(model: str) -> str:
    connection = {"ipv4": "100.64.0.2", "ipv6Prefix": "2001:db8:4000::/56"}
    body = {"model": model, "profile": "residential", "connection": connection, "parameters": {}}
    return json.dumps({"method": "PUT", "path": ACS_PATH, "body": body})


ACS = Text(
    add=acs_put("HG8245H"),
    remove=json.dumps({"method": "DELETE", "path": ACS_PATH}),
    bad=acs_put("no such model"),
    selection=json.dumps([ACS_PATH]),
    mark="residential",
)


OLT_NS = "urn:bbf:yang:bbf-subscriber-profiles"
BNG_NS = "urn:turnup:yang:turnup-bng"


def olt_edit(name: str, inner: str = "", operation: str = "") -> str:
    return (
        f'<subscriber-profiles xmlns="{OLT_NS}"><subscriber-profile{operation}><name>{name}</name>'
        f"{inner}</subscriber-profile></subscriber-profiles>"
    )


def bng_edit(name: str, rate: str = "", operation: str = "") -> str:
    rated = f"<rate>{rate}</rate><burst>100000</burst>" if rate else ""
    return f'<policies xmlns="{BNG_NS}"><policy{operation}><name>{name}</name>{rated}</policy></policies>'


GONE = ' xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="remove"'
OLT = Text(
    add=olt_edit("sub-x", "<circuit-id>olt-1 xpon pon1:7</circuit-id>"),
    remove=olt_edit("sub-x", operation=GONE),
    bad=olt_edit("sub-x", "<flux-capacitor/>"),
    selection=f'<subscriber-profiles xmlns="{OLT_NS}"/>',
    mark="sub-x",
)
BNG = Text(
    add=bng_edit("rate-x", "200000000"),
    remove=bng_edit("rate-x", operation=GONE),
    bad=bng_edit("rate-x", "fast"),
    selection=f'<policies xmlns="{BNG_NS}"/>',
    mark="rate-x",
)


@dataclass(frozen=True)
class Subject:
    """A device and a way to talk to it."""

    mode: Mode
    text: Text
    make: Callable[[], Session]
    endpoint: Endpoint | None = None
    """None: there is no network in between."""
    keeps_staged: bool = False
    """What was staged lives on the device, not in the session (EOS)."""

    def over(self, **changes: Any) -> Session:
        assert self.endpoint is not None
        return Drivers()(replace(self.endpoint, **changes))

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        session = self.make()
        await session.open()
        try:
            yield session
        finally:
            await session.close()

    async def active(self) -> bool:
        """Look with a session of its own."""
        async with self.session() as session:
            return self.text.mark in await session.read(self.text.selection)


@pytest.fixture(scope="module")
def eos_node(bench: Bench) -> Node:
    return bench.start("agg-1", "eos")


@pytest.fixture(scope="module")
def acs_node(bench: Bench) -> Node:
    return bench.start("acs-1", "acs")


def https(node: Node, protocol: str, ca: Path) -> Endpoint:
    return Endpoint(
        device=node.context.name,
        platform=node.context.model,
        protocol=protocol,
        host=node.context.host,
        port=node.port,
        username="admin",
        password="admin",
        ca_path=str(ca),
    )


def in_memory(mode: Mode, dialect: Dialect, text: Text) -> Subject:
    network = MemoryNetwork()
    network.add("box", mode=mode, dialect=dialect)
    endpoint = Endpoint("box", "test", "memory", "", 0, "", "")
    return Subject(mode, text, lambda: network.driver(endpoint))


def remote(mode: Mode, text: Text, endpoint: Endpoint, *, keeps_staged: bool = False) -> Subject:
    return Subject(mode, text, lambda: Drivers()(endpoint), endpoint, keeps_staged)


SUBJECTS = (
    "memory-A-xml",
    "memory-B-lines",
    "memory-C-rest",
    "netconf-A",
    "netconf-B",
    "olt",
    "bng",
    "eos",
    "acs",
)
MEMORY: dict[str, tuple[Mode, Dialect, Text]] = {
    "memory-A-xml": (Mode.CONFIRMED, XmlDialect(), XML),
    "memory-B-lines": (Mode.CANDIDATE, LineDialect(), LINES),
    "memory-C-rest": (Mode.IMMEDIATE, RestDialect(), REST),
}
BASIC = tuple(
    f"urn:ietf:params:netconf:{name}"
    for name in ("base:1.0", "base:1.1", "capability:candidate:1.0")
)


class Conformance:
    """Runs a test against one subject, whatever has to be started for it."""

    def __init__(
        self, name: str, run: Callable[[Any], Any], servers: ServerFactory, request: Any
    ) -> None:
        self.name = name
        self._run, self._servers, self._request = run, servers, request

    def __call__(self, test: Callable[[Subject], Awaitable[T]]) -> T:
        async def inner() -> T:
            async with self._subject() as subject:
                try:
                    return await test(subject)
                finally:
                    await _clean(subject)

        answer: T = self._run(inner())
        return answer

    @contextlib.asynccontextmanager
    async def _subject(self) -> AsyncIterator[Subject]:
        if self.name in MEMORY:
            yield in_memory(*MEMORY[self.name])
        elif self.name.startswith("netconf"):
            async with self._netconf() as subject:
                yield subject
        else:
            yield self._lab()

    @contextlib.asynccontextmanager
    async def _netconf(self) -> AsyncIterator[Subject]:
        mode = Mode(self.name[-1])
        options = {} if mode is Mode.CONFIRMED else {"capabilities": BASIC}
        async with self._servers(mode, **options) as server:
            yield remote(mode, XML, server.endpoint())

    def _lab(self) -> Subject:
        if self.name in {"olt", "bng"}:
            endpoint = self._request.getfixturevalue(self.name).endpoint
            return remote(Mode.CONFIRMED, OLT if self.name == "olt" else BNG, endpoint)
        node = self._request.getfixturevalue(f"{self.name}_node")
        ca = self._request.getfixturevalue("bench").ca
        if self.name == "eos":
            return remote(Mode.CONFIRMED, EOS, https(node, "eapi", ca), keeps_staged=True)
        return remote(Mode.IMMEDIATE, ACS, https(node, "rest", ca))


async def _clean(subject: Subject) -> None:
    async with subject.session() as session:
        if subject.mode is Mode.CONFIRMED:
            for name in ("b1", "b2"):
                await session.cancel(name)
        if await subject.active():
            await session.apply(subject.text.remove)


@pytest.fixture
def check(
    request: pytest.FixtureRequest, run: Callable[[Any], Any], netconf_server: ServerFactory
) -> Conformance:
    return Conformance(request.param, run, netconf_server, request)


def on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("check", names, indirect=True)


everywhere = on(*SUBJECTS)
mode_a = on("memory-A-xml", "netconf-A", "olt", "bng", "eos")
mode_b = on("memory-B-lines", "netconf-B")
transactions = on("memory-A-xml", "netconf-A", "olt", "bng", "eos", "memory-B-lines", "netconf-B")
mode_c = on("memory-C-rest", "acs")
networked = on("netconf-A", "netconf-B", "olt", "bng", "eos", "acs")


async def staged(session: Session, subject: Subject, name: str = "b1") -> None:
    await session.lock(name)
    await session.stage(name, [subject.text.add])
    await session.validate(name)


@everywhere
def test_mode_is_known_after_open(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as session:
            assert session.mode is subject.mode
            assert session.alive

    check(test)


@everywhere
def test_edit_and_its_inverse(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as session:
            before = await session.read(subject.text.selection)
            await session.apply(subject.text.add)
            assert await subject.active()
            await session.apply(subject.text.add)  # again: the same
            await session.apply(subject.text.remove)
            assert await session.read(subject.text.selection) == before
            await session.apply(subject.text.remove)
            assert not await subject.active()

    check(test)


@everywhere
def test_bad_edit_is_rejected_with_the_device_words(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as session:
            with pytest.raises(DeviceRejected) as caught:
                await session.apply(subject.text.bad)
            assert caught.value.messages
            assert caught.value.device
            assert not await subject.active()
            await session.apply(subject.text.add)  # the session is still good
            assert await subject.active()

    check(test)


@everywhere
def test_save(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as session:
            await session.save()

    check(test)


@everywhere
def test_closed_session_is_not_alive_and_may_be_closed_again(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        session = subject.make()
        await session.open()
        await session.close()
        assert not session.alive
        await session.close()
        session.abort()
        with pytest.raises(DeviceUnreachable):
            await session.read(subject.text.selection)

    check(test)


@transactions
def test_staged_is_not_active_and_unlock_discards_it(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as session:
            await staged(session, subject)
            holds = [session.holds]
            assert not await subject.active()
            await session.unlock("b1")
            assert [*holds, session.holds] == [True, False]
            with pytest.raises(SessionDropped):
                await session.commit("b1", 60)
        assert not await subject.active()

    check(test)


@everywhere
def test_unlock_without_lock_is_harmless(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as session:
            await session.unlock("b1")

    check(test)


@transactions
def test_rejected_stage_leaves_nothing(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as session:
            await session.lock("b1")
            with pytest.raises(DeviceRejected):
                await session.stage("b1", [subject.text.add, subject.text.bad])
            with pytest.raises(SessionDropped):
                await session.commit("b1", 60)
            await session.unlock("b1")
            await staged(session, subject)  # and one may try again
            await session.unlock("b1")
        assert not await subject.active()

    check(test)


@mode_a
def test_two_cannot_configure_at_the_same_time(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as first, subject.session() as second:
            await staged(first, subject)
            await first.commit("b1", 60)
            with pytest.raises(DeviceLocked):
                await second.lock("b2")
            await first.cancel("b1")
            await first.unlock("b1")
            await second.lock("b2")
            await second.unlock("b2")

    check(test)


@on("memory-A-xml", "netconf-A", "olt", "bng", "memory-B-lines", "netconf-B")
def test_lock_is_exclusive(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as first, subject.session() as second:
            await first.lock("b1")
            with pytest.raises(DeviceLocked):
                await second.lock("b2")
            await first.unlock("b1")
            await second.lock("b2")
            await second.unlock("b2")

    check(test)


@transactions
def test_lost_session_commits_nothing(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        first = subject.make()
        await first.open()
        await staged(first, subject)
        first.abort()
        assert not first.alive
        async with subject.session() as second:
            if subject.keeps_staged:
                await second.commit("b1", 60)
                await second.cancel("b1")
                return
            with pytest.raises(SessionDropped):
                await second.commit("b1", 60)
            await eventually_lockable(second)
        assert not await subject.active()

    check(test)


async def eventually_lockable(session: Session) -> None:
    """The device may need a moment to see that the holder of the lock is gone."""
    for _ in range(100):
        try:
            await session.lock("b2")
        except DeviceLocked:
            await asyncio.sleep(0.02)
        else:
            await session.unlock("b2")
            return
    pytest.fail("the lock of a lost session stays")


@mode_a
def test_provisional_commit_is_confirmed_from_another_session(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as first:
            await staged(first, subject)
            await first.commit("b1", 60)
            assert await subject.active()
        assert await subject.active()
        async with subject.session() as second:
            await second.confirm("b1")
            assert await subject.active()
            await second.cancel("b1")  # nothing to undo any more
            assert await subject.active()

    check(test)


@mode_a
def test_provisional_commit_is_cancelled_from_another_session(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as first:
            await staged(first, subject)
            await first.commit("b1", 60)
        async with subject.session() as second:
            await second.cancel("b1")
            assert not await subject.active()
            await second.cancel("b1")  # harmless

    check(test)


@mode_a
def test_provisional_commit_reverts_by_itself(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as first:
            await staged(first, subject)
            await first.commit("b1", 1)
            assert await subject.active()
            await first.unlock("b1")
        for _ in range(60):
            if not await subject.active():
                break
            await asyncio.sleep(0.05)
        assert not await subject.active()
        async with subject.session() as second:
            with pytest.raises(DeviceRejected) as caught:
                await second.confirm("b1")
            assert caught.value.messages[0].tag == NO_SUCH_COMMIT

    check(test)


@mode_a
def test_renewal_moves_the_deadline(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as session:
            await staged(session, subject)
            await session.commit("b1", 1)
            await session.commit("b1", 60)
            await asyncio.sleep(1.3)
            assert await subject.active()
            await session.cancel("b1")
            assert not await subject.active()

    check(test)


@mode_a
def test_confirm_of_what_nobody_committed(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as session:
            with pytest.raises(DeviceRejected) as caught:
                await session.confirm("b2")
            assert caught.value.messages[0].tag == NO_SUCH_COMMIT

    check(test)


@mode_b
def test_commit_without_timer_is_at_once_and_for_good(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as session:
            await staged(session, subject)
            await session.commit("b1", 60)
            await session.unlock("b1")
            for call in (session.confirm, session.cancel):
                with pytest.raises(DeviceRejected):
                    await call("b1")
        assert await subject.active()

    check(test)


@mode_c
def test_mode_c_refuses_what_it_cannot_do(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        async with subject.session() as session:
            await session.lock("b1")
            for call in (
                session.stage("b1", [subject.text.add]),
                session.validate("b1"),
                session.commit("b1", 60),
                session.confirm("b1"),
                session.cancel("b1"),
            ):
                with pytest.raises(DeviceRejected):
                    await call
            await session.unlock("b1")
        assert not await subject.active()

    check(test)


@networked
def test_nobody_listens(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        session = subject.over(port=1)
        with pytest.raises(DeviceUnreachable):
            await session.open()
        assert not session.alive

    check(test)


async def opened_and_read(session: Session, subject: Subject) -> str:
    await session.open()
    return await session.read(subject.text.selection)


@networked
def test_wrong_password(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        session = subject.over(password="pa55-not-it")
        with pytest.raises(AuthenticationRefused) as caught:
            await opened_and_read(session, subject)
        assert "pa55-not-it" not in f"{caught.value} {caught.value.details} {session!r}"
        await session.close()

    check(test)


@networked
def test_wrong_identity(check: Conformance, tmp_path: Path) -> None:
    async def test(subject: Subject) -> None:
        endpoint = subject.endpoint
        assert endpoint is not None
        with Bench(tmp_path) as other:
            key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE+kCXUIOMRXQnBKYXfLAfwkXyvVbcvLvVSkFRb8Y3n4"
            change = {"ca_path": str(other.ca)} if endpoint.ca_path else {"host_key": key}
            session = subject.over(**change)
            with pytest.raises(HostKeyMismatch):
                await session.open()
            assert not session.alive

    check(test)


@on("netconf-A", "netconf-B", "acs")  # EOS: the first open imports napalm, which takes its time
def test_silent_peer(check: Conformance) -> None:
    async def test(subject: Subject) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            session = subject.over(port=silent.getsockname()[1], timeout_s=0.3)
            with pytest.raises(DeviceUnreachable):
                await session.open()

    check(test)
