"""`turnup pool forecast`: which pools run out, when, and because of which orders."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from turnup.cli._client import Client, ServerOption
from turnup.cli._print import Output, OutputOption, print_json, print_note, print_table, show
from turnup.errors import WrongUsage

Json = dict[str, Any]
PATH = "/turnup/v1/poolForecast"
COLUMNS = (
    "pool",
    "level",
    "utilisation:USED %",
    "free",
    "trendPerDay:PER DAY",
    "booked.takes:BOOKED",
    "runOut.expected:EXPECTED",
    "runOut.earliest:EARLIEST",
)
ORDERS = ("at", "order", "takes", "givesBack:GIVES BACK", "share")
GROUPS = (
    "name",
    "pools",
    "capacity",
    "used",
    "free",
    "utilisation:USED %",
    "levels.exhausted:EXHAUSTED",
    "levels.critical:CRITICAL",
    "levels.warning:WARNING",
    "fullest",
)
DAYS = ("until", "taken", "released", "inUse:IN USE", "utilisation:USED %")


def forecast(
    pool_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One pool, with its reasons and orders")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only pools of this kind")] = None,
    scope: Annotated[str | None, typer.Option(help="Only pools of this scope")] = None,
    under: Annotated[str | None, typer.Option(help="Only this device or port and below")] = None,
    domain: Annotated[str | None, typer.Option(help="Only pools of this address domain")] = None,
    level: Annotated[
        str | None, typer.Option(help="Only exhausted, critical, warning or ok")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Add pools together: by kind, device or domain")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="The past days of the pool instead")
    ] = False,
    uncounted: Annotated[
        bool, typer.Option("--uncounted", help="The orders that are not counted, and why")
    ] = False,
    horizon: Annotated[int, typer.Option(help="Days to look ahead")] = 90,
    window: Annotated[int, typer.Option(help="Days to learn from")] = 30,
    threshold: Annotated[float, typer.Option(help="Percent in use that is a warning")] = 80.0,
    limit: Annotated[int, typer.Option(help="How many pools")] = 50,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show which pools run out, the soonest first: from what is free, booked, given back and usual."""
    client = Client(server)
    which = {"pool": pool_id, "kind": kind, "scope": scope, "under": under, "domain": domain}
    look = {"horizonDays": horizon, "windowDays": window, "threshold": threshold}
    if uncounted:
        show(client.get(f"{PATH}/uncounted"), output, ("order", "why"))
    elif history:
        if pool_id is None:
            raise WrongUsage("--history is about one pool: give its ID.")
        show(client.get(f"{PATH}/history", pool=pool_id, windowDays=window), output, DAYS)
    elif by is not None:
        show(client.get(f"{PATH}/groups", by=by, **which, **look), output, GROUPS)
    else:
        found = client.get(PATH, **which, **look, level=level, limit=limit)
        _show(found, output, one=pool_id is not None)


def _show(found: list[Json], output: Output, *, one: bool) -> None:
    if output is Output.JSON:
        print_json(found)
        return
    print_table([_short(each) for each in found], COLUMNS)
    for each in found if one else ():
        typer.echo()
        for part in each["because"].split("; "):
            print_note(part)
        if each["short"]:
            print_note(f"{each['short']} values short within the horizon")
        if each["booked"]["orders"]:
            typer.echo()
            print_table(each["booked"]["orders"], ORDERS)


def _short(found: Json) -> Json:
    """Leave the time of day out of a list's dates: the day is what a forecast is good for."""
    run_out = found["runOut"] or {}
    days = {name: (run_out.get(name) or "")[:10] for name in ("expected", "earliest")}
    return {**found, "runOut": days}
