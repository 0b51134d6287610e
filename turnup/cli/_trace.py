"""The lines of a trace: per order its tasks, items, what they took and why, and what was sent to devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]
Line = tuple[str, str]
"""Indent and text."""
SHOWN = 10
"""How many of those that were turned down are printed; JSON has all that are kept."""


def lines(node: Json, pad: str = "") -> Iterator[Line]:
    """Yield the lines of an order and of those below it."""
    yield pad, f"{node['layer']} {node['id']} {node['state']}"
    for task in sorted(node["tasks"], key=_time):
        when = task["ended"] or task["started"] or ""
        yield pad + "  ", f"{task['state']:<8} {when:<24} {task['kind']} {task['key']}"
    for item in node["items"]:
        yield from _item(item, pad + "  ")
    for batch in node["batches"]:
        devices = ", ".join(f"{one['device']} {one['state']}" for one in batch["devices"])
        yield pad + "  ", f"batch {batch['id']} {batch['state']}: {devices}"
    for child in node["children"]:
        yield from lines(child, pad + "  ")


def _item(item: Json, pad: str) -> Iterator[Line]:
    told = (item["action"], item["specification"], item["instance"], item["state"])
    yield pad, " ".join(["item", str(item["id"]), *(str(word) for word in told if word)])
    reasons = item.get("reasons") or {}
    for name, reason in reasons.items():
        yield from why(name, reason, pad + "  ")
    for name, taken in (item.get("allocations") or {}).items():
        yield pad + "  ", f"{name} = {taken['text']} of {taken['pool']}{_on(taken, reasons)}"
    if error := item.get("error"):
        yield pad + "  ", f"{error.get('code')}: {error.get('message')}"


def why(name: str, reason: Json, pad: str) -> Iterator[Line]:
    """Yield why something was chosen, and who was turned down."""
    yield pad, f"why {name} {reason.get('chosen') or ''}: {reason.get('because')}"
    turned = reason.get("rejected") or []
    for one in turned[:SHOWN]:
        yield pad + "  ", f"turned down {one.get('port') or one.get('device')}: {one.get('why')}"
    more = len(turned[SHOWN:]) + reason.get("notShown", 0)
    if more:
        yield pad + "  ", f"and {more} more"


def _on(taken: Json, reasons: Mapping[str, Json]) -> str:
    """Return on which chosen port or device an id was taken, and why there."""
    place = (taken.get("reason") or {}).get("on")
    because = next((r["because"] for r in reasons.values() if r.get("chosen") == place), None)
    if place is None:
        return ""
    return f" — on {place}: {because}" if because else f" — on {place}"


def _time(task: Json) -> str:
    """Sort by when a task began; what has not begun comes last."""
    return task["started"] or task["ended"] or "~"
