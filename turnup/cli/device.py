"""`turnup device`: the registry, configurations and audits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from turnup.cli._client import Client, Output, OutputOption, ServerOption, show

app = typer.Typer(help="Devices: registry, configuration, audit.", no_args_is_help=True)
PATH = "/turnup/v1/devices"


@app.command("import")
def import_devices(
    source: Annotated[
        str,
        typer.Argument(help="Topology file, Nornir inventory, CSV, or the name of a running lab"),
    ],
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Import devices, ports, links, places and stock; what is known already stays."""
    path = Path(source)
    named = str(path.resolve()) if path.exists() else source
    show(
        Client(server).post(f"{PATH}/import", {"source": named}),
        output,
        ("devices", "ports", "links", "pools"),
    )


@app.command("list")
def list_devices(
    role: str | None = None, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """List devices."""
    show(
        Client(server).get(PATH, role=role),
        output,
        ("name", "platform", "role", "host", "adminState"),
    )


@app.command("show")
def show_device(
    name: str, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show one device."""
    show(
        Client(server).get(f"{PATH}/{name}"),
        output,
        ("name", "platform", "role", "host", "endpoints", "adminState"),
    )


@app.command("config")
def config(
    name: str,
    view: Annotated[str, typer.Option(help="intended or running")] = "intended",
    at: Annotated[str | None, typer.Option(help="ISO 8601 time (intended only)")] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what a device should have, with the owner of each fragment, or what it has."""
    answer = Client(server).get(f"{PATH}/{name}/config", view=view, at=at)
    if output is Output.JSON:
        show(answer, output)
    elif view == "running":
        typer.echo(answer["text"])
    else:
        for fragment in answer["fragments"]:
            owners = ", ".join(
                f"{c['role']} {c['source']} (item {c['item']})" for c in fragment["contributions"]
            )
            typer.echo(
                f"── {fragment['feature']} · line {fragment['line']} · {owners}\n{fragment['text']}\n"
            )


@app.command("audit")
def audit(
    names: Annotated[
        list[str] | None, typer.Argument(help="Devices; all managed ones when none is named")
    ] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Compare intended with running; exit 1 unless every device passes."""
    client = Client(server)
    wanted = names or [d["name"] for d in client.get(PATH) if d["adminState"] == "managed"]
    reports = [client.post(f"{PATH}/{name}/audit") for name in wanted]
    show(reports, output, ("device", "verdict", "missing", "changed", "extra"))
    if any(report["verdict"] != "pass" for report in reports):
        raise typer.Exit(1)
