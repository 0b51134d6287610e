"""Which port or device is chosen, and why that one: what may be used at all, then what is preferred, then a policy.

Pure: candidates come read, conditions come as callables, and every candidate is accounted for in the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from inventory.errors import PolicyUnknown
from inventory.plant.registry import natural

Policy = Literal["best-fit", "fill", "spread", "nearest"]
Attributes = Mapping[str, Mapping[str, Any]]
"""What conditions read of a candidate: {"port": {…}, "device": {…}}."""
Test = Callable[[Attributes], bool]
Number = Callable[[Attributes], int | float | None]
"""Gives null where there is no such bound."""

SHOWN = 50
"""How many of the candidates that were turned down are listed; the others are counted."""


@dataclass(frozen=True, slots=True)
class Turned:
    """Why a candidate was turned down: a stable code and a sentence."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A port or device that could be chosen, as it stands now."""

    name: str
    device: str
    attributes: Attributes = field(default_factory=dict)
    site: str | None = None
    technology: str | None = None
    free: int | None = None
    """How many more ids its pools can give; None: no pool limits it."""
    used: int = 0
    """How many customers it has."""
    load: float = 0
    """What these take together of the rules' ceiling."""
    hops: int | None = None
    path: tuple[str, ...] = ()
    fault: Turned | None = None
    """Why no rule could make it usable."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition over a candidate, and how the catalog spells it."""

    text: str
    holds: Test


@dataclass(frozen=True, slots=True)
class Affinity:
    """Ports, devices or sites that are to be shared (`near`) or kept away from; no names: anything will do."""

    text: str
    names: frozenset[str]
    near: bool
    on: Literal["port", "device", "site"] = "device"
    must: bool = False

    def holds(self, one: Candidate) -> bool:
        """Say whether a candidate is where it should be."""
        where = {"port": one.name, "device": one.device, "site": one.site}[self.on]
        return not self.names or (where in self.names) is self.near


@dataclass(frozen=True, slots=True)
class Load:
    """What the new customer takes (`demand`), and what all of a candidate's may take together.

    `added` is what the same order has put on candidates already.
    """

    demand: float
    ceiling: Number
    added: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a catalog says about a choice; the default is best fit among what has free ids.

    `best-fit`: the candidate that has room for the fewest more customers; `spread`: for the most; `fill`: the
    first in natural order that has room; `nearest`: with the fewest hops. Equals are taken in natural order.
    `lost` are candidates that another order filled at the same moment; `added`, how many customers the same
    order has put on candidates already, beyond those that were counted.
    """

    policy: Policy = "best-fit"
    limit: Number | None = None
    load: Load | None = None
    require: tuple[Condition, ...] = ()
    prefer: tuple[Condition, ...] = ()
    affinity: tuple[Affinity, ...] = ()
    lost: frozenset[str] = frozenset()
    added: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a policy that does not exist. Raises PolicyUnknown (POLICY_UNKNOWN)."""
        if self.policy not in get_args(Policy):
            raise PolicyUnknown(
                f"No placement policy {self.policy!r}; use one of {', '.join(get_args(Policy))}.",
                details={"policy": self.policy},
            )

    @property
    def preferences(self) -> tuple[Condition | Affinity, ...]:
        """Return what is preferred, the weightiest first: affinity, then conditions as written."""
        return (*(one for one in self.affinity if not one.must), *self.prefer)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is chosen, in words: `port`, `reachable GPON port`, `reachable GPON ports`, `with room`."""

    noun: str
    one: str
    several: str
    usable: str


PORT = Subject("port", "reachable port", "reachable ports", "with room")


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen (None: nothing may be used), and the whole account.

    `reason` is {policy, chosen, because, considered, rejected: [{port|device, code, why}], notShown?, path?}.
    """

    chosen: Candidate | None
    reason: dict[str, Any]
    turned: Mapping[str, Turned]
    """Every other candidate, by name."""


@dataclass(frozen=True, slots=True)
class _Judged:
    one: Candidate
    turned: Turned | None = None
    room: float = math.inf
    size: str = ""
    """The room in words."""
    unmet: tuple[bool, ...] = ()

    @property
    def by_ids(self) -> bool:
        return self.room == self.one.free


def choose(candidates: Sequence[Candidate], rules: Rules, subject: Subject = PORT) -> Choice:
    """Choose among candidates (distinct by name); the same candidates in any order give the same choice."""
    judged = [_judge(one, rules) for one in sorted(candidates, key=lambda one: natural(one.name))]
    usable = [one for one in judged if one.turned is None]
    best = min(usable, key=lambda one: _rank(one, rules.policy), default=None)
    turned = {
        j.one.name: j.turned or _behind(j, best, rules, subject) for j in judged if j is not best
    }
    chosen = best.one if best else None
    because = _because(best, usable, rules, subject) if best else "none may be used"
    return Choice(chosen, _reason(chosen, because, turned, rules.policy, subject), turned)


def fits(one: Candidate, rules: Rules) -> Turned | None:
    """Return why a candidate may not be used, or None."""
    return _judge(one, rules).turned


# -- what may be used -------------------------------------------------------------------------------


def _judge(one: Candidate, rules: Rules) -> _Judged:
    turned = one.fault or _lost(one, rules) or _forbidden(one, rules)
    if turned is not None:
        return _Judged(one, turned)
    room, size, full = min(_rooms(one, rules), key=lambda bound: bound[0])
    unmet = tuple(not _holds(wish, one) for wish in rules.preferences)
    return _Judged(one, full if room <= 0 else None, room, size, unmet)


def _lost(one: Candidate, rules: Rules) -> Turned | None:
    if one.name in rules.lost:
        return Turned("TAKEN_MEANWHILE", "another order took its last id at the same moment")
    return None


def _forbidden(one: Candidate, rules: Rules) -> Turned | None:
    for condition in rules.require:
        if not condition.holds(one.attributes):
            return Turned("REQUIREMENT_NOT_MET", f"does not meet {condition.text}")
    for affinity in rules.affinity:
        if affinity.must and not affinity.holds(one):
            return Turned("AFFINITY_NOT_MET", f"is not {affinity.text}")
    return None


def _rooms(one: Candidate, rules: Rules) -> list[tuple[float, str, Turned]]:
    """Return (room, the same in words, why it is full when it is) by each bound, ids first."""
    known = [_by_ids(one), _by_limit(one, rules), _by_load(one, rules)]
    unbound = (math.inf, f"{one.used} in use", Turned("FULL", "full"))
    return [bound for bound in known if bound is not None] or [unbound]


def _by_ids(one: Candidate) -> tuple[float, str, Turned] | None:
    if one.free is None:
        return None
    return (
        one.free,
        f"{one.free} free id{'' if one.free == 1 else 's'}",
        Turned("FULL", "full: no free ids"),
    )


def _by_limit(one: Candidate, rules: Rules) -> tuple[float, str, Turned] | None:
    limit = rules.limit(one.attributes) if rules.limit else None
    if limit is None:
        return None
    used = one.used + rules.added.get(one.name, 0)
    room = math.floor(limit) - used
    full = Turned("LIMIT_REACHED", f"full: {used} of at most {limit} in use")
    return room, f"room for {room} more within its limit of {limit}", full


def _by_load(one: Candidate, rules: Rules) -> tuple[float, str, Turned] | None:
    ceiling = rules.load.ceiling(one.attributes) if rules.load else None
    if rules.load is None or ceiling is None:
        return None
    load, demand = one.load + rules.load.added.get(one.name, 0), rules.load.demand
    left = ceiling - load
    room = left // demand if demand > 0 else (math.inf if left >= 0 else 0)
    full = Turned(
        "CEILING_REACHED", f"full: {load:g} of {ceiling:g} in use, {demand:g} more are asked for"
    )
    return room, f"room for {room:g} more within its ceiling of {ceiling:g}", full


def _holds(wish: Condition | Affinity, one: Candidate) -> bool:
    return wish.holds(one.attributes) if isinstance(wish, Condition) else wish.holds(one)


# -- which is best ----------------------------------------------------------------------------------


def _rank(judged: _Judged, policy: Policy) -> tuple[Any, ...]:
    return judged.unmet, _measure(judged, policy), natural(judged.one.name)


def _measure(judged: _Judged, policy: Policy) -> float:
    """Return what the policy compares: less is better."""
    one = judged.one
    match policy:
        case "best-fit":
            return judged.room
        case "spread":
            return one.used if math.isinf(judged.room) else -judged.room
        case "nearest":
            return math.inf if one.hops is None else one.hops
        case "fill":
            return 0


# -- in words ---------------------------------------------------------------------------------------


def _because(best: _Judged, usable: Sequence[_Judged], rules: Rules, subject: Subject) -> str:
    if len(usable) == 1:
        return f"the only {subject.one} {subject.usable} ({_told(best, rules)})"
    equals = [one for one in usable if one.unmet == best.unmet]
    met = [w.text for w, missed in zip(rules.preferences, best.unmet, strict=True) if not missed]
    preferred = f"preferred: {', '.join(met)}; " if met and len(equals) < len(usable) else ""
    if preferred and len(equals) == 1:
        return f"{preferred}the only one such of {len(usable)} {subject.several} {subject.usable}"
    return (
        f"{preferred}{_best_word(best, rules)} of {len(equals)} {subject.several} {subject.usable}"
    )


def _told(judged: _Judged, rules: Rules) -> str:
    if rules.policy != "nearest":
        return judged.size
    return "no way known" if judged.one.hops is None else f"{judged.one.hops} hops"


def _best_word(best: _Judged, rules: Rules) -> str:
    match rules.policy:
        case "fill":
            return f"first in order ({best.size})"
        case "nearest":
            return (
                "first in order (no way known)"
                if best.one.hops is None
                else f"fewest hops ({best.one.hops})"
            )
        case "spread" if math.isinf(best.room):
            return f"fewest in use ({best.one.used})"
        case policy:
            least = "fewest" if policy == "best-fit" else "most"
            if best.by_ids:
                return f"{least} free ids ({best.one.free})"
            return f"room for the {least} more ({best.size})"


def _behind(judged: _Judged, best: _Judged | None, rules: Rules, subject: Subject) -> Turned:
    """Return why a usable candidate came behind the chosen one."""
    assert best is not None
    for wish, missed, had in zip(rules.preferences, judged.unmet, best.unmet, strict=True):
        if missed and not had:
            return Turned("PREFERENCE_NOT_MET", f"does not meet the preference {wish.text}")
    than = f"the chosen {subject.noun}"
    if rules.policy == "fill":
        return Turned("LATER_IN_ORDER", f"{judged.size}, but later in order than {than}")
    told, others = _told(judged, rules), _told(best, rules)
    if _measure(judged, rules.policy) == _measure(best, rules.policy):
        return Turned("LATER_IN_ORDER", f"{told}, as many as {than}, which comes first in order")
    code, word = _WORSE[rules.policy]
    if rules.policy == "spread" and math.isinf(judged.room):
        code, word = "MORE_IN_USE", "more"
    return Turned(code, f"{told}, {word} than {than} ({others})")


_WORSE: Mapping[Policy, tuple[str, str]] = {
    "best-fit": ("MORE_ROOM", "more"),
    "spread": ("LESS_ROOM", "less"),
    "nearest": ("FARTHER", "more"),
}


def _reason(
    chosen: Candidate | None,
    because: str,
    turned: Mapping[str, Turned],
    policy: Policy,
    subject: Subject,
) -> dict[str, Any]:
    rejected = [
        {subject.noun: name, "code": t.code, "why": t.why}
        for name, t in list(turned.items())[:SHOWN]
    ]
    reason: dict[str, Any] = {
        "policy": policy,
        "chosen": chosen.name if chosen else None,
        "because": because,
        "considered": len(turned) + (chosen is not None),
        "rejected": rejected,
    }
    if len(turned) > SHOWN:
        reason["notShown"] = len(turned) - SHOWN
    if chosen and chosen.path:
        reason["path"] = list(chosen.path)
    return reason
