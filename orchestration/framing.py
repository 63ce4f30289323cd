"""What a plan costs, and the very requests it would make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from operator import itemgetter

from destinations.base import Context, Kind, Request, SyncShape
from destinations.delivery.batcher import batches
from orchestration.columns import COLUMNS, Columns, runs
from orchestration.desired.scope import Scope

CHUNK_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Requests, bytes of their bodies, and seconds at the declared limits."""

    calls: int = 0
    bytes: int = 0
    seconds: float = 0.0


def estimate(scope: Scope) -> Cost:
    """Return the cost by counts alone: bytes of the payloads, calls if requests were full."""
    found = scope.warehouse.rows(
        "select kind, count(*), sum(bytes) from tailrace_ops group by kind, nth"
    )
    calls, size, seconds = 0, 0, 0.0
    for kind, rows, payload_bytes in found:
        endpoint = scope.destination.endpoints[Kind(kind)]
        needed = max(ceil(rows / endpoint.max_rows), ceil(payload_bytes / endpoint.max_bytes))
        calls += needed
        size += payload_bytes
        seconds += needed * _pace(scope, Kind(kind))
    return Cost(calls, size, seconds)


def exact(scope: Scope) -> Cost:
    """Frame every request of the plan in this connection, and add up."""
    calls, size, seconds = 0, 0, 0.0
    for kind, request in requests(scope):
        calls += 1
        size += len(request.body)
        seconds += _pace(scope, kind)
    return Cost(calls, size, seconds)


def requests(scope: Scope) -> Iterator[tuple[Kind, Request]]:
    """Yield the requests of the plan in this connection, byte for byte as they would be sent."""
    context = context_of(scope)
    for name, chunks in groupby(_runs(scope), key=itemgetter(0)):
        kind = Kind(name)
        for batch in batches(map(itemgetter(1), chunks), scope.destination.endpoints[kind]):
            yield kind, scope.destination.encode(kind, batch, context)


def context_of(scope: Scope) -> Context:
    """Return what the connector is told of the sync."""
    audience = scope.sync.audience
    return Context(SyncShape(scope.sync.key, audience.key if audience else None))


def _runs(scope: Scope) -> Iterator[tuple[str, Columns]]:
    """Read as the sender reads: in chunks, by seq."""
    scope.warehouse.execute(
        f"create or replace temp table tailrace_framed as select kind, {COLUMNS} "
        "from tailrace_payloads order by seq"
    )
    ((last,),) = scope.warehouse.rows("select coalesce(max(seq), 0) from tailrace_framed")
    for seq in range(1, last + 1, CHUNK_ROWS):
        table = scope.warehouse.query(
            "select * from tailrace_framed where seq between ? and ? order by seq",
            [seq, seq + CHUNK_ROWS - 1],
        )
        yield from runs(table)


def _pace(scope: Scope, kind: Kind) -> float:
    endpoint = scope.destination.endpoints[kind]
    return max(window.seconds / window.requests for window in endpoint.windows)
