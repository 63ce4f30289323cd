"""Identity, traits and audiences once more, in plain Python from raw rows.

Written from the definitions in words, not from the SQL, so that agreement means something. Slow and
simple on purpose: one loop per question.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import Any

import pandas as pd

from tests import oracle_behaviour as behaviour
from tests.churn_oracle import risks, snapshots
from tests.oracle_identity import identity, known_id, normalised_email
from tests.oracle_plan import Plan

Row = dict[str, Any]
DAY = timedelta(days=1)
ONBOARDING_STEPS = 5
IDS = ("user_id", "anonymous_id", "previous_id")
PROFILE = ("phone", "country", "region", "time_zone", "plan", "signup_at")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at an instant: deduplicated calls, each event with its user."""

    as_of: datetime
    identifies: list[Row]
    events: list[Row]


def known_at(
    tracks: list[Row],
    identifies: list[Row],
    as_of: datetime,
    visibility: str = "occurred",
    aliases: Sequence[Row] = (),
    plan: Plan = Plan(()),  # noqa: B008 - frozen
) -> Known:
    """Return the calls of `rows_of(...)` visible at `as_of` (naive UTC)."""
    calls = first_copies(visible(identifies, as_of, visibility), needs=("user_id",))
    named = first_copies(visible(aliases, as_of, visibility), needs=("previous_id", "user_id"))
    time = {"occurred": "occurred_at", "received": "received_at"}[visibility]
    who = identity(calls, named, time=time)
    owner = owners([*calls, *({**row, "anonymous_id": row["previous_id"]} for row in named)])
    events = []
    planned = as_planned(visible(tracks, as_of, visibility), plan)
    for event in first_copies(planned, needs=("event",)):
        link = None if event["user_id"] else owner.get(event["anonymous_id"])
        said = link["user_id"] if link else event["user_id"]
        user, merged_at = who.merges.get(said, (said, event[time]))
        since = max(event["occurred_at"], event[time], merged_at, *([link[time]] if link else []))
        properties = as_object(event["properties"])
        events.append({**event, "user_id": user, "known_at": since, "properties": properties})
    own = [{**call, "user_id": who.user(call["user_id"])} for call in calls]
    return Known(as_of, own, events)


def as_planned(tracks: Iterable[Row], plan: Plan) -> Iterator[Row]:
    """Yield the events that the tracking plan keeps, under the names it has for them."""
    for event in tracks:
        name = plan.name(event["event"])
        wrong = plan.violations(name, as_object(event["properties"])) if name else []
        if not plan.is_blocked(name, wrong):
            yield {**event, "event": name}


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """Return rows with None for every kind of nothing, and a missing time taken from the other."""
    names = [name for name in frame.columns if name != "context"]
    columns = [clean(frame[name]) for name in names]
    rows: list[Row] = [
        dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)
    ]
    for row in rows:
        row.update({name: known_id(row[name]) for name in IDS if name in row})
        if "email" in row:
            row["email"] = normalised_email(row["email"])
        row["occurred_at"] = row["timestamp"] or row["received_at"]
        row["received_at"] = row["received_at"] or row["timestamp"]
        row["row_id"] = row["id"] or row["message_id"]
    return rows


def clean(column: pd.Series) -> list[Any]:
    """Return Python values; text without its outer spaces, and no text at all for empty text."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return [None if time is pd.NaT else time for time in column.dt.to_pydatetime()]
    text = column.astype("str").str.strip(" ")
    return text.astype(object).where(column.notna() & (text != ""), None).tolist()


def visible(rows: Iterable[Row], as_of: datetime, visibility: str) -> list[Row]:
    """Return the rows that exist as seen from `as_of`."""
    time = {"occurred": "occurred_at", "received": "received_at"}[visibility]
    return [row for row in rows if row[time] is not None and row[time] <= as_of]


def first_copies(rows: Iterable[Row], needs: tuple[str, ...]) -> list[Row]:
    """Return one row per message: of its valid copies the one that arrived first."""
    best: dict[str, Row] = {}
    for row in rows:
        somebody = row["user_id"] or row.get("anonymous_id")
        if not (row["row_id"] and somebody and all(row[key] for key in needs)):
            continue
        key = row["message_id"] or row["row_id"]
        if key not in best or arrival(row) < arrival(best[key]):
            best[key] = row
    return list(best.values())


def arrival(row: Row) -> tuple[datetime, str]:
    """Return the order in which copies arrive."""
    return row["received_at"], row["row_id"]


def moment(row: Row) -> tuple[datetime, datetime, str]:
    """Return the order in which calls happen; equal times are decided by arrival."""
    return row["occurred_at"], *arrival(row)


def owners(identifies: Iterable[Row]) -> dict[str, Row]:
    """Return the call that gives each anonymous id its user: the first one that names both."""
    owner: dict[str, Row] = {}
    for row in sorted(identifies, key=moment):
        if row["anonymous_id"]:
            owner.setdefault(row["anonymous_id"], row)
    return owner


@cache
def as_object(text: str | None) -> Mapping[str, Any]:
    """Return a JSON object; {} for anything else."""
    value = json.loads(text) if text else {}
    return value if isinstance(value, dict) else {}


def text_of(value: object) -> str | None:
    """Return a JSON value as text; null and empty are nothing."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def amount(value: object) -> Decimal | None:
    """Return a number, or text that is one, to six decimals; nothing from 10^12 on."""
    try:
        # what Python reads as digits apart is no number
        number = Decimal((text_of(value) or "none").replace("_", "none"))
        exact = number.quantize(Decimal("0.000001"), ROUND_HALF_UP)
    except InvalidOperation:
        return None
    return exact if exact.is_finite() and abs(exact) < Decimal(10) ** 12 else None


def emails(known: Known) -> pd.DataFrame:
    """Return one row per user and address: whether primary, first and last seen."""
    seen: dict[tuple[str, str], list[datetime]] = {}
    primary: dict[str, str] = {}
    for row in sorted(known.identifies, key=moment):
        if row["email"]:
            address = row["email"]
            seen.setdefault((row["user_id"], address), []).append(row["occurred_at"])
            primary[row["user_id"]] = address
    return pd.DataFrame(
        [
            (user, address, primary[user] == address, min(times), max(times))
            for (user, address), times in seen.items()
        ],
        columns=["user_id", "email", "is_primary", "first_seen_at", "last_seen_at"],
    )


def traits(known: Known, left: Mapping[str, datetime] | None = None) -> pd.DataFrame:
    """Return one row per user known by an identify or an event, indexed by user_id.

    `left` says when a user last left the audience shallow_sessions.
    """
    calls: dict[str, list[Row]] = {}
    events: dict[str, list[Row]] = {}
    for row in known.identifies:
        calls.setdefault(row["user_id"], []).append(row)
    for row in known.events:
        if row["user_id"]:
            events.setdefault(row["user_id"], []).append(row)
    churn = risks(snapshots(known.events, known.as_of))
    rows = []
    for user in sorted(calls.keys() | events.keys()):
        mine, theirs = calls.get(user, []), events.get(user, [])
        first_seen = min(row["occurred_at"] for row in [*mine, *theirs])
        row = {"user_id": user, **profile(mine), "first_seen_at": first_seen}
        row["account_age_days"] = days(known.as_of, row["signup_at"] or first_seen)
        rows.append(
            {**row, **sessions(theirs, known.as_of), **features(theirs, known.as_of)}
            | onboarding(theirs)
            | orders(theirs)
            | {"churn_risk": churn.get(user)}
            | behaviour.of_user(theirs, known.as_of, row["time_zone"], (left or {}).get(user))
        )
    compare(rows, events, known.as_of)
    return pd.DataFrame(rows).set_index("user_id")


def compare(rows: list[Row], events: Mapping[str, list[Row]], as_of: datetime) -> None:
    """Add the traits that a user has beside others."""
    customers = {row["user_id"]: row for row in rows if row["orders_total"]}
    scores = {
        name: behaviour.fifths({user: row[column] for user, row in customers.items()})
        for name, column in {
            "rfm_recency": "last_order_at",
            "rfm_frequency": "orders_total",
            "rfm_monetary": "revenue_total",
        }.items()
    }
    used: dict[str, dict[str, datetime]] = {}
    for user, theirs in events.items():
        for event in behaviour.named(theirs, "Feature Used"):
            if feature := text_of(event["properties"].get("feature_name")):
                used.setdefault(user, {})[feature] = event["occurred_at"]
    use_case = {row["user_id"]: row["primary_use_case"] for row in rows if row["primary_use_case"]}
    suggested = behaviour.suggestions(used, use_case, as_of)
    for row in rows:
        user = row["user_id"]
        row.update({name: given.get(user) for name, given in scores.items()})
        row["suggested_feature"] = suggested.get(user)


def days(as_of: datetime, then: datetime | None) -> float | None:
    """Return elapsed decimal days."""
    return None if then is None else (as_of - then) / DAY


def profile(calls: list[Row]) -> Row:
    """Return the latest known value of each profile field."""
    ordered = sorted(calls, key=moment)
    return {key: last(row[key] for row in ordered) for key in (*PROFILE, "email")}


def last(values: Iterable[Any]) -> Any:
    """Return the last value that is one."""
    return next((value for value in reversed(list(values)) if value is not None), None)


def times(events: list[Row], name: str) -> list[datetime]:
    """Return when events of that name occurred."""
    return [row["occurred_at"] for row in events if row["event"] == name]


def lately(moments: Iterable[datetime], as_of: datetime, n: int) -> int:
    """Count what lies after as_of - n days, up to and with as_of."""
    return sum(as_of - n * DAY < then <= as_of for then in moments)


def sessions(events: list[Row], as_of: datetime) -> Row:
    """Return the session traits."""
    started = times(events, "Session Started")
    latest = max(started, default=None)
    return {
        "last_session_at": latest,
        "days_since_last_session": days(as_of, latest),
        "sessions_30d": lately(started, as_of, 30),
        "sessions_90d": lately(started, as_of, 90),
        "sessions_total": len(started),
    }


def features(events: list[Row], as_of: datetime) -> Row:
    """Return the feature traits."""
    used = [row["properties"] for row in events if row["event"] == "Feature Used"]
    names = [text_of(properties.get("feature_name")) for properties in used]
    adopted = sorted({name for name in names if name})
    categories = Counter(text_of(properties.get("feature_category")) for properties in used)
    del categories[None]
    return {
        "features_used_30d": lately(times(events, "Feature Used"), as_of, 30),
        "unique_feature_count": len(adopted),
        "features_adopted": adopted,
        "exports_total": names.count("export"),
        "primary_use_case": min(categories, key=lambda c: (-categories[c], c), default=None),
    }


def onboarding(events: list[Row]) -> Row:
    """Return the onboarding traits."""
    completed = bool(times(events, "Onboarding Completed"))
    steps = {
        text_of(row["properties"].get("step_id"))
        for row in events
        if row["event"] == "Onboarding Step Completed"
    } - {None}
    share = 100.0 if completed else min(100.0, 100.0 * len(steps) / ONBOARDING_STEPS)
    return {"onboarding_completed": completed, "onboarding_completion_percentage": share}


def orders(events: list[Row]) -> Row:
    """Return the order traits."""
    completed = [row for row in events if row["event"] == "Order Completed"]
    totals = [amount(row["properties"].get("total")) for row in completed]
    return {
        "orders_total": len(completed),
        "revenue_total": float(sum(total for total in totals if total is not None)),
        "last_order_at": max((row["occurred_at"] for row in completed), default=None),
    }


def usual_gap(known: Known, found: pd.DataFrame) -> tuple[int, float | None]:
    """Return of how many active users, and how often they come: the median of their medians."""
    starts = Counter(row["user_id"] for row in known.events if row["event"] == "Session Started")
    active = found[
        pd.Series([starts[user] >= 4 for user in found.index], index=found.index)
        & (pd.to_datetime(found["last_session_at"]) > known.as_of - 90 * DAY)
    ]
    medians = active["session_gap_median_days"].tolist()
    return len(medians), behaviour.median_of(medians)


def audiences(found: pd.DataFrame, as_of: datetime, usual_gap: float | None) -> dict[str, set[str]]:
    """Return the members of each shipped audience, given `traits(...)` and `usual_gap(...)`."""

    def where(condition: pd.Series) -> set[str]:
        return set(found.index[condition.fillna(False).astype(bool)])

    since_order = as_of - pd.to_datetime(found["last_order_at"])
    since_signup = (as_of - pd.to_datetime(found["signup_at"])) / DAY
    silent = found["days_since_last_session"].astype(float)
    unused = found["days_since_gap_feature"].astype(float)
    own_gap = found["session_gap_median_days"].astype(float)

    def lately_at(column: str) -> pd.Series:
        ago = (as_of - pd.to_datetime(found[column])) / DAY
        return (ago >= 0) & (ago < 7)

    return {
        "shallow_sessions": where(found["short_session_streak"] >= 3),
        "dormant": where(silent > 2 * usual_gap) if usual_gap else set(),
        "overdue": where((found["sessions_total"] >= 5) & (silent > 2 * own_gap)),
        "new_signups_no_purchase": where(
            (found["orders_total"] == 0) & (since_signup >= 3) & (since_signup < 30)
        ),
        "recently_lapsed": where((silent > 7) & (found["sessions_30d"] > 3)),
        "feature_gap": where((found["account_age_days"] > 7) & ((unused >= 14) | unused.isna())),
        "cart_abandoned": where(lately_at("cart_abandoned_at")),
        "onboarded_no_report": where(found["onboarded_without_report_at"].notna()),
        "dashboard_no_export": where(lately_at("dashboard_without_export_at")),
        "re_engagement": where(
            (found["days_since_last_session"].astype(float) > 7) & (found["sessions_90d"] > 3)
        ),
        "feature_adoption": where(
            found["onboarding_completed"]
            & (found["unique_feature_count"] < 3)
            & (found["account_age_days"] > 14)
        ),
        "depth_nudge": where((found["exports_total"] == 0) & (found["sessions_total"] > 10)),
        "order_completed_last_30days": where(
            (since_order >= timedelta(0)) & (since_order < 30 * DAY)
        ),
    }
