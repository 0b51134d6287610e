"""`turnup order`: submit, follow, simulate and cancel orders of any layer."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from store.errors import NotFound
from turnup.cli._client import Client, ServerOption, segment
from turnup.cli._plan import print_plan
from turnup.cli._print import Output, OutputOption, print_json, print_note, print_table, show
from turnup.errors import WrongUsage
from turnup.orderfile import API, items_of, layer_of, read_order

app = typer.Typer(help="Orders of all layers.", no_args_is_help=True)
FINAL = ("completed", "failed", "partial", "cancelled", "rejected")
COLUMNS = ("id", "state", "orderDate:ORDERED", "completionDate:COMPLETED")
ITEMS = ("id:ITEM", "action", "state", "what", "instance")
PACE_S = 0.2
LAST_PAGE = 500
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Put into the file's ${KEY}"),
]
FileArgument = Annotated[
    Path, typer.Argument(help="JSON body of a TMF622, 641 or 652 order; - for stdin")
]


@app.command("submit")
def submit(
    file: FileArgument,
    values: SetOption = None,
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="HASH", help="planHash of a simulation: send that or hold"),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until the order has ended or is held")
    ] = False,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Submit an order; --wait follows it (exit 1 unless it completes)."""
    body = read_order(file, values or [])
    if plan:
        body["planHash"] = plan
    client = Client(server)
    order = client.post(API[layer_of(body)], body)
    if wait:
        order = follow(client, layer_of(body), order["id"])
    _print(order, output)
    if order["state"] == "rejected" or (wait and order["state"] != "completed"):
        raise typer.Exit(1)


@app.command("simulate")
def simulate(
    file: FileArgument,
    values: SetOption = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what an order would allocate and send to each device; nothing is kept or sent."""
    body = read_order(file, values or [])
    answer = Client(server).post("/turnup/v1/simulations", {layer_of(body): body})
    if output is Output.JSON:
        print_json(answer)
        return
    print_plan(answer["allocations"], answer["devices"], answer.get("reasons", ()))
    typer.echo()
    for warning in answer["warnings"]:
        print_note(f"warning: {warning}", indent="")
    typer.echo(f"planHash {answer['planHash'] or 'none: the plan is not complete'}")


@app.command("show")
def show_order(
    order_id: str,
    tree: Annotated[
        bool, typer.Option("--tree", help="The whole chain that it is part of")
    ] = False,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show one order of any layer with its items, or with --tree the whole chain."""
    client = Client(server)
    if not tree:
        _print(find(client, order_id)[1], output)
        return
    trace = client.get(f"/turnup/v1/trace/{segment(order_id)}")
    if output is Output.JSON:
        print_json(trace)
    else:
        _tree(trace["root"], 0)


@app.command("list")
def list_orders(
    layer: Annotated[
        str, typer.Option(help="productOrder, serviceOrder or resourceOrder")
    ] = "productOrder",
    state: Annotated[str | None, typer.Option(help="Only orders in this state")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LAST_PAGE, help="At most so many")] = 100,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many")] = 0,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List orders, the newest first."""
    if layer not in API:
        raise WrongUsage(f"--layer {layer}: use one of {', '.join(API)}.")
    orders = Client(server).get(API[layer], state=state, limit=limit, offset=offset)
    if output is Output.JSON:
        print_json(orders)
        return
    print_table([{**order, "items": len(items_of(order))} for order in orders], (*COLUMNS, "items"))


@app.command("cancel")
def cancel(
    order_id: str,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why")] = "",
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Ask for the cancellation of an order: what was done is undone."""
    client = Client(server)
    layer, _ = find(client, order_id)
    name = "cancel" + layer[0].upper() + layer[1:]
    path = f"{API[layer].removesuffix(layer)}{name}"
    body = {layer: {"id": order_id}} | ({"cancellationReason": reason} if reason else {})
    answer = client.post(path, body)
    show(answer, output, ("id", "state", "requestedCancellationDate:REQUESTED"))


def find(client: Client, order_id: str) -> tuple[str, dict[str, Any]]:
    """Return an order and its layer's name, whichever layer it is of."""
    for layer, path in API.items():
        if (order := client.find(f"{path}/{segment(order_id)}")) is not None:
            return layer, order
    raise OrderUnknown(
        f"No order {order_id} on this server; `turnup order list` shows what there is."
    )


class OrderUnknown(NotFound):
    """No layer of the server has this order."""

    code = "ORDER_NOT_FOUND"
    reason = "There is no such order"


def follow(client: Client, layer: str, order_id: str) -> dict[str, Any]:
    """Wait until an order has ended or is held, printing each new state on stderr."""
    state = None
    while True:
        order: dict[str, Any] = client.get(f"{API[layer]}/{segment(order_id)}")
        if order["state"] != state:
            state = order["state"]
            print(f"{order_id} {state}", file=sys.stderr)  # noqa: T201
        if state in (*FINAL, "held"):
            return order
        time.sleep(PACE_S)  # the client's own pace; the server pushes to hubs, not to a terminal


def _print(order: dict[str, Any], output: Output) -> None:
    if output is Output.JSON:
        print_json(order)
        return
    print_table([order], COLUMNS)
    typer.echo()
    print_table([_item(item) for item in items_of(order)], ITEMS)
    errors = order.get("errorMessage") or []
    for error in errors:
        typer.echo()
        print_note(f"{error['code']}: {error['message']}", indent="")


def _item(item: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of an item of any layer: what it orders, and the instance it is about."""
    subject: dict[str, Any] = next(
        (item[name] for name in ("product", "service", "resource") if name in item), {}
    )
    named: dict[str, Any] = item.get("productOffering") or next(
        (subject[name] for name in subject if name.endswith("Specification")), {}
    )
    return {**item, "what": named.get("id"), "instance": subject.get("id")}


def _tree(node: dict[str, Any], depth: int) -> None:
    pad = "  " * depth
    typer.echo(f"{pad}{node['layer']} {node['id']} {node['state']}")
    for item in node["items"]:
        typer.echo(
            f"{pad}  · {item['id']} {item['action']} {item['specification']} {item['state']}"
        )
    for child in node["children"]:
        _tree(child, depth + 1)
