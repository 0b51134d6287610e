"""Errors of the REST nodes: a status, a stable code and a sentence, as JSON `{code, message}`."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from lab.embedded.rest.https import Response

JSON_TYPE = ("content-type", "application/json")


class ApiError(Exception):
    """What a request is answered with when it is refused; `headers` go with the answer."""

    def __init__(
        self, status: HTTPStatus, code: str, message: str, *headers: tuple[str, str]
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers

    def response(self) -> Response:
        """The answer."""
        body = {"code": self.code, "message": self.message}
        return json_response(self.status, body, *self.headers)


def json_response(status: int, body: Any, *headers: tuple[str, str]) -> Response:
    """A JSON answer."""
    return Response(status, json.dumps(body).encode(), (JSON_TYPE, *headers))


def bad_body(message: str) -> ApiError:
    """400: the body has not the form of the resource."""
    return ApiError(HTTPStatus.BAD_REQUEST, "INVALID_BODY", message)


def bad_value(message: str) -> ApiError:
    """422: the form is right, a value is not."""
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_VALUE", message)


def not_found(path: str) -> ApiError:
    """404."""
    return ApiError(HTTPStatus.NOT_FOUND, "NOT_FOUND", f"there is no {path}")


def not_allowed(method: str, *allowed: str) -> ApiError:
    """405 with Allow (RFC 9110 §15.5.6)."""
    message = f"{method} is not possible here; allowed: {', '.join(allowed)}"
    return ApiError(
        HTTPStatus.METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message, ("allow", ", ".join(allowed))
    )
