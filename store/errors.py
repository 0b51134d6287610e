"""The root of the error tree and what the database itself can refuse.

TurnupError
├── InvalidInput                INVALID_INPUT 400 (rooms subclass it with codes of their own)
├── NotFound                    NOT_FOUND 404
├── Conflict                    CONFLICT 409
│   └── DatabaseInUse           DATABASE_IN_USE
├── EnvironmentMismatch         ENVIRONMENT_MISMATCH 409
└── (each room's errors.py)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class TurnupError(Exception):
    """An error with a stable code, a documentation page `docs/errors/CODE.md` and an HTTP status.

    The message says what is wrong and what to do about it; `details` is JSON that a program can act on.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500
    reason: ClassVar[str] = "Something failed that should not"
    transient: ClassVar[bool] = False

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})


class InvalidInput(TurnupError):
    """The request cannot be understood or breaks a rule; sending it again will not help."""

    code = "INVALID_INPUT"
    status = 400
    reason = "The request is not valid"


class NotFound(TurnupError):
    """The named thing does not exist."""

    code = "NOT_FOUND"
    status = 404
    reason = "The named thing does not exist"


class Conflict(TurnupError):
    """The request is valid but contradicts the present state."""

    code = "CONFLICT"
    status = 409
    reason = "The request contradicts the present state"


class DatabaseInUse(Conflict):
    """Another process has this database open for writing."""

    code = "DATABASE_IN_USE"
    reason = "Another process has this database open for writing"


class EnvironmentMismatch(Conflict):
    """The database belongs to another environment than the server was started for."""

    code = "ENVIRONMENT_MISMATCH"
    reason = "The database belongs to another environment"
