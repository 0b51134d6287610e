"""`turnup batch`, `turnup fallout` and `turnup task`: transactions, held work, and work of external parties."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from store.errors import InvalidInput
from turnup.cli._client import Client, ServerOption, segment
from turnup.cli._plan import print_edits, print_plan
from turnup.cli._print import (
    Output,
    OutputOption,
    print_fields,
    print_json,
    print_note,
    print_table,
)
from turnup.errors import WrongUsage
from turnup.orderfile import json_object

Json = dict[str, Any]
batch = typer.Typer(help="Device transactions.", no_args_is_help=True)
fallout = typer.Typer(help="Held work and how to go on.", no_args_is_help=True)
task = typer.Typer(help="Work that external parties have to report.", no_args_is_help=True)
Evidence = Annotated[str, typer.Option(metavar="TEXT", help="What was done and how it is known")]
BATCH = ("id", "state", "change", "created")
FALLOUT = ("id", "code", "state", "layer", "order", "items", "explanation", "remedy")
CLOSED = ("closed", "resolution", "evidence")
TASK = ("id", "kind", "due", "example:RESULT")


@batch.command("list")
def list_batches(
    order: Annotated[str | None, typer.Option(metavar="ID", help="Of this resource order")] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List transactions, the newest first."""
    _print(Client(server).get("/turnup/v1/batches", order=order), output, BATCH)


@batch.command("show")
def show_batch(
    batch_id: str, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show a transaction: state per device, edits as sent, inverse, journal."""
    answer = Client(server).get(f"/turnup/v1/batches/{segment(batch_id)}")
    if output is Output.JSON:
        print_json(answer)
        return
    print_fields(answer, ("id", "state", "change", "order", "created", "changed"))
    for device in answer["devices"]:
        typer.echo(f"\n── {device['device']} · {device['state']} · mode {device['mode']} · sent")
        print_edits(device["edits"])
        typer.echo(f"── {device['device']} · inverse")
        print_edits(device["inverse"])
    typer.echo("\n── journal")
    for entry in answer["journal"]:
        states = ", ".join(f"{name} {state}" for name, state in (entry["devices"] or {}).items())
        print_note(f"{entry['time']}  {entry['phase']}  {states}", indent="")


@fallout.command("list")
def list_fallouts(
    state: Annotated[str, typer.Option(help="open or closed")] = "open",
    order: Annotated[str | None, typer.Option(metavar="ID", help="Of this order")] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List held work by cause, with what to do about it."""
    if state not in ("open", "closed"):
        raise WrongUsage(f"--state {state}: use open or closed.")
    found = Client(server).get("/turnup/v1/fallouts", state=state, order=order)
    if output is Output.JSON:
        print_json(found)
        return
    if not found:
        typer.echo("nothing")
    for code in dict.fromkeys(one["code"] for one in found):
        _cause(code, [one for one in found if one["code"] == code])


@fallout.command("show")
def show_fallout(
    fallout_id: str, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show one fallout with its details."""
    found = Client(server).get(f"/turnup/v1/fallouts/{segment(fallout_id)}")
    if output is Output.JSON:
        print_json(found)
        return
    print_fields(found, (*FALLOUT, "created", *CLOSED))
    if found["details"]:
        typer.echo("\n── details")
        _details(found["details"])


@fallout.command("retry")
def retry(
    fallout_id: str,
    plan: Annotated[
        str | None, typer.Option("--plan", metavar="HASH", help="The new planHash to accept")
    ] = None,
    evidence: Annotated[str | None, typer.Option(metavar="TEXT", help="What was mended")] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Try again."""
    body = {"planHash": plan, "evidence": evidence}
    given = {name: value for name, value in body.items() if value is not None}
    _resolve(Client(server), fallout_id, "retry", given, output)


@fallout.command("skip")
def skip(
    fallout_id: str,
    evidence: Evidence,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Go on without this step."""
    _resolve(Client(server), fallout_id, "skip", {"evidence": evidence}, output)


@fallout.command("complete")
def complete(
    fallout_id: str,
    evidence: Evidence,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Declare this step done by hand."""
    _resolve(Client(server), fallout_id, "complete", {"evidence": evidence}, output)


@task.command("list")
def list_tasks(server: ServerOption = None, output: OutputOption = Output.TABLE) -> None:
    """List what orders wait for, with a result that would be accepted."""
    found = Client(server).get("/turnup/v1/externalTasks", state="waiting")
    _print(found, output, TASK)


@task.command("complete")
def complete_task(
    task_id: str,
    result: Annotated[
        str, typer.Option(metavar="JSON", help="What was done (see the task's RESULT)")
    ] = "{}",
    server: ServerOption = None,
) -> None:
    """Report the end of an external task."""
    try:
        body = json_object(result, "--result")
    except InvalidInput as error:
        raise WrongUsage(str(error)) from error
    Client(server).post(f"/turnup/v1/externalTasks/{segment(task_id)}/complete", body)
    typer.echo(f"reported: {task_id}")


def _print(found: list[Json], output: Output, columns: tuple[str, ...]) -> None:
    print_json(found) if output is Output.JSON else print_table(found, columns)


def _resolve(client: Client, fallout_id: str, how: str, body: Json, output: Output) -> None:
    found = client.post(f"/turnup/v1/fallouts/{segment(fallout_id)}/{how}", body)
    if output is Output.JSON:
        print_json(found)
    else:
        typer.echo(f"{found['id']} {found['state']}: order {found['order']} goes on")


def _cause(code: str, found: list[Json]) -> None:
    typer.echo(f"{code} ({len(found)})")
    for one in found:
        items = ", ".join(one["items"])
        typer.echo(f"  {one['id']}  {one['layer']} {one['order']}, items {items}")
        print_note(one["explanation"], indent="    ")
        print_note(f"→ {one['remedy']}", indent="    ")


def _details(details: Json) -> None:
    """Print what a program acts on; a plan as `order simulate` prints it."""
    plan = {"allocations", "devices"}
    is_plan = plan <= details.keys()
    for name, value in details.items():
        if not (is_plan and name in plan):
            print_note(f"{name}: {value}", indent="")
    if is_plan:
        print_plan(details["allocations"], details["devices"])
