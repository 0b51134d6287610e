"""One NETCONF session on two byte streams: hello, framing, requests one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Protocol
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from lab.embedded.netconf import operations
from lab.embedded.netconf.edit import Element, elements, text_of
from lab.embedded.netconf.framing import Decoder, FramingError, encode
from lab.embedded.netconf.operations import CAPABILITIES, Device
from lab.embedded.netconf.rpcerror import BASE, Errors, RpcError
from lab.embedded.netconf.schema import Schema

BASE_1_1 = "urn:ietf:params:netconf:base:1.1"
MAX_READ = 65536


class Stream(Protocol):
    """The channel to the client."""

    async def read(self, limit: int) -> bytes:
        """Return what has come, b'' at the end."""

    async def write(self, data: bytes) -> None:
        """Send all of it."""


class Closed(Exception):
    """The session is over."""


class Session:
    """Serves one client until it leaves, is killed, or breaks the protocol."""

    def __init__(self, device: Device, number: int, stream: Stream) -> None:
        self._device = device
        self._number = number
        self._stream = stream
        self._decoder = Decoder()
        self._gate = device.faults.gate()

    async def serve(self) -> None:
        """Run the session. What it leaves behind (locks, commits) is the caller's to end.

        Raises:
            Dropped: an armed fault wants the connection cut.
        """
        with contextlib.suppress(Closed, FramingError, OSError):
            await self._send(hello(self._device.schema, self._number), chunked=False)
            messages = self._messages()
            self._decoder.chunked = _understands_chunks(await anext(messages, b""))
            async for message in messages:
                await self._answer(message)

    async def _messages(self) -> AsyncIterator[bytes]:
        while data := await self._stream.read(MAX_READ):
            for message in self._decoder.feed(data):
                yield message

    async def _send(self, message: str, *, chunked: bool) -> None:
        await self._stream.write(encode(message, chunked=chunked))

    async def _answer(self, message: bytes) -> None:
        rpc = parse(message)
        if rpc is None:
            # RFC 6241 §3 and appendix A: without a message-id there is nothing to go on with.
            error = RpcError("malformed-message", "not well-formed XML", kind="rpc")
            await self._reply("", error.to_xml())
            raise Closed
        await self._gate.before()
        content = await self._execute(rpc)
        await self._gate.after()
        await self._reply(_attributes(rpc), content)
        if any(etree.QName(child).localname == "close-session" for child in elements(rpc)):
            raise Closed

    async def _execute(self, rpc: Element) -> str:
        try:
            _check_rpc(rpc)
            return await operations.execute(self._device, self._number, rpc)
        except RpcError as error:
            return error.to_xml()
        except Errors as errors:
            return "".join(error.to_xml() for error in errors.found)

    async def _reply(self, attributes: str, content: str) -> None:
        message = f'<rpc-reply xmlns="{BASE}"{attributes}>{content}</rpc-reply>'
        await self._send(message, chunked=self._decoder.chunked)


def hello(schema: Schema, number: int) -> str:
    """Return the server's hello: capabilities, modules, session id (RFC 6241 §8.1)."""
    modules = (
        f"{module.namespace}?module={module.name}&revision={module.revision}"
        for module in schema.modules
    )
    capabilities = "".join(
        f"<capability>{escape(uri)}</capability>" for uri in (*CAPABILITIES, *modules)
    )
    return (
        f'<hello xmlns="{BASE}"><capabilities>{capabilities}</capabilities>'
        f"<session-id>{number}</session-id></hello>"
    )


def parse(message: bytes) -> Element | None:
    """Return the document element; None for what is no XML, or has a DTD (RFC 6241 §3)."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True
    )
    try:
        root = etree.fromstring(message.strip(), parser)
    except etree.XMLSyntaxError:
        return None
    return root if root.getroottree().docinfo.internalDTD is None else None


def _understands_chunks(message: bytes) -> bool:
    root = parse(message)
    if root is None or etree.QName(root).localname != "hello":
        raise Closed
    if any(etree.QName(e).localname == "session-id" for e in elements(root)):
        raise Closed
    return any(text_of(e) == BASE_1_1 for e in root.iter(f"{{{BASE}}}capability"))


def _check_rpc(rpc: Element) -> None:
    name = etree.QName(rpc).localname
    if name != "rpc":
        raise RpcError(
            "unknown-element", f"{name} is no rpc", info={"bad-element": name}, kind="rpc"
        )
    if "message-id" not in rpc.attrib:
        raise RpcError(
            "missing-attribute",
            "the rpc has no message-id",
            info={"bad-attribute": "message-id", "bad-element": "rpc"},
            kind="rpc",
        )


def _attributes(rpc: Element) -> str:
    """All attributes of the request come back in the reply (RFC 6241 §4.1)."""
    declared: dict[str, str] = {}
    texts = []
    for name, value in rpc.attrib.items():
        qualified = etree.QName(str(name))
        prefix = ""
        if qualified.namespace:
            prefix = declared.setdefault(qualified.namespace, f"a{len(declared)}") + ":"
        texts.append(f" {prefix}{qualified.localname}={quoteattr(str(value))}")
    spaces = (f" xmlns:{prefix}={quoteattr(uri)}" for uri, prefix in declared.items())
    return "".join((*spaces, *texts))
