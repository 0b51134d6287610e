"""Each dialect: what is written reads back; running + edits = intended; intended + inverse = running."""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activation.codec import CodecError
from activation.drivers.memory import RestDialect, XmlDialect
from activation.leaves import Leaves
from activation.platform import Platform, Platforms, SharedKey
from tests.activation.bench import XML_KEYS

PLATFORMS = Platforms()
EXAMPLES = FilePath(__file__).parents[2] / "../shared/yang"
rates = st.sampled_from([10, 20, 50, 100, 200])
qos = st.none() | st.fixed_dictionaries({"up": rates, "down": rates})
numbers = st.integers(0, 3)


@st.composite
def onu(draw: st.DrawFn) -> dict[str, Any]:
    number = draw(numbers)
    access = {
        "ponPort": f"olt/pon{draw(st.integers(1, 2))}",
        "onuId": number,
        "allocId": 1024 + number,
        "gemPort": 1024 + number,
        "serial": draw(st.sampled_from(["HWTC00000001", "HWTC00000002"])),
    }
    return {"access": draw(st.none() | st.just(access)), "qos": draw(qos)}


@st.composite
def subscriber(draw: st.DrawFn) -> dict[str, Any]:
    vlan = {
        "ponPort": "olt/pon1",
        "onuId": draw(numbers),
        "sVlan": draw(st.integers(1001, 1002)),
        "cVlan": draw(st.integers(2, 3)),
    }
    return {"vlan": draw(st.none() | st.just(vlan)), "qos": draw(qos)}


@st.composite
def interface(draw: st.DrawFn) -> dict[str, Any]:
    vlan = {"sVlan": draw(st.integers(1001, 1002)), "cVlan": draw(st.integers(2, 3))}
    ip = {
        "ipv4": draw(st.sampled_from(["100.64.0.1", "100.64.0.2"])),
        "ipv4Mode": draw(st.sampled_from(["static", "dynamic"])),
        "ipv6Prefix": draw(st.none() | st.just("2001:db8::/56")),
    }
    return {"vlan": vlan, "ip": draw(st.none() | st.just(ip)), "qos": draw(qos)}


@st.composite
def endpoint(draw: st.DrawFn) -> dict[str, Any]:
    tr069 = {
        "serial": draw(st.sampled_from(["HWTC00000001", "HWTC 2/ä"])),
        "model": "HG8245H",
        "profile": draw(st.sampled_from(["residential", 'quo"te'])),
        "ipv4": draw(st.none() | st.just("1.2.3.4")),
        "ipv6Prefix": None,
    }
    return {"tr069": draw(st.none() | st.just(tr069))}


def circle(
    platform: Platform, dialect: Any, feature: str, one: Any, other: Any, neighbour: Leaves
) -> None:
    """A device with `one` and a neighbour becomes `other` by the edits, and `one` again by the inverse."""
    codec = platform.codec
    before = neighbour | platform.render(feature, one).leaves
    after = neighbour | platform.render(feature, other).leaves
    running = codec.text(before)
    changed = running
    for edit in codec.edits(before, after):
        changed = dialect.apply(changed, edit)
    assert codec.parse(changed) == after
    for edit in codec.edits(after, before):
        changed = dialect.apply(changed, edit)
    assert codec.parse(changed) == before


def selects(platform: Platform, dialect: Any, leaves: Leaves, others: Leaves) -> None:
    """A read with the selection of some paths shows all of them."""
    codec = platform.codec
    if leaves:
        shown = codec.parse(dialect.select(codec.text(leaves | others), codec.selection(leaves)))
        assert {path: shown.get(path, "absent") for path in leaves} == leaves


OLT, BNG, ACS = (PLATFORMS.get(name) for name in ("bbf-olt", "generic-bng", "acs"))
XML = XmlDialect(XML_KEYS)
SHARED = OLT.shared(SharedKey("rate-profile", "up-50"), {"rate": "50"}).leaves


@given(onu(), onu())
@settings(max_examples=40, deadline=None)
def test_onu_in_a_circle(one: Any, other: Any) -> None:
    circle(OLT, XML, "onu", one, other, SHARED)
    selects(OLT, XML, OLT.render("onu", one).leaves, SHARED)


@given(subscriber(), subscriber())
@settings(max_examples=40, deadline=None)
def test_subscriber_vlan_in_a_circle(one: Any, other: Any) -> None:
    circle(OLT, XML, "subscriber-vlan", one, other, SHARED)


@given(interface(), interface())
@settings(max_examples=40, deadline=None)
def test_subscriber_interface_in_a_circle(one: Any, other: Any) -> None:
    policy = BNG.shared(SharedKey("policy", "50"), {}).leaves
    circle(BNG, XML, "subscriber-interface", one, other, policy)


@given(endpoint(), endpoint())
@settings(max_examples=40, deadline=None)
def test_endpoint_in_a_circle(one: Any, other: Any) -> None:
    neighbour = ACS.codec.parse('{"/acs/v1/endpoints/X": {"serial": "X", "n": 1, "l": [1, null]}}')
    circle(ACS, RestDialect(), "endpoint", one, other, neighbour)
    selects(ACS, RestDialect(), ACS.render("endpoint", one).leaves, neighbour)


class EosText:
    """A configuration as EOS keeps it, with the lab's own grammar."""

    def apply(self, running: str, edit: str) -> str:
        from lab.embedded.eos.config import Configuration

        box = Configuration(["Ethernet1", "Ethernet2", "Ethernet10"])
        box.load(running)
        box.load(edit)
        return box.text()


vlans = st.sets(st.integers(1001, 1010), max_size=6)


@given(vlans, vlans)
@settings(max_examples=40, deadline=None)
def test_trunks_in_a_circle(one: set[int], other: set[int]) -> None:
    eos = PLATFORMS.get("eos")
    box = EosText()
    bare = "\n".join(
        f"interface Ethernet{n}\n   switchport trunk allowed vlan none" for n in (1, 2, 10)
    )

    def of(chosen: set[int]) -> Leaves:
        leaves: Leaves = {}
        for vlan in sorted(chosen):
            values = {"downlink": f"Ethernet{1 + vlan % 2}", "uplink": "Ethernet10"}
            leaves |= eos.shared(SharedKey("trunk-vlan", str(vlan)), values).leaves
        return leaves

    def shown(text: str) -> Leaves:
        return {p: v for p, v in eos.codec.parse(text).items() if "vlan" in p[0] or len(p) > 2}

    text = bare
    for before, after in ((set[int](), one), (one, other), (other, one)):
        for edit in eos.codec.edits(of(before), of(after)):
            text = box.apply(text, edit)
        assert shown(text) == of(after)


@pytest.mark.parametrize("name", ["example-subscriber.xml", "example-infrastructure.xml"])
def test_the_examples_beside_the_project_read_back(name: str) -> None:
    file = EXAMPLES / name
    if not file.is_file():
        pytest.skip("the official models do not lie beside the project")
    content = file.read_text(encoding="utf-8")
    content = content[content.index(">") + 1 : content.rindex("</config>")]
    leaves = OLT.codec.parse(content)
    assert len(leaves) > 30
    assert OLT.codec.parse(OLT.codec.text(leaves)) == leaves
    assert not any("{" in step for path in leaves for step in path)


def test_identities_are_read_by_namespace_not_by_prefix() -> None:
    one = '<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces" xmlns:a="urn:bbf:yang:bbf-xpon-if-type"><interface><name>i</name><type>a:v-ani</type></interface></interfaces>'
    other = one.replace("xmlns:a=", "xmlns:b=").replace("a:v-ani", "b:v-ani")
    assert OLT.codec.parse(one) == OLT.codec.parse(other)


def test_defaults_are_explicit() -> None:
    text = '<subscriber-interfaces xmlns="urn:turnup:yang:turnup-bng"><subscriber-interface><name>si</name></subscriber-interface></subscriber-interfaces>'
    assert [v for p, v in BNG.codec.parse(text).items() if p[-1] == "enabled"] == ["true"]


def test_removal_takes_the_highest_element_that_vanishes_whole() -> None:
    both = BNG.render(
        "subscriber-interface",
        {
            "vlan": {"sVlan": 1, "cVlan": 2},
            "ip": {"ipv4": "1.1.1.1", "ipv4Mode": "static", "ipv6Prefix": None},
            "qos": None,
        },
    ).leaves
    without = BNG.render(
        "subscriber-interface", {"vlan": {"sVlan": 1, "cVlan": 2}, "ip": None, "qos": None}
    ).leaves
    (edit,) = BNG.codec.edits(both, without)
    assert '<ipv4 nc:operation="remove"/>' in edit
    (gone,) = BNG.codec.edits(both, {})
    assert gone.count("remove") == 1
    assert "subscriber-interfaces nc:" not in gone


@pytest.mark.parametrize(("name", "text"), [("bbf-olt", "<a><b></a>"), ("acs", "[]"), ("acs", "{")])
def test_what_is_no_text_of_the_dialect_is_refused(name: str, text: str) -> None:
    with pytest.raises(CodecError):
        PLATFORMS.get(name).codec.parse(text)


def test_a_line_break_in_a_value_is_no_command() -> None:
    from activation.errors import RenderFailed

    with pytest.raises(RenderFailed, match="control characters"):
        PLATFORMS.get("eos").render(
            "static-route", {"ip": {"ipv4": "1.1.1.1\nreload", "nextHop": "2"}}
        )


def test_markup_in_a_value_is_text() -> None:
    access = {"ponPort": "o/p", "onuId": 1, "allocId": 1, "gemPort": 1, "serial": "<x/>&"}
    leaves = OLT.render("onu", {"access": access, "qos": None}).leaves
    assert "<x/>&" in leaves.values()


def test_a_missing_value_is_named() -> None:
    from activation.errors import RenderFailed

    with pytest.raises(RenderFailed, match="cVlan"):
        BNG.render("subscriber-interface", {"vlan": {"sVlan": 1}, "ip": None, "qos": None})


def test_rest_edits_are_calls() -> None:
    codec = ACS.codec
    old = codec.parse('{"/a": {"x": 1, "o": {"p": 1, "q": 2}}, "/b": {"y": 1}}')
    new = codec.parse('{"/a": {"x": 2, "o": {"p": 1}}, "/c": {"z": {}}}')
    calls = [json.loads(edit) for edit in codec.edits(old, new)]
    assert calls == [
        {"method": "DELETE", "path": "/b"},
        {"method": "PATCH", "path": "/a", "body": {"x": 2, "o": {"q": None}}},
        {"method": "PUT", "path": "/c", "body": {"z": {}}},
    ]


def test_what_the_platform_does_not_know_is_kept_apart() -> None:
    text = '<x xmlns="urn:x"><a>1</a><a>2</a><b><c>1</c></b><b><c>2</c></b></x>'
    leaves = OLT.codec.parse(text)
    assert len(leaves) == 4
    assert OLT.codec.parse(OLT.codec.text(leaves)) == leaves
