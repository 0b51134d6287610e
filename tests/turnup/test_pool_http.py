"""Every call on pools over HTTP, on both stores: what it answers, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from inventory.errors import Contention
from store import Database, Tx
from store.errors import Conflict
from tests.conftest import _postgres_database
from tests.turnup.pool_app import Http, Json, application, at, pools_alone
from turnup.http import writing

PREFIX = "100.64.0.0/24"


@pytest.fixture
def http(store_url: str) -> Iterator[Http]:
    with pools_alone(store_url) as found:
        yield found


def texts(answer: Any) -> list[str]:
    return [one["text"] for one in answer["allocations"]]


# -- making and showing -----------------------------------------------------------------------------


def test_a_pool_with_all_its_words(http: Http) -> None:
    bands = {"static": "100.64.0.200-100.64.0.210", "oam": "100.64.0.240/29"}
    made = http.post(
        "/pools",
        {
            "kind": "ipv4",
            "scope": "bng-1",
            "prefix": PREFIX,
            "exclude": ["100.64.0.9", "100.64.0.20-100.64.0.29"],
            "bands": bands,
            "domain": "red",
            "quarantineSeconds": 77,
            "stripes": 4,
            "reuse": "lowest",
        },
        201,
    )
    assert made == http.get(at("ipv4@bng-1"))
    assert (made["domain"], made["quarantineSeconds"], made["reuse"]) == ("red", 77, "lowest")
    assert (made["firstText"], made["lastText"]) == ("100.64.0.2", "100.64.0.254")
    assert made["capacity"] == made["free"] == 253 - 11
    assert {band["name"]: band["free"] for band in made["bands"]} == {"static": 11, "oam": 8}
    assert [(e["firstText"], e["lastText"]) for e in made["exclusions"]] == [
        ("100.64.0.9", "100.64.0.9"),
        ("100.64.0.20", "100.64.0.29"),
    ]
    assert [e["what"] for e in http.get(at("ipv4@bng-1", "events"))] == ["created"]


def test_pools_are_listed_in_pages(http: Http) -> None:
    for n in range(7):
        http.pool("s-vlan", f"bng-{n}", first=1, last=n + 1)
    http.pool("number", "x", first=1, last=2)
    answer = http.ask("GET", "/pools", kind="s-vlan", offset=2, limit=3)
    assert [pool["scope"] for pool in answer.json()] == ["bng-2", "bng-3", "bng-4"]
    assert answer.headers["X-Total-Count"] == "7"
    assert answer.headers["X-Result-Count"] == "3"
    assert http.get("/pools", scope="x")[0]["id"] == "number@x"
    assert http.get("/pools", offset=99) == []
    assert http.get("/pools", domain="red") == []


def test_a_carved_pool_and_its_parent(http: Http) -> None:
    parent = http.pool("ipv4-prefix", "region", prefix="10.0.0.0/8", prefixLength=24)
    child = http.post(
        "/pools", {"kind": "ipv4", "scope": "bng-2", "parent": parent, "prefix": "/24"}, 201
    )
    assert (child["parent"], child["prefix"]) == (parent, "10.0.0.0/24")
    (held,) = http.get(at(parent, "allocations"))
    assert (held["text"], held["owner"]) == ("10.0.0.0/24", f"pool:{child['id']}")
    assert http.refused("DELETE", at(parent))["code"] == "POOL_IN_USE"
    http.delete(at(child["id"]))
    http.delete(at(parent))


def test_kinds_are_listed_and_declared(http: Http) -> None:
    kind = {"name": "trunk-id", "render": "digits", "digits": 4, "scope": "switch"}
    assert http.ask("POST", "/kinds", kind).status_code == 201
    assert http.ask("POST", "/kinds", kind).status_code == 200
    found = {one["name"]: one for one in http.get("/kinds")}
    assert found["trunk-id"]["own"] is False
    assert found["ipv4"]["own"] is True
    pool = http.pool("trunk-id", "sw-1", first="0007", last="0010")
    assert http.take(pool, "me") == ["0007"]
    assert http.refused("POST", "/kinds", kind | {"digits": 5})["code"] == "KIND_CONFLICT"
    assert http.refused("POST", "/kinds", {"name": "ipv4"})["code"] == "KIND_INVALID"


# -- taking -----------------------------------------------------------------------------------------


def test_the_same_owner_gets_the_same_values(http: Http) -> None:
    pool = http.pool("ipv4", "bng-1", prefix=PREFIX)
    first = http.post(at(pool, "allocations"), {"owner": "me", "count": 3}, 201)
    again = http.post(at(pool, "allocations"), {"owner": "me", "count": 3}, 200)
    assert first == again
    assert texts(first) == ["100.64.0.2", "100.64.0.3", "100.64.0.4"]
    assert {one["state"] for one in first["allocations"]} == {"active"}
    assert http.take(pool, "you", value="100.64.0.77") == ["100.64.0.77"]
    assert http.take(pool, "you", value="100.64.0.77") == ["100.64.0.77"]
    shown = http.get(at(pool))
    assert (shown["allocated"], shown["free"], shown["utilisation"]) == (4, 249, 1.6)


def test_a_reservation_is_kept_or_lapses(http: Http) -> None:
    pool = http.pool("s-vlan", "bng-1", first=1, last=4)
    (reserved,) = http.post(at(pool, "allocations"), {"owner": "soon", "ttlSeconds": 1}, 201)[
        "allocations"
    ]
    assert (reserved["state"], reserved["text"]) == ("reserved", "1")
    http.take(pool, "kept", ttlSeconds=1)
    (kept,) = http.post(at(pool, "allocations", "kept", "confirm"), {}, 200)["allocations"]
    assert kept["state"] == "active"
    assert "expiresAt" not in kept
    time.sleep(1.1)
    assert [one["owner"] for one in http.get(at(pool, "allocations"))] == ["kept"]
    error = http.refused("POST", at(pool, "allocations", "soon", "confirm"), {})
    assert error["code"] == "ALLOCATION_NOT_FOUND"
    assert http.get(at(pool))["free"] == 3
    assert sorted(http.take(pool, "next", count=3)) == ["1", "3", "4"]


def test_released_values_rest_and_go_back_to_their_subject(http: Http) -> None:
    pool = http.pool("ipv4", "bng-1", prefix=PREFIX, quarantineSeconds=3600)
    assert http.take(pool, "order-1", subject="line-1") == ["100.64.0.2"]
    http.delete(at(pool, "allocations", "order-1"))
    assert http.get(at(pool, "allocations")) == []
    answer = http.ask("GET", at(pool, "allocations"), quarantined=True)
    (resting,) = answer.json()
    assert answer.headers["X-Total-Count"] == "1"
    assert (resting["state"], resting["owner"]) == ("quarantined", "order-1")
    assert resting["restsUntil"] > resting["until"] > resting["since"]
    refused = http.refused(
        "POST", at(pool, "allocations"), {"owner": "other", "value": "100.64.0.2"}
    )
    assert (refused["code"], refused["status"]) == ("VALUE_QUARANTINED", "409")
    assert http.take(pool, "order-2", subject="line-1") == ["100.64.0.2"]
    assert http.take(pool, "order-3", subject="line-3") == ["100.64.0.3"]


def test_a_band_gives_only_to_those_who_name_it(http: Http) -> None:
    pool = http.pool("s-vlan", "bng-1", first=1, last=4, bands={"static": "3-4"})
    assert http.take(pool, "a", count=2) == ["1", "2"]
    assert http.refused("POST", at(pool, "allocations"), {"owner": "b"})["code"] == "POOL_EXHAUSTED"
    assert http.take(pool, "c", band="static") == ["3"]
    assert http.take(pool, "d", value=4) == ["4"]
    assert [b["free"] for b in http.get(at(pool))["bands"]] == [0]


def test_pressure_gives_out_what_rests_and_says_so(http: Http) -> None:
    pool = http.pool("s-vlan", "bng-1", first=1, last=1, quarantineSeconds=3600)
    http.take(pool, "a")
    http.delete(at(pool, "allocations", "a"))
    assert http.refused("POST", at(pool, "allocations"), {"owner": "b"})["code"] == "POOL_EXHAUSTED"
    pressed = http.post(at(pool, "pressure"), {"seconds": 60, "reason": "late delivery"}, 200)
    assert pressed["pressure"]["reason"] == "late delivery"
    assert http.take(pool, "b") == ["1"]
    (held,) = http.get(at(pool, "allocations"))
    assert held["reason"]["earlyReuse"]["because"] == "late delivery"
    http.delete(at(pool, "pressure"))
    assert http.get(at(pool))["pressure"] is None
    told = [event["what"] for event in http.get(at(pool, "events"))]
    assert told == ["created", "pressure", "earlyReuse", "pressureEnded"]


# -- sets -------------------------------------------------------------------------------------------


@pytest.fixture
def metro(http: Http) -> Http:
    http.pool("ipv4", "bng-1", prefix=PREFIX)
    http.pool("ipv6-prefix", "bng-1", prefix="2001:db8::/40")
    http.pool("onu-id", "olt-1/pon1", technology="GPON")
    http.pool("s-vlan", "tiny", first=1, last=1)
    return http


def line(owner: str, **words: Any) -> Json:
    items = [
        {"pool": "onu-id@olt-1/pon1"},
        {"kind": "c-vlan", "scope": "bng-1/100"},
        {"pool": "ipv4@bng-1"},
        {"pool": "ipv6-prefix@bng-1"},
    ]
    return {"owner": owner, "items": items, **words}


def of_set(answer: Json) -> list[list[str]]:
    return [[value for item in one["items"] for value in texts(item)] for one in answer["sets"]]


def test_sets_are_taken_together_and_again(metro: Http) -> None:
    body = {"sets": [line("line-1"), line("line-2", ttlSeconds=60)]}
    first = metro.post("/allocationSets", body, 201)
    assert of_set(first) == [
        ["0", "2", "100.64.0.2", "2001:db8::/56"],
        ["1", "3", "100.64.0.3", "2001:db8:0:100::/56"],
    ]
    states = {a["state"] for item in first["sets"][1]["items"] for a in item["allocations"]}
    assert states == {"reserved"}
    assert metro.post("/allocationSets", body, 200) == first
    both = metro.post("/allocationSets", {"sets": [line("line-1"), line("line-3")]}, 201)
    assert of_set(both)[0] == of_set(first)[0]


def test_a_set_with_given_values_counts_bands_and_owners_of_its_own(metro: Http) -> None:
    items = [
        {"pool": "ipv4@bng-1", "value": "100.64.0.99"},
        {"pool": "ipv4@bng-1", "count": 2, "owner": "line-1/more", "subject": "s"},
        {"kind": "c-vlan", "scope": "new", "value": 7},
    ]
    answer = metro.post("/allocationSets", {"sets": [{"owner": "line-1", "items": items}]}, 201)
    assert of_set(answer) == [["100.64.0.99", "100.64.0.2", "100.64.0.3", "7"]]


def test_an_exhausted_pool_names_its_item_and_nothing_is_taken(metro: Http) -> None:
    metro.take("s-vlan@tiny", "somebody")
    before = metro.everything()
    poor = line("line-2")
    poor["items"].append({"pool": "s-vlan@tiny"})
    error = metro.refused("POST", "/allocationSets", {"sets": [line("line-1"), poor]})
    assert (error["code"], error["status"]) == ("POOL_EXHAUSTED", "409")
    assert error["details"]["items"] == ["sets.1.items.4"]
    assert "sets.1.items.4 (s-vlan@tiny)" in error["message"]
    assert metro.everything() == before


WRONG_ITEMS: list[tuple[Json, str, str]] = [
    ({"pool": "ipv4@nope"}, "404", "POOL_NOT_FOUND"),
    ({"pool": "nope"}, "400", "INVALID_INPUT"),
    ({"kind": "nope", "scope": "x"}, "400", "KIND_UNKNOWN"),
    ({"kind": "ipv4"}, "400", "INVALID_INPUT"),
    ({}, "400", "INVALID_INPUT"),
    ({"pool": "ipv4@bng-1", "scope": "x"}, "400", "INVALID_INPUT"),
    ({"pool": "ipv4@bng-1", "value": 1, "count": 2}, "400", "INVALID_INPUT"),
    ({"pool": "ipv4@bng-1", "value": "9.9.9.9"}, "400", "VALUE_OUTSIDE_POOL"),
    ({"pool": "ipv4@bng-1", "value": "x"}, "400", "VALUE_INVALID"),
    ({"pool": "ipv4@bng-1", "value": "100.64.0.2"}, "409", "VALUE_TAKEN"),
    ({"pool": "ipv4@bng-1", "band": "nope"}, "400", "BAND_UNKNOWN"),
    ({"pool": "ipv4@bng-1", "count": 0}, "400", "INVALID_BODY"),
    ({"pool": "ipv4@bng-1", "count": 65_537}, "400", "INVALID_BODY"),
    ({"pool": "ipv4@bng-1", "count": 300}, "409", "POOL_EXHAUSTED"),
    ({"pool": "ipv4@bng-1", "ttl": 3}, "400", "INVALID_BODY"),
    ({"pool": "ipv4@bng-1", "owner": "pool:x"}, "400", "INVALID_INPUT"),
]


def test_a_set_with_one_wrong_item_takes_nothing(metro: Http) -> None:
    metro.take("ipv4@bng-1", "somebody")
    before = metro.everything()
    for item, status, code in WRONG_ITEMS:
        wrong = {"owner": "line-2", "items": [*line("line-2")["items"][:2], item]}
        error = metro.refused("POST", "/allocationSets", {"sets": [line("line-1"), wrong]})
        assert (error["status"], error["code"]) == (status, code), item
        assert metro.everything() == before


def test_sets_are_bounded(metro: Http) -> None:
    many = [{"owner": f"o{n}", "items": [{"pool": "ipv4@bng-1", "count": 60_000}]} for n in (1, 2)]
    bodies: list[Any] = [
        {"sets": []},
        {"sets": [{"owner": "x", "items": []}]},
        {"sets": [{"owner": "x", "items": [{"pool": "ipv4@bng-1"}] * 65}]},
        {"sets": many},
        {"sets": [line("x")] * 10_001},
        [],
    ]
    for body in bodies:
        assert metro.refused("POST", "/allocationSets", body)["status"] == "400"


def test_a_bulk_of_sets(http: Http) -> None:
    http.pool("ipv4", "bng-1", prefix="10.0.0.0/16", stripes=8)
    http.pool("number", "n", first=1, last=100_000)
    items = [{"pool": "ipv4@bng-1"}, {"pool": "number@n"}]
    body = {"sets": [{"owner": f"line-{n}", "items": items} for n in range(1_000)]}
    values = [tuple(one) for one in of_set(http.post("/allocationSets", body, 201))]
    assert len(set(values)) == 1_000
    assert len({address for address, _ in values}) == 1_000
    again = http.post("/allocationSets", body, 200)
    assert [tuple(one) for one in of_set(again)] == values


# -- reshaping --------------------------------------------------------------------------------------


def test_a_pool_is_grown_shrunk_split_moved_drained_and_removed(http: Http) -> None:
    pool = http.pool("s-vlan", "a", first=100, last=199)
    http.take(pool, "low")
    http.take(pool, "high", value=180)
    assert http.post(at(pool, "grow"), {"last": 249}, 200)["capacity"] == 150
    assert http.post(at(pool, "shrink"), {"last": "219"}, 200)["capacity"] == 120
    error = http.refused("POST", at(pool, "shrink"), {"last": 150})
    assert (error["code"], error["status"]) == ("POOL_IN_USE", "409")
    assert error["details"]["held"] == [{"owner": "high", "value": "180"}]
    old, new = http.post(at(pool, "split"), {"at": 150, "scope": "b"}, 200)["pools"]
    assert (old["lastText"], new["id"], new["firstText"]) == ("149", "s-vlan@b", "150")
    assert [one["owner"] for one in http.get(at("s-vlan@b", "allocations"))] == ["high"]
    source, target = http.post(at("s-vlan@b", "move"), {"to": pool, "first": 170, "last": 189})[
        "pools"
    ]
    assert (source["capacity"], target["capacity"]) == (50, 70)
    assert {one["owner"] for one in http.get(at(pool, "allocations"))} == {"low", "high"}
    assert http.patch(at(pool), {"draining": True})["draining"] is True
    drained = http.refused("POST", at(pool, "allocations"), {"owner": "new"})
    assert (drained["code"], drained["status"]) == ("POOL_DRAINING", "409")
    assert http.take(pool, "low") == ["100"]
    (mine,) = http.post(at(pool, "allocations", "low", "reassign"), {"to": "lower"})["allocations"]
    assert (mine["owner"], mine["text"]) == ("lower", "100")
    for owner in ("lower", "high"):
        http.delete(at(pool, "allocations", owner))
    http.delete(at(pool))
    assert http.refused("GET", at(pool))["code"] == "POOL_NOT_FOUND"
    told = [event["what"] for event in http.get(at(pool, "events"))]
    assert told[0] == "created"
    assert told[-1] == "removed"


def test_stock_gains_and_loses_single_values(http: Http) -> None:
    pool = http.pool("onu-serial", "HG8245H", values=["HWTC00000001", "HWTC00000002"])
    grown = http.post(at(pool, "grow"), {"values": ["HWTC00000002", "HWTC00000003"]})
    assert grown["capacity"] == 3
    assert http.post(at(pool, "shrink"), {"values": ["HWTC00000001"]})["capacity"] == 2
    assert http.take(pool, "ont-1") == ["HWTC00000002"]


def test_policy_is_changed_for_what_is_named_only(http: Http) -> None:
    pool = http.pool("s-vlan", "a", first=1, last=9)
    changed = http.patch(at(pool), {"quarantineSeconds": 5, "reuse": "oldest"})
    assert (changed["quarantineSeconds"], changed["reuse"]) == (5, "oldest")
    assert http.patch(at(pool), {"draining": False})["quarantineSeconds"] == 5


# -- who --------------------------------------------------------------------------------------------


def test_who_has_an_address_a_prefix_a_number(http: Http) -> None:
    parent = http.pool("ipv4-prefix", "region", prefix="100.64.0.0/16", prefixLength=24)
    http.post("/pools", {"kind": "ipv4", "scope": "bng-1", "parent": parent, "prefix": "/24"}, 201)
    http.pool("ipv6-prefix", "bng-1", prefix="2001:db8::/40")
    http.pool("c-vlan", "bng-1/100")
    http.take("ipv4@bng-1", "cpe-1")
    http.take("ipv6-prefix@bng-1", "cpe-1")
    http.take("c-vlan@bng-1/100", "cpe-1", value=17)

    narrow, wide = http.get("/allocations", value="100.64.0.2")
    assert (narrow["pool"], narrow["owner"], narrow["state"]) == ("ipv4@bng-1", "cpe-1", "active")
    assert (wide["pool"], wide["text"], wide["owner"]) == (
        parent,
        "100.64.0.0/24",
        "pool:ipv4@bng-1",
    )
    (delegated,) = http.get("/allocations", value="2001:db8:0:42::1")
    assert (delegated["text"], delegated["owner"]) == ("2001:db8::/56", "cpe-1")
    inside = http.get("/allocations", value="100.64.0.0/24")
    assert [one["text"] for one in inside] == ["100.64.0.2", "100.64.0.0/24"]
    assert http.get("/allocations", value="17") == []
    for named in ({"kind": "c-vlan"}, {"scope": "bng-1/100"}):
        (vlan,) = http.get("/allocations", value="17", **named)
        assert vlan["pool"] == "c-vlan@bng-1/100"
    mine = http.ask("GET", "/allocations", owner="cpe-1")
    assert mine.headers["X-Total-Count"] == "3"
    assert {one["pool"] for one in mine.json()} == {
        "ipv4@bng-1",
        "ipv6-prefix@bng-1",
        "c-vlan@bng-1/100",
    }
    assert http.get("/allocations", owner="nobody") == []
    assert http.get("/allocations", value="no value at all") == []


def test_who_says_free_excluded_resting_and_who_was_last(http: Http) -> None:
    pool = http.pool(
        "ipv4", "b", prefix=PREFIX, exclude=["100.64.0.9"], bands={"static": "100.64.0.100"}
    )
    states = {
        value: http.get("/allocations", value=value)
        for value in ("100.64.0.50", "100.64.0.9", "100.64.0.100", "100.64.0.255")
    }
    assert [one["state"] for one in states["100.64.0.50"]] == ["free"]
    assert [one["state"] for one in states["100.64.0.9"]] == ["excluded"]
    assert [one["band"] for one in states["100.64.0.100"]] == ["static"]
    assert states["100.64.0.255"] == []
    http.take(pool, "a", value="100.64.0.50")
    http.delete(at(pool, "allocations", "a"))
    (resting,) = http.get("/allocations", value="100.64.0.50")
    assert (resting["state"], resting["owner"]) == ("quarantined", "a")
    http.patch(at(pool), {"quarantineSeconds": 0})
    http.take(pool, "b", value="100.64.0.60")
    http.delete(at(pool, "allocations", "b"))
    (free,) = http.get("/allocations", value="100.64.0.60")
    assert (free["state"], free["owner"]) == ("free", "b")
    assert free["until"]


def test_the_past(http: Http) -> None:
    def now() -> str:
        time.sleep(0.002)
        return datetime.now(UTC).isoformat()

    before = now()
    pool = http.pool("ipv4", "b", prefix=PREFIX, quarantineSeconds=0)
    made = now()
    http.take(pool, "a", value="100.64.0.50")
    held = now()
    http.delete(at(pool, "allocations", "a"))
    http.take(pool, "b", value="100.64.0.50")
    later = now()
    http.delete(at(pool, "allocations", "b"))
    http.delete(at(pool))

    def who(moment: str) -> list[tuple[Any, ...]]:
        found = http.get("/allocations", value="100.64.0.50", at=moment)
        return [(one["state"], one.get("owner")) for one in found]

    assert who(before) == []
    assert who(made) == [("free", None)]
    assert who(held) == [("active", "a")]
    assert who(later) == [("active", "b")]
    assert http.get("/allocations", value="100.64.0.50") == []
    assert http.refused("GET", at(pool), at=before)["code"] == "POOL_NOT_FOUND"
    assert http.get(at(pool), at=made)["allocated"] == 0
    assert http.get(at(pool), at=held)["allocated"] == 1
    (then,) = http.get(at(pool, "allocations"), at=held)
    assert then["owner"] == "a"
    assert [one["owner"] for one in http.get(at(pool, "allocations"), at=later)] == ["b"]
    assert [one["text"] for one in http.get("/allocations", owner="a", at=held)] == ["100.64.0.50"]
    assert http.get("/allocations", owner="a", at=later) == []
    assert [one["id"] for one in http.get("/pools", at=held)] == [pool]
    assert http.get("/pools") == []


# -- refusals ---------------------------------------------------------------------------------------

INT64 = 1 << 63
REFUSED: list[tuple[str, str, Any, str, str]] = [
    ("POST", "/pools", {}, "400", "INVALID_BODY"),
    ("POST", "/pools", [], "400", "INVALID_BODY"),
    ("POST", "/pools", {"kind": "ipv4"}, "400", "INVALID_BODY"),
    ("POST", "/pools", {"kind": "nope", "scope": "x"}, "400", "KIND_UNKNOWN"),
    ("POST", "/pools", {"kind": "ipv4", "scope": "x"}, "400", "INVALID_RANGE"),
    ("POST", "/pools", {"kind": "ipv4", "scope": "x", "prefix": "10.0.0.0/33"}, "400", "INVALID_PREFIX"),
    ("POST", "/pools", {"kind": "ipv4", "scope": "x", "prefix": "10.0.0.1/24"}, "400", "INVALID_PREFIX"),
    ("POST", "/pools", {"kind": "ipv4", "scope": "x", "prefix": "2001:db8::/64"}, "400", "INVALID_PREFIX"),
    ("POST", "/pools", {"kind": "ipv4", "scope": "x", "prefix": PREFIX}, "409", "POOL_OVERLAP"),
    ("POST", "/pools", {"kind": "ipv4", "scope": "x", "prefix": "100.64.0.128/25"}, "409", "POOL_OVERLAP"),
    ("POST", "/pools", {"kind": "ipv4", "scope": "bng-1", "prefix": "10.0.0.0/24"}, "409", "POOL_EXISTS"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": "x", "first": 9, "last": 1}, "400", "INVALID_RANGE"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": "x", "first": 0, "last": 9}, "400", "INVALID_RANGE"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": "x", "first": 1, "last": INT64}, "400", "INVALID_BODY"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": "x", "first": 1.5, "last": 9}, "400", "INVALID_BODY"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": "x", "first": True, "last": 9}, "400", "INVALID_BODY"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": "x", "first": "a", "last": 9}, "400", "VALUE_INVALID"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": "x" * 513}, "400", "INVALID_BODY"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": ""}, "400", "INVALID_BODY"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": "x", "quarantineSeconds": -1}, "400", "INVALID_BODY"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": "x", "quarantine_seconds": 1}, "400", "INVALID_BODY"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": "x", "stripes": 257}, "400", "INVALID_BODY"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": "x", "exclude": ["no"]}, "400", "INVALID_RANGE"),
    ("POST", "/pools", {"kind": "s-vlan", "scope": "x", "bands": {"b": "5000"}}, "400", "INVALID_RANGE"),
    ("POST", "/pools", {"kind": "ipv4", "scope": "x", "prefix": "/24", "parent": "ipv4-prefix@no"}, "404", "POOL_NOT_FOUND"),
    ("POST", "/pools/ipv4@bng-1/allocations", {}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": ""}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": 7}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "é" * 513}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "count": 0}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "count": INT64}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "count": 65_536}, "409", "POOL_EXHAUSTED"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "count": 2, "value": 1}, "400", "INVALID_INPUT"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "value": INT64}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "value": -5}, "400", "VALUE_OUTSIDE_POOL"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "value": 1.5}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "value": "100.64.1.1"}, "400", "VALUE_OUTSIDE_POOL"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "value": "100.64.0.0"}, "400", "VALUE_OUTSIDE_POOL"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "value": "100.64.0"}, "400", "VALUE_INVALID"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "value": "100.64.0.2"}, "409", "VALUE_TAKEN"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "held", "value": "100.64.0.7"}, "409", "VALUE_TAKEN"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "ttlSeconds": 0}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "ttlSeconds": INT64}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "band": "no"}, "400", "BAND_UNKNOWN"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "x", "other": 1}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/allocations", {"owner": "shared:x"}, "400", "INVALID_INPUT"),
    ("POST", "/pools/ipv4@no/allocations", {"owner": "x"}, "404", "POOL_NOT_FOUND"),
    ("POST", "/pools/c-vlan@no/allocations", {"owner": "x"}, "404", "POOL_NOT_FOUND"),
    ("POST", "/pools/no/allocations", {"owner": "x"}, "404", "POOL_NOT_FOUND"),
    ("POST", "/pools/s-vlan@full/allocations", {"owner": "x"}, "409", "POOL_EXHAUSTED"),
    ("GET", "/pools/no/allocations", None, "404", "POOL_NOT_FOUND"),
    ("GET", "/pools/no/events", None, "404", "POOL_NOT_FOUND"),
    ("GET", "/pools/no", None, "404", "POOL_NOT_FOUND"),
    ("POST", "/pools/ipv4@bng-1/allocations/no/confirm", {}, "404", "ALLOCATION_NOT_FOUND"),
    ("POST", "/pools/no/allocations/held/confirm", {}, "404", "POOL_NOT_FOUND"),
    ("DELETE", "/pools/ipv4@bng-1/allocations/no", None, "404", "ALLOCATION_NOT_FOUND"),
    ("DELETE", "/pools/no/allocations/held", None, "404", "POOL_NOT_FOUND"),
    ("DELETE", "/pools/ipv4-prefix@region/allocations/pool:ipv4@carved", None, "400", "INVALID_INPUT"),
    ("POST", "/pools/ipv4@bng-1/allocations/held/reassign", {}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/allocations/no/reassign", {"to": "x"}, "404", "ALLOCATION_NOT_FOUND"),
    ("POST", "/pools/ipv4@bng-1/allocations/held/reassign", {"to": "too"}, "409", "VALUE_TAKEN"),
    ("POST", "/pools/ipv4-prefix@region/allocations/pool:ipv4@carved/reassign", {"to": "x"}, "400", "INVALID_INPUT"),
    ("POST", "/pools/no/grow", {"last": 9}, "404", "POOL_NOT_FOUND"),
    ("POST", "/pools/s-vlan@full/grow", {}, "400", "INVALID_RANGE"),
    ("POST", "/pools/s-vlan@full/grow", {"last": 5000}, "400", "INVALID_RANGE"),
    ("POST", "/pools/s-vlan@full/grow", {"first": 1, "last": 5}, "409", "POOL_OVERLAP"),
    ("POST", "/pools/s-vlan@full/grow", {"values": ["x"]}, "400", "INVALID_RANGE"),
    ("POST", "/pools/s-vlan@full/grow", {"values": []}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/grow", {"prefix": "100.64.0.0/20"}, "409", "POOL_OVERLAP"),
    ("POST", "/pools/ipv4@bng-1/grow", {"prefix": "nonsense"}, "400", "INVALID_PREFIX"),
    ("POST", "/pools/ipv4@bng-1/shrink", {}, "400", "INVALID_RANGE"),
    ("POST", "/pools/ipv4@bng-1/shrink", {"first": "100.64.0.100"}, "409", "POOL_IN_USE"),
    ("POST", "/pools/ipv4@bng-1/shrink", {"last": "x"}, "400", "VALUE_INVALID"),
    ("POST", "/pools/ipv4@bng-1/split", {"at": "100.64.0.2", "scope": "x"}, "400", "INVALID_RANGE"),
    ("POST", "/pools/ipv4@bng-1/split", {"at": "100.64.0.99"}, "400", "INVALID_BODY"),
    ("POST", "/pools/s-vlan@full/split", {"at": 1, "scope": "x"}, "400", "INVALID_RANGE"),
    ("POST", "/pools/ipv4@bng-1/split", {"at": "100.64.0.99", "scope": "carved"}, "409", "POOL_EXISTS"),
    ("POST", "/pools/ipv4@bng-1/move", {"to": "no", "first": 1, "last": 2}, "404", "POOL_NOT_FOUND"),
    ("POST", "/pools/ipv4@bng-1/move", {"to": "s-vlan@full"}, "400", "INVALID_RANGE"),
    ("POST", "/pools/ipv4@bng-1/move", {"to": "ipv4@bng-1"}, "400", "INVALID_INPUT"),
    ("POST", "/pools/ipv4@bng-1/pressure", {"seconds": 5}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/pressure", {"seconds": 0, "reason": "x"}, "400", "INVALID_BODY"),
    ("POST", "/pools/ipv4@bng-1/pressure", {"seconds": 5, "reason": " "}, "400", "INVALID_INPUT"),
    ("POST", "/pools/no/pressure", {"seconds": 5, "reason": "x"}, "404", "POOL_NOT_FOUND"),
    ("DELETE", "/pools/no/pressure", None, "404", "POOL_NOT_FOUND"),
    ("PATCH", "/pools/ipv4@bng-1", {}, "400", "INVALID_INPUT"),
    ("PATCH", "/pools/ipv4@bng-1", {"draining": "yes"}, "400", "INVALID_BODY"),
    ("PATCH", "/pools/ipv4@bng-1", {"reuse": "random"}, "400", "INVALID_BODY"),
    ("PATCH", "/pools/ipv4@bng-1", {"first": 1}, "400", "INVALID_BODY"),
    ("PATCH", "/pools/no", {"draining": True}, "404", "POOL_NOT_FOUND"),
    ("DELETE", "/pools/no", None, "404", "POOL_NOT_FOUND"),
    ("DELETE", "/pools/ipv4@bng-1", None, "409", "POOL_IN_USE"),
    ("DELETE", "/pools/ipv4-prefix@region", None, "409", "POOL_IN_USE"),
    ("POST", "/kinds", {}, "400", "KIND_INVALID"),
    ("POST", "/kinds", {"name": 7, "render": []}, "400", "KIND_INVALID"),
    ("POST", "/kinds", {"name": "ipv4", "render": "ipv4", "scope": "x"}, "409", "KIND_CONFLICT"),
    ("PUT", "/pools/ipv4@bng-1", {}, "405", "METHOD_NOT_ALLOWED"),
]  # fmt: skip


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Http]:
    """One application for all that is refused: nothing of it changes anything."""
    folder = tmp_path_factory.mktemp("lived")
    path = folder / "turnup.db"
    path.write_bytes(sqlite_template.read_bytes())
    with application(f"sqlite:///{path}", folder) as http:
        fill(http)
        yield http


def fill(http: Http) -> None:
    http.pool("ipv4", "bng-1", prefix=PREFIX)
    http.take("ipv4@bng-1", "held")
    http.take("ipv4@bng-1", "too")
    http.pool("s-vlan", "full", first=1, last=1)
    http.take("s-vlan@full", "held")
    http.pool("ipv4-prefix", "region", prefix="10.0.0.0/8", prefixLength=24)
    carved = {"kind": "ipv4", "scope": "carved", "parent": "ipv4-prefix@region", "prefix": "/24"}
    http.post("/pools", carved, 201)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"), REFUSED, ids=lambda value: str(value)[:60]
)
def test_what_is_refused_changes_nothing(
    lived: Http, method: str, path: str, body: Any, status: str, code: str
) -> None:
    before = lived.everything()
    error = lived.refused(method, path, body)
    assert (error["status"], error["code"]) == (status, code), error["message"]
    assert lived.everything() == before


def test_what_is_refused_on_either_store(http: Http) -> None:
    fill(http)
    before = http.everything()
    for method, path, body, status, code in REFUSED:
        error = http.refused(method, path, body)
        assert (error["status"], error["code"]) == (status, code), (path, body, error["message"])
    assert http.everything() == before


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/pools", {"colour": "red"}),
        ("/pools", {"limit": 0}),
        ("/pools", {"limit": 10_001}),
        ("/pools", {"offset": -1}),
        ("/pools", {"offset": 1 << 70}),
        ("/pools", {"kind": ""}),
        ("/pools", {"kind": ["ipv4", "ipv6"]}),
        ("/pools", {"at": "yesterday"}),
        ("/pools", {"at": "2026-11-24T22:00:00"}),
        ("/pools/ipv4@bng-1", {"fields": "id"}),
        ("/pools/ipv4@bng-1", {"at": "0000-00-00"}),
        ("/pools/ipv4@bng-1/allocations", {"quarantined": "perhaps"}),
        ("/pools/ipv4@bng-1/allocations", {"limit": 1001}),
        ("/pools/ipv4@bng-1/events", {"at": "2026-11-24T22:00:00Z"}),
        ("/allocations", {}),
        ("/allocations", {"value": "1", "owner": "x"}),
        ("/allocations", {"owner": "x", "kind": "ipv4"}),
        ("/allocations", {"value": ""}),
        ("/allocations", {"value": "x" * 5_000}),
        ("/allocations", {"value": "a\x00b"}),
        ("/kinds", {"name": "ipv4"}),
    ],
    ids=str,
)
def test_queries_that_are_refused(lived: Http, path: str, params: Json) -> None:
    error = lived.refused("GET", path, **params)
    assert (error["status"], error["code"]) == ("400", "INVALID_QUERY"), error["message"]


def test_a_kind_that_is_unknown_is_asked_for(lived: Http) -> None:
    error = lived.refused("GET", "/allocations", value="1", kind="nope")
    assert (error["status"], error["code"]) == ("400", "KIND_UNKNOWN")


# -- at the same time -------------------------------------------------------------------------------


def test_nobody_is_refused_while_values_are_free(http: Http) -> None:
    for name in ("a", "b", "c"):
        http.pool("number", name, first=1, last=400)

    def one(turn: int) -> int:
        names = ("a", "b", "c") if turn % 2 else ("c", "b", "a")
        items = [{"pool": f"number@{name}", "count": 1 + turn % 3} for name in names]
        sets = {"sets": [{"owner": f"set-{turn}", "items": items}]}
        return http.ask("POST", "/allocationSets", sets).status_code

    with ThreadPoolExecutor(8) as crowd:
        assert set(crowd.map(one, range(120))) == {201}
    for name in ("a", "b", "c"):
        held = http.get(at(f"number@{name}", "allocations"), limit=1000)
        assert len(held) == len({one["value"] for one in held}) == 240
        assert http.get(at(f"number@{name}"))["free"] == 160


def test_one_owner_in_many_requests_gets_one_value(http: Http) -> None:
    pool = http.pool("number", "a", first=1, last=50)

    def one(_: int) -> tuple[int, str]:
        answer = http.ask("POST", at(pool, "allocations"), {"owner": "me"})
        return answer.status_code, answer.text

    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(one, range(24)))
    assert {status for status, _ in answers} <= {200, 201}
    assert len({text for _, text in answers}) == 1
    assert http.get(at(pool))["allocated"] == 1


def test_who_is_in_the_way_is_waited_for_and_then_told(store: Database) -> None:
    def failing(times: int) -> Callable[[Tx], int]:
        tries: list[int] = []

        def work(_: Tx) -> int:
            tries.append(1)
            if len(tries) <= times:
                raise Contention("in the way")
            return len(tries)

        return work

    assert writing.written(store, failing(writing.TRIES - 1)) == writing.TRIES
    with pytest.raises(Contention):
        writing.written(store, failing(writing.TRIES))

    def other(_: Tx) -> None:
        raise Conflict("no")

    with pytest.raises(Conflict):
        writing.written(store, other)


@pytest.mark.postgresql
def test_two_that_wait_for_each_other_are_both_answered(postgres_template: str) -> None:
    with contextmanager(_postgres_database)(postgres_template) as url:
        database = Database(url)
        wait_for_each_other(database)
        database.close()


def wait_for_each_other(database: Database) -> None:
    with database.write() as tx:
        tx.execute(text("CREATE TABLE pair (id int primary key, n int)"))
        tx.execute(text("INSERT INTO pair VALUES (1, 0), (2, 0)"))
    met: list[int] = []

    def work(order: tuple[int, int]) -> Callable[[Tx], None]:
        def both(tx: Tx) -> None:
            for step, id_ in enumerate(order):
                tx.execute(text("UPDATE pair SET n = n + 1 WHERE id = :id"), {"id": id_})
                if step == 0:
                    met.append(id_)
                    deadline = time.monotonic() + 1
                    while len(set(met)) < 2 and time.monotonic() < deadline:
                        time.sleep(0.01)

        return both

    with ThreadPoolExecutor(2) as two:
        list(two.map(lambda order: writing.written(database, work(order)), [(1, 2), (2, 1)]))
    with database.read() as rx:
        assert rx.execute(text("SELECT n FROM pair ORDER BY id")).scalars().all() == [2, 2]
    assert len(met) > 2, "they were to be in each other's way"
