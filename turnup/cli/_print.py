"""Print answers: JSON as it came, or tables that fit the terminal (100 columns where there is none)."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import zip_longest
from typing import Annotated, Any

import typer

Json = Any
WIDTH = 100
GAP = "  "
LEAST = 8


class Output(StrEnum):
    """How a reading command prints."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", help="How to print")]


def print_json(data: Json) -> None:
    """Print JSON."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def show(data: Json, output: Output, columns: Sequence[str]) -> None:
    """Print JSON, or a table with one row per entry.

    Columns are dotted paths, `path:TITLE` where the last name is no good title. Ids are never broken;
    what is too wide otherwise continues on the next line of its cell.
    """
    if output is Output.JSON:
        print_json(data)
    else:
        print_table(data if isinstance(data, list) else [data], columns)


def print_table(rows: Sequence[Json], columns: Sequence[str]) -> None:
    """Print a table, or `nothing` when there is no row."""
    typer.echo("\n".join(table(rows, columns, terminal_width())) if rows else "nothing")


def print_fields(entry: Json, columns: Sequence[str]) -> None:
    """Print one entry, a field per line; fields without a value are left out."""
    pairs = [(_title(column), _cell(entry, _path(column))) for column in columns]
    shown = [(title, text) for title, text in pairs if text]
    left = max((len(title) for title, _ in shown), default=0)
    for title, text in shown:
        first, *rest = _wrapped(text, max(LEAST, terminal_width() - left - len(GAP)))
        typer.echo(f"{title.ljust(left)}{GAP}{first}")
        for line in rest:
            typer.echo(f"{' ' * left}{GAP}{line}")


def print_note(text: str, indent: str = "  ") -> None:
    """Print a text of any length, wrapped and indented."""
    width = max(LEAST, terminal_width() - len(indent))
    for line in _wrapped(text, width):
        typer.echo(indent + line)


def table(rows: Sequence[Json], columns: Sequence[str], width: int) -> list[str]:
    """Return the lines of a table that is at most `width` wide, unless its ids alone are wider."""
    titles = [_title(column) for column in columns]
    cells = [[_cell(row, _path(column)) for column in columns] for row in rows]
    widths = _widths(titles, cells, width)
    lines = [_line(titles, widths)]
    for row in cells:
        wrapped = [_wrapped(text, size) for text, size in zip(row, widths, strict=True)]
        lines += [_line(parts, widths) for parts in zip_longest(*wrapped, fillvalue="")]
    return lines


def terminal_width() -> int:
    """Return how many columns there are (`COLUMNS`, the terminal, else 100)."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


def _widths(titles: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Take from the widest column whose words still fit, until the table does."""
    wanted = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    least = [
        max([len(title), *(len(word) for text in column for word in text.split())])
        for title, *column in zip(titles, *cells, strict=True)
    ]
    room = width - len(GAP) * (len(titles) - 1)
    while sum(wanted) > room:
        spare = [have - need for have, need in zip(wanted, least, strict=True)]
        widest = max(range(len(wanted)), key=lambda n: (spare[n] > 0, wanted[n]))
        if spare[widest] <= 0:
            break
        wanted[widest] -= 1
    return wanted


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    padded = (text.ljust(size) for text, size in zip(texts, widths, strict=True))
    return GAP.join(padded).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    lines = [
        part
        for line in text.splitlines()
        for part in textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
        or [""]
    ]
    return lines or [""]


def _path(column: str) -> str:
    return column.partition(":")[0]


def _title(column: str) -> str:
    path, _, title = column.partition(":")
    return title or path.rsplit(".", 1)[-1].upper()


def _cell(row: Json, path: str) -> str:
    for name in path.split("."):
        row = row.get(name) if isinstance(row, Mapping) else None
    match row:
        case None:
            return ""
        case bool():
            return "yes" if row else "no"
        case list():
            return ", ".join(map(_text, row))
        case _:
            return _text(row)


def _text(value: Json) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
