"""`turnup source`: exchange with NetBox and Nautobot."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from turnup.cli._client import Client, ServerOption, segment
from turnup.cli._print import (
    Output,
    OutputOption,
    print_fields,
    print_json,
    print_note,
    print_table,
    show,
)
from turnup.errors import WrongUsage

app = typer.Typer(help="Sources of truth: NetBox and Nautobot.", no_args_is_help=True)
PATH = "/turnup/v1/sources"
COLUMNS = (
    *("name", "type", "url", "tokenRef:TOKEN", "lastImport.ended:IMPORTED"),
    *("changes.waiting:WAITING", "changes.parked:PARKED", "changes.done:DONE"),
)
CHANGES = ("id", "value", "pool", "owner", "wanted", "state", "code", "message")
PUSHED = ("created", "updated", "deleted", "same", "parked", "later", "changes.waiting:WAITING")
FINDINGS = ("code", "object", "message")
POLL_S = 2.0
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the source")]


class Type(StrEnum):
    """What the source is."""

    NETBOX = "netbox"
    NAUTOBOT = "nautobot"


class ChangeState(StrEnum):
    """State of a change."""

    WAITING = "waiting"
    PARKED = "parked"
    DONE = "done"


TokenOption = Annotated[
    str | None,
    typer.Option("--token", metavar="REF", help="Where the token is: env:NAME, file:PATH"),
]
RulesOption = Annotated[
    Path | None,
    typer.Option("--rules", metavar="FILE", help="Rules, YAML or JSON (docs/sources.md)"),
]
CaOption = Annotated[
    str | None,
    typer.Option("--ca", metavar="PATH", help="PEM file of its authority, on the server"),
]


@app.command("add")
def add(
    name: Name,
    type_: Annotated[Type, typer.Argument(metavar="TYPE", help="netbox or nautobot")],
    url: Annotated[str, typer.Argument(metavar="URL", help="https://HOST[:PORT][/PATH]")],
    token: TokenOption = None,
    rules: RulesOption = None,
    ca: CaOption = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Plain http to another machine is wanted")
    ] = False,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Register a source; nothing is sent to it yet."""
    if token is None:
        raise WrongUsage(
            "--token is missing: write env:NAME or file:PATH, where the server finds it."
        )
    body = {"name": name, "type": type_.value, "url": url, "tokenRef": token, "insecure": insecure}
    body |= _given(rules, ca)
    show(Client(server).post(PATH, body), output, COLUMNS)


@app.command("set")
def change(
    name: Name,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Another address")] = None,
    token: TokenOption = None,
    rules: RulesOption = None,
    ca: CaOption = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change address, token reference, authority or rules."""
    body = _given(rules, ca) | {
        key: value for key, value in (("url", url), ("tokenRef", token)) if value is not None
    }
    if not body:
        raise WrongUsage("Say what to change: --url, --token, --rules or --ca.")
    show(Client(server).patch(f"{PATH}/{segment(name)}", body), output, COLUMNS)


@app.command("list")
def list_sources(server: ServerOption = None, output: OutputOption = Output.TABLE) -> None:
    """List sources, and how much waits to be written."""
    show(Client(server).get(PATH), output, COLUMNS)


@app.command("show")
def show_source(
    name: Name, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show one source, its rules and its last import."""
    source = Client(server).get(f"{PATH}/{segment(name)}")
    if output is Output.JSON:
        print_json(source)
        return
    print_fields(source, (*COLUMNS, "insecure", "caPath:CA", "rules", "lastImport.counts:COUNTS"))
    _findings(source["lastImport"] or {})


@app.command("remove")
def remove(name: Name, server: ServerOption = None) -> None:
    """Forget a source from which nothing came."""
    Client(server).delete(f"{PATH}/{segment(name)}")
    typer.echo(f"forgotten: {name}")


@app.command("import")
def run_import(
    name: Name, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Import pools, what is used in them, and devices; exit 1 when there are findings."""
    client = Client(server)
    report = client.post(f"{PATH}/{segment(name)}/import")
    while report["state"] == "running":
        time.sleep(POLL_S)
        report = client.post(f"{PATH}/{segment(name)}/import")
    if output is Output.JSON:
        print_json(report)
    else:
        print_fields(report, ("source", "version", "created", "counts"))
        _findings(report)
    if report["findings"]:
        raise typer.Exit(1)


@app.command("push")
def push(name: Name, server: ServerOption = None, output: OutputOption = Output.TABLE) -> None:
    """Write what waits to the source now; exit 1 when something could not be written."""
    report = Client(server).post(f"{PATH}/{segment(name)}/push")
    show(report, output, PUSHED)
    if output is Output.TABLE and report["stopped"]:
        print_note(f"stopped: {report['stopped']}", indent="")
    if report["stopped"] or report["parked"] or report["later"]:
        raise typer.Exit(1)


@app.command("changes")
def changes(
    name: Name,
    state: Annotated[ChangeState | None, typer.Option(help="Only those in this state")] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List values and what is written about them, the latest first."""
    wanted = state.value if state else None
    show(Client(server).get(f"{PATH}/{segment(name)}/changes", state=wanted), output, CHANGES)


@app.command("retry")
def retry(
    name: Name,
    change_id: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="All that are parked when left out")
    ] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Let parked changes be written again, with the next push."""
    client, path = Client(server), f"{PATH}/{segment(name)}/changes"
    ids = (
        [change_id]
        if change_id is not None
        else [c["id"] for c in client.get(path, state="parked")]
    )
    answers = [client.post(f"{path}/{one}/retry") for one in ids]
    show(answers, output, CHANGES)


def _given(rules: Path | None, ca: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {} if ca is None else {"caPath": ca}
    if rules is None:
        return body
    import yaml

    try:
        content = yaml.safe_load(rules.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WrongUsage(f"--rules {rules} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise WrongUsage(f"--rules {rules} holds no rules: it must be a mapping.")
    return {**body, "rules": content}


def _findings(report: dict[str, Any]) -> None:
    if failed := report.get("failed"):
        print_note(f"failed: {failed['code']}: {failed['message']}", indent="")
    if report.get("findings"):
        typer.echo()
        print_table(report["findings"], FINDINGS)
    if report.get("more"):
        print_note(f"and {report['more']} more", indent="")
