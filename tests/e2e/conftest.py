"""A real server over HTTP on a real lab: one lab for the session, one database and server per test."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from lab import api as lab
from lab.api import LabInfo
from orders.model import EngineSettings
from tmf.paths import BASE_PATHS
from turnup.application import Application, Below
from turnup.data import catalog_folders
from turnup.importing import import_bases
from turnup.orderfile import API, fill, json_object, layer_of
from turnup.server import build, lab_credentials
from turnup.settings import Settings
from turnup.topology import import_lab

ROOT = Path(__file__).resolve().parents[2]
ORDERS = ROOT / "examples" / "orders"
METRO = ROOT / "topologies" / "metro.clab.yml"
ENDED = ("completed", "failed", "partial", "cancelled", "rejected", "held")
Json = dict[str, Any]


@pytest.fixture(scope="session")
def metro(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LabInfo, Path]]:
    """The metro lab, up for the whole session."""
    state = tmp_path_factory.mktemp("state")
    info = lab.up(METRO, state, owner_pid=os.getpid())
    yield info, state
    lab.down(info.name, state)


@dataclass
class Server:
    """A running server and what tests do with it."""

    url: str
    application: Application
    running: LabInfo
    state_dir: Path
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=30)

    def get(self, path: str, **params: Any) -> Any:
        answer = self.http.get(path, params=params)
        assert answer.is_success, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, status: int | None = None) -> Any:
        answer = self.http.post(path, json=body if body is not None else {})
        assert answer.status_code == status if status else answer.is_success, answer.text
        return answer.json() if answer.content else None

    def submit(self, name: str, **values: str) -> Json:
        text = (ORDERS / name).read_text(encoding="utf-8")
        body = json_object(fill(text, values, name), name)
        accepted: Json = self.post(API[layer_of(body)], body, 201)
        return accepted

    def order(self, order_id: str) -> Json:
        for path in API.values():
            answer = self.http.get(f"{path}/{order_id}")
            if answer.is_success:
                found: Json = answer.json()
                return found
        raise AssertionError(f"no order {order_id}")

    def follow(
        self,
        order_id: str,
        *,
        deliver: bool = True,
        until: tuple[str, ...] = ENDED,
        limit: float = 30,
    ) -> Json:
        deadline = time.monotonic() + limit
        while True:
            order = self.order(order_id)
            if order["state"] in until:
                return order
            if deliver:
                self.deliver()
            assert time.monotonic() < deadline, self.get(f"/turnup/v1/trace/{order_id}")
            time.sleep(0.05)

    def deliver(self) -> None:
        for task in self.get("/turnup/v1/externalTasks", state="waiting"):
            if "serial" in task["example"]:
                self.plug(task["example"]["serial"], task["subject"]["place"])
            self.http.post(f"/turnup/v1/externalTasks/{task['id']}/complete", json=task["example"])

    def plug(self, serial: str, place: str) -> None:
        node = next(n.name for n in self.running.nodes if n.labels.get("sim-serial") == serial)
        lab.plug(self.running.name, node, place=place, state_dir=self.state_dir)

    def new_line(self) -> tuple[Json, str]:
        """Order SuperFibre 200 Home and bring it to its end; returns the order and the product's id."""
        order = self.follow(self.submit("superfibre-200-home.new.json")["id"])
        assert order["state"] == "completed", order.get("errorMessage")
        return order, order["productOrderItem"][0]["product"]["id"]

    def cease(self, product: str) -> Json:
        order = self.follow(self.submit("superfibre-200-home.cease.json", productId=product)["id"])
        assert order["state"] == "completed", order.get("errorMessage")
        return order

    def running_configs(self) -> dict[str, str]:
        devices = [d["name"] for d in self.get("/turnup/v1/devices")]
        return {
            d: self.get(f"/turnup/v1/devices/{d}/config", view="running")["text"] for d in devices
        }

    def audit_all(self) -> dict[str, str]:
        devices = [d["name"] for d in self.get("/turnup/v1/devices")]
        return {d: self.post(f"/turnup/v1/devices/{d}/audit")["verdict"] for d in devices}

    def used_pools(self) -> list[str]:
        return [p["id"] for p in self.get("/turnup/v1/pools") if p["allocated"] or p["reserved"]]

    def fault(self, node: str, name: str, **parameters: Any) -> None:
        self.post("/turnup/v1/lab/faults", {"node": node, "fault": name, **parameters})

    def clear_faults(self) -> None:
        assert self.http.delete("/turnup/v1/lab/faults").is_success

    def inventory(self, api: str, **params: Any) -> list[Json]:
        name = {"637": "product", "638": "service", "639": "resource"}[api]
        found: list[Json] = self.get(f"{BASE_PATHS[api]}/{name}", **params)
        return found


def start_server(
    url: str, metro: tuple[LabInfo, Path], below: Below | None = None
) -> Iterator[Server]:
    """Run a server on a database URL until the generator is closed."""
    running, state = metro
    lab.reset(running.name, state_dir=state)
    settings = Settings(
        database_url=url,
        state_dir=state,
        catalogs=catalog_folders(),
        topology=METRO,
        engine=EngineSettings(retry_delays_s=(0.1, 0.2)),
    )
    application = Application(settings, lab_credentials(running), below)
    import_lab(application.database, running)
    import_bases(application)
    config = uvicorn.Config(
        build(application, running), host="127.0.0.1", port=0, log_level="error"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended while it started"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    found = Server(f"http://127.0.0.1:{port}", application, running, state)
    yield found
    found.http.close()
    server.should_exit = True
    thread.join(10)
    application.stop()


@pytest.fixture
def server(tmp_path: Path, metro: tuple[LabInfo, Path]) -> Iterator[Server]:
    """A server on a fresh SQLite database."""
    yield from start_server(f"sqlite:///{tmp_path}/turnup.db", metro)


@pytest.fixture
def server_on(store_url: str, metro: tuple[LabInfo, Path]) -> Iterator[Server]:
    """A server on a fresh database, once per store."""
    yield from start_server(store_url, metro)


@pytest.fixture
def on(server: Server) -> Callable[..., Json]:
    """Shorthand: simulate an order body."""

    def simulate(kind: str, body: Json) -> Json:
        answer: Json = server.post("/turnup/v1/simulations", {kind: body})
        return answer

    return simulate
