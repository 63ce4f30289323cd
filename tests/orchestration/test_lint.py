from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.sql.lint import FORBIDDEN, forbidden_calls
from orchestration.warehouse.duckdb import DuckDBWarehouse

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
# Volatile to DuckDB, and yet nothing an audience could be wrong by.
HARMLESS = {
    "current_connection_id", "current_database", "current_query", "current_schema",
    "current_schemas", "current_setting", "error", "getvariable", "in_search_path", "sleep_ms",
    "stats", "vector_type", "write_log",
}  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("select now()", [(1, "now")]),
        ("select NOW ( )", [(1, "now")]),
        ("select now/* really */()", [(1, "now")]),
        ("select now -- really\n()", [(1, "now")]),
        ("select main.now()", [(1, "now")]),
        ("select 1,\n  today()\n, random()", [(2, "today"), (3, "random")]),
        ("where d > current_date", [(1, "current_date")]),
        ("where d > CURRENT_TIMESTAMP", [(1, "current_timestamp")]),
        ("where d > current_timestamp(3)", [(1, "current_timestamp")]),
        ("where d > localtimestamp", [(1, "localtimestamp")]),
        ("select uuid()", [(1, "uuid")]),
        ("select uuidv7()", [(1, "uuidv7")]),
        ("select nextval('s')", [(1, "nextval")]),
        ("select age(signup_at) from t", [(1, "age")]),
        ("select age(cast(a as timestamp)) from t", [(1, "age")]),
        ("from t tablesample 10%", [(1, "tablesample")]),
        ("from t using\n  sample 10 rows", [(1, "using sample")]),
        ("{{ config(x='y') }} select now()", [(1, "now")]),
        ("{# a\nb #}\nselect now()", [(3, "now")]),
        ("select 'it''s', now()", [(1, "now")]),
        ("select \"a\"\"b\", now()", [(1, "now")]),
        ("/* ' */ select now() /* ' */", [(1, "now")]),
        ("-- it's\nselect now()", [(2, "now")]),
        ("select '{{ x }}', now()", [(1, "now")]),
        ("select '{{ run_started_at }}'", [(1, "run_started_at")]),
        ("select 1,\n'{{ run_started_at.strftime(\"%Y\") }}'", [(2, "run_started_at")]),
        ("{% set at = modules.datetime.datetime.utcnow() %} select 1", [(1, "utcnow")]),
        ("{%- set day =\n modules.datetime.date.today() -%} select 1", [(2, "today")]),
    ],
)  # fmt: skip
def test_a_clock_or_a_draw_is_found_where_it_is(sql: str, found: list[tuple[int, str]]) -> None:
    assert list(forbidden_calls(sql)) == found


@pytest.mark.parametrize(
    "sql",
    [
        "select {{ as_of() }}",
        "select {{ random() }}, {% set x = random() %} 1",
        "select {{ modules.datetime.timedelta(days=1) }}, {{ now }}, {# run_started_at #} 1",
        "{# now() #} select 1",
        "select 'now()'",
        'select "now"',
        "select t.now, now from t",
        "select t.current_date from t",
        "-- now()\nselect 1",
        "/* now() \n random() */ select 1",
        "select known(), nowhere(), randomly(), my_uuid(), uuid_of(x)",
        "select age(b, a), age(f(a, b), g(c)) from t",
        "select today from days",
        "from t join u using (sample)",
        "select time_zone, timestamp '2026-01-01'",
    ],
)
def test_what_only_looks_like_one_is_let_through(sql: str) -> None:
    assert list(forbidden_calls(sql)) == []


def test_every_volatile_function_of_the_engine_is_known(warehouse: DuckDBWarehouse) -> None:
    volatile = warehouse.rows(
        "select distinct function_name from duckdb_functions() "
        "where stability in ('VOLATILE', 'CONSISTENT_WITHIN_QUERY') "
        "and regexp_full_match(function_name, '[a-z].*')"
    )
    assert {name for (name,) in volatile} - HARMLESS <= FORBIDDEN


@pytest.mark.parametrize(
    "file",
    sorted(file for file in (PROJECT / "models").rglob("*.sql") if "staging" not in file.parts),
    ids=lambda file: file.name,
)
def test_the_models_that_ship_read_no_clock(file: Path) -> None:
    assert list(forbidden_calls(file.read_text(encoding="utf-8"))) == []
