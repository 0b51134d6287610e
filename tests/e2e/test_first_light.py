"""The whole chain: a customer's order becomes configuration and back, through the real server and lab."""

from __future__ import annotations

from tests.e2e.conftest import Server
from tmf.paths import BASE_PATHS


def test_new_modify_cease_leave_no_trace(server_on: Server) -> None:
    server = server_on
    before = server.running_configs()
    order, product = server.new_line()
    assert {i["state"] for i in order["productOrderItem"]} == {"completed"}
    assert set(server.audit_all().values()) == {"pass"}
    changed = server.follow(
        server.submit("superfibre-200-home.modify.json", productId=product)["id"]
    )
    assert changed["state"] == "completed", changed.get("errorMessage")
    assert set(server.audit_all().values()) == {"pass"}
    server.cease(product)
    assert server.running_configs() == before
    assert server.used_pools() == []


def test_three_inventories_point_at_each_other_and_at_their_orders(server: Server) -> None:
    order, product_id = server.new_line()
    product = next(p for p in server.inventory("637") if p["id"] == product_id)
    assert product["status"] == "active"
    assert product["productOrderItem"][0]["productOrderId"] == order["id"]
    services = {s["id"]: s for s in server.inventory("638")}
    realizing = {s["id"] for s in product["realizingService"]}
    assert realizing
    assert {services[s]["category"] for s in realizing} == {"CFS"}
    below = {r["id"] for s in realizing for r in services[s]["supportingService"]}
    assert {services[s]["category"] for s in below} == {"RFS"}
    resources = {r["id"] for s in below for r in services[s]["supportingResource"]}
    assert len(resources) == len(below) == 7
    for resource in resources:
        shown = server.get(f"{BASE_PATHS['639']}/resource/{resource}")
        assert shown["resourceStatus"] == "available"
        assert shown["resourceOrderItem"]
        assert shown["realizes"]["serviceId"] in below
    assert all(service["serviceOrderItem"] for service in services.values())


def test_speed_change_sends_only_the_delta(server: Server) -> None:
    _, product = server.new_line()
    order = server.follow(server.submit("superfibre-200-home.modify.json", productId=product)["id"])
    trace = server.get(f"/turnup/v1/trace/{order['id']}")["root"]
    (rom,) = trace["children"][0]["children"]
    assert [i["action"] for i in rom["items"]] == ["modify"]
    edits = "".join(e for b in rom["batches"] for d in b["devices"] for e in d["edits"])
    assert "expected-serial-number" not in edits
    assert "100" in edits


def test_two_lines_share_a_profile_until_the_last_leaves(server: Server) -> None:
    _, first = server.new_line()
    _, second = server.new_line()
    olt = "olt-east-07"
    server.cease(first)
    assert "tdp-50m" in server.running_configs()[olt]
    server.cease(second)
    assert "tdp-50m" not in server.running_configs()[olt]


def test_foreign_som_orders_straight_from_rom(server: Server) -> None:
    order = server.follow(server.submit("som.resource-order.json")["id"])
    assert order["state"] == "completed", order.get("errorMessage")
    assert set(server.audit_all().values()) == {"pass"}
    ids = [i["resource"]["id"] for i in order["orderItem"]]
    cease = {
        "orderItem": [
            {"id": str(n), "action": "delete", "resource": {"id": resource}}
            for n, resource in enumerate(ids)
        ]
    }
    ended = server.follow(server.post(f"{BASE_PATHS['652']}/resourceOrder", cease, 201)["id"])
    assert ended["state"] == "completed", ended.get("errorMessage")
    assert server.used_pools() == []


def test_foreign_com_orders_from_som(server: Server) -> None:
    order = server.follow(server.submit("som.service-order.json")["id"])
    assert order["state"] == "completed", order.get("errorMessage")
    ids = [i["service"]["id"] for i in order["serviceOrderItem"]]
    cease = {
        "serviceOrderItem": [
            {"id": str(n), "action": "delete", "service": {"id": service}}
            for n, service in enumerate(ids)
        ]
    }
    ended = server.follow(server.post(f"{BASE_PATHS['641']}/serviceOrder", cease, 201)["id"])
    assert ended["state"] == "completed", ended.get("errorMessage")
    assert server.used_pools() == []
