"""Transactions, the lock of the one writer, and time."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from store import Database, ManualClock, from_text, new_id, to_text
from store.errors import DatabaseInUse, EnvironmentMismatch
from turnup.tables import claim_environment, environment

COUNT = text("SELECT count(*) FROM environment")


def test_a_write_is_kept_and_its_actions_run_after_the_commit(store: Database) -> None:
    seen = []
    with store.write() as tx:
        tx.execute(environment.insert().values(name="a"))
        tx.after_commit(lambda: seen.append(_count(store)))
        assert seen == []
    assert seen == [1]


def test_what_raises_leaves_nothing(store: Database) -> None:
    with pytest.raises(RuntimeError), store.write() as tx:
        tx.execute(environment.insert().values(name="a"))
        tx.after_commit(lambda: pytest.fail("it was rolled back"))
        raise RuntimeError
    assert _count(store) == 0


def test_a_dry_run_leaves_nothing(store: Database) -> None:
    with store.dry_run() as tx:
        tx.execute(environment.insert().values(name="a"))
        assert tx.scalar(COUNT) == 1
    assert _count(store) == 0


def test_a_savepoint_undoes_only_its_own(store: Database) -> None:
    with store.write() as tx:
        tx.execute(environment.insert().values(name="a"))
        with pytest.raises(RuntimeError), tx.savepoint():
            tx.execute(environment.insert().values(name="b"))
            raise RuntimeError
    assert _count(store) == 1


def test_the_raw_cursor_is_part_of_the_transaction(store: Database) -> None:
    with store.write() as tx:
        tx.cursor().execute("INSERT INTO environment (name) VALUES ('raw')")
    assert _count(store) == 1


def test_the_second_writer_is_told_who_the_first_is(store_url: str) -> None:
    first = Database(store_url, exclusive=True)
    with pytest.raises(DatabaseInUse):
        Database(store_url, exclusive=True)
    first.close()
    Database(store_url, exclusive=True).close()


def test_the_lock_ends_with_its_process(store_url: str) -> None:
    code = f"import os; from store import Database; Database({store_url!r}, exclusive=True); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2])
    Database(store_url, exclusive=True).close()


def test_a_database_remembers_its_environment(store: Database) -> None:
    with store.write() as tx:
        claim_environment(tx, "lab")
        claim_environment(tx, "lab")
    with pytest.raises(EnvironmentMismatch), store.write() as tx:
        claim_environment(tx, "production")


def test_instants_sort_as_texts() -> None:
    early = datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    late = early + timedelta(seconds=1)
    assert to_text(early) < to_text(late)
    assert from_text(to_text(early)) == early


def test_ids_sort_by_time_and_differ() -> None:
    ids = [new_id("x") for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert ids[0][:11] <= ids[-1][:11]


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock()
    before = clock.now()
    clock.advance(timedelta(minutes=1))
    assert clock.now() - before == timedelta(minutes=1)
    assert clock.monotonic() == 60


def _count(database: Database) -> int:
    with database.read() as rx:
        return int(rx.scalar(COUNT))
