"""churn_risk once more, in plain Python from the events that are known, with when they came to be."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

DAY = timedelta(days=1)
WEIGHT = 20
LEAST_HISTORY = 200
Group = tuple[str, str, str]


class Snapshot(NamedTuple):
    """A user at an instant, as known then, and what became of them if that is known."""

    user: str
    number: int
    group: Group
    sessions_30d: int
    sessions_90d: int
    last_session_at: datetime
    churned: bool | None


def snapshots(events: list[dict[str, Any]], as_of: datetime) -> list[Snapshot]:
    """Return the users there are to learn from, or to be told of, at instants 30 days apart."""
    started: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for event in events:
        recent = as_of - 210 * DAY < event["occurred_at"] <= as_of
        if event["event"] == "Session Started" and event["user_id"] and recent:
            started[event["user_id"]].append((event["occurred_at"], event["known_at"]))
    begins = min((then for one in started.values() for then, _ in one), default=as_of)
    found = []
    for number in range(5):
        at = as_of - number * 30 * DAY
        if number and begins > at - 60 * DAY:
            continue
        for user, sessions in started.items():
            seen = [then for then, since in sessions if since <= at and at - 90 * DAY < then <= at]
            if not seen:
                continue
            month = sum(then > at - 30 * DAY for then in seen)
            later = any(at < then <= at + 30 * DAY for then, _ in sessions)
            group = (recency(at - max(seen)), frequency(len(seen)), trend(month, len(seen) - month))
            churned = None if number == 0 else not later
            found.append(Snapshot(user, number, group, month, len(seen), max(seen), churned))
    return found


def recency(since: timedelta) -> str:
    """Return the class of the time since the last session."""
    return f"within {next(days for days in (3, 7, 14, 30, 60, 90) if since < days * DAY)} days"


def frequency(sessions: int) -> str:
    """Return the class of the sessions in 90 days."""
    classes = {1: "1", 3: "2 to 3", 9: "4 to 9", 29: "10 to 29"}
    return next((name for most, name in classes.items() if sessions <= most), "30 or more")


def trend(month: int, before: int) -> str:
    """Return how the last 30 days compare with the 60 days before them, in sessions a day."""
    if not before:
        return "new"
    ratio = Fraction(month, 30) / Fraction(before, 60)
    return "steady" if ratio >= 1 else "fewer" if 2 * ratio >= 1 else "far fewer"


def group_risk(found: list[Snapshot], group: Group) -> float | None:
    """Return the share of a group that churned, drawn towards those of ever wider groups."""
    known = [one for one in found if one.churned is not None]
    if len(known) < LEAST_HISTORY:
        return None
    risk = (sum(bool(one.churned) for one in known) + 1) / (len(known) + 2)
    for alike in (1, 2, 3):
        outcomes = Counter(one.churned for one in known if one.group[:alike] == group[:alike])
        risk = (outcomes[True] + WEIGHT * risk) / (outcomes.total() + WEIGHT)
    return risk


def risks(found: list[Snapshot]) -> dict[str, float | None]:
    """Return the risk of each user there is something to tell of."""
    of_group = {group: group_risk(found, group) for group in {one.group for one in found}}
    return {one.user: of_group[one.group] for one in found if one.number == 0}


def auc(told: list[tuple[float, bool]]) -> float:
    """Return how often one who churned was given more risk than one who did not; ties are half."""
    gone = [risk for risk, churned in told if churned]
    stayed = [risk for risk, churned in told if not churned]
    won = sum((g > s) + (g == s) / 2 for g in gone for s in stayed)
    return won / (len(gone) * len(stayed))
