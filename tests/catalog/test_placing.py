"""What a catalog may say about a choice, and what the check finds when it says it wrongly."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from catalog.check import check
from catalog.data import CatalogData, Entry, Kind
from catalog.errors import CatalogInvalid
from catalog.load import load
from catalog.model import Assign

Json = dict[str, Any]
WORDS: Json = {
    "policy": "fill",
    "require": "device.adminState == 'managed' && port.labels.area == self.area",
    "prefer": ["device.site == self.area", "port.used < 8"],
    "capacity": {"limit": "port.splitRatio", "load": "mbps", "ceiling": 19200},
    "affinity": [
        {"near": "place"},
        {"avoid": "main", "on": "port", "strength": "must"},
    ],
}


def choice(**words: Any) -> Json:
    return {"as": "ponPort", "choose": "ponPort", **words}


def device(**words: Any) -> Json:
    return {"as": "acs", "choose": "device", "role": "acs", **words}


def found(*rules: Json) -> list[tuple[str, str]]:
    """Return the findings of a resource that assigns so."""
    names = ("ponPort", "acs", "olt", "area", "word")
    body = {
        "id": "RES",
        "version": "1.0",
        "name": "Access",
        "role": "access",
        "uses": {"main": {"spec": "RES-main"}},
        "resourceSpecCharacteristic": [
            *({"name": name} for name in names),
            {"name": "mbps", "valueType": "integer"},
        ],
        "assign": list(rules),
    }
    main = body | {"id": "RES-main", "role": "main", "uses": {}, "assign": [choice()]}
    kind: Kind = "resourceSpecification"
    data = CatalogData(Entry(kind, str(b["id"]), "1.0", b, "x.yaml") for b in (body, main))
    return [
        (f.code, f.message)
        for f in check(data)
        if "RES-main" not in f.where and f.message != "nothing leads to it; use it or take it out"
    ]


def test_words_that_are_right_have_no_findings() -> None:
    assert found(choice(**WORDS)) == []
    nearest = device(policy="nearest", **{"from": "ref.main.olt"}, prefer="device.hops < 4")
    assert found(choice(), nearest) == []


def test_words_are_read_as_they_are_meant() -> None:
    rule = Assign.model_validate(choice(**WORDS))
    assert rule.require == (WORDS["require"],)
    assert rule.capacity is not None
    assert rule.capacity.ceiling == "19200"
    assert [(one.whose, one.on, one.strength) for one in rule.affinity] == [
        ("place", "device", "prefer"),
        ("main", "port", "must"),
    ]
    assert rule.places == ("policy", "require", "prefer", "capacity", "affinity")


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (choice(policy="luck"), "'best-fit', 'fill', 'spread' or 'nearest'"),
        (choice(policy="nearest"), "nearest and from go together"),
        (choice(policy="nearest", **{"from": "'olt'"}), "chooses a device, not a port"),
        (device(**{"from": "'olt'"}), "nearest and from go together"),
        (device(policy="best-fit"), "needs a capacity.limit"),
        (device(affinity=[{"avoid": "main", "on": "port"}]), "on device or site"),
        (choice(capacity={}), "a limit, or a load"),
        (choice(capacity={"load": "mbps"}), "load and ceiling go together"),
        (choice(capacity={"limit": 1, "ceiling": 5}), "load and ceiling go together"),
        (choice(capacity={"limit": -1}), "not negative"),
        (choice(capacity={"limit": True}), "not negative"),
        (choice(affinity=[{"near": "place", "avoid": "line"}]), "exactly one of near, avoid"),
        (choice(affinity=[{}]), "exactly one of near, avoid"),
        (choice(affinity=[{"near": "place", "on": "moon"}]), "'port', 'device' or 'site'"),
        (choice(affinity=[{"near": "place", "strength": "maybe"}]), "'must' or 'prefer'"),
        (choice(bestfit=True), "Extra inputs"),
        (
            {"as": "word", "value": "'x'", "policy": "fill"},
            "chooses nothing; policy go with choose",
        ),
    ],
)
def test_words_that_do_not_go_together_are_refused(rule: Json, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Assign.model_validate(rule)


@pytest.mark.parametrize(
    ("rules", "code", "message"),
    [
        ([choice(require="port.colour == 'red'")], "UNDECLARED_NAME", "port has no 'colour'"),
        ([choice(prefer="node.name == 'x'")], "UNDECLARED_NAME", "'node.name' is not bound"),
        ([choice(require="device.hops < 3")], "UNDECLARED_NAME", "device has no 'hops'"),
        ([device(require="port.free > 3")], "UNDECLARED_NAME", "'port.free' is not bound"),
        ([choice(require="port.free >")], "EXPRESSION_INVALID", "is not an expression"),
        ([choice(require="device.site")], "EXPRESSION_INVALID", "used as a condition but gives"),
        ([choice(prefer="port.free > 'x'")], "EXPRESSION_INVALID", "cannot be evaluated"),
        ([choice(capacity={"limit": "self.most"})], "UNDECLARED_NAME", "self has no 'most'"),
        (
            [choice(capacity={"load": "mbps", "ceiling": "port.mbps"})],
            "UNDECLARED_NAME",
            "port has no 'mbps'",
        ),
        (
            [choice(capacity={"load": "up", "ceiling": 1})],
            "UNDECLARED_NAME",
            "no characteristic up",
        ),
        (
            [choice(capacity={"load": "word", "ceiling": 1})],
            "VALUE_NOT_ALLOWED",
            "a load is an integer or a number",
        ),
        ([choice(affinity=[{"near": "spouse"}])], "DANGLING_REFERENCE", "'spouse' is neither"),
        ([device(policy="nearest", **{"from": "self.oltt"})], "UNDECLARED_NAME", "no 'oltt'"),
        (
            [choice(policy="fill"), {"as": "olt", "choose": "ponPort", "policy": "spread"}],
            "UNREACHABLE",
            "ponPort says already how the port is chosen; put policy there",
        ),
    ],
)
def test_each_wrong_word_is_found(rules: list[Json], code: str, message: str) -> None:
    ((found_code, told),) = found(*rules)
    assert (found_code, message in told) == (code, True), told


def test_an_unknown_policy_is_found_in_the_file(tmp_path: Any) -> None:
    (tmp_path / "r.yaml").write_text(
        "resourceSpecification:\n- {id: R, version: '1.0', name: R, role: r, "
        "resourceSpecCharacteristic: [{name: p}], assign: [{as: p, choose: ponPort, policy: luck}]}\n"
    )
    with pytest.raises(CatalogInvalid, match=r"r\.yaml.*assign\.0\.policy.*'fill'"):
        load([tmp_path])
