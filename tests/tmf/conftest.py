"""Real servers on loopback, as fixtures for the tests of this room."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

Answer = Callable[[dict[str, Any]], int]


def _created(_body: dict[str, Any]) -> int:
    return 201


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Run an application on a free loopback port; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


class Listener:
    """A listener that remembers what it was sent and answers as it is told."""

    def __init__(self, answer: Answer = _created) -> None:
        self.answer = answer
        self.received: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self._arrived = threading.Condition()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}/events"

    def wait_for(self, count: int, timeout: float = 5) -> list[dict[str, Any]]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.received) >= count, timeout), (
                f"{len(self.received)} of {count} events came"
            )
            return list(self.received)

    def note(self, path: str, body: dict[str, Any]) -> None:
        with self._arrived:
            self.paths.append(path)
            self.received.append(body)
            self._arrived.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status = outer.answer(body)
                if 200 <= status < 300:
                    outer.note(self.path, body)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        return Handler


@contextmanager
def listening(answer: Answer = _created) -> Iterator[Listener]:
    listener = Listener(answer)
    thread = threading.Thread(target=listener.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield listener
    finally:
        listener.server.shutdown()
        thread.join(10)
        listener.server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], str]]:
    """Run applications for the length of a test."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(serving(app))


@pytest.fixture(scope="module")
def serve_module() -> Iterator[Callable[[FastAPI], str]]:
    """Run applications for the length of a module."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(serving(app))


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    """Run listeners for the length of a test."""
    with ExitStack() as stack:
        yield lambda answer=_created: stack.enter_context(listening(answer))
