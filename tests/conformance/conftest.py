"""One real server on the lab, with orders in every state and a listener at all nine hubs, for the whole folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from lab import api as lab
from lab.api import LabInfo
from tests.conformance.oracle import ORDERS, RESOURCES, at
from tests.conftest import POSTGRES, _postgres_database
from tests.e2e.conftest import METRO, Server, start_server
from tests.e2e.conftest import ORDERS as EXAMPLES
from tests.tmf.conftest import Listener, listening
from tmf.paths import BASE_PATHS
from turnup.orderfile import json_object

Json = dict[str, Any]


@dataclass
class Seen:
    """One answer of the server under /tmf-api."""

    api: str
    name: str
    method: str
    path: str
    status: int
    body: Any


@dataclass
class World:
    """A server that has lived: what it holds, what it answered and what it told its listener."""

    server: Server
    listener: Listener
    seen: list[Seen] = field(default_factory=list)
    lived: tuple[Seen, ...] = ()
    told: tuple[Json, ...] = ()
    orders: dict[str, str] = field(default_factory=dict)
    products: dict[str, str] = field(default_factory=dict)
    subscriptions: dict[str, Json] = field(default_factory=dict)

    @property
    def http(self) -> httpx.Client:
        return self.server.http

    def get(self, path: str, **params: Any) -> Any:
        return self.server.get(path, **params)

    def stop_watching(self) -> None:
        """Keep what has been seen and told so far for the judges: no test adds to it."""
        self.server.application.executor.idle(10)
        last = self.orders["som.service-order.json"]
        self.heard("ServiceOrderStateChangeEvent", last)
        self.heard("CancelProductOrderStateChangeEvent", f"{self.orders['cancelled']}.cancel")
        self.look()
        self.lived, self.told = tuple(self.seen), tuple(self.listener.received)

    def heard(self, event_type: str, subject: str, when: Callable[[Json], bool] = bool) -> Json:
        """Wait until the listener has heard of a thing, and return that notification."""
        deadline = time.monotonic() + 10
        while True:
            for event in list(self.listener.received):
                [body] = event["event"].values()
                if event["eventType"] == event_type and body["id"] == subject and when(body):
                    return event
            assert time.monotonic() < deadline, f"no {event_type} of {subject}"
            time.sleep(0.05)

    def look(self) -> None:
        """Read every collection: what is seen is kept for the judges."""
        for api, paths in RESOURCES.items():
            for path in paths:
                for body in self.get(at(api, path)):
                    if api in (*ORDERS, "637", "638"):
                        self.get(body["href"])

    def note(self, answer: httpx.Response) -> None:
        path = unquote(answer.request.url.path)
        api = next((a for a, base in BASE_PATHS.items() if path.startswith(base + "/")), None)
        if api and answer.request.method in ("GET", "POST", "PATCH"):
            answer.read()
            name = path.removeprefix(BASE_PATHS[api] + "/").split("/")[0]
            kept = Seen(api, name, answer.request.method, path, answer.status_code, answer.json())
            self.seen.append(kept)

    def submit(self, name: str, order: Json) -> str:
        made = self.server.post(at("622", "productOrder"), order, 201)
        self.orders[name] = made["id"]
        return str(made["id"])

    def cancel(self, name: str) -> Json:
        body = {"productOrder": {"id": self.orders[name]}, "cancellationReason": "changed my mind"}
        task: Json = self.server.post(at("622", "cancelProductOrder"), body, 201)
        return task


def new_order(**changes: Any) -> Json:
    """The example of a new line; `place` and `externalId` may be others."""
    text = (EXAMPLES / "superfibre-200-home.new.json").read_text("utf-8")
    body = json_object(text, "new")
    place = changes.pop("place", None)
    if place:
        body["productOrderItem"][0]["product"]["place"][0]["id"] = place
    return {**body, **changes}


@pytest.fixture(scope="package")
def metro(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LabInfo, Path]]:
    """A metro lab for this folder, gone when the next folder's tests run."""
    state = tmp_path_factory.mktemp("state")
    info = lab.up(METRO, state, owner_pid=os.getpid())
    yield info, state
    lab.down(info.name, state)


@pytest.fixture(scope="package")
def database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """PostgreSQL where there is one (it refuses more: NUL, large numbers), else SQLite."""
    if POSTGRES:
        yield from _postgres_database(request.getfixturevalue("postgres_template"))
    else:
        yield f"sqlite:///{tmp_path_factory.mktemp('conformance')}/turnup.db"


@pytest.fixture(scope="package")
def world(metro: tuple[LabInfo, Path], database_url: str) -> Iterator[World]:
    """Live through new, modify, cease, held and cancelled, each from the commercial order down."""
    with listening() as listener:
        servers = start_server(database_url, metro)
        server = next(servers)
        found = World(server, listener)
        server.http.event_hooks["response"].append(found.note)
        for api, base in BASE_PATHS.items():
            found.subscriptions[api] = server.post(
                f"{base}/hub", {"callback": listener.url, "query": ""}, 201
            )
        _live(found)
        found.stop_watching()
        yield found
        next(servers, None)


def _live(world: World) -> None:
    server = world.server
    _line(world, "completed", "one")
    _cancelled(world)
    ceased = _line(world, "second", "two")
    change = server.submit("superfibre-200-home.modify.json", productId=ceased)
    world.orders["modified"] = change["id"]
    assert server.follow(change["id"])["state"] == "completed"
    gone = server.submit("superfibre-200-home.cease.json", productId=ceased)
    world.orders["ceased"] = gone["id"]
    assert server.follow(gone["id"])["state"] == "completed"
    strange = new_order(place="PL-1004", **{"x-basket": {"id": 7, "lines": [1, None, "two"]}})
    strange["productOrderItem"][0]["x-gift"] = True
    world.submit("held", strange)
    assert server.follow(world.orders["held"])["state"] == "held"
    _foreign(world)


def _line(world: World, order: str, product: str) -> str:
    world.submit(order, new_order(externalId=f"WEB-{order}"))
    done = world.server.follow(world.orders[order])
    assert done["state"] == "completed", done.get("errorMessage")
    world.products[product] = done["productOrderItem"][0]["product"]["id"]
    return world.products[product]


def _cancelled(world: World) -> None:
    """An order that a device holds, and that is then taken back; seen before, during and after."""
    server = world.server
    server.fault("wifi-1", "down")
    world.submit("cancelled", new_order())
    server.follow(world.orders["cancelled"], until=("held",))
    world.look()
    server.clear_faults()
    world.cancel("cancelled")
    world.look()
    server.follow(world.orders["cancelled"], until=("cancelled",), deliver=False)
    world.look()


def _foreign(world: World) -> None:
    """Orders from a foreign SOM and a foreign COM, in their own words; the latter waits for a delivery."""
    for name in ("som.resource-order.json", "som.service-order.json"):
        world.orders[name] = world.server.submit(name)["id"]
        world.server.follow(world.orders[name], deliver=False, until=("inProgress",))
        world.server.application.executor.idle(10)
        if name == "som.resource-order.json":
            order = world.server.follow(world.orders[name])
            assert order["state"] == "completed", order.get("errorMessage")
