"""Months of ordinary days of the sample are let through, at whatever rhythm; and a bad day is not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.orchestration.catastrophes.days import Days, open_days

pytestmark = pytest.mark.slow

START = datetime(2026, 4, 1, 8, tzinfo=UTC)
DAYS = 90
# Four runs a day: days too short for one and too long for the other week.
OFTEN = range(40, 70) if os.environ.get("TAILRACE_LONG") else range(48, 54)
ONE_USER_OF = 1 if os.environ.get("TAILRACE_LONG") else 4
MOST_FALSE_HOLDS = 0.01


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    with open_days(tmp_path_factory.mktemp("days"), one_user_of=ONE_USER_OF) as opened:
        yield opened


@pytest.fixture(scope="module")
def lived(days: Days) -> dict[str, Counter[str]]:
    """Statuses by rhythm, after 90 days."""
    found: dict[str, Counter[str]] = {}

    def note(rhythm: str, at: datetime) -> None:
        statuses = (evaluation.status for evaluation in days.evaluate(at, prefix=rhythm))
        found.setdefault(rhythm, Counter()).update(statuses)

    for day in range(DAYS):
        at = START + timedelta(days=day)
        days.build(at)
        note("", at)
        if day % 7 == 0:
            note("weekly_", at)
        if day not in OFTEN:
            continue
        note("often_", at)
        for hours in (6, 12, 18):
            later = at + timedelta(hours=hours)
            days.build(later)
            note("often_", later)
    return found


@pytest.mark.parametrize(("rhythm", "least"), [("", 360), ("weekly_", 52), ("often_", 96)])
def test_ordinary_days_are_not_held(
    lived: dict[str, Counter[str]], rhythm: str, least: int
) -> None:
    statuses = lived[rhythm]
    total = sum(statuses.values())
    assert total >= least
    assert set(statuses) <= {"committed", "held"}
    assert statuses["held"] <= MOST_FALSE_HOLDS * total


BAD = {
    "no events of yesterday": (
        "events", "select * from ({sql}) where occurred_at::date <> date '{yesterday}'",
        "half_loaded {yesterday}", 4,
    ),
    "half of the users": (
        "user_traits", "select * from ({sql}) where hash(user_id || '.') % 2 = 0", "base", 4,
    ),
    "ids re-cased": (
        "user_traits", "select * replace (upper(user_id) as user_id) from ({sql})", "exits", 4,
    ),
    "sessions gone": (
        "user_traits", "select * replace (null::double as days_since_last_session) from ({sql})",
        "empty", 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_the_same_limits_hold_a_bad_day(
    days: Days, lived: dict[str, Counter[str]], name: str
) -> None:
    relation, sql, rule, audiences = BAD[name]
    at = START + timedelta(days=DAYS)
    words = {"yesterday": f"{at - timedelta(days=1):%Y-%m-%d}"}
    days.build(at, but={relation: lambda usual: sql.format(sql=usual, **words)})
    held = [found for found in days.evaluate(at) if found.status == "held"]
    assert len(held) >= audiences
    rules = days.warehouse.rows(
        "select cast(rules as varchar) from tailrace.evaluations where status = 'held'"
    )
    assert sum(rule.format(**words) in said for (said,) in rules) >= audiences
    assert lived[""]["committed"] > 350
