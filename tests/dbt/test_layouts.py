"""The same facts in the layout of every collector give the same staging, and the same traits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from destinations.clock import SystemClock
from destinations.errors import ConfigError
from orchestration.dbt import DbtPaths, DbtRun, run_dbt
from orchestration.warehouse.duckdb import open_duckdb
from orchestration.warehouse.schema import create_tables
from tests.dbt.conftest import PROJECT
from tests.dbt.raw_facts import random_facts
from tests.dbt.raw_forms import SNOWPLOW_NAMES, WRITERS

T = datetime(2026, 6, 23, 21, tzinfo=UTC)
STAGING = ("stg_tracks", "stg_identifies", "stg_pages", "stg_aliases")
FACTS = random_facts(T.replace(tzinfo=None), seed=7, calls=300)
OTHERS = tuple(layout for layout in WRITERS if layout != "tailrace")
WITHOUT_ALIASES = "tailrace without aliases"
TWINS = {"segment": "tailrace", "rudderstack": "tailrace", "snowplow": WITHOUT_ALIASES}


@dataclass(frozen=True)
class Site:
    """A warehouse whose raw tables are in one layout."""

    path: Path
    target: Path
    variables: Mapping[str, Any]
    profiles: Path = PROJECT
    project: Path = PROJECT

    def connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(str(self.path))
        connection.execute("set TimeZone = 'UTC'")
        return connection

    def build(self, *select: str) -> DbtRun:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TAILRACE_DUCKDB", str(self.path))
            paths = DbtPaths(self.project, self.profiles, target_path=self.target)
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
def site_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Site]:
    """Return a site by its layout, built as far as user_traits; what Snowplow cannot say is left out."""

    @cache
    def built(name: str) -> Site:
        layout, _, less = name.partition(" ")
        facts = replace(FACTS, aliases=[]) if less else FACTS
        names = {"event_names": SNOWPLOW_NAMES} if layout == "snowplow" else {}
        schema = "atomic" if layout == "snowplow" else "raw"
        site = new_site(tmp_path_factory.mktemp(layout), layout, schema=schema, **names)
        with site.connect() as connection:
            WRITERS[layout](connection, schema, facts)
        run = site.build("+user_traits", "stg_pages")
        assert run.success, run.failures
        return site

    return built


@pytest.mark.parametrize("table", STAGING)
@pytest.mark.parametrize("layout", OTHERS)
@pytest.mark.slow
def test_the_rows_are_the_same_in_every_layout(
    site_of: Callable[[str], Site], layout: str, table: str
) -> None:
    expected = site_of(TWINS[layout]).rows(table)
    if (layout, table) == ("snowplow", "stg_pages"):  # where a page has no name
        expected = sorted(({**row, "name": None} for row in expected), key=repr)
    least = {"stg_aliases": 0 if layout == "snowplow" else 9}
    assert len(expected) >= least.get(table, 301)
    assert site_of(layout).rows(table) == expected
    assert site_of(layout).types(table) == site_of("tailrace").types(table)


@pytest.mark.parametrize("layout", OTHERS)
@pytest.mark.slow
def test_the_traits_are_the_same_in_every_layout(
    site_of: Callable[[str], Site], layout: str
) -> None:
    expected = site_of(TWINS[layout]).rows("user_traits")
    assert len(expected) > 5
    assert site_of(layout).rows("user_traits") == expected


@pytest.mark.slow
def test_aliases_made_users_one(site_of: Callable[[str], Site]) -> None:
    users, without = (site_of(name).rows("user_traits") for name in ("tailrace", WITHOUT_ALIASES))
    assert len(users) < len(without)


@pytest.mark.slow
def test_the_facts_are_all_there(site_of: Callable[[str], Site]) -> None:
    found = site_of("tailrace").rows("stg_tracks")
    assert {row["row_id"] for row in found} == {row["id"] for row in FACTS.tracks}
    said = {key for row in found for key in row["properties"]}
    assert {"from", "1_st", "end", "se_action"} <= said


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    site = new_site(tmp_path, "amplitude")
    with pytest.raises(ConfigError) as caught:
        site.build("stg_tracks")
    said = "var layout is 'amplitude'; accepted: tailrace, segment, rudderstack, snowplow"
    assert said in str(caught.value)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Site:
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
    return site


@pytest.mark.slow
def test_columns_that_are_missing_or_of_another_type(small: Site) -> None:
    run = small.build(*STAGING)
    assert run.success, run.failures
    (call,) = small.rows("stg_identifies")
    assert (call["user_id"], call["email"], call["phone"]) == ("7", "x@y.z", None)
    assert (call["country"], call["region"], call["plan"]) == ("NL", "Utrecht", None)
    assert call["signup_at"] == naive("2025-12-31 22:00")
    assert call["occurred_at"] == call["received_at"] == naive("2026-06-01")
    (event,) = small.rows("stg_tracks")
    assert (event["row_id"], event["event"], event["anonymous_id"]) == ("t1", "signed_up", None)
    assert event["properties"] == {"since": "2026-01-01", "extra": {"k": [1, None]}}
    assert event["occurred_at"] == event["arrived_at"] == naive("2026-06-01")


@pytest.mark.parametrize("table", ["stg_pages", "stg_aliases"])
def test_a_table_that_is_not_there_is_empty(small: Site, table: str) -> None:
    assert small.build(table).success
    assert small.rows(table) == []


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"event_tables": ["gone"]},
            "'gone'; accepted: tables of my_site with a column id: iden",
        ),
        ({"event_tables": ["Other"]}, "'other'; accepted: tables of my_site with a column id"),
        ({"event_tables": "signed_up"}, "accepted: a list of names"),
        ({"event_names": ["a"]}, "accepted: {the collector's name: ours}"),
        (
            {"raw_schema": "empty"},
            "schema empty has no tables; vars raw_schema and raw_database",
        ),
        ({"raw_schema": "started"}, "schema started has a table tracks, but none of an event"),
        ({"layout": "snowplow"}, "schema my_site has no table events"),
        (
            {"layout": "snowplow", "raw_schema": "snow", "snowplow_devices": ["cookie"]},
            "schema snow has no column 'cookie' in events",
        ),
    ],
)
def test_what_cannot_be_read_is_no_empty_log(
    small: Site, variables: dict[str, Any], said: str
) -> None:
    with small.connect() as connection:
        connection.execute("""
            create schema if not exists empty; create schema if not exists started;
            create schema if not exists snow;
            create table if not exists started.tracks as select 't1' as id, 'signed_up' as event;
            create table if not exists snow.events as select 'e1' as event_id, 'struct' as event;
        """)
    message = failure(replace(small, variables={**small.variables, **variables}))
    assert said in message


def failure(site: Site) -> str:
    """Return what dbt says of stg_tracks, whether it fails when it is parsed or when it is built."""
    try:
        (failed,) = site.build("stg_tracks").failures
    except ConfigError as error:
        return str(error)
    return failed.message


@pytest.mark.slow
def test_event_tables_can_be_listed_and_events_renamed(small: Site) -> None:
    variables = {"event_tables": ["SIGNED_UP"], "event_names": {"signed_up": "It's you"}}
    assert replace(small, variables={**small.variables, **variables}).build("stg_tracks").success
    assert [row["event"] for row in small.rows("stg_tracks")] == ["It's you"]


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["segment", "rudderstack"])
def test_a_plan_asks_of_columns_only_what_they_can_hold(tmp_path: Path, layout: str) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    (project / "seeds" / "tracking_plan.csv").write_text(
        "event,property,type,required,allowed_values,pattern,enforcement\n"
        "Bought,,,,,,block\nBought,items,array,true,,,\nBought,address,object,true,,,\n"
        "Bought,since,array|date-time,,,,\n"
    )
    site = replace(new_site(tmp_path, layout), project=project)
    with site.connect() as connection:
        connection.execute("""
            create table raw.bought as
            select
                id, 'ada' as user_id, 'bought' as event, 'Bought' as event_text, items, since,
                'Paris' as address_city, noon as "timestamp", noon as received_at
            from (values
                ('right', '[{"id": 1}]', '2026-01-01T00:00:00Z'), ('lists', '[]', '[1]'),
                ('text', 'some', null), ('object', '{"a": 1}', '{}'), ('none', null, 'no time')
            ) as given (id, items, since) cross join (select timestamp '2026-06-01 12:00' as noon)
        """)
    run = site.build("tracking_plan", "event_aliases", "stg_tracks", "event_log")
    assert run.success, run.failures
    found = {row["row_id"]: row["violations"] for row in site.rows("event_log")}
    wrong = {
        id_: [(one["rule"], one["property"]) for one in json.loads(said or "[]")]
        for id_, said in found.items()
    }
    assert wrong == {
        "right": [],
        "lists": [],
        "text": [("type", "items")],
        "object": [("type", "items"), ("type", "since")],
        "none": [("required", "items"), ("type", "since")],
    }


@pytest.mark.slow
def test_a_listed_table_that_says_no_event_is_called_like_it(small: Site) -> None:
    with small.connect() as connection:
        connection.execute("""
            create schema shop;
            create table shop."Order's Paid" as
            select 'o1' as id, 'ada' as user_id, timestamp '2026-06-01' as "timestamp", 5 as total;
        """)
    variables = {"raw_schema": "shop", "event_tables": ["order's paid"]}
    assert replace(small, variables={**small.variables, **variables}).build("stg_tracks").success
    (row,) = small.rows("stg_tracks")
    assert (row["event"], row["properties"]) == ("Order's Paid", {"total": 5})


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["tailrace", "segment"])
def test_raw_tables_may_be_in_an_attached_database(tmp_path: Path, layout: str) -> None:
    with duckdb.connect(str(tmp_path / "lake.duckdb")) as lake:
        lake.execute("create schema theirs")
        WRITERS[layout](lake, "theirs", random_facts(naive("2026-06-01"), seed=1, calls=20))
    profile = (PROJECT / "profiles.yml").read_text()
    attached = f"attach: [{{path: '{tmp_path / 'lake.duckdb'}', alias: lake, read_only: true}}]"
    profile = profile.replace("      threads: 2", f"      threads: 2\n      {attached}", 1)
    (tmp_path / "profiles.yml").write_text(profile)
    site = new_site(tmp_path, layout, schema="unused", raw_database="lake")
    site = replace(site, profiles=tmp_path, variables={**site.variables, "raw_schema": "theirs"})
    run = site.build(*STAGING)
    assert run.success, run.failures
    with duckdb.connect(str(site.path)) as connection:
        connection.execute(f"attach '{tmp_path / 'lake.duckdb'}' as lake (read_only)")
        for table in STAGING:
            assert len(connection.sql(f"from analytics.{table}")) >= 9


@pytest.mark.slow
def test_an_underscore_stays_where_it_must(tmp_path: Path) -> None:
    site = new_site(tmp_path, "rudderstack")
    with site.connect() as connection:
        connection.execute("""
            create table raw.moved as select 't1' as "ID", 'moved' as "EVENT", 1 as "_FROM",
                2 as "_order", 3 as "order", 4 as _2_nd, 5 as _other, 6 as channel,
                timestamptz '2026-06-01 02:00:00+02' as received_at
        """)
    assert site.build("stg_tracks").success
    (row,) = site.rows("stg_tracks")
    assert row["properties"] == {"from": 1, "_order": 2, "order": 3, "2_nd": 4, "_other": 5}
    assert row["arrived_at"] == naive("2026-06-01")


@pytest.mark.slow
def test_a_name_may_hold_a_quote(tmp_path: Path) -> None:
    site = new_site(tmp_path, "segment")
    with site.connect() as connection:
        connection.execute("""
            create table raw."say ""hi"" now" as select 't1' as id, 'hi' as event, 6 as "6"" disc",
                timestamp '2026-06-01' as received_at
        """)
    run = site.build("stg_tracks")
    assert run.success, run.failures
    (row,) = site.rows("stg_tracks")
    assert row["properties"] == {'6" disc': 6}


def naive(text: str) -> datetime:
    return datetime.fromisoformat(text)
