"""`turnup catalog`: check product data, and load it into a database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from turnup.cli._client import Client, ServerOption
from turnup.cli._print import Output, OutputOption, print_json, print_note, show

app = typer.Typer(help="Products, services and resources as data.", no_args_is_help=True)
Folders = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of YAML files")]


@app.command("check")
def check(folders: Folders, output: OutputOption = Output.TABLE) -> None:
    """Find cycles, dangling references, unreachable rules and missing platform features; exit 1 on findings."""
    from turnup.catalogs import findings_of

    shown = [
        {"code": finding.code, "where": finding.where, "message": finding.message}
        for finding in findings_of(folders)
    ]
    if output is Output.JSON:
        print_json(shown)
    else:
        _print(shown)
    if shown:
        raise typer.Exit(1)


@app.command("load")
def load(
    folders: Folders, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Import into the server's database; what is known stays, a changed version is refused (CATALOG_CONFLICT)."""
    body = {"folders": [str(folder.resolve()) for folder in folders]}
    show(Client(server).post("/turnup/v1/catalogs", body), output, ("inserted", "unchanged"))


def _print(findings: list[dict[str, str]]) -> None:
    for finding in findings:
        typer.echo(f"{finding['code']} {finding['where']}")
        print_note(finding["message"])
    typer.echo(f"{len(findings)} findings" if findings else "no findings")
