"""The furniture of resources over real HTTP: routes, errors, limits, patches, paging."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from store import NotFound, new_id
from tmf.collection import ResourceSpec, router
from tmf.errors import install
from tmf.models.common import Wire
from tmf.patch import Patch, apply_patch
from tmf.paths import BASE_PATHS, href
from tmf.query import Page, Query
from tmf.resources import RESOURCES

BASE = BASE_PATHS["641"]


class Part(Wire):
    id: str
    action: str


class ThingCreate(Wire):
    part: list[Part]
    priority: str | None = None
    is_bundle: bool | None = None


class Things:
    """A collection in memory."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}

    def list(self, query: Query) -> Page:
        return query.apply(self.items.values())

    def get(self, key: str) -> dict[str, Any]:
        if key == "bomb":
            raise RuntimeError("the secret cause")
        if key not in self.items:
            raise NotFound(f"There is no thing {key}.")
        return self.items[key]

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        key = body.get("name") or new_id()
        self.items[key] = {"id": key, "href": href(BASE, "/thing", key), "@type": "Thing"} | body
        return self.items[key]

    def patch(self, key: str, patch: Patch) -> dict[str, Any]:
        self.items[key] = apply_patch(self.get(key), patch, refused={"id", "href"})
        return self.items[key]

    def delete(self, key: str) -> None:
        self.get(key)
        del self.items[key]


@pytest.fixture(scope="module")
def address(serve_module: Callable[[FastAPI], str]) -> str:
    app = FastAPI()
    install(app)
    things = ResourceSpec("/thing", "Thing", ThingCreate)
    readable = ResourceSpec("/readOnly", "ReadOnly", operations=frozenset({"list", "get"}))
    app.include_router(router(BASE, {things: Things(), readable: Things()}))
    return serve_module(app)


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address + BASE) as client:
        for thing in client.get("/thing").json():
            client.delete(thing["href"].removeprefix(BASE))
        yield client


def make(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/thing", json={"part": [], **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def refusal(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"], body["status"]) == (status, code, str(status))
    assert body["@type"] == "Error"
    assert body["reason"]
    assert body["message"]
    assert body["referenceError"] == f"/docs/errors/{code}"
    return body


def test_create_answers_201_with_location_equal_to_href(client: httpx.Client) -> None:
    answer = client.post("/thing", json={"part": [{"id": "1", "action": "add"}]})
    assert answer.status_code == 201
    assert answer.headers["location"] == answer.json()["href"]
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert client.get(answer.json()["href"].removeprefix(BASE)).json() == answer.json()


def test_unknown_attributes_survive_and_nulls_are_dropped(client: httpx.Client) -> None:
    sent = {
        "part": [{"id": "1", "action": "add", "realizes": {"serviceId": "s"}}],
        "planHash": "abc",
    }
    made = make(client, **sent, priority=None)
    assert {key: made[key] for key in sent} == sent
    assert "priority" not in made


def test_ids_with_slashes_are_reachable_at_their_href(client: httpx.Client) -> None:
    made = make(client, name="olt-east-07/pon1")
    assert made["href"].endswith("/thing/olt-east-07%2Fpon1")
    assert client.get(made["href"].removeprefix(BASE)).json()["id"] == "olt-east-07/pon1"


def test_delete_answers_204_and_then_404(client: httpx.Client) -> None:
    made = make(client)
    assert client.delete(f"/thing/{made['id']}").status_code == 204
    refusal(client.get(f"/thing/{made['id']}"), 404, "NOT_FOUND")


def test_collection_filters_pages_sorts_and_counts(client: httpx.Client) -> None:
    for name, state in (("a", "held"), ("b", "done"), ("c", "held"), ("d", "new")):
        make(client, name=name, state=state)
    answer = client.get("/thing", params={"state": "held,new", "sort": "-name", "limit": 2})
    assert [item["name"] for item in answer.json()] == ["d", "c"]
    assert (answer.headers["x-result-count"], answer.headers["x-total-count"]) == ("2", "3")


def test_fields_keep_id_and_href(client: httpx.Client) -> None:
    made = make(client, name="a", state="held", part=[{"id": "1", "action": "add"}])
    answer = client.get("/thing/a", params={"fields": "state,part.action"}).json()
    assert answer == {
        "id": "a",
        "href": made["href"],
        "@type": "Thing",
        "state": "held",
        "part": [{"action": "add"}],
    }


@pytest.mark.parametrize("query", ["offset=-1", "limit=501", "limit=x", "filter=$", "a.regex=("])
def test_wrong_query_is_400(client: httpx.Client, query: str) -> None:
    refusal(client.get(f"/thing?{query}"), 400, "INVALID_QUERY")


def test_missing_attributes_are_named_by_path(client: httpx.Client) -> None:
    body = refusal(client.post("/thing", json={"part": [{"id": "1"}]}), 400, "INVALID_BODY")
    assert "part.0.action" in body["message"]
    assert body["details"]["findings"][0]["path"] == "part.0.action"


@pytest.mark.parametrize("wrong", [{"@type": 5}, {"priority": 4}, {"isBundle": "true"}])
def test_wrong_types_are_refused(client: httpx.Client, wrong: dict[str, Any]) -> None:
    refusal(client.post("/thing", json={"part": []} | wrong), 400, "INVALID_BODY")


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"{", 400, "MALFORMED_JSON"),
        (b"\xff", 400, "MALFORMED_JSON"),
        (b'{"part": [], "a": NaN}', 400, "MALFORMED_JSON"),
        (b'{"part": [], "a": 1e999}', 400, "MALFORMED_JSON"),
        (b'{"part": [], "a": "\\u0000"}', 400, "INVALID_BODY"),
        (b'{"part": [], "a": "\\ud800"}', 400, "INVALID_BODY"),
        (b"[1]", 400, "INVALID_BODY"),
        (b"", 400, "INVALID_BODY"),
        (b'{"part": ' + b"[" * 64 + b"]" * 64 + b"}", 400, "BODY_TOO_DEEP"),
        (b"[" * 100_000, 400, "BODY_TOO_DEEP"),
        (json.dumps({"part": [], "a": "x" * 65_536}).encode(), 400, "STRING_TOO_LONG"),
        (b" " * (16 * 1024 * 1024 + 1), 413, "BODY_TOO_LARGE"),
    ],
)
def test_bodies_beyond_the_limits(client: httpx.Client, raw: bytes, status: int, code: str) -> None:
    refusal(client.post("/thing", content=raw, headers=JSON), status, code)


def test_bodies_at_the_limits_are_taken(client: httpx.Client) -> None:
    nested: Any = "x" * 65_535
    for _ in range(63):
        nested = [nested]
    assert make(client, deep=nested)["deep"] == nested


def test_a_chunked_body_is_counted(client: httpx.Client) -> None:
    chunks = (b" " * 1024 * 1024 for _ in range(17))
    refusal(client.post("/thing", content=chunks, headers=JSON), 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/merge-patch+json"])
def test_other_media_types_are_415(client: httpx.Client, kind: str) -> None:
    answer = client.post("/thing", content=b'{"part": []}', headers={"content-type": kind})
    refusal(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_other_methods_are_405_and_other_paths_404(client: httpx.Client) -> None:
    refusal(client.put("/thing/a", json={}), 405, "METHOD_NOT_ALLOWED")
    refusal(client.post("/readOnly", json={}), 405, "METHOD_NOT_ALLOWED")
    refusal(client.delete("/readOnly/a"), 405, "METHOD_NOT_ALLOWED")
    refusal(client.get("/nothing"), 404, "NOT_FOUND")


def test_what_nobody_caught_is_500_without_its_cause(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    body = refusal(client.get("/thing/bomb"), 500, "INTERNAL_ERROR")
    assert "secret" not in json.dumps(body)
    assert "the secret cause" in caplog.text


def test_merge_patch_changes_and_removes(client: httpx.Client) -> None:
    make(client, name="a", note="x", place={"id": "1", "role": "r"})
    for kind in ("application/json", "application/merge-patch+json"):
        patch = json.dumps({"note": None, "place": {"id": kind}})
        answer = client.patch("/thing/a", content=patch, headers={"content-type": kind})
        assert answer.status_code == 200
        assert "note" not in answer.json()
        assert answer.json()["place"] == {"id": kind, "role": "r"}


def test_json_patch_changes_array_elements(client: httpx.Client) -> None:
    make(client, name="a", part=[{"id": "1", "action": "add"}])
    patch = [{"op": "replace", "path": "/part/0/action", "value": "delete"}]
    kind = {"content-type": "application/json-patch+json"}
    answer = client.patch("/thing/a", content=json.dumps(patch), headers=kind)
    assert answer.json()["part"][0]["action"] == "delete"
    wrong = json.dumps([{"op": "explode", "path": "/part"}])
    refusal(client.patch("/thing/a", content=wrong, headers=kind), 400, "INVALID_BODY")
    refusal(client.patch("/thing/a", content=b"{}", headers=kind), 400, "INVALID_BODY")
    refusal(client.patch("/thing/a", json=patch), 400, "INVALID_BODY")


def test_server_attributes_are_not_patchable(client: httpx.Client) -> None:
    make(client, name="a")
    body = refusal(client.patch("/thing/a", json={"id": "b"}), 400, "NOT_PATCHABLE")
    assert body["details"] == {"attributes": ["id"]}
    assert client.patch("/thing/a", json={"id": "a", "x": 1}).status_code == 200


def test_openapi_names_bodies_and_errors(address: str) -> None:
    api = httpx.get(address + "/openapi.json").json()
    create = api["paths"][f"{BASE}/thing"]["post"]
    assert "ThingCreate" in json.dumps(create["requestBody"])
    assert "422" not in create["responses"]
    assert {"201", "400", "404", "405", "409", "413", "415", "500"} <= set(create["responses"])
    assert f"{BASE}/thing/{{id}}" in api["paths"]


def test_every_code_has_a_page(address: str) -> None:
    assert "# BODY_TOO_DEEP" in httpx.get(address + "/docs/errors/BODY_TOO_DEEP").text
    assert httpx.get(address + "/docs/errors/DATABASE_IN_USE").text.startswith("# DATABASE_IN_USE")
    assert httpx.get(address + "/docs/errors/..%2f..%2fREADME").status_code == 404


def test_all_nine_apis_fit_one_openapi_document() -> None:
    app = FastAPI()
    install(app)
    for api, specs in RESOURCES.items():
        app.include_router(router(BASE_PATHS[api], {spec: Things() for spec in specs}))
    document = app.openapi()
    paths = [path for path in document["paths"] if path.startswith("/tmf-api")]
    assert len(paths) == 2 * sum(len(specs) for specs in RESOURCES.values())
    operations = [
        op["operationId"] for verbs in document["paths"].values() for op in verbs.values()
    ]
    assert len(set(operations)) == len(operations)


def test_405_names_the_methods_of_the_address(client: httpx.Client) -> None:
    assert client.put("/thing", json={}).headers["allow"] == "GET, POST"
    assert client.put("/thing/a", json={}).headers["allow"] == "DELETE, GET, PATCH"
