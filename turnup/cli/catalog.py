"""`turnup catalog`: check product data, and load it into a database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from turnup.cli._client import Client, Output, OutputOption, ServerOption, show

app = typer.Typer(help="Products, services and resources as data.", no_args_is_help=True)
Folders = Annotated[list[Path], typer.Argument(help="Folders of YAML files")]


@app.command("check")
def check(folders: Folders, output: OutputOption = Output.TABLE) -> None:
    """Find cycles, dangling references, unreachable rules and missing platform features; exit 1 on findings."""
    from turnup.catalogs import check_folders

    findings = check_folders(folders)
    shown = [{"code": f.code, "where": f.where, "message": f.message} for f in findings]
    if output is Output.JSON or findings:
        show(shown, output, ("code", "where", "message"))
    else:
        typer.echo("no findings")
    if findings:
        raise typer.Exit(1)


@app.command("load")
def load(
    folders: Folders, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Import into the server's database; what is known stays, a changed version is refused (CATALOG_CONFLICT)."""
    body = {"folders": [str(folder.resolve()) for folder in folders]}
    show(Client(server).post("/turnup/v1/catalogs", body), output, ("inserted", "unchanged"))
