"""A network of any size, written straight into the tables: OLTs of 16 PON ports behind routers of 20 OLTs each.

Four ports reach every place: two of each of two OLTs. `customers` hold an ONU-ID on every port.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, text

from inventory.tables import allocation, device, edge, free_range, node, pool, pool_span
from store import Tx

PORTS, BEHIND_ROUTER, LAST_ID = 16, 20, 253
KINDS = {"onu-id": (0, LAST_ID), "alloc-id": (256, 4095), "gem-port": (256, 4094)}


def build(tx: Tx, olts: int, *, customers: int = 0) -> None:
    """Make the network. Place `PL-n` is reached by ports 1 and 2 of OLTs n and n + 1 (counted round)."""
    _devices(tx, olts)
    _graph(tx, olts)
    _pools(tx, olts, customers)


def _olt(number: int) -> str:
    return f"olt-{number:04d}"


def _router(number: int) -> str:
    return f"agg-{number // BEHIND_ROUTER}"


def _devices(tx: Tx, olts: int) -> None:
    names = [(_olt(n), "olt") for n in range(olts)]
    names += [(name, "router") for name in sorted({_router(n) for n in range(olts)})]
    rows = [
        {
            "name": name,
            "platform": role,
            "role": role,
            "site": f"site-{name}",
            "host": "127.0.0.1",
            "endpoints": [],
            "admin_state": "managed",
            "labels": {},
            "valid_from": tx.now,
        }
        for name, role in [*names, ("bng-1", "bng"), ("acs-1", "acs"), ("acs-2", "acs")]
    ]
    tx.execute(insert(device), rows)
    tx.execute(insert(node), [_node(tx, str(r["name"]), "device", role=r["role"]) for r in rows])


def _node(tx: Tx, id_: str, kind: str, **more: Any) -> dict[str, Any]:
    blank = {"parent": None, "role": None, "technology": None}
    return {"id": id_, "kind": kind, "name": id_, "labels": {}, "valid_from": tx.now} | blank | more


def _graph(tx: Tx, olts: int) -> None:
    nodes: list[dict[str, Any]] = []
    edges: list[tuple[str, str]] = []

    def port(owner: str, name: str, **more: Any) -> str:
        nodes.append(_node(tx, f"{owner}/{name}", "port", parent=owner, **more) | {"name": name})
        return f"{owner}/{name}"

    for number in range(olts):
        olt, router = _olt(number), _router(number)
        edges.append((port(olt, "uplink-1"), port(router, f"Ethernet{number}")))
        for pon in range(1, PORTS + 1):
            split = f"split-{number}-{pon}"
            nodes.append(_node(tx, split, "splitter") | {"labels": {"split-ratio": "1:32"}})
            edges.append((port(olt, f"pon{pon}", technology="GPON"), split))
        nodes.append(_node(tx, f"PL-{number}", "place"))
        for neighbour in (number, (number + 1) % olts):
            edges += [(f"split-{neighbour}-{pon}", f"PL-{number}") for pon in (1, 2)]
    for router in sorted({_router(n) for n in range(olts)}):
        edges.append((port(router, "uplink"), port("bng-1", f"access-{router}")))
    tx.execute(insert(node), nodes)
    rows = [{"a": min(pair), "b": max(pair), "valid_from": tx.now} for pair in set(edges)]
    tx.execute(insert(edge), rows)


def _pools(tx: Tx, olts: int, customers: int) -> None:
    ports = [f"{_olt(n)}/pon{pon}" for n in range(olts) for pon in range(1, PORTS + 1)]
    pools, spans, free, taken = [], [], [], []
    for number, (port, kind) in enumerate(((p, k) for p in ports for k in KINDS), 1):
        first, last = KINDS[kind]
        used = customers if kind == "onu-id" else 0
        common = {"first": first, "last": last, "kind": kind, "scope": port, "params": {}}
        pools.append(
            {"number": number, "id": f"{kind}@{port}", "quarantine_seconds": 60, "reuse": "lowest"}
            | common
            | {"created": tx.now}
        )
        spans.append({"pool": number, "first": first, "last": last, "valid_from": tx.now})
        if first + used <= last:
            free.append({"pool": number, "lo": first + used, "hi": last, "free_at": 0})
        taken += [
            {
                "pool": number,
                "value": first + n,
                "owner": f"{port}:{n}",
                "ordinal": 0,
                "valid_from": tx.now,
                "confirmed_at": tx.now,
            }
            for n in range(used)
        ]
    for table, rows in ((pool, pools), (pool_span, spans), (free_range, free), (allocation, taken)):
        if rows:
            tx.execute(insert(table), rows)
    if tx.dialect == "postgresql":
        tx.execute(
            text("SELECT setval(pg_get_serial_sequence('pool', 'number'), max(number)) FROM pool")
        )
