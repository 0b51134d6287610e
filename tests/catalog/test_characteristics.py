"""Values against their specification."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.characteristics import from_tmf, resolve, to_tmf
from catalog.errors import CharacteristicInvalid, CharacteristicMissing, CharacteristicUnknown
from catalog.model import Characteristic, Offering

SPEED = Characteristic(name="speed", value_type="integer", required=True, minimum=1, maximum=1000)
MODE = Characteristic(name="mode", values=("dynamic", "static"), default="dynamic")
TECH = Characteristic(name="tech", values=("GPON", "XGS-PON"), configurable=False)
KEY = Characteristic(name="key", regex="[0-9a-f]{4}", secret=True)
ALL = (SPEED, MODE, TECH, KEY)


def test_all_that_is_declared_has_a_value_or_null() -> None:
    assert resolve(ALL, {"speed": 200.0}) == {
        "speed": 200,
        "mode": "dynamic",
        "tech": None,
        "key": None,
    }


def test_resolving_twice_changes_nothing() -> None:
    once = resolve(ALL, {"speed": 5, "mode": "static"})
    assert resolve(ALL, once) == once


def test_without_defaults_only_what_is_given() -> None:
    assert resolve(ALL, {"mode": "static", "speed": None}, defaults=False) == {"mode": "static"}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, CharacteristicMissing, "S needs speed"),
        ({"speed": None}, CharacteristicMissing, "speed"),
        (
            {"speed": 1, "colour": 1},
            CharacteristicUnknown,
            "no characteristic colour; it has speed",
        ),
        (
            {"speed": "fast"},
            CharacteristicInvalid,
            "speed of S must be of type integer, not 'fast'",
        ),
        ({"speed": True}, CharacteristicInvalid, "type integer"),
        ({"speed": 1.5}, CharacteristicInvalid, "type integer"),
        ({"speed": 0}, CharacteristicInvalid, "at least 1"),
        ({"speed": 1001}, CharacteristicInvalid, "at most 1000"),
        ({"speed": 1, "mode": "odd"}, CharacteristicInvalid, "one of dynamic, static, not 'odd'"),
    ],
)
def test_what_is_wrong_is_named(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        resolve(ALL, given, owner="S")


def test_a_secret_is_not_repeated() -> None:
    with pytest.raises(CharacteristicInvalid) as caught:
        resolve(ALL, {"speed": 1, "key": "hunter2"})
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("string", "x", 1),
        ("number", 1.5, "1.5"),
        ("boolean", False, 0),
        ("dateTime", "2026-12-01T02:00:00Z", "2026-12-01 02:00"),
        ("object", {"a": 1}, []),
        ("array", [1], {"a": 1}),
    ],
)
def test_types(kind: Any, good: Any, bad: Any) -> None:
    one = [Characteristic(name="c", value_type=kind)]
    assert resolve(one, {"c": good}) == {"c": good}
    with pytest.raises(CharacteristicInvalid, match=kind):
        resolve(one, {"c": bad})


def test_an_offering_limits_what_the_customer_sets_and_guides_what_the_system_sets() -> None:
    offering = Offering(
        id="PO", version="1", name="PO", product_spec="PS",
        limits={"mode": ("dynamic",), "tech": ("XGS-PON",)},
    )  # fmt: skip
    with pytest.raises(CharacteristicInvalid, match="mode of PO must be dynamic, not 'static'"):
        resolve(ALL, {"speed": 1, "mode": "static"}, owner="PO", offering=offering)
    assert resolve(ALL, {"speed": 1, "tech": "GPON"}, offering=offering)["tech"] == "GPON"


def test_tmf_lists() -> None:
    values = {"a": 1, "b": None, "c": "x"}
    assert to_tmf(values) == [{"name": "a", "value": 1}, {"name": "c", "value": "x"}]
    assert from_tmf([{"name": "a", "value": 1.0, "valueType": "number"}]) == {"a": 1}


@pytest.mark.parametrize("entries", [[{"value": 1}], ["x"], [{"name": "a"}, {"name": "a"}]])
def test_tmf_lists_that_say_nothing_clear(entries: Any) -> None:
    with pytest.raises(CharacteristicInvalid):
        from_tmf(entries)
