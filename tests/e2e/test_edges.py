"""Edges of the order chain: cancels that come too late, twice or at another layer; changes of mode and technology."""

from __future__ import annotations

import time
from typing import Any

import pytest

from orders.executor import Runner
from orders.model import State
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


def _fallout(server: Server) -> Json:
    """Return the only fallout as soon as there is one: events travel by themselves."""
    deadline = time.monotonic() + 10
    while not (found := server.get("/turnup/v1/fallouts")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (fallout,) = found
    return dict(fallout)


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


def test_a_cancel_at_any_moment_ends_cancelled_or_completed(server: Server) -> None:
    before = server.running_configs()
    (product,) = _complete(server, _add())
    for pause in (0.0, 0.05, 0.1, 0.15, 0.2, 0.3):
        order = _submit(server, _modify(product, ssid=f"S{pause}"))
        time.sleep(pause)
        answer = server.http.post(CANCELS["com"][0], json={"productOrder": {"id": order}})
        if answer.status_code == 409:
            assert answer.json()["code"] == "ORDER_FINAL"
            server.follow(order, until=("completed",))
            continue
        server.follow(order, until=("completed", "cancelled"), limit=20)
        assert server.application.executor.idle(10)
        assert _cancel_state(server, "com", answer.json()["id"]) == "done"
        _consistent(server)
    _cleared(server, before, product)


@pytest.mark.parametrize("layer", ["com", "som", "rom"])
def test_an_order_that_ends_before_its_cancel_task_runs(server: Server, layer: str) -> None:
    """The step that runs while the cancel is asked makes the order final."""
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
                ledger.update_item(tx, order, item.id, state=State.COMPLETED)
    server.application.executor.start(Runner(database, ledger).run_one)
    assert server.application.executor.idle(10)
    assert server.order(order)["state"] == "completed"
    assert _cancel_state(server, layer, cancel) == "done"
    assert server.get("/turnup/v1/fallouts") == []


def test_a_second_cancel_is_the_same_cancel(server: Server) -> None:
    before = server.running_configs()
    order = _submit(server, _add())
    server.application.executor.idle(10)
    assert _cancel(server, "com", order) == _cancel(server, "com", order)
    server.follow(order, until=("cancelled",), deliver=False)
    assert _cancel_state(server, "com", _cancel(server, "com", order)) == "done"
    _cleared(server, before)


@pytest.mark.parametrize("layer", ["som", "rom"])
def test_a_child_cancelled_by_itself_holds_its_parent_until_that_is_cancelled(
    server: Server, layer: str
) -> None:
    before = server.running_configs()
    server.fault("bng-1", "down")
    order = _submit(server, _add())
    server.follow(order, until=("held",))
    server.clear_faults()
    child = _newest(server, {"som": SERVICE_ORDER, "rom": RESOURCE_ORDER}[layer])["id"]
    _cancel(server, layer, child)
    server.follow(child, until=("cancelled",), deliver=False)
    fallout = _fallout(server)
    assert fallout["code"] == "CHILD_ORDER_ENDED"
    _shows(server, order, "CHILD_ORDER_ENDED")
    _cancel(server, "com", order)
    server.follow(order, until=("cancelled",), deliver=False)
    _cleared(server, before)


def _shows(server: Server, order: str, code: str) -> None:
    """Wait until the events from below have brought the order to held with this code."""
    deadline = time.monotonic() + 10
    while (errors := server.order(order).get("errorMessage", [])) or time.monotonic() < deadline:
        if errors and errors[0]["code"] == code:
            assert server.order(order)["state"] == "held"
            return
        assert time.monotonic() < deadline, errors
        time.sleep(0.05)
    raise AssertionError(f"{order} shows no error")


def test_a_cancelled_cease_leaves_the_line_working(server: Server) -> None:
    before = server.running_configs()
    (product,) = _complete(server, _add(staticIp=True))
    running = server.running_configs()
    held = _resources(server, product)
    server.fault("olt-east-07", "down")
    order = _submit(server, _delete(product))
    server.follow(order, until=("held",))
    server.clear_faults()
    _cancel(server, "com", order)
    server.follow(order, until=("cancelled",), deliver=False)
    assert server.running_configs() == running
    _consistent(server)
    now = _resources(server, product)
    assert {name: _values(r) for name, r in now.items()} == {
        name: _values(r) for name, r in held.items()
    }
    _complete(server, _modify(product, "PO-SF100H"))
    _cleared(server, before, product)


def test_a_cancelled_cease_of_two_lines_brings_back_the_one_that_was_done(server: Server) -> None:
    before = server.running_configs()
    near, far = _complete(
        server, _add("PL-1002", item="1"), _add("PL-1003", "PO-SF500H", item="2", staticIp=True)
    )
    for node, down in (("olt-west-02", near), ("olt-east-07", far)):
        server.fault(node, "down")
        order = _submit(server, _delete(near, "1"), _delete(far, "2"))
        server.follow(order, until=("held",))
        assert server.application.executor.idle(10)
        assert _resources(server, down) == {}
        server.clear_faults()
        _cancel(server, "com", order)
        server.follow(order, until=("cancelled",), deliver=True)
        _consistent(server)
    _complete(server, _modify(near, "PO-SF100H", "1"), _modify(far, item="2", staticIp=False))
    _cleared(server, before, near, far)


def test_a_cancelled_add_of_two_lines_removes_the_one_that_was_done(server: Server) -> None:
    before = server.running_configs()
    server.fault("olt-west-02", "down")
    order = _submit(server, _add("PL-1002", item="1"), _add("PL-1003", "PO-SF500H", item="2"))
    server.follow(order, until=("held",))
    deadline = time.monotonic() + 20
    while [o["state"] for o in server.get(RESOURCE_ORDER)].count("completed") < 1:
        server.deliver()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    server.clear_faults()
    _cancel(server, "com", order)
    server.follow(order, until=("cancelled",), deliver=False)
    _cleared(server, before)


def test_an_order_that_the_layer_below_refuses_can_be_cancelled(server: Server) -> None:
    """The line's resources were ended at ROM behind SOM's back, so ROM refuses what SOM asks for."""
    (product,) = _complete(server, _add())
    ended = [
        {"id": str(n), "action": "delete", "resource": {"id": r["id"]}}
        for n, r in enumerate(_resources(server, product).values())
    ]
    below = server.post(RESOURCE_ORDER, {"orderItem": ended}, 201)["id"]
    assert server.follow(below)["state"] == "completed"
    order = _submit(server, _modify(product, "PO-SF100H"))
    held = server.follow(order, until=("held",))
    assert held["errorMessage"][0]["code"] == "RESOURCE_NOT_FOUND"
    _cancel(server, "com", order)
    server.follow(order, until=("cancelled",), deliver=False, limit=10)
    assert server.get("/turnup/v1/fallouts") == []
    assert server.used_pools() == []


# -- orders that wait for each other


def test_a_cease_of_a_line_that_is_being_made_waits_for_it(server: Server) -> None:
    before = server.running_configs()
    first = _submit(server, _add())
    assert server.application.executor.idle(10)
    product = server.order(first)["productOrderItem"][0]["product"]["id"]
    second = _submit(server, _delete(product))
    assert server.application.executor.idle(10)
    assert server.order(second)["state"] == "acknowledged"
    assert server.follow(second)["state"] == "completed"
    assert server.order(first)["state"] == "completed"
    _cleared(server, before)


@pytest.mark.parametrize("ends", ["cease", "cancel"])
def test_an_order_on_a_product_that_ended_meanwhile_fails(server: Server, ends: str) -> None:
    before = server.running_configs()
    first = _submit(server, _add())
    assert server.application.executor.idle(10)
    product = server.order(first)["productOrderItem"][0]["product"]["id"]
    if ends == "cease":
        server.follow(first)
        server.fault("bng-1", "down")
        first = _submit(server, _delete(product))
        server.follow(first, until=("held",))
    change, cease = (
        _submit(server, _modify(product, "PO-SF100H")),
        _submit(server, _delete(product)),
    )
    if ends == "cease":
        server.clear_faults()
        _retry_all(server)
    else:
        _cancel(server, "com", first)
    for order in (change, cease):
        failed = server.follow(order, until=FINAL)
        assert failed["state"] == "failed"
        assert failed["errorMessage"][0]["code"] == "PRODUCT_NOT_FOUND"
    (shown,) = server.inventory("637")
    assert shown["status"] == {"cease": "terminated", "cancel": "cancelled"}[ends]
    _cleared(server, before)


# -- changes


def test_a_change_to_what_is_already_so_completes_at_once(server: Server) -> None:
    before = server.running_configs()
    (product,) = _complete(server, _add())
    running = server.running_configs()
    orders = len(server.get(RESOURCE_ORDER))
    _complete(server, _modify(product, "PO-SF200H", ssid="Edge"))
    assert len(server.get(RESOURCE_ORDER)) == orders
    assert server.running_configs() == running
    _consistent(server)
    _cleared(server, before, product)


def test_a_static_address_comes_and_goes_by_modify(server: Server) -> None:
    before = server.running_configs()
    (product,) = _complete(server, _add())
    dynamic = server.running_configs()
    old = _values(_resources(server, product)["RES-IP-Profile"])["ipv4"]
    _complete(server, _modify(product, staticIp=True))
    _consistent(server)
    new = _values(_resources(server, product)["RES-IP-Profile"])["ipv4"]
    running = server.running_configs()
    assert new.startswith("203.0.113.")
    assert f"ip route {new}/32" in running["agg-1"]
    assert all(old not in text for text in running.values())
    pools = {(p["kind"], p["scope"]): p for p in server.get("/turnup/v1/pools")}
    assert pools["ipv4", "bng-1"]["allocated"] == 0
    assert pools["ipv4", "bng-1/static"]["allocated"] == 1
    for static in (False, True, False):
        _complete(server, _modify(product, staticIp=static))
        _consistent(server)
        found = server.get("/turnup/v1/pools", kind="ipv4")
        taken = {pool["scope"]: pool["allocated"] for pool in found}
        assert (taken["bng-1"], taken["bng-1/static"]) == ((0, 1) if static else (1, 0))
    assert server.running_configs() == dynamic
    _cleared(server, before, product)


def test_a_cancelled_change_to_a_static_address_gives_the_new_address_back(server: Server) -> None:
    before = server.running_configs()
    (product,) = _complete(server, _add())
    running = server.running_configs()
    for node in ("bng-1", "acs-1"):
        server.fault(node, "down")
        order = _submit(server, _modify(product, staticIp=True))
        server.follow(order, until=("held",))
        server.clear_faults()
        _cancel(server, "com", order)
        server.follow(order, until=("cancelled",), deliver=False)
        assert server.running_configs() == running
        _consistent(server)
    _cleared(server, before, product)


def test_superfibre_500_on_xgs_pon(server: Server) -> None:
    before = server.running_configs()
    (product,) = _complete(server, _add("PL-1003", "PO-SF500H", staticIp=True))
    access = _values(_resources(server, product)["RES-Fibre-Access"])
    assert (access["olt"], access["accessTechnology"]) == ("olt-west-02", "XGS-PON")
    _consistent(server)
    _cleared(server, before, product)


def test_a_change_of_technology_replaces_access_and_cpe(server: Server) -> None:
    before = server.running_configs()
    (product,) = _complete(server, _add("PL-1003"))
    old = _resources(server, product)
    assert _values(old["RES-Fibre-Access"])["olt"] == "olt-east-07"
    _complete(server, _modify(product, "PO-SF500H"))
    new = _resources(server, product)
    assert _values(new["RES-Fibre-Access"])["olt"] == "olt-west-02"
    assert _values(new["RES-CPE-Provision"])["cpeModel"] == "HG8245X6"
    assert new["RES-Fibre-Access"]["id"] != old["RES-Fibre-Access"]["id"]
    assert server.running_configs()["olt-east-07"] == before["olt-east-07"]
    _consistent(server)
    _cleared(server, before, product)


@pytest.mark.parametrize("node", ["olt-west-02", "acs-1", "olt-east-07"])
def test_a_cancelled_change_of_technology_keeps_the_old_line(server: Server, node: str) -> None:
    before = server.running_configs()
    (product,) = _complete(server, _add("PL-1003"))
    running = server.running_configs()
    server.fault(node, "down")
    order = _submit(server, _modify(product, "PO-SF500H"))
    server.follow(order, until=("held",))
    server.clear_faults()
    _cancel(server, "com", order)
    server.follow(order, until=("cancelled",), deliver=False)
    assert server.running_configs() == running
    _consistent(server)
    _cleared(server, before, product)


def test_two_products_in_one_order(server: Server) -> None:
    before = server.running_configs()
    products = _complete(server, _add("PL-1001", item="a"), _add("PL-1002", item="b"))
    _consistent(server)
    _complete(server, _modify(products[0], staticIp=True), _delete(products[1], "2"))
    _consistent(server)
    _cleared(server, before, products[0])


def test_a_changed_plan_is_accepted_by_its_new_hash(server: Server) -> None:
    before = server.running_configs()
    body = {"productOrderItem": [_add()]}
    shown = server.post("/turnup/v1/simulations", {"productOrder": body}, 200)
    (other,) = _complete(server, _add("PL-1001"))
    order = _submit(server, *body["productOrderItem"], planHash=shown["planHash"])
    server.follow(order, until=("held",))
    (fallout,) = server.get("/turnup/v1/fallouts")
    wrong = {"planHash": shown["planHash"]}
    server.post(f"/turnup/v1/fallouts/{fallout['id']}/retry", wrong)
    server.follow(order, until=("held",))
    assert server.application.executor.idle(10)
    (fallout,) = server.get("/turnup/v1/fallouts")
    right = {"planHash": fallout["details"]["planHash"]}
    server.post(f"/turnup/v1/fallouts/{fallout['id']}/retry", right)
    ended = server.follow(order)
    assert ended["state"] == "completed", ended.get("errorMessage")
    _cleared(server, before, other, ended["productOrderItem"][0]["product"]["id"])
