"""Print a plan: what it allocates, and what it would send to each device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

from turnup.cli._print import print_note, print_table
from turnup.cli._trace import why

Json = dict[str, Any]


def print_plan(
    allocations: list[Json], devices: Iterable[Json], reasons: Iterable[Json] = ()
) -> None:
    """Print allocations as a table, why ports and devices were chosen, and the native edits of each device."""
    print_table(allocations, ("kind", "scope", "text:VALUE", "item"))
    for reason in reasons:
        for indent, text in why(reason["characteristic"], reason, ""):
            print_note(text, indent=indent)
    for device in devices:
        typer.echo(f"\n── {device['device']} ({device['platform']}, mode {device['mode']})")
        print_edits(device["edits"])


def print_edits(edits: Iterable[str]) -> None:
    """Print native edits as they are sent."""
    for edit in edits:
        typer.echo(edit)
