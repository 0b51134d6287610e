"""The EOS configuration tree and command grammar, without network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.embedded.eos.config import Configuration, Cursor
from lab.embedded.eos.errors import CliError
from lab.embedded.eos.numbers import format_numbers, parse_numbers

PORTS = ("Ethernet1", "Ethernet2", "Ethernet10", "Management1")
VLANS = st.frozensets(st.integers(1, 4094), min_size=1, max_size=30)


def configured(*lines: str) -> Configuration:
    configuration = Configuration(PORTS)
    cursor = Cursor(configuration)
    for line in lines:
        cursor.run(line)
    return configuration


def body(*lines: str) -> str:
    return configured(*lines).text()


def shown(interface: str, *lines: str) -> list[str]:
    """The lines below an interface after the given ones were entered in it."""
    text = body(f"interface {interface}", *lines)
    section = text.partition(f"interface {interface}\n")[2].partition("!\n")[0]
    return [line.strip() for line in section.splitlines()]


@given(VLANS)
def test_number_lists_read_back(numbers: frozenset[int]) -> None:
    assert parse_numbers(format_numbers(numbers), 1, 4094) == numbers


@pytest.mark.parametrize("text", ["", "0", "4095", "1-", "-1", "5-3", "1,,2", "a", "1 2", "\uff11"])
def test_what_is_no_number_list(text: str) -> None:
    assert parse_numbers(text, 1, 4094) is None


OPERATIONS = st.lists(
    st.one_of(
        st.just(("none", frozenset[int]())),
        st.just(("all", frozenset[int]())),
        st.tuples(st.sampled_from(["", "add", "remove", "except"]), VLANS),
    ),
    max_size=8,
)


@given(OPERATIONS)
def test_allowed_vlans_are_a_set(operations: list[tuple[str, frozenset[int]]]) -> None:
    every = frozenset(range(1, 4095))
    members = every
    lines = []
    for operation, given_vlans in operations:
        lines.append(f"switchport trunk allowed vlan {operation} {format_numbers(given_vlans)}")
        match operation:
            case "none":
                members = frozenset()
            case "all":
                members = every
            case "add":
                members |= given_vlans
            case "remove":
                members -= given_vlans
            case "except":
                members = every - given_vlans
            case _:
                members = given_vlans
    wanted = (
        []
        if members == every
        else [f"switchport trunk allowed vlan {format_numbers(members) or 'none'}"]
    )
    assert shown("Ethernet1", *lines) == wanted


LINES = st.lists(
    st.sampled_from(
        [
            "hostname agg-1", "no hostname", "vlan 10", "vlan 11-13,20", "name V10", "no name",
            "name VLAN0011", "no vlan 11", "interface Ethernet1-2", "interface Ethernet10", "no switchport",
            "switchport", "default switchport", "switchport mode trunk", "no switchport mode",
            "switchport trunk allowed vlan none", "switchport trunk allowed vlan add 10,12",
            "no switchport trunk allowed vlan", "shutdown", "no shutdown", "mtu 9000",
            "ip route 10.1.2.3/8 192.0.2.1", "ip route 10.0.0.0/8 192.0.2.2 200 tag 7 name x",
            "no ip route 10.0.0.0/8", "no ip route 10.0.0.0/8 192.0.2.1", "ip routing",
            "no ip routing", "management api http-commands", "protocol https port 8443",
            "default interface Ethernet1", "interface Vlan10", "no interface Vlan10",
            "description to the north", "vrf instance blue", "ip route vrf blue 0.0.0.0/0 Null0",
        ]
    ),
    max_size=25,
)  # fmt: skip


@given(LINES)
def test_what_is_shown_can_be_loaded_and_is_the_same(lines: list[str]) -> None:
    configuration = Configuration(PORTS)
    cursor = Cursor(configuration)
    for line in lines:
        before = configuration.text()
        try:
            cursor.run(line)
        except CliError:
            assert configuration.text() == before, "a refused line changes nothing"
    copy = Configuration(PORTS)
    copy.load(configuration.text())
    assert copy.text() == configuration.text()
    assert configuration.diff(copy, "s") == ""
    whole = Configuration(PORTS)
    whole.load(configuration.text(everything=True))
    assert whole.text() == configuration.text(), "`all` says the same, with the defaults"


@given(LINES, LINES)
def test_a_copy_is_independent(first: list[str], second: list[str]) -> None:
    configuration = Configuration(PORTS)
    _run_valid(configuration, first)
    before = configuration.text()
    copy = configuration.copy()
    _run_valid(copy, second)
    assert configuration.text() == before
    assert bool(configuration.diff(copy, "s")) == (copy.text() != before)


def _run_valid(configuration: Configuration, lines: list[str]) -> None:
    cursor = Cursor(configuration)
    for line in lines:
        try:
            cursor.run(line)
        except CliError:
            continue


def test_order_is_that_of_the_box_not_of_entry() -> None:
    text = body(
        "management api http-commands",
        "no shutdown",
        "ip route 203.0.113.10/32 192.0.2.1",
        "ip route 203.0.113.9/32 192.0.2.1",
        "vlan 1002",
        "name SV1002",
        "vlan 900",
        "vlan 901",
        "vlan 1001",
        "name SV1001",
        "interface Ethernet10",
        "switchport mode trunk",
        "switchport trunk allowed vlan 1001",
        "hostname agg-1",
    )
    assert text == (
        "!\nhostname agg-1\n!\nvlan 900-901\n!\nvlan 1001\n   name SV1001\n!\nvlan 1002\n"
        "   name SV1002\n!\ninterface Ethernet1\n!\ninterface Ethernet2\n!\ninterface Ethernet10\n"
        "   switchport trunk allowed vlan 1001\n   switchport mode trunk\n!\ninterface Management1\n"
        "!\nip route 203.0.113.9/32 192.0.2.1\nip route 203.0.113.10/32 192.0.2.1\n!\n"
        "management api http-commands\n   no shutdown\n!\nend\n"
    )


def test_defaults_are_not_shown() -> None:
    assert shown("Ethernet1", "switchport mode trunk", "switchport mode access") == []
    assert shown("Ethernet1", "switchport access vlan 1", "switchport", "no shutdown") == []
    assert shown("Ethernet1", "no switchport") == ["no switchport"]
    assert shown("Ethernet1", "no switchport", "default switchport") == []


def test_all_shows_the_defaults() -> None:
    text = configured("vlan 10", "interface Ethernet1", "no switchport").text(everything=True)
    assert "vlan 10\n   name VLAN0010\n   state active\n" in text
    ethernet1 = text.partition("interface Ethernet1\n")[2].partition("!")[0]
    assert ethernet1 == (
        "   no description\n   no mtu\n   no speed\n   no switchport\n   switchport access vlan 1\n"
        "   switchport trunk native vlan 1\n   switchport trunk allowed vlan 1-4094\n"
        "   switchport mode access\n   no vrf\n   no ip address\n   no shutdown\n"
    )


def test_routes() -> None:
    text = body(
        "ip route 203.0.113.9/24 192.0.2.1 name old",
        "ip route 203.0.113.0/24 192.0.2.1 name new",
        "ip route 203.0.113.0/24 192.0.2.2",
    )
    routes = [line for line in text.splitlines() if line.startswith("ip route")]
    assert routes == [
        "ip route 203.0.113.0/24 192.0.2.1 name new",
        "ip route 203.0.113.0/24 192.0.2.2",
    ], "host bits are cleared; prefix and next hop identify a route"
    assert "192.0.2.1" not in body(*routes, "no ip route 203.0.113.0/24 192.0.2.1")
    assert "ip route" not in body(*routes, "no ip route 203.0.113.0/24")


def test_removing_what_is_not_there_is_no_error() -> None:
    assert body("no vlan 99", "no ip route 10.0.0.0/8 192.0.2.1", "no hostname") == body()


def test_no_of_a_port_empties_it() -> None:
    assert body("interface Et1", "shutdown", "no interface Ethernet1") == body()
    assert "Vlan10" not in body("interface Vlan10", "shutdown", "no interface Vlan10")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("frobnicate", "Invalid input (at token 0: 'frobnicate')"),
        ("vlan 4095", "Invalid input (at token 1: '4095')"),
        ("vlan 0", "Invalid input (at token 1: '0')"),
        ("vlan", "Incomplete command (at token 1: None)"),
        ("ip route 203.0.113.7/32", "Incomplete command (at token 3: None)"),
        ("ip route 203.0.113.7 192.0.2.1", "Invalid input (at token 2: '203.0.113.7')"),
        ("ip route 203.0.113.7/33 192.0.2.1", "Invalid input (at token 2: '203.0.113.7/33')"),
        ("ip route 203.0.113.7/32 192.0.2.256", "Invalid input (at token 3: '192.0.2.256')"),
        ("ip route 203.0.113.7/32 192.0.2.1 0", "Invalid input (at token 4: '0')"),
        ("ip route 203.0.113.7/32 192.0.2.1 name", "Incomplete command (at token 5: None)"),
        ("no", "Incomplete command (at token 1: None)"),
        ("no frobnicate", "Invalid input (at token 1: 'frobnicate')"),
        ("no vlan", "Incomplete command (at token 2: None)"),
        ("interface Ethernet3", "Interface Ethernet3 does not exist"),
        ("interface Serial1", "Invalid input (at token 1: 'Serial1')"),
        ("switchport mode trunk", "Invalid input (at token 0: 'switchport')"),
    ],
)
def test_refused_lines(line: str, message: str) -> None:
    with pytest.raises(CliError) as caught:
        configured(line)
    assert caught.value.message == message


def test_the_error_names_the_token_of_the_mode_that_understood_more() -> None:
    with pytest.raises(CliError, match=r"at token 4: '5000'"):
        configured("interface Ethernet1", "switchport trunk allowed vlan 5000")


def test_a_line_of_the_top_level_leaves_the_section() -> None:
    assert "vlan 10\n" in body("interface Ethernet1", "vlan 10", "interface Ethernet2")
    with pytest.raises(CliError):
        configured("interface Ethernet1", "vlan 10", "shutdown")
