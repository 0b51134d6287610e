"""A document of pools and allocations as a sheet (CSV, RFC 4180), as spreadsheets read and write it.

One line per kind, pool and allocation; the first line names the columns, in any order; empty cells say nothing.
`record` says what a line is: `kind`, `pool` or `allocation` (left out: a line with an owner is an allocation).
Lists and objects are written as JSON; several `values`, `users` or exclusions may also be written with spaces between.

A cell that begins with = + - @ ' or a control character is written with a ' before it, because a spreadsheet would run
it as a formula; one ' at the beginning is taken off again when a sheet is read. Written as UTF-8 without mark, read
with and without; commas or semicolons.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from inventory.documents.entries import FORMAT, VERSION, Problem, refusal

Json = dict[str, Any]
COLUMNS = (
    *(
        "record",
        "kind",
        "scope",
        "value",
        "owner",
        "state",
        "subject",
        "ordinal",
        "expiresAt",
        "restsUntil",
    ),
    *(
        "users",
        "order",
        "item",
        "layer",
        "reason",
        "domain",
        "parent",
        "params",
        "ranges",
        "bands",
        "occupies",
    ),
    *(
        "quarantineSeconds",
        "reuse",
        "stripes",
        "draining",
        "first",
        "last",
        "prefix",
        "prefixLength",
    ),
    *("technology", "values", "exclude"),
)
_ALWAYS = frozenset(COLUMNS[: COLUMNS.index("first")])
_RECORDS = {"kind": "kinds", "pool": "pools", "allocation": "allocations"}
_RISKY = ("=", "+", "-", "@", "'", "\t", "\r", "\n")
_MOST = 1 << 24
"""Characters of one cell: the names of a pool of ports stand in one."""


def to_csv(document: Mapping[str, Any]) -> str:
    """Return a document as the text of a sheet."""
    return "".join(lines(document))


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a document line by line."""
    said = {name for entry in document.get("pools", ()) for name in entry}
    names = [name for name in COLUMNS if name in _ALWAYS or name in said]
    write = csv.writer(_Line(), lineterminator="\r\n").writerow
    yield str(write(names))
    for record, part in _RECORDS.items():
        for entry in document.get(part, ()):
            cells = {"params": entry} if record == "kind" else entry
            told = {**cells, "record": record}
            yield str(write([_cell(told.get(name)) for name in names]))


class _Line:
    """What the writer writes to: it hands the line back."""

    def write(self, line: str) -> str:
        return line


def from_csv(text: str | bytes) -> Json:
    """Return the document that a sheet tells, each entry with its line; `import_pools` says what is wrong with them.

    Raises:
        ImportInvalid: IMPORT_INVALID, it is no sheet, not UTF-8, has no head line, or unknown columns.

    """
    sheet = _decoded(text)
    rows = _rows(sheet)
    head_line, head = next(rows, (1, []))
    names = [name.strip().lstrip("\ufeff") for name in head]
    _check_head(head_line, names)
    document: Json = {
        "format": FORMAT,
        "version": VERSION,
        "kinds": [],
        "pools": [],
        "allocations": [],
    }
    problems: list[Problem] = []
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(names):
            problems.append(
                Problem(line, None, f"has {len(cells)} cells, the head line has {len(names)}")
            )
            continue
        entry: Json = {
            name: _plain(cell) for name, cell in zip(names, cells, strict=False) if cell != ""
        }
        record = str(entry.pop("record", "allocation" if "owner" in entry else "pool")).strip()
        if record not in _RECORDS:
            problems.append(Problem(line, "record", f"{record!r} is none of {', '.join(_RECORDS)}"))
            continue
        document[_RECORDS[record]].append(entry | {"line": line})
    document["problems"] = [one.body() for one in problems]
    return document


# -- writing ----------------------------------------------------------------------------------------


def _cell(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool | list | dict):
        return json.dumps(cell, ensure_ascii=False)
    text = str(cell)
    return f"'{text}" if text.startswith(_RISKY) else text


# -- reading ----------------------------------------------------------------------------------------


def _plain(cell: str) -> str:
    return cell.removeprefix("'")


def _decoded(text: str | bytes) -> str:
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise refusal([Problem(line, None, "is not UTF-8; save the sheet as CSV UTF-8")]) from None


def _rows(sheet: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a sheet with the numbers of their first lines."""
    first = sheet.partition("\n")[0]
    delimiter = ";" if ";" in first and "," not in first else ","
    csv.field_size_limit(max(csv.field_size_limit(), _MOST))
    reader = csv.reader(io.StringIO(sheet, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise refusal([Problem(line, None, f"cannot be read as CSV: {error}")]) from None


def _check_head(line: int, names: list[str]) -> None:
    problems = [
        Problem(line, name, f"is no column; write {', '.join(COLUMNS)}")
        for name in names
        if name not in COLUMNS
    ]
    problems += [
        Problem(line, name, "is there twice") for name in set(names) if names.count(name) > 1
    ]
    problems += [
        Problem(line, name, "is missing from the head line")
        for name in ("kind", "scope")
        if name not in names
    ]
    if problems:
        raise refusal(problems)
