"""What the commands on pools have in common: ids, columns, the drawing of how full a pool is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from turnup.cli._client import segment
from turnup.cli._print import Output, print_json, print_table

Json = dict[str, Any]
ROOT = "/turnup/v1"
PATH = f"{ROOT}/pools"
POOLS = (
    *("id", "capacity", "allocated", "reserved", "quarantined:RESTING", "free"),
    *("utilisation:USED %", "note"),
)
ALLOCATIONS = ("text:VALUE", "state", "owner", "expiresAt:EXPIRES")
BAR = 50
PoolId = Annotated[str, typer.Argument(metavar="ID", help="KIND@SCOPE, as `pool list` shows it")]
Owner = Annotated[str, typer.Option(help="Who owns it; the same owner again gets the same value")]
FirstOption = Annotated[str | None, typer.Option(help="First value, as people write it")]
LastOption = Annotated[str | None, typer.Option(help="Last value")]
ValuesOption = Annotated[
    list[str] | None, typer.Option("--value", help="A single value of stock (again for more)")
]


def at_pool(pool_id: str, *more: str) -> str:
    """Return the address of a pool, or of something below it; every name is one segment."""
    return "/".join((PATH, segment(pool_id), *(segment(name) for name in more)))


def given(**words: Any) -> Json:
    """Return a body with what is given."""
    return {name: value for name, value in words.items() if value is not None and value != []}


def show_pools(found: list[Json], output: Output) -> None:
    """Print pools, one a line."""
    if output is Output.JSON:
        print_json(found)
    else:
        print_table([{**one, "note": note(one)} for one in found], POOLS)


def show_pool(found: Json, output: Output) -> None:
    """Print one pool as a line, after it was changed."""
    if output is Output.JSON:
        print_json(found)
    else:
        show_pools([found], output)


def note(pool: Json) -> str:
    """Return what is unusual about a pool."""
    words = ["draining"] if pool["draining"] else []
    return ", ".join([*words, *(["pressure"] if pool["pressure"] else [])])


def bar(pool: Json) -> str:
    """Return how full a pool is: █ allocated, ▓ reserved, ░ resting, · free; what is there has one sign at least."""
    signs = (("█", "allocated"), ("▓", "reserved"), ("░", "quarantined"))
    drawn = "".join(sign * _length(pool[name], pool["capacity"]) for sign, name in signs)[:BAR]
    room = BAR - (1 if pool["free"] and len(drawn) == BAR else 0)
    return drawn[:room].ljust(BAR, "·")


def _length(part: int, whole: int) -> int:
    return max(1, round(BAR * part / whole)) if part and whole else 0
