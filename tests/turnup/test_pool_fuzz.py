"""Names and bodies of any kind against the calls on pools: never a stumble, and every name comes back as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import _postgres_database
from tests.turnup.pool_app import ROOT, Http, Json, application, at

AGAIN = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NASTY = (
    *(
        "a/b",
        "a b",
        "?x=1",
        "%",
        "%2F",
        "%00",
        "#",
        "é",
        "日本",
        "a@b",
        "..",
        ".",
        "/",
        "//",
        "+",
        "&",
    ),
    *(
        "confirm",
        "x/confirm",
        "allocations/x",
        "grow",
        "\u202e",
        "😀",
        "a\tb",
        "'",
        '"',
        ";--",
    ),
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def http(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Http]:
    """One application for all examples of this file, on each store."""
    folder = tmp_path_factory.mktemp("fuzz")
    if request.param == "postgresql":
        databases = _postgres_database(request.getfixturevalue("postgres_template"))
        url = next(databases)
    else:
        path = folder / "turnup.db"
        path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        databases, url = iter(()), f"sqlite:///{path}"
    with application(url, folder) as found:
        fill(found)
        yield found
    next(databases, None)


def fill(http: Http) -> None:
    http.pool("number", "n", first=1, last=1_000_000, bands={"low": "1-9"})
    http.pool("ipv4", "b", prefix="100.64.0.0/24")
    http.pool("ipv4-prefix", "region", prefix="10.0.0.0/8", prefixLength=24)
    http.pool("ipv6-prefix", "b", prefix="2001:db8::/40")
    http.pool("onu-serial", "HG8245H", values=["HWTC00000001"])
    http.pool("port", "olt-1", values=["pon1", "pon2"])
    http.take("number@n", "me", count=3)


# -- names ------------------------------------------------------------------------------------------

# what PostgreSQL keeps: no NUL, no half of a pair
names = st.one_of(
    st.sampled_from(NASTY),
    st.text(
        st.characters(exclude_characters="\x00", exclude_categories=["Cs"]),
        min_size=1,
        max_size=512,
    ),
)


@AGAIN
@given(names)
def test_any_owner_takes_confirms_is_found_and_releases(http: Http, owner: str) -> None:
    if owner.startswith(("pool:", "shared:")):
        return
    (value,) = http.take("number@n", owner, ttlSeconds=600)
    assert http.take("number@n", owner) == [value]
    (kept,) = http.post(at("number@n", "allocations", owner, "confirm"), {}, 200)["allocations"]
    assert (kept["owner"], kept["text"]) == (owner, value)
    (found,) = http.get("/allocations", owner=owner)
    assert (found["owner"], found["pool"]) == (owner, "number@n")
    (mine,) = http.get(at("number@n", "allocations"), owner=owner)
    assert mine["text"] == value
    http.delete(at("number@n", "allocations", owner))
    assert http.get("/allocations", owner=owner) == []


@AGAIN
@given(names)
def test_any_scope_that_is_taken_can_be_addressed(http: Http, scope: str) -> None:
    answer = http.ask("POST", "/pools", {"kind": "s-vlan", "scope": scope, "first": 1, "last": 9})
    if answer.status_code != 201:
        assert answer.json()["code"] in ("INVALID_INPUT", "INVALID_BODY"), answer.text
        return
    pool = answer.json()["id"]
    assert pool == f"s-vlan@{scope}"
    assert http.get(at(pool))["scope"] == scope
    assert [one["id"] for one in http.get("/pools", kind="s-vlan", scope=scope)] == [pool]
    assert http.take(pool, "me") == ["1"]
    assert http.post(at(pool, "grow"), {"last": 19}, 200)["capacity"] == 19
    # a scope may have had a pool before, in an earlier example
    told = [event["what"] for event in http.get(at(pool, "events"))]
    assert told[-2:] == ["created", "grown"]
    http.delete(at(pool, "allocations", "me"))
    http.delete(at(pool))


@pytest.mark.parametrize("name", ["\x00", "a\x00b", "\ud800", ""])
def test_what_no_database_keeps_is_refused(http: Http, name: str) -> None:
    for path, body in (
        ("/pools", {"kind": "s-vlan", "scope": name}),
        (at("number@n", "allocations"), {"owner": name}),
        (at("number@n", "allocations"), {"owner": "x", "subject": name}),
        (at("number@n", "pressure"), {"seconds": 9, "reason": name}),
        ("/allocationSets", {"sets": [{"owner": name, "items": [{"pool": "number@n"}]}]}),
    ):
        answer = http.client.post(
            f"{ROOT}{path}",
            content=json.dumps(body),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 400, (path, body, answer.text)
    for path in ("/pools/a%00b", "/pools/number@n/allocations/a%00b", "/allocations?owner=a%00b"):
        method = "DELETE" if path.endswith("n/allocations/a%00b") else "GET"
        assert http.client.request(method, f"{ROOT}{path}").status_code in (400, 404)


@AGAIN
@given(st.text(max_size=60) | st.sampled_from(NASTY) | st.ip_addresses().map(str))
def test_anything_can_be_asked_for(http: Http, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    for kind in (None, "ipv4", "number", "ipv6-prefix", "onu-serial", "port"):
        params = {"value": value} | ({"kind": kind} if kind else {})
        answer = http.ask("GET", "/allocations", **params)
        assert answer.status_code == 200 or answer.json()["code"] == "INVALID_QUERY", answer.text


def test_the_longest_names_fit_into_the_indices(http: Http) -> None:
    # four bytes a character, and nothing that compresses: PostgreSQL's indices take 2,704 bytes
    owner = "".join(chr(0x1F300 + n * 37 % 700) for n in range(512))
    (value,) = http.take("number@n", owner, subject=owner)
    assert http.get("/allocations", owner=owner)[0]["text"] == value
    http.delete(at("number@n", "allocations", owner))


# -- bodies -----------------------------------------------------------------------------------------

POOLS = (
    *("number@n", "ipv4@b", "ipv4-prefix@region", "ipv6-prefix@b", "onu-serial@HG8245H"),
    *("port@olt-1", "nope", "c-vlan@nope"),
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 70), 1 << 70),
    st.integers(-5, 300),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(
        (
            *(
                "100.64.0.9",
                "10.0.0.0/24",
                "10.0.0.0/8",
                "/24",
                "1-9",
                "2001:db8::/56",
                "HWTC00000009",
            ),
            *("me", "low", "number@n", "ipv4@b", "number", "ipv4", "s-vlan", "x" * 513, "0", "-1"),
            *("lowest", "GPON", str(1 << 64), "pon1", "number@nope", "*", "100.64.0.*", "65000"),
        )
    ),
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)
WORDS = {
    "/pools": (
        *("kind", "scope", "first", "last", "prefix", "prefixLength", "values", "exclude", "bands"),
        *("parent", "quarantineSeconds", "technology", "domain", "stripes", "reuse"),
    ),
    "allocations": ("owner", "value", "count", "ttlSeconds", "band", "subject"),
    "grow": ("first", "last", "prefix", "values"),
    "shrink": ("first", "last", "values"),
    "split": ("at", "scope"),
    "move": ("to", "first", "last"),
    "pressure": ("seconds", "reason"),
    "": ("quarantineSeconds", "reuse", "draining"),
}


def bodies(words: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Return bodies from nearly right to nonsense."""
    return st.dictionaries(st.sampled_from((*words, "other")), values, max_size=6) | values


def _said(http: Http, method: str, path: str, body: Any) -> Json:
    try:
        answer = http.ask(method, path, body)
    except UnicodeEncodeError:
        return {}
    assert answer.status_code in (200, 201, 400, 404, 409), (path, body, answer.text)
    found = answer.json()
    if not answer.is_success:
        assert found["code"] not in ("INTERNAL_ERROR", "CONTENTION"), (path, body, found)
        assert found["status"] == str(answer.status_code)
    return dict(found) if isinstance(found, dict) else {}


@AGAIN
@given(st.data())
def test_bodies_of_any_kind_never_make_the_server_stumble(http: Http, data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(list(WORDS)))
    body = data.draw(bodies(WORDS[word]))
    if word == "/pools":
        _said(http, "POST", word, body)
        return
    path = at(data.draw(st.sampled_from(POOLS)), *([word] if word else []))
    _said(http, "PATCH" if not word else "POST", path, body)


@AGAIN
@given(st.data())
def test_sets_of_any_kind_never_make_the_server_stumble(http: Http, data: st.DataObject) -> None:
    words = ("pool", "kind", "scope", "value", "count", "band", "owner", "subject")
    item = st.fixed_dictionaries({"pool": st.sampled_from(POOLS)}) | bodies(words)
    one = st.fixed_dictionaries(
        {"owner": st.sampled_from(["me", "you"]) | values, "items": st.lists(item, max_size=4)}
    )
    body = data.draw(st.fixed_dictionaries({"sets": st.lists(one, max_size=3)}) | values)
    _said(http, "POST", "/allocationSets", body)


@AGAIN
@given(st.data())
def test_imports_and_kinds_of_any_kind_never_make_the_server_stumble(
    http: Http, data: st.DataObject
) -> None:
    kinds = (
        "name",
        "render",
        "scope",
        "range",
        "digits",
        "before",
        "never",
        "quarantine",
        "length",
    )
    body = data.draw(bodies(kinds))
    if isinstance(body, dict) and data.draw(st.booleans()):
        body |= {"name": "k-1", "render": "digits", "scope": "x"}
    _said(http, "POST", "/kinds", body)
    pools = st.lists(bodies((*WORDS["/pools"], "ranges", "params", "occupies")), max_size=3)
    held = st.lists(
        bodies((*WORDS["allocations"], "kind", "scope", "state", "restsUntil")), max_size=3
    )
    document = data.draw(
        st.fixed_dictionaries({}, optional={"pools": pools, "allocations": held}) | values
    )
    _said(http, "POST", "/poolImport", document)
    sheet = data.draw(
        st.text(max_size=200)
        | st.just("kind,scope,value,owner\n").flatmap(
            lambda head: st.text(max_size=80).map(lambda rest: head + rest)
        )
    )
    answer = http.client.post(
        f"{ROOT}/poolImport",
        content=sheet.encode("utf-8", "surrogatepass"),
        headers={"content-type": "text/csv"},
    )
    assert answer.status_code in (200, 400, 409), answer.text


def test_after_all_that_the_pools_add_up(http: Http) -> None:
    for pool in http.get("/pools", limit=10_000):
        parts = (pool["allocated"], pool["reserved"], pool["quarantined"], pool["free"])
        assert min(parts) >= 0, pool
        assert sum(parts) == pool["capacity"], pool
