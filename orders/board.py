"""The task board: tasks and their dependencies, who may claim what, and what becomes ready when something ends."""
# ruff: noqa: S608 - only our own column names and question marks are put into the statements

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from typing import Any

from orders import _rows, journal
from orders._sql import Row, dump, many, marks, row, rows, run, value
from orders.errors import LeaseLost, TaskNeedsInvalid, TaskNotFound
from orders.model import ENDED, EngineSettings, Order, Task, TaskSpec, TaskState
from store import Rx, Tx, from_text, new_id, to_text

LOWEST_PRIORITY = 9
_TASK = f"SELECT {_rows.TASK} FROM task WHERE id = ?"
_ENDED = ", ".join(f"'{state}'" for state in ENDED)
_CLAIM = f"""
UPDATE task SET state = 'leased', fence = fence + 1, attempts = attempts + 1, owner = ?, lease_until = ?,
  started = COALESCE(started, ?)
WHERE %s RETURNING {_rows.TASK}, rank, seq"""
_DUE = "SELECT id FROM task WHERE state = 'ready' AND rank <= ? AND run_at <= ? ORDER BY rank, seq LIMIT ?"
# PostgreSQL may run a subquery with LIMIT again for each row of an IN: an array is made once
_CLAIM_DUE = {
    "sqlite": _CLAIM % f"id IN ({_DUE})",
    "postgresql": _CLAIM % f"id = ANY(ARRAY({_DUE} FOR UPDATE SKIP LOCKED))",
}
_CLAIM_ONE = _CLAIM % "id = ? AND state = 'ready'"
_DOWN = f"""
WITH RECURSIVE down(id) AS (
  SELECT task FROM task_need WHERE needed = ?
  UNION SELECT n.task FROM task_need n JOIN down d ON n.needed = d.id)
UPDATE task SET state = 'skipped', ended = ? WHERE state = 'blocked' AND id IN (SELECT id FROM down)
RETURNING {_rows.TASK}"""


class TaskBoard:
    """The tasks of all orders."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings

    # -- reading

    def task(self, rx: Rx, task_id: str) -> Task:
        """Return a task. Raises TaskNotFound."""
        return _rows.task(rx, self._row(rx, task_id))

    def of_order(self, rx: Rx, order_id: str) -> list[Task]:
        """Return an order's tasks with their needs, in the order in which they were added."""
        needs: dict[str, list[str]] = {}
        for task_id, key in rows(
            rx,
            "SELECT n.task, t.key FROM task t JOIN task_need n ON n.needed = t.id WHERE t.order_id = ?"
            " ORDER BY t.seq",
            order_id,
        ):
            needs.setdefault(task_id, []).append(key)
        found = rows(rx, f"SELECT {_rows.TASK} FROM task WHERE order_id = ? ORDER BY seq", order_id)
        return [_rows.task(rx, each, tuple(needs.get(each[0], ()))) for each in found]

    def live_items(self, rx: Rx, order_id: str) -> frozenset[str]:
        """Return the items that tasks of an order still work on."""
        found = rows(
            rx,
            f"SELECT {_rows.TASK} FROM task WHERE order_id = ? AND state NOT IN ({_ENDED})",
            order_id,
        )
        return frozenset(item for each in found for item in _rows.task(rx, each).items)

    def next_due(self, rx: Rx) -> datetime | None:
        """Return when, after now, the next task becomes due by itself."""
        moments = [
            value(
                rx, "SELECT min(run_at) FROM task WHERE state = 'ready' AND run_at > ?", _now(rx)
            ),
            value(rx, "SELECT min(lease_until) FROM task WHERE state = 'leased'"),
            value(rx, "SELECT min(due) FROM task_wait WHERE due IS NOT NULL"),
        ]
        return min((from_text(found) for found in moments if found), default=None)

    def any_due(self, rx: Rx) -> bool:
        """Return whether a task could be claimed now."""
        return row(rx, _DUE, self._horizon(rx), _now(rx), 1) is not None

    # -- adding

    def add(self, tx: Tx, order: Order, specs: Sequence[TaskSpec]) -> list[datetime]:
        """Add the tasks whose keys the order does not have yet; return when those that are ready are due.

        A need that has ended already, well or not, counts as met. Raises TaskNeedsInvalid.
        """
        known = {
            key: (task_id, TaskState(state))
            for task_id, key, state in rows(
                tx, "SELECT id, key, state FROM task WHERE order_id = ?", order.id
            )
        }
        fresh = {spec.key: spec for spec in specs if spec.key not in known}
        _check(fresh, known)
        ids = {key: new_id("t") for key in fresh}
        missing = {
            key: [need for need in spec.needs if need in fresh or known[need][1] not in ENDED]
            for key, spec in fresh.items()
        }
        self._insert(tx, order, [(ids[key], fresh[key], len(set(missing[key]))) for key in fresh])
        all_ids = {key: task_id for key, (task_id, _) in known.items()} | ids
        needs = [(all_ids[need], ids[key]) for key in fresh for need in set(fresh[key].needs)]
        many(tx, "INSERT INTO task_need (needed, task) VALUES (?, ?)", needs)
        return [fresh[key].run_at or tx.now for key in fresh if not missing[key]]

    def _insert(self, tx: Tx, order: Order, fresh: Sequence[tuple[str, TaskSpec, int]]) -> None:
        now = _now(tx)
        many(
            tx,
            "INSERT INTO task (id, order_id, layer, key, kind, args, items, state, priority, run_at, rank,"
            " attempts, failures, fence, needs_left, stopping, overdue, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?, ?, ?)",
            [
                (
                    task_id,
                    order.id,
                    order.layer,
                    spec.key,
                    spec.kind,
                    dump(spec.args),
                    dump(list(spec.items)),
                    TaskState.BLOCKED.value if missing else TaskState.READY.value,
                    _bounded(order.priority),
                    to_text(spec.run_at or tx.now),
                    self._rank(spec.run_at or tx.now, order.priority),
                    missing,
                    False,
                    False,
                    now,
                )
                for task_id, spec, missing in fresh
            ],
        )

    # -- claiming

    def claim_due(self, tx: Tx, count: int, owner: str) -> list[Task]:
        """Claim up to `count` due tasks: by priority, then age (ageing makes one out of both)."""
        if count < 1:
            return []
        claimed = rows(
            tx, _CLAIM_DUE[tx.dialect], *self._lease(tx, owner), self._horizon(tx), _now(tx), count
        )
        return self._claimed(tx, claimed, owner)

    def claim(self, tx: Tx, task_id: str, owner: str) -> Task | None:
        """Claim one task; None when it is not ready."""
        claimed = rows(tx, _CLAIM_ONE, *self._lease(tx, owner), task_id)
        return next(iter(self._claimed(tx, claimed, owner)), None)

    def _claimed(self, tx: Tx, claimed: Sequence[Row], owner: str) -> list[Task]:
        tasks = [_rows.task(tx, each) for each in sorted(claimed, key=lambda each: each[-2:])]
        for task in tasks:
            journal.note(tx, task.order_id, task.id, "claimed", owner=owner, fence=task.fence)
        return tasks

    def heartbeat(self, tx: Tx, leases: Mapping[str, int]) -> None:
        """Renew leases, given as task id → fence."""
        until = to_text(tx.now + timedelta(seconds=self._settings.lease_s))
        many(
            tx,
            "UPDATE task SET lease_until = ? WHERE id = ? AND fence = ? AND state = 'leased'",
            [(until, task_id, fence) for task_id, fence in leases.items()],
        )

    def void_leases(self, tx: Tx, *, expired_only: bool = False) -> int:
        """Make claimed tasks ready again; their holders can no longer finish them."""
        where, params = ("state = 'leased'", [])
        if expired_only:
            where, params = "state = 'leased' AND lease_until < ?", [_now(tx)]
        voided = rows(
            tx,
            "UPDATE task SET state = 'ready', fence = fence + 1, owner = NULL, lease_until = NULL"
            f" WHERE {where} RETURNING id, order_id",
            *params,
        )
        journal.note_all(tx, voided, "leaseVoided")
        return len(voided)

    def give_back(self, tx: Tx, task: Task) -> None:
        """Make a task ready again whose claim was not used."""
        run(
            tx,
            "UPDATE task SET state = 'ready', attempts = attempts - 1, owner = NULL, lease_until = NULL"
            " WHERE id = ? AND fence = ? AND state = 'leased'",
            task.id,
            task.fence,
        )

    def held_by(self, tx: Tx, task_id: str, fence: int) -> Task:
        """Return a task that this fence has claimed. Raises LeaseLost."""
        found = row(tx, _TASK, task_id)
        task = _rows.task(tx, found) if found else None
        if task is None or task.state is not TaskState.LEASED or task.fence != fence:
            now = f"{task.state} under claim {task.fence}" if task else "deleted"
            raise LeaseLost(
                f"Task {task_id} is {now}, not leased under {fence}; what this claim did is dropped, "
                "the later claim decides."
            )
        return task

    # -- moving

    def end(self, tx: Tx, task: Task, state: TaskState, result: Any = None) -> None:
        """Put a task into one of its ends."""
        run(
            tx,
            "UPDATE task SET state = ?, result = ?, ended = ?, lease_until = NULL, owner = NULL WHERE id = ?",
            state.value,
            dump(result),
            _now(tx),
            task.id,
        )

    def park(self, tx: Tx, task: Task, state: TaskState) -> None:
        """Let a task wait or be held. Being held keeps the wake, so that a retry sees it again."""
        forget = ", wake = NULL, overdue = ?" if state is TaskState.WAITING else ""
        params = [False] if forget else []
        run(
            tx,
            f"UPDATE task SET state = ?, lease_until = NULL, owner = NULL{forget} WHERE id = ?",
            state.value,
            *params,
            task.id,
        )

    def again(self, tx: Tx, task: Task, run_at: datetime, *, failed: bool = False) -> None:
        """Make a task ready to run at `run_at`."""
        failures = "failures + 1" if failed else "failures"
        run(
            tx,
            f"UPDATE task SET state = 'ready', run_at = ?, rank = ?, failures = {failures},"
            " lease_until = NULL, owner = NULL WHERE id = ?",
            to_text(run_at),
            self._rank(run_at, task.priority),
            task.id,
        )

    def restart(self, tx: Tx, task: Task, args: Mapping[str, Any]) -> None:
        """Make a held task ready with other arguments and all its attempts."""
        run(tx, "UPDATE task SET args = ?, failures = 0 WHERE id = ?", dump(dict(args)), task.id)
        self.again(tx, task, tx.now)

    def woken(self, tx: Tx, task_ids: Sequence[str], payload: Any, *, overdue: bool) -> list[Row]:
        """Make waiting tasks ready; return (id, order id) of those that were."""
        found = rows(
            tx,
            "UPDATE task SET state = 'ready', wake = ?, overdue = ?, failures = 0, run_at = ?,"
            " rank = ? + priority * ?, lease_until = NULL, owner = NULL"
            f" WHERE id IN ({marks(task_ids)}) AND state = 'waiting' RETURNING id, order_id",
            dump(payload),
            overdue,
            _now(tx),
            tx.now.timestamp(),
            self._settings.ageing_s,
            *task_ids,
        )
        journal.note_all(tx, found, "overdue" if overdue else "woken")
        return found

    def failures(self, rx: Rx, task: Task) -> int:
        """Return how many attempts failed since the task last got on."""
        return int(value(rx, "SELECT failures FROM task WHERE id = ?", task.id))

    def release(self, tx: Tx, task_id: str) -> list[datetime]:
        """Count an ended task off from those that need it; return when those that became ready are due."""
        freed = rows(
            tx,
            "UPDATE task SET needs_left = needs_left - 1 WHERE state = 'blocked'"
            " AND id IN (SELECT task FROM task_need WHERE needed = ?)"
            " RETURNING id, needs_left, run_at, priority",
            task_id,
        )
        ready = [
            (max(from_text(planned), tx.now), freed_id, priority)
            for freed_id, needs_left, planned, priority in freed
            if needs_left == 0
        ]
        many(
            tx,
            "UPDATE task SET state = 'ready', run_at = ?, rank = ? WHERE id = ?",
            [(to_text(at), self._rank(at, priority), freed_id) for at, freed_id, priority in ready],
        )
        return [at for at, _, _ in ready]

    def skip_down(self, tx: Tx, task: Task) -> list[Task]:
        """Skip all that needs a task, directly or not; return what was skipped."""
        skipped = rows(tx, _DOWN, task.id, _now(tx))
        journal.note_all(tx, [(each[0], each[1]) for each in skipped], "skipped")
        return [_rows.task(tx, each) for each in skipped]

    def stop(self, tx: Tx, order_id: str, keep: Sequence[str]) -> tuple[list[Task], list[Task]]:
        """Skip what does not run and mark what does; return both, without the kinds in `keep`."""
        others = f" AND kind NOT IN ({marks(keep)})" if keep else ""
        skipped = rows(
            tx,
            "UPDATE task SET state = 'skipped', ended = ? WHERE order_id = ?"
            f" AND state IN ('blocked', 'ready', 'waiting', 'held'){others} RETURNING {_rows.TASK}",
            _now(tx),
            order_id,
            *keep,
        )
        leased = rows(
            tx,
            "UPDATE task SET stopping = ? WHERE order_id = ? AND state = 'leased'"
            f"{others} RETURNING {_rows.TASK}",
            True,
            order_id,
            *keep,
        )
        journal.note_all(tx, [(each[0], each[1]) for each in skipped], "stopped")
        return [_rows.task(tx, each) for each in skipped], [_rows.task(tx, each) for each in leased]

    # -- inside

    def _row(self, rx: Rx, task_id: str) -> Row:
        found = row(rx, _TASK, task_id)
        if found is None:
            raise TaskNotFound(f"There is no task {task_id}; the order's trace lists its tasks.")
        return found

    def _lease(self, tx: Tx, owner: str) -> tuple[str, str, str]:
        return owner, to_text(tx.now + timedelta(seconds=self._settings.lease_s)), _now(tx)

    def _rank(self, run_at: datetime, priority: int) -> float:
        return run_at.timestamp() + priority * self._settings.ageing_s

    def _horizon(self, rx: Rx) -> float:
        return rx.now.timestamp() + LOWEST_PRIORITY * self._settings.ageing_s


def _now(rx: Rx) -> str:
    return to_text(rx.now)


def _bounded(priority: int) -> int:
    return min(max(priority, 0), LOWEST_PRIORITY)


def _check(fresh: Mapping[str, TaskSpec], known: Container[str]) -> None:
    """Raise TaskNeedsInvalid when needs are unknown or go round in a circle."""
    for spec in fresh.values():
        for need in spec.needs:
            if need not in fresh and need not in known:
                raise TaskNeedsInvalid(
                    f"Task {spec.key} needs {need}, which its order does not have; add both together."
                )
    graph = {key: [need for need in spec.needs if need in fresh] for key, spec in fresh.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " → ".join(error.args[1])
        raise TaskNeedsInvalid(f"Tasks need each other: {circle}; take one need away.") from None
