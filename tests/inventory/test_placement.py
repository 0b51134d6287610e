"""The choice itself: rules over candidates that are already read. Every candidate is accounted for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import PolicyUnknown
from inventory.plant.placement import (
    SHOWN,
    Affinity,
    Candidate,
    Condition,
    Load,
    Policy,
    Rules,
    Subject,
    Turned,
    choose,
    fits,
)

DEVICE = Subject("device", "device of role acs", "devices of role acs", "that may be used")
POLICIES: tuple[Policy, ...] = ("best-fit", "fill", "spread", "nearest")


def port(name: str, free: int = 100, used: int = 0, **more: Any) -> Candidate:
    device = name.partition("/")[0]
    attributes: dict[str, dict[str, Any]] = {
        "port": {"id": name, "free": free, "used": used},
        "device": {"name": device},
    }
    return Candidate(name, device, attributes, free=free, used=used, **more)


def always(number: float | None) -> Callable[[Any], Any]:
    return lambda _: number


def named(text: str, *names: str) -> Condition:
    return Condition(text, lambda read: read["port"]["id"] in names)


def codes(candidates: list[Candidate], rules: Rules) -> dict[str, str]:
    return {name: turned.code for name, turned in choose(candidates, rules).turned.items()}


# -- policies


@pytest.mark.parametrize(
    ("policy", "chosen", "because"),
    [
        ("best-fit", "b/1", "fewest free ids (3) of 3 reachable ports with room"),
        ("spread", "a/10", "most free ids (90) of 3 reachable ports with room"),
        ("fill", "a/2", "first in order (50 free ids) of 3 reachable ports with room"),
    ],
)
def test_policies_differ(policy: Policy, chosen: str, because: str) -> None:
    choice = choose([port("a/10", 90), port("b/1", 3), port("a/2", 50)], Rules(policy))
    assert choice.chosen is not None
    assert (choice.chosen.name, choice.reason["because"]) == (chosen, because)
    assert choice.reason["considered"] == 3


@pytest.mark.parametrize(
    ("policy", "turned"),
    [
        ("best-fit", {"a/2": "MORE_ROOM", "b/2": "LATER_IN_ORDER"}),
        ("spread", {"b/1": "LESS_ROOM", "b/2": "LESS_ROOM"}),
        ("fill", {"b/1": "LATER_IN_ORDER", "b/2": "LATER_IN_ORDER"}),
    ],
)
def test_who_came_behind_is_told_why(policy: Policy, turned: dict[str, str]) -> None:
    assert codes([port("a/2", 50), port("b/1", 3), port("b/2", 3)], Rules(policy)) == turned


def test_fill_stays_on_a_port_until_it_is_full() -> None:
    first, second = port("a/1", 1), port("a/2", 1)
    assert choose([second, first], Rules("fill")).chosen == first
    choice = choose([second, replace(first, free=0)], Rules("fill"))
    assert choice.chosen == second
    assert choice.reason["because"] == "the only reachable port with room (1 free id)"
    assert choice.reason["rejected"] == [
        {"port": "a/1", "code": "FULL", "why": "full: no free ids"}
    ]


def test_a_device_without_pools_is_chosen_by_use_or_hops() -> None:
    near = Candidate("acs-2", "acs-2", used=7, hops=2)
    far, lost = Candidate("acs-1", "acs-1", used=3, hops=4), Candidate("acs-3", "acs-3", used=9)
    choice = choose([far, near, lost], Rules("nearest"), DEVICE)
    assert choice.chosen == near
    assert choice.reason["because"] == "fewest hops (2) of 3 devices of role acs that may be used"
    assert choice.reason["rejected"] == [
        {
            "device": "acs-1",
            "code": "FARTHER",
            "why": "4 hops, more than the chosen device (2 hops)",
        },
        {
            "device": "acs-3",
            "code": "FARTHER",
            "why": "no way known, more than the chosen device (2 hops)",
        },
    ]
    choice = choose([far, near, lost], Rules("spread"), DEVICE)
    assert choice.chosen == far
    assert choice.reason["because"] == "fewest in use (3) of 3 devices of role acs that may be used"
    assert choice.turned["acs-2"] == Turned(
        "MORE_IN_USE", "7 in use, more than the chosen device (3 in use)"
    )


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(PolicyUnknown, match="best-fit, fill, spread, nearest"):
        Rules("luck")  # type: ignore[arg-type]


# -- capacity


def test_a_limit_turns_down_and_is_what_best_fit_compares() -> None:
    full, nearly, empty = port("a/1", 190, 64), port("a/2", 194, 60), port("a/3", 3, 1)
    choice = choose([full, nearly, empty], Rules(limit=always(64)))
    assert choice.chosen == empty
    assert choice.turned["a/1"] == Turned("LIMIT_REACHED", "full: 64 of at most 64 in use")
    choice = choose([full, nearly], Rules(limit=always(64)))
    assert choice.chosen == nearly
    told = "the only reachable port with room (room for 4 more within its limit of 64)"
    assert choice.reason["because"] == told


def test_no_limit_is_no_limit() -> None:
    assert fits(port("a/1", 1, 5000), Rules(limit=always(None))) is None


def test_what_the_order_added_already_counts() -> None:
    one = port("a/1", 100, 63)
    assert fits(one, Rules(limit=always(64))) is None
    turned = fits(one, Rules(limit=always(64), added={"a/1": 1}))
    assert turned == Turned("LIMIT_REACHED", "full: 64 of at most 64 in use")


@pytest.mark.parametrize(
    ("load", "demand", "added", "fit"),
    [
        (1500, 1000, 0, False),
        (1400, 1000, 0, True),
        (1400, 1000, 1, False),
        (2400, 0, 0, True),
        (2401, 0, 0, False),
    ],
)
def test_a_ceiling_is_never_passed(load: float, demand: float, added: float, fit: bool) -> None:
    rules = Rules(load=Load(demand, always(2400), {"a/1": added}))
    turned = fits(port("a/1", load=load), rules)
    assert (turned is None) is fit
    if turned:
        assert turned.code == "CEILING_REACHED"
        assert f"of 2400 in use, {demand} more are asked for" in turned.why


# -- conditions and affinity


def test_what_is_required_is_never_given_up() -> None:
    rules = Rules(require=(named("port.id == 'a/2'", "a/2"),))
    assert codes([port("a/1"), port("a/2")], rules) == {"a/1": "REQUIREMENT_NOT_MET"}
    choice = choose([port("a/1")], rules)
    assert choice.chosen is None
    assert choice.reason["chosen"] is None
    assert choice.reason["rejected"][0]["why"] == "does not meet port.id == 'a/2'"


def test_what_is_preferred_goes_before_the_policy() -> None:
    rules = Rules(prefer=(named("gold", "a/3", "a/2"), named("east", "a/3", "a/1")))
    choice = choose([port("a/1", 1), port("a/2", 2), port("a/3", 99)], rules)
    assert choice.reason["chosen"] == "a/3"
    assert choice.reason["because"] == (
        "preferred: gold, east; the only one such of 3 reachable ports with room"
    )
    assert {name: t.why for name, t in choice.turned.items()} == {
        "a/1": "does not meet the preference gold",
        "a/2": "does not meet the preference east",
    }
    without = choose([port("a/1", 1), port("a/2", 2)], rules)
    assert without.reason["chosen"] == "a/2"


def test_near_and_away() -> None:
    ports = [port("a/1", site="east"), port("a/2", site="east"), port("b/1", site="west")]
    near = Affinity("near place (device)", frozenset({"b"}), near=True, must=True)
    assert codes(ports, Rules(affinity=(near,))) == dict.fromkeys(
        ("a/1", "a/2"), "AFFINITY_NOT_MET"
    )
    away = Affinity("away from main (port)", frozenset({"a/1"}), near=False, on="port", must=True)
    assert choose(ports, Rules(affinity=(away,))).reason["chosen"] == "a/2"
    site = Affinity("away from main (site)", frozenset({"east"}), near=False, on="site")
    choice = choose(ports, Rules(affinity=(site,)))
    assert choice.reason["chosen"] == "b/1"
    assert choice.turned["a/1"].why == "does not meet the preference away from main (site)"


def test_nobody_to_be_near_is_no_hindrance() -> None:
    near = Affinity("near place (device)", frozenset(), near=True, must=True)
    assert choose([port("a/1")], Rules(affinity=(near,))).reason["chosen"] == "a/1"


def test_a_fault_is_told_before_any_rule_is_asked() -> None:
    broken = replace(port("a/1"), attributes={}, fault=Turned("NO_UPLINK", "a has no way"))
    rules = Rules(require=(named("x", "a/1"),), limit=lambda read: read["port"]["used"])
    assert fits(broken, rules) == Turned("NO_UPLINK", "a has no way")


def test_a_port_that_was_lost_to_another_order_is_not_chosen_again() -> None:
    choice = choose([port("a/1", 1), port("a/2", 9)], Rules(lost=frozenset({"a/1"})))
    assert choice.reason["chosen"] == "a/2"
    assert choice.turned["a/1"].code == "TAKEN_MEANWHILE"


def test_long_lists_are_bounded_and_the_rest_is_counted() -> None:
    choice = choose([port(f"a/{n}") for n in range(SHOWN + 31)], Rules())
    assert len(choice.reason["rejected"]) == SHOWN
    assert choice.reason["notShown"] == 30
    assert choice.reason["considered"] == SHOWN + 31
    assert [one["port"] for one in choice.reason["rejected"][:3]] == ["a/1", "a/2", "a/3"]


# -- what holds for all candidates and rules

candidates = st.lists(
    st.builds(
        Candidate,
        name=st.from_regex(r"[a-c]/[1-9][0-9]?", fullmatch=True),
        device=st.sampled_from("abc"),
        site=st.sampled_from([None, "east", "west"]),
        attributes=st.fixed_dictionaries({"port": st.fixed_dictionaries({"gold": st.booleans()})}),
        free=st.none() | st.integers(0, 4),
        used=st.integers(0, 5),
        load=st.integers(0, 12),
        hops=st.none() | st.integers(0, 3),
        fault=st.none() | st.just(Turned("NO_UPLINK", "no way")),
    ),
    unique_by=lambda one: one.name,
    max_size=12,
)
gold = Condition("gold", lambda read: bool(read["port"]["gold"]))
rules = st.builds(
    Rules,
    policy=st.sampled_from(POLICIES),
    limit=st.none() | st.integers(0, 6).map(always),
    load=st.none() | st.builds(Load, st.integers(0, 4), st.integers(0, 14).map(always)),
    require=st.sampled_from([(), (gold,)]),
    prefer=st.sampled_from([(), (gold,)]),
    affinity=st.lists(
        st.builds(
            Affinity,
            text=st.just("near"),
            names=st.frozensets(st.sampled_from(["a", "b", "east", "a/1"]), max_size=2),
            near=st.booleans(),
            on=st.sampled_from(["port", "device", "site"]),
            must=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    lost=st.frozensets(st.sampled_from(["a/1", "b/2"])),
)


def usable(one: Candidate, given: Rules) -> bool:
    """Say again, in other words, what may be used."""
    limit = given.limit({}) if given.limit else None
    ceiling = given.load.ceiling({}) if given.load else None
    return all(
        (
            one.fault is None,
            one.name not in given.lost,
            one.free is None or one.free >= 1,
            limit is None or one.used + 1 <= limit,
            given.load is None or ceiling is None or one.load + given.load.demand <= ceiling,
            not given.require or one.attributes["port"]["gold"],
            all(a.holds(one) for a in given.affinity if a.must),
        )
    )


@given(candidates, rules)
def test_what_is_chosen_can_be_used_and_nothing_usable_is_overlooked(
    found: list[Candidate], given_: Rules
) -> None:
    choice = choose(found, given_)
    fitting = [one for one in found if usable(one, given_)]
    assert (choice.chosen in fitting) if fitting else (choice.chosen is None)
    for one in found:
        assert (fits(one, given_) is None) is (one in fitting)


@given(candidates, rules)
def test_every_other_candidate_is_turned_down_exactly_once(
    found: list[Candidate], given_: Rules
) -> None:
    choice = choose(found, given_)
    listed = [entry["port"] for entry in choice.reason["rejected"]]
    chosen = [choice.chosen.name] if choice.chosen else []
    assert sorted([*listed, *chosen]) == sorted(one.name for one in found)
    assert all(entry["code"].isupper() and entry["why"] for entry in choice.reason["rejected"])
    assert choice.reason["considered"] == len(found)


@given(candidates, rules, st.randoms(use_true_random=False))
def test_the_order_in_which_candidates_come_does_not_matter(
    found: list[Candidate], given_: Rules, random: Any
) -> None:
    mixed = list(found)
    random.shuffle(mixed)
    assert choose(mixed, given_) == choose(found, given_)


@given(candidates, rules)
def test_nobody_usable_would_have_met_more_of_what_is_preferred(
    found: list[Candidate], given_: Rules
) -> None:
    chosen = choose(found, replace(given_, affinity=())).chosen
    if chosen and given_.prefer and not chosen.attributes["port"]["gold"]:
        others = [one for one in found if usable(one, replace(given_, affinity=()))]
        assert not any(one.attributes["port"]["gold"] for one in others)
