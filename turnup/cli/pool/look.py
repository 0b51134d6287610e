"""Questions: which pools there are, how full one is, who has a value, what was done to a pool."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from turnup.cli._at import AtOption, instant
from turnup.cli._client import Client, ServerOption
from turnup.cli._print import (
    Output,
    OutputOption,
    print_fields,
    print_json,
    print_note,
    print_table,
)
from turnup.cli.pool._words import ALLOCATIONS, PATH, ROOT, PoolId, at_pool, bar, show_pools
from turnup.errors import WrongUsage

Json = dict[str, Any]
FIELDS = (
    *("id", "kind", "scope", "prefix", "prefixLength:PREFIX LENGTH", "administrator", "technology"),
    *("values", "domain", "gateway", "parent", "rest:RESTS FOR", "reuse", "stripes", "draining"),
    *("pressed:PRESSURE", "created"),
)
BANDS = ("name:BAND", "ranges", "capacity", "free")
HOLDING = (
    *("text:VALUE", "state", "pool", "band", "owner", "lastOwner:LAST OWNER", "line", "resource"),
    *("subject", "users", "since", "until", "expiresAt:EXPIRES", "restsUntil:RESTS UNTIL"),
    *("by:ORDERED BY", "ended:ENDED BY", "why"),
)
HOLDINGS = ("text:VALUE", "state", "pool", "owner", "line", "since")
EVENTS = ("at", "what", "details")
FEW = 3
"""So many answers are shown with all they say, more as a table."""
LimitOption = Annotated[int, typer.Option(min=1, max=1000, help="At most so many")]
OffsetOption = Annotated[int, typer.Option(min=0, help="Leave out so many")]


def list_pools(
    kind: Annotated[str | None, typer.Option(help="Only pools of this kind")] = None,
    scope: Annotated[str | None, typer.Option(help="Only pools of this scope")] = None,
    domain: Annotated[str | None, typer.Option(help="Only pools of this address domain")] = None,
    at: AtOption = None,
    offset: OffsetOption = 0,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many")] = 1000,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List pools with what is used and free, now or at a past time."""
    which = {"kind": kind, "scope": scope, "domain": domain, "at": instant(at)}
    found, total = Client(server).page(PATH, **which, offset=offset, limit=limit)
    show_pools(found, output)
    if output is Output.TABLE:
        _rest(len(found), offset, total, "pools")


def show_pool(
    pool_id: PoolId,
    at: AtOption = None,
    owner: Annotated[str | None, typer.Option(help="Only what this owner holds")] = None,
    resting: Annotated[bool, typer.Option("--resting", help="Also what rests")] = False,
    offset: OffsetOption = 0,
    limit: LimitOption = 20,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show one pool: how full it is, its bands and exclusions, and who holds its values."""
    client, moment = Client(server), instant(at)
    pool = client.get(at_pool(pool_id), at=moment)
    which = {"at": moment, "owner": owner, "quarantined": resting or None}
    held, total = client.page(at_pool(pool_id, "allocations"), **which, offset=offset, limit=limit)
    if output is Output.JSON:
        print_json({**pool, "allocations": held, "allocationsTotal": total})
        return
    _print_pool(pool)
    if held:
        typer.echo()
        print_table(held, (*ALLOCATIONS, "restsUntil:RESTS UNTIL") if resting else ALLOCATIONS)
    _rest(len(held), offset, total, "allocations")


def who(
    value: Annotated[
        str | None,
        typer.Argument(metavar="[VALUE]", help="Address, prefix, number, serial, name"),
    ] = None,
    owner: Annotated[
        str | None, typer.Option(help="Instead of a value: all that this owner holds")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only pools of this kind")] = None,
    scope: Annotated[str | None, typer.Option(help="Only pools of this scope")] = None,
    at: AtOption = None,
    offset: OffsetOption = 0,
    limit: LimitOption = 100,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say who has a value: owner, since when, by which order, for which line; or that it is free, or rests."""
    if (value is None) == (owner is None):
        raise WrongUsage("Say whom to look for: a VALUE, or --owner OWNER.")
    which = {"value": value, "owner": owner, "kind": kind, "scope": scope, "at": instant(at)}
    found, total = Client(server).page(f"{ROOT}/allocations", **which, offset=offset, limit=limit)
    if output is Output.JSON:
        print_json(found)
        return
    _print_holdings(found, value or str(owner))
    _rest(len(found), offset, total, "answers")


def events(
    pool_id: PoolId,
    offset: OffsetOption = 0,
    limit: LimitOption = 100,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what was done to a pool, and why."""
    found, total = Client(server).page(at_pool(pool_id, "events"), offset=offset, limit=limit)
    if output is Output.JSON:
        print_json(found)
        return
    print_table([{**one, "details": _details(one["details"])} for one in found], EVENTS)
    _rest(len(found), offset, total, "events")


COMMANDS = {"list": list_pools, "show": show_pool, "who": who, "events": events}


def _print_pool(pool: Json) -> None:
    shown = {
        **pool,
        "values": pool["firstText"] and f"{pool['firstText']} to {pool['lastText']}",
        "rest": f"{pool['quarantineSeconds']} s",
        "draining": pool["draining"] or None,
        "pressed": pool["pressure"]
        and f"until {pool['pressure']['until']}: {pool['pressure']['reason']}",
    }
    print_fields(shown, FIELDS)
    typer.echo(f"\n[{bar(pool)}] {pool['utilisation']} % used")
    typer.echo(
        f"{pool['allocated']:,} allocated █  {pool['reserved']:,} reserved ▓  "
        f"{pool['quarantined']:,} resting ░  {pool['free']:,} free ·  of {pool['capacity']:,}"
    )
    if pool["bands"]:
        typer.echo()
        print_table([{**one, "ranges": _ranges(one["ranges"])} for one in pool["bands"]], BANDS)
    if pool["exclusions"]:
        print_note(f"excluded: {_ranges(pool['exclusions'])}", "")


def _print_holdings(found: list[Json], asked: str) -> None:
    if not found:
        hint = "; of numbers name the pools: --kind or --scope" if asked.isdigit() else ""
        typer.echo(f"{asked}: no pool has it{hint}")
    elif len(found) > FEW:
        print_table([_shown(one) for one in found], HOLDINGS)
    for number, one in enumerate(found if len(found) <= FEW else ()):
        if number:
            typer.echo()
        print_fields(_shown(one), HOLDING)


def _shown(one: Json) -> Json:
    """Return a holding as people read it: who had it last is no owner."""
    past = one["state"] in ("free", "excluded")
    return {
        **one,
        "owner": None if past else one.get("owner"),
        "lastOwner": one.get("owner") if past else None,
        "by": _order(one.get("order")),
        "ended": _order(one.get("endedBy")),
        "why": one.get("reason") and _details(one["reason"]),
    }


def _order(cause: Json | None) -> str | None:
    return f"order {cause['id']} item {cause['item']} ({cause['layer']})" if cause else None


def _ranges(spans: list[Json]) -> str:
    return ", ".join(
        one["firstText"]
        if one["first"] == one["last"]
        else f"{one['firstText']} to {one['lastText']}"
        for one in spans
    )


def _details(found: Json) -> str:
    parts = (
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in found.items()
    )
    return " ".join(parts)


def _rest(shown: int, offset: int, total: int, what: str) -> None:
    if shown < total:
        typer.echo(
            f"{offset + 1:,} to {offset + shown:,} of {total:,} {what}; see others with --offset and --limit"
            if shown
            else f"none from {offset + 1:,} on: there are {total:,} {what}"
        )
