"""HTTP to a source of truth: token, paging, timeouts, and bounded retries. The token is never shown.

Paging is by `limit` and `offset` until `next` is null (the form of Django REST framework that NetBox and Nautobot
share). `next` itself is not followed: behind a proxy it may name another host, which must not get the token.
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from inventory.sources.errors import (
    SourceAnswerInvalid,
    SourceDenied,
    SourceInvalid,
    SourceRefused,
    SourceUnreachable,
)

Json = Any
Params = Mapping[str, str | int]
PAGE = 500
_NOT_FOUND, _TOO_MANY, _SERVER_ERROR = 404, 429, 500
_REDIRECTS = range(300, 400)
_DENIED = frozenset({401, 403})
_REPEATABLE = frozenset({"GET", "PATCH", "DELETE"})
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try: attempts, and seconds of backoff and timeouts."""

    attempts: int = 4
    backoff_s: float = 0.5
    longest_wait_s: float = 20.0
    connect_s: float = 5.0
    read_s: float = 30.0


class Client:
    """Calls of one source below `URL/api/`.

    Args:
        url: where it is, without `/api`.
        authorization: the value of the header; only ever sent to `url`.
        label: how messages call the source.
        ca_path: file of the authority that signed its certificate; None: the system's.
        patience: how long to try.
        sleep: how to wait.

    Every call raises SourceUnreachable (after the last attempt), SourceDenied (401, 403), SourceRefused (other 4xx),
    SourceAnswerInvalid (no JSON, or a redirect).

    """

    def __init__(
        self,
        url: str,
        authorization: str,
        *,
        label: str,
        ca_path: str | None = None,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._label = label
        self._patience = patience or Patience()
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/",
            headers={"Authorization": authorization, "Accept": "application/json"},
            timeout=httpx.Timeout(self._patience.read_s, connect=self._patience.connect_s),
            verify=_trust(ca_path),
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"Client({self._label})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, params: Params | None = None) -> Json:
        """Return one JSON object."""
        return self._json(self._call("GET", path, params=params))

    def pages(self, path: str, params: Params, size: int = PAGE) -> Iterator[list[Json]]:
        """Yield the pages of a list. What is inserted or deleted meanwhile may come twice, or with the next listing."""
        offset, before = 0, 0
        while True:
            body = self.get(path, {**params, "limit": size, "offset": offset})
            results, count = self._results(body, path), int(body["count"] or 0)
            if results:
                yield results
            if count < before:
                # what was deleted from pages already read moved the rest forward, below where we are
                offset = max(0, offset - (before - count))
            elif not results or body.get("next") is None:
                return
            else:
                offset += len(results)
            before = count

    def post(self, path: str, body: Json) -> Json:
        """Create one object and return it. Not repeated when it may have arrived: look for it before trying again."""
        return self._json(self._call("POST", path, json=body))

    def patch(self, path: str, body: Json) -> Json:
        """Change one object and return it."""
        return self._json(self._call("PATCH", path, json=body))

    def delete(self, path: str) -> bool:
        """Delete one object; say whether it was there."""
        return self._call("DELETE", path, missing_ok=True).status_code != _NOT_FOUND

    def _results(self, body: Json, path: str) -> list[Json]:
        if isinstance(body, dict) and isinstance(body.get("results"), list) and "count" in body:
            results: list[Json] = body["results"]
            return results
        raise SourceAnswerInvalid(
            f"{self._label} answers {path} without a page of results; check its URL and type."
        )

    def _json(self, answer: httpx.Response) -> Json:
        try:
            return answer.json()
        except ValueError:
            raise SourceAnswerInvalid(
                f"{self._label} answers {answer.request.url.path} with no JSON; check its URL."
            ) from None

    def _call(
        self, method: str, path: str, *, missing_ok: bool = False, **arguments: Any
    ) -> httpx.Response:
        last: SourceUnreachable | None = None
        for attempt in range(self._patience.attempts):
            if last is not None:
                self._wait(last, attempt)
            try:
                answer = self._http.request(method, path, **arguments)
            except httpx.TransportError as error:
                last = SourceUnreachable(f"{self._label} does not answer: {_words(error)}.")
                if method not in _REPEATABLE and not isinstance(error, _NEVER_SENT):
                    raise last from None
                continue
            if not _later(answer.status_code):
                return self._checked(answer, missing_ok=missing_ok)
            last = self._unable(answer)
            if method not in _REPEATABLE and answer.status_code != _TOO_MANY:
                raise last
        assert last is not None
        raise last

    def _wait(self, last: SourceUnreachable, attempt: int) -> None:
        if last.retry_after is None:
            # without jitter, clients that were refused together come back together
            self._sleep(self._patience.backoff_s * 2 ** (attempt - 1) * random.uniform(0.5, 1))  # noqa: S311
        elif last.retry_after > self._patience.longest_wait_s:
            raise last
        else:
            self._sleep(last.retry_after)

    def _unable(self, answer: httpx.Response) -> SourceUnreachable:
        return SourceUnreachable(
            f"{self._label} answers {answer.status_code} to {answer.request.method} {answer.request.url.path}.",
            retry_after=_retry_after(answer.headers.get("Retry-After")),
        )

    def _checked(self, answer: httpx.Response, *, missing_ok: bool) -> httpx.Response:
        status = answer.status_code
        if answer.is_success or (missing_ok and status == _NOT_FOUND):
            return answer
        if status in _REDIRECTS:
            raise SourceAnswerInvalid(
                f"{self._label} redirects {answer.request.url.path} to {answer.headers.get('Location')}; "
                "give the URL at which it answers itself."
            )
        what = f"{answer.request.method} {answer.request.url.path}: {status} {_said(answer)}"
        if status in _DENIED:
            raise SourceDenied(
                f"{self._label} does not accept the token for {what}; check token and rights."
            )
        raise SourceRefused(f"{self._label} refuses {what}", details={"status": status})


_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def _later(status: int) -> bool:
    return status == _TOO_MANY or status >= _SERVER_ERROR


def _words(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def _said(answer: httpx.Response) -> str:
    return " ".join(answer.text[:_SHOWN].split())


def _retry_after(header: str | None) -> float | None:
    """Return seconds from either form of the header (RFC 9110 §10.2.3); None when absent or unreadable."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _trust(ca_path: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_path)
    except (OSError, ssl.SSLError) as error:
        raise SourceInvalid(
            f"caPath {ca_path} holds no certificates ({type(error).__name__}); give a PEM file."
        ) from None
