"""Run one claimed task: act outside any transaction, then record and finish in one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from orders.errors import LeaseLost
from orders.ledger import Ledger
from orders.model import Acting, Outcome, Task
from store import Database, TurnupError, Tx

_LOG = logging.getLogger(__name__)
_DEADLOCKS = frozenset({"40001", "40P01"})
_TRIES = 5


class Runner:
    """Runs tasks. With `chain`, the transaction that finishes a task claims the next one."""

    def __init__(self, database: Database, ledger: Ledger, *, chain: bool = True) -> None:
        self._database = database
        self._ledger = ledger
        self._chain = chain

    def run_one(self, task: Task) -> Task | None:
        """Run a claimed task; return the task that was claimed with its finish, if any.

        What the step raises becomes its outcome; what the database raises while that is written goes up.
        """
        try:
            result = self._act(task)
            return self._settle(task, lambda tx: self._ledger.finish(tx, task, task.fence, result))
        except LeaseLost as lost:
            _LOG.warning("%s", lost.message)
            return None
        except Exception as error:  # noqa: BLE001 - whatever a step raises becomes an outcome
            return self._failed(task, error)

    def _act(self, task: Task) -> Any:
        handler = self._ledger.handler(task.kind)
        return handler.act(task) if isinstance(handler, Acting) else None

    def _failed(self, task: Task, error: Exception) -> Task | None:
        if not isinstance(error, TurnupError):
            _LOG.error("%s %s of order %s", task.kind, task.id, task.order_id, exc_info=error)
        try:
            return self._settle(task, lambda tx: self._ledger.fail(tx, task, task.fence, error))
        except LeaseLost as lost:
            _LOG.warning("%s", lost.message)
            return None

    def _settle(self, task: Task, write: Callable[[Tx], Outcome]) -> Task | None:
        for _ in range(_TRIES - 1):
            try:
                return self._written(task, write)
            except Exception as error:
                # two orders that wake each other may lock crosswise: PostgreSQL lets one of them try again
                if _sqlstate(error) not in _DEADLOCKS:
                    raise
        return self._written(task, write)

    def _written(self, task: Task, write: Callable[[Tx], Outcome]) -> Task | None:
        if not self._chain:
            with self._database.write() as tx:
                write(tx)
            return None
        with self._ledger.quiet(), self._database.write() as tx:
            write(tx)
            following = self._ledger.claim_next(tx, task.owner or "")
            more = following is not None and self._ledger.any_due(tx)
        if more:
            self._ledger.on_ready()
        return following


def _sqlstate(error: BaseException) -> str | None:
    inner = getattr(error, "orig", None) or error
    return getattr(inner, "sqlstate", None)
