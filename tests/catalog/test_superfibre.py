"""SuperFibre: each order decomposes into the targets and the execution order of the source."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.errors import CharacteristicInvalid, MapConflict
from catalog.repository import Catalog
from tests.catalog.conftest import Change, Line, actions, waves

GPON = {"accessTechnology": "GPON"}
XGS = {"accessTechnology": "XGS-PON"}
HOME_200 = ("PO-SF200H", GPON)
ORDER = [{"access", "cpe"}, {"vlan"}, {"ip", "qos"}, {"tr069"}, {"wifi"}]


def test_a_new_line_is_built_in_the_order_of_the_source(change: Change) -> None:
    deltas = change(None, HOME_200)
    assert waves(deltas) == ORDER
    assert actions(deltas) == {"add": sorted(key for wave in ORDER for key in wave)}


def test_the_seven_services_and_their_inputs(line: Line) -> None:
    found = {d.key: (d.spec, dict(d.inputs)) for d in line.target(*HOME_200)}
    assert found == {
        "access": ("RFS-Fibre-Access", {"accessTechnology": "GPON", "place": "PL-1"}),
        "vlan": ("RFS-VLAN-Service", {}),
        "ip": ("RFS-IP-Profile", {"ipv4Mode": "dynamic"}),
        "qos": ("RFS-QoS-Profile", {"down": 200, "up": 50}),
        "cpe": ("RFS-CPE-Provision", {"cpeModel": "HG8245H"}),
        "tr069": ("RFS-TR069-Config", {}),
        "wifi": ("RFS-Cloud-WiFi", {"ssid": "SuperFibre"}),
    }


def test_the_customer_facing_services(line: Line) -> None:
    assert [d.spec for d in line.services("PO-SF200H", {**GPON, "staticIp": True})] == [
        "CFS-Internet-Access",
        "CFS-CPE-Mgmt",
        "CFS-WiFi-Mgmt",
        "CFS-Static-IP",
    ]


@pytest.mark.parametrize(
    ("offering", "technology", "speeds", "model"),
    [
        ("PO-SF200H", GPON, {"down": 200, "up": 50}, "HG8245H"),
        ("PO-SF100H", GPON, {"down": 100, "up": 20}, "HG8245H"),
        ("PO-SF500H", XGS, {"down": 500, "up": 250}, "HG8245X6"),
    ],
)
def test_each_offering_has_its_speed_and_the_cpe_of_its_technology(
    line: Line, offering: str, technology: dict[str, str], speeds: dict[str, int], model: str
) -> None:
    found = {d.key: dict(d.inputs) for d in line.target(offering, technology)}
    assert found["qos"] == speeds
    assert found["cpe"] == {"cpeModel": model}


def test_another_speed_changes_the_bandwidth_and_nothing_else(change: Change) -> None:
    deltas = change(HOME_200, ("PO-SF100H", GPON))
    assert actions(deltas) == {"modify": ["qos"]}
    (qos,) = (d for d in deltas if d.action == "modify")
    assert (qos.before, qos.after) == ({"down": 200, "up": 50}, {"down": 100, "up": 20})
    assert qos.instance == "instance-qos"
    assert qos.needs == ()


def test_a_static_address_changes_the_one_ip_service_and_what_reads_it(change: Change) -> None:
    deltas = change(HOME_200, ("PO-SF200H", {**GPON, "staticIp": True}))
    assert actions(deltas) == {"modify": ["ip", "tr069"]}
    assert waves(deltas) == [{"ip"}, {"tr069"}]
    ip = next(d for d in deltas if d.key == "ip")
    assert ip.after == {"ipv4Mode": "static"}
    assert ip.parents == ("line-1-internet", "line-1-staticIp")


def test_without_wifi_there_is_none(change: Change) -> None:
    assert actions(change(HOME_200, ("PO-SF200H", {**GPON, "wifi": False}))) == {"delete": ["wifi"]}


def test_another_technology_builds_the_new_before_it_takes_away_the_old(change: Change) -> None:
    deltas = change(HOME_200, ("PO-SF500H", XGS))
    every = ["access", "cpe", "ip", "qos", "tr069", "vlan", "wifi"]
    assert actions(deltas) == {"add": every, "delete": every}
    assert waves([d for d in deltas if d.action == "add"]) == ORDER
    for item in deltas:
        if item.action == "delete":
            assert (item.key, "add") in item.needs


def test_a_move_keeps_the_box_but_not_the_line(change: Change) -> None:
    deltas = change(HOME_200, (*HOME_200, "PL-2"))
    assert actions(deltas)["add"] == ["access", "ip", "qos", "vlan"]
    assert actions(deltas)["modify"] == ["tr069"]


def test_a_cease_takes_down_in_reverse(change: Change) -> None:
    deltas = change(HOME_200, None)
    assert waves(deltas) == [{"wifi"}, {"tr069"}, {"cpe", "ip", "qos"}, {"vlan"}, {"access"}]
    assert {d.action for d in deltas} == {"delete"}
    assert {d.after for d in deltas} == {None}


def test_nothing_is_sent_for_what_is_already_so(change: Change) -> None:
    assert actions(change(HOME_200, HOME_200)) == {}


def test_an_offering_limits_what_may_be_ordered(line: Line) -> None:
    with pytest.raises(
        CharacteristicInvalid, match="downstreamMbps of PO-SF200H must be 200, not 900"
    ):
        line.services("PO-SF200H", {**GPON, "downstreamMbps": 900})


def test_an_unsuitable_technology_of_the_past_does_not_refuse_the_order(line: Line) -> None:
    # a line on GPON goes to the XGS-PON offering: COM asks the place again, so the old value may stand
    assert line.services("PO-SF500H", GPON)


def test_price_and_term_go_to_the_product(catalog: Catalog) -> None:
    offering = catalog.offering("PO-SF200H")
    assert offering.price_body[0]["price"] == {"taxIncludedAmount": {"unit": "USD", "value": 89}}
    assert offering.term_body[0]["duration"] == {"amount": 24, "units": "month"}
    assert offering.allowed("accessTechnology") == ("GPON", "XGS-PON")
    assert offering.fixed == {"downstreamMbps": 200, "upstreamMbps": 50}


def test_resources_know_what_they_assign_and_what_is_ordered(catalog: Catalog) -> None:
    ip = catalog.resource_spec("RES-IP-Profile")
    assert ip.input_names == ("ipv4Mode", "nextHop")
    assert ip.assigned_names == {"ipv4", "ipv6Prefix"}
    access = catalog.resource_spec("RES-Fibre-Access")
    assert {c.name for c in access.characteristics if c.export} == {
        "ponPort",
        "olt",
        "bng",
        "serial",
    }
    assert [v.within_seconds for v in access.verify if v.on == "service"] == [72 * 3600.0]


def test_each_service_hands_its_resource_what_that_takes(line: Line, catalog: Catalog) -> None:
    given: dict[str, Any] = {**GPON, "staticIp": True}
    for wanted in line.target("PO-SF200H", given):
        resource = catalog.resource_spec(catalog.service_spec(wanted.spec).resource or "")
        assert set(wanted.inputs) - {"place"} <= set(resource.input_names)
        assert resource.role == wanted.key


def test_equal_precedence_and_unequal_values_are_refused(catalog: Catalog, line: Line) -> None:
    static = catalog.service_spec("CFS-Static-IP")
    rule = static.links[0].model_copy(update={"map": {"ipv4Mode": "'dynamic'"}})
    dynamic = static.model_copy(update={"links": (rule,)})
    from catalog.decompose import Parent, decompose

    parents = [
        Parent(n, spec, {}, None, "l", "service") for n, spec in (("a", static), ("b", dynamic))
    ]
    with pytest.raises(MapConflict, match="ipv4Mode of ip is given 'static' and 'dynamic'"):
        decompose(parents, catalog.service_spec)
