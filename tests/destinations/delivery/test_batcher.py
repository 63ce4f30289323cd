from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from destinations.base import Dedup, Endpoint, Locates, Row, Window
from destinations.delivery.batcher import ENVELOPE, ROW_OVERHEAD, batches

shapes = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4), st.integers(0, 900)), max_size=40)
endpoints = st.builds(
    Endpoint,
    path=st.just("/bulk"),
    windows=st.just((Window(10, 1.0),)),
    max_rows=st.integers(1, 8),
    max_bytes=st.integers(ENVELOPE + ROW_OVERHEAD, 6_000),
    max_objects=st.integers(1, 9),
    dedup=st.just(Dedup.UPSERT),
    locates=st.sampled_from(Locates),
    one_per_key=st.booleans(),
)


def make_rows(shapes: list[tuple[int, int, int]]) -> list[Row]:
    return [
        Row(seq, f"user{who}", f"op{seq}", seq, objects, b"x" * size, who // 4 * seq)
        for seq, (who, objects, size) in enumerate(shapes, 1)
    ]


def size(batch: Sequence[Row]) -> int:
    return ENVELOPE + sum(len(row.payload) + ROW_OVERHEAD for row in batch)


def fits(batch: Sequence[Row], endpoint: Endpoint) -> bool:
    keys = {row.dest_key for row in batch}
    once = endpoint.locates is Locates.IDENTITY and endpoint.one_per_key
    return (
        len(batch) <= endpoint.max_rows
        and sum(row.objects for row in batch) <= endpoint.max_objects
        and size(batch) <= endpoint.max_bytes
        and (not once or len(keys) == len(batch))
        and len({row.not_before > 0 for row in batch}) == 1
    )


@given(shapes, endpoints)
def test_batches_are_the_rows_in_order_within_the_limits(
    shapes: list[tuple[int, int, int]], endpoint: Endpoint
) -> None:
    rows = make_rows(shapes)
    made = list(batches([rows], endpoint))
    assert [row for batch in made for row in batch] == rows
    assert all(batch for batch in made)
    # Alone, a row may be larger than the endpoint takes: the sender rejects it without a call.
    assert all(fits(batch, endpoint) for batch in made if len(batch) > 1)


@given(shapes, endpoints)
def test_a_batch_ends_only_where_the_next_row_does_not_fit(
    shapes: list[tuple[int, int, int]], endpoint: Endpoint
) -> None:
    made = list(batches([make_rows(shapes)], endpoint))
    for batch, following in pairwise(made):
        assert not fits([*batch, following[0]], endpoint)


def test_a_row_too_large_stands_alone() -> None:
    endpoint = Endpoint("/", (Window(1, 1),), 10, 3_000, 10, Dedup.STATE, Locates.NOTHING)
    rows = make_rows([(1, 1, 10), (2, 1, 9_000), (3, 1, 10), (4, 11, 1), (5, 1, 1)])
    made = [[row.seq for row in batch] for batch in batches([rows], endpoint)]
    assert made == [[1], [2], [3], [4], [5]]


def test_batches_are_made_as_rows_arrive() -> None:
    """A plan of millions is never in memory as a whole."""
    taken: list[int] = []

    def chunks() -> Iterator[list[Row]]:
        rows = make_rows([(seq % 4, 1, 1) for seq in range(100)])
        for at in range(0, 100, 4):
            taken.append(at)
            yield rows[at : at + 4]

    endpoint = Endpoint("/", (Window(1, 1),), 10, 99_000, 99, Dedup.STATE, Locates.NOTHING)
    first = next(batches(chunks(), endpoint))
    assert len(first) == 10
    assert taken == [0, 4, 8]


@given(shapes, endpoints, st.lists(st.integers(0, 12), max_size=12))
def test_how_rows_come_in_chunks_changes_nothing(
    shapes: list[tuple[int, int, int]], endpoint: Endpoint, sizes: list[int]
) -> None:
    rows = make_rows(shapes)
    bounds = [0, *accumulate(sizes), len(rows)]
    chunks = [rows[first:last] for first, last in pairwise(bounds) if first < len(rows)]
    made = [list(batch) for batch in batches(chunks, endpoint)]
    assert made == [list(batch) for batch in batches([rows], endpoint)]


def test_no_rows_no_request() -> None:
    endpoint = Endpoint("/", (Window(1, 1),), 10, 99_000, 99, Dedup.STATE, Locates.NOTHING)
    assert list(batches([], endpoint)) == list(batches([[]], endpoint)) == []
