"""The ports over real HTTP, against the routers that a layer would serve."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from store import Conflict, NotFound, new_id
from tmf.collection import ResourceSpec, router
from tmf.errors import InvalidQuery, PortUnreachable, RemoteRefused, install
from tmf.http_ports import HttpResourceOrdering, HttpServiceOrdering, qualification_request
from tmf.patch import Patch
from tmf.paths import BASE_PATHS, href
from tmf.ports import ResourceOrdering, ServiceOrdering, key_of, with_key
from tmf.query import Page, Query
from tmf.resources import (
    CANCEL_RESOURCE_ORDER,
    CANCEL_SERVICE_ORDER,
    RESOURCE_ORDER,
    SERVICE_ORDER,
)


class PoolExhausted(Conflict):
    """A refusal with a code of its own."""

    code = "POOL_EXHAUSTED_FOR_TEST"
    reason = "The pool is empty"


class Orders:
    """Orders of a layer, in memory."""

    def __init__(self, base: str, spec: ResourceSpec) -> None:
        self.base, self.spec = base, spec
        self.items: dict[str, dict[str, Any]] = {}

    def list(self, query: Query) -> Page:
        return query.apply(self.items.values())

    def get(self, key: str) -> dict[str, Any]:
        if key not in self.items:
            raise NotFound(f"There is no order {key}.")
        return self.items[key]

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("description") == "too much":
            raise PoolExhausted("Add a pool.", details={"pool": "p1"})
        key = new_id()
        made = {"id": key, "href": href(self.base, self.spec.path, key), "state": "acknowledged"}
        self.items[key] = body | made
        return self.items[key]

    def patch(self, key: str, patch: Patch) -> dict[str, Any]:
        raise NotImplementedError(key, patch)

    def delete(self, key: str) -> None:
        del self.items[key]


def layer(api: str, orders: ResourceSpec, cancels: ResourceSpec) -> tuple[FastAPI, Orders]:
    app = FastAPI()
    install(app)
    base = BASE_PATHS[api]
    kept = Orders(base, orders)
    app.include_router(router(base, {orders: kept, cancels: Orders(base, cancels)}))

    @app.post("/turnup/v1/simulations")
    def simulate(body: dict[str, Any]) -> dict[str, Any]:
        return {"planHash": "h", "tree": body}

    @app.get("/turnup/v1/qualification")
    def qualify(place: str, request: str | None = None) -> dict[str, Any]:
        return {"placeId": place, "technologies": [], "asked": qualification_request(request)}

    return app, kept


SERVICE_BODY = {"serviceOrderItem": [{"id": "1", "action": "add", "service": {"name": "x"}}]}
RESOURCE_BODY = {"orderItem": [{"id": "1", "action": "add", "resource": {"name": "x"}}]}
Port = HttpServiceOrdering | HttpResourceOrdering


@pytest.fixture(params=["641", "652"])
def ordering(
    request: pytest.FixtureRequest, serve: Callable[[FastAPI], str]
) -> Iterator[tuple[Port, Orders, dict[str, Any]]]:
    if request.param == "641":
        app, kept = layer("641", SERVICE_ORDER, CANCEL_SERVICE_ORDER)
        with HttpServiceOrdering(serve(app), "COM") as service:
            as_port: ServiceOrdering = service
            assert as_port
            yield service, kept, SERVICE_BODY
    else:
        app, kept = layer("652", RESOURCE_ORDER, CANCEL_RESOURCE_ORDER)
        with HttpResourceOrdering(serve(app), "SOM") as resource:
            other_port: ResourceOrdering = resource
            assert other_port
            yield resource, kept, RESOURCE_BODY


Ordering = tuple[Port, Orders, dict[str, Any]]


def test_submit_is_idempotent_by_key(ordering: Ordering) -> None:
    port, kept, body = ordering
    first = port.submit(body, "task-1")
    assert first["state"] == "acknowledged"
    assert key_of(kept.items[first["id"]]) == "task-1"
    assert port.submit(body, "task-1")["id"] == first["id"]
    assert port.submit(body, "task-2")["id"] != first["id"]
    assert len(kept.items) == 2


def test_get_returns_the_order(ordering: Ordering) -> None:
    port, _, body = ordering
    made = port.submit(body, "k")
    assert port.get(made["id"]) == made


def test_cancel_makes_a_task(ordering: Ordering) -> None:
    port, _, body = ordering
    made = port.submit(body, "k")
    task = port.cancel(made["id"], "changed my mind")
    assert task["cancellationReason"] == "changed my mind"
    [reference] = [v for k, v in task.items() if k in {"serviceOrder", "resourceOrder"}]
    assert reference == {"id": made["id"]}


def test_simulate_and_qualify(ordering: Ordering) -> None:
    port, _, body = ordering
    [(key, inner)] = port.simulate(body)["tree"].items()
    assert key in {"serviceOrder", "resourceOrder"}
    assert inner == body
    asked = {"technologies": ["GPON"], "note": "a&b=c"}
    assert port.qualify("pl/1 ä", asked) == {
        "placeId": "pl/1 ä",
        "technologies": [],
        "asked": asked,
    }
    assert port.qualify("x", {})["asked"] == {}


def test_refusals_keep_the_code_of_the_other_server(ordering: Ordering) -> None:
    port, _, body = ordering
    with pytest.raises(RemoteRefused) as refused:
        port.submit(body | {"description": "too much"}, "k")
    error = refused.value
    assert (error.code, error.status, error.reason) == (
        "POOL_EXHAUSTED_FOR_TEST",
        409,
        "The pool is empty",
    )
    assert "Add a pool." in error.message
    assert error.details["remote"]["details"] == {"pool": "p1"}
    assert not error.transient
    with pytest.raises(RemoteRefused) as missing:
        port.get("none")
    assert (missing.value.code, missing.value.status) == ("NOT_FOUND", 404)
    with pytest.raises(RemoteRefused) as invalid:
        port.submit({}, "k")
    assert invalid.value.code == "INVALID_BODY"


def test_a_server_that_is_down_is_a_transient_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port_number = free.getsockname()[1]
    with HttpServiceOrdering(f"http://127.0.0.1:{port_number}", "COM") as port:
        with pytest.raises(PortUnreachable) as down:
            port.get("x")
        assert down.value.transient


def test_a_server_that_is_busy_is_a_transient_error(serve: Callable[[FastAPI], str]) -> None:
    app = FastAPI()

    @app.get("/{path:path}")
    def busy(path: str) -> JSONResponse:
        return JSONResponse({"path": path}, 503)

    with HttpResourceOrdering(serve(app), "SOM") as port, pytest.raises(PortUnreachable):
        port.get("x")


def test_a_server_that_answers_something_else_is_refused(serve: Callable[[FastAPI], str]) -> None:
    app = FastAPI()

    @app.get("/{path:path}")
    def strange(path: str) -> JSONResponse:
        return JSONResponse([path])

    with HttpResourceOrdering(serve(app), "SOM") as port:
        with pytest.raises(RemoteRefused) as refused:
            port.get("x")
        assert (refused.value.code, refused.value.status) == ("REMOTE_REFUSED", 502)


def test_strangers_orders_are_not_taken_for_ours(serve: Callable[[FastAPI], str]) -> None:
    """A foreign server may ignore attribute filters and answer with all its orders."""
    app = FastAPI()
    path = BASE_PATHS["652"] + "/resourceOrder"

    @app.get(path)
    def everything() -> list[dict[str, Any]]:
        return [{"id": "1"}, with_key({"id": "2"}, "other", "not ours")]

    @app.post(path)
    def make(body: dict[str, Any]) -> dict[str, Any]:
        return body | {"id": "3"}

    with HttpResourceOrdering(serve(app), "SOM") as port:
        assert port.submit({"orderItem": []}, "ours")["id"] == "3"


def test_keys_replace_keys_and_leave_other_references() -> None:
    order = {"externalReference": [{"id": "po-1", "owner": "COM", "entityType": "ProductOrder"}]}
    once = with_key(order, "SOM", "a")
    twice = with_key(once, "SOM", "b")
    assert key_of(order) is None
    assert key_of(twice) == "b"
    assert [r["id"] for r in twice["externalReference"]] == ["po-1", "b"]


@pytest.mark.parametrize("text", ["{", "[]", "1"])
def test_wrong_qualification_requests_are_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        qualification_request(text)
