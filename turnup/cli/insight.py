"""`turnup trace`, `turnup impact` and `turnup service`: who, why, and whom it hurts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from store.errors import NotFound
from tmf.paths import BASE_PATHS
from turnup.cli._at import AtOption, instant
from turnup.cli._client import Client, ServerOption, segment
from turnup.cli._print import (
    Output,
    OutputOption,
    print_fields,
    print_json,
    print_note,
    print_table,
)
from turnup.cli._trace import lines

Json = dict[str, Any]
service = typer.Typer(help="Services and what they rely on.", no_args_is_help=True)
SERVICE = ("id", "name", "category", "serviceSpecification.id:SPECIFICATION", "state", "line")
HURT = ("id", "name", "state", "place")


@service.callback()
def callback() -> None:
    """Group the commands (one of them alone would otherwise be the group itself)."""


@service.command("show")
def show_service(
    service_id: str, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show a service: characteristics, orders that made it, services and resources below it."""
    client = Client(server)
    answer = client.get(f"{BASE_PATHS['638']}/service/{segment(service_id)}")
    if output is Output.JSON:
        print_json(answer)
        return
    print_fields(answer, SERVICE)
    for one in answer.get("serviceCharacteristic") or ():
        typer.echo(f"  {one['name']} = {one['value']}")
    for one in answer.get("place") or ():
        typer.echo(f"at {one['id']} ({one.get('role', 'place')})")
    for one in answer.get("serviceOrderItem") or ():
        typer.echo(f"ordered by {one['serviceOrderId']} item {one['itemId']}")
    for below in ("supportingService", "supportingResource"):
        for one in answer.get(below) or ():
            typer.echo(f"relies on {one.get('name') or one.get('@referredType', '')} {one['id']}")


def trace(order_id: str, server: ServerOption = None, output: OutputOption = Output.TABLE) -> None:
    """Show the whole chain of an order: tasks, allocations and why, device edits."""
    answer = Client(server).get(f"/turnup/v1/trace/{segment(order_id)}")
    if output is Output.JSON:
        print_json(answer)
    else:
        for indent, text in lines(answer["root"]):
            print_note(text, indent=indent)


def impact(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NODE|RESOURCE_ID",
            help="Device, device/port, splitter, place, pool, customer, or id of an instance",
        ),
    ],
    at: AtOption = None,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many of each list")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=10000, help="At most so many of each")] = 1000,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show whom a node or resource hurts, and what a customer, product or service stands on."""
    client = Client(server)
    page = {"at": instant(at), "offset": offset, "limit": limit}
    for kind in ("node", "resource", "pool"):
        answer = client.find("/turnup/v1/impact", **{kind: what}, **page)
        if answer is not None:
            print_json(answer) if output is Output.JSON else _hurt(answer)
            return
    raise NotFound(
        f"{what} is no node, instance, customer or pool of this server; a port is DEVICE/PORT."
    )


def _hurt(answer: Json) -> None:
    if below := answer.get("standsOn"):
        typer.echo("stands on")
        print_table(below["ports"], ("id:PORT", "device", "technology"))
        typer.echo(f"nodes: {', '.join(below['nodes']) or 'none'}\n")
    for kind in ("parties", "products", "services", "resources"):
        rows = answer[kind]
        counted = answer["total"][kind]
        more = f" of {counted}" if counted not in (len(rows), None) else ""
        typer.echo(f"{len(rows)}{more} {kind}")
        if rows:
            print_table(rows, ("id", "name", "role") if kind == "parties" else HURT)
        typer.echo()
