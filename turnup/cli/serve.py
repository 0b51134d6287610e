"""`turnup serve`: API, embedded executor and, with a topology, its lab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from turnup.errors import WrongUsage

LOOPBACK = ("127.0.0.1", "::1", "localhost")
RUNTIMES = ("embedded", "none")
LAST_PORT = 65535


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=LAST_PORT, help="0: any free one")] = 8080,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="Database (TURNUP_DATABASE_URL)")
    ] = None,
    catalog: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Folder of products; default: those shipped"),
    ] = None,
    topology: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Bring this lab up and use it")
    ] = None,
    runtime: Annotated[str, typer.Option(help="How the lab runs: embedded, or none")] = "embedded",
    state_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="State folder (TURNUP_STATE_DIR)")
    ] = None,
    owner_pid: Annotated[
        int | None, typer.Option(metavar="PID", help="Stop when this process ends")
    ] = None,
) -> None:
    """Run the server on this machine."""
    if host not in LOOPBACK:
        raise WrongUsage(f"--host {host}: without authentication use one of {', '.join(LOOPBACK)}.")
    if runtime not in RUNTIMES:
        raise WrongUsage(f"--runtime {runtime} is not there yet; use one of {', '.join(RUNTIMES)}.")
    from turnup.data import catalog_folders
    from turnup.environment import database_url, environment_name, synchronous
    from turnup.environment import state_dir as state
    from turnup.server import run_server
    from turnup.settings import Settings

    run_server(
        Settings(
            database_url=database_url(database),
            synchronous=synchronous(),
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
