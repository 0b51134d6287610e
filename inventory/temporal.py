"""The one question every table with history answers: which row was valid then."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_


def valid_at(columns: Any, at: datetime | None) -> ColumnElement[bool]:
    """Return the condition that a row is the present one (`at` None) or was the valid one at `at`."""
    if at is None:
        present: ColumnElement[bool] = columns.valid_to.is_(None)
        return present
    return and_(columns.valid_from <= at, or_(columns.valid_to.is_(None), columns.valid_to > at))
