"""`turnup pool`: create, inspect and use pools."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from turnup.cli._client import Client, ServerOption, segment
from turnup.cli._print import Output, OutputOption, print_json, print_table, show

app = typer.Typer(help="Pools of addresses, VLANs, ports and ids.", no_args_is_help=True)
COLUMNS = ("id", "capacity", "allocated", "reserved", "quarantined", "free")
ALLOCATIONS = ("text:VALUE", "state", "owner", "expiresAt:EXPIRES")
PATH = "/turnup/v1/pools"
PoolId = Annotated[str, typer.Argument(metavar="ID", help="KIND@SCOPE, as `pool list` shows it")]


@app.command("list")
def list_pools(
    kind: Annotated[str | None, typer.Option(help="Only pools of this kind")] = None,
    scope: Annotated[str | None, typer.Option(help="Only pools of this scope")] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List pools with what is used and free."""
    show(Client(server).get(PATH, kind=kind, scope=scope), output, COLUMNS)


@app.command("show")
def show_pool(
    pool_id: PoolId, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show one pool and its allocations."""
    client = Client(server)
    pool = client.get(f"{PATH}/{_id(pool_id)}")
    allocations = client.get(f"{PATH}/{_id(pool_id)}/allocations")
    if output is Output.JSON:
        print_json({**pool, "allocations": allocations})
        return
    print_table([pool], COLUMNS)
    if allocations:
        typer.echo()
        print_table(allocations, ALLOCATIONS)


@app.command("create")
def create(
    kind: Annotated[str, typer.Argument(help="ipv4, s-vlan, …: a wrong one is told all there are")],
    scope: Annotated[str, typer.Argument(help="Where its values are unique: a device, a port, …")],
    first: Annotated[int | None, typer.Option(help="First value of a range")] = None,
    last: Annotated[int | None, typer.Option(help="Last value of a range")] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="CIDR", help="Prefix to take addresses or prefixes from")
    ] = None,
    prefix_length: Annotated[
        int | None, typer.Option(help="Length of the prefixes to take")
    ] = None,
    quarantine_seconds: Annotated[
        int | None, typer.Option(min=0, help="How long a released value rests")
    ] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a pool from a range (--first --last) or a prefix (--prefix [--prefix-length])."""
    given = {
        "kind": kind,
        "scope": scope,
        "first": first,
        "last": last,
        "prefix": prefix,
        "prefixLength": prefix_length,
        "quarantineSeconds": quarantine_seconds,
    }
    body = {name: value for name, value in given.items() if value is not None}
    show(Client(server).post(PATH, body), output, COLUMNS)


@app.command("allocate")
def allocate(
    pool_id: PoolId,
    owner: Annotated[
        str, typer.Option(help="Who owns it; the same owner again gets the same value")
    ],
    value: Annotated[str | None, typer.Option(help="This value and no other")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many")] = 1,
    ttl: Annotated[
        int | None,
        typer.Option(min=1, help="Seconds after which it is given back unless confirmed"),
    ] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Take the next value, a given one, or several."""
    body: dict[str, Any] = {"owner": owner, "count": count}
    body |= {"value": value} if value is not None else {}
    body |= {"ttlSeconds": ttl} if ttl is not None else {}
    answer = Client(server).post(f"{PATH}/{_id(pool_id)}/allocations", body)
    if output is Output.JSON:
        print_json(answer)
    else:
        print_table(answer["allocations"], ALLOCATIONS)


@app.command("release")
def release(
    pool_id: PoolId,
    owner: Annotated[str, typer.Option(help="Whose allocation")],
    server: ServerOption = None,
) -> None:
    """Give an owner's values back (an order's are refused: OWNED_BY_ORDER)."""
    Client(server).delete(f"{PATH}/{_id(pool_id)}/allocations/{segment(owner)}")
    typer.echo(f"released from {pool_id}: what {owner} held")


def _id(pool_id: str) -> str:
    return quote(pool_id, safe="/@")
