"""Kinds render and parse their values both ways, and lay out pools as the standards say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import InvalidPrefix, InvalidRange, KindUnknown, ValueInvalid
from inventory.kinds import kind, kinds, parse, render, technology
from inventory.layout import Content, layout

V6 = {"prefix": "2001:db8:4000::/40", "prefixLength": 56}


@given(st.integers(0, 2**32 - 1))
def test_addresses_survive_the_round_trip(value: int) -> None:
    assert parse("ipv4", {}, render("ipv4", {}, value)) == value


@given(st.integers(0, 2**16 - 1))
def test_prefixes_survive_the_round_trip(index: int) -> None:
    assert parse("ipv6-prefix", V6, render("ipv6-prefix", V6, index)) == index


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=4), st.integers(0, 2**32 - 1))
def test_serials_survive_the_round_trip(vendor: str, number: int) -> None:
    serial = f"{vendor}{number:08X}"
    value = parse("onu-serial", {}, serial)
    assert render("onu-serial", {}, value) == serial
    assert parse("onu-serial", {}, serial.lower()[0:4].upper() + serial[4:].lower()) == value
    assert 0 <= value < 2**63


def test_values_are_written_as_people_write_them() -> None:
    assert render("ipv6-prefix", V6, 0) == "2001:db8:4000::/56"
    assert render("ipv6-prefix", V6, 1) == "2001:db8:4000:100::/56"
    assert render("ipv6-prefix", V6, 65535) == "2001:db8:40ff:ff00::/56"
    assert render("c-vlan", {}, 17) == "17"
    assert render("ipv4", {}, 0x64400002) == "100.64.0.2"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ipv4", "100.64.0"),
        ("ipv4", "100.64.0.256"),
        ("ipv4", "2001:db8::1"),
        ("ipv6-prefix", "2001:db8:4000::/48"),
        ("ipv6-prefix", "2001:db8:4000::1/56"),
        ("ipv6-prefix", "10.0.0.0/8"),
        ("ipv6-prefix", "nonsense"),
        ("onu-serial", "HWTC1A2B3C0"),
        ("onu-serial", "HWTC1A2B3C0G"),
        ("onu-serial", "HÄTC1A2B3C01"),
        ("c-vlan", "12a"),
        ("c-vlan", ""),
        ("c-vlan", "1.5"),
        ("c-vlan", "9" * 40),
    ],
)
def test_what_is_no_value_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueInvalid) as failure:
        parse(name, V6, text)
    assert failure.value.code == "VALUE_INVALID"


def test_unknown_kind_names_the_known() -> None:
    with pytest.raises(KindUnknown, match="c-vlan"):
        kind("colour")


def test_all_declared_kinds_are_whole() -> None:
    for one in kinds().values():
        assert one.reuse in {"lowest", "oldest"}
        assert one.quarantine >= 0
        for first, last in [*one.ranges.values(), *([one.range] if one.range else [])]:
            assert 0 <= first <= last


def test_technologies_are_spelled_as_in_orders() -> None:
    assert [technology(t) for t in ("gpon", "xgs-pon", "XG-PON", "dsl")] == [
        "GPON",
        "XGS-PON",
        "XG-PON",
        "dsl",
    ]


@pytest.mark.parametrize(
    ("name", "content", "first", "last"),
    [
        ("ipv4", Content(prefix="203.0.113.0/24"), 0xCB007102, 0xCB0071FE),
        ("ipv4", Content(prefix="203.0.113.0/30"), 0xCB007102, 0xCB007102),
        ("ipv6-prefix", Content(prefix="2001:db8::/40"), 0, 2**16 - 1),
        ("ipv6-prefix", Content(prefix="2001:db8::/40", prefix_length=60), 0, 2**20 - 1),
        ("c-vlan", Content(), 2, 4094),
        ("c-vlan", Content(first=100, last=200), 100, 200),
        ("onu-id", Content(technology="XG-PON"), 0, 1022),
        ("onu-id", Content(first=0, last=31, technology="GPON"), 0, 31),
        ("onu-id", Content(first=0, last=31), 0, 31),
        ("s-vlan", Content(first=7), 7, 4094),
    ],
)
def test_layouts(name: str, content: Content, first: int, last: int) -> None:
    made = layout(kind(name), content)
    assert (made.first, made.last, made.capacity) == (first, last, last - first + 1)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("ipv4", Content(prefix="203.0.113.1/24"), InvalidPrefix),
        ("ipv4", Content(prefix="203.0.113.0/33"), InvalidPrefix),
        ("ipv4", Content(prefix="203.0.113.0/31"), InvalidPrefix),
        ("ipv4", Content(prefix="here"), InvalidPrefix),
        ("ipv4", Content(prefix="2001:db8::/40"), InvalidPrefix),
        ("ipv4", Content(), InvalidRange),
        ("ipv6-prefix", Content(prefix="10.0.0.0/8"), InvalidPrefix),
        ("ipv6-prefix", Content(prefix="2001:db8::/60"), InvalidPrefix),
        ("ipv6-prefix", Content(prefix="2001:db8::/40", prefix_length=129), InvalidPrefix),
        ("ipv6-prefix", Content(prefix="::/0", prefix_length=64), InvalidPrefix),
        ("c-vlan", Content(prefix="10.0.0.0/8"), InvalidPrefix),
        ("c-vlan", Content(first=0, last=10), InvalidRange),
        ("c-vlan", Content(first=10, last=5000), InvalidRange),
        ("c-vlan", Content(first=10, last=9), InvalidRange),
        ("c-vlan", Content(values=["1"]), InvalidRange),
        ("onu-id", Content(), InvalidRange),
        ("onu-id", Content(technology="DSL"), InvalidRange),
        ("onu-id", Content(first=0, last=254, technology="GPON"), InvalidRange),
        ("onu-serial", Content(values=["x"]), ValueInvalid),
    ],
)
def test_layouts_that_cannot_be(name: str, content: Content, error: type[Exception]) -> None:
    with pytest.raises(error):
        layout(kind(name), content)


def test_stock_is_one_span_per_distinct_value() -> None:
    made = layout(
        kind("onu-serial"), Content(values=["HWTC00000002", "HWTC00000001", "HWTC00000002"])
    )
    assert made.capacity == 2
    assert layout(kind("onu-serial"), Content()).capacity == 0
