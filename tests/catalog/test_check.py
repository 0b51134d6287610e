"""The linter: the shipped products are clean, and each fault that is put into them is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog.check import check
from catalog.data import CatalogData, Entry
from tests.catalog.conftest import SHIPPED

PLATFORMS = Path(__file__).parents[2] / "activation" / "platforms"
Bodies = dict[str, dict[str, Any]]
Fault = Callable[[Bodies], None]


def features() -> dict[str, set[str]]:
    files = PLATFORMS.glob("*/platform.yaml")
    return {f.parent.name: set(yaml.safe_load(f.read_text("utf-8"))["features"]) for f in files}


def test_the_shipped_products_have_no_findings(shipped: CatalogData) -> None:
    assert SHIPPED.is_dir()
    assert check(shipped, features()) == []


def found(shipped: CatalogData, fault: Fault) -> list[tuple[str, str, str]]:
    bodies = {e.id: copy.deepcopy(dict(e.body)) for e in shipped.entries}
    fault(bodies)
    kinds = {e.id: (e.kind, e.source) for e in shipped.entries}
    data = CatalogData(
        Entry(kinds[id_][0], id_, body["version"], body, kinds[id_][1])
        for id_, body in bodies.items()
    )
    return [(f.code, f.where, f.message) for f in check(data, features())]


def rule(spec: str, number: int, **change: Any) -> Fault:
    """Change a rule of a service specification."""

    def apply(bodies: Bodies) -> None:
        rules = bodies[spec]["serviceSpecRelationship"]
        [r for r in rules if r["relationshipType"] == "realizedBy"][number].update(change)

    return apply


def set_(spec: str, *path: Any, value: Any) -> Fault:
    """Change an attribute of an entity."""

    def apply(bodies: Bodies) -> None:
        target: Any = bodies[spec]
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value

    return apply


def take_out(spec: str) -> Fault:
    def apply(bodies: Bodies) -> None:
        del bodies[spec]

    return apply


INTERNET, SDWAN = "CFS-Internet-Access", "CFS-Underlay-Circuit"
FAULTS: list[tuple[str, Fault, str, str]] = [
    ("dangling child", take_out("RFS-QoS-Profile"), "DANGLING_REFERENCE", "RFS-QoS-Profile"),
    ("dangling resource", take_out("RES-QoS-Profile"), "DANGLING_REFERENCE", "RES-QoS-Profile"),
    ("dangling price", take_out("POP-SF200H-MONTH"), "DANGLING_REFERENCE", "POP-SF200H-MONTH"),
    ("dangling product", take_out("PS-RBA-01"), "DANGLING_REFERENCE", "PS-RBA-01"),
    ("dangling sequence", rule(INTERNET, 1, sequenceAfter=["acess"]), "DANGLING_REFERENCE", "no 'acess'"),
    ("dangling replace", rule(INTERNET, 1, replaceWith=["acess"]), "DANGLING_REFERENCE", "no 'acess'"),
    ("not launched", set_("RFS-QoS-Profile", "lifecycleStatus", value="Retired"), "DANGLING_REFERENCE", "no launched"),
    ("role nobody plays", rule("CFS-CPE-Mgmt", 0, id="RFS-Cloud-WiFi"), "DANGLING_REFERENCE", "uses role 'cpe'"),
    ("wrong role", set_("RES-CPE-Provision", "role", value="box"), "DANGLING_REFERENCE", "its role is 'box'"),
    ("sequence circle", rule(INTERNET, 0, sequenceAfter=["qos"]), "SEQUENCE_CYCLE", "access"),
    ("circle of uses", set_("RES-CPE-Provision", "uses", value={"wifi": {"spec": "RES-Cloud-WiFi"}}), "USES_CYCLE", "RES-CPE-Provision"),
    ("never true", rule(INTERNET, 0, when="service.accessTechnology == 'HFC'"), "UNREACHABLE", "never true"),
    ("unused service", set_("PS-RBA-01", "serviceSpecification", value=[]), "UNREACHABLE", "nothing leads to it"),
    ("undeclared name", rule(INTERNET, 3, map={"down": "service.speed", "up": "service.upstreamMbps"}), "UNDECLARED_NAME", "service has no 'speed'"),
    ("foreign variable", rule(INTERNET, 0, when="product.wifi"), "UNDECLARED_NAME", "'product.wifi' is not bound"),
    ("undeclared target", rule(INTERNET, 3, map={"rate": "1"}), "UNDECLARED_NAME", "no characteristic rate"),
    ("undeclared replace", rule(INTERNET, 0, replaceOn=["colour"]), "UNDECLARED_NAME", "no characteristic colour"),
    ("undeclared self", set_("RES-CPE-Provision", "external", "example", value={"a": "self.imei"}), "UNDECLARED_NAME", "self has no 'imei'"),
    ("undeclared ref", set_("RES-VLAN-Service", "configure", 0, "device", value="ref.access.box"), "UNDECLARED_NAME", "ref.access has no 'box'"),
    ("unused ref", set_("RES-VLAN-Service", "configure", 0, "device", value="ref.cpe.serial"), "UNDECLARED_NAME", "'ref.cpe.serial' is not bound"),
    ("undeclared assignment", set_("RES-CPE-Provision", "assign", 0, "as", value="imei"), "UNDECLARED_NAME", "assigns imei"),
    ("resource takes less", set_("RES-Cloud-WiFi", "resourceSpecCharacteristic", value=[{"name": "controller"}]), "UNDECLARED_NAME", "takes no ssid"),
    ("resource needs more", set_("RFS-QoS-Profile", "specCharacteristic", value=[]), "CHARACTERISTIC_MISSING", "needs down"),
    ("unfed child", rule(INTERNET, 3, map={"down": "1"}), "CHARACTERISTIC_MISSING", "needs up"),
    ("no expression", rule(INTERNET, 0, when="1 +"), "EXPRESSION_INVALID", "is not an expression"),
    ("no condition", rule(INTERNET, 0, when="service.accessTechnology"), "EXPRESSION_INVALID", "condition"),
    ("two specifications", rule("CFS-Static-IP", 0, id="RFS-QoS-Profile", map={"down": "1", "up": "1"}), "MAP_CONFLICT", "RFS-IP-Profile, RFS-QoS-Profile"),
    ("unshared", rule("CFS-Static-IP", 0, scope="parent"), "KEY_COLLISION", "scope: product"),
    ("unshared repeated", rule(SDWAN, 1, indexBy=None), "KEY_COLLISION", "indexBy"),
    ("unknown feature", set_("RES-Fibre-Access", "configure", 0, "feature", value="ont"), "FEATURE_UNKNOWN", "'ont'"),
    ("irreversible", set_("RES-SLA-Probe", "external", value={"kind": "slaProbe"}), "IRREVERSIBLE", "onDelete"),
    ("no device to check", set_("RES-Fibre-Access", "verify", value=[{"on": "service", "expect": {"onu": "up"}}]), "VERIFY_INCOMPLETE", "device"),
    ("not realised", set_("RFS-QoS-Profile", "resourceSpecification", value=[]), "NOT_REALISED", "RFS"),
    ("no children", set_("CFS-Static-IP", "serviceSpecRelationship", value=[]), "NOT_REALISED", "CFS"),
    ("wrong default", set_("RES-IP-Profile", "resourceSpecCharacteristic", 0, "resourceSpecCharacteristicValue", 0, value={"value": 4, "isDefault": True}), "VALUE_NOT_ALLOWED", "ipv4Mode"),
    ("a secret", set_("RES-Cloud-WiFi", "resourceSpecCharacteristic", 0, "secret", value=True), "SECRET_UNSUPPORTED", "ssid"),
    ("offering beyond", set_("PO-SF200H", "prodSpecCharValueUse", 2, "productSpecCharacteristicValue", value=[{"value": "HFC"}]), "VALUE_NOT_ALLOWED", "'HFC' of accessTechnology"),
    ("offering of nothing", set_("PO-SF200H", "prodSpecCharValueUse", 2, "name", value="colour"), "UNDECLARED_NAME", "colour"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "code", "words"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS]
)
def test_each_fault_is_found(shipped: CatalogData, fault: Fault, code: str, words: str) -> None:
    findings = found(shipped, fault)
    assert any(c == code and (words in m or words in w) for c, w, m in findings), findings
    assert all(where.startswith("catalogs/") for _, where, _ in findings)


def test_unequal_maps_of_equal_precedence(shipped: CatalogData) -> None:
    def fault(bodies: Bodies) -> None:
        rule("CFS-Static-IP", 0, precedence=0)(bodies)
        rule(INTERNET, 2, map={"ipv4Mode": "'dynamic'"})(bodies)

    findings = found(shipped, fault)
    assert [(code, "equal precedence 0" in message) for code, _, message in findings] == [
        ("MAP_CONFLICT", True)
    ]


def test_without_platforms_features_are_not_looked_at(shipped: CatalogData) -> None:
    assert check(shipped, None) == []
    assert {f.code for f in check(shipped, {"none": set()})} == {"FEATURE_UNKNOWN"}


def test_unequal_maps_of_unequal_precedence_are_fine(shipped: CatalogData) -> None:
    assert found(shipped, rule(INTERNET, 2, map={"ipv4Mode": "'dynamic'"})) == []


def test_a_child_that_no_offering_leads_to(shipped: CatalogData) -> None:
    findings = found(shipped, set_("PS-RBA-01", "serviceSpecification", value=[]))
    lost = {where.rpartition(" ")[2] for code, where, _ in findings if code == "UNREACHABLE"}
    assert lost == {"CFS-Internet-Access", "CFS-CPE-Mgmt", "CFS-WiFi-Mgmt", "CFS-Static-IP"}
