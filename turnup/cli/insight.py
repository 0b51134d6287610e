"""`turnup trace`, `turnup impact` and `turnup service`: who, why, and whom it hurts."""

from __future__ import annotations

import json
from typing import Any

import typer

from store.errors import NotFound
from tmf.paths import BASE_PATHS
from turnup.cli._client import Client, Output, OutputOption, ServerError, ServerOption, show

Json = dict[str, Any]
service = typer.Typer(help="Services and what they rely on.", no_args_is_help=True)


@service.command("show")
def show_service(
    service_id: str, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show a service."""
    answer = Client(server).get(f"{BASE_PATHS['638']}/service/{service_id}")
    columns = (
        "id",
        "name",
        "category",
        "state",
        "serviceCharacteristic",
        "supportingService",
        "supportingResource",
    )
    show(answer, output, columns)


def trace(order_id: str, server: ServerOption = None, output: OutputOption = Output.TABLE) -> None:
    """Show the whole chain of an order with its tasks."""
    answer = Client(server).get(f"/turnup/v1/trace/{order_id}")
    if output is Output.JSON:
        typer.echo(json.dumps(answer, indent=2))
        return
    _node(answer["root"], 0)


def impact(
    what: str = typer.Argument(help="Node name or resource id"),
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show whom a node or resource hurts."""
    client = Client(server)
    for kind in ("node", "resource"):
        try:
            answer = client.get("/turnup/v1/impact", **{kind: what})
        except ServerError:
            continue
        show(answer, output, ("resources", "services", "products", "parties"))
        return
    raise NotFound(f"{what} is neither a node nor a resource of this server.")


def _node(node: Json, depth: int) -> None:
    pad = "  " * depth
    typer.echo(f"{pad}{node['layer']} {node['id']} {node['state']}")
    for task in node["tasks"]:
        typer.echo(
            f"{pad}  {task['state']:<8} {task['kind']:<18} {task['key']}  {task['ended'] or ''}"
        )
    for item in node["items"]:
        for name, reason in (item.get("reasons") or {}).items():
            typer.echo(f"{pad}  why {name} of item {item['id']}: {reason.get('because')}")
    for child in node["children"]:
        _node(child, depth + 1)
