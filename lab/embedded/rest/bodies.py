"""Strict JSON bodies: no duplicate names, no NaN, no unknown fields, types as they are declared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from lab.embedded.rest.https import Request
from lab.embedded.rest.problems import ApiError, bad_body, bad_value

Json = dict[str, Any]
Check = Callable[[Any], str | None]
_NAMES: Final = {str: "a string", bool: "true or false", int: "a whole number", dict: "an object"}
MERGE_PATCH: Final = "application/merge-patch+json"
PLAIN: Final = "application/json"


@dataclass(frozen=True)
class Field:
    """One field. `check` says in words what is wrong with a value of the right type.

    `fields` describes the object below; None there: any names, with strings, numbers, booleans.
    """

    kinds: tuple[type, ...] = (str,)
    required: bool = False
    nullable: bool = False
    default: Any = None
    check: Check | None = None
    fields: Mapping[str, Field] | None = None


Schema = Mapping[str, Field]


def read_object(request: Request, *accepted: str) -> Json:
    """The object in the body.

    Raises:
        ApiError: 415 for another media type, 400 for what is no strict JSON object.
    """
    _check_media_type(request, accepted)
    try:
        body = json.loads(
            request.body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "INVALID_JSON", f"no JSON: {error}") from None
    if not isinstance(body, dict):
        raise bad_body("the body must be a JSON object")
    return body


def _check_media_type(request: Request, accepted: Iterable[str]) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in accepted:
        wanted = " or ".join(accepted)
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            f"Content-Type is {given or 'absent'}; send {wanted}",
        )


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def merge(target: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def validated(schema: Schema, body: Json, path: str = "") -> Json:
    """The body with defaults filled in, fields in the schema's order.

    Raises:
        ApiError: 400 for a missing or unknown field or a wrong type, 422 for a wrong value.
    """
    unknown = sorted(body.keys() - schema.keys())
    if unknown:
        raise bad_body(f"unknown field {path}{unknown[0]}; known: {', '.join(schema)}")
    result: Json = {}
    for name, field in schema.items():
        value = _field(f"{path}{name}", field, body.get(name, field.default), name in body)
        if value is not None or field.nullable:
            result[name] = value
    return result


def _field(path: str, field: Field, value: Any, present: bool) -> Any:
    if value is None:
        if field.required or (present and not field.nullable):
            raise bad_body(f"{path} is required" if not present else f"{path} must not be null")
        return None
    if not any(_is(value, kind) for kind in field.kinds):
        wanted = " or ".join(_NAMES[kind] for kind in field.kinds)
        raise bad_body(f"{path} must be {wanted}")
    problem = field.check(value) if field.check else None
    if problem:
        raise bad_value(f"{path} {problem}")
    if isinstance(value, dict):
        return _nested(path, field, value)
    return value


def _nested(path: str, field: Field, value: Json) -> Json:
    if field.fields is not None:
        return validated(field.fields, value, f"{path}.")
    for name, inner in value.items():
        if not isinstance(inner, str | int | float | bool):
            raise bad_body(f"{path}.{name} must be a string, a number, true or false")
    return value


def _is(value: Any, kind: type) -> bool:
    """As JSON has it: true is no number."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
