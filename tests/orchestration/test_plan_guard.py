"""The rules of the plan's guard, each with the number just under it and the number just over it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestration.plan_guard import Facts, Limits, reasons_to_hold

LIMITS = Limits()
CALM = Facts(sends="traits", first=False, ops=10, max_first=0, told=1000, told_there=1000)
MEMBERS = replace(CALM, sends="membership", counted=10, destination="iterable")


def rules(facts: Facts, limits: Limits = LIMITS) -> list[str]:
    return [rule for rule, _ in reasons_to_hold(facts, limits)]


@pytest.mark.parametrize(
    ("passes", "holds", "rule"),
    [
        (
            replace(CALM, first=True, ops=10, max_first=10),
            replace(CALM, first=True, ops=11, max_first=10),
            "first",
        ),
        (
            replace(CALM, first=True, ops=0, max_first=10, renamed="old"),
            replace(CALM, first=True, ops=1, max_first=10, renamed="old"),
            "renamed",
        ),
        (replace(CALM, new=1000), replace(CALM, new=1001), "new"),
        (replace(CALM, new=500, told=3), replace(CALM, new=501, told=3), "new"),
        (
            replace(CALM, new=2000, told=3, max_first=2000),
            replace(CALM, new=2001, told=3, max_first=2000),
            "new",
        ),
        (replace(CALM, lost=200), replace(CALM, lost=201), "lost"),
        (replace(CALM, lost=10, told=20), replace(CALM, lost=11, told=20), "lost"),
        (replace(CALM, gone=200), replace(CALM, gone=201), "gone"),
        (
            replace(CALM, updates=3000, usual=1000),
            replace(CALM, updates=3001, usual=1000),
            "updates",
        ),
        (replace(CALM, updates=1000, usual=1), replace(CALM, updates=1001, usual=1), "updates"),
        (
            replace(CALM, empties=(("plan", 0.1, 0.29),), profiles=1000),
            replace(CALM, empties=(("plan", 0.1, 0.31),), profiles=1000),
            "empty plan",
        ),
        (
            replace(CALM, empties=(("plan", 0.0, 1.0),), profiles=10),
            replace(CALM, empties=(("plan", 0.0, 1.0),), profiles=11),
            "empty plan",
        ),
        (
            replace(MEMBERS, counted=400, of_the_day=600),
            replace(MEMBERS, counted=400, of_the_day=601),
            "daily",
        ),
        (
            replace(MEMBERS, counted=3000, told_there=10_000),
            replace(MEMBERS, counted=3001, told_there=10_000),
            "daily",
        ),
        (
            replace(MEMBERS, counted=7000, days=7.0),
            replace(MEMBERS, counted=7001, days=7.0),
            "daily",
        ),
        (replace(MEMBERS, doubtful=0), replace(MEMBERS, doubtful=1), "doubt"),
    ],
)
def test_each_rule_has_its_edge(passes: Facts, holds: Facts, rule: str) -> None:
    assert rules(passes) == []
    assert rules(holds) == [rule]


def test_what_was_never_told_is_new_however_small_the_first_plan_was() -> None:
    assert rules(replace(CALM, first=True, ops=3, max_first=10)) == []
    assert rules(replace(CALM, new=50_000, told=3, max_first=10_000)) == ["new"]


def test_events_may_be_new_at_any_number() -> None:
    assert rules(replace(CALM, sends="events", new=50_000, told=0)) == []


def test_a_change_of_the_mapping_is_said_with_the_updates() -> None:
    ((_, said),) = reasons_to_hold(
        replace(CALM, updates=9000, usual=10, mapping_changed=True), LIMITS
    )
    assert "mapping" in said


def test_a_destination_has_its_own_cap() -> None:
    many = replace(MEMBERS, counted=60, told_there=1_000_000)
    assert rules(many, Limits(daily_changes=60)) == []
    assert rules(many, Limits(daily_changes=59)) == ["daily"]
    assert rules(replace(many, of_the_day=1), Limits(daily_changes=60)) == ["daily"]


def test_nothing_approved_is_counted_twice() -> None:
    """Only what a plan adds is held for the day: without it there is nothing to hold."""
    assert rules(replace(MEMBERS, counted=0, of_the_day=1_000_000)) == []


def test_a_mapped_column_of_members_has_its_usual_too() -> None:
    facts = replace(MEMBERS, usual=1_000.0, updates=3_001)
    assert [rule for rule, _ in reasons_to_hold(facts, Limits())] == ["updates"]
    assert reasons_to_hold(replace(facts, updates=3_000), Limits()) == []
