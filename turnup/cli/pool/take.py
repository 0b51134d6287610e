"""Taking values, keeping them, giving them back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from store.errors import InvalidInput, NotFound
from turnup.cli._client import Client, ServerOption
from turnup.cli._print import Output, OutputOption, print_json, print_table
from turnup.cli.pool._words import ALLOCATIONS, ROOT, Owner, PoolId, at_pool, given
from turnup.errors import WrongUsage

Json = dict[str, Any]
OF_SETS = ("pool", *ALLOCATIONS)
TtlOption = Annotated[
    int | None,
    typer.Option("--ttl", min=1, help="Seconds after which it is given back unless confirmed"),
]


def allocate(
    pool_id: PoolId,
    owner: Owner,
    value: Annotated[str | None, typer.Option(help="This value and no other")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many")] = 1,
    ttl: TtlOption = None,
    band: Annotated[str | None, typer.Option(help="From this reserved band")] = None,
    subject: Annotated[
        str | None, typer.Option(help="For whom: its former value is given again while it rests")
    ] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Take the next value, a given one, or several."""
    body = given(owner=owner, value=value, ttlSeconds=ttl, band=band, subject=subject)
    answer = Client(server).post(at_pool(pool_id, "allocations"), {**body, "count": count})
    _show(answer, output)


def confirm(
    pool_id: PoolId,
    owner: Annotated[str, typer.Option(help="Whose reservation")],
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Keep what an owner has reserved: it does not expire any more."""
    _show(Client(server).post(at_pool(pool_id, "allocations", owner, "confirm")), output)


def release(
    pool_id: PoolId,
    owner: Annotated[str, typer.Option(help="Whose allocation")],
    server: ServerOption = None,
) -> None:
    """Give an owner's values back (an order's are refused: OWNED_BY_ORDER)."""
    Client(server).delete(at_pool(pool_id, "allocations", owner))
    typer.echo(f"released from {pool_id}: what {owner} held")


def reassign(
    pool_id: PoolId,
    owner: Annotated[str, typer.Option(help="Who holds the values")],
    to: Annotated[str, typer.Option(help="Who shall hold them")],
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Let another owner hold what an owner holds in a pool."""
    path = at_pool(pool_id, "allocations", owner, "reassign")
    _show(Client(server).post(path, {"to": to}), output)


def take_set(
    items: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID[=VALUE]]...", help="Pools to take one value of, or this value"),
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Who owns all of it")] = None,
    ttl: TtlOption = None,
    file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help='Instead: a file {"sets": [...]} as the HTTP call takes it; - is stdin',
        ),
    ] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Take values of several pools, all of them or nothing."""
    if (file is None) != (bool(items) and owner is not None) or (file and (items or owner)):
        raise WrongUsage("Give --owner and the pools, or --file FILE.")
    body = _from_file(file) if file else {"sets": [_set(items or [], str(owner), ttl)]}
    answer = Client(server).post(f"{ROOT}/allocationSets", body)
    if output is Output.JSON:
        print_json(answer)
        return
    print_table(
        [
            {"pool": item["pool"], **one}
            for found in answer["sets"]
            for item in found["items"]
            for one in item["allocations"]
        ],
        OF_SETS,
    )


COMMANDS = {
    "allocate": allocate,
    "confirm": confirm,
    "release": release,
    "reassign": reassign,
    "set": take_set,
}


def _set(items: list[str], owner: str, ttl: int | None) -> Json:
    split = [item.rpartition("=") if "=" in item else (item, "", None) for item in items]
    return {
        **given(owner=owner, ttlSeconds=ttl),
        "items": [given(pool=pool, value=value) for pool, _, value in split],
    }


def _from_file(name: str) -> Json:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        found = json.loads(text)
    except FileNotFoundError:
        raise NotFound(f"There is no file {name}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{name} cannot be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f'{name} is no JSON object; write {{"sets": [...]}}.')
    return found


def _show(answer: Json, output: Output) -> None:
    if output is Output.JSON:
        print_json(answer)
    else:
        print_table(answer["allocations"], ALLOCATIONS)
