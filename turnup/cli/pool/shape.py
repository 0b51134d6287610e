"""Making pools, changing them, and the kinds they are of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from store.errors import InvalidInput, NotFound
from turnup.cli._client import Client, ServerOption
from turnup.cli._print import Output, OutputOption, print_json, print_table
from turnup.cli.pool import _words
from turnup.cli.pool._words import (
    PATH,
    ROOT,
    FirstOption,
    LastOption,
    PoolId,
    ValuesOption,
    at_pool,
    given,
    show_pools,
)
from turnup.errors import WrongUsage

Json = dict[str, Any]
KINDS = ("name", "render", "scope", "range", "own:OURS", "about")
RestOption = Annotated[
    int | None,
    typer.Option("--quarantine-seconds", min=0, help="How long a released value rests"),
]
ReuseOption = Annotated[
    str | None, typer.Option(help="lowest: lowest free value first; oldest: longest released")
]


def create(
    kind: Annotated[str, typer.Argument(help="ipv4, s-vlan, …: `pool kinds` shows them")],
    scope: Annotated[str, typer.Argument(help="Where its values are unique: a device, a port, …")],
    first: FirstOption = None,
    last: LastOption = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            metavar="CIDR", help="What to take from; with --parent /24 is the next free one"
        ),
    ] = None,
    prefix_length: Annotated[
        int | None, typer.Option(help="Length of the prefixes to take")
    ] = None,
    values: ValuesOption = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="Value, range a-b or prefix never given (again for more)"),
    ] = None,
    band: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RANGE", help="Given only to those who name it (again for more)"),
    ] = None,
    parent: Annotated[str | None, typer.Option(help="Pool to carve it from")] = None,
    quarantine_seconds: RestOption = None,
    technology: Annotated[str | None, typer.Option(help="GPON, XGS-PON, …")] = None,
    domain: Annotated[str | None, typer.Option(help="VRF within which nothing overlaps")] = None,
    stripes: Annotated[
        int | None, typer.Option(min=1, max=256, help="Parts, when many take at the same time")
    ] = None,
    reuse: ReuseOption = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a pool from a range, a prefix or single values; with --parent, carved from another pool."""
    body = given(
        kind=kind,
        scope=scope,
        first=first,
        last=last,
        prefix=prefix,
        prefixLength=prefix_length,
        values=values,
        exclude=exclude,
        bands=_bands(band or ()) or None,
        parent=parent,
        quarantineSeconds=quarantine_seconds,
        technology=technology,
        domain=domain,
        stripes=stripes,
        reuse=reuse,
    )
    _words.show_pool(Client(server).post(PATH, body), output)


def grow(
    pool_id: PoolId,
    first: FirstOption = None,
    last: LastOption = None,
    prefix: Annotated[str | None, typer.Option(metavar="CIDR", help="What it gains")] = None,
    values: ValuesOption = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Add values to a pool: a range, a prefix, or single values of stock."""
    body = given(first=first, last=last, prefix=prefix, values=values)
    _words.show_pool(Client(server).post(at_pool(pool_id, "grow"), body), output)


def shrink(
    pool_id: PoolId,
    first: Annotated[str | None, typer.Option(help="Keep the values from here on")] = None,
    last: Annotated[str | None, typer.Option(help="Keep the values up to here")] = None,
    values: Annotated[
        list[str] | None, typer.Option("--value", help="A single value that leaves stock")
    ] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Keep only the values from --first to --last (refused while somebody holds one of the others)."""
    body = given(first=first, last=last, values=values)
    _words.show_pool(Client(server).post(at_pool(pool_id, "shrink"), body), output)


def split(
    pool_id: PoolId,
    at: Annotated[str, typer.Option(help="First value of the new pool")],
    scope: Annotated[str, typer.Option(help="Scope of the new pool")],
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give the values from --at on to a new pool, with all who hold them."""
    answer = Client(server).post(at_pool(pool_id, "split"), {"at": at, "scope": scope})
    _two(answer, output)


def move(
    pool_id: PoolId,
    to: Annotated[str, typer.Option(metavar="ID", help="Pool of the same kind")],
    first: FirstOption = None,
    last: LastOption = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give values to another pool, with all who hold them."""
    body = given(to=to, first=first, last=last)
    _two(Client(server).post(at_pool(pool_id, "move"), body), output)


def drain(
    pool_id: PoolId,
    off: Annotated[bool, typer.Option("--off", help="Let it give values again")] = False,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Let a pool give nothing new; who holds its values keeps them."""
    body = {"draining": not off}
    _words.show_pool(Client(server).patch(at_pool(pool_id), body), output)


def change(
    pool_id: PoolId,
    quarantine_seconds: RestOption = None,
    reuse: ReuseOption = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change how long released values rest, and in which order values are given."""
    body = given(quarantineSeconds=quarantine_seconds, reuse=reuse)
    if not body:
        raise WrongUsage("Say what to change: --quarantine-seconds or --reuse.")
    _words.show_pool(Client(server).patch(at_pool(pool_id), body), output)


def pressure(
    pool_id: PoolId,
    seconds: Annotated[int | None, typer.Option(min=1, help="For how long")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; it is kept with each such value")] = None,
    end: Annotated[bool, typer.Option("--end", help="End it now")] = False,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Declare that values are short: resting ones are given before their time, which is recorded."""
    client, path = Client(server), at_pool(pool_id, "pressure")
    if end is (seconds is not None or reason is not None) or (seconds is None) != (reason is None):
        raise WrongUsage("Give --seconds and --reason, or --end.")
    if end:
        client.delete(path)
        _words.show_pool(client.get(at_pool(pool_id)), output)
    else:
        _words.show_pool(client.post(path, {"seconds": seconds, "reason": reason}), output)


def remove(pool_id: PoolId, server: ServerOption = None) -> None:
    """Remove a pool that nobody holds anything of; its history can still be read."""
    Client(server).delete(at_pool(pool_id))
    typer.echo(f"removed {pool_id}")


def kinds(
    declare: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Declare the kind of this file (YAML or JSON) first"),
    ] = None,
    server: ServerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the kinds of pools; declare one."""
    client = Client(server)
    found = (
        client.get(f"{ROOT}/kinds")
        if declare is None
        else [client.post(f"{ROOT}/kinds", _document(declare))]
    )
    if output is Output.JSON:
        print_json(found)
    else:
        print_table([{**one, "range": _range(one)} for one in found], KINDS)


COMMANDS = {
    "create": create,
    "grow": grow,
    "shrink": shrink,
    "split": split,
    "move": move,
    "drain": drain,
    "change": change,
    "pressure": pressure,
    "remove": remove,
    "kinds": kinds,
}


def _bands(texts: Sequence[str]) -> Json:
    found = {}
    for text in texts:
        name, equals, span = text.partition("=")
        if not (name and equals and span):
            raise WrongUsage(
                f"--band {text}: write NAME=RANGE, such as static=100.64.0.200-100.64.0.210."
            )
        found[name] = span
    return found


def _range(kind: Json) -> str:
    spans = {"": kind["range"]} if "range" in kind else kind.get("ranges", {})
    return ", ".join(f"{name} {first} to {last}".strip() for name, (first, last) in spans.items())


def _two(answer: Json, output: Output) -> None:
    if output is Output.JSON:
        print_json(answer)
    else:
        show_pools(answer["pools"], output)


def _document(file: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidInput(f"{file} cannot be read: {' '.join(str(error).split())}") from None
