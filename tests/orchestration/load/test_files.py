# ruff: noqa: DTZ001 - the warehouse's instants carry no zone
from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from destinations.clock import Clock
from destinations.errors import ConfigError
from orchestration.load import ColumnMap, FileLoad, load_files
from orchestration.warehouse import Warehouse
from orchestration.warehouse.raw import RAW_TABLES, create_raw, raw_counts

Write = Callable[[str, str], Path]
ROWS = [
    {"user_id": "007", "event": "Session Started", "timestamp": "2026-01-02T03:04:05+02:00",
     "properties": {"platform": "web", "n": 1.0}},
    {"user_id": "8", "event": "Order Completed", "timestamp": "2026-01-02 03:04:06",
     "properties": None},
]  # fmt: skip
LOADED = [
    ("007", "Session Started", datetime(2026, 1, 2, 1, 4, 5), {"platform": "web", "n": 1.0}),
    ("8", "Order Completed", datetime(2026, 1, 2, 3, 4, 6), None),
]


def loaded(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    rows = warehouse.rows(
        'select user_id, event, "timestamp", properties from raw.tracks order by "timestamp"'
    )
    return [(*row[:3], None if row[3] is None else json.loads(row[3])) for row in rows]


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    def cell(value: Any) -> str:
        content = json.dumps(value) if isinstance(value, dict) else value or ""
        return '"' + content.replace('"', '""') + '"' if '"' in content else content

    lines = [list(rows[0]), *([cell(value) for value in row.values()] for row in rows)]
    return "\n".join(delimiter.join(line) for line in lines) + "\n"


def as_ndjson(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_as(ending: str, folder: Path) -> Path:
    path = folder / f"export{ending}"
    if ending.startswith((".csv", ".tsv")):
        content = as_csv(ROWS, "\t" if ending == ".tsv" else ",")
    else:
        content = json.dumps(ROWS) if ending == ".json" else as_ndjson(ROWS)
    if ending.endswith(".gz"):
        path.write_bytes(gzip.compress(content.encode()))
    elif ending == ".parquet":
        (folder / "rows.ndjson").write_text(content)
        with duckdb.connect() as con:
            con.execute(
                f"copy (select user_id::varchar as user_id, event, timestamp::timestamptz as "
                f"\"timestamp\", properties from read_json('{folder}/rows.ndjson', "
                "columns={user_id: 'varchar', event: 'varchar', timestamp: 'varchar', "
                f"properties: 'struct(platform varchar, n double)'}})) to '{path}'"
            )
    else:
        path.write_text(content)
    return path


@pytest.mark.parametrize(
    "ending",
    [".csv", ".tsv", ".csv.gz", ".ndjson", ".jsonl", ".jsonl.gz", ".json", ".parquet"],
)
def test_every_format_gives_the_same_rows(
    warehouse: Warehouse, clock: Clock, tmp_path: Path, ending: str
) -> None:
    report = load_files(warehouse, [write_as(ending, tmp_path)], clock=clock)
    assert loaded(warehouse) == LOADED
    assert [(load.read, load.loaded, load.known, load.skipped) for load in report.loads] == [
        (2, 2, 0, 0)
    ]
    assert report.loads[0].first_at == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert report.loads[0].last_at == datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)


def test_any_layout_with_flags(warehouse: Warehouse, clock: Clock, write: Write) -> None:
    path = write("shop.csv", "kunde;was;wann;preis;sku;frei\na;kauf;1767323045;12.50;007;\n")
    columns = ColumnMap(user="kunde", event="was", time="wann", all_columns=True)
    load_files(warehouse, [path], clock=clock, columns=columns, rename={"kauf": "Order Completed"})
    assert loaded(warehouse) == [
        ("a", "Order Completed", datetime(2026, 1, 2, 3, 4, 5), {"preis": 12.5, "sku": "007"})
    ]


def test_all_columns_keep_json_types_and_merge_with_properties(
    warehouse: Warehouse, clock: Clock, write: Write
) -> None:
    row = {"userId": 5, "event": "x", "ts": 1767323045123, "a/b": {"c": [1]}, "n": None,
           "flag": True, "properties": {"total": 20.0}}  # fmt: skip
    path = write("e.ndjson", as_ndjson([row]))
    load_files(warehouse, [path], clock=clock, columns=ColumnMap(all_columns=True))
    assert loaded(warehouse) == [
        ("5", "x", datetime(2026, 1, 2, 3, 4, 5, 123_000),
         {"a/b": {"c": [1]}, "flag": True, "total": 20.0})
    ]  # fmt: skip
    [(text,)] = warehouse.rows("select properties from raw.tracks")
    assert "20.0" in text


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-02", datetime(2026, 1, 2)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5)),
        ("2026-01-02T03:04:05.678-0530", datetime(2026, 1, 2, 8, 34, 5, 678_000)),
        ("2026-01-02 03:04:05 UTC", datetime(2026, 1, 2, 3, 4, 5)),
        ("1767323045", datetime(2026, 1, 2, 3, 4, 5)),
        ("1767323045.5", datetime(2026, 1, 2, 3, 4, 5, 500_000)),
        ("1767323045001", datetime(2026, 1, 2, 3, 4, 5, 1_000)),
        ("1767323045000001", datetime(2026, 1, 2, 3, 4, 5, 1)),
    ],
)
def test_times(
    warehouse: Warehouse, clock: Clock, write: Write, text: str, instant: datetime
) -> None:
    load_files(warehouse, [write("e.csv", f"user,event,time\na,b,{text}\n")], clock=clock)
    assert loaded(warehouse)[0][2] == instant


def test_received_defaults_to_the_time(warehouse: Warehouse, clock: Clock, write: Write) -> None:
    both = write(
        "e.csv", "user,event,time,receivedAt\na,b,2026-01-02,2026-01-03\na,b,2026-01-04,\n"
    )
    load_files(warehouse, [both], clock=clock)
    load_files(warehouse, [write("f.csv", "user,event,time\nz,b,2026-01-05\n")], clock=clock)
    found = warehouse.rows('select received_at from raw.tracks order by "timestamp"')
    assert found == [(datetime(2026, 1, 3),), (None,), (datetime(2026, 1, 5),)]


def test_identifies(warehouse: Warehouse, clock: Clock, write: Write) -> None:
    path = write(
        "users.csv",
        "id,mail,country,timezone,created_at\nu1,ada@example.com,GB,Europe/London,2025-05-06\n",
    )
    columns = ColumnMap(user="id", email="mail", time="created_at", signup_at="created_at")
    load_files(warehouse, [path], clock=clock, table="identifies", columns=columns)
    assert warehouse.rows(
        'select user_id, email, country, time_zone, plan, signup_at, "timestamp" '
        "from raw.identifies"
    ) == [
        ("u1", "ada@example.com", "GB", "Europe/London", None, datetime(2025, 5, 6),
         datetime(2025, 5, 6))
    ]  # fmt: skip


def test_aliases(warehouse: Warehouse, clock: Clock, write: Write) -> None:
    path = write("a.csv", "userId,previousId,timestamp\nu1,a1,2026-01-02\nu1,,2026-01-02\n")
    (load,) = load_files(warehouse, [path], clock=clock, table="aliases").loads
    assert (load.loaded, load.skipped) == (1, 1)
    assert "rows without a previous id, skipped: 1" in load.notes
    assert warehouse.rows("select previous_id, user_id from raw.aliases") == [("a1", "u1")]
    with pytest.raises(ConfigError, match="--previous COL"):
        load_files(
            warehouse, [write("b.csv", "user,time\na,2026-01-02\n")], clock=clock, table="aliases"
        )


def test_pages(warehouse: Warehouse, clock: Clock, write: Write) -> None:
    path = write("p.ndjson", '{"anonymousId":"x","time":"2026-01-02","path":"/","name":"Home"}\n')
    load_files(warehouse, [path], clock=clock, table="pages")
    assert warehouse.rows("select anonymous_id, user_id, name, path from raw.pages") == [
        ("x", None, "Home", "/")
    ]


def test_rows_of_nobody_and_rows_without_event_are_skipped_and_said(
    warehouse: Warehouse, clock: Clock, write: Write
) -> None:
    path = write(
        "e.csv",
        "user,event,time\na,b,2026-01-02\n,b,not even a time\n ,b,2026-01-02\na,,2026-01-02\n",
    )
    [load] = load_files(warehouse, [path], clock=clock, rename={"c": "d"}).loads
    assert (load.read, load.loaded, load.known, load.skipped) == (4, 1, 0, 3)
    said = " ".join(load.notes)
    assert "nobody" in said
    assert "2" in said
    assert "event name" in said
    assert "'c'" in said


def test_ids_in_float_columns_read_as_whole_numbers(
    warehouse: Warehouse, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "pandas.parquet"
    with duckdb.connect() as con:
        con.execute(
            "copy (select * from (values (17850.0::double, 'b', timestamp '2026-01-02'), "
            f"(null, 'b', timestamp '2026-01-03')) as t (user_id, event, time)) to '{path}'"
        )
    [load] = load_files(warehouse, [path], clock=clock).loads
    assert loaded(warehouse) == [("17850", "b", datetime(2026, 1, 2), None)]
    assert load.skipped == 1


def test_the_shape_for_json(warehouse: Warehouse, clock: Clock, write: Write) -> None:
    path = write("e.csv", "user,event,time\na,b,2026-01-02\n")
    shape = load_files(warehouse, [path], clock=clock).as_dict()
    assert shape["loads"] == [
        {
            "file": str(path), "table": "tracks", "read": 1, "loaded": 1, "known": 0,
            "skipped": 0, "later": 0, "first_at": "2026-01-02T00:00:00Z",
            "last_at": "2026-01-02T00:00:00Z",
            "notes": ["rows without an id, told apart by their content: 1"],
        }
    ]  # fmt: skip


def test_a_large_file_after_one_that_adds_nothing(
    warehouse: Warehouse, clock: Clock, tmp_path: Path
) -> None:
    """DuckDB 2.0.0 loses rows after an insert of none, in one transaction."""
    small, large = tmp_path / "small.parquet", tmp_path / "large.parquet"
    with duckdb.connect() as con:
        for path, rows in ((small, 10), (large, 300_000)):
            con.execute(
                f"copy (select 'm' || i as message_id, 'u' as user_id, 'e' as event, "
                f"timestamp '2026-01-01' + to_seconds(i) as timestamp from range({rows}) as r (i))"
                f" to '{path}'"
            )
    load_files(warehouse, [small], clock=clock)
    loads = load_files(warehouse, [small, large], clock=clock).loads
    assert [(load.loaded, load.known) for load in loads] == [(0, 10), (299_990, 10)]
    assert warehouse.rows("select count(distinct id) from raw.tracks") == [(300_000,)]


def test_raw_tables_are_created_once_and_counted(warehouse: Warehouse) -> None:
    assert raw_counts(warehouse) == dict.fromkeys(RAW_TABLES, 0)
    create_raw(warehouse)
    create_raw(warehouse)
    described = warehouse.rows("describe raw.identifies")
    assert [(row[0], row[1].lower()) for row in described] == list(RAW_TABLES["identifies"].items())
    warehouse.execute("insert into raw.pages (id) values ('a')")
    assert raw_counts(warehouse) == {"tracks": 0, "identifies": 0, "pages": 1, "aliases": 0}


def test_a_result_adds_up() -> None:
    load = FileLoad("f", "tracks", 5, 2, 1, 1, None, None, later=1)
    assert load.read == load.loaded + load.known + load.skipped + load.later
    assert load.as_dict()["first_at"] is None
