"""Order bodies in files: `${name}` is replaced by --set name=value, and the layer is known by the item array."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from store.errors import InvalidInput
from tmf.paths import BASE_PATHS
from turnup.data import find_file
from turnup.errors import WrongUsage

API = {
    "productOrder": BASE_PATHS["622"] + "/productOrder",
    "serviceOrder": BASE_PATHS["641"] + "/serviceOrder",
    "resourceOrder": BASE_PATHS["652"] + "/resourceOrder",
}
_ITEMS = {
    "productOrderItem": "productOrder",
    "serviceOrderItem": "serviceOrder",
    "orderItem": "resourceOrder",
}
_PLACE = re.compile(r"\$\{(\w+)\}")


def read_order(file: Path, values: Sequence[str]) -> dict[str, Any]:
    """Read an order body; a file that is not there may be a shipped one of that name.

    Raises InvalidInput naming what is missing or wrong, WrongUsage for `--set`.
    """
    text = _stdin() if str(file) == "-" else _read(find_file(file, "examples/orders"))
    given = dict(_pair(value) for value in values)
    body = json_object(fill(text, given, str(file)), str(file))
    layer_of(body)
    return body


def layer_of(body: dict[str, Any]) -> str:
    """Return productOrder, serviceOrder or resourceOrder by the item array that the body has."""
    for items, layer in _ITEMS.items():
        if items in body:
            return layer
    raise InvalidInput(f"This is no order: it has none of {', '.join(_ITEMS)}.")


def items_of(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the items of an order of any layer."""
    return next((order[items] for items in _ITEMS if order.get(items)), [])


def fill(text: str, given: dict[str, str], where: str) -> str:
    """Replace `${name}` by the JSON-escaped value. Raises WrongUsage for names without a value."""
    missing = sorted({name for name in _PLACE.findall(text) if name not in given})
    if missing:
        raise WrongUsage(f"{where} needs {' '.join(f'--set {name}=…' for name in missing)}.")
    return _PLACE.sub(lambda match: json.dumps(given[match.group(1)])[1:-1], text)


def json_object(text: str, where: str) -> dict[str, Any]:
    """Parse a JSON object. Raises InvalidInput with the place of the error."""
    try:
        body = json.loads(text, parse_constant=_no_number)
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where} is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise InvalidInput(f"{where} is no JSON object ({{…}}).")
    return body


def _no_number(text: str) -> Any:
    """Refuse NaN and Infinity, which Python reads and JSON has not."""
    raise ValueError(f"{text} is no number")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is no text in UTF-8.") from error


def _stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InvalidInput("What came on stdin is no text in UTF-8.") from error


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise WrongUsage(f"--set {text}: write it as name=value.")
    return name, value
