"""The other four worked examples: the targets and the execution order of the source, by data alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catalog.decompose import Desired, LineDelta, delta, line_order, order_lines
from catalog.repository import Catalog
from tests.catalog.conftest import Change, Line, Lines, actions, built, waves

WINDOW = "2026-12-01T02:00:00Z"
PRIYA: dict[str, Any] = {
    "msisdn": "61400000001",
    "imsi": "505010000000001",
    "iccid": "8961010000000000001",
    "portIn": True,
    "portWindow": WINDOW,
    "donor": "OtherNet",
}
PLUS = ("PO-4GEP-01", PRIYA)
HUB: dict[str, Any] = {
    "siteName": "Sydney",
    "siteRole": "hub",
    "underlays": [
        {"name": "mpls-1", "circuit": "MPLS", "mbps": 100},
        {"name": "dia-1", "circuit": "DIA", "mbps": 200},
    ],
}


def clinic(number: int) -> dict[str, Any]:
    return {
        "siteName": f"Clinic {number}",
        "siteRole": "spoke",
        "underlays": [{"name": "dia-1", "circuit": "DIA", "mbps": 100}],
    }


SITES = {"site-0": HUB} | {f"site-{n}": clinic(n) for n in range(1, 8)}


def targets(catalog: Catalog, desired: Sequence[Desired]) -> set[str]:
    resources = (
        catalog.resource_spec(catalog.service_spec(d.spec).resource or "") for d in desired
    )
    assert all(resource.engine == "external" for resource in resources)
    return {
        catalog.resource_spec(catalog.service_spec(d.spec).resource or "").body["x-target"]
        for d in desired
    }


def test_mobile_has_six_targets_in_the_order_of_the_source(
    change: Change, line: Line, catalog: Catalog
) -> None:
    assert waves(change(None, PLUS)) == [{"hss"}, {"pcrf", "ota", "hlr"}, {"mnp"}, {"voicemail"}]
    assert targets(catalog, line.target(*PLUS)) == {
        "HSS", "PCRF", "SIM OTA", "HLR", "MNP", "voicemail",
    }  # fmt: skip


def test_the_number_is_ported_at_its_window_and_not_before(change: Change) -> None:
    starts = {d.key: d.start_at for d in change(None, PLUS) if d.start_at}
    assert starts == {"mnp": WINDOW}


def test_a_number_of_ones_own_is_not_ported(change: Change) -> None:
    order = change(None, ("PO-4GEP-01", {**PRIYA, "portIn": False}))
    assert waves(order) == [{"hss"}, {"pcrf", "ota", "hlr"}, {"voicemail"}]


def test_services_of_one_line_share_subscriber_and_profile(line: Line) -> None:
    found = {d.key: d for d in line.target(*PLUS)}
    assert found["hss"].parents == ("line-1-data", "line-1-voice")
    assert found["hlr"].inputs["sms"] is True


def test_another_sim_replaces_only_what_is_on_the_sim(change: Change) -> None:
    deltas = change(PLUS, ("PO-4GEP-01", {**PRIYA, "iccid": "8961010000000000002"}))
    assert actions(deltas) == {"add": ["ota"], "delete": ["ota"]}


def test_sdwan_targets(line_of: Lines, catalog: Catalog) -> None:
    found = line_of("hub").target("PO-SDWAN-G01", HUB)
    assert targets(catalog, found) == {
        "SD-WAN controller", "PE router", "Internet GW", "CPE ZTP", "SLA probe", "IPAM",
    }  # fmt: skip
    assert {d.key: d.inputs.get("mbps") for d in found if "mbps" in d.inputs} == {
        "mpls[mpls-1]": 100,
        "dia[dia-1]": 200,
    }


def lines(line_of: Lines, was: bool) -> list[LineDelta]:
    found = []
    for name, values in SITES.items():
        target = line_of(name).target("PO-SDWAN-G01", values)
        deltas = delta((), built(target)) if was else delta(target, [])
        found.append(LineDelta(name, values, deltas, target))
    return found


def phases(order: Sequence[LineDelta]) -> list[set[str]]:
    """Return the waves of a whole order as `role of site:key of item`."""
    across: dict[tuple[str, str, str], list[tuple[str, str, str]]] = {}
    for n in order_lines(order):
        across.setdefault((n.line, n.key, n.action), []).append((n.on_line, n.on_key, n.on_action))
    items = {(x.line, d.key, str(d.action)): d for x in order for d in x.deltas}
    roles = {x.line: x.characteristics["siteRole"] for x in order}

    def wave(item: tuple[str, str, str]) -> int:
        own = [(item[0], key, str(action)) for key, action in items[item].needs]
        return 1 + max((wave(n) for n in [*own, *across.get(item, [])]), default=0)

    found: dict[int, set[str]] = {}
    for item in items:
        found.setdefault(wave(item), set()).add(f"{roles[item[0]]}:{item[1].partition('[')[0]}")
    return [found[n] for n in sorted(found)]


def test_the_hub_is_fully_active_before_any_branch(line_of: Lines) -> None:
    assert phases(lines(line_of, was=False)) == [
        {"hub:ipam"},
        {"hub:mpls", "hub:dia"},
        {"hub:cpe"},
        {"hub:overlay"},
        {"hub:probe"},
        {"spoke:ipam"},
        {"spoke:dia"},
        {"spoke:cpe"},
        {"spoke:overlay"},
        {"spoke:probe"},
    ]


def test_as_whole_lines_all_branches_wait_for_the_hub_and_for_nobody_else(line_of: Lines) -> None:
    branches = {f"site-{n}": ("site-0",) for n in range(1, 8)}
    assert line_order(lines(line_of, was=False)) == {"site-0": (), **branches}


def test_at_the_end_the_branches_go_before_the_hub(line_of: Lines) -> None:
    assert line_order(lines(line_of, was=True))["site-0"] == tuple(f"site-{n}" for n in range(1, 8))
    assert line_order(lines(line_of, was=True))["site-1"] == ()


def test_a_branch_that_joins_later_waits_for_nobody(line_of: Lines) -> None:
    hub = line_of("site-0").target("PO-SDWAN-G01", HUB)
    branch = line_of("site-1").target("PO-SDWAN-G01", clinic(1))
    order = [
        LineDelta("site-0", HUB, delta(hub, built(hub)), hub),
        LineDelta("site-1", clinic(1), delta(branch, []), branch),
    ]
    assert order_lines(order) == ()


def test_a_second_circuit_leaves_the_first_alone(change: Change) -> None:
    more = {
        **HUB,
        "underlays": [{"name": "dia-0", "circuit": "DIA", "mbps": 50}, *HUB["underlays"]],
    }
    deltas = change(("PO-SDWAN-G01", HUB), ("PO-SDWAN-G01", more))
    assert actions(deltas) == {"add": ["dia[dia-0]", "ipam[dia-0]"]}
    assert waves(deltas) == [{"ipam[dia-0]"}, {"dia[dia-0]"}]


def test_enterprise_fibre_has_six_targets_in_the_order_of_the_source(
    change: Change, line: Line, catalog: Catalog
) -> None:
    site = ("PO-EFCG-01", {"siteName": "HQ"})
    assert waves(change(None, site)) == [
        {"olt"},
        {"bng", "ipam"},
        {"qos"},
        {"ztp"},
        {"probe"},
    ]
    assert targets(catalog, line.target(*site)) == {
        "OLT/EMS", "BNG", "IPAM", "QoS", "ACS/ZTP", "SLA probe",
    }  # fmt: skip


def test_enterprise_sites_are_rolled_out_wave_after_wave(line_of: Lines) -> None:
    order = []
    for name, wave in (("pilot", 0), ("one", 1), ("uno", 1), ("two", 2)):
        values = {"siteName": name, "wave": wave}
        target = line_of(name).target("PO-EFCG-01", values)
        order.append(LineDelta(name, values, delta(target, []), target))
    assert line_order(order) == {
        "pilot": (),
        "one": ("pilot",),
        "uno": ("pilot",),
        "two": ("one", "pilot", "uno"),
    }
    stages = {x.line: {d.stage for d in x.deltas if d.stage} for x in order}
    assert stages == {"pilot": {"Pilot"}, "one": {"Wave 1"}, "uno": {"Wave 1"}, "two": {"Wave 2"}}


FLEET = ("PO-5GFCP-01", {"fleet": "FleetConnect", "vehicles": 500, "pilotVehicles": 50})


def test_fleet_targets_in_the_order_of_the_source(
    change: Change, line: Line, catalog: Catalog
) -> None:
    urllc, embb = "[1-000001]", "[1-000002]"
    per_slice = {f"{key}{s}" for key in ("nssf", "udm", "pcf") for s in (urllc, embb)}
    assert waves(change(None, FLEET)) == [
        {f"nsmf{urllc}", f"nsmf{embb}"},
        per_slice,
        {"esimPilot"},
        {"esimBulk"},
        {"portal"},
    ]
    assert targets(catalog, line.target(*FLEET)) == {
        "NSMF", "NSSF", "UDM/UDR", "PCF", "SM-DP+", "fleet portal",
    }  # fmt: skip


def test_the_fleet_has_a_profile_for_each_device_the_pilot_first(line: Line) -> None:
    found = {d.key: d for d in line.target(*FLEET)}
    batches = {d.stage: d.inputs["profiles"] for d in found.values() if d.stage}
    assert batches == {"pilot": 100, "bulk": 900}
    slice_ = found["nsmf[1-000001]"].inputs
    assert (slice_["latencyMs"], slice_["availability"], slice_["mbps"]) == (10, 99.99, None)


def test_a_fleet_no_larger_than_its_pilot_needs_no_bulk(line: Line) -> None:
    small = line.target("PO-5GFCP-01", {**FLEET[1], "vehicles": 50})
    assert "esimBulk" not in {d.key for d in small}
