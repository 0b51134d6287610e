"""The NETCONF driver against a server that also misbehaves; good behaviour is in test_conformance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

from activation.drivers.base import (
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    DriverError,
    HostKeyMismatch,
    Mode,
    SessionDropped,
)
from activation.drivers.netconf import NetconfDriver

if TYPE_CHECKING:
    from tests.activation.drivers.conftest import NetconfServer, ServerFactory

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
EDIT = "<top xmlns='urn:test'><item><name>a</name><value>1</value></item></top>"
NOT_10 = tuple(
    f"urn:ietf:params:netconf:{name}" for name in ("base:1.0", "capability:candidate:1.0")
)


def error(tag: str, severity: str = "error", **more: str) -> str:
    extra = "".join(f"<{key}>{value}</{key}>" for key, value in more.items())
    return (
        f"<rpc-error><error-type>application</error-type><error-tag>{tag}</error-tag>"
        f"<error-severity>{severity}</error-severity>{extra}</rpc-error>"
    )


@pytest.fixture
def with_server(netconf_server: ServerFactory, run: Callable[[Any], Any]) -> Callable[..., Any]:
    """Run `test(server, driver)` with an open driver."""

    def call(
        test: Callable[[NetconfServer, NetconfDriver], Awaitable[Any]],
        *,
        mode: Mode = Mode.CONFIRMED,
        endpoint: dict[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        async def inner() -> Any:
            async with netconf_server(mode, **options) as server:
                driver = NetconfDriver(server.endpoint(**(endpoint or {})))
                await driver.open()
                try:
                    return await test(server, driver)
                finally:
                    await driver.close()

        return run(inner())

    return call


def test_frames_are_written_in_one_piece(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        server.writes.clear()
        await driver.read("")
        assert len(server.writes) == 1

    with_server(test)


def test_base_10_only(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        assert driver.mode is Mode.CANDIDATE
        await driver.lock("b1")
        await driver.stage("b1", [EDIT])
        assert "urn:test" in await driver.read("")

    with_server(test, mode=Mode.CANDIDATE, capabilities=NOT_10)


def test_every_edit_is_an_rpc_of_its_own_and_sent_byte_for_byte(
    with_server: Callable[..., Any],
) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        await driver.lock("b1")
        await driver.stage("b1", [EDIT, EDIT.replace(">a<", ">b<")])
        assert server.operations == ["lock", "edit-config", "edit-config"]

    with_server(test)


def test_edit_that_is_not_xml_is_refused_before_anything_is_sent(
    with_server: Callable[..., Any],
) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        await driver.lock("b1")
        with pytest.raises(DeviceRejected, match="not well-formed"):
            await driver.stage("b1", [EDIT, "<top>"])
        assert server.operations == ["lock"]

    with_server(test)


def test_breaking_out_of_config_is_refused(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        with pytest.raises(DeviceRejected, match="not well-formed"):
            await driver.stage("b1", ["</config></edit-config><commit/><edit-config><config>"])
        assert server.operations == []

    with_server(test)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (error("invalid-value", **{"error-message": "no"}), DeviceRejected),
        (error("lock-denied"), DeviceLocked),
        (error("in-use"), DeviceLocked),
        (error("operation-failed", "warning") + error("data-missing"), DeviceRejected),
        (error("data-missing") + error("operation-failed", "warning"), DeviceRejected),
        ("<rpc-error><error-tag>bad-element</error-tag></rpc-error>", DeviceRejected),
    ],
)
def test_errors(with_server: Callable[..., Any], body: str, kind: type[DriverError]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        await driver.lock("b1")
        server.script = lambda *_: body
        with pytest.raises(kind) as caught:
            await driver.stage("b1", [EDIT])
        server.script = None
        assert caught.value.messages
        with pytest.raises(SessionDropped):
            await driver.commit("b1", 60)  # what was not staged is not committed

    with_server(test)


def test_warning_is_no_error(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        await driver.lock("b1")
        warning = error("operation-failed", "warning", **{"error-message": "deprecated"})
        server.script = lambda *_: warning + "<ok/>"
        await driver.stage("b1", [EDIT])
        assert [w.message for w in driver.warnings] == ["deprecated"]
        server.script = lambda *_: warning  # Junos leaves out <ok/>
        await driver.stage("b1", [EDIT])

    with_server(test)


def test_error_keeps_the_device_words(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        body = error(
            "unknown-element",
            **{
                "error-message": "what is this",
                "error-path": "/t:top/t:item",
                "error-info": "<bad-element>item</bad-element>",
            },
        )
        server.script = lambda *_: body
        with pytest.raises(DeviceRejected) as caught:
            await driver.lock("b1")
        (message,) = caught.value.messages
        assert message.tag == "unknown-element"
        assert message.path == "/t:top/t:item"
        assert message.message == "what is this; bad-element item"

    with_server(test)


def reply(body: str, message_id: str) -> bytes:
    return chunk(f'<rpc-reply xmlns="{BASE}" message-id="{message_id}">{body}</rpc-reply>'.encode())


def chunk(data: bytes) -> bytes:
    return b"\n#%d\n%b\n##\n" % (len(data), data)


GARBAGE = {
    "not framed": b"hello there",
    "bad size": b"\n#0\n\n##\n",
    "leading zero": b"\n#01\na\n##\n",
    "no chunk": b"\n##\n",
    "not xml": chunk(b"<a><b"),
    "binary": chunk(b"\x00\xff\x01"),
    "foreign message": chunk(b"<notnc/>"),
    "foreign id": reply("<data/>", "4711"),
    "no id": chunk(f'<rpc-reply xmlns="{BASE}"><data/></rpc-reply>'.encode()),
    "doctype": chunk(
        f'<!DOCTYPE a [<!ENTITY b "c">]><rpc-reply message-id="1" xmlns="{BASE}">'
        "<data>&b;</data></rpc-reply>".encode()
    ),
    "end of message mark": b"<rpc-reply/>]]>]]>",
}


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_ends_the_session(with_server: Callable[..., Any], raw: bytes) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        server.script = lambda *_: raw
        with pytest.raises(SessionDropped):
            await driver.read("")
        assert not driver.alive
        with pytest.raises(DeviceUnreachable, match="nothing was sent"):
            await driver.read("")

    with_server(test)


def test_reply_without_data_ends_the_session(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        server.script = lambda *_: "<ok/>"
        with pytest.raises(SessionDropped, match="without <data>"):
            await driver.read("")
        assert not driver.alive

    with_server(test)


def test_prefixes_bound_above_the_data_stay_bound(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        server.script = lambda *_: (
            '<data xmlns:x="urn:x"><!-- c --><t xmlns="urn:t"><type>x:foo</type></t> <u xmlns="urn:u"/></data>'
        )
        content = etree.fromstring(f"<d>{await driver.read('')}</d>")
        assert [child.tag for child in content] == ["{urn:t}t", "{urn:u}u"]
        assert content[0].nsmap["x"] == "urn:x"

    with_server(test)


def test_failed_discard_unlocks_all_the_same(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        await driver.lock("b1")
        server.script = lambda name, _: (
            error("operation-failed") if name == "discard-changes" else None
        )
        with pytest.raises(DeviceRejected):
            await driver.unlock("b1")
        assert server.device.locked_by is None
        assert not driver.holds

    with_server(test)


def test_replies_are_matched_by_id_not_by_order(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        ids: list[str] = []

        def script(name: str, message_id: str) -> bytes:
            ids.append(message_id)
            if len(ids) < 2:
                return b""
            return reply("<data><second/></data>", ids[1]) + reply("<data><first/></data>", ids[0])

        server.script = script
        first, second = await asyncio.gather(driver.read(""), driver.read(""))
        assert "first" in first
        assert "second" in second

    with_server(test)


def test_notification_is_ignored(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        text = b'<notification xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'
        server.script = lambda _, message_id: chunk(text) + reply("<data/>", message_id)
        assert await driver.read("") == ""

    with_server(test)


def test_no_answer_drops_the_session(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        server.script = lambda *_: b""
        with pytest.raises(SessionDropped, match="no answer within"):
            await driver.read("")
        assert not driver.alive

    with_server(test, endpoint={"timeout_s": 0.3})


def test_cancelled_call_drops_the_session(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        server.script = lambda *_: b""
        call = asyncio.ensure_future(driver.read(""))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not driver.alive

    with_server(test)


def test_killed_in_the_middle(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        def script(*_: str) -> bytes:
            server.kill_sessions()
            return b""

        server.script = script
        with pytest.raises(SessionDropped):
            await driver.read("")

    with_server(test)


def test_lock_of_a_given_up_batch_is_taken_over_and_its_edits_are_lost(
    with_server: Callable[..., Any],
) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        await driver.lock("old")
        await driver.stage("old", [EDIT])
        await driver.lock("new")
        with pytest.raises(SessionDropped, match="nothing was committed"):
            await driver.commit("old", 60)
        await driver.unlock("old")  # not the holder any more
        assert driver.holds
        await driver.stage("new", [EDIT.replace(">a<", ">b<")])
        await driver.commit("new", 60)
        assert ">a<" not in server.device.running
        assert ">b<" in server.device.running

    with_server(test)


def test_commit_again_renews_the_timer_and_keeps_the_backup(
    with_server: Callable[..., Any],
) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        await driver.lock("b1")
        await driver.stage("b1", [EDIT])
        await driver.commit("b1", 60)
        await driver.commit("b1", 120)
        await driver.cancel("b1")
        assert ">a<" not in server.device.running

    with_server(test)


def test_startup_is_saved_only_where_there_is_one(with_server: Callable[..., Any]) -> None:
    async def test(server: NetconfServer, driver: NetconfDriver) -> None:
        await driver.save()
        assert server.operations == []

    with_server(test, mode=Mode.CANDIDATE, capabilities=NOT_10)


@pytest.mark.parametrize(
    ("capabilities", "kind"),
    [
        (("urn:ietf:params:netconf:base:1.1",), DeviceRejected),
        (("urn:example:nothing",), DriverError),
    ],
    ids=["no candidate", "no base"],
)
def test_refuses_what_it_cannot_drive(
    with_server: Callable[..., Any], capabilities: tuple[str, ...], kind: type[DriverError]
) -> None:
    async def test(*_: object) -> None:
        pytest.fail("it opened")

    with pytest.raises(kind):
        with_server(test, capabilities=capabilities)


@pytest.mark.parametrize(
    "hello", [b"nonsense]]>]]>", b"<hello/>]]>]]>", f"<hello xmlns='{BASE}'/>]]>]]>".encode()]
)
def test_bad_hello(with_server: Callable[..., Any], hello: bytes) -> None:
    async def test(*_: object) -> None:
        pytest.fail("it opened")

    with pytest.raises(DeviceUnreachable, match="hello"):
        with_server(test, hello=hello)


def test_no_hello_in_time(with_server: Callable[..., Any]) -> None:
    async def test(*_: object) -> None:
        pytest.fail("it opened")

    with pytest.raises(DeviceUnreachable, match="no login within"):
        with_server(test, hello=b" ", endpoint={"timeout_s": 0.3})


def test_subsystem_refused(with_server: Callable[..., Any]) -> None:
    async def test(*_: object) -> None:
        pytest.fail("it opened")

    with pytest.raises(DeviceRejected, match="subsystem"):
        with_server(test, capabilities=("urn:ietf:params:netconf:capability:no-subsystem",))


@pytest.mark.parametrize(
    "host_key",
    [
        None,
        "rubbish",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE+kCXUIOMRXQnBKYXfLAfwkXyvVbcvLvVSkFRb8Y3n4",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=",
    ],
    ids=["none", "no key", "another key", "another type"],
)
def test_host_key_is_pinned(with_server: Callable[..., Any], host_key: str | None) -> None:
    async def test(*_: object) -> None:
        pytest.fail("it opened")

    with pytest.raises(HostKeyMismatch):
        with_server(test, endpoint={"host_key": host_key})
