"""Service checks: what a resource specification wants to be true of the network, beyond its configuration.

A check with `gates: false` lets the order complete as `not_evaluated`; a watch task sets the verdict later and
falls out when it is overdue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from activation.api import Activation
from catalog.expression import Expression
from inventory.instances import Cause, Instance, get, put
from inventory.lineage.lifecycle import gone
from orders.ledger import Ledger
from orders.model import Done, Hold, Outcome, Retry, Task, TaskSpec
from rom.context import context
from rom.model import Action, ResourceItem
from rom.parse import of_role
from store import Database, Rx, Tx

Json = dict[str, Any]
WATCH_EVERY_S = 30.0


def service_checks(rx: Rx, items: Sequence[ResourceItem]) -> list[Json]:
    """Return the service checks of items that are set: {resource, item, device, check, values, gates, within}."""
    checks = []
    for item in items:
        if item.action in (Action.ADD, Action.MODIFY):
            checks += _of_item(rx, item)
    return checks


def watch_specs(task: Task, checks: Sequence[Json]) -> list[TaskSpec]:
    """Return a watch for each check that could not be decided yet."""
    return [
        TaskSpec(
            key=f"watch:{check['resource']}:{check['check']}",
            kind="rom.watch@1",
            args={"check": check},
            needs=(task.key,),
        )
        for check in checks
        if check["verdict"] != "pass"
    ]


class Watch:
    """Set a verdict when it can be set; fall out when it is overdue; end with the resource."""

    def __init__(self, database: Database, ledger: Ledger, activation: Activation) -> None:
        self._database = database
        self._ledger = ledger
        self._activation = activation

    def act(self, task: Task) -> Any:
        with self._database.read() as rx:
            instance = get(rx, task.args["check"]["resource"])
        if gone(instance.state):
            return None
        return self._activation.verify_state([task.args["check"]])[0]

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:
        if result is None:
            return Done({"verdict": "ended"})
        keep_verdict(tx, result, task.order_id)
        if result["verdict"] == "pass":
            return Done(result)
        if self._overdue(tx, task):
            return Hold(
                code="VERIFICATION_OVERDUE",
                explanation=f"{result['check']} of {result['resource']} is still {result['verdict']}: {result['detail']}",
                remedy="Find out why (is the ONT plugged and powered?), then retry.",
                details=result,
            )
        return Retry(cause=f"{result['check']}: {result['verdict']}", delay_s=WATCH_EVERY_S)

    def _overdue(self, tx: Tx, task: Task) -> bool:
        within = timedelta(seconds=float(task.args["check"]["within"]))
        completed = self._ledger.order(tx, task.order_id).completed
        return completed is not None and tx.now > completed + within


def keep_verdict(tx: Tx, check: Json, order_id: str) -> None:
    """Keep a verdict on the resource it is about."""
    instance = get(tx, check["resource"])
    verdicts = [v for v in instance.body.get("verification", []) if v["check"] != check["check"]]
    shown = {name: check[name] for name in ("check", "verdict", "detail")}
    body = {**instance.body, "verification": [*verdicts, shown]}
    if body != instance.body:
        put(
            tx,
            replace(instance, body=body),
            Cause(order_id=order_id, item_id=check["item"], layer="rom"),
        )


def _of_item(rx: Rx, item: ResourceItem) -> list[Json]:
    scope = context(
        item.spec, item.after or {}, item.place, lambda role: _values(of_role(rx, item.line, role))
    )
    return [
        {
            "resource": item.resource,
            "item": item.id,
            "check": name,
            "expect": expected,
            "device": str(Expression(verify.device).evaluate(scope)),
            "values": {
                key: Expression(text).evaluate(scope) for key, text in verify.values.items()
            },
            "gates": verify.gates,
            "within": verify.within_seconds,
        }
        for verify in item.spec.verify
        if verify.on == "service"
        for name, expected in verify.checks.items()
    ]


def _values(instance: Instance | None) -> Mapping[str, Any] | None:
    return instance.characteristics if instance else None
