"""Every way in which a file can be wrong, and that then nothing of it is there."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from destinations.clock import Clock
from destinations.errors import ConfigError, DataError, TailraceError
from orchestration.load import ColumnMap, load_files, rename_from, require_events
from orchestration.warehouse import Warehouse
from orchestration.warehouse.raw import create_raw, raw_counts

Write = Callable[[str, str], Path]
GOOD = "user,event,time\na,b,2026-01-02\n"


def refused(
    warehouse: Warehouse, clock: Clock, path: Path, columns: ColumnMap | None = None,
    table: str = "tracks",
) -> TailraceError:  # fmt: skip
    with pytest.raises(TailraceError) as caught:
        load_files(warehouse, [path], clock=clock, columns=columns or ColumnMap(), table=table)
    assert sum(raw_counts(warehouse).values()) == 0
    return caught.value


def test_a_missing_column_names_file_flag_column_and_what_there_is(
    warehouse: Warehouse, clock: Clock, write: Write
) -> None:
    error = refused(warehouse, clock, write("e.csv", GOOD), ColumnMap(event="wat"))
    assert isinstance(error, ConfigError)
    assert error.file is not None
    assert error.file.endswith("e.csv")
    assert error.key == "--event"
    assert error.accepted == ("user", "event", "time")
    assert "'wat'" in error.message
    assert "1 row" in error.message


@pytest.mark.parametrize(
    ("header", "flag"),
    [("who,event,time", "--user"), ("user,what,time", "--event"), ("user,event,when", "--time")],
)
def test_a_column_nobody_named_and_no_name_gives_away(
    warehouse: Warehouse, clock: Clock, write: Write, header: str, flag: str
) -> None:
    error = refused(warehouse, clock, write("e.csv", f"{header}\na,b,2026-01-02\n"))
    assert error.key == flag
    assert f"{flag} COL" in error.message


def test_a_flag_of_another_table(warehouse: Warehouse, clock: Clock, write: Write) -> None:
    path = write("e.csv", GOOD)
    assert refused(warehouse, clock, path, ColumnMap(email="user")).key == "--email"
    for columns in (ColumnMap(event="event"), ColumnMap(all_columns=True)):
        assert "identifies" in refused(warehouse, clock, path, columns, "identifies").message


@pytest.mark.parametrize("bad", ["yesterday", "01/02/2026", "infinity", "2026-13-01", "12", ""])
def test_an_unreadable_time_names_column_counts_and_row_but_not_the_value(
    warehouse: Warehouse, clock: Clock, write: Write, bad: str
) -> None:
    path = write("e.csv", f"{GOOD}a,b,{bad}\nc,d,{bad}\n")
    error = refused(warehouse, clock, path)
    assert isinstance(error, DataError)
    assert "'time'" in error.message
    assert "2 of 3 rows" in error.message
    assert "row 2" in error.message
    said = error.message.replace(str(path), "").replace("row 2", "")
    assert bad == "" or bad not in said


def test_an_unreadable_arrival_or_sign_up(warehouse: Warehouse, clock: Clock, write: Write) -> None:
    path = write("e.csv", "user,event,time,received_at\na,b,2026-01-02,soon\n")
    assert refused(warehouse, clock, path).key == "received_at"
    path = write("u.csv", "user,time,signup_at\na,2026-01-02,soon\nb,2026-01-02,\n")
    error = refused(warehouse, clock, path, table="identifies")
    assert "1 of 2 rows" in error.message


@pytest.mark.parametrize("bad", ["[1]", "3", "{broken", '"text"'])
def test_properties_that_are_no_object(
    warehouse: Warehouse, clock: Clock, write: Write, bad: str
) -> None:
    cell = '"' + bad.replace('"', '""') + '"'
    path = write("e.csv", f"user,event,time,properties\na,b,2026-01-02,\na,b,2026-01-02,{cell}\n")
    error = refused(warehouse, clock, path)
    assert "'properties'" in error.message
    assert "1 of 2 rows" in error.message
    assert "row 2" in error.message


@pytest.mark.parametrize(
    ("name", "content"),
    [("e.csv", ""), ("e.csv", "user,event,time\n"), ("e.ndjson", ""), ("e.ndjson", "\n"),
     ("e.parquet", ""), ("e.json", "[]")],
)  # fmt: skip
def test_an_empty_file(
    warehouse: Warehouse, clock: Clock, write: Write, name: str, content: str
) -> None:
    error = refused(warehouse, clock, write(name, content))
    assert isinstance(error, DataError)
    assert "empty" in error.message
    assert "0 rows" in error.message


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("e.csv", GOOD + "ada@example.com,b,2026-01-02,more\n", "line 3"),
        ("e.csv", GOOD + "ada@example.com\n", "line 3"),
        ("e.csv", GOOD + 'ada@example.com,"b,2026-01-02\n', "line 3"),
        ("e.csv", "user,event,user,time\na,b,c,2026-01-02\n", "two columns"),
        ("e.ndjson", '{"user": "a"}\nada@example.com\n', "line 2"),
        ("e.ndjson", '{"user": "a"}\n["ada@example.com"]\n', "1 of 2 lines"),
        ("e.parquet", "ada@example.com is not parquet, nor is this", "cannot be read"),
        ("e.csv.gz", "ada@example.com is not gzip", "cannot be read"),
    ],
)
def test_a_broken_file_says_where_without_its_content(
    warehouse: Warehouse, clock: Clock, write: Write, name: str, content: str, says: str
) -> None:
    error = refused(warehouse, clock, write(name, content))
    assert isinstance(error, DataError)
    assert says in error.message
    assert "ada@" not in error.message


def test_another_encoding(warehouse: Warehouse, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_bytes((GOOD + "Jos\u00e9,b,2026-01-02\n").encode("latin-1"))
    assert "UTF-8" in refused(warehouse, clock, path).message
    path.write_bytes("us\u00e9r,event,time\na,b,2026-01-02\n".encode("latin-1"))
    assert "UTF-8" in refused(warehouse, clock, path).message


def test_a_cut_gzip(warehouse: Warehouse, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "e.csv.gz"
    rows = "".join(f"u{n},e{n * 7919 % 1000},2026-01-02\n" for n in range(5_000))
    path.write_bytes(gzip.compress(("user,event,time\n" + rows).encode())[:-2_000])
    assert "cannot be read" in refused(warehouse, clock, path).message


def test_no_such_file_format_or_table(
    warehouse: Warehouse, clock: Clock, write: Write, tmp_path: Path
) -> None:
    assert "no file" in refused(warehouse, clock, tmp_path / "none.csv").message
    assert ".parquet" in refused(warehouse, clock, write("e.xlsx", "x")).accepted
    error = refused(warehouse, clock, write("e.csv", GOOD), table="users")
    assert error.accepted == ("tracks", "identifies", "pages", "aliases")
    with pytest.raises(ConfigError):
        load_files(warehouse, [], clock=clock)


def test_an_id_by_name_that_does_not_tell_rows_apart(
    warehouse: Warehouse, clock: Clock, write: Write
) -> None:
    path = write("e.csv", "id,user,event,time\n1,a,b,2026-01-02\n1,a,c,2026-01-02\n"
                 "2,a,b,2026-01-02\n2,a,b,2026-01-02\n")  # fmt: skip
    error = refused(warehouse, clock, path)
    assert "2 of 4 rows" in error.message
    assert "--id" in error.message
    [load] = load_files(warehouse, [path], clock=clock, columns=ColumnMap(id="")).loads
    assert load.loaded == 4


def test_one_bad_file_among_good_ones_leaves_nothing(
    warehouse: Warehouse, clock: Clock, write: Write
) -> None:
    files = [write("a.csv", GOOD), write("b.csv", "user,event,time\na,b,soon\n")]
    with pytest.raises(DataError):
        load_files(warehouse, files, clock=clock)
    assert raw_counts(warehouse)["tracks"] == 0


def test_a_failed_replacement_leaves_what_was_there(
    warehouse: Warehouse, clock: Clock, write: Write
) -> None:
    load_files(warehouse, [write("a.csv", GOOD)], clock=clock)
    warehouse.execute("create schema tailrace")
    warehouse.execute("create table tailrace.plans as select 1 as plan_id")
    with pytest.raises(DataError):
        load_files(warehouse, [write("b.csv", "")], clock=clock, replace=True)
    assert raw_counts(warehouse)["tracks"] == 1
    assert warehouse.rows("select * from tailrace.plans") == [(1,)]


def test_no_events_names_both_ways(warehouse: Warehouse, clock: Clock, write: Write) -> None:
    for prepare in (lambda: None, lambda: create_raw(warehouse)):
        prepare()
        with pytest.raises(DataError, match=r"--sample.*tailrace load FILE --user COL"):
            require_events(warehouse)
    load_files(warehouse, [write("a.csv", GOOD)], clock=clock)
    require_events(warehouse)


def test_rename_pairs() -> None:
    assert rename_from(["a=b", "page_view = Session Started"]) == {
        "a": "b",
        "page_view": "Session Started",
    }
    for pair in ("a", "=b", "a="):
        with pytest.raises(ConfigError, match="OLD=NEW"):
            rename_from([pair])
