"""The steps of a service order: start → decompose → dispatch (one per line); each is a task of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from catalog.decompose import Desired, ItemDelta, LineDelta, line_order
from catalog.repository import Catalog, Catalogs
from inventory.instances import Cause, Instance
from inventory.instances import get as get_instance
from orders import dispatch
from orders.dispatch import invert, parent_of
from orders.ledger import Ledger
from orders.model import Done, Order, Outcome, State, Task, TaskSpec
from orders.steps import plan_changed
from som import services
from som.decompose import line_delta, lines_of, resource_order
from som.parse import ServiceItem, load_items
from som.states import LIVE, ServiceState
from store import Database, Rx, Tx, new_id
from tmf.ports import ResourceOrdering

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SomParts:
    """What SOM's steps work with."""

    database: Database
    ledger: Ledger
    catalogs: Catalogs
    rom: ResourceOrdering


def gone(rx: Rx, order: Order) -> str | None:
    """Say which service an earlier order ended while this one waited for it."""
    for item in order.items:
        if item.action != "add":
            instance = get_instance(rx, str(item.instance))
            if instance.state not in LIVE:
                return f"{instance.id} of item {item.id} is {instance.state} since an earlier order ended it."
    return None


class Decompose:
    """Work out what each line's RFS become, record what is to be, and make one dispatch per line."""

    def __init__(self, parts: SomParts, simulate: Any) -> None:
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
        plan = plan_order(tx, self._parts.catalogs.view(tx), order)
        record_plan(tx, order, plan)
        self._parts.ledger.update_order(tx, order.id, plan={**(order.plan or {}), "lines": plan})
        hashes = result["children"] if order.plan_hash else {}
        self._parts.ledger.add_tasks(tx, order.id, [_dispatch_spec(line, hashes) for line in plan])
        return Done()


def plan_order(rx: Rx, catalog: Catalog, order: Order) -> list[Json]:
    """Return the plan of an order: one entry per line with its RFS entries; new services get their ids here."""
    lines_ = [
        _Line.plan(rx, catalog, line, items)
        for line, items in lines_of(load_items(rx, catalog, order)).items()
    ]
    after = line_order([line.changes for line in lines_])
    return [{**line.shown, "after": list(after[line.changes.line])} for line in lines_]


def record_plan(tx: Tx, order: Order, plan: Sequence[Json]) -> None:
    """Record the services that are to be made, as reserved."""
    for line in plan:
        for cfs in line["services"]:
            if cfs["action"] == "add":
                services.plan_service(tx, _new_cfs(tx, cfs, line), _cause(order, cfs["item"]))
        for entry in line["entries"]:
            if entry["action"] == "add":
                services.plan_service(
                    tx, _new_rfs(tx, entry, line), _cause(order, entry["items"][0])
                )


def lines(parts: SomParts) -> dispatch.ChildOrders:
    """Return how SOM makes resource orders and records what they made."""
    steps = _Steps(parts)
    return dispatch.ChildOrders(
        layer="som",
        database=parts.database,
        ledger=parts.ledger,
        port=parts.rom,
        build=steps.build,
        invert=steps.invert,
        finish=steps.finish,
        restore=steps.restore,
        undone=steps.undone,
    )


class _Steps:
    def __init__(self, parts: SomParts) -> None:
        self._parts = parts

    def build(self, rx: Rx, task: Task) -> Json | None:
        order = self._parts.ledger.order(rx, task.order_id)
        return child_of(order, self._line(order, task), parent_of(task), task.args.get("planHash"))

    def invert(self, rx: Rx, task: Task, child: Json) -> Json:
        order = self._parts.ledger.order(rx, task.order_id)
        line = self._line(order, task)
        made = {item["id"]: item["resource"]["id"] for item in child["orderItem"]}
        entries = [
            {**entry, "resource": entry["instance"]}
            for entry in invert([{**e, "instance": e["resource"]} for e in line["entries"]], made)
        ]
        return child_of(order, {**line, "entries": entries}, parent_of(task), None) or {}

    def finish(self, tx: Tx, task: Task, child: Json | None) -> None:
        order = self._parts.ledger.order(tx, task.order_id)
        line = self._line(order, task)
        made = {item["id"]: item["resource"] for item in (child or {}).get("orderItem", [])}
        catalog = self._parts.catalogs.view(tx)
        for entry in line["entries"]:
            _finish_rfs(tx, catalog, order, entry, made.get(entry["id"]))
        for cfs in line["services"]:
            _finish_cfs(tx, order, cfs, line)
        _support(tx, line, _cause(order, task.items[0]))
        for item in task.items:
            self._parts.ledger.update_item(tx, order.id, item, state=State.COMPLETED)

    def undone(self, tx: Tx, task: Task, undo: Json) -> None:
        """Keep which resource stands now for each service, and what it exports."""
        order = self._parts.ledger.order(tx, task.order_id)
        plan = dict(order.plan or {})
        catalog = self._parts.catalogs.view(tx)
        made = {item["id"]: item["resource"] for item in undo["orderItem"]}
        remade = {
            entry["service"]: {
                "resource": made[entry["id"]]["id"],
                "exported": _exported(catalog, entry, made[entry["id"]]),
            }
            for entry in self._line(order, task)["entries"]
            if entry["id"] in made and entry["was"]
        }
        plan["remade"] = {**plan.get("remade", {}), **remade}
        self._parts.ledger.update_order(tx, order.id, plan=plan)

    def restore(self, tx: Tx, order_id: str) -> None:
        order = self._parts.ledger.order(tx, order_id)
        plan = order.plan or {}
        for line in plan.get("lines", []):
            for entry in [*line["entries"], *line["services"]]:
                _restore(tx, order, entry, plan.get("remade", {}).get(entry["service"]))

    @staticmethod
    def _line(order: Order, task: Task) -> Json:
        return next(
            line for line in (order.plan or {})["lines"] if line["line"] == task.args["line"]
        )


def child_of(order: Order, line: Json, parent: Json, plan_hash: str | None) -> Json | None:
    """Return a line's resource order, or None when none of its RFS changes."""
    body = resource_order(
        line["entries"],
        line=line["line"],
        place=line["place"],
        order_id=order.id,
        correlation=order.correlation,
        references=order.body.get("externalReference") or [],
    )
    if not body["orderItem"]:
        return None
    return (
        body
        | {"parent": parent, "priority": order.priority}
        | ({"planHash": plan_hash} if plan_hash else {})
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """One line's plan as JSON, and its changes as the rules across lines see them."""

    shown: Json
    changes: LineDelta

    @classmethod
    def plan(cls, rx: Rx, catalog: Catalog, line: str, items: list[ServiceItem]) -> _Line:
        cfs, rfs = services.live(rx, line, services.CFS), services.live(rx, line, services.RFS)
        deltas, desired = line_delta(items, cfs, rfs, catalog.service_spec)
        place = next((i.place for i in items if i.place), None) or next(
            (c.place for c in cfs), None
        )
        was = {instance.id: _snapshot(rx, instance) for instance in [*cfs, *rfs]}
        ids = _entry_ids(deltas)
        wanted = {d.key: d for d in desired}
        shown = {
            "line": line,
            "place": place,
            "services": [_cfs_entry(item, was) for item in items],
            "entries": [_rfs_entry(catalog, d, ids, wanted.get(d.key), was, items) for d in deltas],
        }
        merged = {name: value for item in items for name, value in item.characteristics.items()}
        return cls(shown, LineDelta(line, merged, deltas, desired))


def _entry_ids(deltas: Sequence[ItemDelta]) -> dict[tuple[str, str], str]:
    return {(d.key, d.action): str(number) for number, d in enumerate(deltas, 1)}


def _rfs_entry(
    catalog: Catalog,
    change: ItemDelta,
    ids: Mapping[tuple[str, str], str],
    desired: Desired | None,
    was: Mapping[str, Json],
    items: Sequence[ServiceItem],
) -> Json:
    spec = catalog.service_spec(change.spec, change.version)
    resource = catalog.resource_spec(spec.resource, None) if spec.resource else None
    before = was.get(change.instance or "")
    parents = desired.parents if desired else tuple(item.service for item in items)
    by_service = {item.service: item.id for item in items}
    return {
        "id": ids[change.key, change.action],
        "key": change.key,
        "action": change.action,
        "service": change.instance or new_id("se"),
        "name": spec.name,
        "spec": change.spec,
        "version": change.version,
        "resource": (before["resources"] or [None])[0] if before else None,
        "resourceSpec": {"id": resource.id, "version": resource.version} if resource else None,
        "before": change.before,
        "after": change.after,
        "sequence": list(desired.after) if desired else [],
        "startAt": change.start_at,
        "needs": [ids[need] for need in change.needs],
        "parents": list(parents),
        "items": [by_service[p] for p in parents if p in by_service] or [items[0].id],
        "was": before,
    }


def _cfs_entry(item: ServiceItem, was: Mapping[str, Json]) -> Json:
    return {
        "item": item.id,
        "action": item.action,
        "service": item.service,
        "spec": item.spec.id,
        "version": item.spec.version,
        "name": item.spec.name,
        "key": item.key,
        "characteristics": dict(item.characteristics),
        "was": was.get(item.service),
    }


def _snapshot(rx: Rx, instance: Instance) -> Json:
    return {
        "state": instance.state,
        "characteristics": dict(instance.characteristics),
        "inputs": dict(instance.inputs),
        "spec": instance.spec,
        "version": instance.version,
        "place": instance.place,
        "after": list(instance.after),
        "resources": instance.body.get("resources", []),
        "relations": services.relations(rx, instance.id),
    }


def _new_cfs(tx: Tx, cfs: Json, line: Json) -> Instance:
    return _instance(tx, cfs["service"], services.CFS, cfs, line, cfs["characteristics"], ())


def _new_rfs(tx: Tx, entry: Json, line: Json) -> Instance:
    return _instance(
        tx, entry["service"], services.RFS, entry, line, entry["after"], tuple(entry["sequence"])
    )


def _instance(
    tx: Tx,
    service: str,
    category: str,
    entry: Json,
    line: Json,
    values: Json,
    after: tuple[str, ...],
) -> Instance:
    shown = {name: value for name, value in values.items() if name != "place"}
    return Instance(
        id=service,
        kind="service",
        category=category,
        spec=entry["spec"],
        version=entry["version"],
        name=entry["name"],
        state=ServiceState.RESERVED,
        characteristics=shown,
        place=line["place"],
        line=line["line"],
        key=entry["key"],
        inputs=values,
        after=after,
        body={},
        created=tx.now,
        changed=tx.now,
    )


def _finish_rfs(tx: Tx, catalog: Catalog, order: Order, entry: Json, resource: Json | None) -> None:
    cause = _cause(order, entry["items"][0])
    if entry["action"] == "delete":
        services.terminate(tx, entry["service"], cause)
    elif entry["action"] != "noChange":
        old = get_instance(tx, entry["service"])
        exported = _exported(catalog, entry, resource)
        shown = {name: value for name, value in entry["after"].items() if name != "place"}
        body = {
            **old.body,
            "resources": [resource["id"]] if resource else old.body.get("resources", []),
        }
        services.activate(
            tx,
            entry["service"],
            cause,
            characteristics={**shown, **exported},
            inputs=entry["after"],
            after=tuple(entry["sequence"]),
            version=entry["version"],
            body=body,
        )


def _exported(catalog: Catalog, entry: Json, resource: Json | None) -> Json:
    if not resource or not entry["resourceSpec"]:
        return {}
    spec = catalog.resource_spec(entry["resourceSpec"]["id"], entry["resourceSpec"]["version"])
    exported = {c.name for c in spec.characteristics if c.export}
    values = {c["name"]: c["value"] for c in resource.get("resourceCharacteristic", [])}
    return {name: value for name, value in values.items() if name in exported}


def _finish_cfs(tx: Tx, order: Order, cfs: Json, line: Json) -> None:
    cause = _cause(order, cfs["item"])
    if cfs["action"] == "delete":
        services.terminate(tx, cfs["service"], cause)
        return
    services.activate(
        tx,
        cfs["service"],
        cause,
        characteristics=cfs["characteristics"],
        inputs=cfs["characteristics"],
        place=line["place"],
        version=cfs["version"],
    )


def _support(tx: Tx, line: Json, cause: Cause) -> None:
    """Record what each CFS of the line relies on, those included of which only an RFS was replaced."""
    standing = {rfs.id for rfs in services.live(tx, line["line"], services.RFS)}
    for cfs in services.live(tx, line["line"], services.CFS):
        mine = {e["service"] for e in line["entries"] if cfs.id in e["parents"]}
        services.support(tx, cfs.id, mine & standing, cause)


def _restore(tx: Tx, order: Order, entry: Json, remade: Json | None) -> None:
    cause = _cause(order, entry.get("item") or entry["items"][0])
    current = get_instance(tx, entry["service"])
    was = entry["was"]
    if was is None:
        services.terminate(tx, current.id, cause)
    elif entry["action"] != "noChange":
        resources = [remade["resource"]] if remade else was["resources"]
        body = {**current.body, "resources": resources}
        services.put_back(
            tx,
            replace(
                current,
                state=was["state"],
                characteristics=was["characteristics"] | (remade["exported"] if remade else {}),
                inputs=was["inputs"],
                spec=was["spec"],
                version=was["version"],
                place=was["place"],
                after=tuple(was["after"]),
                body=body,
            ),
            was["relations"],
            cause,
        )


def _cause(order: Order, item: str | None) -> Cause:
    return Cause(order_id=order.id, item_id=item, layer="som")


def _dispatch_spec(line: Json, hashes: Mapping[str, str]) -> TaskSpec:
    args = {"line": line["line"]}
    if line["line"] in hashes:
        args["planHash"] = hashes[line["line"]]
    return TaskSpec(
        key=f"line:{line['line']}",
        kind="som.dispatch@1",
        args=args,
        needs=tuple(f"line:{need}" for need in line.get("after", ())),
        items=tuple(cfs["item"] for cfs in line["services"]),
    )
