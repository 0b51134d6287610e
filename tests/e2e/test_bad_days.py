"""Wrong input and bad days: a clear code or a held item with a way on, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ORDERS, Server
from tmf.paths import BASE_PATHS

PRODUCT_ORDER = BASE_PATHS["622"] + "/productOrder"
CANCEL = BASE_PATHS["622"] + "/cancelProductOrder"
Json = dict[str, Any]


def _new(**changes: Any) -> Json:
    body: Json = json.loads((ORDERS / "superfibre-200-home.new.json").read_text(encoding="utf-8"))
    item = body["productOrderItem"][0]
    if "place" in changes:
        item["product"]["place"][0]["id"] = changes.pop("place")
    return {**body, "productOrderItem": [{**item, **changes}]}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"productOrderItem": []}, "INVALID_BODY"),
        ({"productOrderItem": [{"id": "1"}]}, "INVALID_BODY"),
        (_new(action="create"), "INVALID_BODY"),
        (_new(productOffering={"id": "PO-UNKNOWN"}), "OFFERING_NOT_FOUND"),
        (_new(product={"productCharacteristic": []}), "PRODUCT_ITEM_INVALID"),
        (
            _new(
                product={
                    "place": [{"id": "PL-1001"}],
                    "productCharacteristic": [{"name": "colour", "value": "red"}],
                }
            ),
            "CHARACTERISTIC_UNKNOWN",
        ),
        (
            _new(
                product={
                    "place": [{"id": "PL-1001"}],
                    "productCharacteristic": [{"name": "wifi", "value": "maybe"}],
                }
            ),
            "CHARACTERISTIC_INVALID",
        ),
        (
            {
                "productOrderItem": [
                    {"id": "1", "action": "delete", "product": {"id": "pr-unknown"}}
                ]
            },
            "PRODUCT_NOT_FOUND",
        ),
    ],
)
def test_a_wrong_order_is_refused_and_nothing_is_stored(
    server: Server, body: Json, code: str
) -> None:
    answer = server.http.post(PRODUCT_ORDER, json=body)
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["code"] == code
    assert (Path("docs/errors") / f"{code}.md").exists()
    assert server.get(PRODUCT_ORDER) == []


def test_a_malformed_body_is_refused(server: Server) -> None:
    answer = server.http.post(
        PRODUCT_ORDER, content=b"{", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["code"] == "MALFORMED_JSON"


def test_a_place_without_access_is_held_and_cancel_leaves_nothing(server: Server) -> None:
    order = server.follow(server.post(PRODUCT_ORDER, _new(place="PL-1004"), 201)["id"])
    assert order["state"] == "held"
    assert order["errorMessage"][0]["code"] == "NO_ACCESS_PATH"
    _cancelled(server, order["id"])


def test_an_exhausted_pool_is_found_before_any_device_is_touched(server: Server) -> None:
    pool = next(p for p in server.get("/turnup/v1/pools", kind="ipv4") if p["scope"] == "bng-1")
    server.post(
        f"/turnup/v1/pools/{pool['id']}/allocations",
        {"owner": "hoarder", "count": pool["free"], "ttlSeconds": 900},
    )
    before = server.running_configs()
    order = server.follow(server.post(PRODUCT_ORDER, _new(), 201)["id"])
    assert order["state"] == "held"
    assert order["errorMessage"][0]["code"] == "POOL_EXHAUSTED"
    assert server.running_configs() == before
    assert (
        server.http.delete(f"/turnup/v1/pools/{pool['id']}/allocations/hoarder").status_code == 204
    )
    (fallout,) = server.get("/turnup/v1/fallouts")
    server.post(f"/turnup/v1/fallouts/{fallout['id']}/retry")
    order = server.follow(order["id"], until=("completed", "cancelled"))
    assert order["state"] == "completed"
    server.cease(order["productOrderItem"][0]["product"]["id"])


@pytest.mark.parametrize(
    ("node", "fault", "parameters", "code"),
    [
        ("olt-east-07", "down", {}, "DEVICE_UNREACHABLE"),
        ("bng-1", "reject", {}, "DEVICE_REJECTED"),
        ("agg-1", "commit-fail", {"times": 9}, "DEVICE_REJECTED"),
        ("olt-east-07", "lock", {}, "DEVICE_LOCKED"),
        ("acs-1", "down", {}, "DEVICE_UNREACHABLE"),
        ("wifi-1", "reject", {}, "DEVICE_REJECTED"),
    ],
)
def test_a_sick_device_holds_the_item_and_retry_completes_it(
    server: Server, node: str, fault: str, parameters: Json, code: str
) -> None:
    before = server.running_configs()
    server.fault(node, fault, **parameters)
    order = server.follow(
        server.post(PRODUCT_ORDER, _new(), 201)["id"], until=("held", "completed")
    )
    assert order["state"] == "held"
    assert order["errorMessage"][0]["code"] == code
    (fallout,) = server.get("/turnup/v1/fallouts")
    assert fallout["code"] == code
    assert fallout["remedy"]
    server.clear_faults()
    server.post(f"/turnup/v1/fallouts/{fallout['id']}/retry")
    order = server.follow(order["id"], until=("completed",))
    assert set(server.audit_all().values()) == {"pass"}
    server.cease(order["productOrderItem"][0]["product"]["id"])
    assert server.running_configs() == before


@pytest.mark.parametrize("rpc", [1, 3, 5, 7])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_device_that_drops_the_session_does_no_harm(server: Server, rpc: int, when: str) -> None:
    before = server.running_configs()
    server.fault("bng-1", "drop", rpc=rpc, when=when)
    accepted = server.post(PRODUCT_ORDER, _new(), 201)
    order = server.follow(accepted["id"], until=("held", "completed"))
    server.clear_faults()
    for fallout in server.get("/turnup/v1/fallouts"):
        server.post(f"/turnup/v1/fallouts/{fallout['id']}/retry")
    order = server.follow(order["id"], until=("completed",))
    assert set(server.audit_all().values()) == {"pass"}
    server.cease(order["productOrderItem"][0]["product"]["id"])
    assert server.running_configs() == before


def test_cancel_before_anything_runs_on_a_device(server: Server) -> None:
    before = server.running_configs()
    server.fault("olt-east-07", "down")
    order = server.follow(
        server.post(PRODUCT_ORDER, _new(), 201)["id"], deliver=False, until=("held",)
    )
    server.clear_faults()
    _cancelled(server, order["id"])
    assert server.running_configs() == before


def test_cancel_in_the_middle_undoes_what_was_done(server: Server) -> None:
    before = server.running_configs()
    server.fault("wifi-1", "down")
    order = server.follow(server.post(PRODUCT_ORDER, _new(), 201)["id"], until=("held",))
    server.clear_faults()
    assert server.running_configs() != before
    _cancelled(server, order["id"])
    assert server.running_configs() == before
    assert {p["status"] for p in server.inventory("637")} == {"cancelled"}


def test_cancelling_a_speed_change_brings_the_old_speed_back(server: Server) -> None:
    _, product = server.new_line()
    before = server.running_configs()
    server.fault("bng-1", "down")
    order = server.submit("superfibre-200-home.modify.json", productId=product)
    server.follow(order["id"], until=("held",))
    server.clear_faults()
    _cancelled(server, order["id"], empty=False)
    assert server.running_configs() == before
    assert next(p for p in server.inventory("637") if p["id"] == product)["status"] == "active"
    server.cease(product)


def test_a_second_order_on_a_product_waits_for_the_first(server: Server) -> None:
    _, product = server.new_line()
    server.fault("bng-1", "down")
    first = server.submit("superfibre-200-home.modify.json", productId=product)
    server.follow(first["id"], until=("held",))
    second = server.submit("superfibre-200-home.cease.json", productId=product)
    server.application.executor.idle(5)
    assert server.order(second["id"])["state"] == "acknowledged"
    trace = server.get(f"/turnup/v1/trace/{second['id']}")["root"]
    assert trace["waitsFor"] == [first["id"]]
    server.clear_faults()
    (fallout,) = server.get("/turnup/v1/fallouts")
    server.post(f"/turnup/v1/fallouts/{fallout['id']}/retry")
    assert server.follow(second["id"])["state"] == "completed"


def test_another_serial_is_refused(server: Server) -> None:
    server.post(PRODUCT_ORDER, _new(), 201)
    server.application.executor.idle(10)
    (task,) = server.get("/turnup/v1/externalTasks")
    answer = server.http.post(
        f"/turnup/v1/externalTasks/{task['id']}/complete", json={"serial": "HWTC00000000"}
    )
    assert answer.status_code == 409
    assert answer.json()["code"] == "SERIAL_MISMATCH"
    order = server.get(PRODUCT_ORDER)[0]
    _cancelled(server, order["id"])


def test_an_orders_value_is_not_given_back_through_the_api(server: Server) -> None:
    _, product = server.new_line()
    pool = next(p for p in server.get("/turnup/v1/pools", kind="ipv4") if p["scope"] == "bng-1")
    (held,) = server.get(f"/turnup/v1/pools/{pool['id']}/allocations")
    answer = server.http.delete(f"/turnup/v1/pools/{pool['id']}/allocations/{held['owner']}")
    assert answer.status_code == 409
    assert answer.json()["code"] == "OWNED_BY_ORDER"
    server.cease(product)


def _cancelled(server: Server, order_id: str, *, empty: bool = True) -> None:
    task = server.post(
        CANCEL, {"productOrder": {"id": order_id}, "cancellationReason": "changed my mind"}, 201
    )
    order = server.follow(order_id, until=("cancelled",), deliver=False)
    assert order["state"] == "cancelled"
    assert server.get(f"{CANCEL}/{task['id']}")["state"] == "done"
    assert server.get("/turnup/v1/fallouts") == []
    if empty:
        assert server.used_pools() == []
    for layer in ("serviceOrdering/v4/serviceOrder", "resourceOrderingManagement/v4/resourceOrder"):
        newest = server.get(f"/tmf-api/{layer}")[:1]
        assert all(o["state"] in ("cancelled", "completed") for o in newest)
