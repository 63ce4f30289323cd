from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from destinations.clock import Clock
from destinations.errors import ConfigError
from orchestration.load import load_files, load_sample
from orchestration.load.sample import SAMPLE, SAMPLE_TABLES
from orchestration.warehouse import Warehouse
from orchestration.warehouse.raw import RAW_TABLES, raw_counts
from orchestration.warehouse.schema import create_tables, workspace_id

Write = Callable[[str, str], Path]
END = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SHIFT = f"(timestamp '{END:%Y-%m-%d %H:%M:%S}' - timestamp '2026-06-30 21:00:00')"


def contents(warehouse: Warehouse) -> list[list[tuple[object, ...]]]:
    return [
        warehouse.rows(f"select count(*), count(distinct id), bit_xor(hash(t)) from raw.{table} t")
        for table in SAMPLE_TABLES
    ]  # type: ignore[misc]


def test_the_last_event_falls_exactly_at_the_end_and_all_moves_alike(
    warehouse: Warehouse, clock: Clock
) -> None:
    report = load_sample(warehouse, clock=clock, end=END)
    assert report.end == END
    assert report.loads[0].last_at == END
    assert [(load.read, load.known, load.skipped) for load in report.loads] == [
        (load.loaded, 0, 0) for load in report.loads
    ]
    for table in SAMPLE_TABLES:
        columns = RAW_TABLES[table]
        moved = ", ".join(
            f'"{name}" + {SHIFT}' if kind == "timestamp" else f'"{name}"'
            for name, kind in columns.items()
        )
        ours = ", ".join(
            f'"{name}"::varchar' if kind == "json" else f'"{name}"'
            for name, kind in columns.items()
        )
        theirs = f"select {moved} from '{SAMPLE}/{table}.parquet'"
        for left, right in ((ours, theirs), (theirs, ours)):
            sql = [f"select {left} from raw.{table}" if left is ours else left,
                   f"select {right} from raw.{table}" if right is ours else right]  # fmt: skip
            assert warehouse.rows(f"select count(*) from (({sql[0]}) except ({sql[1]}))") == [(0,)]


def test_the_end_is_now_and_a_whole_second(warehouse: Warehouse, clock: Clock) -> None:
    assert load_sample(warehouse, clock=clock).end == clock.now().replace(microsecond=0)


@pytest.mark.slow
def test_a_part_and_then_the_rest_is_all_at_once(warehouse: Warehouse, clock: Clock) -> None:
    until = END - timedelta(days=7)
    part = load_sample(warehouse, clock=clock, end=END, until=until)
    assert all(load.later > 0 for load in part.loads)
    assert all(load.read == load.loaded + load.later for load in part.loads)
    late = f"timestamp '{until:%Y-%m-%d %H:%M:%S}'"
    assert warehouse.rows(f"select max(received_at) <= {late} from raw.tracks") == [(True,)]
    rest = load_sample(warehouse, clock=clock, end=END)
    assert [load.loaded for load in rest.loads] == [load.later for load in part.loads]
    in_two = contents(warehouse)
    load_sample(warehouse, clock=clock, end=END, replace=True)
    assert contents(warehouse) == in_two


def test_again_adds_nothing_and_keeps_the_end(warehouse: Warehouse, clock: Clock) -> None:
    load_sample(warehouse, clock=clock, end=END)
    again = load_sample(warehouse, clock=clock)
    assert again.end == END
    assert [load.loaded for load in again.loads] == [0, 0, 0]


@pytest.mark.slow
def test_another_end_is_refused_until_replaced(warehouse: Warehouse, clock: Clock) -> None:
    load_sample(warehouse, clock=clock, end=END)
    with pytest.raises(ConfigError, match=r"2026-03-04T05:06:07Z.*--replace"):
        load_sample(warehouse, clock=clock, end=END + timedelta(seconds=1))
    later = load_sample(warehouse, clock=clock, end=END + timedelta(days=1), replace=True)
    assert later.loads[0].last_at == END + timedelta(days=1)


def test_it_does_not_mix_with_own_events(warehouse: Warehouse, clock: Clock, write: Write) -> None:
    own = write("e.csv", "user,event,time\na,b,2026-01-02\n")
    load_files(warehouse, [own], clock=clock)
    with pytest.raises(ConfigError, match="your own events") as caught:
        load_sample(warehouse, clock=clock)
    assert caught.value.key == "--replace"
    load_sample(warehouse, clock=clock, replace=True)
    with pytest.raises(ConfigError, match="the sample"):
        load_files(warehouse, [own], clock=clock)
    report = load_files(warehouse, [own], clock=clock, replace=True)
    assert raw_counts(warehouse) == {"tracks": 1, "identifies": 0, "pages": 0, "aliases": 0}
    assert report.notes()[0].startswith("Replaced")


def test_rows_that_something_else_wrote_are_the_owners(
    warehouse: Warehouse, clock: Clock, write: Write
) -> None:
    load_files(warehouse, [write("e.csv", "user,event,time\na,b,2026-01-02\n")], clock=clock)
    warehouse.execute("delete from raw._loads")
    with pytest.raises(ConfigError, match="--replace"):
        load_sample(warehouse, clock=clock)
    load_files(warehouse, [write("f.csv", "user,event,time\nc,b,2026-01-02\n")], clock=clock)


@pytest.mark.slow
def test_replacing_drops_what_was_computed_and_nothing_else(
    warehouse: Warehouse, clock: Clock
) -> None:
    create_tables(warehouse)
    before = workspace_id(warehouse)
    built = [{"name": name, "resource_type": "model", "status": "success"} for name in ("t", "v")]
    warehouse.execute(
        "insert into tailrace.builds (build_id, relations) values ('b', ?)", [json.dumps(built)]
    )
    warehouse.execute("create schema analytics")
    for table in ("t", "of_others"):
        warehouse.execute(f"create table analytics.{table} as select 1 as x")
    warehouse.execute("create view analytics.v as select * from analytics.t")
    load_sample(warehouse, clock=clock, replace=True)
    found = warehouse.rows(
        "select table_name from information_schema.tables where table_schema = 'analytics'"
    )
    assert found == [("of_others",)]
    assert warehouse.rows("select count(*) from tailrace.builds") == [(0,)]
    assert workspace_id(warehouse) != before


def test_the_ledger_names_files_without_folders(
    warehouse: Warehouse, clock: Clock, write: Write
) -> None:
    load_files(warehouse, [write("e.csv", "user,event,time\na,b,2026-01-02\n")], clock=clock)
    assert warehouse.rows('select source, file, table_name, "rows", end_at from raw._loads') == [
        ("own", "e.csv", "tracks", 1, None)
    ]


def test_an_installed_package_has_no_sample(
    warehouse: Warehouse, clock: Clock, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="data/sample") as caught:
        load_sample(warehouse, clock=clock, folder=tmp_path)
    assert str(tmp_path) not in caught.value.message
