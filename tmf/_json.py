"""JSON documents as every room passes them: plain dicts and lists, never models."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from tmf.errors import BodyTooDeep, InvalidBody, MalformedJson, StringTooLong

Doc = dict[str, Any]

MAX_BODY = 16 * 1024 * 1024
MAX_STRING = 65_535
MAX_DEPTH = 64


def parse(raw: bytes) -> Any:
    """Read a JSON text within the limits of the public surface.

    Raises:
        MalformedJson: not UTF-8, not JSON, or NaN / Infinity, which JSON does not know.
        BodyTooDeep: nested deeper than 64 levels.
        StringTooLong: a string or a name of more than 65,535 characters.
        InvalidBody: a NUL character or half of a surrogate pair, which no database keeps.

    """
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise BodyTooDeep(_deep()) from None
    except ValueError as error:
        raise MalformedJson(f"The body is not JSON: {error}. Send UTF-8 JSON.") from None
    check(value)
    return value


def check(value: Any) -> None:
    """Hold a parsed document against the limits (raises as `parse` does)."""
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += any(isinstance(node, dict | list) for node in level)
        if depth > MAX_DEPTH:
            raise BodyTooDeep(_deep())
        level = [child for node in level for child in _children(node)]


def without_nulls(value: Any) -> Any:
    """Drop attributes that are null: in TM Forum's JSON absent and null mean the same.

    Only the mandatory `value` of a characteristic may be null.
    """
    if isinstance(value, dict):
        kept = ((k, child) for k, child in value.items() if child is not None or k == "value")
        return {key: without_nulls(child) for key, child in kept}
    if isinstance(value, list):
        return [without_nulls(child) for child in value]
    return value


def _children(node: Any) -> Iterator[Any]:
    match node:
        case dict():
            for key, child in node.items():
                _check_text(key)
                yield child
        case list():
            yield from node
        case str():
            _check_text(node)
        case float() if not math.isfinite(node):
            raise MalformedJson("A number is too large to keep; send one below 1.8e308.")


def _check_text(text: str) -> None:
    if len(text) > MAX_STRING:
        raise StringTooLong(
            f"The string that starts {text[:40]!r} has {len(text)} characters; at most {MAX_STRING} are kept."
        )
    if text.isascii():
        if "\x00" in text:
            raise InvalidBody("A string contains a NUL character; remove it.")
    elif "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidBody("A string contains a NUL or half of a surrogate pair; remove it.")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _deep() -> str:
    return f"The body is nested deeper than {MAX_DEPTH} levels; flatten it."
