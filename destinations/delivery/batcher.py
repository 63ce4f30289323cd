"""Rows to requests: within an endpoint's count, objects and bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter

from destinations.base import Endpoint, Locates, Row

# What a connector may add around each row (an id, a time, separators) and around the request.
ROW_OVERHEAD = 160
ENVELOPE = 1024

_KEY, _OBJECTS = attrgetter("dest_key"), attrgetter("objects")
_PAYLOAD, _NOT_BEFORE = attrgetter("payload"), attrgetter("not_before")


def batches(rows: Iterable[Row], endpoint: Endpoint) -> Iterator[list[Row]]:
    """Yield consecutive rows that fit one request.

    Where the endpoint names failures by identity, a dest_key comes at most once in a request
    (unless it says otherwise): twice, it could not be told which of the two failed. A row too
    large by itself is yielded alone; the sender rejects it without a call.
    """
    source = iter(rows)
    waiting: list[Row] = []
    while True:
        waiting += islice(source, endpoint.max_rows + 1 - len(waiting))
        if not waiting:
            return
        batch = waiting[: endpoint.max_rows]
        # Nearly always as many rows fit as may be in a request: looked at all at once first.
        if not _fit(batch, endpoint):
            batch = batch[: _fitting(batch, endpoint)]
        yield batch
        waiting = waiting[len(batch) :]


def _once(endpoint: Endpoint) -> bool:
    return endpoint.locates is Locates.IDENTITY and endpoint.one_per_key


def _fit(rows: Sequence[Row], endpoint: Endpoint) -> bool:
    """Tell whether all of the rows fit one request, where none of them has to wait."""
    size = ENVELOPE + ROW_OVERHEAD * len(rows) + sum(map(len, map(_PAYLOAD, rows)))
    return (
        size <= endpoint.max_bytes
        and sum(map(_OBJECTS, rows)) <= endpoint.max_objects
        and not any(map(_NOT_BEFORE, rows))
        and (not _once(endpoint) or len(set(map(_KEY, rows))) == len(rows))
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
