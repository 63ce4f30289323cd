"""Loading something again changes nothing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destinations.clock import Clock, SystemClock
from orchestration.load import ColumnMap, load_files
from orchestration.warehouse import Warehouse
from orchestration.warehouse.duckdb import open_duckdb

Write = Callable[[str, str], Path]

row = st.fixed_dictionaries(
    {
        "user": st.sampled_from(["a", "b"]),
        "event": st.sampled_from(["x", "y"]),
        "time": st.sampled_from(["2026-01-02", "2026-01-02T00:00:01Z"]),
    },
    optional={"message_id": st.sampled_from(["m1", "m2", "m3"]), "n": st.integers(0, 1)},
)


def ids(warehouse: Warehouse) -> list[str]:
    return [id_ for (id_,) in warehouse.rows("select id from raw.tracks order by id")]


@settings(max_examples=12, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=12), cut=st.integers(0, 12))
@pytest.mark.slow
def test_twice_is_once_and_in_pieces_is_whole(rows: list[dict[str, object]], cut: int) -> None:
    lines = [json.dumps(item) + "\n" for item in rows]
    named = {item["message_id"] for item in rows if "message_id" in item}
    unnamed = sum("message_id" not in item for item in rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, part = folder / "whole.ndjson", folder / "part.ndjson"
        whole.write_text("".join(lines))
        part.write_text("".join(lines[:cut] or lines[:1]))
        with open_duckdb(folder / "w.duckdb", clock=SystemClock()) as warehouse:
            load_files(warehouse, [part], clock=SystemClock())
            [load] = load_files(warehouse, [whole], clock=SystemClock()).loads
            first = ids(warehouse)
            [again] = load_files(warehouse, [whole, part], clock=SystemClock()).loads[:1]
            assert ids(warehouse) == first
            assert len(first) == len(set(first)) == len(named) + unnamed
            assert (again.loaded, again.known) == (0, len(rows))
            assert load.loaded + load.known == len(rows)


@pytest.mark.parametrize("ending", ["csv", "ndjson"])
def test_equal_rows_of_one_file_stay_apart(
    warehouse: Warehouse, clock: Clock, write: Write, ending: str
) -> None:
    content = {
        "csv": "user,event,time\n" + "a,b,2026-01-02\n" * 3,
        "ndjson": '{"user":"a","event":"b","time":"2026-01-02"}\n' * 3,
    }[ending]
    for expected in (3, 0):
        [load] = load_files(warehouse, [write(f"e.{ending}", content)], clock=clock).loads
        assert load.loaded == expected
    assert len(ids(warehouse)) == 3


def test_another_mapping_of_the_same_rows_adds_nothing(
    warehouse: Warehouse, clock: Clock, write: Write
) -> None:
    path = write("e.csv", "user,event,time,n\na,b,2026-01-02,1\n")
    load_files(warehouse, [path], clock=clock)
    again = load_files(
        warehouse, [path], clock=clock, columns=ColumnMap(all_columns=True), rename={"b": "c"}
    )
    assert again.loads[0].known == 1
    (note,) = (note for note in again.loads[0].notes if "say something else" in note)
    assert note.endswith("left as they are: 1; --replace begins anew")
    same = load_files(warehouse, [path], clock=clock)
    assert not any("say something else" in note for note in same.loads[0].notes)


def test_rows_that_a_chosen_id_does_not_tell_apart_are_counted(
    warehouse: Warehouse, clock: Clock, write: Write
) -> None:
    lines = "".join(f"{n % 5},u{n},bought,2026-01-02\n" for n in range(20))
    path = write("e.csv", f"order,user,event,time\n{lines}")
    [load] = load_files(warehouse, [path], clock=clock, columns=ColumnMap(id="order")).loads
    assert (load.read, load.loaded) == (20, 5)
    assert "rows that differ but share 5 ids, of which one each counts: 20" in load.notes


def test_messages_that_came_twice_are_both_kept(
    warehouse: Warehouse, clock: Clock, write: Write
) -> None:
    """Which copy counts depends on the as-of, so the models decide, not the load."""
    path = write("e.csv", "id,message_id,user,event,time\n1,m,a,b,2026-01-02\n2,m,a,b,2026-01-02\n")
    load_files(warehouse, [path], clock=clock)
    assert ids(warehouse) == ["1", "2"]


def test_of_rows_with_one_id_the_first_received_is_kept(
    warehouse: Warehouse, clock: Clock, write: Write
) -> None:
    path = write(
        "e.csv",
        "messageId,user,event,time,received_at\nm,late,b,2026-01-02,2026-01-09\n"
        "m,soon,b,2026-01-02,2026-01-03\n",
    )
    [load] = load_files(warehouse, [path], clock=clock).loads
    assert (load.loaded, load.known) == (1, 1)
    assert warehouse.rows("select id, user_id from raw.tracks") == [("m", "soon")]
    assert load_files(warehouse, [path], clock=clock).loads[0].notes == ()
