"""The words of the order engine: orders, items, tasks, and what a task's step can come to.

Everything here is a value: the ledger makes them from rows, nobody changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from store import Tx

Layer = Literal["com", "som", "rom"]
Json = dict[str, Any]


class State(StrEnum):
    """State of an order or an item, spelled as TMF622, 641 and 652 do (items are never `partial`)."""

    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PENDING = "pending"
    HELD = "held"
    IN_PROGRESS = "inProgress"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"
    PARTIAL = "partial"
    ASSESSING_CANCELLATION = "assessingCancellation"
    PENDING_CANCELLATION = "pendingCancellation"


FINAL = frozenset({State.REJECTED, State.CANCELLED, State.COMPLETED, State.FAILED, State.PARTIAL})
CANCELLING = frozenset({State.ASSESSING_CANCELLATION, State.PENDING_CANCELLATION})


class TaskState(StrEnum):
    """State of a task; `done`, `failed` and `skipped` are its ends."""

    BLOCKED = "blocked"
    READY = "ready"
    LEASED = "leased"
    WAITING = "waiting"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


ENDED = frozenset({TaskState.DONE, TaskState.FAILED, TaskState.SKIPPED})


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to be created; `instance` is the product, service or resource it is about, when known."""

    id: str
    action: str
    body: Json
    instance: str | None = None
    spec: str | None = None


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to be created; `key` is the sender's, unique per layer: the same key is the same order."""

    layer: Layer
    body: Json
    items: tuple[NewItem, ...]
    key: str | None = None
    id: str | None = None
    priority: int = 4
    correlation: str | None = None
    plan_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One item of an order: what was asked (`body`), the delta (`before`, `after`) and what came of it."""

    order_id: str
    id: str
    action: str
    state: State
    instance: str | None
    spec: str | None
    body: Json
    before: Json | None = None
    after: Json | None = None
    result: Json = field(default_factory=dict)
    error: Json | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One order of one layer. `priority`: 0 is served first, 4 last (TMF622 `priority`)."""

    id: str
    layer: Layer
    state: State
    key: str | None
    body: Json
    items: tuple[Item, ...]
    priority: int
    correlation: str | None
    plan: Json | None
    plan_hash: str | None
    created: datetime
    started: datetime | None
    completed: datetime | None
    expected: datetime | None

    def item(self, item_id: str) -> Item:
        """Return an item by its id. Raises KeyError: the order has no such item."""
        for item in self.items:
            if item.id == item_id:
                return item
        raise KeyError(item_id)


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task to be added: `key` is unique in its order (the same key again is ignored).

    `needs` are keys of tasks of the same order that must have ended first; `items` are the ids of the items
    that are held, failed or completed with it.
    """

    key: str
    kind: str
    args: Json = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    run_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A step of an order. `fence` names this claim of it; only its holder can finish.

    `wake` is the payload of the wake that ended a wait (`{}` when it had none), None when nothing woke it;
    `overdue` says that it runs because the wait's due time has passed.
    `attempts` counts all its runs; `stopping` says that its order was told to stop while it ran.
    """

    id: str
    order_id: str
    layer: Layer
    key: str
    kind: str
    args: Json
    items: tuple[str, ...]
    state: TaskState
    attempts: int
    fence: int
    run_at: datetime
    priority: int = 4
    wake: Any | None = None
    overdue: bool = False
    stopping: bool = False
    result: Any | None = None
    owner: str | None = None
    lease_until: datetime | None = None
    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class External:
    """What an outside party has to do: shown as an external task, with an `example` that is accepted."""

    kind: str
    item: str | None
    example: Any
    subject: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """The step is done; `result` is kept with the task (without one, what `act` returned)."""

    result: Json | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again: after `delay_s` as often as the handler likes, or, without it, by the engine's policy.

    When the policy's attempts are used up the task is held with `code`, `remedy` and `details`.
    """

    cause: str
    delay_s: float | None = None
    code: str = "RETRIES_EXHAUSTED"
    remedy: str = ""
    details: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wait:
    """Run again when somebody wakes `key`, or when `due` has passed (then `task.overdue`)."""

    key: str
    due: datetime | None = None
    external: External | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A person has to look: the task and its items are held, and a fallout record is opened."""

    code: str
    explanation: str
    remedy: str = ""
    details: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """Final: the items fail, and so does everything that needed this task."""

    code: str
    explanation: str


Outcome = Done | Retry | Wait | Hold | Failed


@dataclass(frozen=True, slots=True)
class WaitInfo:
    """A task that waits. `id` stays the same when the same task waits for the same key again."""

    id: str
    task: str
    order_id: str
    layer: Layer
    item: str | None
    key: str
    due: datetime | None
    external: External | None
    since: datetime


Resolution = Literal["retried", "skipped", "completed", "stopped"]


@dataclass(frozen=True, slots=True)
class Fallout:
    """A held task as the work queue shows it: cause, what to do, and how it was resolved."""

    id: str
    order_id: str
    task: str
    layer: Layer
    items: tuple[str, ...]
    code: str
    explanation: str
    remedy: str
    details: Json
    state: Literal["open", "closed"]
    created: datetime
    closed: datetime | None = None
    resolution: Resolution | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """What happened to a task (or, with `task` None, to the order) and when."""

    time: datetime
    task: str | None
    event: str
    data: Json


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the engine behaves.

    `retry_delays_s`: seconds before the 2nd, 3rd … attempt of a transient failure (default: 3 attempts
    within 10 s). `lease_s`: a claim not renewed for so long is void. `ageing_s`: one step of priority is
    worth so many seconds of waiting, so that bulk work is late but never starved.
    """

    retry_delays_s: tuple[float, ...] = (2.0, 6.0)
    lease_s: float = 60.0
    ageing_s: float = 60.0


class Handler(Protocol):
    """A kind of step, registered as `kind@n`. `record` runs in the transaction that finishes the task."""

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:
        """Write what the step did, database only, and say what comes next."""
        ...


@runtime_checkable
class Acting(Protocol):
    """A handler that also works outside the database."""

    def act(self, task: Task) -> Any:
        """Do the work, with no transaction open; idempotent; return JSON. May raise."""
        ...


@runtime_checkable
class Settling(Protocol):
    """A handler that wants to know when a person did its step by hand."""

    def settle(self, tx: Tx, task: Task, arguments: Json) -> None:
        """Write what the step would have written; `arguments` are the person's."""
        ...


class OrderObserver(Protocol):
    """Is told, in the same transaction, about each change of an order (one observer per layer)."""

    def order_changed(self, tx: Tx, order: Order, previous: State | None) -> None:
        """Learn of a new order (`previous` None) or of its new state."""
        ...

    def item_changed(self, tx: Tx, order: Order, item: Item, previous: State | None) -> None:
        """Learn of a change of an item; `previous` equals its state when other attributes changed."""
        ...


class Executor(Protocol):
    """Decides when and where ready tasks run. The ledger stays the only truth."""

    def start(self, run_one: Callable[[Task], Task | None]) -> None:
        """Begin to claim tasks and give each to `run_one`; a task it returns is claimed and comes next."""
        ...

    def notify(self) -> None:
        """Learn that there may be something to do; called after commits, from any thread."""
        ...

    def stop(self) -> None:
        """Let what runs finish, claim nothing more, and return when all is quiet."""
        ...


Handlers = Mapping[str, Handler]
Observers = Mapping[Layer, OrderObserver]
