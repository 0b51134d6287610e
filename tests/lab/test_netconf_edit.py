"""edit-config (RFC 6241 §7.2) and subtree filters (§6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.embedded.faults import parse_fault
from tests.lab.lines import IF
from tests.lab.netconf_bench import Client, bng, edit_config, olt
from tests.lab.test_netconf_commit import NS, policy


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = Client(bng(tmp_path, pool_ipv4="100.64.0.0/20"))
    client.edit(policy("gold", 100))
    client.commit()
    return client


def operation(name: str, op: str, rate: str = "<rate>5</rate>") -> str:
    return (
        f'<policies {NS}><policy nc:operation="{op}"><name>{name}</name>{rate}</policy></policies>'
    )


def candidate(client: Client) -> str:
    return client.read(f"<policies {NS}/>", source="candidate")


@pytest.mark.parametrize(
    ("content", "there"),
    [
        (operation("gold", "merge", "<burst>9</burst>"), "<rate>100</rate><burst>9</burst>"),
        (operation("gold", "replace"), "<name>gold</name><rate>5</rate></policy>"),
        (operation("iron", "create"), "<name>iron</name><rate>5</rate>"),
        (operation("iron", "replace"), "<name>iron</name><rate>5</rate>"),
        (operation("iron", "remove", ""), "<name>gold</name>"),
    ],
)
def test_operations(client: Client, content: str, there: str) -> None:
    client.edit(content)
    assert there in candidate(client)


@pytest.mark.parametrize(
    ("content", "tag"),
    [
        (operation("gold", "create"), "data-exists"),
        (operation("iron", "delete", ""), "data-missing"),
        (operation("gold", "merge", '<burst nc:operation="delete"/>'), "data-missing"),
        (operation("gold", "destroy"), "bad-attribute"),
        (f"<policies {NS}><policy><rate>1</rate></policy></policies>", "missing-element"),
        (f"<policies {NS}><policy><name>a</name><colour>1</colour></policy></policies>", "unknown-element"),
        (f"<policies {NS}><policy><name>a b</name></policy></policies>", "invalid-value"),
        (f"<policies {NS}><policy><name>a</name><rate>-1</rate></policy></policies>", "invalid-value"),
        (f"<policies {NS}><policy><name>a</name><rate><x/></rate></policy></policies>", "unknown-element"),
        ('<policies xmlns="urn:example:other"/>', "unknown-namespace"),
        (f"<subscriber-state {NS}><session><name>x</name></session></subscriber-state>", "unknown-element"),
        (f'<policies {NS}><policy xmlns:y="urn:ietf:params:xml:ns:yang:1" y:insert="first"><name>a</name></policy></policies>', "unknown-attribute"),
    ],
)  # fmt: skip
def test_what_is_wrong_changes_nothing(client: Client, content: str, tag: str) -> None:
    before = candidate(client)
    both = policy("before-it") + content
    assert client.refusal(edit_config(both)).tag == tag
    assert candidate(client) == before


def test_default_operation_none_only_descends(client: Client) -> None:
    client.edit(operation("iron", "create"), default_operation="none")
    assert "iron" in candidate(client)
    missing = edit_config(policy("absent"), default_operation="none")
    assert client.refusal(missing).tag == "data-missing"


def test_default_operation_replace_replaces_all_that_is_named(client: Client) -> None:
    client.edit(policy("iron"), default_operation="replace")
    assert "gold" not in candidate(client)
    assert "address-pools" in client.read(source="candidate")


def test_an_emptied_container_is_gone(client: Client) -> None:
    client.edit(operation("gold", "delete", ""))
    assert candidate(client) == ""


BROKEN = f"""<subscriber-interfaces {NS}><subscriber-interface><name>a</name><s-vlan>1</s-vlan><c-vlan>2</c-vlan>
<ingress-policy>none</ingress-policy></subscriber-interface></subscriber-interfaces>"""


def test_constraints_wait_for_validation_unless_asked_for(client: Client) -> None:
    client.edit(BROKEN)
    assert client.refusal("<commit/>").app_tag == "instance-required"
    client.ask("<discard-changes/>")
    for test in ("test-then-set", "test-only"):
        assert client.refusal(edit_config(BROKEN, test_option=test)).tag == "data-missing"
    client.edit(policy("iron"), test_option="test-only")
    assert "iron" not in candidate(client)


def test_values_are_canonical(client: Client) -> None:
    client.edit(
        f"""<subscriber-interfaces {NS}><subscriber-interface><name>a</name><s-vlan> 0010 </s-vlan><c-vlan>+2</c-vlan>
        <ipv6><delegated-prefix>2001:DB8:0:0::/56</delegated-prefix></ipv6></subscriber-interface></subscriber-interfaces>"""
    )
    shown = client.read(source="candidate")
    assert "<s-vlan>10</s-vlan><c-vlan>2</c-vlan>" in shown
    assert "2001:db8::/56" in shown


def test_a_choice_has_one_case(tmp_path: Path) -> None:
    client = Client(olt(tmp_path))
    text = """<policing-profiles xmlns="urn:bbf:yang:bbf-qos-policing"><policing-profile><name>p</name>{}</policing-profile></policing-profiles>"""
    client.edit(
        text.format("<two-rate-three-color-marker><cir>1</cir></two-rate-three-color-marker>")
    )
    client.edit(
        text.format("<single-rate-two-color-marker><cir>2</cir></single-rate-two-color-marker>")
    )
    client.commit()
    assert "two-rate" not in client.read(
        '<policing-profiles xmlns="urn:bbf:yang:bbf-qos-policing"/>'
    )


@pytest.mark.parametrize("path", ["", "/policies/policy/rate", "policies", "<rate>1000"])
def test_edits_are_rejected_by_path(client: Client, path: str) -> None:
    client.device.faults.arm(parse_fault("reject", {"path": path} if path else {}))
    error = client.refusal(edit_config(policy("iron")))
    assert (error.tag, error.app_tag) == ("operation-failed", "fault")
    assert "iron" not in candidate(client)


def test_other_paths_are_not_rejected(client: Client) -> None:
    client.device.faults.arm(parse_fault("reject", {"path": "/policies/policy/burst"}))
    client.edit(policy("iron"))


# filters


def interfaces(inner: str) -> str:
    return f'<interfaces xmlns="{IF}">{inner}</interfaces>'


@pytest.fixture
def filtered(tmp_path: Path) -> Client:
    return Client(olt(tmp_path, sim_pon_ports="2"))


def test_no_filter_is_everything_and_an_empty_one_nothing(filtered: Client) -> None:
    assert "d4r" in filtered.read()
    ask = "<get-config><source><running/></source><filter type='subtree'/></get-config>"
    assert filtered.ask(ask) == "<data></data>"


def test_selection_takes_the_subtree(filtered: Client) -> None:
    shown = filtered.read(interfaces(""))
    assert shown.count("<interface>") == 9
    assert "d4r" not in shown


def test_a_key_selects_one_entry_whole(filtered: Client) -> None:
    shown = filtered.read(interfaces("<interface><name>cg-pon2</name></interface>"))
    assert shown.count("<interface>") == 1
    assert "<system-id>00002</system-id>" in shown


def test_a_key_and_a_selection_select_that_of_one_entry(filtered: Client) -> None:
    shown = filtered.read(interfaces("<interface><name>cg-pon2</name><type/></interface>"))
    assert "cg-pon2" in shown
    assert "bbf-xponift:channel-group" in shown
    assert "system-id" not in shown


def test_content_that_is_no_key_selects_by_value(filtered: Client) -> None:
    wanted = (
        '<interface><type xmlns:x="urn:bbf:yang:bbf-xpon-if-type">x:channel-pair</type></interface>'
    )
    shown = filtered.read(interfaces(wanted))
    assert shown.count("<interface>") == 2
    assert "cp-pon1" in shown


def test_selections_of_one_list_are_united(filtered: Client) -> None:
    both = "".join(f"<interface><name>{n}</name></interface>" for n in ("cg-pon1", "uplink-1"))
    shown = filtered.read(interfaces(both))
    assert shown.count("<interface>") == 2


def test_selected_leaves_come_with_the_keys(filtered: Client) -> None:
    shown = filtered.read(interfaces("<interface><type/></interface>"))
    assert shown.count("<name>") == 9
    assert "system-id" not in shown


def test_a_filter_without_namespace_matches_any(filtered: Client) -> None:
    assert "uplink-1" in filtered.read('<interfaces xmlns=""/>')


@pytest.mark.parametrize(
    "wanted",
    [
        interfaces("<interface><name>nowhere</name></interface>"),
        interfaces("<interface><name>cg-pon1</name><type>x:channel-pair</type></interface>"),
        interfaces("<nothing/>").replace(IF, "urn:example:x"),
        "<forwarding xmlns='urn:bbf:yang:bbf-l2-forwarding'/>",
    ],
)
def test_what_is_not_there_is_not_shown(filtered: Client, wanted: str) -> None:
    assert "cg-pon1" not in filtered.read(wanted)
    assert "<interface>" not in filtered.read(wanted)
