"""The limits of the contract, and that no garbage whatever makes the server stumble."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conformance.conftest import World, new_order
from tests.conformance.oracle import COLLECTIONS, RESOURCES, at, needs_files, problems, refusal
from tests.e2e.conftest import ORDERS as EXAMPLES

Json = dict[str, Any]
ORDER = at("622", "productOrder")
JSON = {"content-type": "application/json"}
ROUNDS = 12
BODIES = ("POST", "PATCH")
ROUTES = 40


def nested(depth: int) -> Any:
    """Return an object nested to a depth, itself counted."""
    body: Any = {}
    for _ in range(depth - 1):
        body = {"x": body}
    return body


def test_strings_end_at_65535_characters(world: World) -> None:
    fits = world.http.post(ORDER, json=new_order(place="PL-1004", description="é" * 65_535))
    assert fits.status_code == 201
    assert len(world.get(fits.json()["href"])["description"]) == 65_535
    world.server.post(
        at("622", "cancelProductOrder"), {"productOrder": {"id": fits.json()["id"]}}, 201
    )
    answer = world.http.post(ORDER, json=new_order(description="é" * 65_536))
    refusal(answer, 400, "STRING_TOO_LONG")
    answer = world.http.post(ORDER, json=new_order(**{"k" * 65_536: 1}))
    refusal(answer, 400, "STRING_TOO_LONG")


def test_nesting_ends_at_64(world: World) -> None:
    refusal(world.http.post(ORDER, json=nested(64)), 400, "INVALID_BODY")
    refusal(world.http.post(ORDER, json=nested(65)), 400, "BODY_TOO_DEEP")
    deep = b'{"x":' * 200_000 + b"1" + b"}" * 200_000
    refusal(world.http.post(ORDER, content=deep, headers=JSON), 400, "BODY_TOO_DEEP")


def test_bodies_end_at_16_megabytes(world: World) -> None:
    size = 16 * 1024 * 1024
    fits = b" " * (size - 2) + b"{}"
    refusal(world.http.post(ORDER, content=fits, headers=JSON), 400, "INVALID_BODY")
    refusal(world.http.post(ORDER, content=fits + b" ", headers=JSON), 413, "BODY_TOO_LARGE")
    chunks = (fits[i : i + 65_536] for i in range(0, size + 1, 65_536))
    streamed = world.http.post(ORDER, content=_twice(chunks), headers=JSON)
    refusal(streamed, 413, "BODY_TOO_LARGE")


def _twice(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from chunks
    yield b" " * 65_536


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "", "application/json-patch+json"]
)
def test_other_media_types_are_415(world: World, kind: str) -> None:
    headers = {"content-type": kind}
    answer = world.http.post(ORDER, content=b"{}", headers=headers)
    refusal(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_patch_that_is_no_patch_is_415(world: World) -> None:
    url = at("622", "productOrder", world.orders["held"])
    answer = world.http.patch(url, content=b"x", headers={"content-type": "text/plain"})
    refusal(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "MALFORMED_JSON"),
        (b"\xff\xfe", "MALFORMED_JSON"),
        (b'{"a": NaN}', "MALFORMED_JSON"),
        (b'{"a": 1e999}', "MALFORMED_JSON"),
        (b'{"a": "\\u0000"}', "INVALID_BODY"),
        (b'{"a": "\\ud800"}', "INVALID_BODY"),
        (b"[]", "INVALID_BODY"),
        (b"null", "INVALID_BODY"),
        (b"7", "INVALID_BODY"),
        (b'"text"', "INVALID_BODY"),
        (b"", "INVALID_BODY"),
        (b"9" * 5000, "MALFORMED_JSON"),
    ],
)
def test_what_is_no_json_object_is_400(world: World, raw: bytes, code: str) -> None:
    refusal(world.http.post(ORDER, content=raw, headers=JSON), 400, code)


def writing_routes(world: World) -> list[tuple[str, str]]:
    paths: Json = world.get("/openapi.json")["paths"]
    return [
        (verb.upper(), path)
        for path, verbs in paths.items()
        for verb in verbs
        if verb.upper() in BODIES
    ]


def test_garbage_never_makes_the_server_stumble(world: World) -> None:
    """Every route that takes a body gets seeded nonsense, from wild to nearly right; a refusal is a 4xx."""
    routes = writing_routes(world)
    assert len(routes) >= 20
    chance = random.Random(20261124)
    for method, path in routes:
        url = address(world, path)
        for body in garbage(world, path, chance):
            answer = world.http.request(method, url, json=body)
            check_refusal(answer, (method, path, body))
    world.server.application.executor.idle(30)
    stumbles = [f for f in world.get("/turnup/v1/fallouts") if f["code"] == "INTERNAL_ERROR"]
    assert stumbles == []


@pytest.mark.oracle
@needs_files
@pytest.mark.parametrize(("api", "path"), COLLECTIONS)
def test_what_was_accepted_of_the_garbage_is_shown_well(world: World, api: str, path: str) -> None:
    for body in world.get(at(api, path), limit=500):
        assert problems(api, RESOURCES[api][path], body) == []
        assert world.http.get(body["href"]).status_code == 200


def test_the_openapi_names_no_422(world: World) -> None:
    paths: Json = world.get("/openapi.json")["paths"]
    found = [
        (path, verb)
        for path, verbs in paths.items()
        for verb, operation in verbs.items()
        if "422" in operation["responses"]
    ]
    assert found == []


def check_refusal(answer: httpx.Response, case: Any) -> None:
    assert answer.status_code not in (422, 500), (case, answer.text[:400])
    assert answer.status_code < 500, (case, answer.text[:400])
    if answer.status_code >= 400:
        body = answer.json()
        assert body["code"], case
        assert body["reason"], case
        assert body["status"] == str(answer.status_code), case


def address(world: World, path: str) -> str:
    """Fill the parameters of a path with what exists where that harms nothing, else with what does not."""
    known = {
        at("622", "productOrder") + "/{id}": world.orders["held"],
    }
    for route, value in known.items():
        if path == route:
            return path.replace("{id}", value)
    while "{" in path:
        head, _, rest = path.partition("{")
        path = f"{head}no-such-thing{rest.partition('}')[2]}"
    return path


def garbage(world: World, path: str, chance: random.Random) -> Iterator[Any]:
    yield from ([], {}, "text", 7, True, None, [[]], [{}], {"": ""})
    seeds = seed_bodies(world, path)
    for _ in range(ROUNDS):
        yield wild(chance, 3)
    for seed in seeds:
        for _ in range(ROUTES):
            yield spoiled(seed, chance)


def seed_bodies(world: World, path: str) -> list[Json]:
    """Return right bodies of a route: their mutants get further in than pure noise."""
    order = new_order(place="PL-1004")
    lines = {
        "productOrder": order,
        "serviceOrder": elsewhere("som.service-order.json"),
        "resourceOrder": elsewhere("som.resource-order.json"),
        "cancelProductOrder": cancelled("productOrder"),
        "cancelServiceOrder": cancelled("serviceOrder"),
        "cancelResourceOrder": cancelled("resourceOrder"),
    }
    if path.endswith("/simulations"):
        return [{name: body} for name, body in lines.items() if not name.startswith("cancel")]
    last = path.rsplit("/", 1)[-1]
    others: dict[str, Json] = {
        "pools": {"kind": "vlan", "scope": "x", "first": 1, "last": 9, "quarantineSeconds": 1},
        "allocations": {"owner": "me", "count": 1, "ttlSeconds": 60},
        "devices": {
            "name": "x",
            "platform": "eos",
            "role": "bng",
            "host": "127.0.0.1",
            "endpoints": [{"protocol": "eapi", "host": "h", "port": 1, "username": "u"}],
        },
        "hub": {"callback": "http://127.0.0.1:9/", "query": "eventType=X&state=held"},
        "retry": {"evidence": "x", "arguments": {}, "planHash": "x"},
        "faults": {"node": "no-such-node", "fault": "down"},
        "catalogs": {"folders": ["no-such-folder"]},
        "import": {"source": "no-such-lab"},
    }
    found = {**lines, **others}.get(last)
    return [found] if found else []


def elsewhere(name: str) -> Json:
    """Return an example for a place that nothing reaches: its orders are held before any device is asked."""
    text = (EXAMPLES / name).read_text("utf-8").replace("PL-1001", "PL-1004")
    body: Json = json.loads(text)
    return body


def cancelled(key: str) -> Json:
    return {key: {"id": "no-such-order"}, "requestedCancellationDate": "2026-12-24T00:00:00Z"}


def wild(chance: random.Random, depth: int) -> Any:
    """Return any JSON value."""
    scalars = (None, True, 0, -1, 2**70, 1.5e300, "", "x", "é\U0001f600", "{{x}}", "'; --", "%n")
    pick = chance.randrange(4 if depth else 1)
    if pick == 1:
        return [wild(chance, depth - 1) for _ in range(chance.randrange(4))]
    if pick >= 2:
        names = ("id", "name", "action", "state", "@type", "href", "value", "x", "")
        return {chance.choice(names): wild(chance, depth - 1) for _ in range(chance.randrange(4))}
    return chance.choice(scalars)


def spoiled(body: Any, chance: random.Random) -> Any:
    """Return a copy with one value, somewhere, replaced by another one, renamed or gone."""
    copy = json.loads(json.dumps(body))
    node: Any = copy
    while True:
        keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return copy
        key = chance.choice(keys)
        if isinstance(node[key], dict | list) and node[key] and chance.random() < 0.8:
            node = node[key]
            continue
        match chance.randrange(4):
            case 0:
                del node[key]
            case 1 if isinstance(node, dict):
                node[f"{key}x"] = node.pop(key)
            case _:
                node[key] = wild(chance, 2)
        return copy
