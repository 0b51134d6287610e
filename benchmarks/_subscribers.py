"""A network of many subscribers, written straight into the tables: clones of what one real order leaves.

`learn` takes a database in which a real product order ran, and keeps as patterns the rows that its access and
address services left: product, CFS, two RFS, two composites, two address parts, their relations, footprints, stakes
and allocations; and those of the PON port and the OLT that serve it. `generate` writes them again under other names,
in bulk and before the indexes. So the rows are as the real code leaves them, whatever that code does today.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.schema import CreateIndex, DropIndex

from inventory import tables
from inventory.devices import TopologyImport, TopologyNode, import_topology
from store import Database, Rx, metadata
from store.database import engine_url

Raw = dict[str, Any]
Rows = dict[str, list[Raw]]
Names = Mapping[str, Any]
SERVICES = {
    "CFS-Internet-Access": "cfs",
    "RFS-Fibre-Access": "rfsAccess",
    "RFS-IP-Profile": "rfsIp",
}
COMPOSITES = {"RES-Fibre-Access": "access", "RES-IP-Profile": "ip"}
PARTS = ("IPv4-Address", "IPv6-Prefix")
PORT_POOLS = {"onu-id": "onuId", "alloc-id": "allocId", "gem-port": "gemPort"}
BNG_POOLS = {"ipv4": "ipv4", "ipv6-prefix": "ipv6Prefix"}
PORTS, CUSTOMERS, OLTS_PER_BNG = 16, 62, 50
BATCH = 5_000
BULK = (
    *("instance", "relation", "footprint", "stake", "allocation", "node", "edge", "device"),
    *("pool", "pool_span", "pool_event", "free_range"),
)
_OWN = {"pool": "", "allocation": "id", "free_range": "id"}
"""Column that the store numbers, where it is not `row`."""
_MARK = re.compile("\x01(\\w+)\x01")
_JSON = ("characteristics", "body", "inputs", "params", "details", "labels", "endpoints", "reason")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A row of a table: its columns with constants, and with texts in which names are to be filled."""

    table: str
    cells: Mapping[str, Any]
    past: bool
    """It is history: a version that another followed."""


@dataclass(frozen=True, slots=True)
class Template:
    """What a line, a PON port and an OLT leave, and the first values that a port's pools give."""

    line: tuple[Pattern, ...]
    port: tuple[Pattern, ...]
    olt: tuple[Pattern, ...]
    first: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Size:
    """How large the network is; every `history`-th subscriber has the versions before the present one, too."""

    subscribers: int
    history: int = 10

    @property
    def ports(self) -> int:
        """PON ports with customers."""
        return -(-self.subscribers // CUSTOMERS)

    @property
    def olts(self) -> int:
        """OLTs with such ports."""
        return -(-self.ports // PORTS)

    @property
    def bngs(self) -> int:
        """BNGs, each with a router before it."""
        return -(-self.olts // OLTS_PER_BNG)


# -- learn ------------------------------------------------------------------------------------------


def learn(database: Database, product: str) -> Template:
    """Read what a real order left. The database has to be SQLite, whose rows are read as they are stored."""
    with database.read() as rx:
        line = line_rows(rx, product)
        port, olt = _plant(rx, _document(_access(line), "characteristics"))
    names = _names(line, product)
    numbers = {row["number"]: f"p_{PORT_POOLS[row['kind']]}" for row in port["pool"]}
    first = {
        _characteristic(row): row["value"] for row in line["allocation"] if row["pool"] in numbers
    }
    return Template(
        _patterns(line, names, numbers),
        _patterns(port, names, numbers),
        _patterns(olt, names, numbers),
        first,
    )


def line_rows(rx: Rx, product: str) -> Rows:
    """Return the rows of a line that are cloned, as stored, by table."""
    specs = "', '".join((*SERVICES, *COMPOSITES))
    mine = f"line = '{product}' AND (kind = 'product' OR spec IN ('{specs}'))"
    found = _stored(rx, "instance", mine)
    reached = f"SELECT target FROM relation WHERE source IN ({_texts(row['id'] for row in found)})"
    parts = _stored(rx, "instance", f"id IN ({reached}) AND spec IN ({_texts(PARTS)})")
    ids = _texts(row["id"] for row in (*found, *parts))
    ports = "SELECT id FROM instance WHERE category = 'port'"
    inside = f"source IN ({ids}) AND (target IN ({ids}) OR target IN ({ports}))"
    holders = [row["id"] for row in found if row["spec"] in COMPOSITES]
    held = " OR ".join(f"owner LIKE '{id_}:%'" for id_ in dict.fromkeys(holders))
    return {
        "instance": [*found, *parts],
        "relation": _stored(rx, "relation", inside),
        "footprint": _stored(rx, "footprint", f"instance IN ({ids})"),
        "stake": _stored(rx, "stake", f"instance IN ({ids})"),
        "allocation": _stored(rx, "allocation", held),
    }


def _plant(rx: Rx, access: Mapping[str, Any]) -> tuple[Rows, Rows]:
    """Return the rows of the port and of the OLT that serve a line, with splitter and place."""
    port, olt = access["ponPort"], access["olt"]
    downlink = f"{access['router']}/{access['routerDownlink']}"
    splitter, place = "split-e1", "PL-1001"
    pools = _stored(rx, "pool", f"scope = '{port}'")
    numbers = ", ".join(str(row["number"]) for row in pools)
    of_pools = {
        name: _stored(rx, name, f"pool IN ({numbers})")
        for name in ("pool_span", "pool_event", "free_range")
    }
    passive = f"id IN ('{port}', '{splitter}', '{place}')"
    at_port = {
        "node": _stored(rx, "node", passive),
        "edge": _stored(rx, "edge", f"b = '{splitter}' AND a IN ('{port}', '{place}')"),
        "instance": _stored(rx, "instance", f"id = '{port}'"),
        "relation": _stored(rx, "relation", f"source = '{port}'"),
        "footprint": _stored(rx, "footprint", f"instance = '{port}'"),
        "pool": pools,
        **of_pools,
    }
    at_olt = {
        "device": _stored(rx, "device", f"name = '{olt}'"),
        "node": _stored(rx, "node", f"id IN ('{olt}', '{olt}/uplink-1', '{downlink}')"),
        "edge": _stored(rx, "edge", f"b = '{olt}/uplink-1'"),
        "instance": _stored(rx, "instance", f"id = '{olt}'"),
    }
    return at_port, at_olt


def _stored(rx: Rx, table: str, where: str) -> list[Raw]:
    rows = rx.execute(text(f"SELECT * FROM {table} WHERE {where}")).mappings()
    return [dict(row) for row in rows]


def _texts(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _access(line: Rows) -> Raw:
    return next(row for row in line["instance"] if COMPOSITES.get(row["spec"]) == "access")


def _document(row: Raw, column: str) -> Any:
    return json.loads(row[column])


def _names(line: Rows, product: str) -> dict[str, str]:
    """Return the texts of the real order that are another's for every subscriber, and what each is."""
    values = _document(_access(line), "characteristics")
    named = {product: "product", values["ponPort"]: "port", values["ponPort"].split("/")[1]: "pon"}
    named |= {values[name]: name for name in ("olt", "router", "routerDownlink", "bng", "serial")}
    for row in line["instance"]:
        if row["order_id"]:
            named[row["order_id"]] = f"{row['layer']}Order"
        named[row["id"]] = {**SERVICES, **COMPOSITES}.get(row["spec"], named.get(row["id"], ""))
        if row["spec"] in PARTS:
            named[row["key"]] = "ipv4" if row["spec"] == PARTS[0] else "ipv6Prefix"
        if row["kind"] == "product":
            customer, account = _document(row, "body")["relatedParty"]
            named |= {customer["id"]: "party", customer["name"]: "person", account["id"]: "account"}
            named[row["place"]] = "place"
    named |= {"split-e1": "splitter", "place-12-acacia-ave": "placeName"}
    return {name: what for name, what in named.items() if what}


def _characteristic(allocation: Raw) -> str:
    return str(allocation["owner"].split(":")[1])


def _patterns(
    rows: Rows, names: Mapping[str, str], pools: Mapping[int, str]
) -> tuple[Pattern, ...]:
    spelled = sorted(names, key=len, reverse=True)
    known = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, spelled))})(?![\w])")

    def marked(match: re.Match[str]) -> str:
        return f"\x01{names[match[1]]}\x01"

    found = []
    for table, some in rows.items():
        for row in some:
            numbered = _numbered(table, row, pools)
            cells = {
                column: known.sub(marked, cell) if isinstance(cell, str) else cell
                for column, cell in numbered.items()
                if column != _OWN.get(table, "row")
            }
            found.append(Pattern(table, cells, bool(row.get("valid_to"))))
    return tuple(found)


def _numbered(table: str, row: Raw, pools: Mapping[int, str]) -> Raw:
    """Mark the numbers of a row that are another's for every subscriber or port."""
    row = dict(row)
    for column in ("pool", "number"):
        if column in row and table != "instance":
            row[column] = f"\x01{pools.get(row[column], '')}\x01"
    if table == "allocation":
        name = _characteristic(row)
        row |= {"pool": f"\x01p_{name}\x01", "value": f"\x01v_{name}\x01"}
    if table == "free_range":
        row["lo"] = f"{row['pool'][:-1].replace('p_', 'f_')}\x01"
    for column in _JSON:
        if isinstance(row.get(column), str) and table == "instance":
            row[column] = _marked_numbers(row[column])
    return row


def _marked_numbers(document: str) -> str:
    found = json.loads(document)
    for name in PORT_POOLS.values():
        if isinstance(found, dict) and isinstance(found.get(name), int):
            found[name] = f"\x01v_{name}\x01"
    held = found.get("allocations") if isinstance(found, dict) else None
    for name, one in (held or {}).items():
        one["value"] = f"\x01v_{name}\x01"
    dumped = json.dumps(found, ensure_ascii=False)
    return re.sub('"\\\\u0001(v_\\w+)\\\\u0001"', "\x01\\1\x01", dumped)


# -- generate ---------------------------------------------------------------------------------------


def generate(url: str, template: Template, size: Size) -> None:
    """Fill an empty database. Its tables are made here."""
    with _told("tables, routers and BNGs"):
        starts = _core(url, size)
    engine = create_engine(engine_url(url))
    indexes = [index for name in BULK for index in metadata.tables[name].indexes]
    with engine.begin() as connection:
        for index in indexes:
            connection.execute(DropIndex(index))
    engine.dispose()  # SQLite leaves WAL only when nobody else has the file open
    with _told(f"{size.subscribers:,} subscribers"), _writer(url) as write:
        for batch in _batches(template, size, starts):
            write(batch)
    with _told("indexes"):
        _finish(engine, indexes, size, starts)
    engine.dispose()


@contextmanager
def _told(what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    print(f"  {what}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)


def _core(url: str, size: Size) -> dict[str, tuple[int, int]]:
    """Import the BNGs and routers with the real code; return pool id → (number, first free value)."""
    engine = create_engine(engine_url(url))
    metadata.create_all(engine, tables=list(tables.TABLES))
    engine.dispose()
    access = ({"protocol": "netconf", "host": "192.0.2.1", "port": 830, "username": "admin"},)
    bngs = [
        TopologyNode(
            f"bng-{n + 1}",
            "bng",
            "generic-bng",
            access=access,
            labels={
                "pool-ipv4": f"10.{2 * n}.0.0/15",
                "pool-ipv6": f"2001:db8:{n << 8:x}::/40",
                "vrf": "internet",
            },
        )
        for n in range(size.bngs)
    ]
    routers = [
        TopologyNode(f"agg-{n + 1}", "router", "eos", access=access) for n in range(size.bngs)
    ]
    links = [(f"agg-{n + 1}", "Ethernet10", f"bng-{n + 1}", "access-1") for n in range(size.bngs)]
    database = Database(url)
    with database.write() as tx:
        import_topology(tx, TopologyImport("core", (*bngs, *routers), tuple(links)))
        query = text(
            "SELECT p.id, p.number, f.lo FROM pool p JOIN free_range f ON f.pool = p.number"
        )
        starts = {row.id: (row.number, row.lo) for row in tx.rows(query)}
    database.close()
    return starts


def _batches(
    template: Template, size: Size, starts: Mapping[str, tuple[int, int]]
) -> Iterator[list[tuple[Pattern, list[Names]]]]:
    olts: list[Names] = list(_olts(size))
    yield [(pattern, olts) for pattern in template.olt]
    ports = list(_ports(template, size, starts))
    yield [(pattern, ports) for pattern in template.port]
    for start in range(0, size.subscribers, BATCH):
        numbers = range(start, min(start + BATCH, size.subscribers))
        names: list[Names] = [_subscriber(template, starts, n) for n in numbers]
        past = [one for one, n in zip(names, numbers, strict=True) if n % size.history == 0]
        of_all = [(pattern, names) for pattern in template.line if not pattern.past]
        yield of_all + [(pattern, past) for pattern in template.line if pattern.past]


def _olts(size: Size) -> Iterator[dict[str, Any]]:
    return (
        _names_of_olt(n) | {"romOrder": f"ro{n * PORTS * CUSTOMERS:09d}"} for n in range(size.olts)
    )


def _names_of_olt(number: int) -> dict[str, Any]:
    core = number // OLTS_PER_BNG + 1
    return {
        "olt": f"olt-{number:05d}",
        "router": f"agg-{core}",
        "routerDownlink": f"Ethernet{100 + number % OLTS_PER_BNG}",
        "bng": f"bng-{core}",
    }


def _names_of_port(number: int) -> dict[str, Any]:
    names = _names_of_olt(number // PORTS)
    pon = f"pon{number % PORTS + 1}"
    return names | {
        "pon": pon,
        "port": f"{names['olt']}/{pon}",
        "place": f"PL-{number:06d}",
        "placeName": f"place-{number}",
        "splitter": f"split-{number:06d}",
    }


def _ports(
    template: Template, size: Size, starts: Mapping[str, tuple[int, int]]
) -> Iterator[Names]:
    for number in range(size.ports):
        customers = min(CUSTOMERS, size.subscribers - number * CUSTOMERS)
        names = _names_of_port(number) | _pool_numbers(number, starts)
        names |= {f"f_{name}": first + customers for name, first in template.first.items()}
        yield names | {"romOrder": f"ro{number * CUSTOMERS:09d}"}


def _pool_numbers(port: int, starts: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    before = 1 + max(number for number, _ in starts.values())
    kinds = PORT_POOLS.values()
    return {f"p_{name}": before + port * len(kinds) + n for n, name in enumerate(kinds)}


def _subscriber(
    template: Template, starts: Mapping[str, tuple[int, int]], number: int
) -> dict[str, Any]:
    port, on_port = divmod(number, CUSTOMERS)
    names = _names_of_port(port) | _pool_numbers(port, starts)
    on_bng = number % (OLTS_PER_BNG * PORTS * CUSTOMERS)
    for kind, name in BNG_POOLS.items():
        pool, first = starts[f"{kind}@{names['bng']}"]
        names |= {f"p_{name}": pool, f"v_{name}": first + on_bng}
    names |= {f"v_{name}": first + on_port for name, first in template.first.items()}
    tail = f"{number:09d}"
    names |= {name: f"se{name}{tail}" for name in SERVICES.values()}
    names |= {name: f"re{name}{tail}" for name in COMPOSITES.values()}
    names["ipv4"] = str(IPv4Address(names["v_ipv4"]))
    names["ipv6Prefix"] = _prefix(int(names["bng"][4:]) - 1, names["v_ipv6Prefix"])
    return names | {
        "product": f"pr{tail}",
        "comOrder": f"po{tail}",
        "somOrder": f"so{tail}",
        "romOrder": f"ro{tail}",
        "party": f"CUST-{tail}",
        "person": f"Customer {tail}",
        "account": f"ACC-{tail}",
        "serial": f"BNCH{number:08X}",
    }


def _prefix(core: int, value: int) -> str:
    """Return the /56 of a number in the /40 of a BNG, as the kind renders it."""
    third, fourth = core << 8 | value >> 8, (value & 255) << 8
    return f"2001:db8:{third:x}::/56" if fourth == 0 else f"2001:db8:{third:x}:{fourth:x}::/56"


@contextmanager
def _writer(url: str) -> Iterator[Any]:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-200000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        yield lambda batch: _insert(connection, batch)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    else:
        with psycopg.connect(url) as copying:
            yield lambda batch: _copy(copying, batch)


def _insert(connection: sqlite3.Connection, batch: Sequence[tuple[Pattern, list[Names]]]) -> None:
    """Bring each subscriber's names to SQLite once and let it fill them in: Python took twice as long."""
    given: list[Names] | None = None
    for pattern, names in batch:
        if not names:
            continue
        if names is not given:
            given = names
            _lay_out(connection, names)
        columns = ", ".join(f'"{column}"' for column in pattern.cells)
        values = ", ".join(_expression(value) for value in pattern.cells.values())
        sql = f'INSERT INTO "{pattern.table}" ({columns}) SELECT {values} FROM temp.given'
        connection.execute(sql)


def _lay_out(connection: sqlite3.Connection, names: list[Names]) -> None:
    columns = ", ".join(f'"{name}"' for name in names[0])
    marks = ", ".join("?" * len(names[0]))
    connection.execute("DROP TABLE IF EXISTS temp.given")
    connection.execute(f"CREATE TEMP TABLE given ({columns})")
    rows = [tuple(one.values()) for one in names]
    connection.executemany(f"INSERT INTO given VALUES ({marks})", rows)


def _expression(value: Any) -> str:
    """Return the SQL that fills a cell: constants and columns of `given` in turn."""
    if not isinstance(value, str):
        return _literal(value)
    parts = _MARK.split(value)  # constant, name, constant, name, …, constant
    spelled = [
        f'given."{part}"' if at % 2 else _literal(part)
        for at, part in enumerate(parts)
        if part or at % 2
    ]
    return " || ".join(spelled) or "''"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def _copy(connection: psycopg.Connection, batch: Sequence[tuple[Pattern, list[Names]]]) -> None:
    for pattern, names in batch:
        columns = ", ".join(f'"{column}"' for column in pattern.cells)
        line = "\t".join(_copied(value) for value in pattern.cells.values()) + "\n"
        with connection.cursor().copy(f'COPY "{pattern.table}" ({columns}) FROM STDIN') as copy:
            copy.write("".join(line % one for one in names))


def _copied(value: Any) -> str:
    if value is None:
        return "\\N"
    escaped = str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    return _format(escaped)


def _format(cell: str) -> str:
    """Return a text with marked names as one for the % operator."""
    return _MARK.sub(r"%(\1)s", cell.replace("%", "%%"))


def _finish(
    engine: Engine, indexes: Sequence[Any], size: Size, starts: Mapping[str, tuple[int, int]]
) -> None:
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            for pragma in ("threads=2", "cache_size=-500000", "synchronous=OFF"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
        else:
            connection.exec_driver_sql("SET maintenance_work_mem = '512MB'")
        for index in indexes:
            connection.execute(CreateIndex(index))
        taken = text("UPDATE free_range SET lo = lo + :n WHERE pool = :pool")
        for id_, (pool, _) in starts.items():
            core = int(id_.rsplit("-", 1)[1]) - 1
            behind = OLTS_PER_BNG * PORTS * CUSTOMERS
            count = max(0, min(behind, size.subscribers - core * behind))
            connection.execute(taken, {"n": count, "pool": pool})
        if engine.dialect.name == "postgresql":
            number = (
                "SELECT setval(pg_get_serial_sequence('pool', 'number'), max(number)) FROM pool"
            )
            connection.exec_driver_sql(number)
        connection.commit()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
