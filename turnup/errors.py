"""What the server process and the command line refuse by themselves.

TurnupError
├── InvalidInput
│   ├── WrongUsage          WRONG_USAGE 400 (the command line exits 2)
│   └── DeviceFileInvalid   DEVICE_FILE_INVALID 400
├── Conflict
│   └── PortInUse           PORT_IN_USE
├── ServerUnreachable       SERVER_UNREACHABLE 503
├── DatabaseUnreachable     DATABASE_UNREACHABLE 503
└── LabRefused              (the lab's own code) 404, 409 or 400
"""

from __future__ import annotations

from store.errors import Conflict, InvalidInput, TurnupError


class WrongUsage(InvalidInput):
    """A command, an option or its value is not what the command line takes."""

    code = "WRONG_USAGE"
    reason = "The command line was used in a way it does not know"


class DeviceFileInvalid(InvalidInput):
    """A file of devices cannot be read; the message names the line or the device."""

    code = "DEVICE_FILE_INVALID"
    reason = "A file of devices cannot be read"


class PortInUse(Conflict):
    """Another program listens on the server's port."""

    code = "PORT_IN_USE"
    reason = "Another program listens on this port"


class ServerUnreachable(TurnupError):
    """Nobody answers at the server's address."""

    code = "SERVER_UNREACHABLE"
    status = 503
    reason = "Nobody answers at the server's address"


class DatabaseUnreachable(TurnupError):
    """The database URL cannot be understood, or nothing answers there."""

    code = "DATABASE_UNREACHABLE"
    status = 503
    reason = "The database cannot be opened"


class LabRefused(TurnupError):
    """The lab refused a call over HTTP; code and message are its own."""

    reason = "The lab refuses this"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]
        self.status = _LAB_STATUS.get(code, 400)  # type: ignore[misc]


_LAB_STATUS = {"LAB_NOT_FOUND": 404, "NODE_UNKNOWN": 404, "LAB_UNREACHABLE": 503}
