"""The steps of a product order: start → qualify → decompose → dispatch; each is a task of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from catalog.repository import Catalog, Catalogs
from com.decompose import choose_technology, product_delta, service_order
from com.parse import QUALIFIED, ProductItem, load_items
from com.products import store_product
from com.states import LIVE, ProductState
from inventory.instances import Cause, Instance
from inventory.instances import get as get_instance
from orders.dispatch import ChildOrders, invert, parent_of
from orders.ledger import Ledger
from orders.model import Done, Hold, Order, Outcome, State, Task, TaskSpec
from orders.steps import plan_changed
from orders.wire import instant
from store import Database, Rx, Tx
from tmf.ports import ServiceOrdering

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ComParts:
    """What COM's steps work with."""

    database: Database
    ledger: Ledger
    catalogs: Catalogs
    som: ServiceOrdering


class Qualify:
    """Ask below what each place can have and choose the access technology."""

    def __init__(self, parts: ComParts) -> None:
        self._parts = parts

    def act(self, task: Task) -> Json:
        with self._parts.database.read() as rx:
            items = self._items(rx, task)
        return {
            item.id: self._parts.som.qualify(str(item.place), {})
            for item in items
            if item.needs_qualification
        }

    def record(self, tx: Tx, task: Task, result: Json) -> Outcome:
        chosen = {}
        for item in self._items(tx, task):
            if item.id in result:
                technology, refused = choose_technology(item, result[item.id]["technologies"])
                if technology is None:
                    return no_access(item, refused, result[item.id])
                chosen[item.id] = {QUALIFIED: technology, "refused": refused}
        order = self._parts.ledger.order(tx, task.order_id)
        self._parts.ledger.update_order(
            tx, order.id, plan={**(order.plan or {}), "qualification": chosen}
        )
        spec = TaskSpec(key="decompose", kind="com.decompose@1", items=task.items)
        self._parts.ledger.add_tasks(tx, order.id, [spec])
        return Done()

    def _items(self, rx: Rx, task: Task) -> tuple[ProductItem, ...]:
        return load_items(
            rx, self._parts.catalogs.view(rx), self._parts.ledger.order(rx, task.order_id)
        )


def gone(rx: Rx, order: Order) -> str | None:
    """Say which product an earlier order ended while this one waited for it."""
    for item in order.items:
        if item.action != "add":
            instance = get_instance(rx, str(item.instance))
            if instance.state not in LIVE:
                return f"{instance.id} of item {item.id} is {instance.state} since an earlier order ended it."
    return None


class Decompose:
    """Work out what each product's services become, record the products as pending, and dispatch."""

    def __init__(self, parts: ComParts, simulate: Any) -> None:
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
        products = plan_order(tx, self._parts.catalogs.view(tx), order)
        for product in products:
            self._record(tx, order, product)
        self._parts.ledger.update_order(
            tx, order.id, plan={**(order.plan or {}), "products": products}
        )
        args = {"planHash": result["children"]["service"]} if order.plan_hash else {}
        spec = TaskSpec(key="service", kind="com.dispatch@1", args=args, items=task.items)
        self._parts.ledger.add_tasks(tx, order.id, [spec])
        return Done()

    def _record(self, tx: Tx, order: Order, product: Json) -> None:
        cause = _cause(order, product)
        if product["action"] == "add":
            store_product(tx, _new_product(tx, product), cause, "add")
        elif product["action"] == "delete":
            old = get_instance(tx, product["product"])
            store_product(tx, replace(old, state=ProductState.PENDING_TERMINATE), cause, "delete")


def no_access(item: ProductItem, refused: list[dict[str, str]], answer: Mapping[str, Any]) -> Hold:
    """Return the hold of an item whose place cannot have any of the offering's technologies."""
    why = (
        "; ".join(f"{entry['technology']}: {entry['why']}" for entry in refused)
        or "nothing reaches it"
    )
    return Hold(
        code="NO_ACCESS_PATH",
        explanation=f"Place {item.place} cannot have {item.offering.name} ({why}).",
        remedy="Connect the place (topology import) or free capacity and retry, or cancel the order.",
        details={"place": item.place, "refused": refused, "qualification": dict(answer)},
    )


def plan_order(rx: Rx, catalog: Catalog, order: Order) -> list[Json]:
    """Return the plan of an order: one entry per product with its service entries."""
    chosen = (order.plan or {}).get("qualification", {})
    items = load_items(rx, catalog, order)
    return [_plan_product(rx, catalog, _qualified(item, chosen)) for item in items]


def services(parts: ComParts) -> ChildOrders:
    """Return how COM makes service orders and records what they made."""
    steps = _Steps(parts)
    return ChildOrders(
        layer="com",
        database=parts.database,
        ledger=parts.ledger,
        port=parts.som,
        build=steps.build,
        invert=steps.invert,
        finish=steps.finish,
        restore=steps.restore,
        undone=steps.undone,
    )


def child_of(
    order: Order, products: Sequence[Json], parent: Json, plan_hash: str | None
) -> Json | None:
    """Return the service order, or None when no service changes."""
    entries = [entry for product in products for entry in product["entries"]]
    body = service_order(entries, order_id=order.id, correlation=order.correlation)
    if not body["serviceOrderItem"]:
        return None
    return (
        body
        | {"parent": parent, "priority": str(order.priority)}
        | ({"planHash": plan_hash} if plan_hash else {})
    )


class _Steps:
    def __init__(self, parts: ComParts) -> None:
        self._parts = parts

    def build(self, rx: Rx, task: Task) -> Json | None:
        order = self._parts.ledger.order(rx, task.order_id)
        return child_of(
            order, (order.plan or {})["products"], parent_of(task), task.args.get("planHash")
        )

    def invert(self, rx: Rx, task: Task, child: Json) -> Json:
        order = self._parts.ledger.order(rx, task.order_id)
        made = {item["id"]: item["service"]["id"] for item in child["serviceOrderItem"]}
        products = [
            {**product, "entries": invert(product["entries"], made)}
            for product in (order.plan or {})["products"]
        ]
        return child_of(order, products, parent_of(task), None) or {}

    def finish(self, tx: Tx, task: Task, child: Json | None) -> None:
        order = self._parts.ledger.order(tx, task.order_id)
        made = {
            item["id"]: item["service"]["id"] for item in (child or {}).get("serviceOrderItem", [])
        }
        for product in (order.plan or {})["products"]:
            _finish_product(tx, order, product, made)
            self._parts.ledger.update_item(tx, order.id, product["item"], state=State.COMPLETED)

    def undone(self, tx: Tx, task: Task, undo: Json) -> None:
        """Keep which services stand now for those that the order had ended."""
        order = self._parts.ledger.order(tx, task.order_id)
        plan = dict(order.plan or {})
        made = {item["id"]: item["service"]["id"] for item in undo["serviceOrderItem"]}
        remade = {
            entry["instance"]: made[entry["id"]]
            for product in plan["products"]
            for entry in product["entries"]
            if entry["action"] == "delete"
        }
        self._parts.ledger.update_order(tx, order.id, plan={**plan, "remade": remade})

    def restore(self, tx: Tx, order_id: str) -> None:
        order = self._parts.ledger.order(tx, order_id)
        plan = order.plan or {}
        for product in plan.get("products", []):
            current = get_instance(tx, product["product"])
            state = ProductState.CANCELLED if product["action"] == "add" else product["was"]
            body = _with_remade(current.body, plan.get("remade", {}))
            if (current.state, current.body) != (state, body):
                store_product(
                    tx,
                    replace(current, state=state, body=body),
                    _cause(order, product),
                    product["action"],
                )


def _qualified(item: ProductItem, chosen: Mapping[str, Mapping[str, Any]]) -> ProductItem:
    return item.with_technology(chosen[item.id][QUALIFIED]) if item.id in chosen else item


def _plan_product(rx: Rx, catalog: Catalog, item: ProductItem) -> Json:
    instance = None if item.action == "add" else get_instance(rx, item.product)
    children = instance.body.get("children", []) if instance else []
    deltas, desired = product_delta(item, children, catalog.service_spec)
    ids = {(d.key, d.action): f"{item.id}.{number}" for number, d in enumerate(deltas, 1)}
    after = {d.key: list(d.after) for d in desired}
    return {
        "item": item.id,
        "action": item.action,
        "product": item.product,
        "offering": {
            "id": item.offering.id,
            "version": item.offering.version,
            "name": item.offering.name,
        },
        "price": item.offering.price_body,
        "term": item.offering.term_body,
        "spec": item.spec.id,
        "version": item.spec.version,
        "place": item.place,
        "characteristics": dict(item.characteristics),
        "relatedParty": list(item.related_party),
        "was": instance.state if instance else None,
        "entries": [
            {
                "id": ids[d.key, d.action],
                "item": item.id,
                "line": item.product,
                "key": d.key,
                "action": d.action,
                "instance": d.instance,
                "spec": d.spec,
                "version": d.version,
                "before": d.before,
                "after": d.after,
                "sequence": after.get(d.key, []),
                "needs": [ids[need] for need in d.needs],
                "place": item.place,
            }
            for d in deltas
        ],
    }


def _new_product(tx: Tx, product: Json) -> Instance:
    return Instance(
        id=product["product"],
        kind="product",
        category=None,
        spec=product["spec"],
        version=product["version"],
        name=product["offering"]["name"],
        state=ProductState.PENDING_ACTIVE,
        characteristics=product["characteristics"],
        place=product["place"],
        line=product["product"],
        key=None,
        inputs=product["characteristics"],
        after=(),
        body={
            "offering": product["offering"],
            "relatedParty": product["relatedParty"],
            "children": [],
        },
        created=tx.now,
        changed=tx.now,
    )


def _finish_product(tx: Tx, order: Order, product: Json, made: Mapping[str, str]) -> None:
    cause = _cause(order, product)
    old = get_instance(tx, product["product"])
    if product["action"] == "delete":
        body = {**old.body, "children": [], "terminationDate": instant(tx.now)}
        store_product(tx, replace(old, state=ProductState.TERMINATED, body=body), cause, "delete")
        return
    children = [
        {
            "key": e["key"],
            "service": made.get(e["id"]) or e["instance"],
            "spec": e["spec"],
            "version": e["version"],
            "inputs": e["after"],
            "after": e["sequence"],
        }
        for e in product["entries"]
        if e["action"] != "delete"
    ]
    body = {
        **old.body,
        "children": children,
        "offering": product["offering"],
        "productPrice": product["price"],
        "productTerm": product["term"],
        "startDate": old.body.get("startDate") or instant(tx.now),
    }
    store_product(
        tx,
        replace(
            old,
            state=ProductState.ACTIVE,
            name=product["offering"]["name"],
            spec=product["spec"],
            version=product["version"],
            place=product["place"],
            characteristics=product["characteristics"],
            inputs=product["characteristics"],
            body=body,
        ),
        cause,
        product["action"],
    )


def _with_remade(body: Mapping[str, Any], remade: Mapping[str, str]) -> Json:
    children = [
        {**child, "service": remade.get(child["service"], child["service"])}
        for child in body.get("children", [])
    ]
    return {**body, "children": children}


def _cause(order: Order, product: Json) -> Cause:
    return Cause(order_id=order.id, item_id=product["item"], layer="com")
