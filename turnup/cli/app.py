"""All commands. Heavy imports stay inside the commands, so that --help answers at once."""

from __future__ import annotations

from typing import Annotated

import typer

from turnup.cli import (
    catalog,
    db,
    demo,
    device,
    forecast,
    insight,
    instance,
    lab,
    order,
    pool,
    serve,
    source,
    work,
)

app = typer.Typer(
    name="turnup",
    help="From a telecom customer's order to working, verified network service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich costs half of the time that --help takes
)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.add_typer(lab.app, name="lab")
app.add_typer(order.app, name="order")
app.add_typer(catalog.app, name="catalog")
pool.app.command("forecast")(forecast.forecast)
app.add_typer(pool.app, name="pool")
app.add_typer(device.app, name="device")
app.add_typer(source.app, name="source")
app.add_typer(work.batch, name="batch")
app.add_typer(work.fallout, name="fallout")
app.add_typer(work.task, name="task")
app.add_typer(insight.service, name="service")
app.add_typer(instance.app, name="instance")
app.command("impact")(insight.impact)
app.command("trace")(insight.trace)
app.add_typer(db.app, name="db")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"turnup {version('turnup')}")
        raise typer.Exit


@app.callback()
def callback(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version")
    ] = False,
) -> None:
    """From a telecom customer's order to working, verified network service."""
