"""`turnup order`: submit, follow, simulate and cancel orders of any layer."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from store.errors import InvalidInput, NotFound
from turnup.cli._client import Client, Output, OutputOption, ServerError, ServerOption, show
from turnup.orderfile import API, layer_of, read_order

app = typer.Typer(help="Orders of all layers.", no_args_is_help=True)
FINAL = ("completed", "failed", "partial", "cancelled", "rejected")
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="key=value put into the file's ${key}")
]
FileArgument = Annotated[
    Path, typer.Argument(help="JSON body of a TMF622, 641 or 652 order; - for stdin")
]


@app.command("submit")
def submit(
    file: FileArgument,
    values: SetOption = None,
    plan: Annotated[str | None, typer.Option("--plan", help="planHash of a simulation")] = None,
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
    if wait and order["state"] != "completed":
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
        typer.echo(json.dumps(answer, indent=2))
        return
    show(answer["allocations"], output, ("kind", "scope", "text", "item"))
    for device in answer["devices"]:
        typer.echo(f"\n── {device['device']} ({device['platform']}, mode {device['mode']})")
        for edit in device["edits"]:
            typer.echo(edit)
    for warning in answer["warnings"]:
        typer.echo(f"warning: {warning}")
    typer.echo(f"\nplanHash {answer['planHash']}")


@app.command("show")
def show_order(
    order_id: str,
    tree: Annotated[bool, typer.Option("--tree", help="The whole chain below it")] = False,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show one order."""
    client = Client(server)
    if tree:
        trace = client.get(f"/turnup/v1/trace/{order_id}")
        typer.echo(json.dumps(trace, indent=2)) if output is Output.JSON else _tree(
            trace["root"], 0
        )
        return
    _print(find(client, order_id)[1], output)


@app.command("list")
def list_orders(
    layer: Annotated[
        str, typer.Option(help="productOrder, serviceOrder or resourceOrder")
    ] = "productOrder",
    state: str | None = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List orders, the newest first."""
    if layer not in API:
        raise InvalidInput(f"--layer {layer}: use one of {', '.join(API)}.")
    show(
        Client(server).get(API[layer], state=state),
        output,
        ("id", "state", "orderDate", "completionDate"),
    )


@app.command("cancel")
def cancel(
    order_id: str,
    reason: str = "",
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Ask for the cancellation of an order."""
    client = Client(server)
    layer, _ = find(client, order_id)
    name = "cancel" + layer[0].upper() + layer[1:]
    path = API[layer].replace(f"/{layer}", f"/{name}")
    answer = client.post(path, {layer: {"id": order_id}, "cancellationReason": reason})
    show(answer, output, ("id", "state", "requestedCancellationDate"))


def find(client: Client, order_id: str) -> tuple[str, dict[str, Any]]:
    """Return an order and its layer's name, whichever layer it is of."""
    for layer, path in API.items():
        try:
            return layer, client.get(f"{path}/{order_id}")
        except ServerError:
            continue
    raise NotFound(f"No order {order_id} on this server; `turnup order list` shows what there is.")


def follow(client: Client, layer: str, order_id: str) -> dict[str, Any]:
    """Wait until an order has ended or is held, printing each new state on stderr."""
    state = None
    while True:
        order: dict[str, Any] = client.get(f"{API[layer]}/{order_id}")
        if order["state"] != state:
            state = order["state"]
            print(f"{order_id} {state}", file=sys.stderr)  # noqa: T201
        if state in (*FINAL, "held"):
            return order
        time.sleep(0.2)  # the client's own pace; the server pushes to hubs, not to a terminal


def _print(order: dict[str, Any], output: Output) -> None:
    show(order, output, ("id", "state", "orderDate", "completionDate"))
    for error in order.get("errorMessage", []) if output is Output.TABLE else []:
        typer.echo(f"{error['code']}: {error['message']}")


def _tree(node: dict[str, Any], depth: int) -> None:
    pad = "  " * depth
    typer.echo(f"{pad}{node['layer']} {node['id']} {node['state']}")
    for item in node["items"]:
        typer.echo(
            f"{pad}  · {item['id']} {item['action']} {item['specification']} {item['state']}"
        )
    for child in node["children"]:
        _tree(child, depth + 1)
