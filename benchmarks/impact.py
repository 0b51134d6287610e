"""Impact and history at many subscribers: from a port to its customers, from a customer to his ports, and the past.

    python benchmarks/impact.py [--subscribers 1000000] [--postgres postgresql://…] [--keep FILE] [--explain]

A real order for one line runs first (on the lab, device calls taken out); its rows are then cloned for every
subscriber, 62 to a PON port, 16 ports to an OLT, 50 OLTs to a BNG. Every tenth has the versions before the present
one, too. Then each question is asked many times, of another port or customer each time, through the Python API.
CPU is this process's per question, which other load on the machine does not change; on PostgreSQL the server's own
is not in it. Without --postgres and without TURNUP_TEST_POSTGRES only SQLite is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, select, text

from benchmarks._subscribers import (
    CUSTOMERS,
    OLTS_PER_BNG,
    PORTS,
    Size,
    Template,
    generate,
    learn,
)
from benchmarks.chain import _one, _take_devices_out
from inventory import allocator, impact, instances, tables
from inventory.impact import Page
from inventory.lineage import timeline
from lab import api as lab
from store import Database, Rx, metadata, new_id
from store.database import engine_url
from turnup import migrate
from turnup.application import Application
from turnup.data import catalog_folders
from turnup.server import lab_credentials
from turnup.settings import Settings
from turnup.topology import import_lab

ROOT = Path(__file__).resolve().parents[1]
Ask = Callable[[Rx, random.Random], Any]


@dataclass(frozen=True)
class Question:
    """A question, how often it is asked, and what is to be seen in an answer."""

    name: str
    ask: Ask
    times: int = 200
    size: Callable[[Any], str] = lambda answer: str(len(answer))


@contextmanager
def one_order() -> Iterator[tuple[Database, str]]:
    """Yield a database in which one real order ran to its end, and the product it made."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        info = lab.up(ROOT / "topologies/metro.clab.yml", folder, owner_pid=os.getpid())
        url = f"sqlite:///{folder}/order.db"
        engine = create_engine(url)
        metadata.create_all(engine)
        engine.dispose()
        migrate.stamp(url)
        settings = Settings(database_url=url, catalogs=catalog_folders())
        application = Application(settings, lab_credentials(info))
        try:
            import_lab(application.database, info)
            _take_devices_out(application.activation)
            application.start()
            yield application.database, order_line(application)
        finally:
            application.stop()
            lab.down(info.name, folder)


def order_line(application: Application) -> str:
    """Order the example and bring it to its end; return the product."""
    body = json.loads((ROOT / "examples/orders/superfibre-200-home.new.json").read_text())
    _one(application, body | {"externalId": new_id("x")})
    with application.database.read() as rx:
        made = select(tables.instance.c.id).where(tables.instance.c.kind == "product")
        product: str = rx.scalar(made.order_by(tables.instance.c.row.desc()))
    return product


def questions(size: Size) -> list[Question]:
    """Return what is asked of a network of this size."""
    now = timedelta(seconds=1)

    def port(chance: random.Random) -> str:
        number = chance.randrange(size.ports)
        return f"olt-{number // PORTS:05d}/pon{number % PORTS + 1}"

    def olt(chance: random.Random) -> str:
        return f"olt-{chance.randrange(size.olts):05d}"

    def tail(chance: random.Random, step: int = 1) -> str:
        return f"{chance.randrange(0, size.subscribers, step):09d}"

    def bng(chance: random.Random) -> str:
        return f"bng-{chance.randrange(size.bngs) + 1}"

    def address(rx: Rx, chance: random.Random) -> Any:
        number = chance.randrange(size.subscribers)
        core, on_bng = divmod(number, OLTS_PER_BNG * PORTS * CUSTOMERS)
        value = (10 << 24) + (2 * core << 16) + 2 + on_bng
        return allocator.allocations(rx, pool=f"ipv4@bng-{core + 1}", value=value)

    def held_then(rx: Rx, chance: random.Random) -> Any:
        return allocator.allocations(rx, pool=f"onu-id@{port(chance)}", at=rx.now - now)

    return [
        Question(
            "port → customers",
            lambda rx, chance: impact.impact(rx, node=port(chance)),
            size=_hurt,
        ),
        Question(
            "port → customers, at a past time",
            lambda rx, chance: impact.impact(rx, node=port(chance), at=rx.now - now),
            size=_hurt,
        ),
        Question(
            "product → ports",
            lambda rx, chance: impact.impact(rx, resource=f"pr{tail(chance)}"),
            size=_below,
        ),
        Question(
            "customer → ports",
            lambda rx, chance: impact.impact(rx, party=f"CUST-{tail(chance)}"),
            size=_below,
        ),
        Question(
            "OLT → customers, first 100",
            lambda rx, chance: impact.impact(rx, node=olt(chance), page=Page(0, 100)),
            times=30,
            size=_hurt,
        ),
        Question(
            "router → customers, first 100",
            lambda rx, chance: impact.impact(
                rx, node=bng(chance).replace("bng", "agg"), page=Page(0, 100)
            ),
            times=5,
            size=_hurt,
        ),
        Question(
            "BNG → customers, first 100",
            lambda rx, chance: impact.impact(rx, node=bng(chance), page=Page(0, 100)),
            times=5,
            size=_hurt,
        ),
        Question(
            "address pool → customers, first 100",
            lambda rx, chance: impact.impact(rx, pool=f"ipv4@{bng(chance)}", page=Page(0, 100)),
            times=5,
            size=lambda answer: f"{answer['total'].get('allocations')} held",
        ),
        Question(
            "instance at a past time",
            lambda rx, chance: instances.get(
                rx, f"reaccess{tail(chance, size.history)}", at=rx.now - now
            ),
            size=lambda one: one.state,
        ),
        Question(
            "history of an instance",
            lambda rx, chance: timeline.of_instance(rx, f"reaccess{tail(chance, size.history)}"),
        ),
        Question("allocations of a port's pool at a past time", held_then),
        Question("who has this address", address),
    ]


def _hurt(answer: Any) -> str:
    return f"{answer['total']['products']} customers"


def _below(answer: Any) -> str:
    return f"{len(answer['standsOn']['ports'])} port, {len(answer['standsOn']['nodes'])} nodes"


def measure(database: Database, size: Size, table: Table, *, explain: bool) -> None:
    """Ask every question and add a line each."""
    for question in questions(size):
        chance, times = random.Random(1), []
        with database.read() as rx:
            answer = question.ask(rx, random.Random(2))
        cpu = time.process_time()
        for _ in range(question.times):
            with database.read() as rx:
                start = time.perf_counter()
                answer = question.ask(rx, chance)
                times.append((time.perf_counter() - start) * 1000)
        cpu = (time.process_time() - cpu) * 1000 / question.times
        times.sort()
        p99 = times[int(len(times) * 0.99)]
        table.add_row(
            database.dialect,
            question.name,
            question.size(answer),
            f"{statistics.median(times):.2f}",
            f"{p99:.2f}",
            f"{cpu:.2f}",
        )
        if explain:
            _explain(database, question)


def _explain(database: Database, question: Question) -> None:
    """Print the plan of every statement of a question (SQLite)."""
    seen: list[str] = []
    with database.read() as rx:
        driver = rx.cursor().connection
        driver.set_trace_callback(seen.append)
        question.ask(rx, random.Random(3))
        driver.set_trace_callback(None)
        print(f"\n# {question.name}")
        for statement in dict.fromkeys(one for one in seen if one.startswith("SELECT")):
            print(" ".join(statement.split())[:160])
            for row in rx.cursor().execute(f"EXPLAIN QUERY PLAN {statement}"):
                print("   ", row[3])


@contextmanager
def fresh(postgres: str | None) -> Iterator[str]:
    """Yield the URL of an empty store, and remove it afterwards."""
    if postgres is None:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'impact.db'}"
        return
    name = f"turnup_impact_{new_id()}"
    admin = create_engine(engine_url(postgres), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield f"{postgres.rsplit('/', 1)[0]}/{name}"
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


def run(url: str, template: Template | None, size: Size, table: Table, *, explain: bool) -> None:
    """Fill a store (unless there is no template: it is filled) and measure."""
    if template is not None:
        generate(url, template, size)
    database = Database(url)
    measure(database, size, table, explain=explain and database.dialect == "sqlite")
    database.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=50_000)
    parser.add_argument("--postgres", default=os.environ.get("TURNUP_TEST_POSTGRES"))
    parser.add_argument("--keep", type=Path, help="SQLite file to fill, or to measure again")
    parser.add_argument("--explain", action="store_true")
    options = parser.parse_args()
    size = Size(options.subscribers)
    table = Table(
        "store", "question", "answer", "p50 ms", "p99 ms", "CPU ms", title=f"{size.subscribers:,}"
    )
    kept: Path | None = options.keep
    if kept is not None and kept.exists():
        run(f"sqlite:///{kept}", None, size, table, explain=options.explain)
    else:
        with one_order() as (database, product):
            template = learn(database, product)
        if kept is not None:
            run(f"sqlite:///{kept}", template, size, table, explain=options.explain)
        for postgres in [None] * (kept is None) + [options.postgres] * bool(options.postgres):
            with fresh(postgres) as url:
                run(url, template, size, table, explain=options.explain)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
