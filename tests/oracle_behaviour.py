"""What users do in a row, in time and compared with others, once more in plain Python.

The second half of `tests/oracle.py`: the same rules, from the definitions in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

Row = dict[str, Any]
DAY = timedelta(days=1)
GAP_FEATURE = "export"
ZONES = available_timezones()


def moment(row: Row) -> tuple[datetime, datetime, str]:
    return row["occurred_at"], row["received_at"], row["row_id"]


def named(events: Iterable[Row], *names: str) -> list[Row]:
    """Return the events of these names in the order in which they happened."""
    return sorted((row for row in events if row["event"] in names), key=moment)


def within(times: Iterable[datetime], as_of: datetime, days: int) -> list[datetime]:
    """Return what lies after as_of - days, up to and with as_of."""
    return [time for time in times if as_of - days * DAY < time <= as_of]


def median_of(values: list[float]) -> float | None:
    return float(median(values)) if values else None


def gaps(times: list[datetime]) -> list[float]:
    """Return the seconds between consecutive times."""
    pairs = pairwise(sorted(times))
    return [(later - earlier) / timedelta(microseconds=1) / 1e6 for earlier, later in pairs]


def gap_median_days(times: list[datetime]) -> float | None:
    middle = median_of(gaps(times))
    return None if middle is None else middle / 86400


def streak(events: list[Row], satisfies: Callable[[Row], bool], after: datetime | None) -> int:
    """Count the latest events in a row that satisfy something, of those after an instant."""
    length = 0
    for row in sorted(events, key=moment, reverse=True):
        if (after is not None and row["occurred_at"] <= after) or not satisfies(row):
            break
        length += 1
    return length


def day_streak(times: list[datetime], as_of: datetime, zone: str = "UTC") -> int:
    """Count the days in a row with a time in them, up to today or yesterday."""

    def day(time: datetime) -> int:
        return time.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date().toordinal()

    days, today = {day(time) for time in times}, day(as_of)
    last = max(days, default=0)
    if last < today - 1:
        return 0
    length = 0
    while last - length in days:
        length += 1
    return length


def sessions(times: list[datetime], minutes: int) -> list[tuple[datetime, datetime, int]]:
    """Return (start, end, events) of each run of times no more than so far apart."""
    runs: list[list[datetime]] = []
    for time in sorted(times):
        if runs and time - runs[-1][-1] <= timedelta(minutes=minutes):
            runs[-1].append(time)
        else:
            runs.append([time])
    return [(run[0], run[-1], len(run)) for run in runs]


def abandoned(events: list[Row], first: str, then: str, hours: int, as_of: datetime) -> Any:
    """Return when the latest `first` was abandoned; only the past counts."""
    began = max((row["occurred_at"] for row in named(events, first)), default=None)
    if began is None or began + timedelta(hours=hours) > as_of:
        return None
    if any(row["occurred_at"] >= began for row in named(events, then)):
        return None
    return began + timedelta(hours=hours)


def best_hour(times: list[datetime], zone: str | None, default: str = "UTC") -> int | None:
    clock = ZoneInfo(zone if zone in ZONES and zone else default)
    hours = Counter(time.replace(tzinfo=UTC).astimezone(clock).hour for time in times)
    return min(hours, key=lambda hour: (-hours[hour], hour), default=None)


def fifths(values: Mapping[str, Any]) -> dict[str, int]:
    """Return 1 to 5 for each user: in which fifth, counted by how many have less."""
    ordered = sorted(values.values())
    rank = {value: index for index, value in reversed(list(enumerate(ordered)))}
    return {user: 1 + 5 * rank[value] // len(ordered) for user, value in values.items()}


def suggestions(
    used: Mapping[str, Mapping[str, datetime]], use_case: Mapping[str, str], as_of: datetime
) -> dict[str, str]:
    """Return the feature to suggest; `used` has when each user last used each feature."""
    popular: dict[str, Counter[str]] = {}
    for user, features in used.items():
        for feature, last in features.items():
            if user in use_case and as_of - 90 * DAY < last <= as_of:
                popular.setdefault(use_case[user], Counter())[feature] += 1
    found = {}
    for user, features in used.items():
        of_others = popular.get(use_case.get(user, ""), Counter())
        unused = [feature for feature in of_others if feature not in features]
        if unused:
            found[user] = min(unused, key=lambda feature: (-of_others[feature], feature))
    return found


def of_user(events: list[Row], as_of: datetime, zone: str | None, left_at: datetime | None) -> Row:
    """Return the behavioural traits that need nobody else."""
    starts = [row["occurred_at"] for row in named(events, "Session Started")]
    recent = within((row["occurred_at"] for row in events), as_of, 30)
    visits = sessions(recent, minutes=30)
    answers = [
        row["properties"].get("response")
        for row in named(events, "Nudge Responded")
        if as_of - 90 * DAY < row["occurred_at"] <= as_of
    ]
    gap = [
        row["occurred_at"]
        for row in named(events, "Feature Used")
        if row["properties"].get("feature_name") == GAP_FEATURE
    ]
    lengths = [(end - start) / timedelta(seconds=1) for start, end, _ in visits]
    return {
        "days_since_gap_feature": (as_of - max(gap)) / DAY if gap else None,
        "session_gap_median_days": gap_median_days(starts),
        "short_session_streak": streak(named(events, "Session Ended"), is_short, left_at),
        "session_day_streak": day_streak(starts, as_of),
        "visits_30d": len(visits),
        "median_visit_seconds_30d": median_of(lengths),
        "cart_abandoned_at": abandoned(events, "Product Added", "Order Completed", 24, as_of),
        "onboarded_without_report_at": abandoned(
            events, "Onboarding Completed", "Report Generated", 168, as_of
        ),
        "dashboard_without_export_at": abandoned(
            events, "Dashboard Viewed", "Data Exported", 24, as_of
        ),
        "best_send_hour": best_hour(within(starts, as_of, 90), zone),
        "nudges_answered_90d": len(answers),
        "nudge_click_rate": answers.count("clicked") / len(answers) if answers else None,
    }


def is_short(row: Row) -> bool:
    """Whether a session took less than two minutes; one that does not say so did not."""
    from tests.oracle import amount

    seconds = amount(row["properties"].get("duration_seconds"))
    return seconds is not None and seconds < 120
