"""Framing (RFC 6242 §4), hello, and what a session does with broken messages (RFC 6241 §3, §4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.embedded.faults import Dropped, parse_fault
from lab.embedded.netconf.device import NetconfDevice
from lab.embedded.netconf.framing import Decoder, FramingError, encode
from lab.embedded.netconf.rpcerror import BASE
from lab.embedded.netconf.session import Session
from tests.lab.netconf_bench import bng, edit_config
from tests.lab.test_netconf_commit import policy

HELLO = f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:{{}}</capability></capabilities></hello>'


@given(
    st.lists(st.text(min_size=1).filter(lambda t: "]]>]]>" not in t), max_size=5),
    st.booleans(),
    st.lists(st.integers(0, 200)),
)
def test_any_cut_of_the_bytes_gives_the_same_messages(
    messages: Sequence[str], chunked: bool, cuts: Sequence[int]
) -> None:
    data = b"".join(encode(message, chunked=chunked) for message in messages)
    decoder = Decoder()
    decoder.chunked = chunked
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    got = [m for a, b in pairwise(edges) for m in decoder.feed(data[a:b])]
    assert [message.decode() for message in got] == list(messages)


def test_a_message_may_come_in_many_chunks() -> None:
    decoder = Decoder()
    decoder.chunked = True
    assert list(decoder.feed(b"\n#4\n<rpc\n#2\n/>\n##\n\n#1\nx\n##\n")) == [b"<rpc/>", b"x"]


@pytest.mark.parametrize(
    "data",
    [b"\n#0\n             ", b"<rpc/>]]>]]>   ", b"\n#12345678901\nx   ", b"\n#-1\nxxxxxxxxx"],
)
def test_no_chunk_header_ends_the_session(data: bytes) -> None:
    decoder = Decoder()
    decoder.chunked = True
    with pytest.raises(FramingError):
        list(decoder.feed(data))


class Wire:
    """A stream that holds what the client sends and collects what it would get."""

    def __init__(self, *messages: str, chunked: bool = True) -> None:
        first, *others = messages
        self._out = [encode(first, chunked=False)]
        self._out += [encode(message, chunked=chunked) for message in others]
        self._decoder = Decoder()
        self._chunked = chunked
        self.got: list[str] = []

    async def read(self, limit: int) -> bytes:
        return self._out.pop(0) if self._out else b""

    async def write(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            self.got.append(message.decode())
            self._decoder.chunked = self._chunked


def rpc(operation: str, attributes: str = 'message-id="1"') -> str:
    return f'<rpc xmlns="{BASE}" xmlns:nc="{BASE}" {attributes}>{operation}</rpc>'


@pytest.fixture
def device(tmp_path: Path) -> NetconfDevice:
    return bng(tmp_path)


def serve(device: NetconfDevice, *messages: str, base: str = "1.1") -> list[str]:
    wire = Wire(HELLO.format(base), *messages, chunked=base == "1.1")
    device._sessions[1] = None  # type: ignore[assignment]
    asyncio.run(Session(device, 1, wire).serve())
    return wire.got


@pytest.mark.parametrize("base", ["1.0", "1.1"])
def test_both_framings(device: NetconfDevice, base: str) -> None:
    hello, reply = serve(device, rpc("<get/>"), base=base)
    assert "<session-id>1</session-id>" in hello
    assert "urn:turnup:yang:turnup-bng?module=turnup-bng&amp;revision=" in hello
    assert reply == f'<rpc-reply xmlns="{BASE}" message-id="1"><data></data></rpc-reply>'


def test_attributes_of_the_request_come_back(device: NetconfDevice) -> None:
    extra = 'message-id="a&lt;b" xmlns:ex="urn:example" ex:user-id="fred"'
    reply = serve(device, rpc("<get/>", extra))[1]
    assert 'message-id="a&lt;b"' in reply
    assert 'xmlns:a0="urn:example"' in reply
    assert 'a0:user-id="fred"' in reply


def test_without_message_id(device: NetconfDevice) -> None:
    reply = serve(device, rpc("<get/>", ""))[1]
    assert "<error-tag>missing-attribute</error-tag>" in reply
    assert "<bad-attribute>message-id</bad-attribute><bad-element>rpc</bad-element>" in reply


@pytest.mark.parametrize(
    "bad", ["<rpc", " ", f'<!DOCTYPE rpc [<!ENTITY x "y">]>{rpc("<get/>")}', "\xff<"]
)
def test_what_is_no_xml_ends_the_session(device: NetconfDevice, bad: str) -> None:
    got = serve(device, bad, rpc("<get/>"))
    assert len(got) == 2
    assert "malformed-message" in got[1]


@pytest.mark.parametrize(
    "first",
    ["<rpc/>", HELLO.format("1.1").replace("</hello>", "<session-id>4</session-id></hello>")],
)
def test_a_hello_that_is_none_ends_the_session(device: NetconfDevice, first: str) -> None:
    wire = Wire(first, rpc("<get/>"))
    asyncio.run(Session(device, 1, wire).serve())
    assert len(wire.got) == 1


def test_close_session_is_answered_and_the_last(device: NetconfDevice) -> None:
    got = serve(device, rpc("<close-session/>"), rpc("<get/>"))
    assert len(got) == 2
    assert "<ok/>" in got[1]


def test_an_operation_in_a_wrong_namespace_is_understood(device: NetconfDevice) -> None:
    """Napalm's IOS-XR driver sends <get> in the namespace …:base:1.1."""
    reply = serve(device, rpc('<get xmlns="urn:ietf:params:xml:ns:netconf:base:1.1"/>'))[1]
    assert "<data>" in reply


def test_all_errors_of_a_validation_are_told(device: NetconfDevice) -> None:
    two = "".join(f"<subscriber-interface><name>{n}</name></subscriber-interface>" for n in "ab")
    edit = edit_config(
        f'<subscriber-interfaces xmlns="urn:turnup:yang:turnup-bng">{two}</subscriber-interfaces>'
    )
    reply = serve(device, rpc(edit), rpc("<commit/>"))[2]
    assert reply.count("<rpc-error>") == 4
    assert 'xmlns:tbng="urn:turnup:yang:turnup-bng"' in reply


@pytest.mark.parametrize(("when", "done"), [("before", False), ("after", True)])
def test_the_session_is_dropped_at_the_request_that_was_asked_for(
    device: NetconfDevice, when: str, done: bool
) -> None:
    device.faults.arm(parse_fault("drop", {"rpc": "2", "when": when}))
    for _ in range(2):
        wire = Wire(HELLO.format("1.1"), rpc(edit_config(policy("a"))), rpc("<commit/>"))
        device._sessions[1] = None  # type: ignore[assignment]
        with pytest.raises(Dropped):
            asyncio.run(Session(device, 1, wire).serve())
        assert len(wire.got) == 2
    assert ("policies" in device.stores.running.children) is done
