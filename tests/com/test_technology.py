"""Pure: which access technology a product gets, and why not another."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.model import Offering, ProductSpec
from com.decompose import choose_technology
from com.parse import ProductItem


def product(*allowed: str) -> ProductItem:
    uses = [
        {
            "name": "accessTechnology",
            "productSpecCharacteristicValue": [{"value": name} for name in allowed],
        }
    ]
    offering = Offering.from_tmf(
        {
            "id": "PO",
            "version": "1.0",
            "name": "Some",
            "productSpecification": {"id": "PS"},
            "prodSpecCharValueUse": uses,
        }
    )
    spec = ProductSpec.from_tmf({"id": "PS", "version": "1.0", "name": "Some"})
    return ProductItem("1", "add", "pr", offering, spec, "PL", {})


def place(**free: int) -> list[dict[str, Any]]:
    return [
        {"technology": name.replace("_", "-"), "ports": 1, "free": number}
        for name, number in free.items()
    ]


@pytest.mark.parametrize(
    ("allowed", "free", "chosen"),
    [
        (("GPON", "XGS-PON"), {"GPON": 5, "XGS_PON": 9}, "GPON"),
        (("GPON", "XGS-PON"), {"GPON": 0, "XGS_PON": 9}, "XGS-PON"),
        (("XGS-PON",), {"GPON": 5}, None),
        (("GPON",), {}, None),
        ((), {"GPON": 1}, "GPON"),
    ],
)
def test_the_first_allowed_with_room_is_chosen(
    allowed: tuple[str, ...], free: dict[str, int], chosen: str | None
) -> None:
    assert choose_technology(product(*allowed), place(**free))[0] == chosen


def test_each_refusal_has_its_reason() -> None:
    _, refused = choose_technology(product("GPON", "XGS-PON"), place(GPON=0))
    assert refused == [
        {"technology": "GPON", "why": "no free capacity"},
        {"technology": "XGS-PON", "why": "not at this place"},
    ]
