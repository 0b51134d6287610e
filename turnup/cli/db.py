"""`turnup db`: bring a database to this version's schema."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The database.", no_args_is_help=True)


@app.callback()
def callback() -> None:
    """Group the commands (one of them alone would otherwise be the group itself)."""


@app.command("upgrade")
def upgrade(
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="Database (TURNUP_DATABASE_URL)")
    ] = None,
) -> None:
    """Apply all migrations that are missing."""
    from turnup.environment import database_url
    from turnup.migrate import upgrade as migrate

    typer.echo(f"schema is at {migrate(database_url(database))}")
