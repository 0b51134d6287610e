"""Every body that the server emits fits TM Forum's definition of it, and says more only where that is published."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import World
from tests.conformance.oracle import (
    COLLECTIONS,
    ORDER_STATES,
    ORDERS,
    RESOURCES,
    at,
    needs_files,
    problems,
    undeclared,
)
from tmf.events import DOMAINS
from tmf.paths import BASE_PATHS

Json = dict[str, Any]
EXTENSIONS = Path(__file__).parents[2] / "docs" / "extensions.md"
APIS = {domain: api for api, domain in DOMAINS.items()}
CATALOGS = [(api, path) for api, path in COLLECTIONS if api in ("620", "633", "634")]
SOMETIMES = {"Resource.verification"}  # only while a check waits for a slow device
# TMF637 to TMF641: attribute of the instance → the values of the official enumeration
STATES = {
    "product": ("status", "created pendingActive cancelled active pendingTerminate terminated"),
    "service": ("state", "feasibilityChecked designed reserved inactive active terminated"),
}
RESOURCE_STATES = {
    "administrativeState": "locked unlocked shutdown",
    "operationalState": "enable disable",
    "resourceStatus": "standby alarm available reserved unknown suspended",
    "usageState": "idle active busy",
}
ALWAYS = {
    "productOrder": {"id", "href", "orderDate", "state", "productOrderItem", "relatedParty"},
    "serviceOrder": {"id", "href", "orderDate", "state", "serviceOrderItem"},
    "resourceOrder": {"id", "href", "orderDate", "state", "orderItem"},
    "product": {"id", "href", "status", "productOffering", "productSpecification"},
    "service": {"id", "href", "state", "serviceSpecification", "serviceDate"},
    "resource": {"id", "href", "name", *RESOURCE_STATES},
}


def answers(world: World, *names: str) -> Iterator[tuple[str, str, Json]]:
    """Yield (api, resource, body) of every entity seen in an answer or told to the listener."""
    for seen in world.lived:
        if seen.status < 400 and seen.name != "hub" and (not names or seen.name in names):
            for body in seen.body if isinstance(seen.body, list) else [seen.body]:
                yield seen.api, seen.name, body
    for event in world.told:
        [(name, body)] = event["event"].items()
        if not names or name in names:
            yield APIS[event["domain"]], name, body


@pytest.mark.oracle
@needs_files
@pytest.mark.parametrize(("api", "path"), COLLECTIONS)
def test_every_answer_fits_the_official_definition(world: World, api: str, path: str) -> None:
    bodies = [body for a, name, body in answers(world) if (a, name) == (api, path)]
    assert bodies
    found = {text for body in bodies for text in problems(api, RESOURCES[api][path], body)}
    assert sorted(found) == []


@pytest.mark.oracle
@needs_files
def test_every_event_fits_the_official_definition(world: World) -> None:
    events = world.told
    found = {text for event in events for text in problems(*_defined(event), event)}
    assert sorted(found) == []
    keys = {name for event in events for name in event["event"]}
    assert keys == {p for api, p in COLLECTIONS if api not in ("620", "633", "634")}
    for event in events:
        [name] = event["event"]
        assert event["eventType"].lower().startswith(name.lower())
        assert event["correlationId"]


@pytest.mark.oracle
@needs_files
def test_what_the_official_files_do_not_know_is_published(world: World) -> None:
    """An attribute of our own that nobody documented is a leak, or a misspelt official one."""
    published = set(re.findall(r"^\| `([\w.-]+)`", EXTENSIONS.read_text("utf-8"), re.MULTILINE))
    emitted: set[str] = set()
    for api, name, body in answers(world):
        emitted |= undeclared(api, RESOURCES[api][name], body)
    emitted = {name for name in emitted if ".x-" not in name}  # a client's or an author's own
    assert emitted - published == set()
    assert published - emitted <= SOMETIMES, "published, but nothing emits it"


@pytest.mark.oracle
@needs_files
def test_every_refusal_is_an_official_error(world: World) -> None:
    for api, path in COLLECTIONS:
        body = world.http.get(at(api, path, "no-such-id")).json()
        assert problems(api, "Error", body) == []


@pytest.mark.parametrize(("api", "path"), CATALOGS)
def test_catalogs_show_every_shipped_entity(world: World, api: str, path: str) -> None:
    listed = world.get(at(api, path))
    assert listed
    for body in listed:
        assert {"id", "href", "name", "@type", "lifecycleStatus", "version"} <= set(body)
        assert world.get(body["href"])["id"] == body["id"]


def test_mandatory_attributes_are_always_there(world: World) -> None:
    for _, name, body in answers(world, *ALWAYS):
        assert set(body) >= ALWAYS[name], (name, body)
    for _, name, body in answers(world, "productOrder", "serviceOrder", "resourceOrder"):
        for item in body["orderItem" if name == "resourceOrder" else f"{name}Item"]:
            assert {"id", "action", "state"} <= set(item)
            assert item["action"] in ("add", "modify", "delete", "noChange")
            assert item["state"] in ORDER_STATES - {"partial"}


def test_instances_are_only_in_official_states(world: World) -> None:
    for _, name, body in answers(world, *STATES):
        attribute, allowed = STATES[name]
        assert body[attribute] in allowed.split()
    for _, _, body in answers(world, "resource"):
        for attribute, allowed in RESOURCE_STATES.items():
            assert body[attribute] in allowed.split()


@pytest.mark.parametrize("api", ORDERS)
def test_orders_were_seen_in_every_state_they_can_reach(world: World, api: str) -> None:
    name = next(iter(RESOURCES[api]))
    seen = {body["state"] for _, _, body in answers(world, name)}
    assert seen <= ORDER_STATES
    assert seen >= {
        "acknowledged",
        "inProgress",
        "held",
        "completed",
        "assessingCancellation",
        "pendingCancellation",
        "cancelled",
    }


@pytest.mark.parametrize(
    ("api", "first"), [("622", "acknowledged"), ("641", "accepted"), ("652", "acknowledged")]
)
def test_cancel_tasks_go_through_the_official_states(world: World, api: str, first: str) -> None:
    name = list(RESOURCES[api])[1]
    tasks = [body for _, _, body in answers(world, name)]
    assert {body["state"] for body in tasks} == {first, "inProgress", "done"}
    told = [event["event"][name]["state"] for event in world.told if name in event["event"]]
    assert told == [first, "inProgress", "done"]
    for body in tasks:
        assert ("effectiveCancellationDate" in body) == (body["state"] == "done")
        assert body["requestedCancellationDate"]


def test_a_held_order_says_what_is_wrong_and_what_to_do(world: World) -> None:
    order = world.get(at("622", "productOrder", world.orders["held"]))
    [error] = order["errorMessage"]
    assert error["code"] == "NO_ACCESS_PATH"
    assert "retry" in error["message"]
    assert error["reason"] != error["code"]
    page = world.http.get(error["referenceError"])
    assert page.status_code == 200
    assert "NO_ACCESS_PATH" in page.text


def test_a_cancelled_order_says_why_and_when(world: World) -> None:
    order = world.get(at("622", "productOrder", world.orders["cancelled"]))
    assert order["cancellationReason"] == "changed my mind"
    assert order["cancellationDate"]
    assert "completionDate" not in order


def test_no_link_is_broken(world: World) -> None:
    """Follow every href that was seen into one of the nine APIs."""
    hrefs = {href for _, _, body in answers(world) for href in _hrefs(body)}
    assert len(hrefs) > 100
    broken = {h for h in hrefs if world.http.get(h).status_code != 200}
    assert broken == set()


def _hrefs(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for element in node:
            yield from _hrefs(element)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key.lower().endswith("href") and value.startswith(tuple(BASE_PATHS.values())):
                yield value
            else:
                yield from _hrefs(value)


def _defined(event: Json) -> tuple[str, str]:
    return APIS[event["domain"]], event["eventType"]
