"""NETCONF over SSH framing: end-of-message marks and chunks (RFC 6242 §4.2, §4.3)."""

from __future__ import annotations

import re

END = b"]]>]]>"
_CHUNK = re.compile(rb"\n#(?:([1-9][0-9]{0,9})|(#))\n")
_HEAD_MAX = len(b"\n#4294967295\n")
_CHUNK_MAX = 4_294_967_295


class FramingError(Exception):
    """The peer's bytes are no NETCONF frames; the session cannot go on."""


def frame(message: bytes, *, chunked: bool) -> bytes:
    """Return `message` as one frame, to be written in one piece.

    Several small writes would meet Nagle and delayed ACK: 40 ms per rpc, measured.
    """
    if chunked:
        return b"\n#%d\n%b\n##\n" % (len(message), message)
    return message + END


class FrameReader:
    """Bytes in, whole messages out. Starts with end-of-message framing, as every session does (hello)."""

    def __init__(self, limit: int = 256 * 1024 * 1024) -> None:
        self.chunked = False
        self._limit = limit
        self._buffer = bytearray()
        self._scanned = 0
        self._chunks: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Add what arrived.

        Raises:
            FramingError: the message grows beyond the limit.
        """
        self._buffer += data
        if self._size + len(self._buffer) > self._limit:
            msg = f"a message of more than {self._limit} bytes"
            raise FramingError(msg)

    def next(self) -> bytes | None:
        """Return the next whole message, None when more bytes are needed.

        Raises:
            FramingError: what arrived is not framed as agreed.
        """
        return self._next_chunked() if self.chunked else self._next_marked()

    def _next_marked(self) -> bytes | None:
        at = self._buffer.find(END, max(0, self._scanned - len(END)))
        if at < 0:
            self._scanned = len(self._buffer)
            return None
        message = bytes(self._buffer[:at])
        del self._buffer[: at + len(END)]
        self._scanned = 0
        return message

    def _next_chunked(self) -> bytes | None:
        while (head := self._head()) is not None:
            start, size = head
            if size == 0:
                del self._buffer[:start]
                return self._joined()
            if len(self._buffer) < start + size:
                return None
            self._chunks.append(bytes(self._buffer[start : start + size]))
            self._size += size
            del self._buffer[: start + size]
        return None

    def _head(self) -> tuple[int, int] | None:
        """Return (bytes of the header, bytes of the chunk; 0 = end of message)."""
        match = _CHUNK.match(self._buffer)
        if match is None:
            if len(self._buffer) >= _HEAD_MAX or not _could_be_head(bytes(self._buffer)):
                msg = f"no chunk header but {bytes(self._buffer[:20])!r}"
                raise FramingError(msg)
            return None
        size = int(match[1]) if match[1] else 0
        if size > _CHUNK_MAX or (size == 0 and not self._chunks):
            msg = f"an impossible chunk {match[0]!r}"
            raise FramingError(msg)
        return match.end(), size

    def _joined(self) -> bytes:
        message = b"".join(self._chunks)
        self._chunks = []
        self._size = 0
        return message


_HEAD_START = re.compile(rb"(?:\n(?:#(?:#|[1-9][0-9]{0,9})?)?)?")


def _could_be_head(data: bytes) -> bool:
    return _HEAD_START.fullmatch(data) is not None
