"""Rows of user_facts that are kept are what a full build makes now, whatever has changed since."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from destinations.clock import SystemClock
from orchestration.chain import compile_model, make_at, make_undated
from orchestration.dbt import DbtPaths, DbtRun
from orchestration.warehouse import Warehouse
from orchestration.warehouse.duckdb import open_duckdb
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables
from tests.dbt.changes import as_arrow, build, differences
from tests.dbt.conftest import PROJECT
from tests.dbt.random_logs import random_aliases, random_logs

T = datetime(2026, 6, 23, 21, tzinfo=UTC)
FACTS = "select * exclude (fingerprint) from analytics.user_facts"
MOVES: dict[str, tuple[timedelta, str]] = {
    "nothing has changed": (timedelta(), "select 1"),
    "a second passes": (timedelta(seconds=1), "select 1"),
    "two days pass": (timedelta(days=2), "select 1"),
    "a month passes": (timedelta(days=30), "select 1"),
    "time goes back": (timedelta(days=-32), "select 1"),
    "events come, late ones too": (
        timedelta(hours=1),
        "insert into raw.tracks select * from tracks where hash(id) % 10 = 3",
    ),
    "events go": (timedelta(hours=1), "delete from raw.tracks where hash(id) % 10 = 4"),
    "events are of another user": (
        timedelta(hours=1),
        "update raw.tracks set user_id = user_id || '-new', id = id || '-new', message_id = null "
        "where hash(id) % 30 = 5",
    ),
    "a few users move to another time zone": (
        timedelta(hours=1),
        "insert into raw.identifies by name select 'move-' || user_id as id, user_id, "
        f"'Pacific/Auckland' as time_zone, timestamp '{T:%Y-%m-%d}' as timestamp, "
        f"timestamp '{T:%Y-%m-%d}' as received_at from raw.identifies "
        "where hash(user_id) % 10 = 0 group by user_id",
    ),
    "users are merged": (
        timedelta(hours=1),
        "insert into raw.aliases select * from aliases where hash(id) % 2 = 0",
    ),
    "users are taken apart": (
        timedelta(hours=1),
        "delete from raw.aliases where hash(id) % 4 = 0",
    ),
    "users leave an audience": (
        timedelta(hours=1),
        "insert into tailrace.membership_intervals by name select 'shallow_sessions' as audience, "
        "user_id, first_event_at as entered_at, last_session_at as exited_at "
        "from analytics.user_facts where short_session_streak > 0 and hash(user_id) % 2 = 0",
    ),
    "events are sent again, say something else, and arrived before": (
        timedelta(),
        "insert into raw.tracks select * replace ('Order Completed' as event, "
        "coalesce(received_at, timestamp) - interval 1 minute as received_at) "
        "from raw.tracks where user_id like '%0-u1' and event = 'Session Started'",
    ),
    "all events go": (timedelta(), "delete from raw.tracks"),
    "all events come back": (timedelta(), "insert into raw.tracks select * from tracks"),
}
FAST = ("events come, late ones too",)
SLOW = pytest.mark.slow


class Facts:
    """A warehouse with part of some random logs, built; the rest is in tables beside."""

    def __init__(self, path: Path, paths: DbtPaths) -> None:
        self.path, self.paths, self.as_of = path, paths, T
        as_ofs = [T.replace(tzinfo=None)]
        tracks, identifies = random_logs(as_ofs, populations=60)
        with self.open() as warehouse:
            create_raw(warehouse)
            create_tables(warehouse)
            warehouse.append("raw.identifies", as_arrow(identifies))
            warehouse.append("raw.tracks", as_arrow(tracks))
            warehouse.append("raw.aliases", as_arrow(random_aliases(as_ofs, populations=60)))
            for table in ("tracks", "aliases"):
                warehouse.execute(f"create table {table} as select * from raw.{table}")
            warehouse.execute("delete from raw.tracks where hash(id) % 10 = 3")
            warehouse.execute("delete from raw.aliases where hash(id) % 2 = 0")

    def open(self) -> Warehouse:
        return open_duckdb(self.path, clock=SystemClock())

    def build(self, *, full_refresh: bool = False, **options: Any) -> None:
        done = self.run(full_refresh=full_refresh, **options)
        assert done.success, done.failures

    def run(
        self,
        *,
        full_refresh: bool = False,
        select: Sequence[str] = ("+user_facts",),
        **variables: Any,
    ) -> DbtRun:
        return build(self.paths, self.as_of, *select, full_refresh=full_refresh, **variables)

    def wrong(self) -> list[tuple[object, ...]]:
        """Return the rows in which the table differs from all of its SQL at its as_of."""
        chain = compile_model(self.paths, "user_facts", "user_facts.sql")
        with self.open() as warehouse:
            make_undated(warehouse, chain)
            whole = make_at(warehouse, chain, self.as_of)
            assert warehouse.rows(f"select count(*) from {whole}") == warehouse.rows(
                "select count(*) from analytics.user_facts"
            )
            return differences(warehouse, FACTS, f"select * from {whole}")


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory, paths: DbtPaths) -> Iterator[Facts]:
    path = tmp_path_factory.mktemp("kept") / "warehouse.duckdb"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILRACE_DUCKDB", str(path))
        facts = Facts(path, paths)
        facts.build()
        yield facts


@pytest.mark.parametrize(
    "move", [move if move in FAST else pytest.param(move, marks=SLOW) for move in MOVES]
)
def test_facts_are_what_a_full_build_would_make(facts: Facts, move: str) -> None:
    passes, change = MOVES[move]
    facts.as_of += passes
    with facts.open() as warehouse:
        warehouse.execute(change)
    facts.build()
    assert facts.wrong() == []


@pytest.mark.slow
def test_facts_are_right_by_what_was_known(facts: Facts) -> None:
    facts.build(visibility="received")
    for hours in (3, 24, 24 * 20):
        facts.as_of += timedelta(hours=hours)
        facts.build(visibility="received")
        with facts.open() as warehouse:
            ours = warehouse.rows(f"select * from ({FACTS}) order by user_id")
        facts.build(visibility="received", full_refresh=True)
        with facts.open() as warehouse:
            assert warehouse.rows(f"select * from ({FACTS}) order by user_id") == ours
    facts.build()
    assert facts.wrong() == []


IN_ONE_HOUR = """
    date_trunc('hour', coalesce(received_at, timestamp)) = (
        select arrived_in from analytics.event_log where user_id is not null
        group by all order by count(*) desc, arrived_in limit 1
    )
"""


@pytest.mark.slow
def test_events_that_are_read_again_may_say_something_else(facts: Facts) -> None:
    """Under their own keys: an hour is read again because of any event in it."""
    facts.build(full_refresh=True)
    with facts.open() as warehouse:
        warehouse.execute(f"update raw.tracks set event = 'Order Completed' where {IN_ONE_HOUR}")
        warehouse.execute(
            "insert into raw.tracks select * replace ('beside' as id, 'beside' as message_id, "
            f"'somebody' as user_id) from raw.tracks where {IN_ONE_HOUR} limit 1"
        )
    facts.build()
    assert facts.wrong() == []


@pytest.mark.slow
def test_facts_follow_a_full_refresh_that_ended_before_them(facts: Facts) -> None:
    facts.build()
    with facts.open() as warehouse:
        warehouse.execute("update raw.tracks set event = 'Order Completed' where hash(id) % 20 = 8")
    facts.build(full_refresh=True, select=["+event_log"])
    facts.build()
    assert facts.wrong() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "theirs",
    [
        "table analytics.user_facts as select 'u' as user_id, 'x' as fingerprint",
        "table analytics.user_facts as select 1::ubigint as fingerprint",
        "view analytics.user_facts as select 'u' as user_id, 1::ubigint as fingerprint",
    ],
)
def test_a_relation_of_that_name_that_somebody_else_made_is_replaced(
    facts: Facts, theirs: str
) -> None:
    with facts.open() as warehouse:
        (kind,) = warehouse.rows(
            "select lower(replace(table_type, 'BASE ', '')) from information_schema.tables "
            "where table_name = 'user_facts'"
        )
        warehouse.execute(f"drop {kind[0]} analytics.user_facts")
        warehouse.execute(f"create {theirs}")
    facts.build()
    assert facts.wrong() == []


@pytest.mark.slow
@pytest.mark.parametrize("change", ["add column theirs integer", "drop column visits_30d"])
def test_a_table_that_somebody_has_altered_is_made_anew(facts: Facts, change: str) -> None:
    facts.build(full_refresh=True)
    with facts.open() as warehouse:
        warehouse.execute(f"alter table analytics.user_facts {change}")
    facts.build()
    assert facts.wrong() == []


def test_only_rows_of_users_with_other_events_are_made_anew(facts: Facts) -> None:
    facts.build(full_refresh=True)
    with facts.open() as warehouse:
        ((user, users),) = warehouse.rows("select min(user_id), count(*) from analytics.user_facts")
        warehouse.execute("update analytics.user_facts set visits_30d = -1")
        warehouse.execute(
            "insert into raw.tracks (id, event, timestamp, received_at, user_id) values "
            f"('one', 'Ping', timestamp '{T:%Y-%m-%d}', timestamp '{T:%Y-%m-%d}', '{user}')"
        )
    facts.build()
    made = "select user_id from analytics.user_facts where visits_30d >= 0"
    with facts.open() as warehouse:
        assert warehouse.rows(made) == [(user,)]
        assert warehouse.rows("select count(*) from analytics.user_facts") == [(users,)]


@pytest.mark.slow
def test_a_build_that_fails_leaves_all_rows_there(facts: Facts) -> None:
    facts.build(full_refresh=True)
    with facts.open() as warehouse:
        warehouse.execute("update analytics.user_facts set last_order_at = first_event_at")
        warehouse.execute("alter table analytics.user_facts alter last_order_at set not null")
        warehouse.execute("create table before as select * from analytics.user_facts")
        warehouse.execute("delete from raw.tracks where hash(id) % 20 = 9")
    (failed,) = facts.run().failures
    assert (failed.name, "last_order_at" in failed.message) == ("user_facts", True)
    with facts.open() as warehouse:
        assert differences(warehouse, "from analytics.user_facts", "from before") == []
    facts.build(full_refresh=True)
    assert facts.wrong() == []


@pytest.mark.slow
def test_another_definition_makes_all_rows_anew(facts: Facts) -> None:
    facts.build()
    facts.build(gap_feature="search")
    with facts.open() as warehouse:
        searched = "select count(gap_feature_used_at) > 0 from analytics.user_facts"
        assert warehouse.rows(searched) == [(True,)]
        warehouse.execute("update analytics.user_facts set visits_30d = -1")
    facts.build(gap_feature="export")
    with facts.open() as warehouse:
        kept = "select count(*) from analytics.user_facts where visits_30d = -1"
        assert warehouse.rows(kept) == [(0,)]


def changed_project(folder: Path, more: str) -> DbtPaths:
    """Return the shipped project with one more fact in user_activity."""
    project = folder / "dbt_project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    for model, after, given in (
        ("user_activity", "as last_export_at", f"{more} as fact"),
        ("user_facts", "activity.last_export_at", "activity.fact"),
    ):
        file = project / "models" / "facts" / f"{model}.sql"
        sql = file.read_text(encoding="utf-8")
        assert after in sql
        file.write_text(sql.replace(after, f"{after}, {given}"))
    return DbtPaths(project, project, target_path=folder / "target")


@pytest.mark.slow
def test_a_lookback_by_calendar_days_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the days of New York: five hours later, another day is left out."""
    monkeypatch.setenv("TAILRACE_DUCKDB", str(tmp_path / "warehouse.duckdb"))
    counted = "{{ event_count('Session Started', calendar_days=8) }}"
    paths = changed_project(tmp_path, counted)
    settings = paths.project_dir / "dbt_project.yml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("time_zone: UTC", "time_zone: America/New_York"))
    facts = Facts(tmp_path / "warehouse.duckdb", paths)
    facts.as_of = T.replace(hour=3)
    facts.build()
    with facts.open() as warehouse:
        warehouse.execute("create table before as select user_id, fact from analytics.user_facts")
    facts.as_of += timedelta(hours=2)
    facts.build()
    assert facts.wrong() == []
    other = "select count(*) > 0 from analytics.user_facts as f join before using (user_id) "
    with facts.open() as warehouse:
        assert warehouse.rows(f"{other} where f.fact < before.fact") == [(True,)]


EXITS = "{{ audience_exits('shallow_sessions') }}"
ABANDONED = "{{ abandoned('Product Added', 'Order Completed', hours=24) }}"
DUE = "(select max(occurred_at) from (select last_event_at as occurred_at) as due)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("added", "resets", "said"),
    [
        (ABANDONED, EXITS, "What needs more is for a model that reads user_facts"),
        (DUE, EXITS, "nothing else may be called occurred_at"),
        (
            "(select count(*) from events)",
            EXITS,
            "found: count_star(), without group by (in user_activity)",
        ),
        (
            "0",
            f"select *, reset_at as occurred_at from ({EXITS}) as exits",
            "of_users names streak_resets, which has a column occurred_at",
        ),
    ],
)
def test_a_fact_that_looks_back_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, added: str, resets: str, said: str
) -> None:
    """More of what is refused, and what is not, is in tests/dbt/test_facts_checked.py."""
    monkeypatch.setenv("TAILRACE_DUCKDB", str(tmp_path / "warehouse.duckdb"))
    paths = changed_project(tmp_path, added)
    model = paths.project_dir / "models" / "facts" / "streak_resets.sql"
    model.write_text("{{ config(materialized='view') }}" + resets)
    (failure,) = Facts(tmp_path / "warehouse.duckdb", paths).run().failures
    assert failure.name == "user_facts"
    assert said in failure.message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("event_aliases", "(select count(*) from {{ ref('event_aliases') }})"),
        ("user_emails", "(select count(*) from {{ ref('user_emails') }})"),
        ("acked", "(select count(*) from {{ source('tailrace', 'acked') }})"),
    ],
)
def test_a_fact_made_of_what_may_change_unnoticed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, read: str
) -> None:
    monkeypatch.setenv("TAILRACE_DUCKDB", str(tmp_path / "warehouse.duckdb"))
    facts = Facts(tmp_path / "warehouse.duckdb", changed_project(tmp_path, read))
    (failure,) = facts.run().failures
    assert failure.name == "user_facts"
    assert f"reads {name}, of which it is not known when it changes" in failure.message


@pytest.mark.slow
def test_users_whose_events_are_not_read_keep_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the SQL begins with all users; under a name that has to be quoted."""
    monkeypatch.setenv("TAILRACE_DUCKDB", str(tmp_path / "warehouse.duckdb"))
    paths = changed_project(tmp_path, "0")
    file = paths.project_dir / "models" / "facts" / "user_facts.sql"
    sql = file.read_text(encoding="utf-8")
    for old, new in (
        ("materialized='kept", "alias='user facts', materialized='kept"),
        ("    activity.user_id,", "    known.user_id,"),
        (
            "from activity\n",
            "from {{ ref('user_profile') }} as known\n"
            "left join activity on known.user_id = activity.user_id\n",
        ),
    ):
        assert sql.count(old) == 1
        sql = sql.replace(old, new)
    file.write_text(sql)
    facts = Facts(tmp_path / "warehouse.duckdb", paths)
    rows = 'select count(*), count(distinct user_id) from analytics."user facts"'
    facts.build()
    with facts.open() as warehouse:
        warehouse.execute("insert into raw.tracks from tracks where hash(id) % 10 = 3 limit 5")
    facts.build()
    with facts.open() as warehouse:
        ((count, users),) = warehouse.rows(rows)
    assert count == users > 0
