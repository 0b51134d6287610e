"""Kinds render and parse their values both ways, as the standards write them, and refuse what is malformed."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import KindUnknown, ValueInvalid
from inventory.values import kinds as registry
from inventory.values.kinds import kind, number, parse, plain, read, render, technology
from inventory.values.renderings import NO_SD, OUTSIDE, Digits, Names, luhn

V6 = {"prefix": "2001:db8:4000::/40", "prefixLength": 56}
PARAMS: dict[str, dict[str, Any]] = {
    "ipv4-prefix": {"prefix": "10.0.0.0/8", "prefixLength": 28},
    "ipv6": {"prefix": "2001:db8:0:1::/64"},
    "ipv6-prefix": V6,
    "port": {"names": ["1/1/1", "1/1/2", "xe-0/0/0", "Ethernet 1"]},
    "vrf-rd": {"administrator": "65000"},
    "vrf-rt": {"administrator": "192.0.2.1"},
}


def sample(name: str) -> st.SearchStrategy[int]:
    """Values that the kind has: its own range where it says one, what can be written otherwise."""
    known = kind(name)
    if name == "onu-serial":
        serial = st.tuples(
            st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=4), st.integers(0, 2**32 - 1)
        )
        return serial.map(lambda s: int.from_bytes(s[0].encode() + s[1].to_bytes(4, "big"), "big"))
    spans = known.ranges.values() or [known.range or known.form.limits(PARAMS.get(name, {}))]
    return st.one_of(*(st.integers(first, last) for first, last in spans))


@pytest.mark.parametrize("name", sorted(registry.own_kinds()))
@given(data=st.data())
def test_what_is_written_is_read_back(name: str, data: st.DataObject) -> None:
    value, params = data.draw(sample(name)), PARAMS.get(name, {})
    text = render(name, params, value)
    assert parse(name, params, text) == value
    assert number(name, params, text) == number(name, params, value) == value
    assert 0 <= value < 2**63
    assert text == text.strip() != ""


@pytest.mark.parametrize("name", sorted(registry.own_kinds()))
@given(text=st.text(max_size=24))
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    params = PARAMS.get(name, {})
    try:
        value = parse(name, params, text)
    except ValueInvalid as failure:
        value, said = OUTSIDE, failure.message
    else:
        said = f"{text!r}: write"
    assert value == OUTSIDE or -(2**63) < value < 2**63
    assert repr(text) in said
    assert "write" in said or "check digit" in said


@given(
    digits=st.one_of(
        st.integers(1, 18), st.tuples(st.integers(1, 9), st.integers(9, 18)).map(list)
    ),
    base=st.sampled_from([10, 16]),
    before=st.sampled_from(["", "ae", "Vlan", "0"]),
    after=st.sampled_from(["", ".0", "F"]),
    check=st.booleans(),
    data=st.data(),
)
def test_declared_digits_are_read_back(
    digits: Any, base: int, before: str, after: str, check: bool, data: st.DataObject
) -> None:
    words = {
        "render": "digits",
        "scope": "x",
        "digits": digits,
        "base": base,
        "before": before,
        "after": after,
    }
    form = read("trial", words | ({"check": "luhn"} if check and base == 10 else {})).form
    value = data.draw(st.integers(*form.limits({})))
    assert form.parse({}, form.render({}, value)) == value


@given(st.integers(0x2000 << 112, (0x4000 << 112) - 1), st.integers(64, 127))
def test_ipv6_is_written_as_the_library_writes_it(place: int, length: int) -> None:
    network = ipaddress.IPv6Network((place, length), strict=False)
    prefix = {"prefix": str(network), "prefixLength": 128}
    inside = min(place - int(network.network_address), 2**62 - 1)
    expected = str(network[inside])
    assert render("ipv6", prefix, inside) == expected
    if 128 - length <= 62:
        assert render("ipv6-prefix", prefix, inside) == f"{expected}/128"


@pytest.mark.parametrize(
    ("name", "params", "value", "text"),
    [
        ("ipv6-prefix", V6, 0, "2001:db8:4000::/56"),
        ("ipv6-prefix", V6, 1, "2001:db8:4000:100::/56"),
        ("ipv6-prefix", V6, 65535, "2001:db8:40ff:ff00::/56"),
        ("ipv4-prefix", PARAMS["ipv4-prefix"], 17, "10.0.1.16/28"),
        ("ipv6", PARAMS["ipv6"], 0x1F, "2001:db8:0:1::1f"),
        ("c-vlan", {}, 17, "17"),
        ("ipv4", {}, 0x64400002, "100.64.0.2"),
        ("port", PARAMS["port"], 2, "xe-0/0/0"),
        ("vrf-rd", {"administrator": "65000"}, 100, "65000:100"),
        ("vrf-rd", {"administrator": "192.0.2.1"}, 7, "192.0.2.1:7"),
        ("vrf-rt", {"administrator": "4200000000"}, 7, "4200000000:7"),
        ("msisdn", {}, 491701234567, "491701234567"),
        ("imsi", {}, 1010000000001, "001010000000001"),
        # 8+9+9+1+1+0+1+2+..., every second digit from the right doubled: 56, and 4 to the next ten
        ("iccid", {}, 899110120000320451, "8991101200003204514"),
        ("s-nssai", {}, 1 << 24 | 0xA1, "1-0000A1"),
        ("s-nssai", {}, 1 << 24 | NO_SD, "1"),
        ("s-nssai", {}, 255 << 24 | 0x19CDE0, "255-19CDE0"),
        ("onu-serial", {}, 0x485754431A2B3C01, "HWTC1A2B3C01"),
        ("asn", {}, 4200000000, "4200000000"),
    ],
)
def test_values_are_written_as_the_standards_write_them(
    name: str, params: dict[str, Any], value: int, text: str
) -> None:
    assert render(name, params, value) == text
    assert parse(name, params, text) == value


@pytest.mark.parametrize(
    ("name", "params", "text", "same"),
    [
        ("msisdn", {}, "+491701234567", "491701234567"),
        ("s-nssai", {}, "1-0000a1", "1-0000A1"),
        ("s-nssai", {}, "1-FFFFFF", "1"),
        ("onu-serial", {}, "HWTC1a2b3c01", "HWTC1A2B3C01"),
        ("ipv6", PARAMS["ipv6"], "2001:0DB8:0:1:0:0:0:1F", "2001:db8:0:1::1f"),
        # RFC 8294: the type stands before it
        ("vrf-rd", {"administrator": "65000"}, "0:65000:100", "65000:100"),
        ("vrf-rd", {"administrator": "192.0.2.1"}, "1:192.0.2.1:7", "192.0.2.1:7"),
        ("vrf-rt", {"administrator": "4200000000"}, "2:4200000000:7", "4200000000:7"),
    ],
)
def test_other_ways_to_write_a_value_are_read(
    name: str, params: dict[str, Any], text: str, same: str
) -> None:
    assert parse(name, params, text) == parse(name, params, same)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ipv4", "100.64.0"),
        ("ipv4", "100.64.0.256"),
        ("ipv4", "100.64.00.1"),
        ("ipv4", "100.64.0.1/32"),
        ("ipv4", "2001:db8::1"),
        ("ipv6", "100.64.0.1"),
        ("ipv6", "fe80::1%eth0"),
        ("ipv6", "2001:db8:0:1::/64"),
        ("ipv4-prefix", "10.0.0.0/24"),
        ("ipv4-prefix", "10.0.0.1/28"),
        ("ipv4-prefix", "10.0.0.0"),
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
        ("c-vlan", "007"),
        ("c-vlan", "٣"),
        ("c-vlan", "9" * 19),
        ("c-vlan", "9" * 40),
        ("msisdn", "0491701234567"),
        ("msisdn", "+49 170 1234567"),
        ("msisdn", "1234567890123456"),
        ("msisdn", "1234"),
        ("imsi", "26201123456789"),
        ("imsi", "2620112345678901"),
        ("imsi", "26201a234567890"),
        ("iccid", "8991101200003204513"),
        ("iccid", "899110120000320451"),
        ("iccid", "89911012000032045100"),
        ("s-nssai", "256"),
        ("s-nssai", "1-A1"),
        ("s-nssai", "01-0000A1"),
        ("vrf-rd", "65000"),
        ("vrf-rd", "65000:"),
        ("vrf-rd", "65000:4294967296"),
        ("vrf-rd", "192.0.2.1:65536"),
        ("vrf-rd", "1:65000:7"),
        ("vrf-rd", "192.0.2:7"),
        ("vrf-rd", "4294967296:7"),
    ],
)
def test_what_is_no_value_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueInvalid, match="is no value of kind") as failure:
        parse(name, PARAMS.get(name, {}), text)
    assert failure.value.code == "VALUE_INVALID"
    assert failure.value.details == {"kind": name, "value": text}


def test_a_wrong_check_digit_is_told() -> None:
    with pytest.raises(ValueInvalid, match="its check digit is 3, that of 899110120000320451 is 4"):
        parse("iccid", {}, "8991101200003204513")


@given(st.integers(0, 10**18 - 1), st.integers(1, 9))
def test_a_wrong_digit_never_passes_the_check(body: int, wrong: int) -> None:
    text = Digits(18, 18, luhn=True).render({}, body)
    changed = text[:-1] + str((int(text[-1]) + wrong) % 10)
    with pytest.raises(ValueInvalid):
        parse("iccid", {}, changed)
    assert (
        luhn("7992739871") == "3"
    )  # the worked example of ISO/IEC 7812-1's annex, as commonly printed


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ipv6-prefix", "2001:db8:5000::/56"),
        ("ipv6-prefix", "2001:db8:3fff::/56"),
        ("ipv4-prefix", "11.0.0.0/28"),
        ("ipv6", "2001:db8:0:2::1"),
        ("ipv6", "2001:db8:0:1:8000::1"),
        ("port", "xe-9/9/9"),
        ("vrf-rd", "65001:100"),
    ],
)
def test_well_written_values_of_others_are_no_value_of_the_pool(name: str, text: str) -> None:
    assert parse(name, PARAMS[name], text) == OUTSIDE


def test_numbers_beyond_64_bits_are_refused() -> None:
    with pytest.raises(ValueInvalid):
        number("s-vlan", {}, 2**63)
    assert number("s-vlan", {}, -5) == -5


def test_unknown_kind_names_the_known() -> None:
    with pytest.raises(KindUnknown, match="c-vlan") as failure:
        kind("colour")
    assert failure.value.details == {"kind": "colour"}


def test_all_own_kinds_are_whole() -> None:
    assert set(registry.own_kinds()) >= {
        *("ipv4", "ipv4-prefix", "ipv6", "ipv6-prefix", "s-vlan", "c-vlan", "onu-id", "alloc-id"),
        *(
            "gem-port",
            "port",
            "onu-serial",
            "vrf-rd",
            "vrf-rt",
            "msisdn",
            "imsi",
            "iccid",
            "s-nssai",
        ),
        *("asn", "vxlan-vni", "number"),
    }
    for one in registry.own_kinds().values():
        assert one.reuse in {"lowest", "oldest"}
        assert one.quarantine >= 0
        assert one.about, one.name
        assert one.scope, one.name
        assert one.document["source"], one.name
        for first, last in [*one.ranges.values(), *([one.range] if one.range else [])]:
            assert 0 <= first <= last


def test_vlans_are_numbers_and_what_has_leading_zeros_is_text() -> None:
    assert plain("c-vlan", {}, 17) == 17
    assert plain("imsi", {}, 262011234567890) == "262011234567890"
    assert plain("ipv4", {}, 1) == "0.0.0.1"
    assert plain("port", PARAMS["port"], 0) == "1/1/1"


def test_names_are_found_by_their_place() -> None:
    assert Names().limits({"names": ["a", "b"]}) == (0, 1)
    assert Names().limits({}) == (0, -1)


def test_technologies_are_spelled_as_in_orders() -> None:
    assert [technology(t) for t in ("gpon", "xgs-pon", "XG-PON", "dsl")] == [
        "GPON",
        "XGS-PON",
        "XG-PON",
        "dsl",
    ]


def test_taking_values_needs_no_netaddr() -> None:
    code = (
        "import sys; from inventory.values.kinds import parse, render; import inventory.allocator, inventory.pools; "
        "assert parse('ipv4', {}, render('ipv4', {}, 7)) == 7; assert 'netaddr' not in sys.modules"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
