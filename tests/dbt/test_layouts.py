"""The same facts in the layout of every collector give the same staging, and the same traits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from destinations.clock import SystemClock
from orchestration.dbt import DbtPaths, DbtRun, run_dbt
from orchestration.warehouse.duckdb import open_duckdb
from orchestration.warehouse.schema import create_tables
from tests.dbt.conftest import PROJECT
from tests.dbt.raw_facts import random_facts
from tests.dbt.raw_forms import SNOWPLOW_NAMES, WRITERS

T = datetime(2026, 6, 23, 21, tzinfo=UTC)
STAGING = ("stg_tracks", "stg_identifies", "stg_pages")
FACTS = random_facts(T.replace(tzinfo=None), seed=7, calls=300)
OTHERS = tuple(layout for layout in WRITERS if layout != "tailrace")


@dataclass(frozen=True)
class Site:
    """A warehouse whose raw tables are in one layout."""

    path: Path
    target: Path
    variables: Mapping[str, Any]

    def connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(str(self.path))
        connection.execute("set TimeZone = 'UTC'")
        return connection

    def build(self, *select: str) -> DbtRun:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TAILRACE_DUCKDB", str(self.path))
            paths = DbtPaths(PROJECT, PROJECT, target_path=self.target)
            return run_dbt(paths, "build", as_of=T, select=select, variables=self.variables)

    def rows(self, table: str) -> list[dict[str, Any]]:
        with self.connect() as connection:
            found = connection.sql(f"from analytics.{table}")
            rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
        for row in rows:
            if "properties" in row:
                row["properties"] = json.loads(row["properties"])
        return sorted(rows, key=repr)

    def types(self, table: str) -> list[tuple[str, str]]:
        with self.connect() as connection:
            found = connection.sql(f"from analytics.{table}")
            return [(n, str(t)) for n, t in zip(found.columns, found.types, strict=True)]


def new_site(folder: Path, layout: str, *, schema: str = "raw", **variables: Any) -> Site:
    site = Site(
        folder / "warehouse.duckdb",
        folder / "target",
        {"layout": layout, "raw_schema": schema, **variables},
    )
    with open_duckdb(site.path, clock=SystemClock()) as warehouse:
        create_tables(warehouse)
    with site.connect() as connection:
        connection.execute(f"create schema {schema}")
    return site


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Site]:
    """Return a site per layout, built as far as user_traits."""
    sites = {}
    for layout, write in WRITERS.items():
        names = {"event_names": SNOWPLOW_NAMES} if layout == "snowplow" else {}
        schema = "atomic" if layout == "snowplow" else "raw"
        site = new_site(tmp_path_factory.mktemp(layout), layout, schema=schema, **names)
        with site.connect() as connection:
            write(connection, schema, FACTS)
        run = site.build("+user_traits", "stg_pages")
        assert run.success, run.failures
        sites[layout] = site
    return sites


@pytest.mark.parametrize("table", STAGING)
@pytest.mark.parametrize("layout", OTHERS)
def test_the_rows_are_the_same_in_every_layout(
    sites: dict[str, Site], layout: str, table: str
) -> None:
    expected = sites["tailrace"].rows(table)
    if (layout, table) == ("snowplow", "stg_pages"):  # where a page has no name
        expected = sorted(({**row, "name": None} for row in expected), key=repr)
    assert len(expected) > 300
    assert sites[layout].rows(table) == expected
    assert sites[layout].types(table) == sites["tailrace"].types(table)


@pytest.mark.parametrize("layout", OTHERS)
def test_the_traits_are_the_same_in_every_layout(sites: dict[str, Site], layout: str) -> None:
    expected = sites["tailrace"].rows("user_traits")
    assert len(expected) > 10
    assert sites[layout].rows("user_traits") == expected


def test_the_facts_are_all_there(sites: dict[str, Site]) -> None:
    found = sites["tailrace"].rows("stg_tracks")
    assert {row["row_id"] for row in found} == {row["id"] for row in FACTS.tracks}
    said = {key for row in found for key in row["properties"]}
    assert {"from", "1_st", "end", "se_action"} <= said


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    run_failed = pytest.raises(Exception, match="accepted: tailrace, segment, rudderstack")
    with run_failed:
        new_site(tmp_path, "amplitude").build("stg_tracks")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site as Segment would make it on its first day, in a schema of its own."""
    site = new_site(tmp_path_factory.mktemp("small"), "segment", schema="my_site")
    with site.connect() as connection:
        connection.execute("""
            create table my_site.identifies as select 'i1' as id, 7 as user_id, 'a' as anonymous_id,
                ' X@y.z ' as email, 'NL' as address_country, ' ' as region, 'Utrecht' as address_state,
                timestamptz '2026-01-01 00:00:00+02' as created_at,
                timestamp_s '2026-06-01' as "timestamp", '2026-06-01T02:00:00+02:00' as received_at;
            create table my_site.signed_up as select 't1' as "ID", 7 as user_id,
                null::varchar as event_text, 'signed_up' as event, 'nan'::double as score,
                date '2026-01-01' as since, {'k': [1, null]}::json as extra,
                timestamp '2026-06-01' as received_at;
            create view my_site.signed_up_view as from my_site.signed_up;
            create table my_site.other as select 1 as event;
        """)
    yield site


def test_columns_that_are_missing_or_of_another_type(small: Site) -> None:
    run = small.build(*STAGING)
    assert run.success, run.failures
    (call,) = small.rows("stg_identifies")
    assert (call["user_id"], call["email"], call["phone"]) == ("7", "x@y.z", None)
    assert (call["country"], call["region"], call["plan"]) == ("NL", "Utrecht", None)
    assert call["signup_at"] == datetime(2025, 12, 31, 22)
    assert call["occurred_at"] == call["received_at"] == datetime(2026, 6, 1)
    (event,) = small.rows("stg_tracks")
    assert (event["row_id"], event["event"], event["anonymous_id"]) == ("t1", "signed_up", None)
    assert event["properties"] == {"since": "2026-01-01", "extra": {"k": [1, None]}}
    assert event["occurred_at"] == event["arrived_at"] == datetime(2026, 6, 1)


def test_a_table_that_is_not_there_is_empty(small: Site) -> None:
    assert small.build("stg_pages").success
    assert small.rows("stg_pages") == []


def test_an_event_table_that_appears_is_read_by_the_next_build(small: Site) -> None:
    small.build("stg_tracks")
    before = small.rows("stg_tracks")
    with small.connect() as connection:
        connection.execute("""
            create table my_site.left_us as select 't2' as id, 'left_us' as event, 'why' as reason,
                'Left us' as event_text, timestamp '2026-06-02' as received_at
        """)
    small.build("stg_tracks")
    (new,) = [row for row in small.rows("stg_tracks") if row not in before]
    assert (new["event"], new["properties"]) == ("Left us", {"reason": "why"})


def test_a_schema_without_tables_is_no_empty_log(tmp_path: Path) -> None:
    run = new_site(tmp_path, "segment", schema="empty").build("stg_tracks")
    (failed,) = run.failures
    assert "empty has no tables; vars raw_schema and raw_database" in failed.message
