"""What the TM Forum room refuses, and how any error becomes TM Forum's Error body.

TurnupError
├── InvalidInput
│   ├── MalformedJson           MALFORMED_JSON 400
│   ├── InvalidBody             INVALID_BODY 400
│   ├── BodyTooDeep             BODY_TOO_DEEP 400
│   ├── StringTooLong           STRING_TOO_LONG 400
│   ├── BodyTooLarge            BODY_TOO_LARGE 413
│   ├── UnsupportedMediaType    UNSUPPORTED_MEDIA_TYPE 415
│   ├── InvalidQuery            INVALID_QUERY 400
│   ├── InvalidPatch            INVALID_PATCH 400
│   ├── NotPatchable            NOT_PATCHABLE 400
│   ├── CallbackRefused         CALLBACK_REFUSED 400
│   └── MethodNotAllowed        METHOD_NOT_ALLOWED 405
├── NotFound
│   ├── SubscriptionNotFound    SUBSCRIPTION_NOT_FOUND 404
│   └── DeliveryNotFound        DELIVERY_NOT_FOUND 404
├── PortUnreachable             PORT_UNREACHABLE 503 (transient)
└── RemoteRefused               the other server's own code and status, else REMOTE_REFUSED 502
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from store import InvalidInput, NotFound, TurnupError

if TYPE_CHECKING:
    from fastapi import FastAPI


class MalformedJson(InvalidInput):
    """The body is not JSON."""

    code = "MALFORMED_JSON"
    reason = "The body is not JSON"


class InvalidBody(InvalidInput):
    """The body is JSON but not what this call takes."""

    code = "INVALID_BODY"
    reason = "The body is not what this call takes"


class BodyTooDeep(InvalidInput):
    """The body is nested deeper than 64 levels."""

    code = "BODY_TOO_DEEP"
    reason = "The body is nested too deeply"


class StringTooLong(InvalidInput):
    """A string of the body has more than 65,535 characters."""

    code = "STRING_TOO_LONG"
    reason = "A string of the body is too long"


class BodyTooLarge(InvalidInput):
    """The body has more than 16 MB."""

    code = "BODY_TOO_LARGE"
    status = 413
    reason = "The body is too large"


class UnsupportedMediaType(InvalidInput):
    """The body's media type is none that this call takes."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415
    reason = "The media type of the body is not supported"


class InvalidQuery(InvalidInput):
    """A query parameter cannot be understood."""

    code = "INVALID_QUERY"
    reason = "A query parameter is not valid"


class InvalidPatch(InvalidInput):
    """The patch cannot be applied to the present document."""

    code = "INVALID_PATCH"
    reason = "The patch cannot be applied"


class NotPatchable(InvalidInput):
    """The patch changes an attribute that only the server sets."""

    code = "NOT_PATCHABLE"
    reason = "The attribute cannot be changed by PATCH"


class CallbackRefused(InvalidInput):
    """The server may not send events to this address."""

    code = "CALLBACK_REFUSED"
    reason = "Events may not be sent to this callback"


class MethodNotAllowed(InvalidInput):
    """The resource exists but does not know this method."""

    code = "METHOD_NOT_ALLOWED"
    status = 405
    reason = "The resource does not know this method"


class SubscriptionNotFound(NotFound):
    """There is no such subscription at this hub."""

    code = "SUBSCRIPTION_NOT_FOUND"
    reason = "There is no such subscription"


class DeliveryNotFound(NotFound):
    """There is no such delivery."""

    code = "DELIVERY_NOT_FOUND"
    reason = "There is no such delivery"


class PortUnreachable(TurnupError):
    """The server of the next layer does not answer; it may do so later."""

    code = "PORT_UNREACHABLE"
    status = 503
    reason = "The server of the next layer does not answer"
    transient = True


class RemoteRefused(TurnupError):
    """The server of the next layer refused; code, status and reason are those it gave.

    In process and over HTTP the same refusal has the same code, so callers need not know which form they use.
    """

    code = "REMOTE_REFUSED"
    status = 502
    reason = "The server of the next layer refused"

    def __init__(self, message: str, *, status: int, body: dict[str, Any]) -> None:
        super().__init__(message, details={"remote": body})
        self.__dict__.update(
            code=str(body.get("code", type(self).code)),
            status=status if "code" in body else type(self).status,
            reason=str(body.get("reason", type(self).reason)),
        )


def error_body(error: TurnupError, status: int | None = None) -> dict[str, Any]:
    """Return TM Forum's Error (TMF630): code and reason always, status as a string; `details` when there are any."""
    body: dict[str, Any] = {
        "@type": "Error",
        "code": error.code,
        "reason": error.reason,
        "message": error.message,
        "status": str(status or error.status),
        "referenceError": f"/docs/errors/{error.code}",
    }
    return body | ({"details": error.details} if error.details else {})


def install(app: FastAPI, other_types: Mapping[str, frozenset[str]] | None = None) -> None:
    """Give an application the Error bodies, the limits on bodies and `/docs/errors/{code}` (see `tmf.web.install`)."""
    from tmf.web import install as install_web

    install_web(app, other_types)
