"""The ledger: the only truth about orders, items, tasks, waits and fallout of all three layers.

Every method takes the transaction it works in; the ledger itself keeps nothing but who handles and who observes.
Locks are taken in the order: order, task, wait key.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import EllipsisType
from typing import Any

from orders import fallout as desk
from orders import journal
from orders.board import TaskBoard
from orders.book import OrderBook
from orders.errors import HandlerUnknown
from orders.model import (
    Done,
    EngineSettings,
    Failed,
    Fallout,
    Handler,
    Handlers,
    Hold,
    Item,
    JournalEntry,
    Json,
    Layer,
    NewOrder,
    Observers,
    Order,
    OrderObserver,
    Outcome,
    Resolution,
    Retry,
    Settling,
    State,
    Task,
    TaskSpec,
    TaskState,
    Wait,
    WaitInfo,
)
from orders.waits import Waits, final_key
from store import Rx, TurnupError, Tx


def _nobody() -> None:
    return None


class Ledger:
    """Orders and their tasks. Thread-safe; `on_ready` is called after commits that made something due."""

    def __init__(
        self,
        handlers: Handlers | None = None,
        observers: Observers | None = None,
        settings: EngineSettings | None = None,
    ) -> None:
        self.settings = settings or EngineSettings()
        self.on_ready: Callable[[], None] = _nobody
        self._handlers: dict[str, Handler] = dict(handlers or {})
        self._book = OrderBook(observers or {}, self._became_final)
        self._board = TaskBoard(self.settings)
        self._waits = Waits(self._board)
        self._quiet = threading.local()

    # -- who takes part

    def register(self, kind: str, handler: Handler) -> None:
        """Let `handler` do the tasks of a kind (`name@version`)."""
        self._handlers[kind] = handler

    def observe(self, layer: Layer, observer: OrderObserver) -> None:
        """Tell `observer` about the orders of a layer."""
        self._book.observers[layer] = observer

    def handler(self, kind: str) -> Handler:
        """Return who does a kind of task. Raises HandlerUnknown."""
        if kind not in self._handlers:
            raise HandlerUnknown(
                f"No handler for {kind} is registered; start a server version that has it, then retry."
            )
        return self._handlers[kind]

    # -- orders and items

    def create(self, tx: Tx, new: NewOrder) -> tuple[Order, bool]:
        """Store an order as `acknowledged`; with a key known in its layer, return that order and False."""
        return self._book.create(tx, new)

    def order(self, rx: Rx, order_id: str) -> Order:
        """Return an order with its items. Raises ORDER_NOT_FOUND."""
        return self._book.order(rx, order_id)

    def lock(self, tx: Tx, order_id: str) -> Order:
        """Return an order that nobody else changes until the transaction ends. Raises ORDER_NOT_FOUND."""
        return self._book.locked(tx, order_id)

    def by_key(self, rx: Rx, layer: Layer, key: str) -> Order | None:
        """Return the order that its sender made with this key."""
        return self._book.by_key(rx, layer, key)

    def orders(
        self,
        rx: Rx,
        layer: Layer,
        *,
        state: State | None = None,
        offset: int = 0,
        limit: int | None = None,
        newest_first: bool = True,
    ) -> tuple[list[Order], int]:
        """Return a page of a layer's orders, and how many there are in all."""
        return self._book.orders(
            rx, layer, state=state, offset=offset, limit=limit, newest_first=newest_first
        )

    def counts(self, rx: Rx) -> list[tuple[Layer, State, int]]:
        """Return how many orders each layer has in each state."""
        return self._book.counts(rx)

    def blockers(self, rx: Rx, order_id: str) -> tuple[str, ...]:
        """Return earlier orders of the same layer, not final, that work on an instance of this order."""
        return self._book.blockers(rx, order_id)

    def update_order(
        self,
        tx: Tx,
        order_id: str,
        *,
        body: Json | None = None,
        plan: Json | None = None,
        plan_hash: str | None = None,
        state: State | None = None,
        expected: datetime | None = None,
    ) -> Order:
        """Change what is given; return the order.

        A forced final state also becomes that of all items that are not final (but `partial`, which no item
        has); any other forced state is then folded with the items. Raises ORDER_NOT_FOUND, ORDER_FINAL.
        """
        return self._book.update_order(
            tx,
            order_id,
            body=body,
            plan=plan,
            plan_hash=plan_hash,
            state=state,
            expected=expected,
        )

    def update_item(
        self,
        tx: Tx,
        order_id: str,
        item_id: str,
        *,
        state: State | None = None,
        before: Json | EllipsisType | None = ...,
        after: Json | EllipsisType | None = ...,
        body: Json | None = None,
        instance: str | None = None,
        result: Json | None = None,
        error: Json | EllipsisType | None = ...,
    ) -> Order:
        """Change what is given (`result` is merged), fold the order's state and return the order.

        While an order's cancellation is pending, a completed item counts as not yet undone: the order ends
        when none is left, or when it is forced to `partial`.
        Raises ORDER_NOT_FOUND, ITEM_NOT_FOUND, ORDER_FINAL (a state asked for in a final order).
        """
        return self._book.update_item(
            tx,
            order_id,
            item_id,
            state=state,
            before=before,
            after=after,
            body=body,
            instance=instance,
            result=result,
            error=error,
        )

    def delete(self, tx: Tx, order_id: str) -> None:
        """Forget a final order with its tasks and journal. Raises ORDER_NOT_FOUND, ORDER_NOT_FINAL."""
        self._book.delete(tx, order_id)

    # -- tasks

    def add_tasks(self, tx: Tx, order_id: str, specs: Sequence[TaskSpec]) -> None:
        """Add tasks; keys the order has already are ignored. Needs that have ended count as met.

        Raises ORDER_NOT_FOUND, TASK_NEEDS_INVALID (unknown or circular needs).
        """
        order = self._book.locked(tx, order_id)
        self._announce_at(tx, self._board.add(tx, order, specs))

    def task(self, rx: Rx, task_id: str) -> Task:
        """Return a task (without its needs). Raises TASK_NOT_FOUND."""
        return self._board.task(rx, task_id)

    def tasks(self, rx: Rx, order_id: str) -> list[Task]:
        """Return an order's tasks with their needs, in the order in which they were added."""
        return self._board.of_order(rx, order_id)

    def journal(self, rx: Rx, order_id: str) -> list[JournalEntry]:
        """Return what happened to an order and its tasks, oldest first."""
        return journal.read(rx, order_id)

    def stop_pending(
        self, tx: Tx, order_id: str, *, keep: Collection[str] = ()
    ) -> tuple[Task, ...]:
        """Skip all tasks that do not run, but for the kinds in `keep`; return those that run.

        Open fallouts of what is skipped are closed, held items go on. A running task may still be done; if it
        would be retried, wait or be held instead, it is skipped. What needs a stopped task (kept kinds, tasks
        added later) becomes ready when it ends, however it ends. Keep the kind that calls this.
        """
        order = self._book.locked(tx, order_id)
        skipped, leased = self._board.stop(tx, order_id, sorted(keep))
        ids = [task.id for task in skipped]
        self._waits.forget(tx, ids)
        desk.close_of_tasks(tx, ids)
        for task_id in ids:
            self._release(tx, task_id)
        self._resume_items(tx, order, tuple(item for task in skipped for item in task.items))
        return tuple(leased)

    # -- waits

    def wake(self, tx: Tx, key: str, payload: Any | None = None) -> int:
        """Wake the tasks that wait for a key and return how many; with none, the next wait takes it."""
        woken = self._waits.wake(tx, key, payload)
        if woken:
            self._announce(tx)
        return woken

    def waits(self, rx: Rx, *, external_only: bool = False) -> list[WaitInfo]:
        """Return who waits, the longest first."""
        return self._waits.all(rx, external_only=external_only)

    def wait(self, rx: Rx, wait_id: str) -> WaitInfo:
        """Return one wait. Raises WAIT_NOT_FOUND."""
        return self._waits.one(rx, wait_id)

    # -- fallout

    def fallouts(
        self, rx: Rx, *, state: str | None = "open", order_id: str | None = None
    ) -> list[Fallout]:
        """Return fallout records, the oldest first; `state` None returns open and closed ones."""
        return desk.find(rx, state=state, order_id=order_id)

    def fallout(self, rx: Rx, fallout_id: str) -> Fallout:
        """Return one record. Raises FALLOUT_NOT_FOUND."""
        return desk.one(rx, fallout_id)

    def retry(
        self,
        tx: Tx,
        fallout_id: str,
        *,
        arguments: Json | None = None,
        plan_hash: str | None = None,
        evidence: str | None = None,
    ) -> None:
        """Run a held task again, with `arguments` merged into its own.

        A new `plan_hash` becomes the order's and the task's argument `planHash`.
        Raises FALLOUT_NOT_FOUND, FALLOUT_CLOSED.
        """
        order, task = self._resolve(tx, fallout_id, "retried", evidence)
        args = {**task.args, **(arguments or {})}
        if plan_hash:
            args["planHash"] = plan_hash
            self._book.update_order(
                tx, order.id, body=None, plan=None, plan_hash=plan_hash, state=None, expected=None
            )
        self._board.restart(tx, task, args)
        self._resume_items(tx, order, task.items)
        self._announce(tx)

    def skip(self, tx: Tx, fallout_id: str, evidence: str) -> None:
        """Go on as if a held task were done; an item nothing else works on is completed, with a note.

        Raises FALLOUT_NOT_FOUND, FALLOUT_CLOSED.
        """
        order, task = self._resolve(tx, fallout_id, "skipped", evidence)
        self._end(tx, task, TaskState.SKIPPED)
        self._close_items(tx, order, task, f"{task.key} was skipped: {evidence}")

    def complete(
        self, tx: Tx, fallout_id: str, evidence: str, arguments: Json | None = None
    ) -> None:
        """Record that a person did a held task; `arguments` are its result.

        A handler with `settle` writes what its step would have written; an item nothing else works on is
        completed, with a note. Raises FALLOUT_NOT_FOUND, FALLOUT_CLOSED.
        """
        order, task = self._resolve(tx, fallout_id, "completed", evidence)
        self._end(tx, task, TaskState.DONE, arguments or {})
        handler: object = self._handlers.get(task.kind)
        if isinstance(handler, Settling):
            handler.settle(tx, task, arguments or {})
        self._close_items(
            tx, self._book.order(tx, order.id), task, f"{task.key} was done by hand: {evidence}"
        )

    # -- for executors

    def claim(self, tx: Tx, task_id: str, owner: str) -> Task | None:
        """Claim one ready task; None when it is not ready (any more)."""
        return self._board.claim(tx, task_id, owner)

    def claim_due(self, tx: Tx, count: int, owner: str) -> list[Task]:
        """Claim up to `count` due tasks, after waking overdue waits and voiding expired leases."""
        self._waits.wake_overdue(tx)
        self._board.void_leases(tx, expired_only=True)
        return self._board.claim_due(tx, count, owner)

    def claim_next(self, tx: Tx, owner: str) -> Task | None:
        """Claim one due task in the transaction that finished another: saves a commit per step."""
        return next(iter(self._board.claim_due(tx, 1, owner)), None)

    def any_due(self, rx: Rx) -> bool:
        """Return whether a task could be claimed now."""
        return self._board.any_due(rx)

    def next_due(self, rx: Rx) -> datetime | None:
        """Return when the next task, wait or lease becomes due by itself (ready tasks apart)."""
        return self._board.next_due(rx)

    def heartbeat(self, tx: Tx, leases: Mapping[str, int]) -> None:
        """Renew leases, given as task id → fence."""
        self._board.heartbeat(tx, leases)

    def void_leases(self, tx: Tx) -> int:
        """Make all claimed tasks ready: for the start of an executor that is the only one."""
        return self._board.void_leases(tx)

    def give_back(self, tx: Tx, task: Task) -> None:
        """Return a claim that was not used."""
        self._board.give_back(tx, task)
        self._announce(tx)

    def finish(self, tx: Tx, task: Task, fence: int, result: Any) -> Outcome:
        """Let the handler record `result`, and apply the outcome, in this transaction.

        Raises LEASE_LOST: the claim is no longer this one; nothing was recorded.
        """
        mine = self._mine(tx, task, fence)
        outcome = self.handler(mine.kind).record(tx, mine, result)
        if isinstance(outcome, Done) and outcome.result is None:
            outcome = Done(result)
        self._apply(tx, mine, outcome)
        return outcome

    def fail(self, tx: Tx, task: Task, fence: int, error: Exception) -> Outcome:
        """Apply the failure of a step: held, or first tried again. Raises LEASE_LOST."""
        mine = self._mine(tx, task, fence)
        outcome = outcome_of(error)
        self._apply(tx, mine, outcome)
        return outcome

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Announce nothing that is due now from this thread: it claims the next task itself."""
        self._quiet.on = True
        try:
            yield
        finally:
            self._quiet.on = False

    # -- inside

    def _mine(self, tx: Tx, task: Task, fence: int) -> Task:
        self._book.lock(tx, task.order_id)
        return self._board.held_by(tx, task.id, fence)

    def _apply(self, tx: Tx, task: Task, outcome: Outcome) -> None:
        match outcome:
            case Done(result):
                journal.note(tx, task.order_id, task.id, "done")
                self._end(tx, task, TaskState.DONE, result)
            case Failed():
                self._failed(tx, task, outcome)
            case Retry() | Wait() | Hold() if task.stopping:
                journal.note(tx, task.order_id, task.id, "stopped")
                self._end(tx, task, TaskState.SKIPPED)
            case Retry():
                self._retried(tx, task, outcome)
            case Wait():
                self._wait(tx, task, outcome)
            case Hold():
                self._hold(tx, task, outcome)

    def _retried(self, tx: Tx, task: Task, retry: Retry) -> None:
        delay, counted = retry.delay_s, retry.delay_s is None
        if delay is None:
            delays = self.settings.retry_delays_s
            failures = self._board.failures(tx, task)
            if failures >= len(delays):
                self._hold(tx, task, Hold(retry.code, retry.cause, retry.remedy, retry.details))
                return
            delay = delays[failures]
        run_at = tx.now + timedelta(seconds=delay)
        journal.note(tx, task.order_id, task.id, "retry", cause=retry.cause, delay_s=delay)
        self._board.again(tx, task, run_at, failed=counted)
        self._announce(tx, timed=True)

    def _wait(self, tx: Tx, task: Task, wait: Wait) -> None:
        journal.note(tx, task.order_id, task.id, "waiting", key=wait.key)
        if self._waits.wait(tx, task, wait):
            self._announce(tx)
        elif wait.due:
            self._announce(tx, timed=True)

    def _hold(self, tx: Tx, task: Task, hold: Hold) -> None:
        journal.note(tx, task.order_id, task.id, "held", code=hold.code)
        self._board.park(tx, task, TaskState.HELD)
        fallout_id = desk.open_fallout(tx, task, hold)
        error = {
            "code": hold.code,
            "explanation": hold.explanation,
            "remedy": hold.remedy,
            "fallout": fallout_id,
        }
        self._book.move_items(
            tx, self._book.order(tx, task.order_id), task.items, State.HELD, error
        )

    def _failed(self, tx: Tx, task: Task, failed: Failed) -> None:
        journal.note(
            tx,
            task.order_id,
            task.id,
            "failed",
            code=failed.code,
            explanation=failed.explanation,
        )
        error = {"code": failed.code, "explanation": failed.explanation}
        self._board.end(tx, task, TaskState.FAILED, error)
        if task.stopping:
            self._release(tx, task.id)
            return
        skipped = self._board.skip_down(tx, task)
        order = self._book.order(tx, task.order_id)
        order = self._book.move_items(tx, order, task.items, State.FAILED, error)
        dependents = {item for each in skipped for item in each.items} - set(task.items)
        self._book.move_items(
            tx,
            order,
            dependents,
            State.FAILED,
            {
                "code": "DEPENDENCY_FAILED",
                "explanation": f"Needs {task.key}, which failed with {failed.code}.",
            },
        )

    def _end(self, tx: Tx, task: Task, state: TaskState, result: Any = None) -> None:
        self._board.end(tx, task, state, result)
        self._release(tx, task.id)

    def _release(self, tx: Tx, task_id: str) -> None:
        self._announce_at(tx, self._board.release(tx, task_id))

    def _resolve(
        self, tx: Tx, fallout_id: str, resolution: Resolution, evidence: str | None
    ) -> tuple[Order, Task]:
        order = self._book.locked(tx, desk.one(tx, fallout_id).order_id)
        found = desk.still_open(desk.one(tx, fallout_id))
        desk.close_fallout(tx, fallout_id, resolution, evidence)
        journal.note(tx, order.id, found.task, resolution, evidence=evidence)
        return order, self._board.task(tx, found.task)

    def _resume_items(self, tx: Tx, order: Order, items: Collection[str]) -> Order:
        """Let held items go on, but for those that another open fallout holds."""
        held = {
            item for each in desk.find(tx, state="open", order_id=order.id) for item in each.items
        }
        return self._book.move_items(
            tx, order, set(items) - held, State.IN_PROGRESS, None, only=(State.HELD,)
        )

    def _close_items(self, tx: Tx, order: Order, task: Task, text: str) -> None:
        order = self._resume_items(tx, order, task.items)
        live = self._board.live_items(tx, order.id)
        for item in order.items:
            if item.id in task.items:
                self._book.update_item(
                    tx,
                    order.id,
                    item.id,
                    state=State.COMPLETED if _ended_by_hand(item, live) else None,
                    result={"note": text},
                )

    def _became_final(self, tx: Tx, order: Order) -> None:
        self.wake(tx, final_key(order.id), {"state": order.state.value})

    def _announce_at(self, tx: Tx, moments: Collection[datetime]) -> None:
        if moments:
            self._announce(tx, timed=max(moments) > tx.now)

    def _announce(self, tx: Tx, *, timed: bool = False) -> None:
        if timed or not getattr(self._quiet, "on", False):
            tx.after_commit(self._tell)

    def _tell(self) -> None:
        self.on_ready()


def outcome_of(error: Exception) -> Outcome:
    """Say what comes of a step that raised: transient errors are tried again, others are held.

    Of an error that is not ours only the class is told: its text may hold a secret.
    """
    if not isinstance(error, TurnupError):
        return Retry(
            cause=f"{type(error).__name__} in the step; the server's log has the traceback",
            code="INTERNAL_ERROR",
            remedy="Report it with the log; retry when the cause is gone.",
            details={"class": type(error).__name__},
        )
    if error.transient:
        return Retry(cause=error.message, code=error.code, details=error.details)
    return Hold(error.code, error.message, details=error.details)


def _ended_by_hand(item: Item, live: Collection[str]) -> bool:
    return item.id not in live and item.state is State.IN_PROGRESS
