"""`turnup pool`: create, inspect and use pools."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from turnup.cli._client import Client, Output, OutputOption, ServerOption, show

app = typer.Typer(help="Pools of addresses, VLANs, ports and ids.", no_args_is_help=True)
COLUMNS = ("id", "kind", "scope", "capacity", "allocated", "reserved", "quarantined", "free")
PATH = "/turnup/v1/pools"


@app.command("list")
def list_pools(
    kind: str | None = None,
    scope: str | None = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List pools with what is used and free."""
    show(Client(server).get(PATH, kind=kind, scope=scope), output, COLUMNS)


@app.command("show")
def show_pool(
    pool_id: str, server: ServerOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show one pool and its allocations."""
    client = Client(server)
    pool = client.get(f"{PATH}/{_id(pool_id)}")
    allocations = client.get(f"{PATH}/{_id(pool_id)}/allocations")
    if output is Output.JSON:
        show({**pool, "allocations": allocations}, output)
        return
    show(pool, output, COLUMNS)
    show(allocations, output, ("text", "owner", "state", "expiresAt"))


@app.command("create")
def create(
    kind: str,
    scope: str,
    first: int | None = None,
    last: int | None = None,
    prefix: str | None = None,
    prefix_length: int | None = None,
    quarantine_seconds: int | None = None,
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
    pool_id: str,
    owner: Annotated[
        str, typer.Option(help="Who owns it; the same owner again gets the same value")
    ],
    value: str | None = None,
    count: int = 1,
    ttl: Annotated[
        int | None, typer.Option(help="Seconds after which it is given back unless confirmed")
    ] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Take the next value, a given one, or several."""
    body: dict[str, Any] = {"owner": owner, "count": count}
    body |= {"value": value} if value is not None else {}
    body |= {"ttlSeconds": ttl} if ttl is not None else {}
    answer = Client(server).post(f"{PATH}/{_id(pool_id)}/allocations", body)
    show(answer["allocations"], output, ("text", "value", "owner", "state", "expiresAt"))


@app.command("release")
def release(
    pool_id: str,
    owner: Annotated[str, typer.Option(help="Whose allocation")],
    server: ServerOption = None,
) -> None:
    """Give an owner's value back (409 OWNED_BY_ORDER for an order's)."""
    Client(server).delete(f"{PATH}/{_id(pool_id)}/allocations/{quote(owner, safe='')}")


def _id(pool_id: str) -> str:
    return quote(pool_id, safe="/")
