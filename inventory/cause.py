"""Who made a change: every row of history points back to the order item that caused it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import RowMapping


@dataclass(frozen=True, slots=True)
class Cause:
    """The order item behind a change; all None for an operator's or an import's own doing."""

    order_id: str | None = None
    item_id: str | None = None
    layer: str | None = None


NO_CAUSE = Cause()


def opened(cause: Cause | None) -> dict[str, str | None]:
    """Return the columns that say who opened a row."""
    cause = cause or NO_CAUSE
    return {"order_id": cause.order_id, "item_id": cause.item_id, "layer": cause.layer}


def closed(cause: Cause | None) -> dict[str, str | None]:
    """Return the columns that say who closed a row."""
    return {f"end_{name}": value for name, value in opened(cause).items()}


def cause_of(row: RowMapping) -> Cause:
    """Read the opening cause of a row."""
    return Cause(row["order_id"], row["item_id"], row["layer"])


def ending_cause_of(row: RowMapping) -> Cause:
    """Read the closing cause of a row; all None while it is open, too."""
    return Cause(row["end_order_id"], row["end_item_id"], row["end_layer"])
