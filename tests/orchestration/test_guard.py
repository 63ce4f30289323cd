from __future__ import annotations

import pytest

from orchestration.guard import Change, reasons_to_hold, reasons_to_hold_plan


def change(before: int, members: int, *, first: bool = False) -> Change:
    entered, exited = max(0, members - before), max(0, before - members)
    return Change("re_engagement", first, before, members, entered, exited)


@pytest.mark.parametrize(
    ("before", "members", "words"),
    [
        (10, 0, ["re_engagement", "empty", "10"]),
        (1_234_567, 0, ["empty", "1,234,567"]),
        (10, 1, ["10 to 1 ", "9 would leave"]),
        (5_000, 500, ["5,000 to 500", "4,500 would leave"]),
    ],
)
def test_an_audience_that_all_but_vanished_is_held(
    before: int, members: int, words: list[str]
) -> None:
    (reason,) = reasons_to_hold(change(before, members))
    assert all(word in reason for word in words), reason


@pytest.mark.parametrize(
    ("before", "members"), [(9, 0), (9, 9), (0, 0), (100, 100), (100, 95), (100, 105), (11, 10)]
)
def test_an_ordinary_change_is_not(before: int, members: int) -> None:
    assert reasons_to_hold(change(before, members)) == []


def test_the_first_evaluation_sends_nothing_and_is_not_guarded() -> None:
    assert reasons_to_hold(change(0, 1_000_000, first=True)) == []
    assert reasons_to_hold(change(0, 0, first=True)) == []


@pytest.mark.parametrize(
    ("ops", "max_first", "held"),
    [(1, 0, True), (0, 0, False), (10_000, 10_000, False), (10_001, 10_000, True)],
)
def test_the_first_plan_of_a_sync_is_held_above_its_limit(
    ops: int, max_first: int, held: bool
) -> None:
    reasons = reasons_to_hold_plan(first=True, ops=ops, max_first=max_first)
    assert bool(reasons) is held
    assert all(f"{ops:,}" in reason and "max_first" in reason for reason in reasons)
    assert reasons_to_hold_plan(first=False, ops=ops, max_first=max_first) == []
