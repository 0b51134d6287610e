"""Edges of the order chain: cancels that come too late, twice or at another layer; changes of mode and technology."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.conftest import Server
from tmf.paths import BASE_PATHS

PRODUCT_ORDER = BASE_PATHS["622"] + "/productOrder"
SERVICE_ORDER = BASE_PATHS["641"] + "/serviceOrder"
RESOURCE_ORDER = BASE_PATHS["652"] + "/resourceOrder"
CANCELS = {
    "com": (BASE_PATHS["622"] + "/cancelProductOrder", "productOrder"),
    "som": (BASE_PATHS["641"] + "/cancelServiceOrder", "serviceOrder"),
    "rom": (BASE_PATHS["652"] + "/cancelResourceOrder", "resourceOrder"),
}
FINAL = ("completed", "failed", "partial", "cancelled", "rejected")
Json = dict[str, Any]


# -- what customers ask for


def _add(place: str = "PL-1001", offering: str = "PO-SF200H", item: str = "1", **more: Any) -> Json:
    values = [{"name": name, "value": value} for name, value in {"ssid": "Edge", **more}.items()]
    return {
        "id": item,
        "action": "add",
        "productOffering": {"id": offering},
        "product": {"place": [{"id": place}], "productCharacteristic": values},
    }


def _modify(product: str, offering: str | None = None, item: str = "1", **values: Any) -> Json:
    changed: Json = {"id": product}
    if values:
        changed["productCharacteristic"] = [{"name": n, "value": v} for n, v in values.items()]
    body: Json = {"id": item, "action": "modify", "product": changed}
    return body | ({"productOffering": {"id": offering}} if offering else {})


def _delete(product: str, item: str = "1") -> Json:
    return {"id": item, "action": "delete", "product": {"id": product}}


def _submit(server: Server, *items: Json, **more: Any) -> str:
    order = server.post(PRODUCT_ORDER, {"productOrderItem": list(items), **more}, 201)
    return str(order["id"])


def _complete(server: Server, *items: Json) -> list[str]:
    """Order the items, follow the order to its completion; return its products."""
    order = server.follow(_submit(server, *items))
    assert order["state"] == "completed", order.get("errorMessage")
    return [item["product"]["id"] for item in order["productOrderItem"]]


def _cancel(server: Server, layer: str, order: str) -> str:
    path, key = CANCELS[layer]
    return str(server.post(path, {key: {"id": order}}, 201)["id"])


def _cancel_state(server: Server, layer: str, cancel: str) -> str:
    return str(server.get(f"{CANCELS[layer][0]}/{cancel}")["state"])


# -- what is seen afterwards


def _newest(server: Server, path: str) -> Json:
    found: Json = server.get(path)[0]
    return found


def _retry_all(server: Server) -> None:
    for fallout in server.get("/turnup/v1/fallouts"):
        server.post(f"/turnup/v1/fallouts/{fallout['id']}/retry")


def _resources(server: Server, product: str) -> dict[str, Json]:
    """Return the live resources of a line by specification."""
    return {
        r["resourceSpecification"]["id"]: r
        for r in server.inventory("639")
        if r.get("line") == product and r["resourceStatus"] in ("available", "reserved")
    }


def _values(resource: Json) -> Json:
    return {c["name"]: c["value"] for c in resource["resourceCharacteristic"]}


def _consistent(server: Server) -> None:
    """Audit passes, no order waits, and the live of each inventory point only at the live of the next."""
    assert server.application.executor.idle(10)
    assert server.get("/turnup/v1/fallouts") == []
    assert set(server.audit_all().values()) == {"pass"}
    services = {s["id"]: s for s in server.inventory("638")}
    resources = {r["id"]: r for r in server.inventory("639")}
    products = [p for p in server.inventory("637") if p["status"] == "active"]
    assert {s["state"] for s in services.values()} <= {"active", "terminated"}
    assert [r["id"] for r in resources.values() if r["resourceStatus"] == "reserved"] == []
    cfs = {s["id"] for p in products for s in p["realizingService"]}
    assert cfs == {i for i, s in services.items() if s["category"] == "CFS" and _lives(s)}
    rfs = {s["id"] for i in cfs for s in services[i]["supportingService"]}
    assert rfs == {i for i, s in services.items() if s["category"] == "RFS" and _lives(s)}
    used = {r["id"] for i in rfs for r in services[i]["supportingResource"]}
    assert used == {i for i, r in resources.items() if r.get("realizes") and _works(r)}


def _lives(service: Json) -> bool:
    return bool(service["state"] == "active")


def _works(resource: Json) -> bool:
    return bool(resource["resourceStatus"] == "available")


def _cleared(server: Server, before: dict[str, str], *products: str) -> None:
    """Cease the products; then everything is as it was before."""
    for product in products:
        _complete(server, _delete(product))
    _consistent(server)
    assert server.running_configs() == before
    assert server.used_pools() == []
    assert [r["id"] for r in server.inventory("639") if r["usageState"] == "active"] == []


# -- cancels


def test_a_cancel_that_comes_too_late_is_done_and_the_order_stays_completed(server: Server) -> None:
    before = server.running_configs()
    server.fault("wifi-1", "slow-commit", ms=0)
    order = _submit(server, _add())
    outcomes = set()
    products = []
    for pause in (0.0, 0.05, 0.1, 0.2, 0.4):
        server.follow(order, until=FINAL + ("held",), limit=30)
        products.append(server.order(order)["productOrderItem"][0]["product"]["id"])
        order = _submit(server, _modify(products[0], ssid=f"S{pause}"))
        time.sleep(pause)
        answer = server.http.post(CANCELS["com"][0], json={"productOrder": {"id": order}})
        if answer.status_code == 409:
            assert answer.json()["code"] == "ORDER_FINAL"
            continue
        ended = server.follow(order, until=("completed", "cancelled"), limit=20)
        outcomes.add(ended["state"])
        assert server.application.executor.idle(10)
        assert _cancel_state(server, "com", answer.json()["id"]) == "done"
        _consistent(server)
    _cleared(server, before, products[0])


@pytest.mark.parametrize("layer", ["com", "som", "rom"])
def test_an_order_that_ends_before_its_cancel_task_runs(server: Server, layer: str) -> None:
    """Both are asked in one commit: the last step that runs makes the order final first."""
    before = server.running_configs()
    path = {"com": PRODUCT_ORDER, "som": SERVICE_ORDER, "rom": RESOURCE_ORDER}[layer]
    _submit(server, _add())
    server.application.executor.idle(10)
    order = _newest(server, path)["id"]
    ledger, database = server.application.ledger, server.application.database
    server.application.executor.stop()
    cancel = _cancel(server, layer, order)
    # what a running step may do between the cancel and its task
    with database.write() as tx:
        for item in ledger.order(tx, order).items:
            if item.state != "completed":
                ledger.update_item(tx, order, item.id, state="completed")  # type: ignore[arg-type]
    server.application.start()
    assert server.application.executor.idle(10)
    assert server.order(order)["state"] == "completed"
    assert _cancel_state(server, layer, cancel) == "done"
    assert server.get("/turnup/v1/fallouts") == []
    assert before
