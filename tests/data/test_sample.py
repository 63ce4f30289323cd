"""What the README promises of the committed sample."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.load.sample import SAMPLE_TABLES
from orchestration.warehouse.raw import RAW_TABLES

FOLDER = Path(__file__).resolve().parents[2] / "data" / "sample"
END = datetime(2026, 6, 30, 21)  # noqa: DTZ001 - as stored
WEEK = timedelta(days=7)
SYNCED = "('Session Started', 'Session Ended', 'Feature Viewed', 'Feature Used', 'Order Completed')"
Con = duckdb.DuckDBPyConnection


def one(con: Con, sql: str) -> Any:
    return con.execute(sql).fetchall()[0][0]


def members(con: Con, as_of: datetime) -> dict[str, set[str]]:
    at = f"timestamp '{as_of}'"
    con.execute(f"""
        create or replace temp table traits as
        select user_id, max(happened) filter (event = 'Session Started') as last_session,
            count(*) filter (event = 'Session Started') as sessions,
            count(*) filter (event = 'Session Started'
                and happened > {at} - interval 90 day) as sessions_90d,
            count(distinct properties ->> 'feature_name')
                filter (event = 'Feature Used') as features,
            count(*) filter (event = 'Feature Used'
                and properties ->> 'feature_name' = 'export') as exports,
            count(*) filter (event = 'Onboarding Completed') as onboarded,
            max(happened) filter (event = 'Order Completed') as last_order
        from events where happened <= {at} group by user_id""")
    where = {
        "re_engagement": f"last_session < {at} - interval 7 day and sessions_90d > 3",
        "feature_adoption": "onboarded > 0 and features < 3 and "
        f"signed_up < {at} - interval 14 day",
        "depth_nudge": "exports = 0 and sessions > 10",
        "order_completed_last_30days": f"last_order > {at} - interval 30 day",
    }
    return {
        audience: {
            row[0]
            for row in con.execute(
                f"select user_id from traits left join signups using (user_id) where {condition}"
            ).fetchall()
        }
        for audience, condition in where.items()
    }


def test_it_is_small() -> None:
    size = sum(path.stat().st_size for path in FOLDER.glob("*.parquet"))
    assert 2_500_000 < size <= 4_000_000


@pytest.mark.parametrize("table", SAMPLE_TABLES)
def test_columns_are_those_of_the_raw_tables(sample: Con, table: str) -> None:
    described = sample.execute(f"describe {table}").fetchall()
    assert [row[0] for row in described] == list(RAW_TABLES[table])


def test_the_last_event_is_at_the_end_and_nothing_arrives_after_it(sample: Con) -> None:
    assert one(sample, 'select max("timestamp") from tracks') == END
    for table in SAMPLE_TABLES:
        assert one(sample, f"select max(received_at) from {table}") <= END
        assert one(sample, f'select count(*) from {table} where received_at < "timestamp"') == 0
        first = one(sample, f'select min("timestamp") from {table}')
        assert END - timedelta(days=180) <= first <= END - timedelta(days=178)


def test_about_five_thousand_users(sample: Con) -> None:
    assert 4_900 < one(sample, "select count(distinct user_id) from identifies") <= 5_000
    before = one(
        sample,
        f"select count(*) from signups where signed_up < timestamp '{END}' - interval 180 day",
    )
    assert 500 < before < 1_500


def test_every_event_of_the_plan_and_nothing_else_but_the_misspelt_one(sample: Con) -> None:
    found = {row[0] for row in sample.execute("select distinct event from tracks").fetchall()}
    assert found == {
        "Session Started", "Session Ended", "Feature Viewed", "Feature Used",
        "Onboarding Step Completed", "Onboarding Completed", "Dashboard Viewed",
        "Report Generated", "Data Exported", "Product Viewed", "Product Added", "Product Removed",
        "Order Completed", "Nudge Responded", "Feature_Used",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        ("Session Started", {"platform", "session_id", "referrer_source"}),
        ("Session Ended", {"duration_seconds"}),
        (
            "Onboarding Step Completed",
            {"step_id", "step_name", "step_index", "completion_method"},
        ),
        ("Order Completed", {"order_id", "total", "products"}),
    ],
)
def test_properties(sample: Con, event: str, keys: set[str]) -> None:
    found = sample.execute(
        "select distinct json_keys(properties) from tracks where event = ?", [event]
    ).fetchall()
    assert [set(row[0]) for row in found] == [keys]


def test_features_used_and_the_few_that_break_the_plan(sample: Con) -> None:
    keys = {"feature_name", "feature_category", "time_spent_seconds", "items_created",
            "exports_run"}  # fmt: skip
    found = sample.execute(
        "select json_keys(properties), count(*) from tracks where event = 'Feature Used' "
        "group by all order by 2 desc"
    ).fetchall()
    assert [set(row[0]) for row in found] == [keys, keys - {"feature_name"}]
    unnamed = found[1][1]
    misspelt = one(sample, "select count(*) from tracks where event = 'Feature_Used'")
    wrong = one(
        sample,
        "select count(*) from tracks where event = 'Feature Used' "
        "and json_type(properties, '$.time_spent_seconds') = 'VARCHAR'",
    )
    assert all(5 <= count <= 60 for count in (unnamed, misspelt, wrong))
    assert one(sample, "select count(*) from tracks where "
               "properties ->> 'feature_name' = 'export'") > 1_000  # fmt: skip


def test_an_order_adds_up_and_its_total_has_a_point(sample: Con) -> None:
    odd = sample.execute("""
        select count(*) from tracks, lateral (
            select sum((p ->> 'price')::decimal(9, 2) * (p ->> 'quantity')::int) as s,
                count(p ->> 'product_id') as ids, count(p ->> 'name') as names, count(*) as n
            from unnest(cast(properties -> 'products' as json[])) as r (p)) as added
        where event = 'Order Completed' and not (
            regexp_matches(properties, '"total": \\d+\\.\\d+,')
            and (properties ->> 'total')::decimal(9, 2) = s and ids = n and names = n)
    """).fetchall()
    assert odd == [(0,)]
    assert one(sample, "select count(*) from tracks where event = 'Order Completed'") > 500


def test_anonymous_history_is_linked_later(sample: Con) -> None:
    linked = one(
        sample,
        "select count(*) from tracks semi join owner using (anonymous_id) where user_id is null",
    )
    never = one(
        sample,
        "select count(*) from tracks anti join owner using (anonymous_id) where user_id is null",
    )
    assert linked > 5_000
    assert never > 1_000
    both = "select count(*) from identifies where user_id is null or anonymous_id is null"
    assert one(sample, both) == 0


def test_addresses(sample: Con) -> None:
    per_user = "(select user_id, count(distinct email) as n from identifies group by user_id)"
    shared = """(select email from identifies where email is not null group by email
        having count(distinct user_id) = 2)"""
    assert one(sample, f"select count(*) from {per_user} where n = 0") > 50
    assert one(sample, f"select count(*) from {per_user} where n = 2") > 50
    assert 3 <= one(sample, f"select count(*) from {shared}") <= 30
    pattern = r"^[a-z]+\.[a-z]+\d+(\.work)?@example\.(com|org|net)$"
    emails = sample.execute("select distinct email from identifies").fetchall()
    assert all(re.match(pattern, email) for (email,) in emails if email is not None)
    phones = sample.execute("select distinct phone from identifies").fetchall()
    assert all(re.match(r"^\+1-\d{3}-555-01\d\d$", phone) for (phone,) in phones if phone)


def test_late_arrivals_and_doubles(sample: Con) -> None:
    late = 'select count(*) from tracks where received_at - "timestamp" > interval {}'
    assert one(sample, late.format("2 hour")) > 500
    assert one(sample, late.format("1 day")) > 100
    doubles = sample.execute(
        'select count(*), count(distinct id), count(distinct ("timestamp", event, user_id)), '
        "count(distinct received_at) from tracks group by message_id having count(*) > 1"
    ).fetchall()
    assert len(doubles) > 200
    assert all(ids == n and same == 1 for n, ids, same, _ in doubles)


@pytest.mark.parametrize("clock", ["happened", "received_at"])
def test_nobody_exceeds_what_one_request_a_row_can_carry_in_a_week(sample: Con, clock: str) -> None:
    most = one(
        sample,
        f"select max(n) from (select count(*) over (partition by user_id order by {clock} "
        "range between interval 7 day preceding and current row) as n "
        f"from events where event in {SYNCED})",
    )
    assert 20 < most <= 60


def test_audiences_have_members_who_come_and_go(sample: Con) -> None:
    before, after = members(sample, END - WEEK), members(sample, END)
    for audience, now in after.items():
        assert 200 <= len(now) <= 1_500, audience
        assert 200 <= len(before[audience]) <= 1_500, audience
        assert 5 <= len(now - before[audience]) <= 600, audience
        assert 5 <= len(before[audience] - now) <= 600, audience


def test_a_day_moves_a_small_part_of_an_audience(sample: Con) -> None:
    days = [members(sample, END - timedelta(days=n)) for n in range(8)]
    for now, before in pairwise(days):
        for audience, users in before.items():
            assert len(users - now[audience]) <= 0.15 * len(users), audience


def test_weekends_are_quieter(sample: Con) -> None:
    weekend = one(sample, "select avg(if(isodow(happened) > 5, 1, 0)) from events")
    assert 0.08 < weekend < 0.2
