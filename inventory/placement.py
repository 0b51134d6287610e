"""Which access port serves a place, and why that one: physics first, then best fit among what is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inventory.connectivity import EDGE_ROLE, Hop, Reach, place_id, reachable, route_to_edge
from inventory.errors import NoAccessPath, PolicyUnknown, PoolExhausted
from inventory.kinds import kinds
from inventory.pools import free_of, pool_id
from inventory.registry import devices, natural
from store import Rx

_ROUTER_ROLE = "router"
_NO_HOP = Hop("", None, None, None)
_POLICIES = {
    "best-fit": ("fewest", 1),
    "spread": ("most", -1),
}


@dataclass(frozen=True, slots=True)
class PortChoice:
    """The chosen access port with all that lies on its way to the edge; port names of router and BNG are bare.

    `reason` is {policy, chosen, because, rejected: [{port, why}]}.
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


@dataclass(frozen=True, slots=True)
class _Candidate:
    reach: Reach
    room: int
    route: tuple[Hop, ...]
    fault: str | None

    @property
    def port(self) -> str:
        return self.reach.port

    @property
    def usable(self) -> bool:
        return self.fault is None and self.room > 0


def choose_port(
    rx: Rx, place: str | None, technology: str, *, policy: str = "best-fit"
) -> PortChoice:
    """Choose the access port for a place.

    Args:
        rx: the transaction.
        place: id (or name) of the place.
        technology: GPON, XGS-PON …
        policy: `best-fit`, the port with the fewest free values that still has room; `spread`, with the most.

    Raises:
        NoAccessPath: NO_ACCESS_PATH, no fibre of this technology reaches the place, or none that may be used.
        PoolExhausted: POOL_EXHAUSTED, all reachable ports are full; the pools are named.
        PolicyUnknown: POLICY_UNKNOWN.

    """
    if policy not in _POLICIES:
        raise PolicyUnknown(
            f"No placement policy {policy!r}; use one of {', '.join(_POLICIES)}.",
            details={"policy": policy},
        )
    candidates = _candidates(rx, _reached(rx, place, technology))
    usable = [one for one in candidates if one.usable]
    if not usable:
        raise _nothing_left(str(place), technology, candidates)
    word, sign = _POLICIES[policy]
    chosen = min(usable, key=lambda one: (sign * one.room, natural(one.port)))
    return _choice(chosen, _reason(chosen, candidates, policy, word))


def qualify(rx: Rx, place: str) -> list[dict[str, Any]]:
    """Return what a place can have: per technology the ports that could serve it and their free values."""
    found: dict[str, list[_Candidate]] = {}
    for one in _candidates(rx, reachable(rx, place)):
        found.setdefault(one.reach.technology, []).append(one)
    return [
        {
            "technology": technology,
            "ports": sum(one.usable for one in ports),
            "free": sum(one.room for one in ports if one.usable),
        }
        for technology, ports in sorted(found.items())
    ]


def alternatives(rx: Rx, place: str, technology: str) -> list[dict[str, Any]]:
    """Return the other technologies with room at a place, most free values first."""
    others = [q for q in qualify(rx, place) if q["technology"] != technology and q["free"] > 0]
    return sorted(others, key=lambda q: (-q["free"], q["technology"]))


def _reached(rx: Rx, place: str | None, technology: str) -> list[Reach]:
    if place is None or place_id(rx, place) is None:
        raise NoAccessPath(
            f"Place {place!r} is not known to the connectivity graph; import the topology that has it, "
            "or correct the place of the order.",
            details={"place": place},
        )
    reached = reachable(rx, place)
    fitting = [reach for reach in reached if reach.technology == technology]
    if not fitting:
        others = sorted({reach.technology for reach in reached})
        has = f"it has {', '.join(others)}" if others else "no access port is connected with it"
        raise NoAccessPath(
            f"No {technology} port reaches place {place}: {has}; order what it has, or connect it.",
            details={"place": place, "technology": technology, "available": others},
        )
    return fitting


def _candidates(rx: Rx, reached: list[Reach]) -> list[_Candidate]:
    if not reached:
        return []
    room = _room(rx, [reach.port for reach in reached])
    states = {device.name: device.admin_state for device in devices(rx)}
    routes = {name: route_to_edge(rx, name) for name in {reach.device for reach in reached}}
    return [
        _Candidate(
            reach=reach,
            room=room[reach.port],
            route=routes[reach.device],
            fault=_fault(reach, states.get(reach.device), routes[reach.device]),
        )
        for reach in reached
    ]


def _room(rx: Rx, ports: list[str]) -> dict[str, int]:
    """Return how many more customers each port can take: the least of its pools decides."""
    per_kind = [free_of(rx, kind.name, ports) for kind in kinds().values() if kind.per_port]
    return {port: min(free.get(port, 0) for free in per_kind) for port in ports}


def _fault(reach: Reach, state: str | None, route: tuple[Hop, ...]) -> str | None:
    if state != "managed":
        return f"{reach.device} is {state or 'not in the device registry'}"
    if not route:
        return f"{reach.device} has no way to a node of role {EDGE_ROLE}"
    return None


def _nothing_left(
    place: str, technology: str, candidates: list[_Candidate]
) -> PoolExhausted | NoAccessPath:
    rejected = [_rejection(one, "") for one in candidates]
    told = "; ".join(f"{entry['port']}: {entry['why']}" for entry in rejected)
    full = [one.port for one in candidates if one.fault is None]
    details = {"place": place, "technology": technology, "rejected": rejected}
    if not full:
        return NoAccessPath(
            f"No {technology} port of place {place} may be used ({told}); "
            "set the device back to managed, or connect another.",
            details=details,
        )
    names = [
        pool_id(kind.name, port) for port in full for kind in kinds().values() if kind.per_port
    ]
    return PoolExhausted(
        f"All {technology} ports that reach place {place} are full ({told}); "
        "connect another port, or cease what is not used.",
        details={**details, "pools": names},
    )


def _reason(
    chosen: _Candidate, candidates: list[_Candidate], policy: str, word: str
) -> dict[str, Any]:
    usable = sum(one.usable for one in candidates)
    because = f"{word} free ids ({chosen.room}) of {usable} reachable {chosen.reach.technology} ports with room"
    if usable == 1:
        because = (
            f"the only reachable {chosen.reach.technology} port with room ({chosen.room} free ids)"
        )
    than = "more" if policy == "best-fit" else "fewer"
    return {
        "policy": policy,
        "chosen": chosen.port,
        "because": because,
        "path": list(chosen.reach.path),
        "rejected": [_rejection(one, than) for one in candidates if one is not chosen],
    }


def _rejection(one: _Candidate, than: str) -> Mapping[str, str]:
    if one.fault is not None:
        why = one.fault
    elif one.room == 0:
        why = "full: no free ids"
    else:
        why = f"{one.room} free ids, {than} than or as many as the chosen port"
    return {"port": one.port, "why": why}


def _choice(chosen: _Candidate, reason: dict[str, Any]) -> PortChoice:
    router = next((hop for hop in chosen.route if hop.role == _ROUTER_ROLE), _NO_HOP)
    edge = chosen.route[-1]
    return PortChoice(
        port=chosen.reach.port,
        device=chosen.reach.device,
        technology=chosen.reach.technology,
        router=router.device or None,
        router_downlink=router.in_port,
        router_uplink=router.out_port,
        bng=edge.device,
        bng_port=edge.in_port,
        reason=reason,
    )
