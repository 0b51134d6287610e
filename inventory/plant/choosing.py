"""Choose an access port for a place, or a device of a role: read what there is, choose, and hold on to the choice.

Two orders that want the last place on a port at the same moment get it one after the other: whoever chose it locks
it, looks again, and chooses again when it is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inventory.counting.usage import pool_id
from inventory.errors import NoAccessPath, NoPortFits, PoolExhausted
from inventory.plant.candidates import Ports, devices, lock_device, lock_port
from inventory.plant.connectivity import Hop, Reach, place_id, reachable, technology_of
from inventory.plant.placement import (
    PORT,
    Candidate,
    Choice,
    Load,
    Rules,
    Subject,
    Turned,
    choose,
    fits,
)
from inventory.plant.registry import get
from inventory.values.kinds import kinds
from store import Rx, Tx

_ROUTER_ROLE = "router"
_NO_HOP = Hop("", None, None, None)
_BY_RULE = frozenset(
    {"REQUIREMENT_NOT_MET", "AFFINITY_NOT_MET", "LIMIT_REACHED", "CEILING_REACHED"}
)
_FULL = frozenset({"FULL", "TAKEN_MEANWHILE", "POOL_DRAINING"})


@dataclass(frozen=True, slots=True)
class PortChoice:
    """The chosen access port with all that lies on its way to the edge; port names of router and BNG are bare.

    `reason` is that of `placement.Choice`.
    """

    port: str
    device: str
    technology: str
    router: str | None
    router_downlink: str | None
    router_uplink: str | None
    bng: str
    bng_port: str | None
    reason: dict[str, Any]


def choose_port(
    rx: Rx,
    place: str | None,
    technology: str | None,
    *,
    rules: Rules | None = None,
    load: str | None = None,
) -> PortChoice:
    """Choose the access port for a place; in a writing transaction nobody else gets its last place meanwhile.

    Args:
        rx: the transaction.
        place: id (or name) of the place.
        technology: GPON, XGS-PON …; None: any.
        rules: what the catalog says; None: best fit by free ids.
        load: the characteristic whose sum is a port's load.

    Raises:
        NoAccessPath: NO_ACCESS_PATH, no fibre of this technology reaches the place, or none that may be used.
        PoolExhausted: POOL_EXHAUSTED, all reachable ports are full; the pools are named.
        NoPortFits: NO_PORT_FITS, the catalog's rules turn down every port that is not full.

    """
    rules = rules or Rules()
    fitting, others = _reached(rx, place, technology)
    foreign = [_foreign(reach, str(technology)) for reach in others]
    kind = f"reachable {technology} port" if technology else PORT.one
    subject, known = replace(PORT, one=kind, several=f"{kind}s"), Ports.read(rx, fitting, load)

    def look() -> Choice:
        return choose([*known.candidates(rx), *foreign], rules, subject)

    choice = _held(rx, look, lock_port)
    if choice.chosen is None:
        raise _nothing_left(str(place), technology, choice)
    return _port_choice(choice.chosen, known.routes[choice.chosen.device], choice.reason)


def choose_device(
    rx: Rx,
    role: str,
    *,
    rules: Rules | None = None,
    load: str | None = None,
    origin: str | None = None,
) -> Choice:
    """Choose a device of a role; `chosen` is None when none may be used.

    Args:
        rx: the transaction.
        role: the role.
        rules: what the catalog says; None: the first managed one by name.
        load: the characteristic whose sum over the resources on a device is its load.
        origin: the device from which hops are counted.

    """
    rules = rules or Rules("fill")
    asked = bool(rules.limit or rules.require or rules.prefer)
    counted = asked or rules.policy in {"best-fit", "spread"}
    subject = Subject(
        "device", f"device of role {role}", f"devices of role {role}", "that may be used"
    )

    def look() -> Choice:
        found = devices(rx, role, load=load, origin=origin, counted=counted)
        return choose(found, rules, subject)

    return _held(rx, look, lock_device if rules.limit or rules.load else None)


def outgrown(tx: Tx, name: str, load: Load, characteristic: str) -> Turned | None:
    """Say why a port or device cannot carry `load.demand` more of a customer that it has already, or None.

    Args:
        tx: the transaction; nobody else may fill it up until it ends.
        name: `device/port`, or a device.
        load: how much more, and the ceiling.
        characteristic: the one whose sum is the load.

    """
    return fits(_loaded(tx, name, characteristic), Rules("fill", load=load))


def _loaded(tx: Tx, name: str, characteristic: str) -> Candidate:
    device, _, port = name.partition("/")
    if not port:
        lock_device(tx, name)
        role = get(tx, name).role
        found = next(d for d in devices(tx, role, load=characteristic) if d.name == name)
    else:
        lock_port(tx, name)
        reach = Reach(name, device, technology_of(tx, name) or "", (name,))
        (found,) = Ports.read(tx, [reach], characteristic).candidates(tx)
    return replace(found, free=None, fault=None)


def qualify(rx: Rx, place: str) -> list[dict[str, Any]]:
    """Return what a place can have: per technology the ports that could serve it and their free values."""
    found: dict[str, list[Candidate]] = {}
    for one in Ports.read(rx, reachable(rx, place)).candidates(rx):
        found.setdefault(str(one.technology), []).append(one)
    usable = {
        technology: [one.free or 0 for one in ports_ if one.fault is None and one.free]
        for technology, ports_ in sorted(found.items())
    }
    return [
        {"technology": technology, "ports": len(free), "free": sum(free)}
        for technology, free in usable.items()
    ]


def alternatives(rx: Rx, place: str, technology: str) -> list[dict[str, Any]]:
    """Return the other technologies with room at a place, most free values first."""
    others = [q for q in qualify(rx, place) if q["technology"] != technology and q["free"] > 0]
    return sorted(others, key=lambda q: (-q["free"], q["technology"]))


def _held(rx: Rx, look: Callable[[], Choice], lock: Callable[[Tx, str], bool] | None) -> Choice:
    """Look, lock what was chosen, and look again until it is the same: a lock for each candidate at most."""
    choice, locked = look(), set[str]()
    while isinstance(rx, Tx) and lock and choice.chosen and choice.chosen.name not in locked:
        locked.add(choice.chosen.name)
        if lock(rx, choice.chosen.name):
            choice = look()
    return choice


def _reached(rx: Rx, place: str | None, technology: str | None) -> tuple[list[Reach], list[Reach]]:
    """Return the ports that reach a place: those of the technology, and the others."""
    reached = [] if place is None else reachable(rx, place)
    if place is None or (not reached and place_id(rx, place) is None):
        raise NoAccessPath(
            f"Place {place!r} is not known to the connectivity graph; import the topology that has it, "
            "or correct the place of the order.",
            details={"place": place},
        )
    fitting = [reach for reach in reached if technology in {None, reach.technology}]
    if not fitting:
        raise _no_fibre(place, technology, reached)
    return fitting, [reach for reach in reached if reach not in fitting]


def _no_fibre(place: str, technology: str | None, reached: Sequence[Reach]) -> NoAccessPath:
    others = sorted({reach.technology for reach in reached})
    has = f"it has {', '.join(others)}" if others else "no access port is connected with it"
    return NoAccessPath(
        f"No {technology or 'access'} port reaches place {place}: {has}; order what it has, or connect it.",
        details={"place": place, "technology": technology, "available": others},
    )


def _foreign(reach: Reach, wanted: str) -> Candidate:
    why = Turned("WRONG_TECHNOLOGY", f"is {reach.technology}, {wanted} is wanted")
    return Candidate(reach.port, reach.device, technology=reach.technology, fault=why)


def _nothing_left(
    place: str, technology: str | None, choice: Choice
) -> PoolExhausted | NoAccessPath | NoPortFits:
    turned = {name: t for name, t in choice.turned.items() if t.code != "WRONG_TECHNOLOGY"}
    told = "; ".join(
        f"{one['port']}: {one['why']}" for one in choice.reason["rejected"] if one["port"] in turned
    )
    details = {"place": place, "technology": technology, "rejected": choice.reason["rejected"]}
    kind = f"{technology} port" if technology else "access port"
    if any(t.code in _BY_RULE for t in turned.values()):
        return NoPortFits(
            f"The catalog's rules turn down every {kind} that reaches place {place} ({told}); "
            "connect another port, cease what is not used, or change the rule.",
            details=details,
        )
    full = [name for name, t in turned.items() if t.code in _FULL]
    if not full:
        return NoAccessPath(
            f"No {kind} of place {place} may be used ({told}); "
            "set the device back to managed, or connect another.",
            details=details,
        )
    per_port = [kind_.name for kind_ in kinds().values() if kind_.per_port]
    return PoolExhausted(
        f"All {kind}s that reach place {place} are full ({told}); "
        "connect another port, or cease what is not used.",
        details={**details, "pools": [pool_id(name, port) for port in full for name in per_port]},
    )


def _port_choice(chosen: Candidate, route: tuple[Hop, ...], reason: dict[str, Any]) -> PortChoice:
    router = next((hop for hop in route if hop.role == _ROUTER_ROLE), _NO_HOP)
    edge = route[-1]
    return PortChoice(
        port=chosen.name,
        device=chosen.device,
        technology=str(chosen.technology),
        router=router.device or None,
        router_downlink=router.in_port,
        router_uplink=router.out_port,
        bng=edge.device,
        bng_port=edge.in_port,
        reason=reason,
    )


__all__ = [
    "PortChoice",
    "alternatives",
    "choose_device",
    "choose_port",
    "outgrown",
    "qualify",
]
