"""The HTTP application on a fresh database, on a port of its own, and what tests of pools say to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from activation.credentials import Credentials
from store import Database
from turnup.application import Application
from turnup.cli._client import segment
from turnup.server import build, limited
from turnup.settings import Settings

Json = dict[str, Any]
ROOT = "/turnup/v1"


@dataclass(frozen=True)
class Http:
    """A client of the application."""

    client: httpx.Client

    def ask(self, method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        answer = self.client.request(method, f"{ROOT}{path}", json=body, params=params or None)
        assert answer.status_code < 500, (method, path, body, params, answer.text)
        return answer

    def get(self, path: str, **params: Any) -> Any:
        return self._well(self.ask("GET", path, **params))

    def post(self, path: str, body: Any, status: int | None = None) -> Any:
        answer = self.ask("POST", path, body)
        assert status is None or answer.status_code == status, answer.text
        return self._well(answer)

    def patch(self, path: str, body: Any) -> Any:
        return self._well(self.ask("PATCH", path, body))

    def delete(self, path: str) -> None:
        assert self.ask("DELETE", path).status_code == 204

    def refused(self, method: str, path: str, body: Any = None, **params: Any) -> Json:
        """Return the Error body of a refusal: complete, and of one status in both places."""
        answer = self.ask(method, path, body, **params)
        assert answer.status_code >= 400, answer.text
        error: Json = answer.json()
        assert error["status"] == str(answer.status_code)
        assert error["code"]
        assert error["reason"]
        assert error["message"]
        return error

    def pool(self, kind: str, scope: str, **words: Any) -> str:
        made = self.post("/pools", {"kind": kind, "scope": scope, **words}, 201)
        return str(made["id"])

    def take(self, pool: str, owner: str, **words: Any) -> list[str]:
        answer = self.post(at(pool, "allocations"), {"owner": owner, **words})
        return [one["text"] for one in answer["allocations"]]

    def everything(self) -> Any:
        """Return all that is in pools: what a refusal must leave as it was."""
        pools = self.get("/pools", limit=10_000)
        held = {p["id"]: self.get(at(p["id"], "allocations"), quarantined=True) for p in pools}
        events = {p["id"]: self.get(at(p["id"], "events")) for p in pools}
        return pools, held, events, self.get("/kinds")

    @staticmethod
    def _well(answer: httpx.Response) -> Any:
        assert answer.is_success, answer.text
        return answer.json()


def at(pool: str, *more: str) -> str:
    """Return the path of a pool or of what is below it."""
    return "/pools/" + "/".join(segment(name) for name in (pool, *more))


@contextmanager
def application(store_url: str, folder: Path) -> Iterator[Http]:
    """Serve the whole application; no engine runs, no lab is there."""
    settings = Settings(database_url=store_url, state_dir=folder, runtime="none")
    built = Application(settings, Credentials(lab={}))
    with serving(build(built, None)) as found:
        yield found
    built.database.close()


@contextmanager
def pools_alone(store_url: str) -> Iterator[Http]:
    """Serve the calls on pools with all their limits, and nothing else: made for each test."""
    database = Database(store_url)
    with serving(limited(database)) as found:
        yield found
    database.close()


@contextmanager
def serving(http: FastAPI) -> Iterator[Http]:
    """Serve on a free port, without the lifespan: no engine looks for orders while values are counted."""
    config = uvicorn.Config(http, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended while it started"
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield Http(client)
    server.should_exit = True
    thread.join(10)
