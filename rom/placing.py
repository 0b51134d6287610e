"""Where a resource goes: the catalog's words about a choice, made into rules over ports and devices."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from catalog.errors import ExpressionFailed
from catalog.expression import Expression
from catalog.model import Affinity, Assign
from inventory.errors import NoPortFits
from inventory.plant import choosing, placement
from inventory.plant.candidates import Ground, ground, standing
from inventory.plant.choosing import PortChoice
from inventory.plant.placement import Attributes, Choice, Condition, Load, Number, Policy, Rules
from rom.errors import NoDeviceOfRole
from rom.model import ResourceItem
from store import Tx

Json = dict[str, Any]
Values = Mapping[str, Any]
TECHNOLOGY = "accessTechnology"
"""The characteristic that says of which technology the port must be; a resource without it takes any."""


@dataclass(frozen=True, slots=True)
class _Placed:
    item: ResourceItem
    values: Values

    @property
    def names(self) -> set[str]:
        return _texts(self.values.values())


class Placing:
    """The choices of one order: they know of each other before anything of them is stored."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._placed: list[_Placed] = []
        self._leaving: frozenset[str] = frozenset()

    def without(self, leaving: Iterable[str]) -> None:
        """Say which resources the order ends: nobody is to be near them, or to avoid them."""
        self._leaving = frozenset(leaving)

    def note(self, item: ResourceItem, values: Values) -> None:
        """Remember where an item of the order went."""
        self._placed.append(_Placed(item, values))

    def port(
        self, rule: Assign, item: ResourceItem, scope: Values, lost: frozenset[str]
    ) -> PortChoice:
        """Choose an access port.

        Raises NO_ACCESS_PATH, POOL_EXHAUSTED, NO_PORT_FITS, EXPRESSION_FAILED.
        """
        technology = scope["self"].get(TECHNOLOGY)
        return choosing.choose_port(
            self._tx,
            item.place,
            str(technology) if TECHNOLOGY in item.spec.declared_names else None,
            rules=self._rules(rule, item, scope, lost),
            load=_load_name(rule),
        )

    def device(self, rule: Assign, item: ResourceItem, scope: Values) -> Choice:
        """Choose a device. Raises NoDeviceOfRole (NO_DEVICE_OF_ROLE), EXPRESSION_FAILED."""
        origin = Expression(rule.from_).evaluate(scope) if rule.from_ else None
        choice = choosing.choose_device(
            self._tx,
            str(rule.role),
            rules=self._rules(rule, item, scope, frozenset()),
            load=_load_name(rule),
            origin=str(origin) if origin else None,
        )
        if choice.chosen is None:
            raise _no_device(str(rule.role), choice)
        return choice

    def stays(self, rule: Assign, item: ResourceItem, where: str, scope: Values) -> None:
        """Make sure that a port or device carries what its customer takes from now on. Raises NoPortFits."""
        name = _load_name(rule)
        more = _demand(scope["self"], name) - _demand(item.before, name)
        if name is None or more <= 0:
            return
        load = self._load(rule, scope, more)
        turned = choosing.outgrown(self._tx, where, load, name) if load else None
        if turned is not None:
            raise NoPortFits(
                f"{where} cannot carry {more:g} more {name} for item {item.id} ({turned.why}); "
                "order less, or move the line elsewhere.",
                details={"node": where, "code": turned.code, "why": turned.why},
            )

    def _rules(
        self, rule: Assign, item: ResourceItem, scope: Values, lost: frozenset[str]
    ) -> Rules:
        limit = rule.capacity.limit if rule.capacity else None
        devices = rule.choose == "device"
        return Rules(
            policy=_policy(rule),
            limit=_number(limit, scope) if limit is not None else None,
            load=self._load(rule, scope, _demand(scope["self"], _load_name(rule))),
            require=tuple(_condition(text, scope) for text in rule.require),
            prefer=tuple(_condition(text, scope) for text in rule.prefer),
            affinity=tuple(self._affinity(one, rule, item, scope) for one in rule.affinity),
            lost=lost,
            added=self._added({}) if devices else {},
        )

    def _load(self, rule: Assign, scope: Values, demand: float) -> Load | None:
        name = _load_name(rule)
        if name is None or rule.capacity is None or rule.capacity.ceiling is None:
            return None
        return Load(demand, _number(rule.capacity.ceiling, scope), self._loads(name))

    def _loads(self, name: str) -> dict[str, float]:
        """Return what earlier items of the order have put on ports and devices; the store does not know yet."""
        loads: dict[str, float] = {}
        for placed in self._placed:
            more = _demand(placed.values, name) - _demand(placed.item.before, name)
            for node in placed.names:
                loads[node] = loads.get(node, 0) + more
        return loads

    def _added(self, counts: dict[str, int]) -> dict[str, int]:
        for placed in self._placed:
            for node in placed.names if placed.item.before is None else ():
                counts[node] = counts.get(node, 0) + 1
        return counts

    def _affinity(
        self, one: Affinity, rule: Assign, item: ResourceItem, scope: Values
    ) -> placement.Affinity:
        role = rule.role if rule.choose == "device" else None
        where = ground(self._tx, self._companions(one.whose, item, scope), role)
        word = "near" if one.near else "away from"
        return placement.Affinity(
            text=f"{word} {one.whose} ({one.on})",
            names=_on(where, one.on),
            near=one.near is not None,
            on=one.on,
            must=one.strength == "must",
        )

    def _companions(self, whose: str, item: ResourceItem, scope: Values) -> set[str]:
        """Return what the resources of a place, a line or a role name; nodes are among it."""
        besides = self._leaving | {item.resource}
        match whose:
            case Affinity.PLACE:
                stored = standing(self._tx, besides, place=item.place, not_line=item.line)
                return stored | self._ordered(
                    p
                    for p in self._placed
                    if p.item.place == item.place and p.item.line != item.line
                )
            case Affinity.LINE:
                stored = standing(self._tx, besides, line=item.line)
                return stored | self._ordered(p for p in self._placed if p.item.line == item.line)
            case role:
                return _texts((scope["ref"].get(role) or {}).values())

    def _ordered(self, placed: Iterable[_Placed]) -> set[str]:
        return set().union(*(one.names for one in placed))


def found_by(choice: PortChoice) -> Json:
    """Return the characteristics that a chosen port gives, by name."""
    return {
        "ponPort": choice.port,
        "olt": choice.device,
        "router": choice.router,
        "routerDownlink": choice.router_downlink,
        "routerUplink": choice.router_uplink,
        "bng": choice.bng,
        "bngPort": choice.bng_port,
    }


def leading(rules: Collection[Assign]) -> Assign | None:
    """Return the rule that says how a resource's port is chosen: the first that says anything, else the first."""
    ports = [rule for rule in rules if rule.choose == "ponPort"]
    return next((rule for rule in ports if rule.places), ports[0] if ports else None)


def promised(item: ResourceItem) -> Json:
    """Return what a changed resource will take of ports and devices, where that is more than it takes now."""
    names = {name for rule in item.spec.assign if (name := _load_name(rule))}
    wanted = {name: _demand(item.after, name) for name in sorted(names)}
    return {name: value for name, value in wanted.items() if value > _demand(item.before, name)}


def _policy(rule: Assign) -> Policy:
    default: Policy = "best-fit" if rule.choose == "ponPort" else "fill"
    policy = rule.policy or default
    assert policy in get_args(Policy)
    return policy


def _load_name(rule: Assign) -> str | None:
    return rule.capacity.load if rule.capacity else None


def _on(where: Ground, on: str) -> frozenset[str]:
    return {"port": where.ports, "device": where.devices, "site": where.sites}[on]


def _condition(text: str, scope: Values) -> Condition:
    expression = Expression(text)

    def holds(candidate: Attributes) -> bool:
        return expression.holds({**scope, **candidate})

    return Condition(text, holds)


def _number(text: str, scope: Values) -> Number:
    expression = Expression(text)

    def number(candidate: Attributes) -> int | float | None:
        value = expression.evaluate({**scope, **candidate})
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ExpressionFailed(
                f"{text!r} is used as a capacity but gives {type(value).__name__}; give a number or null."
            )
        return value

    return number


def _demand(values: Values | None, name: str | None) -> float:
    """Return what a resource with these values takes; what has no number takes nothing."""
    value = (values or {}).get(name or "")
    return value if isinstance(value, int | float) else 0


def _texts(values: Iterable[Any]) -> set[str]:
    return {value for value in values if isinstance(value, str)}


def _no_device(role: str, choice: Choice) -> NoDeviceOfRole:
    told = "; ".join(f"{one['device']}: {one['why']}" for one in choice.reason["rejected"])
    return NoDeviceOfRole(
        f"No device of role {role!r} may be used ({told or 'there is none'}); "
        "import one (turnup device import), set one to managed, or change the catalog's rule.",
        details={"role": role, "rejected": choice.reason["rejected"]},
    )
