"""Sessions that break: the transaction fails, the next one works."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import create_engine, text

from store import Database
from store.database import engine_url

POSTGRES = os.environ.get("TURNUP_TEST_POSTGRES")


@pytest.fixture
def server(request: pytest.FixtureRequest) -> str:
    if not POSTGRES:
        pytest.skip("TURNUP_TEST_POSTGRES is not set: no PostgreSQL to test on")
    return POSTGRES


def end_sessions(url: str, name: str) -> None:
    admin = create_engine(engine_url(url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = :name"
            ),
            {"name": name},
        )
    admin.dispose()


@pytest.mark.postgresql
@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("during", [True, False])
def test_a_session_that_the_server_ends(
    server: str, raw: bool, during: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.database._IDLE_S", 60.0)
    name = f"ended-{raw}-{during}-{os.getpid()}"
    database = Database(f"{server}?application_name={name}")

    def ask() -> int:
        with database.write() as tx:
            if during:
                tx.cursor().execute("SELECT 1")
                end_sessions(server, name)
            if raw:
                cursor = tx.cursor()
                cursor.execute("SELECT 7")
                return int(cursor.fetchone()[0])
            return int(tx.scalar(text("SELECT 7")))

    with database.write() as tx:
        assert tx.scalar(text("SELECT 7")) == 7
    end_sessions(server, name)
    for _ in range(3 if during else 1):
        with pytest.raises(Exception, match=r"terminat|closed|lost"):
            ask()
    during = False
    assert [ask() for _ in range(3)] == [7, 7, 7]
    with database.read() as rx:
        assert rx.scalar(text("SELECT 7")) == 7
    end_sessions(server, name)
    database.close()


@pytest.mark.postgresql
def test_an_idle_session_is_tried_before_use(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.database._IDLE_S", 0.0)
    name = f"idle-{os.getpid()}"
    database = Database(f"{server}?application_name={name}")
    for _ in range(3):
        with database.write() as tx:
            assert tx.scalar(text("SELECT 7")) == 7
        with database.read() as rx:
            assert rx.scalar(text("SELECT 7")) == 7
        end_sessions(server, name)
    database.close()


@pytest.mark.postgresql
def test_a_reader_sees_one_moment(server: str) -> None:
    database = Database(server)
    with database.write() as tx:
        tx.execute(text("DROP TABLE IF EXISTS moment"))
        tx.execute(text("CREATE TABLE moment (n int)"))
    with database.read() as rx:
        assert rx.scalar(text("SELECT count(*) FROM moment")) == 0
        with database.write() as tx:
            tx.execute(text("INSERT INTO moment VALUES (1)"))
        assert rx.scalar(text("SELECT count(*) FROM moment")) == 0
    with database.write() as tx:
        assert tx.scalar(text("SELECT count(*) FROM moment")) == 1
        tx.execute(text("DROP TABLE moment"))
    database.close()
