"""The steps of a resource order: start → assign → (change | external | record)… ; each is a task of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from activation.api import Activation
from activation.model import ChangeOutcome, ChangeRequest, ContributionChange
from catalog.expression import Expression
from catalog.repository import Catalogs
from inventory.instances import get as get_instance
from inventory.lineage.lifecycle import gone as ended
from orders.ledger import Ledger
from orders.model import (
    Done,
    External,
    Hold,
    Item,
    Order,
    Outcome,
    Retry,
    State,
    Task,
    TaskSpec,
    Wait,
)
from orders.steps import plan_changed
from orders.wire import characteristics
from rom import resources
from rom.assign import Assigned, Assigner, Assignment
from rom.context import context
from rom.decompose import CHANGE, EXTERNAL
from rom.model import Action, Group, ResourceItem
from rom.parse import load_items, of_role
from rom.verify import service_checks, watch_specs
from store import Database, Rx, Tx, from_text

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RomParts:
    """What ROM's steps work with."""

    database: Database
    ledger: Ledger
    catalogs: Catalogs
    activation: Activation


def gone(rx: Rx, order: Order) -> str | None:
    """Say which resource an earlier order ended while this one waited for it."""
    for item in order.items:
        if item.action != Action.ADD:
            instance = get_instance(rx, str(item.instance))
            if ended(instance.state):
                return (
                    f"{instance.id} of item {item.id} is released since an earlier order ended it."
                )
    return None


class Assign:
    """Assign everything in one transaction; when the order carries a plan hash, plan it again first."""

    def __init__(self, parts: RomParts, simulate: Any) -> None:
        self._parts = parts
        self._simulate = simulate

    def act(self, task: Task) -> Any:
        with self._parts.database.read() as rx:
            order = self._parts.ledger.order(rx, task.order_id)
        return self._simulate(order) if order.plan_hash else None

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:
        order = self._parts.ledger.order(tx, task.order_id)
        if order.plan_hash and result["planHash"] != order.plan_hash:
            return plan_changed(result)
        assignment = assign_order(tx, self._parts, order)
        hashes = result["changes"] if order.plan_hash else {}
        if order.plan_hash and assignment.allocations() != result["allocations"]:
            return Retry(cause="allocations changed between plan and assignment", delay_s=0.1)
        for assigned in assignment.items:
            self._keep(tx, order, assigned)
        starts = {i.id: str(i.body["startAt"]) for i in order.items if i.body.get("startAt")}
        tasks = [_task(group, hashes, starts) for group in assignment.groups]
        self._parts.ledger.add_tasks(tx, order.id, tasks)
        self._finish_unchanged(tx, order, assignment)
        return Done()

    def _keep(self, tx: Tx, order: Order, assigned: Assigned) -> None:
        item = assigned.item
        if item.action is Action.ADD:
            resources.reserve(tx, assigned, order.id)
        elif item.action is Action.MODIFY:
            resources.promise(tx, assigned, order.id)
        shown = dict(item.body or {})
        shown["resource"] = {
            **shown["resource"],
            "resourceCharacteristic": characteristics(
                item.after if item.after is not None else item.before or {}
            ),
        }
        self._parts.ledger.update_item(
            tx,
            order.id,
            item.id,
            before=_plain(item.before),
            after=_plain(item.after),
            body=shown,
            result={
                "allocations": dict(assigned.allocations),
                "held": dict(assigned.held),
                "reasons": dict(assigned.reasons),
            },
        )

    def _finish_unchanged(self, tx: Tx, order: Order, assignment: Assignment) -> None:
        for assigned in assignment.items:
            if assigned.item.action is Action.NO_CHANGE:
                self._parts.ledger.update_item(
                    tx, order.id, assigned.item.id, state=State.COMPLETED
                )


class Change:
    """Configure and verify one group of items on its devices, then sweep shared objects nobody uses any more."""

    def __init__(self, parts: RomParts) -> None:
        self._parts = parts

    def settle(self, tx: Tx, task: Task, arguments: Any) -> None:  # noqa: ARG002
        """Bring the inventory to what the task would have brought (it was completed by hand)."""
        settle_items(tx, self._parts, task)

    def act(self, task: Task) -> Json:
        expect = task.args.get("planHash") or task.args.get("expect")
        outcome = self._parts.activation.run(request_of(task, "contributions"), expect=expect)
        if outcome.ok:
            outcome = self._sweep(task, outcome)
        checks = self._checks(task) if outcome.ok else []
        return {"outcome": outcome_json(outcome), "checks": checks}

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:
        if result["outcome"]["code"]:
            return trouble(result["outcome"])
        complete_items(tx, self._parts, task, checks=result["checks"])
        return Done({"batch": result["outcome"]["batch"]})

    def _sweep(self, task: Task, outcome: ChangeOutcome) -> ChangeOutcome:
        devices = sorted({c["device"] for c in task.args["contributions"]})
        with self._parts.database.read() as rx:
            request = self._parts.activation.sweep(
                rx, f"{task.order_id}:{task.args['group']}:sweep", devices
            )
        if request is None:
            return outcome
        swept = self._parts.activation.run(request)
        return outcome if swept.ok else swept

    def _checks(self, task: Task) -> list[Json]:
        with self._parts.database.read() as rx:
            items = self._items(rx, task)
            wanted = service_checks(rx, items)
        return self._parts.activation.verify_state(wanted) if wanted else []

    def _items(self, rx: Rx, task: Task) -> list[ResourceItem]:
        order = self._parts.ledger.order(rx, task.order_id)
        catalog = self._parts.catalogs.view(rx)
        return [item for item in load_items(rx, catalog, order) if item.id in task.items]


class ExternalWork:
    """Wait for an external party (a delivery, a visit), then record what it reports."""

    def __init__(self, parts: RomParts) -> None:
        self._parts = parts

    def settle(self, tx: Tx, task: Task, arguments: Any) -> None:  # noqa: ARG002
        """Bring the inventory to what the task would have brought (it was completed by hand)."""
        settle_items(tx, self._parts, task)

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:  # noqa: ARG002
        if task.overdue:
            return Hold(
                code="EXTERNAL_OVERDUE",
                explanation=f"Nobody reported the end of {task.key} in time.",
                remedy="Ask the external party; retry to go on waiting, or complete the task.",
            )
        if task.wake is None:
            return self._wait(tx, task)
        complete_items(tx, self._parts, task, checks=[])
        return Done({"reported": task.wake})

    def _wait(self, tx: Tx, task: Task) -> Wait:
        order = self._parts.ledger.order(tx, task.order_id)
        catalog = self._parts.catalogs.view(tx)
        (item,) = (item for item in load_items(tx, catalog, order) if item.id in task.items)
        work = item.spec.external
        assert work is not None
        values = item.after if item.after is not None else item.before or {}
        scope = context(item.spec, values, item.place, lambda role: _role(tx, item, role))
        example = {name: Expression(text).evaluate(scope) for name, text in work.example.items()}
        return Wait(
            key=f"external:{order.id}:{item.id}",
            due=tx.now + (work.due_in or timedelta(days=30)),
            external=External(
                kind=work.kind,
                item=item.id,
                example=example,
                subject={
                    "line": item.line,
                    "resource": item.resource,
                    "place": item.place,
                    "action": item.action.value,
                },
            ),
        )


class Record:
    """Items that configure nothing: only the inventory changes."""

    def __init__(self, parts: RomParts) -> None:
        self._parts = parts

    def settle(self, tx: Tx, task: Task, arguments: Any) -> None:  # noqa: ARG002
        """Bring the inventory to what the task would have brought (it was completed by hand)."""
        settle_items(tx, self._parts, task)

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:  # noqa: ARG002
        complete_items(tx, self._parts, task, checks=[])
        return Done()


def assign_order(tx: Tx, parts: RomParts, order: Order) -> Assignment:
    """Assign all items of an order (also in a dry run)."""
    items = load_items(tx, parts.catalogs.view(tx), order)
    held = {item.id: resources.held_by(tx, item.resource) for item in items}
    return Assigner(tx, order.id).assign(items, held)


def complete_items(tx: Tx, parts: RomParts, task: Task, *, checks: list[Json]) -> None:
    """Bring the inventory to what the task's items say and complete them."""
    settle_items(tx, parts, task)
    for item in task.items:
        result = {"checks": checks} if checks else {}
        parts.ledger.update_item(tx, task.order_id, item, state=State.COMPLETED, result=result)
    parts.ledger.add_tasks(tx, task.order_id, watch_specs(task, checks))


def settle_items(tx: Tx, parts: RomParts, task: Task) -> None:
    """Commission or retire the resources of the task's items."""
    order = parts.ledger.order(tx, task.order_id)
    stored = {item.id: item for item in order.items}
    for item in load_items(tx, parts.catalogs.view(tx), order):
        if item.id in task.items:
            settle_item(tx, order.id, assigned_of(item, stored[item.id]))


def settle_item(tx: Tx, order_id: str, assigned: Assigned) -> None:
    """Commission or retire the resource of one item."""
    if assigned.item.action is Action.DELETE:
        resources.retire(tx, assigned, order_id)
    else:
        resources.commission(tx, assigned, order_id)


def assigned_of(item: ResourceItem, stored: Item) -> Assigned:
    """Return an item with what the ledger keeps of its assignment."""
    return Assigned(
        replace(item, before=stored.before, after=stored.after),
        stored.result.get("allocations", {}),
        stored.result.get("held", {}),
        stored.result.get("reasons", {}),
    )


def request_of(task: Task, which: str, suffix: str = "") -> ChangeRequest:
    """Return the change request that a task carries; its id is the same after every restart."""
    return ChangeRequest(
        id=f"{task.order_id}:{task.args['group']}{suffix}",
        order_id=task.order_id,
        kind="change",
        contributions=tuple(ContributionChange(**c) for c in task.args[which]),
    )


def outcome_json(outcome: ChangeOutcome) -> Json:
    """Return an outcome as JSON for the ledger."""
    return {
        "batch": outcome.batch,
        "code": outcome.code,
        "explanation": outcome.explanation,
        "remedy": outcome.remedy,
        "transient": outcome.transient,
        "details": dict(outcome.details),
    }


def trouble(outcome: Json) -> Outcome:
    """Say what comes of a change that did not succeed: another try, or a person."""
    if outcome["transient"]:
        return Retry(
            cause=outcome["explanation"],
            code=outcome["code"],
            remedy=outcome["remedy"],
            details=outcome["details"],
        )
    if "changeHash" in outcome["details"]:
        return _change_differs(outcome)
    return Hold(outcome["code"], outcome["explanation"], outcome["remedy"], outcome["details"])


def _change_differs(outcome: Json) -> Hold:
    shown = outcome["details"]["changeHash"]
    return Hold(
        outcome["code"],
        outcome["explanation"],
        f"Look at the new edits and retry with planHash {shown}, or cancel.",
        outcome["details"] | {"planHash": shown},
    )


def group_args(group: Group) -> Json:
    """Return what a task keeps of a group."""
    return {
        "group": group.key,
        "contributions": [asdict(c) for c in group.contributions],
        "undo": [asdict(c) for c in group.undo],
        "needs": list(group.needs),
    }


def _task(group: Group, hashes: Mapping[str, str], starts: Mapping[str, str]) -> TaskSpec:
    kind = {CHANGE: "rom.change@1", EXTERNAL: "rom.external@1"}.get(group.kind, "rom.record@1")
    args = group_args(group) | ({"expect": hashes[group.key]} if group.key in hashes else {})
    windows = [from_text(starts[item]) for item in group.items if item in starts]
    return TaskSpec(
        key=group.key,
        kind=kind,
        args=args,
        needs=group.needs,
        items=group.items,
        run_at=max(windows, default=None),
    )


def _plain(values: Mapping[str, Any] | None) -> Json | None:
    return None if values is None else dict(values)


def _role(rx: Rx, item: ResourceItem, role: str) -> Mapping[str, Any] | None:
    instance = of_role(rx, item.line, role)
    return instance.characteristics if instance else None
