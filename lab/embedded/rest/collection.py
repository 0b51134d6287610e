"""A collection of resources under one path: GET, PUT, PATCH, DELETE with ETag and If-Match."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from lab.embedded.faults import FaultSet, Refused
from lab.embedded.rest.bodies import MERGE_PATCH, PLAIN, Json, Schema, merge, read_object, validated
from lab.embedded.rest.database import Database, Stored
from lab.embedded.rest.https import Request, Response
from lab.embedded.rest.problems import ApiError, bad_value, json_response, not_allowed, not_found

METHODS = ("GET", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Kind:
    """What a collection holds.

    `key` is the field that is also the last part of the path; `check` sees a whole body and all
    others (by id) and raises ApiError.
    """

    path: str
    key: str
    schema: Schema
    check: Callable[[Json, Mapping[str, Json]], None]


class Collection:
    """Writes are one after the other, each on disk before its answer."""

    def __init__(self, kind: Kind, database: Database, faults: FaultSet) -> None:
        self._kind, self._database, self._faults = kind, database, faults
        self._writing = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """Serve the collection and its resources. ApiError: refused."""
        key = self._key(request.path)
        if key is None:
            if request.method not in {"GET", "HEAD"}:
                raise not_allowed(request.method, "GET")
            return self._list()
        match request.method:
            case "GET" | "HEAD":
                return self._get(request, key)
            case "PUT":
                return await self._write(request, key, self._put)
            case "PATCH":
                return await self._write(request, key, self._patch)
            case "DELETE":
                return await self._write(request, key, self._delete)
        raise not_allowed(request.method, *METHODS)

    def _key(self, path: str) -> str | None:
        """The id in the path; None for the collection itself."""
        if path == self._kind.path:
            return None
        head, _, key = path.rpartition("/")
        if head != self._kind.path or not key:
            raise not_found(path)
        return key

    def _list(self) -> Response:
        return json_response(HTTPStatus.OK, [self._body(key) for key in self._database.ids()])

    def _body(self, key: str) -> Json:
        stored = self._database.get(key)
        assert stored is not None
        return stored.body

    def _get(self, request: Request, key: str) -> Response:
        stored = self._required(request, key)
        etag = ("etag", stored.etag)
        if _matches(request.headers.get("if-none-match"), stored):
            return Response(HTTPStatus.NOT_MODIFIED, headers=(etag,))
        return json_response(HTTPStatus.OK, stored.body, etag)

    def _required(self, request: Request, key: str) -> Stored:
        stored = self._database.get(key)
        if stored is None:
            raise not_found(request.path)
        return stored

    async def _write(
        self, request: Request, key: str, write: Callable[[Request, str], Awaitable[Response]]
    ) -> Response:
        async with self._writing:
            _check_preconditions(request, self._database.get(key))
            return await write(request, key)

    async def _put(self, request: Request, key: str) -> Response:
        body = self._checked(read_object(request, PLAIN), key)
        created = self._database.get(key) is None
        return await self._store(request, key, body, created=created)

    async def _patch(self, request: Request, key: str) -> Response:
        patch = read_object(request, MERGE_PATCH, PLAIN)
        body = self._checked(merge(self._required(request, key).body, patch), key)
        return await self._store(request, key, body, created=False)

    async def _delete(self, request: Request, key: str) -> Response:
        self._required(request, key)
        await self._allow(request)
        self._database.delete(key)
        return Response(HTTPStatus.NO_CONTENT)

    async def _store(self, request: Request, key: str, body: Json, *, created: bool) -> Response:
        await self._allow(request)
        stored = self._database.put(key, body)
        headers = [("etag", stored.etag)]
        if created:
            headers.append(("location", request.path))
        return json_response(HTTPStatus.CREATED if created else HTTPStatus.OK, body, *headers)

    def _checked(self, body: Json, key: str) -> Json:
        body = validated(self._kind.schema, {self._kind.key: key, **body})
        if body[self._kind.key] != key:
            raise bad_value(f"{self._kind.key} must be {key}, as in the path")
        others = {other: self._body(other) for other in self._database.ids() if other != key}
        self._kind.check(body, others)
        return body

    async def _allow(self, request: Request) -> None:
        """The armed faults, asked when all is checked and nothing has changed."""
        if self._faults.locked:
            raise ApiError(HTTPStatus.LOCKED, "LOCKED", "another client holds the database")
        try:
            self._faults.refuse_edit(f"{request.method} {request.path}")
            await self._faults.commit()
        except Refused as refused:
            raise _refusal(refused) from None


def _refusal(refused: Refused) -> ApiError:
    if refused.fault == "commit-fail":
        return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE", str(refused))
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "REJECTED", str(refused))


def _check_preconditions(request: Request, stored: Stored | None) -> None:
    """If-Match and If-None-Match of a write (RFC 9110 §13.1)."""
    wanted = request.headers.get("if-match")
    if wanted is not None and not _matches(wanted, stored):
        state = f"its ETag is {stored.etag}" if stored else "it does not exist"
        raise _stale(f"If-Match {wanted} does not hold: {state}")
    unwanted = request.headers.get("if-none-match")
    if _matches(unwanted, stored):
        raise _stale(f"If-None-Match {unwanted} does not hold: the resource exists")


def _stale(message: str) -> ApiError:
    return ApiError(HTTPStatus.PRECONDITION_FAILED, "PRECONDITION_FAILED", message)


def _matches(header: str | None, stored: Stored | None) -> bool:
    if header is None or stored is None:
        return False
    tags = {tag.strip() for tag in header.split(",")}
    return "*" in tags or stored.etag in tags
