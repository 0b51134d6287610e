"""kill -9 while eight processes take, confirm and give back: no value twice, none lost, no set in halves.

A supervisor kills a worker at random moments and starts it again; on PostgreSQL it also ends sessions under the
workers' hands. Afterwards the journals of what the workers were told are held against the database, read with plain
SQL (`allocator_audit`). `make crash` allocates 100,000 values on each store and writes a table; `make test` 3,000.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from inventory import allocator, pools
from inventory.counting import integrity
from store import Database, ManualClock, SystemClock
from tests.crash import allocator_audit as audit
from tests.crash import allocator_worker as worker

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 8
# on PostgreSQL a value that is free again at once can go to a transaction that looked at the clock before its release
BLUR = 1_000_000
TABLE = ROOT / "build" / "allocator-kill.md"


class Crowd:
    """The worker processes: started, killed, asked."""

    def __init__(self, url: str, folder: Path, seed: int) -> None:
        program = Path(__file__).with_name("allocator_worker.py")
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(program), url, str(folder), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.pids = {number: self._start(number) for number in range(PROCESSES)}

    def kill(self, number: int) -> None:
        """Kill a worker and start it again. Raises when it had ended by itself."""
        code = self._ended(number, kill=True)
        assert code == -signal.SIGKILL, self.error(number)
        self.pids[number] = self._start(number)

    def check(self) -> None:
        """Raise when a worker has ended by itself: it only does that when something is wrong."""
        for number in self.pids:
            assert self._ended(number) is None, self.error(number)

    def stop(self) -> None:
        """Let all workers come to the end of their transaction."""
        (self.folder / "stop").touch()
        deadline = time.monotonic() + 60
        while ended := {n: code for n in self.pids if (code := self._ended(n)) != 0}:
            wrong = [n for n, code in ended.items() if code is not None]
            assert not wrong, self.error(wrong[0])
            assert time.monotonic() < deadline, f"workers {list(ended)} do not end"
            time.sleep(0.02)

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def error(self, number: int) -> str:
        told = self.folder / f"w{number}.error"
        return told.read_text() if told.exists() else f"worker {number} ended by itself"

    def _start(self, number: int) -> int:
        return int(self._ask(start=number)["pid"])

    def _ended(self, number: int, *, kill: bool = False) -> int | None:
        code: int | None = self._ask(**{"kill" if kill else "ask": self.pids[number]})["ended"]
        return code

    def _ask(self, **command: int) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def crowd(url: str, folder: Path, seed: int) -> Iterator[Crowd]:
    found = Crowd(url, folder, seed)
    try:
        yield found
    finally:
        found.close()


class Library:
    """The workers' journals, read as they grow."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: Counter[str] = Counter()
        self.books: dict[str, Any] = {}

    def values(self) -> int:
        """Return how many values the workers have been told of so far. Raises Wrong, as the worker would."""
        for journal in self._folder.glob("w*.jsonl"):
            book = self.books.setdefault(journal.name, worker.Books())
            with journal.open("rb") as lines:
                lines.seek(self._read[journal.name])
                for line in lines:
                    if line.endswith(b"\n"):
                        book.replay(json.loads(line))
                        self._read[journal.name] += len(line)
        return sum(book.values for book in self.books.values())


@dataclass
class Run:
    """What was done to the workers, and what came of it."""

    dialect: str
    kills: int = 0
    sessions: int = 0
    seconds: float = 0.0
    values: int = 0
    repeats: int = 0
    transactions: int = 0
    doubts: int = 0
    contention: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    """What must not be: values held twice, lost or unasked, sets in halves, counts that do not add up."""
    blurred: list[int] = field(default_factory=list)
    """For how many microseconds the history has a value with its old owner and its new."""

    def row(self) -> str:
        result = (
            "no value twice, none lost" if not self.findings else f"{len(self.findings)} findings"
        )
        cells = (
            self.dialect,
            PROCESSES,
            self.kills,
            self.sessions,
            f"{self.values:,}",
            f"{self.transactions:,}",
            f"{self.repeats:,}",
            self.doubts,
            self.contention.total(),
            f"{len(self.blurred)}, at most {max(self.blurred, default=0) / 1000:.1f} ms",
            f"{self.seconds:.0f} s",
            result,
        )
        return "| " + " | ".join(str(cell) for cell in cells) + " |"


HEAD = (
    "| store | processes | kill -9 | sessions ended | values allocated | transactions | repeats | left in doubt "
    "| contention "
    "| two owners in the history | time | result |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def disturb(
    store: Database, folder: Path, *, values: int, kills: int, pause: tuple[float, float]
) -> Run:
    """Let the crowd work until it has allocated so many values and was killed so many times."""
    run, chance, library = Run(store.dialect), random.Random(values), Library(folder)
    began = time.monotonic()
    with crowd(store.url, folder, values) as workers:
        while library.values() < values or run.kills < kills:
            time.sleep(chance.uniform(*pause))
            if store.dialect == "postgresql" and chance.random() < 0.3:
                run.sessions += end_a_session(store.url)
            else:
                workers.kill(chance.randrange(PROCESSES))
                run.kills += 1
            workers.check()
        workers.stop()
    run.seconds = time.monotonic() - began
    return run


def end_a_session(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as admin:
        query = (
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' "
            "ORDER BY random() LIMIT 1) AS one"
        )
        return len(admin.execute(query).fetchall())


def storm(
    store: Database, folder: Path, *, values: int, kills: int, pause: tuple[float, float]
) -> Run:
    """Disturb, then hold the journals against the database; findings are in the answer."""
    with store.write() as tx:
        worker.build(tx)
    run = disturb(store, folder, values=values, kills=kills, pause=pause)
    books = [worker.read_books(journal) for journal in sorted(folder.glob("w*.jsonl"))]
    assert len(books) == PROCESSES
    for one in books:
        # what is still open at the end stays in doubt
        one.replay(["ask", {"id": "end", "what": "sweep", "owners": []}])
    seen = sum((one.seen for one in books), Counter[str]())
    run.values = sum(one.values for one in books)
    run.repeats = seen["repeats"]
    run.doubts = seen["in doubt"]
    run.transactions = sum(seen[what] for what in worker.MIX)
    run.contention = Counter({w: n for w, n in seen.items() if w.endswith("CONTENTION")})
    run.findings = [*check_pools(store), *check_books(store, books), *check_repeats(store, books)]
    with store.read() as rx:
        history = list(audit.read_allocations(rx, present=False))
    run.blurred = [late for late in audit.overlaps(history) if late <= BLUR]
    run.findings += [f"two owners for {late} us" for late in audit.overlaps(history) if late > BLUR]
    return run


# -- the database by itself -------------------------------------------------------------------------


def check_pools(store: Database) -> list[str]:
    """Every value once; the API's counts are ours, and add up."""
    clock = ManualClock(SystemClock().now())
    now = audit.micros(clock.now())
    still = Database(store.url, clock=clock)
    try:
        with still.read() as rx:
            states = audit.read_pools(rx)
            told = {pool.id: pool for pool in pools.pools(rx)}
            verified = [integrity.verify(rx, id_) for id_ in told]
    finally:
        still.close()
    found = [finding for state in states.values() for finding in audit.partition(state)]
    found += [f"verify tells of {one}" for report in verified for one in report.discrepancies]
    assert told.keys() == states.keys()
    for id_, state in states.items():
        ours, pool = audit.counts(state, now), told[id_]
        theirs = (pool.capacity, pool.allocated, pool.reserved, pool.quarantined, pool.free)
        if ours != theirs or sum(theirs[1:]) != pool.capacity:
            found.append(f"{id_}: counted {ours}, told {theirs}")
    return found


# -- the database against the journals --------------------------------------------------------------


def check_books(store: Database, books: Iterable[Any]) -> list[str]:
    """What a worker was told it has, it has; what it was never told is there as a whole or not at all."""
    with store.read() as rx:
        now = audit.micros(rx.now)
        held: dict[str, list[tuple[str, int]]] = {}
        for one in audit.read_allocations(rx, present=True):
            if (end := one.end()) is None or end > now:
                held.setdefault(one.owner, []).append((one.pool, one.value))
    rows = {owner: sorted(values) for owner, values in held.items()}
    found, explained = [], set[str]()
    for book in books:
        for owner, values in book.firm.items():
            explained.add(owner)
            if rows.get(owner) != values:
                found.append(f"{owner} was told {values} and has {rows.get(owner)}")
        for owner, values in book.timed.items():
            explained.add(owner)
            if rows.get(owner, values) != values:
                found.append(f"{owner} was told {values} for a time and has {rows[owner]}")
        for act, before in book.unsure:
            explained.update(act.owners)
            if not whole(act, before, rows):
                found.append(f"{act} is done in part: {[rows.get(o) for o in act.owners]}")
    found += [f"{owner} has {rows[owner]}, unasked" for owner in rows.keys() - explained]
    return found


def whole(act: Any, before: dict[str, Any], rows: dict[str, Any]) -> bool:
    if act.what == "common":
        # the others may have got it: then it is there
        return len(rows.get(act.owners[0], ())) in {0, act.size}
    now = [rows.get(owner) for owner in act.owners]
    if before:
        return now in ([before[act.owners[0]]], [None])
    sizes = {len(values or ()) for values in now}
    pools_ = [{pool for pool, _ in values} for values in now if values]
    return sizes in ({0}, {act.size}) and all(len(p) in {1, act.size} for p in pools_)


def check_repeats(store: Database, books: Iterable[Any]) -> list[str]:
    """Asking again gives every owner what it has, and changes nothing."""
    before = allocated(store)
    found = []
    told = {owner: (book, values) for book in books for owner, values in book.firm.items()}
    sets = {o: b.acts[o] for o, (b, _) in told.items() if b.acts[o].size == 4}
    owners = list(sets)
    for start in range(0, len(owners), 500):
        some = owners[start : start + 500]
        wanted = [wish for owner in some for wish in worker.wishes(owner, sets[owner].port)]
        with store.write() as tx:
            answers = allocator.take_set(tx, wanted)
        for nth, owner in enumerate(some):
            answer = [
                (one.pool, one.value) for got in answers[4 * nth : 4 * nth + 4] for one in got
            ]
            if sorted(answer) != told[owner][1]:
                found.append(f"{owner} was told {told[owner][1]} and now {answer}")
    with store.write() as tx:
        for owner in told.keys() - sets.keys():
            again = worker.repeat_of(tx, told[owner][0].acts[owner], owner)
            if sorted((one.pool, one.value) for one in again) != told[owner][1]:
                found.append(f"{owner} was told {told[owner][1]} and now {again}")
    if allocated(store) != before:
        found.append(f"repeats took values: {before} before, {allocated(store)} after")
    return found


def allocated(store: Database) -> int:
    with store.read() as rx:
        row = rx.cursor().execute("SELECT count(*) FROM allocation").fetchone()
    return int(row[0])


# -- tests ------------------------------------------------------------------------------------------


def test_killed_while_allocating(store: Database, tmp_path: Path) -> None:
    run = storm(store, tmp_path, values=3_000, kills=10, pause=(0.05, 0.25))
    print(f"{HEAD}\n{run.row()}\n{dict(run.contention)}")
    assert run.findings == []
    assert run.kills >= 10
    assert run.values >= 3_000


@pytest.mark.crash
@pytest.mark.timeout(1800)
def test_killed_for_a_hundred_thousand_allocations(
    store: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--crash-all"):
        pytest.skip("100,000 allocations take minutes: make crash")
    run = storm(store, tmp_path, values=100_000, kills=100, pause=(0.05, 0.3))
    tell(run)
    assert run.findings == []
    assert run.values >= 100_000


def tell(run: Run) -> None:
    """Print the run, and keep it in the table with the other store's."""
    TABLE.parent.mkdir(exist_ok=True)
    before = TABLE.read_text().splitlines()[2:] if TABLE.exists() else []
    rows = [row for row in before if not row.startswith(f"| {run.dialect} ")] + [run.row()]
    TABLE.write_text("\n".join([HEAD, *sorted(rows)]) + "\n")
    print(TABLE.read_text())
