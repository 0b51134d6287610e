"""Messages on the wire: end-of-message (RFC 6242 §4.3) and chunked (§4.2) framing, sans I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator

END = b"]]>]]>"
MAX_MESSAGE = 64 * 1024 * 1024
_HEADER = re.compile(rb"\n#(?:([1-9][0-9]{0,9})|(#))\n")
_MAX_HEADER = 13


class FramingError(Exception):
    """The peer does not keep to the framing, or sends more than the lab accepts: close."""


def encode(message: str, *, chunked: bool) -> bytes:
    """Return the bytes of one message, to be written at once."""
    body = message.encode()
    return b"\n#%d\n%b\n##\n" % (len(body), body) if chunked else body + END


class Decoder:
    """Bytes in, messages out. Begins with end-of-message framing, as every session does."""

    def __init__(self) -> None:
        self.chunked = False
        self._buffer = bytearray()
        self._message = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield every message that `data` completes; `chunked` may be set between two of them.

        Raises:
            FramingError: RFC 6242 §4.2: the session must be terminated.
        """
        self._buffer += data
        while (message := self._next()) is not None:
            yield message
        if len(self._buffer) + len(self._message) > MAX_MESSAGE:
            raise FramingError(f"message of more than {MAX_MESSAGE} bytes")

    def _next(self) -> bytes | None:
        return self._next_chunked() if self.chunked else self._next_plain()

    def _next_plain(self) -> bytes | None:
        body, found, rest = self._buffer.partition(END)
        if not found:
            return None
        self._buffer = bytearray(rest)
        return bytes(body)

    def _next_chunked(self) -> bytes | None:
        while header := self._header():
            if header.group(2):
                del self._buffer[: header.end()]
                return self._finish()
            end = header.end() + int(header.group(1))
            if len(self._buffer) < end:
                return None
            self._message += self._buffer[header.end() : end]
            del self._buffer[:end]
        return None

    def _header(self) -> re.Match[bytes] | None:
        header = _HEADER.match(bytes(self._buffer[:_MAX_HEADER]))
        if header is None and len(self._buffer) >= _MAX_HEADER:
            raise FramingError("no chunk header where one must be")
        return header

    def _finish(self) -> bytes:
        message, self._message = bytes(self._message), bytearray()
        return message
