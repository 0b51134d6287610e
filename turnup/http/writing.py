"""Writing in a transaction that is repeated when another one was in its way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from inventory.errors import Contention
from store import Database, Tx
from store.errors import TurnupError

T = TypeVar("T")
TRIES = 5
_PAUSE_S = 0.005
_LOST_RACE = frozenset({"40P01", "40001"})


def written(database: Database, work: Callable[[Tx], T]) -> T:
    """Return what `work` returns, committed.

    Two transactions that wait for each other are no fault of the client's: PostgreSQL ends one of them, and it is
    simply repeated, up to five times with a growing, random pause. Raises Contention (CONTENTION) after that.
    """
    for attempt in range(1, TRIES + 1):
        try:
            with database.write() as tx:
                return work(tx)
        except Exception as error:
            if not _in_the_way(error):
                raise
            if attempt == TRIES:
                raise _given_up(error) from error
        time.sleep(random.uniform(_PAUSE_S, _PAUSE_S * 2**attempt))  # noqa: S311
    raise AssertionError


def _in_the_way(error: Exception) -> bool:
    if isinstance(error, TurnupError):
        return error.transient
    # what went through SQLAlchemy has the driver's error inside
    return getattr(getattr(error, "orig", error), "sqlstate", None) in _LOST_RACE


def _given_up(error: Exception) -> TurnupError:
    if isinstance(error, TurnupError):
        return error
    return Contention(
        "Other transactions were in the way each time; nothing was changed, try again."
    )
