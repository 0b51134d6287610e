"""The one Protocol that every way to talk to a device implements, and what can go wrong on it.

Edits are native text, byte for byte as shown in a plan:
XML dialects: the content of `<config>` (one string per edit-config); CLI: lines separated by newlines;
REST: one JSON object `{"method", "path", "body"?}` per edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

from store.errors import TurnupError


class Mode(StrEnum):
    """What a device's transaction is worth (design: activation)."""

    CONFIRMED = "A"
    """A provisional commit that another process can confirm or cancel by a name that we chose."""
    CANDIDATE = "B"
    """Atomic on the device, but undone only by an inverse."""
    IMMEDIATE = "C"
    """Every edit acts at once; undone only by an inverse."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and as whom a device is reached. The password never appears in a repr."""

    device: str
    platform: str
    protocol: str
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    host_key: str | None = None
    ca_path: str | None = None
    timeout_s: float = 10.0


class Driver(Protocol):
    """A session with one device. All methods raise DriverError and nothing else.

    `name` is the batch id: the persist-id on NETCONF, the configuration session on EOS.
    """

    mode: Mode

    async def open(self) -> None:
        """Connect and log in."""
        ...

    async def close(self) -> None:
        """End the session; a provisional commit made by name stays pending."""
        ...

    async def read(self, selection: str) -> str:
        """Return the running configuration restricted to `selection`, native text.

        XML: selection is the content of a subtree `<filter>` (empty: everything); the answer is the content of
        `<data>`. CLI: selection is ignored or a section name; the answer is the running configuration.
        REST: selection is a JSON list of paths; the answer is a JSON object path → body (null when absent).
        """
        ...

    async def read_state(self, selection: str) -> str:
        """Return operational state, in the same forms as `read`."""
        ...

    async def lock(self, name: str) -> None:
        """Take the device's own lock where it has one (NETCONF candidate)."""
        ...

    async def unlock(self, name: str) -> None:
        """Give the lock back and discard what was staged; harmless when there is none."""
        ...

    async def stage(self, name: str, edits: Sequence[str]) -> None:
        """Load edits so that nothing becomes active (candidate, named session)."""
        ...

    async def validate(self, name: str) -> None:
        """Let the device check what was staged."""
        ...

    async def commit(self, name: str, timeout_s: int) -> None:
        """Mode A: provisional commit that reverts by itself after `timeout_s`. Mode B: commit."""
        ...

    async def confirm(self, name: str) -> None:
        """Mode A: make the provisional commit of that name permanent, from any session."""
        ...

    async def cancel(self, name: str) -> None:
        """Mode A: undo the provisional commit of that name, from any session; harmless when there is none."""
        ...

    async def apply(self, edit: str) -> None:
        """Mode C (and every inverse that is sent outside a provisional commit): make one edit active now."""
        ...

    async def save(self) -> None:
        """Copy running to startup where the device does not do so itself."""
        ...


@dataclass(frozen=True, slots=True)
class DeviceMessage:
    """One error of a device, in its own words (RFC 6241 §4.3 `rpc-error`, eAPI error, HTTP problem)."""

    tag: str
    message: str
    path: str | None = None


class DriverError(TurnupError):
    """Root of what a driver raises.

    DriverError
    ├── DeviceUnreachable   nothing was sent: refused, no route, no answer to the login
    ├── AuthenticationRefused
    ├── HostKeyMismatch     the device is not the one in the registry
    ├── DeviceLocked        another session holds the lock or a pending commit
    ├── DeviceRejected      the device said no; nothing of this call is active
    └── SessionDropped      the session ended in the middle: whether the call took effect is not known
    """

    code: ClassVar[str] = "DEVICE_ERROR"
    status: ClassVar[int] = 502
    reason: ClassVar[str] = "A device did not do what was asked"
    transient: ClassVar[bool] = False

    def __init__(
        self, device: str, message: str, *, messages: Sequence[DeviceMessage] = ()
    ) -> None:
        super().__init__(
            f"{device}: {message}",
            details={
                "device": device,
                "messages": [
                    {"tag": m.tag, "message": m.message, "path": m.path} for m in messages
                ],
            },
        )
        self.device = device
        self.messages = tuple(messages)


class DeviceUnreachable(DriverError):
    """Nothing was sent."""

    code = "DEVICE_UNREACHABLE"
    reason = "A device cannot be reached"
    transient = True


class AuthenticationRefused(DriverError):
    """The device refused the credentials."""

    code = "DEVICE_AUTHENTICATION"
    reason = "A device refused the credentials"


class HostKeyMismatch(DriverError):
    """The device's key or certificate is not the one in the registry."""

    code = "DEVICE_HOST_KEY"
    reason = "A device shows another key than the registry knows"


class DeviceLocked(DriverError):
    """Another session holds the lock or has a pending commit."""

    code = "DEVICE_LOCKED"
    reason = "A device is locked by another session"
    transient = True


class DeviceRejected(DriverError):
    """The device refused the configuration; nothing of this call is active."""

    code = "DEVICE_REJECTED"
    reason = "A device refused the configuration"


class SessionDropped(DriverError):
    """The session ended in the middle of a call; whether it took effect is not known."""

    code = "DEVICE_SESSION_DROPPED"
    reason = "A device closed the session in the middle"
    transient = True


class DriverFactory(Protocol):
    """Make a driver for an endpoint (chosen by protocol and platform)."""

    def __call__(self, endpoint: Endpoint) -> Driver:
        """Return a driver that is not open yet."""
        ...
