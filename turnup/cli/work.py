"""`turnup batch`, `turnup fallout` and `turnup task`: transactions, held work, and work of external parties."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from turnup.cli._client import Client, Output, OutputOption, ServerOption, show
from turnup.orderfile import json_object

batch = typer.Typer(help="Device transactions.", no_args_is_help=True)
fallout = typer.Typer(help="Held work and how to go on.", no_args_is_help=True)
task = typer.Typer(help="Work that external parties have to report.", no_args_is_help=True)
Evidence = Annotated[str, typer.Option(help="What was done and how it is known")]
FALLOUT = ("id", "code", "layer", "order", "items", "explanation", "remedy")


@batch.command("list")
def list_batches(
    order: Annotated[str | None, typer.Option(help="Resource order id")] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List transactions."""
    show(
        Client(server).get("/turnup/v1/batches", order=order),
        output,
        ("id", "state", "change", "order"),
    )


@batch.command("show")
def show_batch(
    batch_id: str, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show a transaction: state per device, edits as sent, inverse, journal."""
    answer = Client(server).get(f"/turnup/v1/batches/{batch_id}")
    if output is Output.JSON:
        typer.echo(json.dumps(answer, indent=2))
        return
    show(answer, output, ("id", "state", "change", "order"))
    for device in answer["devices"]:
        typer.echo(f"\n── {device['device']} · {device['state']} · mode {device['mode']}")
        typer.echo("\n".join(device["edits"]))


@fallout.command("list")
def list_fallouts(
    state: str = "open", server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """List held work."""
    show(Client(server).get("/turnup/v1/fallouts", state=state), output, FALLOUT)


@fallout.command("show")
def show_fallout(
    fallout_id: str, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show one fallout with its details."""
    show(Client(server).get(f"/turnup/v1/fallouts/{fallout_id}"), output, (*FALLOUT, "details"))


@fallout.command("retry")
def retry(
    fallout_id: str,
    plan: Annotated[str | None, typer.Option("--plan", help="the new planHash")] = None,
    evidence: str | None = None,
    server: ServerOption = None,
) -> None:
    """Try again."""
    body = {"planHash": plan, "evidence": evidence}
    given = {name: value for name, value in body.items() if value is not None}
    Client(server).post(f"/turnup/v1/fallouts/{fallout_id}/retry", given)


@fallout.command("skip")
def skip(fallout_id: str, evidence: Evidence, server: ServerOption = None) -> None:
    """Go on without this step."""
    Client(server).post(f"/turnup/v1/fallouts/{fallout_id}/skip", {"evidence": evidence})


@fallout.command("complete")
def complete(fallout_id: str, evidence: Evidence, server: ServerOption = None) -> None:
    """Declare this step done by hand."""
    Client(server).post(f"/turnup/v1/fallouts/{fallout_id}/complete", {"evidence": evidence})


@task.command("list")
def list_tasks(server: ServerOption = None, output: OutputOption = Output.TABLE) -> None:
    """List what orders wait for."""
    answer = Client(server).get("/turnup/v1/externalTasks", state="waiting")
    show(answer, output, ("id", "kind", "order", "item", "due", "example"))


@task.command("complete")
def complete_task(
    task_id: str,
    result: Annotated[
        str, typer.Option(help="JSON object: what was done (see the task's example)")
    ] = "{}",
    server: ServerOption = None,
) -> None:
    """Report the end of an external task."""
    Client(server).post(
        f"/turnup/v1/externalTasks/{task_id}/complete", json_object(result, "--result")
    )
