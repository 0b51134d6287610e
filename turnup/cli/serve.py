"""`turnup serve`: API, embedded executor and, with a topology, its lab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from store.errors import InvalidInput

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    host: str = "127.0.0.1",
    port: int = 8080,
    database: Annotated[str | None, typer.Option(help="URL (TURNUP_DATABASE_URL)")] = None,
    catalog: Annotated[
        list[Path] | None, typer.Option(help="Folder of products; default: those shipped")
    ] = None,
    topology: Annotated[Path | None, typer.Option(help="Bring this lab up and use it")] = None,
    runtime: str = "embedded",
    state_dir: Annotated[Path | None, typer.Option(help="State folder (TURNUP_STATE_DIR)")] = None,
    owner_pid: Annotated[int | None, typer.Option(help="Stop when this process ends")] = None,
) -> None:
    """Run the server on this machine."""
    from turnup.data import catalog_folders
    from turnup.environment import database_url, environment_name
    from turnup.environment import state_dir as state
    from turnup.server import run_server
    from turnup.settings import Settings

    if host not in LOOPBACK:
        raise InvalidInput(
            f"--host {host}: without authentication the server binds to loopback only."
        )
    if runtime not in ("embedded", "none"):
        raise InvalidInput(f"--runtime {runtime} is not there yet; use embedded or none.")
    run_server(
        Settings(
            database_url=database_url(database),
            host=host,
            port=port,
            environment=environment_name(),
            state_dir=state(state_dir),
            catalogs=tuple(catalog or catalog_folders()),
            topology=topology,
            runtime=runtime,
            owner_pid=owner_pid,
        )
    )
