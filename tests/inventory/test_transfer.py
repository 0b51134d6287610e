"""Pools and allocations to a document or sheet and back: nothing is lost, again changes nothing, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory import allocator, journal, pools, reshape
from inventory.cause import Cause
from inventory.counting.integrity import verify
from inventory.documents import transfer
from inventory.documents.transfer import export_pools, from_csv, import_pools, to_csv
from inventory.errors import ImportInvalid, OwnedByOrder, PoolNotFound, PoolOverlap
from inventory.tables import TABLES
from inventory.values import kinds
from store import Database, ManualClock, Tx

Json = dict[str, Any]
ORDER = Cause(order_id="order-1", item_id="item-1", layer="rom")
NETWORK: Json = {"name": "site-code", "render": "integer", "scope": "region", "range": [1, 99]}


@pytest.fixture
def tx(base: Database) -> Iterator[Tx]:
    with base.write() as tx:
        yield tx
    kinds._declared.clear()


def empty(tx: Tx) -> None:
    """Delete all there is, as in a new database."""
    for table in TABLES:
        tx.execute(table.delete())
    kinds._declared.clear()


def furnish(tx: Tx, clock: ManualClock) -> None:
    """Make one of everything: carved, banded, split, moved, shared, reserved, resting, drained."""
    create, take = pools.create_pool, allocator.take
    create(
        tx,
        "s-vlan",
        "bng",
        first=1,
        last=200,
        exclude=["50-59"],
        bands={"static": "60-69"},
        stripes=3,
    )
    create(tx, "ipv4-prefix", "region", prefix="10.0.0.0/16", prefix_length=24, domain="red")
    create(tx, "ipv4", "bng", parent="ipv4-prefix@region", prefix="10.0.7.0/24")
    create(tx, "ipv4", "b", prefix="100.64.0.0/24", domain="internet", reuse="lowest")
    create(tx, "ipv6-prefix", "bng", prefix="2001:db8::/44")
    create(tx, "port", "olt1", values=["pon 1", "=pon2", "pon..3"])
    create(tx, "onu-serial", "HG", values=["HWTC00000001", "HWTC00000002", "HWTC00000009"])
    kinds.declare(tx, NETWORK)
    create(tx, "site-code", "north")
    take(tx, kind="s-vlan", scope="bng", owner="a", count=3, state="active", subject="=1+1")
    take(tx, kind="s-vlan", scope="bng", owner="o", cause=ORDER, reason={"why": ["x", 1]})
    take(tx, kind="s-vlan", scope="bng", owner="late", ttl_seconds=900, value=180)
    take(tx, kind="s-vlan", scope="bng", owner="over", ttl_seconds=1)
    take(tx, kind="s-vlan", scope="bng", owner="static", band="static")
    take(tx, kind="s-vlan", scope="bng", owner="gone", value=150, state="active", subject="s")
    allocator.release(tx, "gone")
    for user in ("u1", "u2"):
        allocator.take_shared(tx, kind="s-vlan", scope="bng", shared_by="pon1", user=user)
    take(tx, kind="ipv6-prefix", scope="bng", owner="home", value="2001:db8:1::/56")
    take(tx, kind="ipv4", scope="b", owner="cpe", value="100.64.0.200")
    take(tx, kind="port", scope="olt1", owner="x", value="=pon2")
    take(tx, kind="onu-serial", scope="HG", owner="@stock")
    reshape.split(tx, "s-vlan@bng", at=120, scope="west")
    reshape.split(tx, "ipv4@b", at="100.64.0.128", scope="c")
    reshape.grow(tx, "ipv6-prefix@bng", prefix="2001:db8:10::/44")
    reshape.drain(tx, "s-vlan@west")
    reshape.change(tx, "ipv4@c", quarantine_seconds=7)
    clock.advance(timedelta(seconds=5))


def test_what_is_exported_can_be_imported_elsewhere(tx: Tx, clock: ManualClock) -> None:
    furnish(tx, clock)
    exported = export_pools(tx)
    assert len(exported["pools"]) == 10
    ids = [f"{one['kind']}@{one['scope']}" for one in exported["pools"]]
    before = [pools.pool(tx, id_) for id_ in ids]
    for document in (json.loads(json.dumps(exported)), from_csv(to_csv(exported))):
        empty(tx)
        report = import_pools(tx, document)
        assert (report.pools_created, report.pools_unchanged) == (10, 0)
        assert report.allocations_created == len(exported["allocations"])
        assert export_pools(tx) == exported
        for id_, was in zip(ids, before, strict=True):
            now = pools.pool(tx, id_)
            assert verify(tx, id_).sound
            assert (now.capacity, now.allocated, now.reserved, now.quarantined, now.free) == (
                was.capacity,
                was.allocated,
                was.reserved,
                was.quarantined,
                was.free,
            )
            assert (now.bands, now.exclusions, now.parent) == (
                was.bands,
                was.exclusions,
                was.parent,
            )


def test_an_import_can_be_repeated(tx: Tx, clock: ManualClock) -> None:
    furnish(tx, clock)
    exported = export_pools(tx)
    for document in (exported, from_csv(to_csv(exported).encode())):
        report = import_pools(tx, document)
        assert (report.pools_created, report.allocations_created, report.conflicts) == (0, 0, ())
        assert (report.pools_unchanged, report.allocations_unchanged) == (
            10,
            len(exported["allocations"]),
        )
        assert report.body()["pools"] == {"created": 0, "unchanged": 10}
    assert export_pools(tx) == exported


def test_imported_values_behave_as_taken_ones(tx: Tx, clock: ManualClock) -> None:
    furnish(tx, clock)
    exported = export_pools(tx)
    empty(tx)
    import_pools(tx, exported)
    take: Json = {"kind": "s-vlan", "scope": "bng"}
    assert [one.value for one in allocator.take(tx, **take, owner="a")] == [1, 2, 3]
    with pytest.raises(OwnedByOrder):
        allocator.release_by_api(tx, "s-vlan@bng", "o")
    share: Json = {**take, "shared_by": "pon1"}
    assert not allocator.release_shared(tx, **share, user="u1")
    assert allocator.release_shared(tx, **share, user="u2")
    reshape.drain(tx, "s-vlan@west", on=False)
    assert allocator.take(tx, kind="s-vlan", scope="west", owner="n", subject="s")[0].value == 150
    with pytest.raises(PoolOverlap):
        pools.create_pool(tx, "ipv4", "z", prefix="100.64.0.0/25", domain="internet")
    clock.advance(timedelta(seconds=900))
    assert allocator.expire(tx) == 1
    reshape.remove(tx, "ipv4@bng")
    assert pools.pool(tx, "ipv4-prefix@region").quarantined == 1
    assert "imported" in [event.what for event in journal.events(tx, "s-vlan@bng")]


def test_one_pool_or_kind_or_domain_can_be_exported(tx: Tx, clock: ManualClock) -> None:
    furnish(tx, clock)
    assert [one["scope"] for one in export_pools(tx, kind="s-vlan")["pools"]] == ["bng", "west"]
    assert len(export_pools(tx, pool="s-vlan@bng")["pools"]) == 1
    assert export_pools(tx, scope="HG", allocations=False)["allocations"] == []
    assert {one["kind"] for one in export_pools(tx, domain="internet")["pools"]} == {"ipv4"}
    assert "kinds" not in export_pools(tx, kind="s-vlan")
    assert export_pools(tx, kind="site-code")["kinds"] == [NETWORK]
    with pytest.raises(PoolNotFound):
        export_pools(tx, pool="s-vlan@none")


BY_HAND = """\ufeffkind;scope;first;last;prefix;value;owner;exclude;bands
s-vlan;bng;1;100;;;;10-20 30;"{""static"": ""40-49""}"
ipv4;bng;;;100.64.0.0/24;;;;

s-vlan;bng;;;;5;cust-1;;
s-vlan;bng;;;;45;cust-2;;
ipv4;bng;;;;100.64.0.9;'=cmd;;
"""


def test_a_sheet_written_by_hand_is_understood(tx: Tx) -> None:
    report = import_pools(tx, from_csv(BY_HAND.encode()))
    assert (report.pools_created, report.allocations_created) == (2, 3)
    made = pools.pool(tx, "s-vlan@bng")
    assert (made.capacity, made.allocated) == (100 - 12, 2)
    assert [(band.name, band.spans) for band in made.bands] == [("static", ((40, 49),))]
    (held,) = allocator.allocations(tx, pool="ipv4@bng")
    assert (held.text, held.owner, held.state) == ("100.64.0.9", "=cmd", "active")
    assert import_pools(tx, from_csv(BY_HAND)).allocations_unchanged == 3
    assert verify(tx, "s-vlan@bng").sound
    assert verify(tx, "ipv4@bng").sound


def test_a_spreadsheet_runs_nothing_of_a_sheet(tx: Tx) -> None:
    pools.create_pool(tx, "s-vlan", "=bng", first=1, last=9)
    for owner in ("=1+1", "+1", "-1", "@x", "'quoted", "\tx", 'say "hi", ok', "a\r\nb", "plain"):
        allocator.take(tx, kind="s-vlan", scope="=bng", owner=owner)
    exported = export_pools(tx)
    sheet = to_csv(exported)
    assert ",'=1+1," in sheet
    assert ",''quoted," in sheet
    empty(tx)
    import_pools(tx, from_csv(sheet))
    assert export_pools(tx) == exported


WRONG = """record,kind,scope,value,owner,state,expiresAt,restsUntil,first,last,stripes,draining
pool,s-vlan,bng,,,,,,1,9,,
pool,s-vlan,,,,,,,1,9,x,maybe
pool,nokind,a,,,,,,1,9,,
pool,s-vlan,b,,,,,,1,9999,,
alloc,s-vlan,bng,1,a,,,,,,,
allocation,s-vlan,bng,77,a,,,,,,,
allocation,s-vlan,bng,x,a,,,,,,,
allocation,s-vlan,bng,2,,,,,,,,
allocation,s-vlan,bng,3,a,owned,,,,,,
allocation,s-vlan,bng,4,a,quarantined,,,,,,
allocation,s-vlan,bng,5,a,reserved,yesterday,,,,,
allocation,s-vlan,bng,6,a,active,2026-01-31T12:00:00Z,,,,,
allocation,s-vlan,bng,7,a,,,,,,,
allocation,s-vlan,bng,7,b,,,,,,,
allocation,s-vlan,none,1,a,,,,,,,
allocation,s-vlan,b,1,a,,,,,,,
"""


def test_all_wrong_lines_are_told_at_once(tx: Tx) -> None:
    with pytest.raises(ImportInvalid) as failure:
        import_pools(tx, from_csv(WRONG))
    problems = failure.value.details["problems"]
    assert [(one["line"], one["column"]) for one in problems] == [
        (3, "scope"),
        (3, "stripes"),
        (3, "draining"),
        (4, "kind"),
        (5, "first"),
        (6, "record"),
        (7, "value"),
        (8, "value"),
        (9, "owner"),
        (10, "state"),
        (11, "restsUntil"),
        (12, "expiresAt"),
        (13, "expiresAt"),
        (15, "value"),
        (16, "scope"),
    ]
    assert failure.value.details["count"] == 15
    assert failure.value.status == 400
    assert "line 3, column scope: is missing and 14 more" in failure.value.message
    assert pools.pools(tx) == []


@pytest.mark.parametrize(
    ("document", "column"),
    [
        (7, None),
        ({"pool": []}, "pool"),
        ({"format": "other"}, "format"),
        ({"pools": {}}, "pools"),
        ({"pools": [7]}, None),
        (
            {"pools": [{"kind": "s-vlan", "scope": "a", "first": 1, "last": 2, "colour": 1}]},
            "colour",
        ),
        ({"pools": [{"kind": "s-vlan", "scope": "a", "ranges": "1-2"}]}, "ranges"),
        ({"pools": [{"kind": "s-vlan", "scope": "a", "ranges": [["2", "1"]]}]}, "ranges"),
        ({"pools": [{"kind": "s-vlan", "scope": "a", "ranges": [["1", "5000"]]}]}, "ranges"),
        (
            {
                "pools": [
                    {"kind": "s-vlan", "scope": "a", "ranges": [[1, 5]], "bands": {"b": [[5, 6]]}}
                ]
            },
            "ranges",
        ),
        ({"pools": [{"kind": "s-vlan", "scope": "a", "ranges": [[1, 5]], "first": 1}]}, "first"),
        (
            {"pools": [{"kind": "s-vlan", "scope": "a", "first": 1, "last": 2, "params": {}}]},
            "params",
        ),
        (
            {
                "pools": [
                    {
                        "kind": "ipv6-prefix",
                        "scope": "a",
                        "ranges": [["2001:db8::/56", "2001:db8::/56"]],
                    }
                ]
            },
            "ranges",
        ),
        (
            {"pools": [{"kind": "s-vlan", "scope": "a", "first": 1, "last": 2, "domain": "x"}]},
            "domain",
        ),
        ({"pools": [{"kind": "s-vlan", "scope": "a", "first": 1, "last": 2, "id": "b"}]}, "id"),
        (
            {"pools": [{"kind": "s-vlan", "scope": "a", "first": 1, "last": 2, "reuse": "no"}]},
            "reuse",
        ),
        (
            {"pools": [{"kind": "s-vlan", "scope": "a", "first": 1, "last": 2, "bands": "x"}]},
            "bands",
        ),
        ({"pools": [{"kind": "s-vlan", "scope": "a", "first": True, "last": 2}]}, "first"),
        (
            {"pools": [{"kind": "ipv4", "scope": "a", "prefix": "10.0.0.0/24", "parent": "no"}]},
            "parent",
        ),
        ({"pools": [{"kind": "s-vlan", "scope": "a", "first": 1, "last": 2}] * 2}, "scope"),
        ({"kinds": [{"name": "X"}]}, "params"),
        ({"allocations": [{"kind": "s-vlan", "scope": "a", "value": 1, "owner": "o"}]}, "scope"),
    ],
)
def test_documents_that_cannot_be_are_refused(tx: Tx, document: Any, column: str | None) -> None:
    with pytest.raises(ImportInvalid) as failure:
        import_pools(tx, document)
    assert column in [one["column"] for one in failure.value.details["problems"]]
    assert pools.pools(tx) == []


@pytest.mark.parametrize(
    ("sheet", "told"),
    [
        (b"kind,scope\n\xe9,1\n", "not UTF-8"),
        ("kind,scope".encode("utf-16"), "not UTF-8"),
        ("", "missing from the head line"),
        ("kind,scope,colour\n", "is no column"),
        ("kind,kind,scope\n", "twice"),
        ('kind,scope\n"s-vlan,b\n', "cannot be read as CSV"),
    ],
)
def test_files_that_are_no_sheets_are_refused(sheet: str | bytes, told: str) -> None:
    with pytest.raises(ImportInvalid, match=told):
        from_csv(sheet)


def test_too_many_cells_and_broken_json_are_told_with_their_lines(tx: Tx) -> None:
    sheet = 'kind,scope,value,owner,reason\ns-vlan,a,1,o,{\ns-vlan,a,1,o,,7\n"s-vlan","a\nb",1,o,\n'
    with pytest.raises(ImportInvalid) as failure:
        import_pools(tx, from_csv(sheet))
    lines = [(one["line"], one["column"]) for one in failure.value.details["problems"]]
    assert lines == [(2, "reason"), (3, None), (4, "scope")]


def held(value: int, owner: str, **more: Any) -> Json:
    return {"kind": "s-vlan", "scope": "bng", "value": str(value), "owner": owner, **more}


def test_what_contradicts_the_database_is_refused_or_skipped(tx: Tx, clock: ManualClock) -> None:
    pools.create_pool(tx, "s-vlan", "bng", first=1, last=100, quarantine_seconds=60)
    for owner, value in (("a", 1), ("b", 2), ("gone", 3)):
        allocator.take(
            tx, kind="s-vlan", scope="bng", owner=owner, value=value, state="active", subject=owner
        )
    allocator.release(tx, "gone")
    until = "2027-01-01T00:00:00Z"
    pool: Json = {"kind": "s-vlan", "scope": "bng"}
    document = {
        "pools": [{**pool, "first": 1, "last": 50}],
        "allocations": [
            held(1, "x"),
            held(7, "b"),
            held(3, "y"),
            held(2, "z", state="quarantined", restsUntil=until),
            held(8, "new"),
            held(9, "new2", state="quarantined", restsUntil=until),
            held(10, "old", state="quarantined", restsUntil="2020-01-01T00:00:00Z"),
            held(11, "old", state="reserved", expiresAt="2020-01-01T00:00:00Z"),
        ],
    }
    with pytest.raises(ImportInvalid) as failure:
        import_pools(tx, document)
    columns = [one["column"] for one in failure.value.details["problems"]]
    assert columns == ["value", "owner", "value", "value", "first"]
    assert pools.pool(tx, "s-vlan@bng").allocated == 2
    report = import_pools(tx, document, conflicts="skip")
    assert len(report.conflicts) == 5
    assert (report.allocations_created, report.allocations_unchanged) == (2, 2)
    found = pools.pool(tx, "s-vlan@bng")
    assert (found.allocated, found.quarantined, found.free) == (3, 2, 95)
    back = {"allocations": [held(3, "again", subject="gone")]}
    assert import_pools(tx, back).allocations_created == 1
    assert pools.pool(tx, "s-vlan@bng", at=tx.now).quarantined == 1
    assert verify(tx, "s-vlan@bng").sound


def test_a_child_without_its_parents_allocation_is_carved(tx: Tx) -> None:
    pools.create_pool(tx, "ipv4-prefix", "region", prefix="10.0.0.0/16", prefix_length=24)
    child = {
        "kind": "ipv4",
        "scope": "bng",
        "parent": "ipv4-prefix@region",
        "prefix": "10.0.7.0/24",
    }
    import_pools(tx, {"pools": [child]})
    assert pools.pool(tx, "ipv4-prefix@region").allocated == 1
    assert import_pools(tx, {"pools": [child]}).pools_unchanged == 1
    other = {**child, "scope": "x", "prefix": "10.0.7.0/25"}
    with pytest.raises(ImportInvalid):
        import_pools(tx, {"pools": [other]})
    assert pools.pool(tx, "ipv4@bng").parent == "ipv4-prefix@region"


def test_a_refused_import_declares_no_kind(tx: Tx) -> None:
    document = {
        "kinds": [NETWORK],
        "pools": [{"kind": "site-code", "scope": "a", "first": 1000, "last": 2000}],
    }
    with pytest.raises(ImportInvalid):
        import_pools(tx, document)
    assert "site-code" not in kinds.kinds()


def test_many_values_are_taken_out_of_a_fragmented_pool(tx: Tx) -> None:
    pools.create_pool(tx, "number", "n", first=0, last=19_999, stripes=7)
    for value in range(0, 20_000, 40):
        allocator.take(tx, kind="number", scope="n", owner=f"o{value}", value=value)
    document = {
        "allocations": [
            {"kind": "number", "scope": "n", "value": str(value), "owner": f"i{value}"}
            for value in range(20_000)
            if value % 40 and value % 3
        ]
    }
    report = import_pools(tx, document)
    assert report.allocations_created == len(document["allocations"])
    assert verify(tx, "number@n").sound
    assert pools.pool(tx, "number@n").allocated == report.allocations_created


# -- properties -------------------------------------------------------------------------------------

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8
)
OWNER = TEXT.filter(lambda text: bool(text.strip()))
HOLDERS = st.lists(
    st.tuples(
        OWNER,
        st.none() | TEXT,
        st.sampled_from(["active", "reserved", "expiring", "released"]),
        st.none() | st.dictionaries(TEXT, TEXT | st.integers() | st.none(), min_size=1, max_size=2),
    ),
    max_size=8,
    unique_by=lambda one: one[0],
)


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[str, int]]:
    steps = st.tuples(st.sampled_from(["split", "shrink", "grow", "move"]), st.integers(1, 60))
    return draw(st.lists(steps, max_size=4))


def reshaped(tx: Tx, scope: str, steps: list[tuple[str, int]]) -> None:
    from store import TurnupError

    for index, (what, number) in enumerate(steps):
        try:
            match what:
                case "split":
                    reshape.split(tx, f"s-vlan@{scope}", at=number, scope=f"{scope}/{index}")
                case "shrink":
                    reshape.shrink(tx, f"s-vlan@{scope}", last=number)
                case "grow":
                    reshape.grow(tx, f"s-vlan@{scope}", first=number + 60, last=number + 70)
                case _:
                    reshape.move(tx, f"s-vlan@{scope}", to=f"s-vlan@{scope}/0", last=number)
        except TurnupError:
            continue


@settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(holders=HOLDERS, steps=changes(), scope=OWNER)
def test_whatever_is_exported_comes_back_the_same(
    base: Database,
    clock: ManualClock,
    holders: list[tuple[str, str | None, str, Json | None]],
    steps: list[tuple[str, int]],
    scope: str,
) -> None:
    with base.write() as tx:
        empty(tx)
        if not scope.isprintable():
            scope = "bng"
        pools.create_pool(
            tx, "s-vlan", scope, first=1, last=60, exclude=["20-25"], bands={"b": "30-35"}
        )
        for owner, subject, how, reason in holders:
            allocator.take(
                tx,
                kind="s-vlan",
                scope=scope,
                owner=owner,
                subject=subject,
                reason=reason,
                state="active" if how in ("active", "released") else "reserved",
                ttl_seconds=100 if how == "expiring" else None,
            )
            if how == "released":
                allocator.release(tx, owner)
        reshaped(tx, scope, steps)
        exported = export_pools(tx)
        for document in (json.loads(json.dumps(exported)), from_csv(to_csv(exported))):
            assert import_pools(tx, document).allocations_created == 0
            empty(tx)
            import_pools(tx, document)
            assert export_pools(tx) == exported
            for one in exported["pools"]:
                assert verify(tx, f"s-vlan@{one['scope']}").sound


def test_lines_are_written_one_by_one(tx: Tx, clock: ManualClock) -> None:
    furnish(tx, clock)
    exported = export_pools(tx)
    lines = list(transfer.lines(exported))
    assert len(lines) == 1 + 1 + 10 + len(exported["allocations"])
    assert "".join(lines) == to_csv(exported)
