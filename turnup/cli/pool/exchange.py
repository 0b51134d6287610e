"""Pools and allocations to a file and back."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from store.errors import InvalidInput, NotFound
from turnup.cli._client import Client, ServerError, ServerOption
from turnup.cli._print import Output, OutputOption, print_json, print_table
from turnup.cli.pool._words import ROOT

Json = dict[str, Any]
DONE = ("what", "created", "unchanged")
PROBLEMS = ("line", "column", "problem")


class Format(StrEnum):
    """How a file of pools is written."""

    JSON = "json"
    CSV = "csv"


def export(
    format: Annotated[Format, typer.Option(help="json, or csv for spreadsheets")] = Format.JSON,  # noqa: A002
    kind: Annotated[str | None, typer.Option(help="Only pools of this kind")] = None,
    scope: Annotated[str | None, typer.Option(help="Only pools of this scope")] = None,
    domain: Annotated[str | None, typer.Option(help="Only pools of this address domain")] = None,
    pool: Annotated[str | None, typer.Option(metavar="ID", help="Only this pool")] = None,
    no_allocations: Annotated[
        bool, typer.Option("--no-allocations", help="Pools without what is held of them")
    ] = False,
    server: ServerOption = None,
) -> None:
    """Print pools and allocations as a document that `pool import` reads."""
    which = {"kind": kind, "scope": scope, "domain": domain, "pool": pool}
    path, held = f"{ROOT}/poolExport", "false" if no_allocations else None
    client = Client(server)
    if format is Format.JSON:
        print_json(client.get(path, **which, allocations=held))
    else:
        # lines of a sheet end as RFC 4180 says: nothing may translate them on the way
        text = client.text(path, format="csv", **which, allocations=held)
        sys.stdout.flush()
        typer.echo(text.encode(), nl=False)


def import_pools(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON or CSV; - is stdin")],
    format: Annotated[  # noqa: A002
        Format | None, typer.Option(help="Left out: as the file's name says, else JSON")
    ] = None,
    skip_conflicts: Annotated[
        bool, typer.Option("--skip-conflicts", help="Leave out what contradicts what is there")
    ] = False,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make what a file tells and the server has not; all of it or nothing, and the same again changes nothing."""
    content = _content(file)
    csv = format is Format.CSV or (format is None and file.lower().endswith(".csv"))
    conflicts = "skip" if skip_conflicts else None
    media_type = "text/csv" if csv else "application/json"
    try:
        done = Client(server).send(f"{ROOT}/poolImport", content, media_type, conflicts=conflicts)
    except ServerError as error:
        problems = error.details.get("problems")
        if problems and output is Output.TABLE:
            print_table(problems, PROBLEMS)
        raise
    _show(done, output)


COMMANDS = {"export": export, "import": import_pools}


def _content(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.") from None
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error}.") from None


def _show(done: Json, output: Output) -> None:
    if output is Output.JSON:
        print_json(done)
        return
    print_table([{"what": name, **done[name]} for name in ("pools", "allocations")], DONE)
    if done["conflicts"]:
        typer.echo("\nleft out:")
        print_table(done["conflicts"], PROBLEMS)
