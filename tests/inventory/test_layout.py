"""What a new pool contains: ranges, prefixes, parts of them, exclusions and reserved bands."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import InvalidPrefix, InvalidRange, ValueInvalid
from inventory.values.kinds import kind, parse, read, render
from inventory.values.layout import Content, Layout, Span, layout, without

LAB = {"prefix": "10.0.0.0/24"}


def texts(name: str, made: Layout, spans: Iterable[Span] | None = None) -> list[str]:
    shown = made.spans if spans is None else spans
    return ["-".join(render(name, made.params, v) for v in dict.fromkeys(span)) for span in shown]


@pytest.mark.parametrize(
    ("name", "content", "first", "last"),
    [
        ("ipv4", Content(prefix="203.0.113.0/24"), 0xCB007102, 0xCB0071FE),
        ("ipv4", Content(prefix="203.0.113.0/30"), 0xCB007102, 0xCB007102),
        ("ipv4", Content(prefix="203.0.113.0/255.255.255.0"), 0xCB007102, 0xCB0071FE),
        ("ipv4", Content(first="203.0.113.7", last="203.0.113.9"), 0xCB007107, 0xCB007109),
        ("ipv4-prefix", Content(prefix="10.0.0.0/16", prefix_length=24), 0, 255),
        ("ipv4-prefix", Content(prefix="10.0.0.0/16"), 0, 0),
        ("ipv4-prefix", Content(prefix="10.0.0.0/24", prefix_length=32), 0, 255),
        ("ipv4-prefix", Content(prefix="0.0.0.0/0", prefix_length=32), 0, 2**32 - 1),
        ("ipv6", Content(prefix="2001:db8::/64"), 2, 2**62 - 1),
        ("ipv6", Content(prefix="2001:db8::/120"), 2, 255),
        ("ipv6", Content(prefix="2001:db8::/127"), 0, 1),
        ("ipv6", Content(prefix="2001:db8::7/128"), 0, 0),
        ("ipv6-prefix", Content(prefix="2001:db8::/40"), 0, 2**16 - 1),
        ("ipv6-prefix", Content(prefix="2001:db8::/40", prefix_length=60), 0, 2**20 - 1),
        ("c-vlan", Content(), 2, 4094),
        ("c-vlan", Content(first=100, last=200), 100, 200),
        ("c-vlan", Content(first="100", last=200), 100, 200),
        ("onu-id", Content(technology="XG-PON"), 0, 1022),
        ("onu-id", Content(first=0, last=31, technology="GPON"), 0, 31),
        ("onu-id", Content(first=0, last=31), 0, 31),
        ("s-vlan", Content(first=7), 7, 4094),
        ("vrf-rd", Content(prefix="65000"), 0, 2**32 - 1),
        ("vrf-rd", Content(prefix="65000", first="65000:100", last="65000:199"), 100, 199),
        ("vrf-rd", Content(prefix="192.0.2.1"), 0, 65535),
        ("vrf-rt", Content(prefix="4200000000", first=1), 1, 65535),
        ("imsi", Content(prefix="00101"), 1010000000000, 1019999999999),
        (
            "imsi",
            Content(first="262010000000000", last="262010000099999"),
            262010000000000,
            262010000099999,
        ),
        ("msisdn", Content(prefix="+4917012", prefix_length=12), 491701200000, 491701299999),
        ("iccid", Content(prefix="894902"), 894902000000000000, 894902999999999999),
        (
            "iccid",
            Content(first="8949020000000000014", last="8949020000000000998"),
            894902000000000001,
            894902000000000099,
        ),
        ("s-nssai", Content(prefix="1"), 1 << 24, (2 << 24) - 2),
        ("s-nssai", Content(first="1-000001", last="1-0000FF"), (1 << 24) + 1, (1 << 24) + 255),
        ("number", Content(first=0, last=2**63 - 1), 0, 2**63 - 1),
        ("vxlan-vni", Content(), 1, 2**24 - 1),
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
        ("ipv4", Content(prefix=""), InvalidPrefix),
        ("ipv4", Content(prefix="10/8"), InvalidPrefix),
        ("ipv4", Content(prefix="2001:db8::/40"), InvalidPrefix),
        ("ipv4", Content(), InvalidRange),
        ("ipv4", Content(first=1), InvalidRange),
        ("ipv4", Content(first=0, last=2**32), InvalidRange),
        ("ipv4", Content(prefix="10.0.0.0/24", first="10.0.1.1"), InvalidRange),
        ("ipv4", Content(prefix="10.0.0.0/24", first="10.0.0.0", last="10.0.0.1"), InvalidRange),
        ("ipv4", Content(first="10.0.0.x", last=5), ValueInvalid),
        ("ipv4-prefix", Content(prefix="10.0.0.0/24", prefix_length=23), InvalidPrefix),
        ("ipv4-prefix", Content(prefix="10.0.0.0/24", prefix_length=33), InvalidPrefix),
        ("ipv4-prefix", Content(prefix="10.0.0.0/24", prefix_length=-1), InvalidPrefix),
        ("ipv4-prefix", Content(prefix="/24"), InvalidPrefix),
        ("ipv4-prefix", Content(prefix_length=24), InvalidRange),
        ("ipv6", Content(prefix="2001:db8::/48"), InvalidPrefix),
        ("ipv6", Content(prefix="10.0.0.0/24"), InvalidPrefix),
        ("ipv6", Content(), InvalidRange),
        ("ipv6-prefix", Content(prefix="10.0.0.0/8"), InvalidPrefix),
        ("ipv6-prefix", Content(prefix="2001:db8::/60"), InvalidPrefix),
        ("ipv6-prefix", Content(prefix="2001:db8::/40", prefix_length=129), InvalidPrefix),
        ("ipv6-prefix", Content(prefix="::/0", prefix_length=64), InvalidPrefix),
        ("c-vlan", Content(prefix="10.0.0.0/8"), InvalidPrefix),
        ("c-vlan", Content(first=0, last=10), InvalidRange),
        ("c-vlan", Content(first=10, last=5000), InvalidRange),
        ("c-vlan", Content(first=10, last=9), InvalidRange),
        ("c-vlan", Content(first=2**70, last=2**71), ValueInvalid),
        ("c-vlan", Content(values=["1"]), InvalidRange),
        ("onu-id", Content(), InvalidRange),
        ("onu-id", Content(technology="DSL"), InvalidRange),
        ("onu-id", Content(first=0, last=254, technology="GPON"), InvalidRange),
        ("onu-serial", Content(values=["x"]), ValueInvalid),
        ("onu-serial", Content(first=1, last=2), InvalidRange),
        ("onu-serial", Content(values=["HWTC00000001"], exclude=["HWTC00000001"]), InvalidRange),
        ("port", Content(values=["a", " b"]), ValueInvalid),
        ("port", Content(values=["", "b"]), ValueInvalid),
        ("port", Content(prefix="10.0.0.0/24"), InvalidRange),
        ("vrf-rd", Content(), InvalidRange),
        ("vrf-rd", Content(prefix="AS65000"), InvalidPrefix),
        ("vrf-rd", Content(prefix="4294967296"), InvalidPrefix),
        ("vrf-rd", Content(prefix="192.0.2.1", last=65536), InvalidRange),
        ("imsi", Content(), InvalidRange),
        ("imsi", Content(prefix="2620112345678901"), InvalidPrefix),
        ("imsi", Content(prefix="262a"), InvalidPrefix),
        ("msisdn", Content(prefix="4917012"), InvalidPrefix),
        ("msisdn", Content(prefix="4917012", prefix_length=16), InvalidPrefix),
        ("msisdn", Content(prefix="0", prefix_length=9), InvalidPrefix),
        ("iccid", Content(prefix="12"), InvalidRange),
        ("s-nssai", Content(prefix="1-000001"), InvalidPrefix),
        ("number", Content(first=1), InvalidRange),
        ("asn", Content(first=23456, last=23456), InvalidRange),
    ],
)
def test_layouts_that_cannot_be(name: str, content: Content, error: type[Exception]) -> None:
    with pytest.raises(error) as failure:
        layout(kind(name), content)
    assert type(failure.value) is error


def test_the_network_is_told_when_host_bits_are_set() -> None:
    with pytest.raises(InvalidPrefix, match=r"203\.0\.113\.0/24 is the network"):
        layout(kind("ipv4"), Content(prefix="203.0.113.1/24"))


def test_stock_is_one_span_per_distinct_value() -> None:
    made = layout(
        kind("onu-serial"), Content(values=["HWTC00000002", "HWTC00000001", "HWTC00000002"])
    )
    assert made.capacity == 2
    assert layout(kind("onu-serial"), Content()).capacity == 0


def test_ports_are_numbered_in_the_order_given() -> None:
    made = layout(kind("port"), Content(values=["xe-0/0/2", "xe-0/0/1", "xe-0/0/2"]))
    assert made.params == {"names": ["xe-0/0/2", "xe-0/0/1"]}
    assert made.spans == ((0, 1),)
    assert layout(kind("port"), Content()).spans == ()


def test_gateways_are_named_where_they_are_kept_free() -> None:
    def gateway(name: str, prefix: str) -> object:
        return layout(kind(name), Content(prefix=prefix)).params.get("gateway")

    assert gateway("ipv4", "10.0.0.0/24") == "10.0.0.1"
    assert gateway("ipv6", "2001:db8::/64") == "2001:db8::1"
    assert gateway("ipv6", "2001:db8::/127") is None


def test_exclusions_are_values_ranges_prefixes_and_globs() -> None:
    exclude = [
        "10.0.0.9",
        "10.0.0.20-10.0.0.22",
        "10.0.0.64/26",
        "10.0.0.1",
        "10.0.0.250..10.0.0.255",
    ]
    made = layout(kind("ipv4"), Content(prefix="10.0.0.0/24", exclude=exclude))
    assert texts("ipv4", made) == [
        "10.0.0.2-10.0.0.8",
        "10.0.0.10-10.0.0.19",
        "10.0.0.23-10.0.0.63",
        "10.0.0.128-10.0.0.249",
    ]
    glob = layout(kind("ipv4"), Content(prefix="10.0.0.0/22", exclude=["10.0.0-2.*"]))
    assert texts("ipv4", glob) == ["10.0.3.0-10.0.3.254"]


def test_excluding_a_part_of_a_prefix_excludes_all_of_it() -> None:
    content = Content(
        prefix="10.0.0.0/16",
        prefix_length=24,
        exclude=["10.0.3.7", "10.0.8.0/22", "10.0.250.0/24-10.0.255.0/24", "10.0.0.0/30"],
    )
    made = layout(kind("ipv4-prefix"), content)
    assert texts("ipv4-prefix", made) == [
        "10.0.1.0/24-10.0.2.0/24",
        "10.0.4.0/24-10.0.7.0/24",
        "10.0.12.0/24-10.0.249.0/24",
    ]


def test_numbers_and_words_with_hyphens_are_excluded_too() -> None:
    vlans = layout(
        kind("s-vlan"), Content(first=1, last=20, exclude=["3", "5-7", "10 - 12", "15..16"])
    )
    assert vlans.spans == ((1, 2), (4, 4), (8, 9), (13, 14), (17, 20))
    slices = layout(kind("s-nssai"), Content(prefix="1", exclude=["1-000000", "1-000010-1-FFFFFE"]))
    assert texts("s-nssai", slices) == ["1-000001-1-00000F"]
    numbers = layout(
        kind("msisdn"),
        Content(prefix="4917012", prefix_length=12, exclude=["+491701200000-491701200009"]),
    )
    assert numbers.first == 491701200010


@pytest.mark.parametrize(
    ("exclude", "why"),
    [
        (["10.0.1.0/24"], "no value, range or prefix|outside"),
        (["10.0.0.9-10.0.0.5"], "no value, range or prefix"),
        (["x"], "no value, range or prefix"),
        ([""], "no value, range or prefix"),
        (["2001:db8::1"], "no value, range or prefix"),
        (["10.0.0.0/24"], "Nothing is left"),
        (["10.0.0.*"], "Nothing is left"),
        (["0.0.0.0/0"], "Nothing is left"),
    ],
)
def test_exclusions_that_cannot_be(exclude: list[str], why: str) -> None:
    with pytest.raises(InvalidRange, match=why):
        layout(kind("ipv4"), Content(prefix="10.0.0.0/24", exclude=exclude))


def test_bands_are_kept_apart() -> None:
    content = Content(
        prefix="10.0.0.0/24",
        exclude=["10.0.0.100"],
        bands={"static": "10.0.0.96/28", "routers": "10.0.0.250-10.0.0.254"},
    )
    made = layout(kind("ipv4"), content)
    assert texts("ipv4", made) == ["10.0.0.2-10.0.0.95", "10.0.0.112-10.0.0.249"]
    assert texts("ipv4", made, made.bands["static"]) == [
        "10.0.0.96-10.0.0.99",
        "10.0.0.101-10.0.0.111",
    ]
    assert texts("ipv4", made, made.bands["routers"]) == ["10.0.0.250-10.0.0.254"]
    assert made.capacity == 252
    assert (made.first, made.last) == (
        parse("ipv4", {}, "10.0.0.2"),
        parse("ipv4", {}, "10.0.0.254"),
    )


def test_a_pool_may_be_all_band() -> None:
    made = layout(kind("s-vlan"), Content(first=1, last=9, bands={"static": "1-9"}))
    assert (made.spans, made.capacity) == ((), 9)


@pytest.mark.parametrize(
    "bands",
    [
        {"a": "1-5", "b": "5-9"},
        {"a": "1-9", "b": "3"},
        {"a": "3"},
        {"a": "90-99"},
        {"a": "x"},
        {" ": "1-2"},
    ],
)
def test_bands_that_cannot_be(bands: dict[str, str]) -> None:
    with pytest.raises(InvalidRange):
        layout(kind("s-vlan"), Content(first=1, last=20, exclude=["3"], bands=bands))


def test_a_part_of_a_prefix_keeps_its_ends_excluded() -> None:
    made = layout(kind("ipv4"), Content(prefix="10.0.0.0/24", first="10.0.0.0", last="10.0.0.9"))
    assert texts("ipv4", made) == ["10.0.0.2-10.0.0.9"]
    assert made.params["prefix"] == "10.0.0.0/24"
    assert made.places == (10 << 24, (10 << 24) + 9)
    part = layout(
        kind("ipv4-prefix"), Content(prefix="10.0.0.0/16", prefix_length=24, first="10.0.4.0/24")
    )
    assert texts("ipv4-prefix", part) == ["10.0.4.0/24-10.0.255.0/24"]


def test_autonomous_systems_leave_the_reserved_out() -> None:
    made = layout(kind("asn"), Content(first=23455, last=65536))
    assert made.spans == ((23455, 23455), (23457, 65534), (65536, 65536))


def test_places_are_addresses_whatever_they_are_counted_in() -> None:
    whole = (0x20010DB8 << 96, (0x20010DB8 << 96) + (1 << 88) - 1)
    for length in (40, 48, 64):
        made = layout(kind("ipv6-prefix"), Content(prefix="2001:db8::/40", prefix_length=length))
        assert made.places == whole
    one = layout(kind("ipv6"), Content(prefix="2001:db8::/120"))
    assert one.places == (whole[0], whole[0] + 255)
    as_ = layout(kind("vrf-rd"), Content(prefix="65000"))
    ip = layout(kind("vrf-rd"), Content(prefix="0.0.253.232"))
    assert as_.places
    assert ip.places
    assert as_.places[1] < ip.places[0]


def test_great_prefixes_and_many_exclusions_take_no_time() -> None:
    exclude = [f"{n * 10}-{n * 10 + 3}" for n in range(1, 20_000)]
    started = time.perf_counter()
    made = layout(kind("number"), Content(first=1, last=10**12, exclude=exclude))
    layout(kind("ipv4"), Content(prefix="0.0.0.0/1", exclude=["64.0.0.0/8"]))
    layout(
        kind("ipv6-prefix"), Content(prefix="2000::/3", prefix_length=64, exclude=["2001:db8::/32"])
    )
    assert time.perf_counter() - started < 5
    assert len(made.spans) == 20_000


spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda s: (s[0], s[0] + s[1])), max_size=6
)


@given(st.lists(st.integers(0, 7), unique=True, max_size=5), spans)
def test_what_is_left_is_what_sets_say(blocks: list[int], holes: list[Span]) -> None:
    whole = [(block * 10, block * 10 + 6) for block in blocks]
    left = without(whole, holes)

    def values(of: Iterable[Span]) -> set[int]:
        return {value for first, last in of for value in range(first, last + 1)}

    assert values(left) == values(whole) - values(holes)
    assert sum(last - first + 1 for first, last in left) == len(values(left))
    assert all(before[1] < after[0] for before, after in pairwise(left))


def test_a_declared_kind_of_addresses_may_hand_out_all() -> None:
    own = read("loopback", {"render": "ipv4", "scope": "network", "domain": "ipv4"})
    made = layout(own, Content(prefix="10.255.0.0/30"))
    assert (made.capacity, made.params) == (4, {"prefix": "10.255.0.0/30"})
