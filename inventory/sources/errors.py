"""What can go wrong with a source of truth.

TurnupError
├── NotFound
│   ├── SourceNotFound          SOURCE_NOT_FOUND 404
│   └── SourceChangeNotFound    SOURCE_CHANGE_NOT_FOUND 404
├── InvalidInput
│   └── SourceInvalid           SOURCE_INVALID 400
├── Conflict
│   ├── SourceExists            SOURCE_EXISTS 409
│   ├── SourceInUse             SOURCE_IN_USE 409
│   ├── SourceBusy              SOURCE_BUSY 409
│   ├── SourceConflict          SOURCE_CONFLICT 409 (the cause of a parked change, a finding)
│   ├── SourceGone              SOURCE_GONE 409 (a finding)
│   └── SourceUnmatched         SOURCE_UNMATCHED 409 (a finding)
├── SourceUnreachable           SOURCE_UNREACHABLE 503 (transient)
├── SourceDenied                SOURCE_DENIED 502
├── SourceRefused               SOURCE_REFUSED 502
└── SourceAnswerInvalid         SOURCE_ANSWER_INVALID 502
"""

from __future__ import annotations

from store.errors import Conflict, InvalidInput, NotFound, TurnupError


class SourceNotFound(NotFound):
    """No source of truth has this name."""

    code = "SOURCE_NOT_FOUND"
    reason = "There is no such source of truth"


class SourceChangeNotFound(NotFound):
    """The source has no change of this number."""

    code = "SOURCE_CHANGE_NOT_FOUND"
    reason = "There is no such change for this source"


class SourceInvalid(InvalidInput):
    """A source's URL, token reference or rules are not valid."""

    code = "SOURCE_INVALID"
    reason = "The source of truth is not described validly"


class SourceExists(Conflict):
    """A source of this name exists already."""

    code = "SOURCE_EXISTS"
    reason = "A source of truth of this name exists already"


class SourceInUse(Conflict):
    """Pools or devices came from the source, so it cannot be forgotten."""

    code = "SOURCE_IN_USE"
    reason = "Pools or devices came from this source of truth"


class SourceBusy(Conflict):
    """An import or a push of this source is under way."""

    code = "SOURCE_BUSY"
    reason = "An import or a push of this source is under way"
    transient = True


class SourceConflict(Conflict):
    """Others use the value in the source; nothing was overwritten."""

    code = "SOURCE_CONFLICT"
    reason = "Others use the value in the source of truth"


class SourceGone(Conflict):
    """A record that became a pool or a device here is gone in the source."""

    code = "SOURCE_GONE"
    reason = "What became a pool or device is gone in the source of truth"


class SourceUnmatched(Conflict):
    """A record that became a pool or a device here is taken by no rule any more."""

    code = "SOURCE_UNMATCHED"
    reason = "No rule takes the record any more"


class SourceUnreachable(TurnupError):
    """The source does not answer, or says that it cannot now. `retry_after`: seconds that it asked to wait."""

    code = "SOURCE_UNREACHABLE"
    status = 503
    reason = "The source of truth does not answer"
    transient = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SourceDenied(TurnupError):
    """The source does not accept the token, or the token may not do this."""

    code = "SOURCE_DENIED"
    status = 502
    reason = "The source of truth does not accept the token for this"


class SourceRefused(TurnupError):
    """The source refuses a request as not valid; the message holds its own words."""

    code = "SOURCE_REFUSED"
    status = 502
    reason = "The source of truth refuses the request"


class SourceAnswerInvalid(TurnupError):
    """The answer is not in the shape of the source's type: a wrong URL, a wrong type, or a proxy in between."""

    code = "SOURCE_ANSWER_INVALID"
    status = 502
    reason = "The source of truth answers in an unexpected shape"
