"""Every order item and instance leads up to the commercial order and down to the device, by what the bodies say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.conftest import World
from tests.conformance.oracle import at
from tests.e2e.conftest import ORDERS
from turnup.orderfile import json_object

Json = dict[str, Any]


@pytest.fixture(scope="module")
def product_order(world: World) -> Json:
    found: Json = world.get(at("622", "productOrder", world.orders["completed"]))
    return found


def below(world: World, api: str, path: str, above: str, kind: str) -> Json:
    """Return the one order that names the order above it as its external reference."""
    named = {"externalReference.id": above, "externalReference.entityType": kind}
    [found] = world.get(at(api, path), **named)
    return dict(found)


@pytest.fixture(scope="module")
def service_order(world: World, product_order: Json) -> Json:
    return below(world, "641", "serviceOrder", product_order["id"], "ProductOrder")


@pytest.fixture(scope="module")
def resource_order(world: World, service_order: Json) -> Json:
    return below(world, "652", "resourceOrder", service_order["id"], "ServiceOrder")


def test_the_service_order_names_the_product_order_twice(
    product_order: Json, service_order: Json
) -> None:
    [reference] = [
        r
        for r in service_order["externalReference"]
        if r["externalReferenceType"] == "ProductOrder"
    ]
    assert reference["name"] == product_order["id"]
    [relation] = service_order["orderRelationship"]
    assert relation == {
        "id": product_order["id"],
        "relationshipType": "cross-ref",
        "@referredType": "ProductOrder",
    }


def test_service_items_name_the_product_item(product_order: Json, service_order: Json) -> None:
    items = {item["id"] for item in product_order["productOrderItem"]}
    for item in service_order["serviceOrderItem"]:
        sources = [e for e in item["service"]["relatedEntity"] if e["role"] == "sourceOrderItem"]
        assert {source["id"] for source in sources} <= items
        assert {source["@referredType"] for source in sources} == {"ProductOrderItem"}


def test_the_resource_order_names_all_above_it(
    product_order: Json, service_order: Json, resource_order: Json
) -> None:
    named = {(r["entityType"], r["id"]) for r in resource_order["externalReference"]}
    assert ("ProductOrder", product_order["id"]) in named
    assert ("ServiceOrder", service_order["id"]) in named
    items = {
        ("ServiceOrderItem", f"{service_order['id']}/{item['id']}")
        for item in service_order["serviceOrderItem"]
    }
    assert items <= named
    assert all({"id", "owner", "entityType"} <= set(r) for r in resource_order["externalReference"])


def test_resource_items_name_service_and_service_item(
    world: World, service_order: Json, resource_order: Json
) -> None:
    items = {item["id"] for item in service_order["serviceOrderItem"]}
    for item in resource_order["orderItem"]:
        up = item["realizes"]
        assert up["serviceOrderId"] == service_order["id"]
        assert up["serviceItemId"] in items
        service = world.get(at("638", "service", up["serviceId"]))
        assert item["resource"]["id"] in {r["id"] for r in service["supportingResource"]}


def test_products_lead_up_and_down(world: World, product_order: Json) -> None:
    [item] = product_order["productOrderItem"]
    product = world.get(at("637", "product", item["product"]["id"]))
    [origin] = product["productOrderItem"]
    assert (origin["productOrderId"], origin["orderItemId"]) == (product_order["id"], item["id"])
    assert origin["orderItemAction"] == "add"
    assert world.get(origin["productOrderHref"])["id"] == product_order["id"]
    assert product["realizingService"]
    for reference in product["realizingService"]:
        assert world.get(reference["href"])["category"] == "CFS"


def test_services_lead_up_and_down(world: World, service_order: Json) -> None:
    items = {i["id"]: i["service"]["id"] for i in service_order["serviceOrderItem"]}
    for item, service in items.items():
        cfs = world.get(at("638", "service", service))
        assert cfs["serviceOrderItem"] == [
            {"serviceOrderId": service_order["id"], "itemId": item, "itemAction": "add"}
        ]
        assert cfs["supportingResource"] == []
        assert cfs["supportingService"]
        for reference in cfs["supportingService"]:
            rfs = world.get(reference["href"])
            assert rfs["category"] == "RFS"
            assert rfs["serviceOrderItem"][0]["serviceOrderId"] == service_order["id"]
            assert rfs["serviceOrderItem"][0]["itemId"] in items
            assert rfs["supportingResource"]


def test_resources_lead_up_and_to_their_parts(
    world: World, service_order: Json, resource_order: Json
) -> None:
    parts: set[str] = set()
    for item in resource_order["orderItem"]:
        resource = world.get(at("639", "resource", item["resource"]["id"]))
        [origin] = resource["resourceOrderItem"]
        assert (origin["resourceOrderId"], origin["itemId"]) == (resource_order["id"], item["id"])
        assert resource["realizes"]["serviceOrderId"] == service_order["id"]
        for relation in resource["resourceRelationship"]:
            assert set(relation) == {"relationshipType", "resource"}
            part = world.get(relation["resource"]["href"])
            assert part["id"] == relation["resource"]["id"]
            assert part["resourceOrderItem"][-1]["resourceOrderId"]
            parts.add(part["id"])
    assert len(parts) >= 5


def test_a_part_leads_up_to_its_users(world: World, resource_order: Json) -> None:
    owners = {item["resource"]["id"] for item in resource_order["orderItem"]}
    composed = [
        r for r in world.get(at("639", "resource"), category="composite") if r["id"] in owners
    ]
    part = next(
        r["resourceRelationship"][0]["resource"]["id"]
        for r in composed
        if r["resourceRelationship"]
    )
    users = world.get(at("639", "resource"), **{"resourceRelationship.resource.id": part})
    assert owners & {user["id"] for user in users}


def test_relations_between_resources_have_a_shape_of_their_own_in_652(world: World) -> None:
    """TMF652 wants {id, relationshipType}, TMF639 {relationshipType, resource: {id}} (which the tests above read)."""
    flat = [{"id": "olt-east-07", "relationshipType": "isContainedIn"}]
    body = json_object((ORDERS / "som.resource-order.json").read_text("utf-8"), "resource order")
    for item in body["orderItem"]:
        item["resource"] |= {"resourceRelationship": flat, "place": {"id": "PL-1004"}}
    made = world.server.post(at("652", "resourceOrder"), body, 201)
    shown = world.get(made["href"])["orderItem"]
    assert [item["resource"]["resourceRelationship"] for item in shown] == [flat] * len(shown)


def test_one_correlation_id_runs_through_all_layers(
    world: World, product_order: Json, service_order: Json, resource_order: Json
) -> None:
    assert product_order["externalId"] == "WEB-completed"
    assert service_order["correlationId"] == resource_order["correlationId"] == "WEB-completed"
    chain = {product_order["id"], service_order["id"], resource_order["id"]}
    told = [
        event["correlationId"]
        for event in world.told
        for body in event["event"].values()
        if body["id"] in chain
    ]
    assert len(told) > 10
    assert set(told) == {"WEB-completed"}


@pytest.mark.parametrize("name", ["som.resource-order.json", "som.service-order.json"])
def test_foreign_references_come_back(world: World, name: str) -> None:
    api, path = ("652", "resourceOrder") if "resource" in name else ("641", "serviceOrder")
    order = world.get(at(api, path, world.orders[name]))
    [reference] = order["externalReference"]
    assert reference["id"] in ("SOM-EXT-7", "CRM-99-1")
    found = world.get(at(api, path), **{"externalReference.id": reference["id"]})
    assert order["id"] in [each["id"] for each in found]


def test_the_history_of_a_product_is_its_orders(world: World) -> None:
    product = world.get(at("637", "product", world.products["two"]))
    done = [(i["productOrderId"], i["orderItemAction"]) for i in product["productOrderItem"]]
    wanted = [("second", "add"), ("modified", "modify"), ("ceased", "delete")]
    assert done == [(world.orders[name], action) for name, action in wanted]


@pytest.mark.parametrize("layer", ["product", "service", "resource"])
def test_the_trace_is_the_same_from_every_layer(
    world: World, product_order: Json, service_order: Json, resource_order: Json, layer: str
) -> None:
    orders = {"product": product_order, "service": service_order, "resource": resource_order}
    trace = world.get(f"/turnup/v1/trace/{orders[layer]['id']}")
    top = trace["root"]
    [middle] = top["children"]
    [bottom] = middle["children"]
    assert [top["id"], middle["id"], bottom["id"]] == [order["id"] for order in orders.values()]
    assert trace["asked"] == orders[layer]["id"]
