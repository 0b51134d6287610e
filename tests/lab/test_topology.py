"""Topology files: containerlab's format, read generously."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import topology
from lab.errors import LabError

ROOT = Path(__file__).parents[2]
METRO = ROOT / "topologies" / "metro.clab.yml"
SCHEMA = ROOT / "../shared/containerlab/clab.schema.json"


def write(path: Path, text: str) -> Path:
    file = path / "t.clab.yml"
    file.write_text(text)
    return file


SMALL = """
name: ${NAME:=small}
x-unknown: {a: 1}
topology:
  defaults: {labels: {a: default, b: default, c: default, d: default}}
  kinds: {linux: {labels: {b: kind, c: kind, d: kind}}}
  groups: {olt: {kind: linux, labels: {c: group, d: group}}}
  nodes:
    n1: {group: olt, labels: {d: node, n: 7}, unknown-key: [1]}
    n2: {kind: nokia_srlinux}
    n3:
  links:
    - endpoints: ["n1:eth1", "n2:e1-1"]
      vars: {split: 32}
    - {type: veth, endpoints: [{node: n2, interface: a}, {node: n3, interface: b}]}
    - endpoints: ["n1:eth9", "host:eth0"]
"""


def test_labels_are_inherited_key_by_key(tmp_path: Path) -> None:
    small = topology.load(write(tmp_path, SMALL), {})
    labels = small.node("n1").labels
    assert [labels[key] for key in "abcdn"] == ["default", "kind", "group", "node", "7"]
    assert small.node("n1").kind == "linux"
    assert small.node("n2").labels["b"] == "default"


def test_variables_are_expanded(tmp_path: Path) -> None:
    file = write(tmp_path, SMALL)
    assert topology.load(file, {}).name == "small"
    assert topology.load(file, {"NAME": "other"}).name == "other"


def test_unknown_kinds_are_external_and_links_to_the_host_are_left_out(tmp_path: Path) -> None:
    small = topology.load(write(tmp_path, SMALL), {})
    assert [node.role for node in small.nodes] == ["external"] * 3
    assert [(link.a, link.b, dict(link.vars)) for link in small.links] == [
        (("n1", "eth1"), ("n2", "e1-1"), {"split": "32"}),
        (("n2", "a"), ("n3", "b"), {}),
    ]
    assert list(small.peers("n2")) == [("e1-1", "n1", "eth1"), ("a", "n3", "b")]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [", "TOPOLOGY_INVALID"),
        ("- a", "TOPOLOGY_INVALID"),
        ("name: x", "TOPOLOGY_INVALID"),
        ("name: ../x\ntopology: {nodes: {}}", "TOPOLOGY_INVALID"),
        ("name: x\ntopology: {nodes: {'a/b': {}}}", "TOPOLOGY_INVALID"),
        ("name: x\ntopology: {nodes: [a]}", "TOPOLOGY_INVALID"),
        ("name: x\ntopology: {nodes: {a: {}}, links: [{endpoints: ['a:e1', 'b:e1']}]}", "TOPOLOGY_INVALID"),
    ],
)  # fmt: skip
def test_what_is_no_topology_is_refused(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(LabError) as caught:
        topology.load(write(tmp_path, text))
    assert caught.value.code == code


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        topology.load(tmp_path / "no.clab.yml")
    assert caught.value.code == "TOPOLOGY_NOT_FOUND"


def test_metro_is_what_it_says() -> None:
    metro = topology.load(METRO)
    roles = [node.role for node in metro.nodes]
    assert {role: roles.count(role) for role in set(roles)} == {
        "olt": 2, "router": 1, "bng": 1, "acs": 1, "wifi-controller": 1, "ont": 6, "splitter": 3, "place": 4,
    }  # fmt: skip
    assert metro.node("olt-west-02").labels["sim-pon-type"] == "xgs-pon"
    serials = [node.labels["sim-serial"] for node in metro.nodes if node.role == "ont"]
    assert len(set(serials)) == 6
    assert not list(metro.peers("place-99-dale-farm"))


@pytest.mark.oracle
@pytest.mark.skipif(not SCHEMA.exists(), reason="containerlab's schema is not beside the project")
def test_metro_is_valid_by_containerlabs_schema() -> None:
    import jsonschema
    import regex

    def pattern(_: Any, wanted: str, instance: Any, __: Any) -> Any:
        if isinstance(instance, str) and not regex.search(wanted, instance):
            yield jsonschema.ValidationError(f"{instance!r} does not match {wanted!r}")

    base = jsonschema.Draft7Validator
    validator = jsonschema.validators.extend(base, {"pattern": pattern})(
        json.loads(SCHEMA.read_text())
    )
    metro = yaml.safe_load(METRO.read_text())
    assert [error.message for error in validator.iter_errors(metro)] == []
    metro["topology"]["nodes"]["olt-east-07"]["kindd"] = "x"
    assert [error.message for error in validator.iter_errors(metro)] != []
