"""The routes of our own refuse as the TMF ones do: an Error body with a stable, explained code."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.conformance.conftest import World, new_order
from tests.conformance.oracle import needs_files, problems, refusal
from tests.conformance.test_codes import page_problem

Json = dict[str, Any]
V1 = "/turnup/v1"
SCOPE = "conformance"
LINES = 30
REFUSALS: list[tuple[str, str, Any, int, str]] = [
    ("GET", "/trace/no-such-order", None, 404, "ORDER_NOT_FOUND"),
    ("GET", "/impact", None, 400, "INVALID_INPUT"),
    ("GET", "/impact?node=no-such-node", None, 404, "NODE_NOT_FOUND"),
    ("GET", "/impact?pool=no-such-pool", None, 404, "POOL_NOT_FOUND"),
    ("GET", "/impact?party=no-such-party", None, 404, "PARTY_NOT_FOUND"),
    ("GET", "/impact?node=bng-1&limit=0", None, 400, "INVALID_QUERY"),
    ("GET", "/impact?node=bng-1&at=yesterday", None, 400, "INVALID_QUERY"),
    ("GET", "/instances/no-such-thing", None, 404, "INSTANCE_NOT_FOUND"),
    ("GET", "/instances/no-such-thing/history", None, 404, "INSTANCE_NOT_FOUND"),
    ("GET", "/instances/bng-1?at=2026-11-24T22:30:00", None, 400, "INVALID_QUERY"),
    ("GET", "/instances/bng-1?at=2001-01-01T00:00:00Z", None, 404, "INSTANCE_NOT_FOUND"),
    ("GET", "/devices/no-such-device/history", None, 404, "DEVICE_NOT_FOUND"),
    ("GET", "/devices/bng-1?at=2001-01-01T00:00:00Z", None, 404, "DEVICE_NOT_FOUND"),
    ("GET", "/qualification", None, 400, "INVALID_QUERY"),
    ("POST", "/simulations", {}, 400, "INVALID_INPUT"),
    ("POST", "/simulations", {"productOrder": {}}, 400, "INVALID_BODY"),
    ("GET", "/pools/no-such-pool", None, 404, "POOL_NOT_FOUND"),
    ("POST", "/pools", {}, 400, "INVALID_BODY"),
    ("POST", "/pools", {"kind": "no-such-kind", "scope": "x"}, 400, "KIND_UNKNOWN"),
    (
        "POST",
        "/pools",
        {"kind": "s-vlan", "scope": SCOPE, "first": 9, "last": 1},
        400,
        "INVALID_RANGE",
    ),
    ("POST", "/pools", {"kind": "ipv4", "scope": SCOPE, "prefix": "1.2.3"}, 400, "INVALID_PREFIX"),
    ("POST", "/pools/no-such-pool/allocations", {"owner": "x"}, 404, "POOL_NOT_FOUND"),
    ("GET", "/devices/no-such-device", None, 404, "DEVICE_NOT_FOUND"),
    ("GET", "/devices/no-such-device/config", None, 404, "DEVICE_NOT_FOUND"),
    ("GET", "/devices/bng-1/config?view=sideways", None, 400, "INVALID_QUERY"),
    ("POST", "/devices/no-such-device/audit", None, 404, "DEVICE_NOT_FOUND"),
    ("PATCH", "/devices/bng-1", {"adminState": "asleep"}, 400, "INVALID_BODY"),
    ("POST", "/devices", {}, 400, "INVALID_BODY"),
    ("DELETE", "/devices/no-such-device", None, 404, "DEVICE_NOT_FOUND"),
    ("GET", "/batches/no-such-batch", None, 404, "BATCH_NOT_FOUND"),
    ("GET", "/fallouts/no-such-fallout", None, 404, "FALLOUT_NOT_FOUND"),
    ("POST", "/fallouts/no-such-fallout/retry", {}, 404, "FALLOUT_NOT_FOUND"),
    ("POST", "/fallouts/no-such-fallout/skip", {}, 400, "INVALID_INPUT"),
    ("POST", "/fallouts/no-such-fallout/skip", {"evidence": "x"}, 404, "FALLOUT_NOT_FOUND"),
    ("POST", "/fallouts/no-such-fallout/complete", {"evidence": "x"}, 404, "FALLOUT_NOT_FOUND"),
    ("GET", "/externalTasks?state=done", None, 400, "INVALID_INPUT"),
    ("POST", "/externalTasks/no-such-task/complete", {}, 404, "WAIT_NOT_FOUND"),
    ("POST", "/lab/faults", {"node": "no-such-node", "fault": "down"}, 404, "NODE_UNKNOWN"),
    ("POST", "/lab/faults", {"node": "bng-1", "fault": "rain"}, 400, "FAULT_UNKNOWN"),
    ("DELETE", "/lab/faults?node=no-such-node", None, 404, "NODE_UNKNOWN"),
    ("GET", "/no-such-route", None, 404, "NOT_FOUND"),
    ("PUT", "/pools", {}, 405, "METHOD_NOT_ALLOWED"),
]


@needs_files
@pytest.mark.oracle
@pytest.mark.parametrize(("method", "path", "body", "status", "code"), REFUSALS)
def test_refusals(world: World, method: str, path: str, body: Any, status: int, code: str) -> None:
    answer = world.http.request(method, V1 + path, json=body)
    shown = refusal(answer, status, code)
    assert problems("641", "Error", shown) == []
    assert page_problem(code) is None
    assert world.http.get(shown["referenceError"]).status_code == 200


def test_allocations_keep_the_contract(world: World) -> None:
    http = world.http
    made = http.post(
        f"{V1}/pools", json={"kind": "s-vlan", "scope": SCOPE, "first": 10, "last": 12}
    )
    assert made.status_code == 201, made.text
    assert (
        made.json() | {"capacity": 3, "allocated": 0, "reserved": 0, "quarantined": 0, "free": 3}
        == made.json()
    )
    pool = f"{V1}/pools/{made.json()['id']}/allocations"
    first = http.post(pool, json={"owner": "a", "value": 10})
    assert first.status_code == 201
    again = http.post(pool, json={"owner": "a", "value": 10})
    assert (again.status_code, again.json()) == (200, first.json())
    refusal(http.post(pool, json={"owner": "b", "value": 10}), 409, "VALUE_TAKEN")
    refusal(http.post(pool, json={"owner": "b", "value": 99}), 400, "VALUE_OUTSIDE_POOL")
    refusal(http.post(pool, json={"owner": "b", "count": 3}), 409, "POOL_EXHAUSTED")
    refusal(http.post(pool, json={"owner": "b", "count": 2, "value": 11}), 400, "INVALID_INPUT")
    lease = http.post(pool, json={"owner": "c", "ttlSeconds": 60}).json()["allocations"]
    assert [(a["state"], "expiresAt" in a) for a in lease] == [("reserved", True)]
    assert http.post(f"{pool}/c/confirm").json()["allocations"][0]["state"] == "active"
    assert http.delete(f"{pool}/a").status_code == 204
    refusal(http.post(pool, json={"owner": "b", "value": 10}), 409, "VALUE_QUARANTINED")
    refusal(http.delete(f"{pool}/a"), 404, "ALLOCATION_NOT_FOUND")
    refusal(
        http.post(f"{V1}/pools", json={"kind": "s-vlan", "scope": SCOPE, "first": 10, "last": 12}),
        409,
        "POOL_EXISTS",
    )


def test_simulations_answer_the_contract_and_keep_nothing(world: World) -> None:
    before = world.get(f"{V1}/pools")
    answer = world.http.post(f"{V1}/simulations", json={"productOrder": new_order(place="PL-1004")})
    refusal(answer, 409, "NO_ACCESS_PATH")
    text = {"productOrder": {**new_order(), "priority": "high"}}
    refusal(world.http.post(f"{V1}/simulations", json=text), 400, "INVALID_BODY")
    assert world.get(f"{V1}/pools") == before


def test_a_closed_fallout_stays_closed(world: World) -> None:
    [fallout] = world.get(f"{V1}/fallouts", order=world.orders["held"])
    refusal(world.http.post(f"{V1}/fallouts/{fallout['id']}/skip", json={}), 400, "INVALID_INPUT")
    assert {"id", "code", "explanation", "remedy", "order", "items", "documentation"} <= set(
        fallout
    )
    assert world.http.get(fallout["documentation"]).status_code == 200


def test_any_query_is_answered(world: World) -> None:
    """Every GET of the OpenAPI with seeded nonsense in its parameters: never 5xx, never 422."""
    chance = random.Random(20261124)
    values = (
        "",
        "x",
        "-1",
        "9" * 40,
        "1e5",
        "2026-13-45",
        "2026-11-24T00:00:00",
        "é\U0001f600",
        "%",
        "{}",
        "[]",
        "'",
        "a,b",
        "\x00",
    )
    for path, verbs in world.get("/openapi.json")["paths"].items():
        named = [
            p["name"] for p in verbs.get("get", {}).get("parameters", ()) if p["in"] == "query"
        ]
        for _ in range(LINES if named else 0):
            params = {
                name: chance.choice(values) for name in chance.sample(named, min(2, len(named)))
            }
            url = path.replace("{name}", "bng-1")
            while "{" in url:
                url = url[: url.index("{")] + "no-such-thing" + url[url.index("}") + 1 :]
            answer = world.http.get(url, params=params)
            assert answer.status_code < 500, (url, params, answer.text[:300])
            assert answer.status_code != 422, (url, params)
