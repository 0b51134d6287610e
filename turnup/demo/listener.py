"""A hub listener: an HTTP server on loopback that collects the events that the demo's orders cause."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


class Listener:
    """Collects events until it is closed."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.events))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return the callback to register."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/listener"

    def states(self, resource: str, order_id: str) -> list[str]:
        """Return the states that an order's events told, in the order in which they came."""
        told = [e["event"][resource] for e in self.events if resource in e["event"]]
        states: list[str] = []
        for order in told:
            if order["id"] == order_id and (not states or states[-1] != order["state"]):
                states.append(order["state"])
        return states

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(events: list[Json]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            events.append(json.loads(self.rfile.read(length)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the demo's screen clean."""

    return Handler
