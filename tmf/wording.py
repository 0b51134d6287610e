"""Small agreements on words that the three order APIs share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from store.errors import InvalidInput
from tmf.errors import InvalidBody

PRIORITIES = ("0", "1", "2", "3", "4")
ACTIONS = ("add", "modify", "delete", "noChange")


class ActionInvalid(InvalidInput):
    """An item asks for an action that the API does not know."""

    code = "ACTION_INVALID"
    reason = "The item's action is not one of the API"


def action_of(item: Mapping[str, Any]) -> str:
    """Return an item's action; `no_change` (text of TMF652) is read as `noChange`. Raises ActionInvalid."""
    action = {"no_change": "noChange", "nochange": "noChange"}.get(
        str(item.get("action")), item.get("action")
    )
    if action not in ACTIONS:
        raise ActionInvalid(
            f"Item {item.get('id')} has action {action!r}; use one of {', '.join(ACTIONS)}."
        )
    return str(action)


def priority_of(body: Mapping[str, Any]) -> int:
    """Return an order's priority, 0 (first) to 4 (the default). Raises InvalidBody."""
    given = body.get("priority")
    text = str(4 if given is None or given == "" else given)
    if text not in PRIORITIES:
        raise InvalidBody(f"priority: {given!r} is none of {', '.join(PRIORITIES)}. Correct it.")
    return int(text)


def duplicates(values: Iterable[str]) -> list[str]:
    """Return the values that occur more than once, sorted."""
    return sorted(value for value, count in Counter(values).items() if count > 1)
