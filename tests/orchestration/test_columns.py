"""Ops as columns are the same rows as a list of them, and make the same requests."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from destinations.base import Endpoint, Row, joined
from destinations.delivery.batcher import batches, latest_wait
from orchestration.columns import Columns, known_of_all, runs
from tests.destinations.delivery.test_batcher import endpoints, make_rows, shapes

BINARY = pa.binary()
FIELDS = pa.schema(
    [
        ("seq", pa.int64()),
        ("dest_key", pa.string()),
        ("op_id", pa.string()),
        ("occurred_at", pa.int64()),
        ("objects", pa.int32()),
        ("payload", BINARY),
        ("not_before", pa.int64()),
    ]
)
texts = st.text(max_size=4)
numbers = st.integers(0, 2**62)
some_rows = st.lists(
    st.builds(
        Row, numbers, texts, texts, numbers, st.integers(1, 9), st.binary(max_size=9), numbers
    ),
    min_size=1,
    max_size=20,
)


def columns(rows: Sequence[Row], payload: pa.DataType = BINARY) -> Columns:
    values = zip(*rows, strict=True) if rows else [()] * len(FIELDS)
    schema = FIELDS.set(5, pa.field("payload", payload))
    arrays = [pa.array(list(v), kind) for v, kind in zip(values, schema.types, strict=True)]
    return Columns(pa.record_batch(arrays, schema=schema))


@given(some_rows)
def test_they_are_the_same_rows(rows: list[Row]) -> None:
    together = columns(rows)
    assert list(together) == rows
    assert [together[place] for place in range(-len(rows), len(rows))] == rows + rows
    assert isinstance(together[0], Row)


@given(some_rows, st.integers(-25, 25), st.integers(-25, 25), st.sampled_from([1, 2, -1]))
def test_a_slice_is_the_same_rows(rows: list[Row], start: int, stop: int, step: int) -> None:
    assert list(columns(rows)[start:stop:step]) == rows[start:stop:step]


@given(some_rows, st.integers(0, 20), st.sampled_from([pa.binary(), pa.large_binary()]))
def test_what_is_asked_of_all_of_them_is_the_same(
    rows: list[Row], start: int, payload: pa.DataType
) -> None:
    part, together = rows[start:], columns(rows, payload)[start:]
    assert together.payload_bytes() == sum(len(row.payload) for row in part)
    assert joined(together, b", ") == joined(part, b", ")
    assert latest_wait(together) == latest_wait(part)


@given(shapes, endpoints, st.lists(st.integers(0, 12), max_size=12), st.sets(st.integers(0, 1)))
def test_requests_are_the_same(
    shapes: list[tuple[int, int, int]], endpoint: Endpoint, sizes: list[int], how: set[int]
) -> None:
    waits, looked = 0 in how, 1 in how
    rows = [row if waits else row._replace(not_before=0) for row in make_rows(shapes)]
    bounds = [0, *accumulate(sizes), len(rows)]
    chunks = [columns(rows[first:last]) for first, last in pairwise(bounds)]
    if looked:
        chunks = [known_of_all(chunk) for chunk in chunks]
    made = [list(batch) for batch in batches(chunks, endpoint)]
    assert made == [list(batch) for batch in batches([rows], endpoint)]


@given(st.lists(st.tuples(st.sampled_from(["track", "identify"]), st.integers(1, 5)), max_size=9))
def test_runs_are_of_one_kind_and_in_order(shapes: list[tuple[str, int]]) -> None:
    kinds = [kind for kind, count in shapes for _ in range(count)]
    rows = [Row(seq, f"u{seq}", "", 0, 1, b"{}") for seq in range(len(kinds))]
    arrays = [pa.array(kinds, pa.string()), *columns(rows).data.columns]
    found = list(runs(pa.table(arrays, names=["kind", *FIELDS.names])))
    told = [(kind, row) for kind, run in found for row in run]
    assert told == list(zip(kinds, rows, strict=True))
    assert all(one != other for (one, _), (other, _) in pairwise(found))
