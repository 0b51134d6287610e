"""Rules that the engine's own code keeps: documented codes, and claims that read only live rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from orders import board, errors
from store import Rx, TurnupError

if TYPE_CHECKING:
    from tests.orders.conftest import Bench

ROOT = Path(__file__).parents[2]
CODES = {
    kind.code
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, TurnupError)
    and kind.__module__ == errors.__name__
}
HELD = {"INTERNAL_ERROR", "RETRIES_EXHAUSTED", "DEPENDENCY_FAILED"}


@pytest.mark.parametrize("code", sorted(CODES | HELD))
def test_every_code_has_a_page(code: str) -> None:
    page = (ROOT / "docs" / "errors" / f"{code}.md").read_text()
    assert page.startswith(f"# {code}\n")
    assert len(page.splitlines()) <= 15


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__
    assert set(re.findall(r"\b([A-Z]+_[A-Z_]+)\b", errors.__doc__)) == (
        CODES | HELD - {"DEPENDENCY_FAILED"}
    )


def _plan(rx: Rx, statement: str) -> str:
    if rx.dialect == "sqlite":
        return "\n".join(str(row[-1]) for row in rx.rows(text(f"EXPLAIN QUERY PLAN {statement}")))
    rx.execute(text("SET LOCAL enable_seqscan = off"))
    return "\n".join(str(row[0]) for row in rx.rows(text(f"EXPLAIN {statement}")))


def test_a_claim_reads_the_partial_index(bench: Bench) -> None:
    numbers = iter(("1e12", "'9'", "5"))
    due = re.sub(r"\?", lambda _: next(numbers), board._DUE)
    with bench.database.read() as rx:
        plan = _plan(rx, due)
    assert "ix_task_ready_rank" in plan
    assert "SCAN task" not in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            "SELECT min(run_at) FROM task WHERE state = 'ready' AND run_at > '2'",
            "ix_task_ready_",  # on an empty table PostgreSQL takes either partial index: both cost the same
        ),
        ("SELECT min(lease_until) FROM task WHERE state = 'leased'", "ix_task_leased"),
        ("SELECT min(due) FROM task_wait WHERE due IS NOT NULL", "ix_task_wait_due"),
        ("SELECT task FROM task_wait WHERE key = 'k'", "ix_task_wait_key"),
        ("SELECT id FROM fallout WHERE state = 'open' ORDER BY created", "ix_fallout_open"),
    ],
)
def test_what_runs_often_reads_an_index(bench: Bench, statement: str, index: str) -> None:
    with bench.database.read() as rx:
        assert index in _plan(rx, statement)
