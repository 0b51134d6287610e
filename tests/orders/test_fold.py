"""The fold of item states into the order's state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.fold import fold
from orders.model import CANCELLING, FINAL, State

S = State
ITEM_STATES = st.sampled_from([state for state in State if state is not State.PARTIAL])


@pytest.mark.parametrize(
    ("current", "items", "expected"),
    [
        (S.ACKNOWLEDGED, [S.ACKNOWLEDGED, S.ACKNOWLEDGED], S.ACKNOWLEDGED),
        (S.ACKNOWLEDGED, [S.IN_PROGRESS, S.ACKNOWLEDGED], S.IN_PROGRESS),
        (S.IN_PROGRESS, [S.COMPLETED, S.ACKNOWLEDGED], S.IN_PROGRESS),
        (S.IN_PROGRESS, [S.ACKNOWLEDGED], S.IN_PROGRESS),
        (S.PENDING, [S.ACKNOWLEDGED], S.PENDING),
        (S.HELD, [S.ACKNOWLEDGED], S.IN_PROGRESS),
        (S.IN_PROGRESS, [S.PENDING, S.IN_PROGRESS], S.PENDING),
        (S.IN_PROGRESS, [S.HELD, S.IN_PROGRESS, S.PENDING], S.HELD),
        (S.IN_PROGRESS, [S.HELD, S.PENDING_CANCELLATION], S.PENDING_CANCELLATION),
        (S.ASSESSING_CANCELLATION, [S.HELD, S.IN_PROGRESS], S.ASSESSING_CANCELLATION),
        (S.PENDING_CANCELLATION, [S.CANCELLED, S.IN_PROGRESS], S.PENDING_CANCELLATION),
        (S.PENDING_CANCELLATION, [S.CANCELLED, S.COMPLETED], S.PENDING_CANCELLATION),
        (S.PENDING_CANCELLATION, [S.CANCELLED, S.CANCELLED], S.CANCELLED),
        (S.PENDING_CANCELLATION, [S.CANCELLED, S.FAILED], S.FAILED),
        (S.IN_PROGRESS, [S.COMPLETED, S.COMPLETED], S.COMPLETED),
        (S.IN_PROGRESS, [S.COMPLETED, S.FAILED], S.PARTIAL),
        (S.IN_PROGRESS, [S.COMPLETED, S.CANCELLED], S.PARTIAL),
        (S.IN_PROGRESS, [S.FAILED, S.FAILED], S.FAILED),
        (S.IN_PROGRESS, [S.FAILED, S.CANCELLED], S.FAILED),
        (S.ACKNOWLEDGED, [S.REJECTED], S.REJECTED),
        (S.ACKNOWLEDGED, [], S.ACKNOWLEDGED),
        (S.REJECTED, [S.IN_PROGRESS], S.REJECTED),
    ],
)
def test_table(current: State, items: list[State], expected: State) -> None:
    assert fold(current, items) is expected


@given(current=st.sampled_from(list(State)), items=st.lists(ITEM_STATES, min_size=1))
def test_final_only_when_all_items_are(current: State, items: list[State]) -> None:
    state = fold(current, items)
    if current in FINAL:
        assert state is current
    elif state in FINAL:
        assert set(items) <= FINAL
    elif current is not State.PENDING_CANCELLATION:
        assert not set(items) <= FINAL


@given(current=st.sampled_from(list(State)), items=st.lists(ITEM_STATES, min_size=1))
def test_a_held_item_shows(current: State, items: list[State]) -> None:
    if State.HELD in items and current not in FINAL:
        assert fold(current, items) in CANCELLING | {State.HELD}


@given(current=st.sampled_from(list(State)), items=st.lists(ITEM_STATES), seed=st.randoms())
def test_the_order_of_items_does_not_matter(
    current: State, items: list[State], seed: object
) -> None:
    shuffled = list(items)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fold(current, items) is fold(current, shuffled)
