"""Rows to requests: within an endpoint's count, objects and bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from destinations.base import Endpoint, Locates, Row

# What a connector may add around each row (an id, a time, separators) and around the request.
ROW_OVERHEAD = 160
ENVELOPE = 1024


def batches(rows: Iterable[Row], endpoint: Endpoint) -> Iterator[list[Row]]:
    """Yield consecutive rows that fit one request.

    Where the endpoint names failures by identity, a dest_key comes at most once in a request
    (unless it says otherwise): twice, it could not be told which of the two failed. A row too
    large by itself is yielded alone; the sender rejects it without a call.
    """
    batch: list[Row] = []
    keys: set[str] = set()
    objects = 0
    size = ENVELOPE
    waits = False
    once = endpoint.locates is Locates.IDENTITY and endpoint.one_per_key
    for row in rows:
        row_size = len(row.payload) + ROW_OVERHEAD
        full = (
            len(batch) >= endpoint.max_rows
            or objects + row.objects > endpoint.max_objects
            or size + row_size > endpoint.max_bytes
        )
        # Who has to wait does not hold up the others.
        apart = (row.not_before > 0) is not waits
        if batch and (full or apart or (once and row.dest_key in keys)):
            yield batch
            batch, keys, objects, size = [], set(), 0, ENVELOPE
        waits = row.not_before > 0
        batch.append(row)
        keys.add(row.dest_key)
        objects += row.objects
        size += row_size
    if batch:
        yield batch
