"""What the rules of one parent and of several make together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from catalog.decompose import Desired, Parent, decompose
from catalog.errors import CharacteristicMissing, ExpressionFailed, MapConflict
from catalog.model import Characteristic, Link, ServiceSpec


def spec(name: str, *characteristics: str, links: tuple[Link, ...] = ()) -> ServiceSpec:
    declared = tuple(
        Characteristic(name=n, value_type="object" if n == "o" else "string")
        for n in characteristics
    )
    category: Any = "CFS" if links else "RFS"
    return ServiceSpec(
        id=name, version="1.0", name=name, category=category, characteristics=declared, links=links
    )


def link(**rule: Any) -> Link:
    return Link.model_validate({"id": "CHILD", "key": "child", **rule})


def of(*children: ServiceSpec) -> Callable[[str, str | None], ServiceSpec]:
    known = {child.id: child for child in children}
    return lambda id_, _version: known[id_]


def parent(
    values: dict[str, Any], *links: Link, id_: str = "p", names: tuple[str, ...] = ("a", "b")
) -> Parent:
    return Parent(id_, spec(f"CFS-{id_}", *names, links=links), values, "PL-1", "line", "service")


CHILD = spec("CHILD", "a", "c")


def one(*parents: Parent) -> Desired:
    (found,) = decompose(parents, of(CHILD))
    return found


def test_a_child_inherits_what_it_declares_and_map_says_more() -> None:
    found = one(parent({"a": "1", "b": "2"}, link(map={"c": "service.b + place"})))
    assert found.inputs == {"a": "1", "c": "2PL-1"}


def test_map_beats_what_is_inherited() -> None:
    assert one(parent({"a": "1"}, link(map={"a": "'mapped'"}))).inputs["a"] == "mapped"


def test_null_says_nothing() -> None:
    assert one(parent({"a": "1"}, link(map={"a": "service.b"}))).inputs["a"] == "1"


def test_place_is_an_input_when_it_replaces() -> None:
    assert one(parent({}, link(replaceOn=["place"]))).inputs["place"] == "PL-1"
    assert "place" not in one(parent({}, link())).inputs


def test_a_rule_whose_condition_fails_makes_nothing() -> None:
    rule = link(when="service.a == 'yes'")
    assert decompose([parent({"a": "no"}, rule)], of(CHILD)) == ()
    assert decompose([parent({}, rule)], of(CHILD)) == ()
    assert one(parent({"a": "yes"}, rule)).key == "child"


def test_a_condition_is_true_or_false_and_nothing_else() -> None:
    with pytest.raises(ExpressionFailed, match="condition"):
        one(parent({"a": "yes"}, link(when="service.a")))


def test_a_shared_child_hears_all_its_parents() -> None:
    first = parent({"a": "1"}, link(scope="product"), id_="p1")
    second = parent({}, link(scope="product", precedence=10, map={"c": "'x'"}), id_="p2")
    found = one(first, second)
    assert found.inputs == {"a": "1", "c": "x"}
    assert found.parents == ("p1", "p2")


def test_the_higher_precedence_wins_whatever_the_order() -> None:
    low = parent({"a": "low"}, link(scope="product"), id_="p1")
    high = parent({"a": "high"}, link(scope="product", precedence=1), id_="p2")
    assert one(low, high).inputs["a"] == one(high, low).inputs["a"] == "high"


def test_equal_precedence_must_agree() -> None:
    same = [parent({"a": "1"}, link(scope="product"), id_=n) for n in ("p1", "p2")]
    assert one(*same).inputs["a"] == "1"
    with pytest.raises(
        MapConflict, match="a of child is given '1' and '2' with equal precedence 0"
    ):
        one(same[0], parent({"a": "2"}, link(scope="product"), id_="p3"))


def test_a_shared_child_is_of_one_specification() -> None:
    other = spec("OTHER", "a")
    parents = [
        parent({}, link(scope="product"), id_="p1"),
        parent({}, link(scope="product", id="OTHER"), id_="p2"),
    ]
    with pytest.raises(MapConflict, match="CHILD and OTHER at once"):
        decompose(parents, of(CHILD, other))


def test_children_of_one_key_are_told_apart_by_their_parents() -> None:
    found = decompose([parent({}, link(), id_=n) for n in ("p1", "p2")], of(CHILD))
    assert [d.key for d in found] == ["child@p1", "child@p2"]


def test_for_each_makes_one_child_per_element() -> None:
    rule = link(
        forEach="service.sites", indexBy="item.name", map={"a": "item.name", "c": "string(index)"}
    )
    found = decompose([parent({"sites": [{"name": "x"}, {"name": "y"}]}, rule)], of(CHILD))
    assert [(d.key, dict(d.inputs)) for d in found] == [
        ("child[x]", {"a": "x", "c": "0"}),
        ("child[y]", {"a": "y", "c": "1"}),
    ]


def test_for_each_over_nothing_makes_nothing() -> None:
    rule = link(forEach="service.a")
    assert decompose([parent({}, rule)], of(CHILD)) == ()


def test_two_elements_of_one_name_are_refused() -> None:
    rule = link(forEach="service.sites", indexBy="item")
    with pytest.raises(MapConflict, match=r"CFS-p makes child\[x\] twice"):
        decompose([parent({"sites": ["x", "x"]}, rule)], of(CHILD))


def test_quantity_numbers_the_children() -> None:
    found = decompose([parent({}, link(quantity="2"))], of(CHILD))
    assert [d.key for d in found] == ["child[0]", "child[1]"]
    with pytest.raises(ExpressionFailed, match="gives str, where int is needed"):
        decompose([parent({}, link(quantity="'2'"))], of(CHILD))


def test_waiting_for_all_or_for_the_same_index() -> None:
    first = link(key="first", quantity="2")
    rules = [
        link(key="each", quantity="2", sequenceAfter=[{"key": "first", "sameIndex": True}]),
        link(key="all", sequenceAfter=["first", "absent"]),
    ]
    found = {d.key: d.after for d in decompose([parent({}, first, *rules)], of(CHILD))}
    assert found["each[0]"] == ("first[0]",)
    assert found["each[1]"] == ("first[1]",)
    assert found["all"] == ("first[0]", "first[1]")


def test_waiting_reaches_children_of_other_parents() -> None:
    parents = [
        parent({}, link(key="ip"), id_="p1"),
        parent({}, link(key="acs", sequenceAfter=["ip"]), id_="p2"),
    ]
    assert {d.key: d.after for d in decompose(parents, of(CHILD))} == {"ip": (), "acs": ("ip",)}


def test_time_and_stage_come_from_expressions() -> None:
    found = one(parent({"a": "2026-12-01T02:00:00Z"}, link(startAt="service.a", stage="'pilot'")))
    assert (found.start_at, found.stage) == ("2026-12-01T02:00:00Z", "pilot")


def test_a_child_that_needs_what_nobody_says_is_refused() -> None:
    needy = ServiceSpec(
        id="CHILD", version="1.0", name="CHILD", category="RFS",
        characteristics=(Characteristic(name="c", required=True),),
    )  # fmt: skip
    with pytest.raises(CharacteristicMissing, match="CHILD needs c"):
        decompose([parent({}, link())], of(needy))


def test_parents_are_of_one_line() -> None:
    here = parent({}, link())
    there = Parent("q", here.spec, {}, None, "other", "service")
    with pytest.raises(ValueError, match="of one line"):
        decompose([here, there], of(CHILD))
