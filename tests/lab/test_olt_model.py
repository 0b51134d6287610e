"""The OLT refuses what hardware and models refuse, with the error that tells why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.lines import IF, RATES, Line
from tests.lab.netconf_bench import Client, olt


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = Client(olt(tmp_path))
    client.edit(RATES + str(Line()))
    client.commit()
    return client


def test_startup_has_pon_ports_and_nothing_that_is_sold(tmp_path: Path) -> None:
    text = Client(olt(tmp_path, sim_pon_type="gpon", sim_pon_ports="4")).read()
    assert all(f">{kind}-pon{n}<" in text for kind in ("cg", "cpart", "cp", "ct") for n in (1, 4))
    assert "bbf-xpon-types:gpon" in text
    assert ">uplink-1<" in text
    assert ">d4r<" in text
    assert not any(word in text for word in ("traffic-descriptor", "polic", "classifier"))


def test_a_line_is_accepted_and_read_back(client: Client) -> None:
    shown = client.read(
        f'<interfaces xmlns="{IF}"><interface><name>vani-1</name></interface></interfaces>'
    )
    assert "<expected-serial-number>ABCD12345678</expected-serial-number>" in shown
    assert "bbf-xponift:v-ani" in shown
    assert "uplink-1" not in shown


def test_a_second_line_is_accepted(client: Client) -> None:
    client.edit(str(Line().other()))
    client.commit()
    assert "vani-2" in client.read()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"onu": 7}, "ONU-ID on the PON"),
        ({"serial": "ABCD12345678"}, "serial number"),
        ({"alloc": 1031}, "Alloc-ID on the PON"),
        ({"gem": 1031}, "GEM port ID on the PON"),
        ({"c_vlan": 101}, "S/C tag pair on the interface"),
    ],
)
def test_what_is_taken_is_refused(client: Client, changes: dict[str, object], what: str) -> None:
    error = client.invalid(str(Line().other(**changes)))
    assert (error.tag, error.app_tag) == ("operation-failed", "data-not-unique")
    assert what in error.message
    assert "non-unique" in error.info


def test_the_same_identifiers_on_another_pon_port_are_free(client: Client) -> None:
    client.edit(str(Line().other(pon="pon2", onu=7, alloc=1031, gem=1031)))
    client.commit()


@pytest.mark.parametrize(
    ("technology", "changes", "refused"),
    [
        ("gpon", {"onu": 253, "alloc": 256, "gem": 0}, False),
        ("gpon", {"onu": 254, "alloc": 256, "gem": 1}, True),
        ("gpon", {"alloc": 4096, "gem": 1}, True),
        ("gpon", {"alloc": 256, "gem": 4096}, True),
        ("xgs-pon", {"onu": 1020, "alloc": 16383, "gem": 65534}, False),
        ("xgs-pon", {"alloc": 1023}, True),
        ("xgs-pon", {"gem": 1020}, True),
        ("xgs-pon", {"gem": 70000}, True),
    ],
)
def test_ranges_go_by_technology(
    tmp_path: Path, technology: str, changes: dict[str, object], refused: bool
) -> None:
    client = Client(olt(tmp_path, sim_pon_type=technology))
    client.edit(RATES + str(Line().other(**changes)))
    if refused:
        assert client.refusal("<commit/>").app_tag == "must-violation"
    else:
        client.commit()


def compact(text: str) -> str:
    return " ".join(text.split()).replace("> <", "><")


@pytest.mark.parametrize(
    ("old", "new", "tag", "app_tag", "path_end"),
    [
        (">venet-2</interface><traffic", ">nowhere</interface><traffic", "data-missing", "instance-required", "gemport[bbf-xpongemtcont:name='gem-2']/bbf-xpongemtcont:interface"),
        ("<vlan-id>102<", "<vlan-id>5000<", "invalid-value", None, "bbf-subif-tag:vlan-id"),
        ("<maximum-bandwidth>50000000</maximum-bandwidth>", "", "data-missing", None, "bbf-xpongemtcont:maximum-bandwidth"),
        ("xift:olt-v-enet", "xift:v-ani", "unknown-element", None, "bbf-xponvani:olt-v-enet"),
        ("tdp-50m</traffic-descriptor-profile-ref>", "tdp-9m</traffic-descriptor-profile-ref>", "data-missing", "instance-required", "traffic-descriptor-profile-ref"),
        ("ABCD12345679", "ABCD1234567", "invalid-value", None, "bbf-xponvani:expected-serial-number"),
        ("<onu-id>8<", "<onu-id>1021<", "invalid-value", None, "bbf-xponvani:onu-id"),
        ("<name>user</name><sub-interface>user-2", "<name>user</name><sub-interface>venet-2", "operation-failed", "must-violation", "bbf-l2-fwd:sub-interface"),
        ("<untagged/>", "", "data-missing", "missing-choice", "bbf-subif-tag:match-criteria"),
        ("<write-dei-0/>", "", "data-missing", "missing-choice", "bbf-subif-tag:dot1q-tag"),
        ("<all-packets/>", "<all-frames/>", "unknown-element", None, "classifier-entry[bbf-qos-cls:name='cls-50m']"),
        ("xift:olt-v-enet", "ghost:olt-v-enet", "invalid-value", None, "if:type"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_where_it_is(
    tmp_path: Path, old: str, new: str, tag: str, app_tag: str | None, path_end: str
) -> None:
    text = compact(RATES + str(Line().other()))
    assert old in text
    error = Client(olt(tmp_path)).invalid(text.replace(old, new))
    assert (error.tag, error.app_tag) == (tag, app_tag)
    assert str(error.path).endswith(path_end)


def test_a_line_is_removed_whole_or_not_at_all(client: Client) -> None:
    error = client.invalid(Line().removal("tcont"))
    assert (error.tag, error.app_tag) == ("data-missing", "instance-required")
    assert str(error.path).endswith("bbf-xpongemtcont:interface-reference")
    assert ">vani-1<" in client.read()
    client.edit(Line().removal())
    client.commit()
    assert "-1<" not in client.read().replace("uplink-1<", "")


def test_a_profile_in_use_cannot_go(client: Client) -> None:
    profiles = """<xpongemtcont xmlns="urn:bbf:yang:bbf-xpongemtcont"><traffic-descriptor-profiles>
      <traffic-descriptor-profile nc:operation="delete"><name>tdp-50m</name></traffic-descriptor-profile>
      </traffic-descriptor-profiles></xpongemtcont>"""
    assert client.invalid(profiles).app_tag == "instance-required"
    client.edit(Line().removal() + profiles)
    client.commit()


def test_a_change_far_away_is_checked_where_it_matters(client: Client) -> None:
    """The PON becomes GPON: the Alloc-ID of a T-CONT three references away is out of range."""
    new_type = f"""<interfaces xmlns="{IF}" xmlns:xt="urn:bbf:yang:bbf-xpon-types">
      <interface><name>cp-pon1</name><channel-pair xmlns="urn:bbf:yang:bbf-xpon">
        <channel-pair-type>xt:gpon</channel-pair-type></channel-pair></interface>
      <interface><name>ct-pon1</name><channel-termination xmlns="urn:bbf:yang:bbf-xpon">
        <channel-termination-type>xt:gpon</channel-termination-type><xgs-pon-id nc:operation="remove"/>
      </channel-termination></interface></interfaces>"""
    client.edit(Line("1", alloc=5000).gemtcont())
    client.commit()
    error = client.invalid(new_type)
    assert error.app_tag == "must-violation"
    assert "alloc-id 5000" in error.message


def test_identifiers_can_change_hands_in_one_commit(client: Client) -> None:
    client.edit(str(Line().other()))
    client.commit()
    client.edit(Line(alloc=1032).gemtcont() + Line().other(alloc=1031).gemtcont())
    client.commit()
    assert client.invalid(Line(alloc=1031).gemtcont()).app_tag == "data-not-unique"
