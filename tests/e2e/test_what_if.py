"""What-if: nothing kept, nothing sent; the order that carries the hash does exactly that, or is held."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.conftest import ORDERS, Server
from tmf.paths import BASE_PATHS

PRODUCT_ORDER = BASE_PATHS["622"] + "/productOrder"
Json = dict[str, Any]


def _body(name: str, **values: str) -> Json:
    text = (ORDERS / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"${{{key}}}", value)
    body: Json = json.loads(text)
    return body


def _simulate(server: Server, kind: str, body: Json) -> Json:
    answer: Json = server.post("/turnup/v1/simulations", {kind: body}, 200)
    return answer


def test_a_simulation_keeps_and_sends_nothing(server: Server) -> None:
    before = server.running_configs()
    first = _simulate(server, "productOrder", _body("superfibre-200-home.new.json"))
    second = _simulate(server, "productOrder", _body("superfibre-200-home.new.json"))
    assert first["planHash"] == second["planHash"]
    assert {d["device"] for d in first["devices"]} == {
        "olt-east-07",
        "agg-1",
        "bng-1",
        "acs-1",
        "wifi-1",
    }
    assert server.running_configs() == before
    assert server.used_pools() == []
    assert server.get(PRODUCT_ORDER) == []
    assert server.inventory("637") == []


def test_an_order_with_the_hash_sends_byte_for_byte_what_was_shown(server: Server) -> None:
    body = _body("superfibre-200-home.new.json")
    shown = _simulate(server, "productOrder", body)
    order = server.follow(
        server.post(PRODUCT_ORDER, body | {"planHash": shown["planHash"]}, 201)["id"]
    )
    assert order["state"] == "completed", order.get("errorMessage")
    sent = {
        d["device"]: d["edits"]
        for b in server.get("/turnup/v1/batches")
        for d in server.get(f"/turnup/v1/batches/{b['id']}")["devices"]
    }
    assert sent == {d["device"]: d["edits"] for d in shown["devices"]}
    product = order["productOrderItem"][0]["product"]["id"]
    for name in ("superfibre-200-home.modify.json", "superfibre-200-home.cease.json"):
        body = _body(name, productId=product)
        shown = _simulate(server, "productOrder", body)
        order = server.follow(
            server.post(PRODUCT_ORDER, body | {"planHash": shown["planHash"]}, 201)["id"]
        )
        assert order["state"] == "completed", order.get("errorMessage")


def test_a_changed_plan_is_held_with_the_new_one(server: Server) -> None:
    body = _body("superfibre-200-home.new.json")
    shown = _simulate(server, "productOrder", body)
    _, product = server.new_line()
    before = server.running_configs()
    order = server.follow(
        server.post(PRODUCT_ORDER, body | {"planHash": shown["planHash"]}, 201)["id"]
    )
    assert order["state"] == "held"
    assert order["errorMessage"][0]["code"] == "PLAN_CHANGED"
    assert server.running_configs() == before
    (fallout,) = server.get("/turnup/v1/fallouts")
    assert fallout["details"]["planHash"] != shown["planHash"]
    assert fallout["details"]["devices"]
    server.post(
        f"/turnup/v1/fallouts/{fallout['id']}/retry", {"planHash": fallout["details"]["planHash"]}
    )
    order = server.follow(order["id"], until=("completed",))
    server.cease(order["productOrderItem"][0]["product"]["id"])
    server.cease(product)


def test_the_lower_layers_simulate_too(server: Server) -> None:
    for kind, name in (
        ("serviceOrder", "som.service-order.json"),
        ("resourceOrder", "som.resource-order.json"),
    ):
        shown = _simulate(server, kind, _body(name))
        assert shown["planHash"]
        assert shown["tree"]
        assert {d["device"] for d in shown["devices"]} >= {"olt-east-07", "agg-1", "bng-1"}
        assert all(
            d["inverse"] for d in shown["devices"] if d["device"] in ("olt-east-07", "bng-1")
        )


def test_a_device_that_is_down_is_a_warning_and_leaves_no_hash(server: Server) -> None:
    server.fault("bng-1", "down")
    shown = _simulate(server, "productOrder", _body("superfibre-200-home.new.json"))
    assert shown["planHash"] is None
    assert any("bng-1" in warning for warning in shown["warnings"])
