from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from destinations.errors import DataError, LockedError
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from orchestration.warehouse.schema import (
    create_tables,
    set_state_value,
    state_value,
    workspace_id,
)
from tests.conftest import FakeClock

HOLD = """
import sys
import duckdb
con = duckdb.connect(sys.argv[1], read_only=len(sys.argv) > 2)
print("held", flush=True)
sys.stdin.read()
"""


def hold(path: Path, *more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def path(tmp_path: Path, clock: FakeClock) -> Path:
    path = tmp_path / "deep" / "er" / "warehouse.duckdb"
    open_duckdb(path, clock=clock).close()
    return path


@pytest.mark.parametrize("read_only", [[], ["read only"]])
def test_the_process_that_holds_the_file_is_named(
    path: Path, clock: FakeClock, read_only: list[str]
) -> None:
    with hold(path, *read_only) as holder, pytest.raises(LockedError) as raised:
        open_duckdb(path, clock=clock, deadline=3)
    assert f"process {holder.pid}" in raised.value.message
    assert path.name in raised.value.message
    assert clock.passed == pytest.approx(3, abs=0.3), "it waited until the deadline"
    open_duckdb(path, clock=clock).close()


def test_a_deadline_of_nothing_does_not_wait(path: Path, clock: FakeClock) -> None:
    with hold(path), pytest.raises(LockedError):
        open_duckdb(path, clock=clock, deadline=0)
    assert clock.slept == []


def test_it_opens_as_soon_as_the_file_is_free(path: Path) -> None:
    class Releasing(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if len(self.slept) == 3:
                holder.communicate("")

    clock = Releasing()
    with hold(path) as holder:
        open_duckdb(path, clock=clock).close()
    assert len(clock.slept) == 3


@pytest.mark.parametrize("content", [b"this is no database" * 500, b"x", bytes(50_000)])
def test_a_file_that_is_no_database_is_said_to_be_so(
    tmp_path: Path, clock: FakeClock, content: bytes
) -> None:
    path = tmp_path / "locks" / "blocked.duckdb"  # no word in a path is a lock
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        open_duckdb(path, clock=clock)
    assert raised.value.file == path.name
    assert clock.slept == []


def test_a_damaged_database_is_said_to_be_so(path: Path, clock: FakeClock) -> None:
    raw = bytearray(path.read_bytes())
    raw[4096 + 30] ^= 0xFF  # DuckDB speaks of a checksum "in block"
    raw[8192 + 30] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(DataError):
        open_duckdb(path, clock=clock)
    assert clock.slept == []


def test_a_directory_is_no_database(tmp_path: Path, clock: FakeClock) -> None:
    with pytest.raises(DataError):
        open_duckdb(tmp_path, clock=clock)


@pytest.fixture
def numbers(warehouse: DuckDBWarehouse) -> DuckDBWarehouse:
    warehouse.execute("create table numbers (n integer primary key, name varchar)")
    return warehouse


def count(warehouse: DuckDBWarehouse) -> int:
    return int(warehouse.rows("select count(*) from numbers")[0][0])


def test_a_transaction_is_all_or_nothing(numbers: DuckDBWarehouse) -> None:
    with numbers.transaction():
        numbers.execute("insert into numbers values (1, 'one')")
    with pytest.raises(duckdb.ConstraintException), numbers.transaction():
        numbers.execute("insert into numbers values (3, 'three'), (1, 'again')")
    assert numbers.rows("select * from numbers") == [(1, "one")]


def insert_and_stop(numbers: DuckDBWarehouse, stop: type[BaseException]) -> None:
    with numbers.transaction():
        numbers.append("numbers", pa.table({"n": [1, 2]}))
        numbers.execute("insert into numbers values (3, 'three')")
        assert count(numbers) == 3
        raise stop


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ZeroDivisionError, SystemExit, GeneratorExit])
def test_a_transaction_that_is_interrupted_is_rolled_back(
    numbers: DuckDBWarehouse, stop: type[BaseException]
) -> None:
    with pytest.raises(stop):
        insert_and_stop(numbers, stop)
    assert count(numbers) == 0


def test_rows_are_appended_by_name(numbers: DuckDBWarehouse) -> None:
    numbers.append("numbers", pa.table({"name": ["one"], "n": [1]}))
    table = pa.table({"n": range(2, 1000)})
    numbers.append("numbers", pa.RecordBatchReader.from_batches(table.schema, table.to_batches(7)))
    numbers.append("numbers", pa.table({"n": pa.array([], pa.int32())}))
    assert count(numbers) == 999
    assert numbers.rows("select * from numbers where n < 3 order by n") == [(1, "one"), (2, None)]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (pa.table({"n": [2, 1]}), duckdb.ConstraintException),
        (pa.table({"unknown": [2]}), duckdb.BinderException),
        (pa.table({"n": ["two"]}), duckdb.ConversionException),
    ],
)
def test_an_append_that_fails_says_why_and_leaves_a_usable_connection(
    numbers: DuckDBWarehouse, bad: pa.Table, error: type[duckdb.Error]
) -> None:
    numbers.append("numbers", pa.table({"n": [1]}))
    with pytest.raises(error), numbers.transaction():
        numbers.append("numbers", bad)
    with pytest.raises(error):
        numbers.append("numbers", bad)
    with numbers.transaction():
        numbers.append("numbers", pa.table({"n": [2]}))
    assert numbers.rows("select n from numbers order by n") == [(1,), (2,)]


def test_a_stream_comes_in_batches_while_the_connection_writes(numbers: DuckDBWarehouse) -> None:
    numbers.append("numbers", pa.table({"n": range(10_000)}))
    seen = []
    for batch in numbers.stream("select n from numbers order by n", rows=1_000):
        assert batch.num_rows <= 1_000
        seen += batch.column(0).to_pylist()
        numbers.execute("insert into numbers values (?, 'new')", [100_000 + len(seen)])
    assert seen == list(range(10_000))
    assert count(numbers) > 10_000


def test_a_stream_that_is_left_half_way_holds_nothing(
    numbers: DuckDBWarehouse, tmp_path: Path, clock: FakeClock
) -> None:
    numbers.append("numbers", pa.table({"n": range(10_000)}))
    stream: Iterator[pa.RecordBatch] = numbers.stream("select n from numbers", rows=100)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    numbers.close()
    with hold(tmp_path / "warehouse.duckdb"):
        pass


ZONES = """
import sys
from pathlib import Path
from destinations.clock import SystemClock
from orchestration.warehouse.duckdb import open_duckdb
sql = "select current_setting('TimeZone') as zone, " \\
    "cast(cast(timestamptz '2026-01-01 00:00:00+00' as timestamp) as varchar) as instant"
with open_duckdb(Path(sys.argv[1]), clock=SystemClock()) as warehouse:
    print(warehouse.rows(sql), warehouse.query(sql).to_pylist())
    print(*[batch.to_pylist() for batch in warehouse.stream(sql, rows=1)])
"""


def test_every_way_out_of_the_warehouse_is_utc(path: Path) -> None:
    """On a machine that is not."""
    environment = {**os.environ, "TZ": "Asia/Tokyo"}
    printed = subprocess.run(
        [sys.executable, "-c", ZONES, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.count("UTC") == 3
    assert printed.count("2026-01-01 00:00:00'") == 3


def test_an_instant_with_a_zone_is_read_aware(warehouse: DuckDBWarehouse) -> None:
    ((found,),) = warehouse.rows("select timestamptz '2026-01-01 00:00:00+02'")
    assert found == datetime(2025, 12, 31, 22, tzinfo=UTC)


def test_a_query_takes_values_by_place_and_by_name(warehouse: DuckDBWarehouse) -> None:
    assert warehouse.query("select ? as a", ["x'; drop"]).to_pylist() == [{"a": "x'; drop"}]
    assert warehouse.query("select $a as a", {"a": 1}).to_pylist() == [{"a": 1}]


def test_making_the_tables_again_keeps_what_is_there(warehouse: DuckDBWarehouse) -> None:
    first = workspace_id(warehouse)
    assert len(first) == 32
    warehouse.execute("insert into tailrace.suppressed values ('x', 'asked', null)")
    create_tables(warehouse)
    assert workspace_id(warehouse) == first
    assert warehouse.rows("select count(*) from tailrace.suppressed") == [(1,)]


def test_state_is_one_value_per_destination_and_name(warehouse: DuckDBWarehouse) -> None:
    assert state_value(warehouse, "iterable", "list") is None
    for value in ("1", "2"):
        set_state_value(warehouse, "iterable", "list", value)
    set_state_value(warehouse, "braze", "list", "3")
    assert state_value(warehouse, "iterable", "list") == "2"
    assert state_value(warehouse, "braze", "list") == "3"


def test_the_newest_and_narrowest_receipt_is_the_outcome_of_an_op(
    warehouse: DuckDBWarehouse,
) -> None:
    warehouse.execute(
        "insert into tailrace.plan_ops (plan_id, seq, dest_key, op_id) "
        "select 'p1', i, 'u' || i, 'op' || i from range(1, 7) as t(i)"
    )
    receipts = [
        ("p1", 1, 4, 1, "retry"),
        ("p1", 1, 4, 2, "split"),
        ("p1", 1, 2, 3, "delivered"),
        ("p1", 2, 2, 3, "rejected"),
        ("p1", 3, 4, 3, "delivered"),
        ("p1", 5, 5, 1, "refused"),
        ("p2", 6, 6, 9, "delivered"),
    ]
    for receipt in receipts:
        warehouse.execute(
            "insert into tailrace.receipts values (?, ?, ?, ?, ?, 200, null)", receipt
        )
    found = warehouse.rows("select seq, outcome, attempt from tailrace.op_outcomes order by seq")
    assert found == [
        (1, "delivered", 3),
        (2, "rejected", 3),
        (3, "delivered", 3),
        (4, "delivered", 3),
        (5, "refused", 1),
        (6, None, None),
    ]
