"""What may be asked of the APIs: filters, fields, pages, sorting, PATCH, refusals, addresses and hubs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.conftest import World, new_order
from tests.conformance.oracle import COLLECTIONS, ORDERS, RESOURCES, at, refusal
from tmf.paths import BASE_PATHS

Json = dict[str, Any]
ORDER = at("622", "productOrder")
ORDER_PATHS = [(api, next(iter(RESOURCES[api]))) for api in ORDERS]


def ids(bodies: list[Json]) -> list[str]:
    return [body["id"] for body in bodies]


@pytest.mark.parametrize(("api", "path"), COLLECTIONS)
def test_pages_add_up(world: World, api: str, path: str) -> None:
    whole = world.http.get(at(api, path))
    total = len(whole.json())
    assert whole.headers["content-type"] == "application/json;charset=utf-8"
    assert whole.headers["x-total-count"] == whole.headers["x-result-count"] == str(total)
    pages: list[Json] = []
    for offset in range(0, total + 1, max(1, total // 3)):
        page = world.http.get(at(api, path), params={"offset": offset, "limit": max(1, total // 3)})
        assert page.headers["x-result-count"] == str(len(page.json()))
        assert page.headers["x-total-count"] == str(total)
        pages += page.json()
    assert pages == whole.json()
    nothing = world.http.get(at(api, path), params={"limit": 0})
    assert (nothing.json(), nothing.headers["x-total-count"]) == ([], str(total))


@pytest.mark.parametrize(("api", "path"), COLLECTIONS)
def test_fields_cut_the_answer(world: World, api: str, path: str) -> None:
    listed = world.get(at(api, path), fields="name,state")
    assert all(set(body) <= {"id", "href", "@type", "name", "state"} for body in listed)
    one = world.get(listed[0]["href"], fields="id")
    assert set(one) == {"id", "href", "@type"}


@pytest.mark.parametrize(("api", "path"), COLLECTIONS)
def test_filter_by_id_finds_that_one(world: World, api: str, path: str) -> None:
    known = ids(world.get(at(api, path)))
    assert set(ids(world.get(at(api, path), id=known[-1]))) == {known[-1]}
    assert world.get(at(api, path), id="no-such-id") == []


@pytest.mark.parametrize(("api", "path"), COLLECTIONS)
@pytest.mark.parametrize("id", ["no-such-id", "a/b", "%00", "é", "x" * 3000])
def test_what_is_not_there_is_404(world: World, api: str, path: str, id: str) -> None:  # noqa: A002
    answer = world.http.get(at(api, path, id))
    assert answer.status_code == 404, answer.text
    assert refusal(answer, 404, answer.json()["code"])["@type"] == "Error"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"state": "held"}, {"held"}),
        ({"state": "held,cancelled"}, {"held", "cancelled"}),
        ({"state": ["held", "cancelled"]}, {"held", "cancelled"}),
        ({"state": "held", "externalId": "nobody's"}, set()),
        ({"externalId": "WEB-second"}, {"second"}),
        ({"externalId.regex": "^WEB-(second|completed)$"}, {"second", "completed"}),
        ({"productOrderItem.action": "delete"}, {"ceased"}),
        ({"productOrderItem.productOffering.id": "PO-SF100H"}, {"modified", "ceased"}),
        ({"errorMessage.code": "NO_ACCESS_PATH"}, {"held"}),
        (
            {"relatedParty.id": "CUST-4821", "state.ne": "completed"},
            {"held", "cancelled"},
        ),
        ({"orderDate.gt": "2999-01-01"}, set()),
        ({"no.such.attribute": "x"}, set()),
    ],
)
def test_orders_are_filtered(world: World, params: dict[str, Any], expected: set[str]) -> None:
    names = {order_id: name for name, order_id in world.orders.items()}
    assert {names[i] for i in ids(world.get(ORDER, **params)) if i in names} == expected


def test_dates_compare_as_instants(world: World) -> None:
    order = world.get(at("622", "productOrder", world.orders["held"]))
    moment = order["orderDate"]
    assert order["id"] in ids(world.get(ORDER, orderDate=moment))
    assert order["id"] in ids(world.get(ORDER, orderDate=moment.replace("Z", "+00:00")))
    assert order["id"] not in ids(world.get(ORDER, **{"orderDate.lt": moment}))
    signed = world.http.get(f"{ORDER}?orderDate%3E{moment}")
    assert order["id"] not in ids(signed.json())
    assert order["id"] in ids(world.http.get(f"{ORDER}?orderDate%3E={moment}").json())


@pytest.mark.parametrize(("api", "path"), ORDER_PATHS)
def test_sorting_goes_both_ways(world: World, api: str, path: str) -> None:
    up = world.get(at(api, path), sort="+orderDate")
    down = world.get(at(api, path), sort="-orderDate")
    assert [o["orderDate"] for o in up] == sorted(o["orderDate"] for o in up)
    assert [o["orderDate"] for o in down] == [o["orderDate"] for o in reversed(up)]
    by_state = world.get(at(api, path), sort="state,-orderDate", fields="state,orderDate")
    assert [o["state"] for o in by_state] == sorted(o["state"] for o in by_state)


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "-1"},
        {"limit": "501"},
        {"limit": "many"},
        {"offset": "-1"},
        {"offset": "1.5"},
        {"offset": "9" * 30},
        {"filter": "$.state"},
        {"externalId.regex": "("},
        {"expand": "x"},
        {"state": "\x00"},
        {"\x00": "x"},
    ],
)
@pytest.mark.parametrize(("api", "path"), COLLECTIONS[::4])
def test_a_wrong_query_is_400(world: World, api: str, path: str, params: dict[str, str]) -> None:
    refusal(world.http.get(at(api, path), params=params), 400, "INVALID_QUERY")


@pytest.mark.parametrize(("api", "path"), COLLECTIONS)
def test_other_methods_are_405_and_name_what_is_allowed(world: World, api: str, path: str) -> None:
    orders = path in dict(ORDER_PATHS).values()
    cancels = path.startswith("cancel")
    for method, url, allowed in (
        ("PUT", at(api, path), {"GET", "POST"} if orders or cancels else {"GET"}),
        ("PUT", at(api, path, "x"), {"DELETE", "GET", "PATCH"} if orders else {"GET"}),
    ):
        answer = world.http.request(method, url, json={})
        refusal(answer, 405, "METHOD_NOT_ALLOWED")
        assert {name.strip() for name in answer.headers["allow"].split(",")} == allowed
    if not orders:
        refusal(world.http.delete(at(api, path, "x")), 405, "METHOD_NOT_ALLOWED")
        refusal(world.http.patch(at(api, path, "x"), json={}), 405, "METHOD_NOT_ALLOWED")


def test_location_is_the_href(world: World) -> None:
    """A new order, a cancel task and a subscription; the order goes again at once."""
    answer = world.http.post(ORDER, json=new_order(place="PL-1004"))
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == made["href"]
    assert world.get(made["href"])["id"] == made["id"]
    cancel = world.http.post(
        at("622", "cancelProductOrder"),
        json={
            "productOrder": {"id": made["id"]},
            "requestedCancellationDate": "2026-12-24T00:00:00Z",
            "cancelledBy": "the shop",
        },
    )
    assert cancel.status_code == 201
    assert cancel.headers["location"] == cancel.json()["href"]
    world.server.follow(made["id"], until=("cancelled",))
    task = world.get(cancel.json()["href"])
    assert task["state"] == "done"
    assert task["requestedCancellationDate"] == "2026-12-24T00:00:00Z"
    assert task["cancelledBy"] == "the shop"
    again = world.http.post(
        at("622", "cancelProductOrder"), json={"productOrder": {"id": made["id"]}}
    )
    assert again.json()["id"] == task["id"]
    assert world.http.delete(made["href"]).status_code == 204
    refusal(world.http.get(made["href"]), 404, "ORDER_NOT_FOUND")
    refusal(world.http.get(task["href"]), 404, "ORDER_NOT_FOUND")
    heard = world.heard("ProductOrderDeleteEvent", made["id"])
    assert heard["event"]["productOrder"]["state"] == "cancelled"


@pytest.mark.parametrize("api", sorted(BASE_PATHS))
def test_a_hub_subscribes_and_forgets(world: World, api: str) -> None:
    hub = f"{BASE_PATHS[api]}/hub"
    body = {"callback": world.listener.url, "query": "eventType=NoSuchEvent"}
    answer = world.http.post(hub, json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert made == body | {"id": made["id"]}
    assert answer.headers["location"] == f"{hub}/{made['id']}"
    gone = world.http.delete(answer.headers["location"])
    assert (gone.status_code, gone.content) == (204, b"")
    refusal(world.http.delete(f"{hub}/{made['id']}"), 404, "SUBSCRIPTION_NOT_FOUND")
    refusal(world.http.get(hub), 405, "METHOD_NOT_ALLOWED")
    refusal(world.http.post(hub, json={}), 400, "INVALID_BODY")
    refusal(world.http.post(hub, json={"callback": "ftp://x"}), 400, "CALLBACK_REFUSED")
    refusal(world.http.post(hub, json={"callback": "http://10.0.0.1/"}), 400, "CALLBACK_REFUSED")


def test_a_hub_forgets_only_its_own(world: World) -> None:
    mine = world.subscriptions["641"]["id"]
    answer = world.http.delete(f"{BASE_PATHS['652']}/hub/{mine}")
    refusal(answer, 404, "SUBSCRIPTION_NOT_FOUND")


@pytest.mark.parametrize(("api", "path"), ORDER_PATHS)
def test_patch_changes_what_describes_an_order(world: World, api: str, path: str) -> None:
    order = world.get(at(api, path), state="completed")[0]
    url = order["href"]
    note = [{"id": "1", "text": "call before", "author": "care"}]
    changed = world.http.patch(url, json={"note": note, "x-shop": {"till": 7}})
    assert changed.status_code == 200, changed.text
    assert changed.json() == {**order, "note": note, "x-shop": {"till": 7}} == world.get(url)
    merged = world.http.patch(
        url,
        json={"x-shop": {"till": None, "clerk": "Ann"}},
        headers={"content-type": "application/merge-patch+json"},
    )
    assert merged.json()["x-shop"] == {"clerk": "Ann"}
    added = world.http.patch(
        url,
        json=[{"op": "add", "path": "/note/-", "value": {"id": "2", "text": "blue door"}}],
        headers={"content-type": "application/json-patch+json"},
    )
    assert [n["text"] for n in added.json()["note"]] == ["call before", "blue door"]
    assert world.http.patch(url, json={"note": None, "x-shop": None}).json() == order
    kind = RESOURCES[api][path] + "AttributeValueChangeEvent"
    assert world.heard(kind, order["id"], lambda o: len(o.get("note", ())) == 2)


@pytest.mark.parametrize(("api", "path"), ORDER_PATHS)
@pytest.mark.parametrize(
    "patch",
    [
        {"id": "x"},
        {"href": "x"},
        {"state": "rejected"},
        {"state": None},
        {"orderDate": "2026-01-01T00:00:00Z"},
        {"completionDate": "2026-01-01T00:00:00Z"},
        {"cancellationDate": "2026-01-01T00:00:00Z"},
        {"errorMessage": []},
        {"parent": {"orderId": "x", "itemIds": []}},
        {"planHash": "x"},
    ],
)
def test_patch_leaves_alone_what_the_server_says(
    world: World, api: str, path: str, patch: Json
) -> None:
    order = world.get(at(api, path), sort="+orderDate")[0]
    refusal(world.http.patch(order["href"], json=patch), 400, "NOT_PATCHABLE")
    assert world.get(order["href"]) == order
    same = {name: order[name] for name in patch if name in order}
    assert world.http.patch(order["href"], json=same).json() == order


@pytest.mark.parametrize("attribute", ["category", "@baseType", "@schemaLocation", "startDate"])
def test_patch_of_a_service_order_knows_what_the_file_leaves_out(
    world: World, attribute: str
) -> None:
    order = world.get(at("641", "serviceOrder"))[0]
    patch = {attribute: "2026-01-01T00:00:00Z"}
    refusal(world.http.patch(order["href"], json=patch), 400, "NOT_PATCHABLE")


@pytest.mark.parametrize(("api", "path"), ORDER_PATHS)
@pytest.mark.parametrize("kind", ["application/json", "application/json-patch+json"])
def test_patch_keeps_the_types_of_the_official_file(
    world: World, api: str, path: str, kind: str
) -> None:
    order = world.get(at(api, path))[0]
    bad = {"description": 5, "requestedStartDate": "soon", "relatedParty": [{"name": "no id"}]}
    for name, value in bad.items():
        operations = [{"op": "add", "path": f"/{name}", "value": value}]
        body = operations if "patch" in kind else {name: value}
        answer = world.http.patch(order["href"], json=body, headers={"content-type": kind})
        details = refusal(answer, 400, "INVALID_BODY")["details"]
        assert [finding["path"].split(".")[0] for finding in details["findings"]] == [name]
    assert world.get(order["href"]) == order


def test_orders_of_another_layer_are_not_found(world: World) -> None:
    """An id of one order API is none of another, whatever the verb."""
    service = world.get(at("641", "serviceOrder"))[0]["id"]
    url = at("622", "productOrder", service)
    for answer in (
        world.http.get(url),
        world.http.patch(url, json={"description": "x"}),
        world.http.delete(url),
        world.http.get(at("622", "cancelProductOrder", f"{service}.cancel")),
        world.http.post(at("622", "cancelProductOrder"), json={"productOrder": {"id": service}}),
    ):
        refusal(answer, 404, "NOT_FOUND")
    assert world.get(at("641", "serviceOrder", service))["id"] == service


def test_a_live_order_is_not_deleted_and_a_final_one_not_cancelled(world: World) -> None:
    live = at("622", "productOrder", world.orders["held"])
    refusal(world.http.delete(live), 409, "ORDER_NOT_FINAL")
    body = {"productOrder": {"id": world.orders["completed"]}}
    refusal(world.http.post(at("622", "cancelProductOrder"), json=body), 409, "ORDER_FINAL")
    body = {"productOrder": {"id": "no-such-order"}}
    refusal(world.http.post(at("622", "cancelProductOrder"), json=body), 404, "ORDER_NOT_FOUND")


@pytest.mark.parametrize(
    "refused", ["id", "href", "state", "orderDate", "completionDate", "expectedCompletionDate"]
)
def test_what_only_the_server_sets_is_refused_on_create(world: World, refused: str) -> None:
    answer = world.http.post(ORDER, json=new_order() | {refused: "x"})
    assert refused in refusal(answer, 400, "INVALID_BODY")["message"]


def test_unknown_attributes_come_back(world: World) -> None:
    order = world.get(at("622", "productOrder", world.orders["held"]))
    assert order["x-basket"] == {"id": 7, "lines": [1, None, "two"]}
    assert order["productOrderItem"][0]["x-gift"] is True


@pytest.mark.parametrize("priority", ["high", "5", "-1", "1.5"])
def test_a_wrong_priority_is_refused(world: World, priority: str) -> None:
    answer = world.http.post(ORDER, json=new_order(priority=priority))
    assert "priority" in refusal(answer, 400, "INVALID_BODY")["message"]
