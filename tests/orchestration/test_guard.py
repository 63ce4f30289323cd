"""Every rule of the guard at its edge: what is held, what is not, and the sentence for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from orchestration.audience_options import GuardLimits
from orchestration.guard import (
    DayOfEvents,
    Facts,
    Reason,
    Window,
    reasons_to_hold,
)

LIMITS = GuardLimits()
QUIET = Facts(
    audience="lapsed", before=1000, members=1000, entered=0, exited=0, base=5000, base_before=5000
)
SUNDAY = DayOfEvents(date(2026, 3, 1), events=500, median=1000.0, days=8)


def held(limits: GuardLimits = LIMITS, **changes: object) -> list[Reason]:
    return reasons_to_hold(replace(QUIET, **changes), limits)  # type: ignore[arg-type]


def moved(before: int, members: int, **more: object) -> dict[str, object]:
    entered, exited = max(0, members - before), max(0, before - members)
    return {"before": before, "members": members, "entered": entered, "exited": exited, **more}


# rule, what holds, what just does not, words of the sentence
EDGES = [
    ("empty", moved(10, 0), moved(9, 0), ["became empty", "all 10 members"]),
    ("empty", moved(1_234_567, 0), moved(0, 0), ["1,234,567"]),
    ("empty", moved(100, 10, exited=0), moved(100, 11, exited=0), ["100 to 10 ", "90 would leave"]),
    ("exits", moved(100, 79), moved(100, 80), ["21 of 100", "21%", "limit is 20", "max_exits 20%"]),
    ("exits", moved(20, 9), moved(20, 10), ["11 of 20", "limit is 10", "min_exits"]),
    ("exits", {"exited": 361, "exit_days": 2.0}, {"exited": 360, "exit_days": 2.0}, ["36%", "2.0"]),
    ("enters", moved(600, 1201), moved(600, 1200), ["601 users", "600", "max_enters 100%"]),
    ("enters", moved(0, 501), moved(0, 500), ["501", "had 0", "min_enters"]),
    ("enters", moved(600, 4801, enter_days=7.0), moved(600, 4800, enter_days=7.0), ["700%"]),
    ("base", {"base": 4000}, {"base": 4001}, ["4,000 users", "20% fewer", "5,000"]),
    ("base", {"base": 40, "base_before": 50}, {"base": 11, "base_before": 20}, ["40 users"]),
    (
        "base", {"base": 3200, "base_days": 2.0}, {"base": 3201, "base_days": 2.0}, ["36%"],
    ),
    (
        "day_exits",
        {"exited": 50, "day_exits": Window(1000, 151, users=11)},
        {"exited": 50, "day_exits": Window(1000, 150, users=11)},
        ["50 members", "after 151", "24 hours", "201 of 1,000", "limit is 200"],
    ),
    (
        "day_exits",
        {"exited": 1, "day_exits": Window(1000, 900, users=11)},
        {"exited": 1, "day_exits": Window(1000, 900, users=10)},
        ["90%"],
    ),
    (
        "day_exits",
        {"exited": 61, "day_exits": Window(1000, 300, users=99, days=2.0)},
        {"exited": 60, "day_exits": Window(1000, 300, users=99, days=2.0)},
        ["2.0 days", "361 of 1,000"],
    ),
    (
        "day_enters",
        {"entered": 101, "day_enters": Window(1000, 900, users=501)},
        {"entered": 100, "day_enters": Window(1000, 900, users=501)},
        ["101 users", "after 900", "1,001 on top of 1,000"],
    ),
    (
        "day_enters",
        {"entered": 101, "day_enters": Window(1000, 900, users=501)},
        {"entered": 101, "day_enters": Window(1000, 900, users=500)},
        ["1,001"],
    ),
    (
        "week",
        {"members": 500, "exited": 1, "week": Window(1000, days=7.0)},
        {"members": 501, "exited": 1, "week": Window(1000, days=7.0)},
        ["1,000 members 7 days ago", "500", "50%", "max_week_drop"],
    ),
    (
        "week",
        {"before": 20, "members": 9, "exited": 1, "week": Window(20)},
        {"before": 20, "members": 10, "exited": 1, "week": Window(20)},
        ["20 members 1 day ago"],
    ),
    (
        "week",
        {"members": 500, "exited": 1, "week": Window(1000)},
        {"members": 500, "exited": 0, "entered": 1, "week": Window(1000)},
        ["1,000"],
    ),
    (
        "half_loaded 2026-03-01",
        {"events": (replace(SUNDAY, events=499),)},
        {"events": (SUNDAY,)},
        ["499 events", "Sunday 2026-03-01", "8 earlier Sundays", "1,000", "50%"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "over", "at", "words"), EDGES)
def test_each_rule_at_its_edge(
    rule: str, over: dict[str, object], at: dict[str, object], words: list[str]
) -> None:
    (reason,) = held(**over)
    assert reason.rule == rule
    assert all(word in reason.sentence for word in words), reason.sentence
    assert held(**at) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"entered": 1, "day_exits": Window(1000, 900, users=500)},  # nobody leaves now
        {"exited": 1, "day_enters": Window(1000, 2000, users=1500)},  # nobody enters now
        {"entered": 1500, "members": 2500, "before": 1500,
         "day_enters": Window(1000, 1000, users=2500, days=3.0)},
    ],
)  # fmt: skip
def test_what_a_day_adds_up_to_is_not_held(changes: dict[str, object]) -> None:
    assert held(**changes) == []


def test_a_limit_of_a_share_is_rounded_as_people_do() -> None:
    limits = GuardLimits.model_validate({"min_members": "29%", "max_exits": "100%"})
    assert [reason.rule for reason in held(limits, **moved(100, 29))] == ["empty"]


def test_a_weekly_run_is_not_held_for_a_weeks_change() -> None:
    week: dict[str, object] = {"exit_days": 7.0, "enter_days": 7.0, "base_days": 7.0}
    assert held(**week, exited=790, members=210, entered=500, base=1100) == []
    assert held(**week, exited=790, members=400, week=Window(1000, days=7.0)) == []
    assert [r.rule for r in held(**week, exited=791, members=209)] == ["exits"]


def test_a_limit_above_all_of_them_lets_everybody_come_and_go() -> None:
    limits = GuardLimits.model_validate({"max_exits": "150%"})
    window = Window(1000, 1400, users=700, days=2.5)
    assert held(limits, exited=100, members=900, exit_days=2.5, day_exits=window) == []
    more = replace(window, changes=1401)
    reasons = held(limits, exited=100, members=900, exit_days=2.5, day_exits=more)
    assert [reason.rule for reason in reasons] == ["day_exits"]


def test_one_sentence_about_leaving_and_one_about_entering() -> None:
    windows = {"day_exits": Window(1000, 900, 900), "day_enters": Window(1000, 1500, 900)}
    reasons = held(
        members=0, exited=1000, entered=1001, base=10, events=(SUNDAY, replace(SUNDAY, events=1)),
        week=Window(1000), **windows,
    )  # fmt: skip
    assert [reason.rule for reason in reasons] == [
        "empty",
        "enters",
        "base",
        "half_loaded 2026-03-01",
    ]


CHANGED = [
    ({"max_exits": "60%"}, {"members": 400, "exited": 1, "week": Window(1000)},
     {"members": 401, "exited": 1, "week": Window(1000)}, "60%"),
    ({"max_exits": 5}, moved(1000, 994), moved(1000, 995), "max_exits"),
    ({"max_exits": 0}, moved(1000, 999), moved(1000, 1000), "limit is 0"),
    ({"max_exits": "50%"}, moved(100, 49), moved(100, 50), "max_exits 50%"),
    ({"min_exits": 50}, moved(100, 49), moved(100, 50), "min_exits"),
    ({"max_enters": 2}, moved(100, 103), moved(100, 102), "max_enters"),
    ({"min_enters": 2}, moved(1, 4), moved(1, 3), "min_enters"),
    ({"min_members": "50%", "max_exits": "100%"}, moved(100, 50), moved(100, 51), "50%"),
    ({"max_base_drop": "50%"}, {"base": 2500}, {"base": 2501}, "max_base_drop"),
    ({"max_week_drop": "10%"}, {"members": 900, "exited": 1, "week": Window(1000)},
     {"members": 901, "exited": 1, "week": Window(1000)}, "10%"),
    ({"min_day_events": "90%"}, {"events": (replace(SUNDAY, events=899),)},
     {"events": (replace(SUNDAY, events=900),)}, "90%"),
]  # fmt: skip


@pytest.mark.parametrize(("limits", "over", "at", "word"), CHANGED)
def test_each_limit_is_the_audiences_own(
    limits: dict[str, object], over: dict[str, object], at: dict[str, object], word: str
) -> None:
    said = GuardLimits.model_validate(limits)
    (reason,) = held(said, **over)
    assert word in reason.sentence
    assert held(said, **at) == []
