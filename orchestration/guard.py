"""What is held until somebody approves it: rules over counts, each with a key and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from orchestration.audience_options import GuardLimits, Limit

EMPTY_MINIMUM = 10
WEEK_MINIMUM = 20
BASE_MINIMUM = 10

EXIT_RULES = ("empty", "exits", "day_exits", "week")
ENTER_RULES = ("enters", "day_enters")
BASE_RULES = ("base",)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is held: a stable key and a sentence that a person understands."""

    rule: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Window:
    """What was committed by itself since a point in the past; what was approved is not in it.

    `before` counts the members at that point, corrected by what was approved since; `days` have
    passed since then, at least one. `changes` are enters or exits; `users` are the different ones
    that made them, with those of now.
    """

    before: int
    changes: int = 0
    users: int = 0
    days: float = 1.0


@dataclass(frozen=True, slots=True)
class DayOfEvents:
    """The events of a full day, and the median of so many days of that weekday before it."""

    day: date
    events: int
    median: float
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """An evaluation in numbers.

    `entered` and `exited` leave out users who were merged or suppressed; `before` and `members`
    count everybody, at the last committed point and now. The days are those since that point.
    """

    audience: str
    before: int
    members: int
    entered: int
    exited: int
    base: int
    base_before: int
    exit_days: float = 1.0
    enter_days: float = 1.0
    base_days: float = 1.0
    day_exits: Window | None = None
    day_enters: Window | None = None
    week: Window | None = None
    events: tuple[DayOfEvents, ...] = ()


def reasons_to_hold(facts: Facts, limits: GuardLimits) -> list[Reason]:
    """Return why an evaluation must not take effect by itself; empty if it may.

    Of the rules about leaving, and of those about entering, only the first that applies is said.
    """
    leaving = (
        _vanished(facts, limits)
        or _exits(facts, limits)
        or _day_exits(facts, limits)
        or _week(facts, limits)
    )
    entering = _enters(facts, limits) or _day_enters(facts, limits)
    loads = (_half_loaded(day, limits) for day in facts.events)
    found = (leaving, entering, _base(facts, limits), *loads)
    return [reason for reason in found if reason is not None]


def _vanished(facts: Facts, limits: GuardLimits) -> Reason | None:
    if facts.before < EMPTY_MINIMUM:
        return None
    if facts.members == 0:
        return Reason(
            "empty", f"{facts.audience} became empty: all {facts.before:,} members would leave"
        )
    left = int(limits.min_members * facts.before + 1e-9)
    if facts.members <= left:
        return Reason(
            "empty",
            f"{facts.audience} shrank from {facts.before:,} to {facts.members:,} members: "
            f"{facts.before - facts.members:,} would leave; held at {left:,} or fewer "
            f"(min_members {limits.min_members:.0%})",
        )
    return None


def _exits(facts: Facts, limits: GuardLimits) -> Reason | None:
    allowed, why = _allowed(
        "exits", limits.max_exits, limits.min_exits, facts.before, facts.exit_days, compound=True
    )
    if facts.exited <= allowed:
        return None
    return Reason(
        "exits",
        f"{facts.exited:,} of {facts.before:,} members of {facts.audience} would leave "
        f"({_percent(facts.exited, facts.before)}); the limit is {allowed:,} ({why})",
    )


def _day_exits(facts: Facts, limits: GuardLimits) -> Reason | None:
    window = facts.day_exits
    if window is None or not window.changes or not facts.exited:
        return None
    allowed, why = _allowed(
        "exits", limits.max_exits, limits.min_exits, window.before, window.days, compound=True
    )
    total = window.changes + facts.exited
    if total <= allowed or window.users <= limits.min_exits:
        return None
    return Reason(
        "day_exits",
        f"{facts.exited:,} members of {facts.audience} would leave after {window.changes:,} in the "
        f"{_span(window.days)} before, together {total:,} of {window.before:,} "
        f"({_percent(total, window.before)}); the limit is {allowed:,} ({why})",
    )


def _week(facts: Facts, limits: GuardLimits) -> Reason | None:
    if facts.week is None or facts.week.before < WEEK_MINIMUM or not facts.exited:
        return None
    drop = _compound(limits.week_drop, facts.exit_days)
    few = facts.week.before - facts.members <= limits.min_exits
    if few or facts.members > (1 - drop) * facts.week.before:
        return None
    days = max(1, round(facts.week.days))
    return Reason(
        "week",
        f"{facts.audience} had {facts.week.before:,} members {days} day{'s' * (days > 1)} ago and "
        f"would have {facts.members:,}; a loss of {drop:.0%} or more in a week is held "
        "(max_week_drop)",
    )


def _enters(facts: Facts, limits: GuardLimits) -> Reason | None:
    allowed, why = _allowed(
        "enters",
        limits.max_enters,
        limits.min_enters,
        facts.before,
        facts.enter_days,
        compound=False,
    )
    if facts.entered <= allowed:
        return None
    return Reason(
        "enters",
        f"{facts.entered:,} users would enter {facts.audience}, which had {facts.before:,} "
        f"members; the limit is {allowed:,} ({why})",
    )


def _day_enters(facts: Facts, limits: GuardLimits) -> Reason | None:
    window = facts.day_enters
    if window is None or not window.changes or not facts.entered:
        return None
    allowed, why = _allowed(
        "enters", limits.max_enters, limits.min_enters, window.before, window.days, compound=False
    )
    total = window.changes + facts.entered
    if total <= allowed or window.users <= limits.min_enters:
        return None
    return Reason(
        "day_enters",
        f"{facts.entered:,} users would enter {facts.audience} after {window.changes:,} in the "
        f"{_span(window.days)} before, together {total:,} on top of {window.before:,}; the limit "
        f"is {allowed:,} ({why})",
    )


def _base(facts: Facts, limits: GuardLimits) -> Reason | None:
    lost = facts.base_before - facts.base
    drop = _compound(limits.max_base_drop, facts.base_days)
    if lost < BASE_MINIMUM or lost < drop * facts.base_before - 1e-9:
        return None
    return Reason(
        "base",
        f"user_traits has {facts.base:,} users, {_percent(lost, facts.base_before)} fewer than "
        f"the {facts.base_before:,} of the last 7 days; a loss of {drop:.0%} or more is held "
        "(max_base_drop)",
    )


def _half_loaded(day: DayOfEvents, limits: GuardLimits) -> Reason | None:
    if day.events >= limits.min_day_events * day.median:
        return None
    return Reason(
        f"half_loaded {day.day:%Y-%m-%d}",
        f"only {day.events:,} events are there of {day.day:%A %Y-%m-%d}, where the median of "
        f"{day.days} earlier {day.day:%A}s is {day.median:,.0f}; under "
        f"{limits.min_day_events:.0%} of it the day counts as loaded in part (min_day_events)",
    )


def _allowed(
    name: str, limit: Limit, minimum: int, before: int, days: float, *, compound: bool
) -> tuple[int, str]:
    """Return how many may change, and the words for why."""
    if limit.count is not None:
        return limit.count, f"max_{name}"
    daily = limit.share or 0.0
    share = _compound(daily, days) if compound else daily * days
    of_before = int(share * before + 1e-9)
    if of_before <= minimum:
        return minimum, f"min_{name}"
    over = "" if days == 1 else f", {share:.0%} over {days:.1f} days"
    return of_before, f"max_{name} {daily:.0%} a day{over}"


def _compound(share: float, days: float) -> float:
    """Return the share of one day over several days, each of what the day before left.

    More than all, which users who come and go on one day can be, stays what it is.
    """
    return share if days == 1 or share >= 1 else float(1 - (1 - share) ** days)


def _span(days: float) -> str:
    return f"{days * 24:.0f} hours" if days < 2 else f"{days:.1f} days"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "all new"
