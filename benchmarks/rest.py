"""Allocations through REST: a real server process, clients with connections that stay open.

    python benchmarks/rest.py [--postgres postgresql://…] [--seconds 3] [--clients 1 8] [--profile FILE]

The server is the whole HTTP application in a process of its own, on a database of its own (SQLite WAL with synchronous=FULL,
PostgreSQL with fsync as the server has it). Clients are processes that write and read bytes on a socket, so that they
cost next to nothing. Refusals are counted: there must be none while values are free. Afterwards all values must be
distinct and the pools add up. A set is ONU-ID, C-VLAN, IPv4 address and IPv6 /56. With --profile the server writes
what its threads cost (cProfile), which slows it down.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text

from store import new_id

CONTEXT = multiprocessing.get_context("spawn")
PORTS = 64
ROOT = "/turnup/v1"


@dataclass(frozen=True)
class Rate:
    """What one run achieved; times in ms, CPU per request."""

    requests: float
    p50: float
    p99: float
    refused: int
    server: float
    client: float


# -- server -----------------------------------------------------------------------------------------


def serve(url: str, folder: str, told: Any, end: Any, profile: str | None) -> None:
    """Serve the whole application; say the port, and at the end how much CPU was used."""
    import uvicorn

    from activation.credentials import Credentials
    from turnup.application import Application
    from turnup.server import build
    from turnup.settings import Settings

    settings = Settings(database_url=url, state_dir=Path(folder), runtime="none")
    built = Application(settings, Credentials(lab={}))
    http = build(built, None)
    config = uvicorn.Config(http, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    watching = _profiled(profile) if profile else None
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise SystemExit("the server ended before it was up")
        time.sleep(0.01)
    told.put(server.servers[0].sockets[0].getsockname()[1])
    while end.get() != "end":
        told.put(time.process_time())
    server.should_exit = True
    thread.join(10)
    if watching:
        watching.dump(str(profile))
    built.database.close()


class _profiled:  # noqa: N801
    """Profiles every thread that starts from now on."""

    def __init__(self, _: str) -> None:
        import cProfile

        self._made: list[cProfile.Profile] = []

        def start(*_: Any) -> None:
            sys.setprofile(None)
            mine = cProfile.Profile()
            self._made.append(mine)
            mine.enable()

        threading.setprofile(start)

    def dump(self, name: str) -> None:
        import pstats

        for one in self._made:
            one.create_stats()
        found = pstats.Stats(self._made[0])
        for one in self._made[1:]:
            found.add(one)
        found.dump_stats(name)


@contextmanager
def running(url: str, folder: str, profile: str | None) -> Iterator[tuple[int, Any]]:
    """Run a server; yield its port and what asks it for its CPU time."""
    told, end = CONTEXT.Queue(), CONTEXT.Queue()
    process = CONTEXT.Process(target=serve, args=(url, folder, told, end, profile))
    process.start()
    port = told.get(timeout=60)

    def cpu() -> float:
        end.put("cpu")
        return float(told.get(timeout=30))

    try:
        yield port, cpu
    finally:
        end.put("end")
        process.join(30)


# -- clients ----------------------------------------------------------------------------------------


class Wire:
    """One connection that stays open: requests out, status and body back."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._kept = b""

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        head = f"POST {ROOT}{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        while b"\r\n\r\n" not in self._kept:
            self._kept += self._more()
        top, _, rest = self._kept.partition(b"\r\n\r\n")
        size = int(top.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(rest) < size:
            rest += self._more()
        self._kept = rest[size:]
        return int(top[9:12]), rest[:size]

    def _more(self) -> bytes:
        found = self._socket.recv(65536)
        if not found:
            raise ConnectionError
        return found


def one_value(owner: str, _: int) -> tuple[str, Any]:
    return "/pools/ipv4@bng/allocations", {"owner": owner}


def one_set(owner: str, turn: int) -> tuple[str, Any]:
    port = hash(owner) % PORTS if turn < 0 else turn % PORTS
    items = [
        {"pool": f"onu-id@olt/pon{port}"},
        {"pool": f"c-vlan@bng/{port}"},
        {"pool": "ipv4@bng"},
        {"pool": "ipv6-prefix@bng"},
    ]
    return "/allocationSets", {"sets": [{"owner": owner, "items": items}]}


WORK = {"one value": one_value, "set of four": one_set}


def client(port: int, what: str, seed: int, seconds: float, gate: Any, answers: Any) -> None:
    """Ask until the time is over; report how long each took and what was refused."""
    wire, make = Wire(port), WORK[what]
    for turn in range(5):
        path, body = make(f"warm-{what}-{seed}-{turn}-{new_id()}", seed)
        wire.post(path, json.dumps(body).encode())
    times: list[float] = []
    refused = 0
    gate.wait()
    begin, cpu = time.perf_counter(), time.process_time()
    while (start := time.perf_counter()) - begin < seconds:
        path, body = make(f"{what}-{seed}-{len(times)}-{begin}", seed * 7 + len(times))
        status, _ = wire.post(path, json.dumps(body).encode())
        times.append(time.perf_counter() - start)
        refused += status != 201
    answers.put((times, time.process_time() - cpu, refused))


def crowd(port: int, cpu: Any, what: str, clients: int, seconds: float) -> Rate:
    """Let so many client processes ask at the same time."""
    gate, answers = CONTEXT.Barrier(clients + 1), CONTEXT.Queue()
    made = [
        CONTEXT.Process(target=client, args=(port, what, seed, seconds, gate, answers))
        for seed in range(clients)
    ]
    for one in made:
        one.start()
    gate.wait()
    before = cpu()
    told = [answers.get() for _ in made]
    used = cpu() - before
    for one in made:
        one.join()
    times = sorted(t for some, _, _ in told for t in some)
    return Rate(
        len(times) / seconds,
        statistics.median(times) * 1000,
        times[int(len(times) * 0.99)] * 1000,
        sum(refused for _, _, refused in told),
        used / len(times) * 1000,
        sum(mine for _, mine, _ in told) / len(times) * 1000,
    )


# -- one store --------------------------------------------------------------------------------------


def prepare(http: httpx.Client) -> None:
    """Make the pools of one aggregation domain."""
    pools: list[dict[str, Any]] = [
        {"kind": "ipv4", "scope": "bng", "prefix": "10.0.0.0/12", "stripes": 8},
        {"kind": "ipv6-prefix", "scope": "bng", "prefix": "2001:db8::/36", "stripes": 8},
    ]
    for port in range(PORTS):
        pools.append({"kind": "onu-id", "scope": f"olt/pon{port}", "technology": "XGS-PON"})
        pools.append({"kind": "c-vlan", "scope": f"bng/{port}"})
    for pool in pools:
        http.post(f"{ROOT}/pools", json=pool).raise_for_status()


def check(url: str, http: httpx.Client) -> None:
    """Fail unless all values are distinct and every pool adds up."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    query = "SELECT count(*), count(DISTINCT pool * 1000000000000 + value) FROM allocation"
    with engine.connect() as connection:
        all_, distinct = connection.execute(text(query)).one()
    engine.dispose()
    assert all_ == distinct, (all_, distinct)
    pools = http.get(f"{ROOT}/pools", params={"limit": 10_000}).json()
    for one in pools:
        parts = one["allocated"] + one["reserved"] + one["quarantined"] + one["free"]
        assert parts == one["capacity"], one
    assert sum(one["allocated"] + one["reserved"] for one in pools) == all_


@contextmanager
def fresh(postgres: str | None, folder: str) -> Iterator[str]:
    """Yield the URL of an empty database."""
    if postgres is None:
        yield f"sqlite:///{folder}/rest.db"
        return
    name = f"turnup_rest_{new_id()}"
    driver = postgres.replace("postgresql://", "postgresql+psycopg://", 1)
    admin = create_engine(driver, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield f"{postgres.rsplit('/', 1)[0]}/{name}"
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


def measure(console: Console, store: str, postgres: str | None, options: Any) -> None:
    """Measure one store and print its table."""
    shown = Table(title=f"{store}, through REST")
    for name in (
        "",
        "clients",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "refused",
        "server CPU ms",
        "client CPU ms",
    ):
        shown.add_column(name, justify="right" if name else "left")
    with (
        tempfile.TemporaryDirectory() as folder,
        fresh(postgres, folder) as url,
        running(url, folder, options.profile) as (port, cpu),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
    ):
        prepare(http)
        for what in WORK:
            for clients in options.clients:
                rate = crowd(port, cpu, what, clients, options.seconds)
                shown.add_row(what, str(clients), *_cells(rate))
        check(url, http)
    console.print(shown)


def _cells(rate: Rate) -> list[str]:
    return [
        f"{rate.requests:,.0f}",
        f"{rate.p50:.2f}",
        f"{rate.p99:.2f}",
        str(rate.refused),
        f"{rate.server:.2f}",
        f"{rate.client:.2f}",
    ]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--postgres", default=os.environ.get("TURNUP_TEST_POSTGRES"))
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--profile", metavar="FILE", help="write cProfile's figures of the server")
    options = parser.parse_args()
    console = Console(width=110)
    measure(console, "SQLite FULL", None, options)
    if options.postgres:
        measure(console, "PostgreSQL", options.postgres, options)
    console.print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
