"""TM Forum's own files as the judge of what the server says: definitions with their known slips put right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, FormatChecker

from tmf.paths import BASE_PATHS

Json = dict[str, Any]
FILES = Path(__file__).parents[2] / "../shared/tmf/specs"
needs_files = pytest.mark.skipif(
    not FILES.is_dir(), reason="the official files are not beside the project"
)
ORDERS = ("622", "641", "652")
ORDER_STATES = frozenset(
    [
        "acknowledged",
        "rejected",
        "pending",
        "held",
        "inProgress",
        "cancelled",
        "completed",
        "failed",
        "partial",
        "assessingCancellation",
        "pendingCancellation",
    ]
)
# the slips that SOURCES.md names: what the file requires but cannot mean
SLIPS: dict[str, dict[str, list[str]]] = {
    "622": {"ProductOrder_Update": []},
    "639": {"Resource_Create": ["name"], "Resource_Update": []},
    "641": {"ServiceOrderItemRef": []},
    "652": {"ResourceRefOrValue": []},
}
RESOURCES: dict[str, dict[str, str]] = {
    "620": {
        "productOffering": "ProductOffering",
        "productOfferingPrice": "ProductOfferingPrice",
        "productSpecification": "ProductSpecification",
    },
    "622": {"productOrder": "ProductOrder", "cancelProductOrder": "CancelProductOrder"},
    "633": {"serviceSpecification": "ServiceSpecification"},
    "634": {"resourceSpecification": "ResourceSpecification"},
    "637": {"product": "Product"},
    "638": {"service": "Service"},
    "639": {"resource": "Resource"},
    "641": {"serviceOrder": "ServiceOrder", "cancelServiceOrder": "CancelServiceOrder"},
    "652": {"resourceOrder": "ResourceOrder", "cancelResourceOrder": "CancelResourceOrder"},
}
COLLECTIONS = [(api, path) for api, paths in RESOURCES.items() for path in paths]

_formats = FormatChecker(())


def _is_instant(value: object) -> bool:
    """Dates are given with Z: a +00:00 that comes back in a query has lost its sign."""
    return not isinstance(value, str) or (
        value.endswith("Z") and datetime.fromisoformat(value).tzinfo is not None
    )


_formats.checks("date-time", ValueError)(_is_instant)


@cache
def official(api: str) -> Json:
    [path] = FILES.glob(f"TMF{api}*.json")
    document: Json = json.loads(path.read_text("utf-8"))
    for name, required in SLIPS.get(api, {}).items():
        document["definitions"][name]["required"] = required
    return document


@cache
def _validator(api: str, name: str) -> Draft4Validator:
    definitions = official(api)["definitions"]
    assert name in definitions, f"TMF{api} defines no {name}"
    schema = {"$ref": f"#/definitions/{name}", "definitions": definitions}
    return Draft4Validator(schema, format_checker=_formats)


def problems(api: str, name: str, body: Any) -> list[str]:
    """Say where a body breaks an official definition."""
    return [
        f"TMF{api} {name} {error.json_path}: {error.message[:200]}"
        for error in _validator(api, name).iter_errors(body)
    ]


def undeclared(api: str, name: str, body: Any) -> set[str]:
    """Name the attributes, by definition, that the official file does not know: extensions."""
    return set(_undeclared(official(api)["definitions"], {"$ref": f"/{name}"}, body, name))


def _undeclared(definitions: Json, schema: Json, body: Any, where: str) -> Iterator[str]:
    if "$ref" in schema:
        where = schema["$ref"].rsplit("/", 1)[1]
        schema = definitions[where]
    if isinstance(body, list):
        for element in body:
            yield from _undeclared(definitions, schema.get("items", {}), element, where)
    elif isinstance(body, dict) and "properties" in schema:
        for key, value in body.items():
            if key in schema["properties"]:
                inner = schema["properties"][key]
                yield from _undeclared(definitions, inner, value, f"{where}.{key}")
            elif not key.startswith("@"):
                yield f"{where}.{key}"


def at(api: str, path: str, id: str | None = None) -> str:  # noqa: A002
    """Return the address of a collection, or of one of its resources."""
    return f"{BASE_PATHS[api]}/{path}" + (f"/{id}" if id else "")


def refusal(answer: Any, status: int, code: str) -> Json:
    """Check that an answer is this refusal in TM Forum's Error body, and return it."""
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    body: Json = answer.json()
    assert body["code"] == code, body
    assert body["reason"]
    assert body["message"]
    assert body["status"] == str(status)
    return body
