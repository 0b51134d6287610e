"""The one algorithm: properties that hold for any line, and the cases they do not name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.decompose import Desired, ItemDelta, Present, delta
from catalog.errors import SequenceCycle
from tests.catalog.conftest import actions, built, waves

lines = settings(max_examples=60, deadline=None)  # no deadline: the machine may be busy
KEYS = ["a", "b", "c", "d", "e", "f"]


@st.composite
def desired(draw: st.DrawFn) -> list[Desired]:
    """Any line without circles: each key may wait for any that stand before it (present or not)."""
    order = draw(st.permutations(KEYS))
    chosen = draw(st.sets(st.sampled_from(KEYS)))
    return [
        Desired(
            key=key,
            spec=draw(st.sampled_from(["S1", "S2"])),
            version=draw(st.sampled_from(["1.0", "2.0"])),
            inputs={
                "x": draw(st.integers(0, 2)),
                "place": draw(st.sampled_from(["P", "Q"])),
            },
            after=tuple(sorted(draw(st.sets(st.sampled_from(order[:place]))) & chosen))
            if place
            else (),
            replace_on=("place",) if draw(st.booleans()) else (),
            replace_with=tuple(draw(st.sets(st.sampled_from(KEYS), max_size=1))),
            refresh_with=tuple(draw(st.sets(st.sampled_from(KEYS), max_size=1))),
        )
        for place, key in enumerate(order)
        if key in chosen
    ]


def applied(deltas: Sequence[ItemDelta], present: Sequence[Present]) -> dict[str, Any]:
    """Execute the deltas one by one, refusing what no inventory could do."""
    held = {p.instance: (p.key, p.spec, p.version, dict(p.inputs)) for p in present}
    done: set[tuple[str, str]] = set()
    for item in deltas:
        assert set(item.needs) <= done | {
            (d.key, d.action) for d in deltas if d.action == "noChange"
        }
        assert all(need in done for need in item.needs)
        done.add((item.key, item.action))
        if item.action == "add":
            assert item.instance is None
            held[f"new-{item.key}"] = (item.key, item.spec, item.version, dict(item.after or {}))
            continue
        assert item.instance is not None
        key, _, _, inputs = held.pop(item.instance)
        assert (key, inputs) == (item.key, item.before)
        if item.action != "delete":
            held[item.instance] = (item.key, item.spec, item.version, dict(item.after or {}))
    return {key: (spec, version, inputs) for key, spec, version, inputs in held.values()}


def state(line: Sequence[Desired]) -> dict[str, Any]:
    return {d.key: (d.spec, d.version, dict(d.inputs)) for d in line}


@lines
@given(old=desired(), new=desired())
def test_applying_the_delta_gives_the_desired(old: list[Desired], new: list[Desired]) -> None:
    present = built(old)
    assert applied(delta(new, present), present) == state(new)


@lines
@given(line=desired())
def test_what_is_so_already_is_left_alone(line: list[Desired]) -> None:
    deltas = delta(line, built(line))
    assert {d.action for d in deltas} <= {"noChange"}
    assert all(d.needs == () for d in deltas)


@lines
@given(line=desired())
def test_a_cease_reverses_the_build(line: list[Desired]) -> None:
    new, gone = delta(line, []), delta((), built(line))
    assert {d.action for d in gone} <= {"delete"}
    built_before = {(item.key, need) for item in new for need, _ in item.needs}
    taken_before = {(need, item.key) for item in gone for need, _ in item.needs}
    assert taken_before == built_before


@lines
@given(old=desired(), new=desired(), data=st.data())
def test_the_order_of_the_input_does_not_matter(
    old: list[Desired], new: list[Desired], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(new)), data.draw(st.permutations(built(old)))
    assert delta(new, built(old)) == delta(*shuffled)


@lines
@given(old=desired(), new=desired())
def test_compensation_is_the_delta_back(old: list[Desired], new: list[Desired]) -> None:
    assert applied(delta(old, built(new)), built(new)) == state(old)


@lines
@given(old=desired(), new=desired())
def test_a_replacement_is_built_before_the_old_goes(old: list[Desired], new: list[Desired]) -> None:
    deltas = delta(new, built(old))
    added = {d.key for d in deltas if d.action == "add"}
    for item in deltas:
        if item.action == "delete" and item.key in added:
            assert (item.key, "add") in item.needs


def child(key: str, *after: str, **inputs: Any) -> Desired:
    return Desired(key, f"S-{key}", "1.0", inputs, after)


def test_waiting_passes_through_what_does_not_change() -> None:
    old = [child("a", x=1), child("b", "a"), child("c", "b", x=1)]
    new = [child("a", x=2), child("b", "a"), child("c", "b", x=2)]
    assert waves(delta(new, built(old))) == [{"a"}, {"c"}]


def test_an_absent_sibling_is_not_waited_for() -> None:
    assert waves(delta([child("b", "gone"), child("c", "b")], [])) == [{"b"}, {"c"}]


def test_a_new_version_is_a_change() -> None:
    old = [child("a", x=1)]
    new = [replace(old[0], version="2.0")]
    assert actions(delta(new, built(old))) == {"modify": ["a"]}


def test_another_specification_is_a_replacement() -> None:
    new = [replace(child("a"), spec="S-other")]
    deltas = delta(new, built([child("a")]))
    assert [(d.action, d.spec, d.needs) for d in deltas] == [
        ("add", "S-other", ()),
        ("delete", "S-a", (("a", "add"),)),
    ]


def test_what_is_used_goes_after_its_user_has_changed() -> None:
    old = [child("a"), child("b", "a", x=1)]
    deltas = delta([child("b", x=2)], built(old))
    assert [(d.key, d.action, d.needs) for d in deltas] == [
        ("b", "modify", ()),
        ("a", "delete", (("b", "modify"),)),
    ]


def test_a_replacement_takes_its_followers_along_and_refreshes_its_readers() -> None:
    def line(place: str) -> list[Desired]:
        access = Desired("access", "S", "1.0", {"place": place}, replace_on=("place",))
        vlan = Desired("vlan", "S", "1.0", {}, ("access",), replace_with=("access",))
        ip = Desired("ip", "S", "1.0", {}, ("vlan",), replace_with=("vlan",))
        acs = Desired("acs", "S", "1.0", {}, ("ip",), refresh_with=("ip",))
        return [access, vlan, ip, acs]

    deltas = delta(line("Q"), built(line("P")))
    followers = ["access", "ip", "vlan"]
    assert actions(deltas) == {"add": followers, "delete": followers, "modify": ["acs"]}
    old_ip = next(d for d in deltas if (d.key, d.action) == ("ip", "delete"))
    assert ("acs", "modify") in old_ip.needs


def test_an_input_that_the_instance_never_had_replaces_nothing() -> None:
    old = Present("a", "i", "S", "1.0", {})
    new = Desired("a", "S", "1.0", {"place": "P"}, replace_on=("place",))
    assert actions(delta([new], [old])) == {"modify": ["a"]}


def test_a_circle_is_named() -> None:
    with pytest.raises(SequenceCycle, match=r"wait for each other: [ab] → [ab]"):
        delta([child("a", "b"), child("b", "a")], [])


def test_a_key_stands_for_one_child() -> None:
    with pytest.raises(ValueError, match="unique"):
        delta([child("a"), child("a")], [])
