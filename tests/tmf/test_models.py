"""The wire models against the official files: they take what those require, and know every attribute."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from pydantic import BaseModel, ValidationError

from store import Conflict, Database
from tmf.collection import ResourceSpec
from tmf.errors import error_body
from tmf.events import emit, events
from tmf.models.product_ordering import ProductOrderCreate
from tmf.models.resource_ordering import ResourceOrderCreate
from tmf.models.service_ordering import ServiceOrderCreate
from tmf.paths import BASE_PATHS
from tmf.resources import RESOURCES

FILES = Path(__file__).parents[2] / "../shared/tmf/specs"
oracle = [
    pytest.mark.oracle,
    pytest.mark.skipif(not FILES.is_dir(), reason="the official files are not beside the project"),
]
META = {"@type", "@baseType", "@schemaLocation", "@referredType", "@valueSchemaLocation"}
EVERY = [
    pytest.param(api, spec, id=f"{api}-{spec.type}", marks=oracle)
    for api, specs in RESOURCES.items()
    for spec in specs
]


@cache
def official(api: str) -> dict[str, Any]:
    [path] = FILES.glob(f"TMF{api}*.json")
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    for name, required in SLIPS.get(api, {}).items():
        document["definitions"][name]["required"] = required
    return document


# what SOURCES.md lists as slips of the official files, and requirements that no answer can meet
SLIPS: dict[str, dict[str, list[str]]] = {
    "639": {"Resource_Create": ["name"], "Resource_Update": []},
    "641": {"ServiceOrderItemRef": []},
    "652": {"ResourceRefOrValue": []},
}


def definition(api: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = official(api)["definitions"][name]
    return found


def example(api: str, schema: dict[str, Any], *, full: bool, depth: int = 0) -> Any:
    """Make the smallest, or a rather full, instance of an official definition."""
    if "$ref" in schema:
        schema = definition(api, schema["$ref"].rsplit("/", 1)[1])
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("format") == "date-time":
        return "2026-01-02T03:04:05.678Z"
    if schema.get("type") == "array":
        return [example(api, schema["items"], full=full, depth=depth)]
    if "properties" in schema:
        return dict(attributes(api, schema, full=full, depth=depth))
    return SCALARS.get(schema.get("type", ""), {"any": ["thing", 1]})


SCALARS = {"string": "text", "integer": 3, "number": 1.5, "boolean": True}


def attributes(
    api: str, schema: dict[str, Any], *, full: bool, depth: int
) -> Iterator[tuple[str, Any]]:
    for name, inner in schema.get("properties", {}).items():
        needed = name in schema.get("required", ())
        if needed or (full and depth < 5 and not name.startswith("@")):
            yield name, example(api, inner, full=full, depth=depth + 1)


def clean(spec: ResourceSpec, api: str, body: dict[str, Any]) -> dict[str, Any]:
    """Meet the rules of the project that go beyond the files."""
    if spec.type == "ResourceOrder":
        item = {"id": "1", "action": "add", "resource": {"name": "x"}}
        body["orderItem"] = [item | i | {"action": "add"} for i in body.get("orderItem", [{}])]
    for item in (*body.get("productOrderItem", ()), *body.get("serviceOrderItem", ())):
        stateless(item)
    return {key: value for key, value in body.items() if key not in refused(spec)}


def stateless(item: dict[str, Any]) -> None:
    item.pop("state", None)
    for inner in (*item.get("productOrderItem", ()), *item.get("serviceOrderItem", ())):
        stateless(inner)


def refused(spec: ResourceSpec) -> frozenset[str]:
    found: frozenset[str] = getattr(spec.create_model, "refused", frozenset())
    return found


@pytest.mark.parametrize(("api", "spec"), EVERY)
@pytest.mark.parametrize("full", [False, True], ids=["smallest", "full"])
def test_create_takes_what_the_official_file_requires(
    api: str, spec: ResourceSpec, full: bool
) -> None:
    body = clean(spec, api, example(api, definition(api, f"{spec.type}_Create"), full=full))
    assert spec.create_model
    kept = spec.create_model.model_validate(body)
    assert kept.model_dump(by_alias=True, exclude_unset=True) == body


@pytest.mark.parametrize(("api", "spec"), EVERY)
def test_create_refuses_what_lacks_an_official_requirement(api: str, spec: ResourceSpec) -> None:
    schema = definition(api, f"{spec.type}_Create")
    body = clean(spec, api, example(api, schema, full=False))
    assert spec.create_model
    for name in {*schema.get("required", ()), *SMALLEST.get(spec.type, ())}:
        with pytest.raises(ValidationError):
            spec.create_model.model_validate({k: v for k, v in body.items() if k != name})


SMALLEST = {"ResourceOrder": ["orderItem"]}


@pytest.mark.parametrize(("api", "spec"), EVERY)
def test_answers_fit_the_model(api: str, spec: ResourceSpec) -> None:
    body = example(api, definition(api, spec.type), full=True)
    assert spec.model
    kept = spec.model.model_validate(body)
    assert kept.model_dump(by_alias=True, exclude_unset=True) == body


@pytest.mark.parametrize(("api", "spec"), EVERY)
def test_every_official_attribute_is_declared_with_its_type(api: str, spec: ResourceSpec) -> None:
    assert spec.model
    assert spec.create_model
    assert list(missing(api, definition(api, spec.type), spec.model)) == []
    create = definition(api, f"{spec.type}_Create")
    assert list(missing(api, create, spec.create_model)) == []


def missing(api: str, schema: dict[str, Any], model: type[BaseModel]) -> Iterator[str]:
    """Name the attributes that the model lacks or types otherwise, all the way down."""
    root = model.model_json_schema()
    yield from differences(api, schema, root, root, "", set())


def differences(
    api: str,
    theirs: dict[str, Any],
    ours: dict[str, Any],
    root: dict[str, Any],
    path: str,
    seen: set[tuple[str, str]],
) -> Iterator[str]:
    if "$ref" in theirs:
        pair = (theirs["$ref"], json.dumps(ours, sort_keys=True))
        if pair in seen:
            return
        seen.add(pair)
        theirs = definition(api, theirs["$ref"].rsplit("/", 1)[1])
    ours = resolved(ours, root)
    yield from (f"{path}: {problem}" for problem in mistyped(theirs, ours))
    if theirs.get("type") == "array":
        inner = ours.get("items", {})
        yield from differences(api, theirs["items"], inner, root, path + "[]", seen)
    for name in theirs.get("properties", {}).keys() - META:
        if name not in ours.get("properties", {}):
            yield f"{path}.{name} is not declared"
            continue
        pair_ = theirs["properties"][name], ours["properties"][name]
        yield from differences(api, *pair_, root, f"{path}.{name}", seen)


def mistyped(theirs: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
    kind = theirs.get("type")
    if kind in SCALARS and ours.get("type") not in {kind, WIDER.get(kind)}:
        yield f"{kind} is {ours}"
    if theirs.get("format") == "date-time" and ours.get("format") != "date-time":
        yield "should be a date-time"
    if not set(theirs.get("enum", ())) <= set(ours.get("enum", ())):
        yield f"{theirs['enum']} is not within {ours.get('enum')}"


WIDER = {"integer": "number"}


def resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follow references and leave null out of unions."""
    while True:
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        elif "anyOf" in schema:
            [inner] = [part for part in schema["anyOf"] if part != {"type": "null"}]
            schema = {**{k: v for k, v in schema.items() if k != "anyOf"}, **inner}
        else:
            return schema


def test_the_comparison_sees_what_is_missing() -> None:
    theirs = {
        "properties": {
            "id": {"type": "string"},
            "priority": {"type": "integer"},
            "state": {"enum": ["new"], "type": "string"},
            "orderDate": {"type": "string"},
            "color": {"type": "string"},
        }
    }
    found = sorted(missing("622", theirs, ProductOrderCreate))
    assert [text.split(":")[0].split(" ")[0] for text in found] == [".color", ".priority", ".state"]


@pytest.mark.oracle
@pytest.mark.skipif(not FILES.is_dir(), reason="the official files are not beside the project")
@pytest.mark.parametrize("api", sorted(RESOURCES))
def test_paths_and_verbs_are_those_of_the_official_file(api: str) -> None:
    document = official(api)
    assert document["basePath"].rstrip("/") == BASE_PATHS[api]
    theirs = {
        (path, verb)
        for path, verbs in document["paths"].items()
        for verb in verbs
        if not path.startswith(("/listener", "/hub"))
    }
    verbs = {"list": "get", "create": "post", "get": "get", "patch": "patch", "delete": "delete"}
    ours = {
        (spec.path + ("" if operation in {"list", "create"} else "/{id}"), verbs[operation])
        for spec in RESOURCES[api]
        for operation in spec.operations
    }
    assert ours == theirs


@pytest.mark.parametrize(("api", "spec"), EVERY)
def test_not_patchable_is_what_the_official_update_leaves_out(api: str, spec: ResourceSpec) -> None:
    if "patch" not in spec.operations:
        assert f"{spec.type}_Update" not in official(api)["definitions"]
        return
    update = definition(api, f"{spec.type}_Update")["properties"]
    fixed = set(definition(api, spec.type)["properties"]) - set(update)
    assert spec.not_patchable - META == fixed - META


def fits(api: str, name: str, body: dict[str, Any]) -> None:
    schema = {"$ref": f"#/definitions/{name}", "definitions": official(api)["definitions"]}
    Draft4Validator(schema).validate(body)


@pytest.mark.oracle
@pytest.mark.skipif(not FILES.is_dir(), reason="the official files are not beside the project")
def test_errors_fit_the_official_definition() -> None:
    fits("641", "Error", error_body(Conflict("That is so."), 409))


@pytest.mark.oracle
@pytest.mark.skipif(not FILES.is_dir(), reason="the official files are not beside the project")
def test_events_fit_the_official_definition(store: Database) -> None:
    name = "ServiceOrderInformationRequiredEvent"
    order = {"id": "o", "href": "/o", "state": "pending", "serviceOrderItem": []}
    with store.write() as tx:
        emit(
            tx,
            api="641",
            event_type=name,
            resource_key="serviceOrder",
            resource=order,
            subject="o",
            correlation="c",
            field_path="serviceOrderItem.service.place",
        )
        [body] = events(tx)
    fits("641", name, body)
    declared = definition("641", name)["properties"]
    assert set(body) - META <= set(declared)
    assert set(definition("641", f"{name}Payload")["properties"]) == set(body["event"])


ITEM = {"id": "1", "action": "add"}
ORDERS: list[Any] = [
    pytest.param(ProductOrderCreate, "productOrderItem", ITEM, id="622"),
    pytest.param(ServiceOrderCreate, "serviceOrderItem", ITEM | {"service": {}}, id="641"),
    pytest.param(ResourceOrderCreate, "orderItem", ITEM | {"resource": {}}, id="652"),
]


@pytest.mark.parametrize(("model", "key", "item"), ORDERS)
def test_orders_need_items_with_different_ids(
    model: type[BaseModel], key: str, item: dict[str, Any]
) -> None:
    model.model_validate({key: [item, item | {"id": "2"}]})
    with pytest.raises(ValidationError, match="at least 1 item"):
        model.model_validate({key: []})
    with pytest.raises(ValidationError, match="id 1 is there twice"):
        model.model_validate({key: [item, item]})


@pytest.mark.parametrize(("model", "key", "item"), ORDERS)
def test_orders_refuse_what_only_the_server_sets(
    model: type[BaseModel], key: str, item: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError, match="href, id: set by the server"):
        model.model_validate({key: [item], "id": "x", "href": "y"})
    if key != "orderItem":
        with pytest.raises(ValidationError, match="state: set by the server"):
            model.model_validate({key: [item | {"state": "completed"}]})
        with pytest.raises(ValidationError, match="orderDate: set by the server"):
            model.model_validate({key: [item], "orderDate": "2026-01-01T00:00:00Z"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "explode"},
        {"id": None},
        {"id": 1},
        {"quantity": "2"},
        {"quantity": True},
        {"product": {"startDate": "yesterday"}},
        {"product": {"status": "fine"}},
        {"product": {"productCharacteristic": [{"value": 1}]}},
        {"productOrderItem": [{"id": "1.1", "action": "add", "state": "held"}]},
    ],
)
def test_wrong_items_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ProductOrderCreate.model_validate({"productOrderItem": [ITEM | wrong]})


def test_resource_items_need_a_target_and_take_both_spellings() -> None:
    with pytest.raises(ValidationError, match="resource or resourceSpecification is needed"):
        ResourceOrderCreate.model_validate({"orderItem": [ITEM]})
    target = {"resourceSpecification": {"id": "RES-X"}}
    for action in ("noChange", "no_change"):
        ResourceOrderCreate.model_validate({"orderItem": [ITEM | target | {"action": action}]})
    both = [{"id": "k", "owner": "SOM", "entityType": "X"}, {"name": "k"}]
    ResourceOrderCreate.model_validate({"orderItem": [ITEM | target], "externalReference": both})


def test_the_value_of_a_characteristic_may_be_null_but_not_missing() -> None:
    value = {"name": "ssid", "value": None}
    ProductOrderCreate.model_validate(
        {"productOrderItem": [ITEM | {"product": {"productCharacteristic": [value]}}]}
    )
