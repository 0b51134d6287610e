"""The state of an order is a fold of its items' states (pure; TMF622, 641 and 652 share the states)."""

from __future__ import annotations

from collections.abc import Collection

from orders.model import CANCELLING, FINAL, State

_ALIKE = (State.COMPLETED, State.CANCELLED, State.REJECTED)


def fold(current: State, items: Collection[State]) -> State:
    """Return an order's state from the one it has and those of its items.

    A final order stays final. A cancellation asked for ends when all items are final; while it is pending a
    completed item counts as not yet undone. Otherwise the first that applies: cancellation of an item, held
    (others go on), pending, in progress.
    """
    if current in FINAL or not items:
        return current
    states = set(items)
    undoing = current is State.PENDING_CANCELLATION and State.COMPLETED in states
    if states <= FINAL and not undoing:
        return _final(states)
    return current if current in CANCELLING else _running(current, states)


def _running(current: State, states: set[State]) -> State:
    for state in (State.PENDING_CANCELLATION, State.ASSESSING_CANCELLATION, State.HELD):
        if state in states:
            return state
    if states == {State.ACKNOWLEDGED}:
        return State.IN_PROGRESS if current is State.HELD else current
    return State.PENDING if State.PENDING in states else State.IN_PROGRESS


def _final(states: set[State]) -> State:
    for alike in _ALIKE:
        if states == {alike}:
            return alike
    return State.PARTIAL if State.COMPLETED in states else State.FAILED
