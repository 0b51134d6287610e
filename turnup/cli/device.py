"""`turnup device`: the registry, configurations and audits."""

from __future__ import annotations

from enum import StrEnum
from itertools import groupby
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
    show,
)
from turnup.cli.instance import changes
from turnup.errors import WrongUsage

app = typer.Typer(help="Devices: registry, configuration, audit.", no_args_is_help=True)
PATH = "/turnup/v1/devices"
COLUMNS = ("name", "platform", "role", "host", "access", "adminState:STATE")
FIELDS = (
    *("name", "platform", "role", "site", "host", "access", "adminState:STATE"),
    *("credentialRef:CREDENTIAL", "hostKey:HOST KEY", "caPath:CA", "labels"),
)
FINDINGS = ("missing", "changed", "extra")


class View(StrEnum):
    """Which configuration."""

    INTENDED = "intended"
    RUNNING = "running"


@app.command("import")
def import_devices(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|LAB",
            help="CSV, Nornir host file, `device list --output json`, topology of a running lab, or its name",
        ),
    ],
    credential: Annotated[
        str | None,
        typer.Option(metavar="REF", help="env:NAME or file:PATH, for devices that name none"),
    ] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Import devices (from a lab also ports, links, places, stock and pools); what is known stays."""
    from turnup.devicefile import import_body

    answer = Client(server).post(f"{PATH}/import", import_body(source, credential))
    show(answer, output, ("devices", "known", "ports", "links", "pools"))


@app.command("list")
def list_devices(
    role: Annotated[str | None, typer.Option(help="Only devices of this role")] = None,
    at: AtOption = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List devices, as they are or were."""
    devices = Client(server).get(PATH, role=role, at=instant(at))
    if output is Output.JSON:
        print_json(devices)
    else:
        print_table([_shown(device) for device in devices], COLUMNS)


@app.command("show")
def show_device(
    name: str,
    at: AtOption = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show one device, as it is or was."""
    device = Client(server).get(f"{PATH}/{segment(name)}", at=instant(at))
    if output is Output.JSON:
        print_json(device)
    else:
        print_fields(_shown(device), FIELDS)


@app.command("ports")
def ports(
    name: str,
    at: AtOption = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List a device's ports and what each is linked to, now or then."""
    found = Client(server).get(f"{PATH}/{segment(name)}/ports", at=instant(at))
    show(found, output, ("id", "technology", "linkedTo:LINKED TO"))


@app.command("history")
def history(name: str, server: ServerOption = None, output: OutputOption = Output.TABLE) -> None:
    """Show every version of a device: when, what changed, and what changed it (an import, an API call)."""
    found = Client(server).get(f"{PATH}/{segment(name)}/history")
    if output is Output.JSON:
        print_json(found)
        return
    for version in found:
        ended = (
            f"until {version['validTo']} {version['endedBy'] or ''}" if version["validTo"] else ""
        )
        typer.echo(f"{version['validFrom']}  {version['by'] or ''}  {ended}".rstrip())
        changes(version["changes"])


@app.command("config")
def config(
    name: str,
    view: Annotated[View, typer.Option(help="What it should have, or what it has")] = View.INTENDED,
    at: AtOption = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what a device should have, with the owner of each fragment, or what it has."""
    if at is not None and view is View.RUNNING:
        raise WrongUsage(
            "--at goes with --view intended: a device only has its present configuration."
        )
    path = f"{PATH}/{segment(name)}/config"
    answer = Client(server).get(path, view=view.value, at=instant(at))
    if output is Output.JSON:
        print_json(answer)
    elif view is View.RUNNING:
        typer.echo(answer["text"])
    else:
        _fragments(answer["fragments"])


@app.command("audit")
def audit(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="All managed devices when none is named"),
    ] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Compare intended with running; exit 1 unless every device passes."""
    client = Client(server)
    wanted = names or [d["name"] for d in client.get(PATH) if d["adminState"] == "managed"]
    reports = [client.post(f"{PATH}/{segment(name)}/audit") for name in wanted]
    if output is Output.JSON:
        print_json(reports)
    else:
        _reports(reports)
    if any(report["verdict"] != "pass" for report in reports):
        raise typer.Exit(1)


def _shown(device: dict[str, Any]) -> dict[str, Any]:
    access = [
        f"{e['protocol']} {e['username']}@{e['host']}:{e['port']}" for e in device["endpoints"]
    ]
    labels = [f"{name}={value}" for name, value in device["labels"].items()]
    return {**device, "access": access, "labels": labels}


def _fragments(fragments: list[dict[str, Any]]) -> None:
    if not fragments:
        typer.echo("nothing")
    for fragment in fragments:
        owner = _owner(fragment)
        print_note(
            f"── {owner if fragment['contributions'] else owner + ' · of no order'}", indent=""
        )
        typer.echo(f"{_indented(fragment['text'])}\n")


def _indented(text: str) -> str:
    """Return XML with one element per line; anything else as it is."""
    if not text.startswith("<"):
        return text
    from lxml import etree

    try:
        root = etree.fromstring(
            text, etree.XMLParser(remove_blank_text=True, resolve_entities=False)
        )
    except etree.XMLSyntaxError:
        return text
    return etree.tostring(root, pretty_print=True, encoding="unicode").rstrip()


def _reports(reports: list[dict[str, Any]]) -> None:
    counted = [{**report, **{k: len(report.get(k) or ()) for k in FINDINGS}} for report in reports]
    print_table(counted, ("device", "verdict", *FINDINGS))
    for report in reports:
        if report["verdict"] == "pass":
            continue
        typer.echo(f"\n── {report['device']}")
        _findings([(kind, one) for kind in FINDINGS for one in report.get(kind) or ()])
        if detail := report.get("detail") or report.get("explanation"):
            print_note(str(detail), indent="")


def _findings(findings: list[tuple[str, dict[str, Any]]]) -> None:
    """Print what is wrong, below whom it belongs to."""
    for whose, group in groupby(findings, lambda pair: _owner(pair[1]["owner"])):
        print_note(whose, indent="")
        for kind, finding in group:
            value = "" if finding["value"] is None else f" = {finding['value']}"
            found = f", found {finding['found']}" if "found" in finding else ""
            print_note(f"{kind} {finding['path']}{value}{found}")


def _owner(owner: dict[str, Any]) -> str:
    speakers = [
        f"{c['role']} {c['source']} (item {c['item']})" for c in owner.get("contributions", ())
    ]
    return " · ".join(filter(None, (owner["feature"], owner["line"], *speakers)))
