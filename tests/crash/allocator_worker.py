"""Workers that take, confirm and give back values at random until they are told to stop, or are killed.

Run as a program it is the process they are forked from: imports would cost more than a life between two kills.
Commands are JSON lines on stdin: {"start": number} → {"pid"}; {"kill": pid} → {"ended": return code};
{"ask": pid} → {"ended": null | return code}. Arguments: URL FOLDER SEED.

Each worker has a Database and a journal of its own: a line before it asks for something, a line after it has the
answer. What a worker was told is in its journal, whatever becomes of the worker (`Books` reads it).
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError

from inventory import allocator, pools
from inventory.allocator import Allocation, Wish
from store import Database, TurnupError, Tx

PORTS, HOT = 128, 4
RUN = 5
BULK = 12
COMMON = 40
"""Owners that all workers ask for: the same order item, carried out in several places at once."""
TAKES = ("set", "steps", "bulk", "common", "run", "given", "timed")
REFUSALS = {
    "POOL_EXHAUSTED",
    "VALUE_TAKEN",
    "VALUE_QUARANTINED",
    "CONTENTION",
    "ALLOCATION_NOT_FOUND",
}
MIX = {
    "set": 42,
    "steps": 8,
    "bulk": 3,
    "common": 3,
    "run": 4,
    "given": 5,
    "timed": 7,
    "confirm": 8,
    "release": 16,
    "again": 8,
    "sweep": 1,
}

Value = tuple[str, int]
"""A pool's id and a value of it."""


def build(tx: Tx) -> None:
    """Make the pools: shared ones in stripes, one per PON port (a few of them small), C-VLANs on demand."""
    pools.create_pool(tx, "ipv4", "bng", prefix="10.0.0.0/14", quarantine_seconds=1, stripes=8)
    pools.create_pool(
        tx, "ipv6-prefix", "bng", prefix="2001:db8::/38", quarantine_seconds=1, stripes=8
    )
    pools.create_pool(tx, "s-vlan", "bng", first=1, last=600, quarantine_seconds=1)
    for port in range(PORTS):
        last = 15 if port < HOT else 253
        pools.create_pool(tx, "onu-id", f"port{port}", first=0, last=last, quarantine_seconds=1)


@dataclass(frozen=True)
class Act:
    """One transaction that a worker wants."""

    id: str
    what: str
    owners: tuple[str, ...] = ()
    port: int = 0
    value: int | None = None
    rest: bool = True
    subject: str | None = None

    @property
    def size(self) -> int:
        """Return how many values each owner gets."""
        return {"run": RUN, "given": 1, "timed": 1}.get(self.what, 4)


def act_of(body: dict[str, Any]) -> Act:
    return Act(**{**body, "owners": tuple(body["owners"])})


def wishes(owner: str, port: int, subject: str | None = None) -> list[Wish]:
    """Return what one subscriber needs."""
    places = (
        ("onu-id", f"port{port}"),
        ("c-vlan", f"bng/{1001 + port}"),
        ("ipv4", "bng"),
        ("ipv6-prefix", "bng"),
    )
    return [Wish(kind, scope, owner, subject=subject) for kind, scope in places]


def perform(tx: Tx, act: Act) -> list[Allocation]:
    """Do it, in the caller's transaction."""
    match act.what:
        case "set" | "bulk" | "common":
            wanted = [wish for owner in act.owners for wish in wishes(owner, act.port, act.subject)]
            found = [one for answer in allocator.take_set(tx, wanted) for one in answer]
        case "steps":
            found = [one for wish in wishes(act.owners[0], act.port) for one in take(tx, wish)]
        case "run" | "given" | "timed":
            found = list(take(tx, vlan(act), act.value if act.what == "timed" else None))
        case "confirm":
            found = list(allocator.confirm(tx, act.owners[0]))
        case "release":
            found = list(allocator.release(tx, act.owners[0], quarantine=act.rest))
        case _:
            allocator.expire(tx)
            allocator.tidy(tx)
            found = []
    return found


def take(tx: Tx, wish: Wish, ttl_seconds: int | None = None) -> tuple[Allocation, ...]:
    """Take one wish by itself."""
    more = {"value": wish.value, "count": wish.count, "ttl_seconds": ttl_seconds}
    return allocator.take(tx, kind=wish.kind, scope=wish.scope, owner=wish.owner, **more)  # type: ignore[arg-type]


def vlan(act: Act) -> Wish:
    """Return what an act of one pool wants."""
    value = act.value if act.what == "given" else None
    return Wish("s-vlan", "bng", act.owners[0], value, RUN if act.what == "run" else 1)


def repeat_of(tx: Tx, act: Act, owner: str) -> list[Allocation]:
    """Ask once more for what an owner got by `act`."""
    if act.what == "timed":
        return list(take(tx, Wish("s-vlan", "bng", owner)))
    return perform(tx, Act(act.id, act.what, (owner,), act.port, act.value))


class Wrong(Exception):
    """The allocator gave an answer that it must not give."""


@dataclass
class Books:
    """What a journal tells: what its worker holds, what it cannot know, and what it did."""

    firm: dict[str, list[Value]] = field(default_factory=dict)
    """Told that it has these, and not given back."""
    timed: dict[str, list[Value]] = field(default_factory=dict)
    """Reserved for a time: still there or over."""
    unsure: list[tuple[Act, dict[str, list[Value]]]] = field(default_factory=list)
    """Asked and never told: done as a whole or not at all; what was held before is named."""
    acts: dict[str, Act] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    doubt: Act | None = None
    pending: Act | None = None
    retried: bool = False
    lives: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    values: int = 0

    def replay(self, line: Sequence[Any]) -> None:
        """Take in one line of the journal. Raises Wrong."""
        match line:
            case ["born", *_]:
                self.lives += 1
                self.doubt = self.pending or self.doubt
                self.pending = None
            case ["ask", body]:
                self._ask(act_of(body))
            case ["got", found]:
                assert self.pending
                self.seen[self.pending.what] += 1
                self._got(self.pending, [(owner, (pool, value)) for owner, pool, value in found])
                self.pending = None
            case ["no", code]:
                assert self.pending
                self.seen[f"{self.pending.what} {code}"] += 1
                self._refused(self.pending, code)
                self.pending = None
            case ["lost", *_]:
                self.seen["session lost"] += 1
                self.doubt, self.pending = self.pending, None

    def _ask(self, act: Act) -> None:
        self.retried = self.doubt is not None and self.doubt.id == act.id
        if self.doubt and not self.retried:
            self._abandon(self.doubt)
        self.doubt, self.pending = None, act
        self.asked |= set(act.owners)

    def _abandon(self, act: Act) -> None:
        self.seen["in doubt"] += 1
        if act.what in TAKES:
            self.unsure.append((act, {}))
        elif act.what == "release" or (act.what == "confirm" and act.owners[0] in self.timed):
            owner = act.owners[0]
            self.unsure.append((act, {owner: self._drop(owner)}))

    def _drop(self, owner: str) -> list[Value]:
        return self.firm.pop(owner, None) or self.timed.pop(owner)

    def _got(self, act: Act, found: list[tuple[str, Value]]) -> None:
        by_owner = {
            owner: sorted(one for whose, one in found if whose == owner) for owner in act.owners
        }
        if sum(len(values) for values in by_owner.values()) != len(found):
            raise Wrong(f"{act}: values of others among {found}")
        for owner, values in by_owner.items():
            self._got_one(act, owner, values)

    def _got_one(self, act: Act, owner: str, values: list[Value]) -> None:
        known = self.firm.get(owner) or self.timed.get(owner)
        if act.what in {*TAKES, "again"} and len(values) != self.acts.get(owner, act).size:
            raise Wrong(f"{act}: {owner} got {values}")
        if (
            known is not None
            and values != known
            and not (act.what == "release" and self._may_be_over(owner))
        ):
            raise Wrong(f"{act}: {owner} holds {known} and got {values}")
        match act.what:
            case "release":
                self._drop(owner)
            case "confirm":
                self.firm[owner] = self._drop(owner)
            case "again":
                self.seen["repeats"] += 1
            case _:
                self.values += len(values) if known is None else 0
                self.acts[owner] = act
                (self.timed if act.what == "timed" else self.firm)[owner] = values

    def _may_be_over(self, owner: str) -> bool:
        return self.retried or owner in self.timed

    def _refused(self, act: Act, code: str) -> None:
        if act.what == "confirm" and code == "ALLOCATION_NOT_FOUND":
            if act.owners[0] in self.firm:
                raise Wrong(f"{act}: what was held for good is gone")
            self.timed.pop(act.owners[0])
        elif act.what in {"again", "release"} and code != "CONTENTION":
            raise Wrong(f"{act}: refused with {code}")
        elif code == "CONTENTION" and self.retried:
            # nothing was done this time; whether it was the time before is still unknown
            self.doubt = act


def read_books(journal: Path) -> Books:
    """Read a journal from its start."""
    books = Books()
    if journal.exists():
        for line in journal.read_text().splitlines():
            books.replay(json.loads(line))
    return books


class Worker:
    def __init__(self, number: int, url: str, folder: Path, seed: str) -> None:
        journal = folder / f"w{number}.jsonl"
        self.name = f"w{number}"
        self.books = read_books(journal)
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._chance = random.Random(f"{seed}/{number}/{self.books.lives}")
        self._stop = folder / "stop"
        self._count = 0
        self._write("born", os.getpid())
        self._database = Database(url)

    def live(self) -> None:
        while not self._stop.exists():
            self.turn(self._next())
        self._database.close()

    def turn(self, act: Act) -> None:
        self._write("ask", asdict(act))
        try:
            with self._database.write() as tx:
                if act.what == "again":
                    found = repeat_of(tx, self.books.acts[act.owners[0]], act.owners[0])
                else:
                    found = perform(tx, act)
        except TurnupError as refused:
            if refused.code not in REFUSALS:
                raise
            self._write("no", refused.code)
        except (psycopg.OperationalError, DBAPIError) as lost:
            if self._database.dialect == "sqlite":
                raise
            self._write("lost", f"{type(lost).__name__}: {lost}")
        else:
            self._write("got", [(one.owner, one.pool, one.value) for one in found])

    def _write(self, *line: Any) -> None:
        os.write(self._journal, (json.dumps(line) + "\n").encode())
        self.books.replay(json.loads(json.dumps(line)))

    def _next(self) -> Act:
        doubt = self.books.doubt
        if doubt is not None and self._chance.random() < 0.6:
            return doubt
        (what,) = self._chance.choices(list(MIX), list(MIX.values()))
        return self._act(what)

    def _act(self, what: str) -> Act:
        chance = self._chance
        self._count += 1
        id_ = f"{self.name}.{self.books.lives}.{self._count}"
        if what in {"confirm", "release", "again"}:
            owner = self._held(what)
            if owner is None:
                what = "set"
            else:
                return Act(id_, what, (owner,), rest=chance.random() < 0.8)
        if what == "sweep":
            return Act(id_, what)
        if what == "common":
            number = chance.randrange(COMMON)
            return Act(id_, what, (f"common/{number}",), port=HOT + number)
        many = BULK if what == "bulk" else 1
        return Act(
            id_,
            what,
            tuple(f"{id_}/{n}" for n in range(many)),
            port=chance.randrange(HOT) if chance.random() < 0.1 else chance.randrange(HOT, PORTS),
            value={"given": chance.randint(1, 600), "timed": chance.randint(1, 2)}.get(what),
            subject=f"s{chance.randrange(50)}" if chance.random() < 0.1 else None,
        )

    def _held(self, what: str) -> str | None:
        books = self.books
        doubtful = books.doubt.owners if books.doubt else ()
        timed = what == "confirm" and books.timed and self._chance.random() < 0.7
        mine = [
            owner
            for owner in (books.timed if timed else books.firm)
            if owner not in doubtful and not owner.startswith("common/")
        ]
        scarce = [owner for owner in mine if books.acts[owner].what in {"run", "given", "timed"}]
        if what == "release" and len(scarce) > 12:
            mine = scarce
        return self._chance.choice(mine) if mine else None


def main(url: str, folder: str, seed: str) -> None:
    """Fork and kill workers as told until stdin is closed; then end what still runs."""
    # the pool tells of every session that was ended under its hands
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    running: dict[int, int | None] = {}
    for line in sys.stdin:
        match json.loads(line):
            case {"start": number}:
                pid = _fork(number, url, Path(folder), seed)
                running[pid] = None
                _answer({"pid": pid})
            case {"kill": pid}:
                _answer({"ended": _reap(running, pid, kill=True)})
            case {"ask": pid}:
                _answer({"ended": _reap(running, pid)})
    for pid in [pid for pid, ended in running.items() if ended is None]:
        _reap(running, pid, kill=True)


def _reap(running: dict[int, int | None], pid: int, *, kill: bool = False) -> int | None:
    if running[pid] is None:
        if kill:
            os.kill(pid, signal.SIGKILL)
        done, status = os.waitpid(pid, 0 if kill else os.WNOHANG)
        running[pid] = os.waitstatus_to_exitcode(status) if done else None
    return running[pid]


def _fork(number: int, url: str, folder: Path, seed: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        Worker(number, url, folder, seed).live()
        code = 0
    except BaseException:  # noqa: BLE001  (the supervisor shows it)
        (folder / f"w{number}.error").write_text(traceback.format_exc())
    finally:
        os._exit(code)
    raise AssertionError("not reached")


def _answer(body: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(body) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
