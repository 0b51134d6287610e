"""What the demo shows: progress as it happens, native diffs, verdicts, inventories, the summary."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

Json = dict[str, Any]
MAX_DIFF_LINES = 24
FILE_WIDTH = 120


class Finding(Protocol):
    """A line of the summary."""

    @property
    def name(self) -> str: ...
    @property
    def passed(self) -> bool: ...
    @property
    def detail(self) -> str: ...


class Screen:
    """Prints to a terminal (or a file) with rich."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, width=_width())

    def title(self, name: str, says: str) -> None:
        """Begin a step."""
        self._console.print()
        self._console.rule(f"[bold]{escape(name)}[/bold] · {escape(says)}", align="left")

    def note(self, text: str) -> None:
        """Say something beside the orders."""
        self._console.print(f"   [cyan]{escape(text)}[/cyan]")

    def accepted(self, layer: str, order: Json, seconds: float) -> None:
        """Say that an order was accepted."""
        self._console.print(f"   {layer} {order['id']} {order['state']} ({seconds * 1000:.0f} ms)")

    def progress(self, node: Json, seen: set[str], depth: int = 0) -> None:
        """Print what happened since the last call."""
        for task in sorted(node["tasks"], key=lambda task: str(task["ended"] or "~")):
            mark = {
                "done": "[green]✓[/green]",
                "held": "[red]✗ held[/red]",
                "waiting": "[yellow]… waits[/yellow]",
            }
            key = f"{node['id']} {task['key']} {task['state']}"
            if task["state"] in mark and key not in seen and not _is_parent_wait(task):
                seen.add(key)
                self._console.print(
                    f"   {'  ' * depth}{mark[task['state']]} {node['layer']} {escape(task['kind'].split('@')[0])} "
                    f"[dim]{escape(_short(task))}[/dim]"
                )
        for child in node["children"]:
            self.progress(child, seen, depth + 1)

    def batch(self, batch: Json) -> None:
        """Show what was sent to each device, in its own language."""
        for device in batch["devices"]:
            text = "\n".join(device["edits"])
            lines = text.splitlines()
            more = (
                f"\n… {len(lines) - MAX_DIFF_LINES} more lines"
                if len(lines) > MAX_DIFF_LINES
                else ""
            )
            language = (
                "xml"
                if text.lstrip().startswith("<")
                else "json"
                if text.lstrip().startswith("{")
                else "text"
            )
            body = Syntax("\n".join(lines[:MAX_DIFF_LINES]) + more, language, word_wrap=True)
            title = f"sent to {device['device']} · mode {device['mode']} · {device['state']}"
            self._console.print(Panel(body, title=title, title_align="left"))

    def verification(self, batches: Sequence[Json], nodes: Sequence[Json]) -> None:
        """Show the verdict per device (read-back) and per service check."""
        table = Table("check", "on", "verdict", title="Verification", title_justify="left")
        for batch in batches:
            for device in batch["devices"]:
                good = device["state"] in ("confirmed", "committed")
                table.add_row(
                    "read-back equals plan", device["device"], _verdict("pass" if good else "fail")
                )
        for item in (item for node in nodes for item in node["items"]):
            for check in item.get("checks", []):
                table.add_row(check["check"], check["device"], _verdict(check["verdict"]))
        self._console.print(table)

    def inventory(self, name: str, rows: Sequence[Json]) -> None:
        """Show one inventory: what orders made, not what was there at import."""
        table = Table("name", "state", "id", "values", title=name, title_justify="left")
        for row in rows:
            made = (
                row.get("productOrderItem")
                or row.get("serviceOrderItem")
                or row.get("resourceOrderItem")
            )
            if made and row.get("category") != "part":
                state = (
                    row.get("status")
                    or row.get("state")
                    or f"{row['resourceStatus']}, {row['usageState']}"
                )
                table.add_row(row["name"], state, row["id"], escape(_values(row)))
        self._console.print(table)

    def summary(self, checks: Sequence[Finding], seconds: float) -> None:
        """End with every check, passed or failed."""
        table = Table("", "check", "detail", title="Summary", title_justify="left")
        for check in checks:
            mark = "[green]passed[/green]" if check.passed else "[red]FAILED[/red]"
            table.add_row(mark, check.name, escape(check.detail))
        self._console.print()
        self._console.print(table)
        failed = sum(not check.passed for check in checks)
        self._console.print(f"{len(checks) - failed} passed, {failed} failed in {seconds:.1f} s")


def _width() -> int | None:
    """Return the terminal's own width; into a file, one that tables fit in."""
    return None if sys.stdout.isatty() else FILE_WIDTH


def _verdict(verdict: str) -> str:
    colour = {"pass": "green", "fail": "red", "error": "red"}.get(verdict, "yellow")
    return f"[{colour}]{verdict}[/{colour}]"


def _values(row: Json) -> str:
    listed: list[Json] = next((row[name] for name in row if name.endswith("Characteristic")), [])
    return " ".join(f"{entry['name']}={entry['value']}" for entry in listed)


def _is_parent_wait(task: Json) -> bool:
    return task["state"] == "waiting" and ".external" not in task["kind"]


def _short(task: Json) -> str:
    return "" if task["key"] in task["kind"] else str(task["key"])
