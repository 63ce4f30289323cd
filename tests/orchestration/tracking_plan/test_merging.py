"""What an import leaves, replaces and takes away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.tracking_plan.merging import merge
from orchestration.tracking_plan.names import event_key
from orchestration.tracking_plan.rows import PlanRow, in_order
from tests.orchestration.tracking_plan.plans import plans

THERE = [
    PlanRow("session_started", enforcement="block"),
    PlanRow("session_started", "plan", ("string",)),
    PlanRow("Paid", enforcement="alert"),
    PlanRow("Paid", "sum", ("number",), True),
    PlanRow("Ours"),
]
GIVEN = [
    PlanRow("Session Started"),
    PlanRow("Session Started", "platform", ("string",)),
    PlanRow("Paid"),
    PlanRow("Paid", "sum", ("number",), True),
    PlanRow("New"),
]


def test_events_are_replaced_whole_and_keep_name_and_enforcement() -> None:
    merged = merge(THERE, GIVEN, only_given=False)
    assert merged.rows == (
        PlanRow("New"),
        PlanRow("Ours"),
        PlanRow("Paid", enforcement="alert"),
        PlanRow("Paid", "sum", ("number",), True),
        PlanRow("session_started", enforcement="block"),
        PlanRow("session_started", "platform", ("string",)),
    )
    assert (merged.added, merged.changed, merged.removed) == (("New",), ("session_started",), ())
    assert merged.unchanged == ("Ours", "Paid")
    assert merged.respelt == (("Session Started", "session_started"),)


def test_only_the_given_events_stay_if_that_is_asked() -> None:
    merged = merge(THERE, GIVEN, only_given=True)
    assert (merged.removed, merged.unchanged) == (("Ours",), ("Paid",))
    assert PlanRow("session_started", enforcement="block") in merged.rows
    assert "Ours" not in {row.event for row in merged.rows}


def test_a_value_of_another_type_is_a_change() -> None:
    one, true = ([PlanRow("E"), PlanRow("E", "p", allowed_values=(value,))] for value in (1, True))
    assert merge(one, true, only_given=False).changed == ("E",)


@pytest.mark.slow
@given(plans(), plans(), st.booleans())
def test_no_event_is_lost_and_twice_is_once(
    there: list[PlanRow], given_: list[PlanRow], only_given: bool
) -> None:
    merged = merge(there, given_, only_given=only_given)
    keys = [{event_key(row.event) for row in rows} for rows in (there, given_)]
    wanted = keys[1] if only_given else keys[0] | keys[1]
    assert {event_key(row.event) for row in merged.rows} == wanted
    listed = (*merged.added, *merged.changed, *merged.unchanged)
    assert sorted(map(event_key, listed)) == sorted(wanted)
    assert set(map(event_key, merged.removed)) == keys[0] - wanted
    again = merge(merged.rows, given_, only_given=only_given)
    assert not again.differs
    assert again.rows == merged.rows == tuple(in_order(merged.rows))
