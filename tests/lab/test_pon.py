"""Fibre physics: who is up, what the OLT and the BNG see of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.embedded.network import split_loss
from lab.embedded.pon import Line as PonLine
from lab.embedded.pon import Ont, PonPlant, PonPort
from tests.lab.lines import IF, RATES, Line
from tests.lab.netconf_bench import Client, bng, olt
from tests.lab.test_netconf_commit import NS

PORT = PonPort("olt-1", "pon1")
SERIAL = "ABCD12345678"
STATE = (
    f'<interfaces-state xmlns="{IF}"><interface><name>vani-1</name></interface></interfaces-state>'
)


@pytest.fixture
def plant() -> PonPlant:
    plant = PonPlant()
    plant.add_ont(Ont("ont-1", SERIAL, ("xgs-pon",)))
    plant.set_upstream("bng-1", ["olt-1"])
    return plant


@pytest.fixture
def client(tmp_path: Path, plant: PonPlant) -> Client:
    client = Client(olt(tmp_path, plant))
    client.edit(RATES + str(Line()))
    client.commit()
    return client


def test_an_ont_is_up_where_it_is_plugged_and_configured(client: Client, plant: PonPlant) -> None:
    assert "bbf-xpon-onu-types:onu-not-present<" in client.get(STATE)
    plant.plug(SERIAL, PORT)
    shown = client.get(STATE)
    assert "onu-present-and-on-intended-channel-termination<" in shown
    assert f"<detected-serial-number>{SERIAL}<" in shown
    assert "<onu-present-on-this-channel-termination>ct-pon1<" in shown
    assert "<oper-status>up<" in shown
    plant.unplug(SERIAL)
    assert "onu-not-present<" in client.get(STATE)


def test_the_wrong_port_is_dark(client: Client, plant: PonPlant) -> None:
    plant.plug(SERIAL, PonPort("olt-1", "pon2"))
    assert "onu-not-present<" in client.get(STATE)
    assert plant.plugged_on(PonPort("olt-1", "pon2")) == (SERIAL,)


def test_the_wrong_technology_is_dark(client: Client, plant: PonPlant) -> None:
    plant.set_technology(PORT, "gpon")
    plant.plug(SERIAL, PORT)
    assert not plant.is_up(SERIAL)


def test_plugged_first_and_configured_later(tmp_path: Path, plant: PonPlant) -> None:
    plant.plug(SERIAL, PORT)
    assert not plant.is_up(SERIAL)
    client = Client(olt(tmp_path, plant))
    client.edit(RATES + str(Line()))
    assert not plant.is_up(SERIAL)
    client.commit()
    assert plant.is_up(SERIAL)
    client.edit(Line().removal())
    client.commit()
    assert not plant.is_up(SERIAL)


def test_coming_up_is_timed_once_and_told(plant: PonPlant) -> None:
    told: list[bool] = []
    plant.watch(lambda: told.append(plant.is_up(SERIAL)))
    plant.plug(SERIAL, PORT)
    plant.provision("olt-1", [PonLine(SERIAL, PORT, "vani")])
    since = plant.up_since(SERIAL)
    plant.provision("olt-1", [PonLine(SERIAL, PORT, "vani")])
    assert since is not None
    assert plant.up_since(SERIAL) == since
    assert told == [False, True, True]


def test_power_follows_the_split(plant: PonPlant) -> None:
    assert [split_loss(ratio) for ratio in ("1:32", "1:64", "1:2", "", "odd")] == [
        17.5,
        21.0,
        3.5,
        0.0,
        0.0,
    ]
    assert plant.received_power(SERIAL) is None
    plant.set_loss(PORT, 1 + split_loss("1:32"))
    plant.plug(SERIAL, PORT)
    assert plant.received_power(SERIAL) == -16.5


# the BNG behind it


def subscriber(name: str = "si-1", **changes: str) -> str:
    leaves = {
        "s-vlan": "1001",
        "c-vlan": "101",
        "ipv4": "<address>100.64.0.9</address>",
        "ipv6": "<delegated-prefix>2001:db8:4000:100::/56</delegated-prefix>",
        **{key.replace("_", "-"): value for key, value in changes.items()},
    }
    inner = "".join(f"<{leaf}>{value}</{leaf}>" for leaf, value in leaves.items() if value)
    return f"<subscriber-interfaces {NS}><subscriber-interface><name>{name}</name>{inner}</subscriber-interface></subscriber-interfaces>"


@pytest.fixture
def gateway(tmp_path: Path, plant: PonPlant) -> Client:
    directory = tmp_path / "bng"
    directory.mkdir()
    device = bng(directory, plant, pool_ipv4="100.64.0.0/20", pool_ipv6="2001:db8:4000::/40")
    device._model._name = "bng-1"  # type: ignore[attr-defined]
    return Client(device)


def sessions(gateway: Client) -> str:
    return gateway.get(f"<subscriber-state {NS}/>")


def test_pools_come_from_the_labels(gateway: Client) -> None:
    shown = gateway.read(f"<address-pools {NS}/>")
    assert "<name>ipv4</name><prefix>100.64.0.0/20</prefix><gateway>100.64.0.1</gateway>" in shown
    assert "2001:db8:4000::/40" in shown


def test_a_session_is_up_when_the_whole_line_is(
    gateway: Client, client: Client, plant: PonPlant
) -> None:
    gateway.edit(subscriber())
    gateway.commit()
    assert "<status>down</status>" in sessions(gateway)
    plant.plug(SERIAL, PORT)
    assert "<status>up</status><address>100.64.0.9</address>" in sessions(gateway)
    gateway.edit(subscriber(enabled="false"))
    gateway.commit()
    assert "<status>down</status>" in sessions(gateway)
    gateway.edit(subscriber(enabled="true"))
    gateway.commit()
    client.edit(Line().removal())
    client.commit()
    assert "<status>down</status>" in sessions(gateway)


def test_other_tags_lead_nowhere(gateway: Client, client: Client, plant: PonPlant) -> None:
    plant.plug(SERIAL, PORT)
    gateway.edit(subscriber(c_vlan="102"))
    gateway.commit()
    assert "<status>down</status>" in sessions(gateway)


@pytest.mark.parametrize(
    ("changes", "tag", "app_tag"),
    [
        ({"c_vlan": "101", "ipv4": "", "ipv6": ""}, "operation-failed", "data-not-unique"),
        ({"ipv6": ""}, "operation-failed", "data-not-unique"),
        ({"ipv4": ""}, "operation-failed", "data-not-unique"),
        ({"ipv4": "", "ipv6": ""}, None, None),
        ({"ipv4": "", "ipv6": "", "s_vlan": ""}, "data-missing", None),
        ({"ipv4": "", "ipv6": "", "s_vlan": "4095"}, "invalid-value", None),
        ({"ipv4": "", "ipv6": "", "ingress_policy": "x"}, "data-missing", "instance-required"),
        ({"ipv4": "<address>100.64.0.256</address>"}, "invalid-value", None),
        ({"ipv6": "<delegated-prefix>2001:db8::1/56</delegated-prefix>"}, "invalid-value", None),
    ],
)
def test_what_a_bng_refuses(
    gateway: Client, changes: dict[str, str], tag: str | None, app_tag: str | None
) -> None:
    gateway.edit(subscriber())
    gateway.commit()
    second = subscriber("si-2", **{"c_vlan": "102", **changes})
    if tag is None:
        gateway.edit(second)
        gateway.commit()
        return
    error = gateway.invalid(second)
    assert (error.tag, error.app_tag) == (tag, app_tag)
