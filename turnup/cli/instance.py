"""`turnup instance`: a product, service or resource as it is or was, and all that happened to it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

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

Json = dict[str, Any]
app = typer.Typer(help="Products, services and resources, now and then.", no_args_is_help=True)
PATH = "/turnup/v1/instances"
FIELDS = (
    *("id", "kind", "category", "name", "specification", "version", "state", "place", "line"),
    *("key", "validFrom:SINCE", "validTo:UNTIL", "by"),
)
RELATIONS = ("type", "direction", "instance")
ENDED = ("type", "direction", "instance", "validFrom:SINCE", "validTo:UNTIL", "by")


@app.command("show")
def show_instance(
    instance_id: Annotated[str, typer.Argument(metavar="ID")],
    at: AtOption = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show an instance with its characteristics and relations, now or at a past time."""
    answer = Client(server).get(f"{PATH}/{segment(instance_id)}", at=instant(at))
    if output is Output.JSON:
        print_json(answer)
        return
    print_fields(answer | {"by": by(answer)}, FIELDS)
    for name, value in answer["characteristics"].items():
        print_note(f"{name} = {text(value)}")
    typer.echo()
    print_table(answer["relations"], RELATIONS)


@app.command("history")
def history(
    instance_id: Annotated[str, typer.Argument(metavar="ID")],
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many")] = 100,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show every version of an instance: when, by which order item, and what changed."""
    path = f"{PATH}/{segment(instance_id)}/history"
    answer = Client(server).get(path, offset=offset, limit=limit)
    if output is Output.JSON:
        print_json(answer)
        return
    for version in answer["versions"]:
        typer.echo(f"{version['validFrom']}  {version['state']}  {by(version)}".rstrip())
        changes(version["changes"])
    typer.echo()
    print_table([{**one, "by": by(one)} for one in answer["relations"]], ENDED)


def changes(found: list[Json]) -> None:
    """Print what changed from one version to the next."""
    for one in found:
        print_note(f"{one['attribute']}: {text(one['from'])} → {text(one['to'])}")


def by(entry: Json) -> str:
    """Return the order item behind a change; nothing for an import's."""
    if entry.get("order") is None:
        return ""
    return f"order {entry['order']} item {entry['item']} ({entry['layer']})"


def text(value: Any) -> str:
    """Return a value as a person reads it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
