"""Reading files: what is wrong is named with file and path, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.errors import CatalogInvalid
from catalog.load import load
from catalog.model import ResourceSpec

GOOD = """
resourceSpecification:
- id: RES-A
  version: "1.10"
  name: A
  role: a
  validFor: {startDateTime: 2026-01-01T00:00:00Z}
  x-anything: 1
  resourceSpecCharacteristic:
  - {name: port, valueType: integer, minCardinality: 1, resourceSpecCharacteristicValue: [{valueFrom: 1, valueTo: 8}, {value: 4, isDefault: true}]}
  - {name: label, extensible: true, resourceSpecCharacteristicValue: [{value: none, isDefault: true}]}
  - {name: key, secret: true, export: false}
  assign: [{as: key, value: "'k'"}]
  configure: [{device: place, feature: f, transaction: line, values: {n: self.port}}]
  verify: [{on: device, expect: readBack}, {on: service, device: place, expect: {link: up}, gates: false, within: PT2H}]
  suspend: lock
"""


def write(folder: Path, text: str, name: str = "cat/file.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path.parent


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(CatalogInvalid) as caught:
        load([write(folder, text)])
    found: list[str] = caught.value.details["problems"]
    assert all(problem in caught.value.message for problem in found)
    return found


def test_an_entity_is_read_in_the_words_of_the_language(tmp_path: Path) -> None:
    (entry,) = load([write(tmp_path, GOOD)]).entries
    spec = entry.entity
    assert isinstance(spec, ResourceSpec)
    port, label, key = spec.characteristics
    assert (port.minimum, port.maximum, port.values, port.default) == (1, 8, (), 4)
    assert (label.values, label.default) == ((), "none")
    assert key.secret
    assert spec.verify[0].on == "device"  # and not True, as YAML 1.1 would have it
    assert (spec.verify[1].checks, spec.verify[1].within_seconds) == ({"link": "up"}, 7200)
    assert (spec.role, spec.suspend, spec.launched) == ("a", "lock", True)
    assert entry.body["validFor"] == {"startDateTime": "2026-01-01T00:00:00Z"}
    assert entry.source == "cat/file.yaml"


def test_folders_are_read_with_all_below_them(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "cat/deep/er/a.yml")
    write(tmp_path, GOOD.replace("RES-A", "RES-B"), "cat/b.yaml")
    write(tmp_path, "no yaml: [", "cat/README.md")
    assert [e.id for e in load([tmp_path / "cat"]).entries] == ["RES-B", "RES-A"]


def test_no_folder_is_no_catalog(tmp_path: Path) -> None:
    assert load([]).entries == ()
    with pytest.raises(CatalogInvalid, match="is not a folder"):
        load([tmp_path / "absent"])


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (("role: a", "roll: a"), ".roll: is no attribute of resourceSpecification; role is meant?"),
        (("suspend: lock", "suspend: stop"), ".suspend: Input should be 'lock'"),
        (("name: A", "description: A"), ".name: Field required"),
        (('version: "1.10"', "version: v1"), ".version: String should match pattern"),
        (("valueType: integer", "valueType: int"), ".valueType: Input should be 'string'"),
        (("as: key, value: \"'k'\"", "as: key"), "key needs exactly one of take, choose, value"),
        (("as: key, value: \"'k'\"", "as: key, take: pool"), "key takes pool; say of which scope"),
        (("transaction: line", "transition: line"), ".configure.0.transition: Extra inputs"),
        (("on: device, expect: readBack", "on: device, expect: {a: b}"), "on: device goes with"),
        (("suspend: lock", "engine: external"), "engine: external goes with an `external` part"),
        (("name: label", "name: port"), "resourceSpecCharacteristic: declared twice: port"),
        (("suspend: lock", "role: b"), "role is given twice"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], finding: str) -> None:
    assert change[0] in GOOD
    found = problems(tmp_path, GOOD.replace(*change, 1))
    assert all(problem.startswith("cat/file.yaml: ") for problem in found)
    assert any(finding in problem for problem in found), found


def test_all_findings_of_all_files_come_together(tmp_path: Path) -> None:
    write(tmp_path, "resourceSpecs: []", "cat/a.yaml")
    write(tmp_path, "- just a list", "cat/b.yaml")
    write(tmp_path, "serviceSpecification: [{id: S}, text]", "cat/c.yaml")
    found = problems(tmp_path, "broken: [")
    assert {problem.partition(":")[0] for problem in found} == {
        "cat/a.yaml", "cat/b.yaml", "cat/c.yaml", "cat/file.yaml",
    }  # fmt: skip
    assert len([p for p in found if p.startswith("cat/c.yaml: serviceSpecification S")]) == 3


def test_a_version_stands_in_one_place(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "cat/other.yaml")
    assert problems(tmp_path, GOOD) == [
        "cat/other.yaml: resourceSpecification RES-A: version 1.10 is also in cat/file.yaml"
    ]


def test_rules_are_strict_too(tmp_path: Path) -> None:
    text = """
serviceSpecification:
- id: CFS-A
  version: "1"
  name: A
  category: CFS
  serviceSpecRelationship:
  - {relationshipType: realizedBy, id: RFS-A, key: a, wen: "true"}
"""
    (found,) = problems(tmp_path, text)
    assert "serviceSpecification CFS-A.wen: Extra inputs" in found
