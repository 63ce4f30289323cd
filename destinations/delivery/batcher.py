"""Rows to requests: within an endpoint's count, objects and bytes."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import groupby

from destinations.base import Endpoint, Locates, Row, Together

# What a connector may add around each row (an id, a time, separators) and around the request.
ROW_OVERHEAD = 160
ENVELOPE = 1024


def batches(chunks: Iterable[Sequence[Row]], endpoint: Endpoint) -> Iterator[Sequence[Row]]:
    """Yield consecutive rows that fit one request, given rows in chunks of any size.

    Where the endpoint names failures by identity, a dest_key comes at most once in a request
    (unless it says otherwise): twice, it could not be told which of the two failed. A row too
    large by itself is yielded alone; the sender rejects it without a call.
    """
    source, most = iter(chunks), endpoint.max_rows
    rest: list[Row] = []
    chunk: Sequence[Row] = ()
    while True:
        batch = [*rest, *chunk[: most - len(rest)]] if rest else chunk[:most]
        if len(batch) < most and (following := next(source, None)) is not None:
            rest, chunk = list(batch), following
            continue
        if not batch:
            return
        # Nearly always as many rows fit as may be in a request: looked at all at once first.
        if not (isinstance(batch, Together) and _fit(batch, endpoint)):
            batch = batch[: _fitting(batch, endpoint)]
        yield batch
        left = len(rest)
        rest, chunk = rest[len(batch) :], chunk[max(0, len(batch) - left) :]


def _once(endpoint: Endpoint) -> bool:
    return endpoint.locates is Locates.IDENTITY and endpoint.one_per_key


def latest_wait(rows: Sequence[Row]) -> int:
    """Return the highest `not_before` of rows, 0 if none has to wait."""
    if isinstance(rows, Together):
        return rows.latest_wait()
    return max((row.not_before for row in rows), default=0)


def _fit(rows: Together, endpoint: Endpoint) -> bool:
    """Tell whether all of the rows fit one request, where none of them has to wait."""
    return (
        ENVELOPE + ROW_OVERHEAD * len(rows) + rows.payload_bytes() <= endpoint.max_bytes
        and rows.objects() <= endpoint.max_objects
        and not rows.latest_wait()
        and (not _once(endpoint) or rows.is_once())
    )


def _fitting(rows: Sequence[Row], endpoint: Endpoint) -> int:
    """Return how many of the first rows fit one request, at least one."""
    once = _once(endpoint)
    keys: set[str] = set()
    objects, size = 0, ENVELOPE
    for count, row in enumerate(rows):
        objects += row.objects
        size += len(row.payload) + ROW_OVERHEAD
        full = objects > endpoint.max_objects or size > endpoint.max_bytes
        # Who has to wait does not hold up the others.
        apart = (row.not_before > 0) is not (rows[0].not_before > 0)
        if count and (full or apart or (once and row.dest_key in keys)):
            return count
        keys.add(row.dest_key)
    return len(rows)


def between(rows: Sequence[Row], named: Container[int]) -> list[Sequence[Row]]:
    """Return the runs of rows that are left when the named ones are dropped."""
    runs = groupby(rows, key=lambda row: row.seq in named)
    return [list(run) for dropped, run in runs if not dropped]


def halves(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """Split a request in two, so that the row at fault ends up alone."""
    middle = len(rows) // 2
    return [rows[:middle], rows[middle:]]
