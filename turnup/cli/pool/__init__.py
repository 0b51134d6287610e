"""`turnup pool`: create, inspect, use and reshape pools."""

from __future__ import annotations

import typer

from turnup.cli.pool import exchange, look, shape, take

app = typer.Typer(help="Pools of addresses, VLANs, ports and ids.", no_args_is_help=True)
for commands in (look, take, shape, exchange):
    for name, command in commands.COMMANDS.items():
        app.command(name)(command)
