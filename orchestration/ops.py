"""Reading the ops of a plan: chunk by chunk, the warehouse open only for the moment of a chunk.

The next chunk is read by a thread as soon as half of one is taken, so that requests need not wait
for the warehouse. Whoever is suppressed is left out twice: of each chunk, and, if it happens after
the chunk was read, of each request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import chain, groupby
from operator import itemgetter
from threading import Lock

import pyarrow as pa

from destinations.base import Kind, Row
from destinations.delivery.sender import Read, Still
from orchestration.columns import COLUMNS, runs
from orchestration.framing import CHUNK_ROWS
from orchestration.plan_store import OpenPlan
from orchestration.suppression import MARK, settle
from orchestration.warehouse import Connect, Warehouse

CHUNK_BYTES = 32 * 1024 * 1024

# One scan of the receipts of a plan, which are few where nobody is suppressed.
_CHUNK = f"""
select kind, {COLUMNS}
from tailrace.plan_ops
where plan_id = $plan and seq between $from and $to and seq not in (
    select seq_from from tailrace.receipts where plan_id = $plan and outcome = 'suppressed')
order by seq
"""

_BARRED = "select seq_from from tailrace.receipts where plan_id = ? and outcome = 'suppressed'"


def reader(
    connect: Connect, plan: OpenPlan, now: Callable[[], datetime], alone: Lock
) -> tuple[Read, Still]:
    """Return how to read ops in chunks (open, read, close), and what of them may still be sent.

    `alone` is held while a chunk is read: two transactions of one process must not collide.
    """
    average = max(1, plan.bytes // max(1, plan.ops))
    chunk = max(1_000, min(CHUNK_ROWS, CHUNK_BYTES // average))
    moved: Callable[[], object] | None = None
    seen: object = None
    barred: frozenset[int] = frozenset()

    def fetch(bounds: tuple[int, int]) -> pa.Table:
        nonlocal moved, seen
        with alone, connect() as warehouse:
            if moved is None:
                moved = warehouse.watch(MARK)
                seen = moved()
            seq_from, seq_to = bounds
            with warehouse.transaction():
                settle(warehouse, now(), plan_id=plan.plan_id, seq_from=seq_from, seq_to=seq_to)
            return warehouse.query(_CHUNK, {"plan": plan.plan_id, "from": seq_from, "to": seq_to})

    def read(seq_from: int, seq_to: int) -> Iterator[tuple[Kind, Iterable[Sequence[Row]]]]:
        spans = [
            (first, min(seq_to, first + chunk - 1)) for first in range(seq_from, seq_to + 1, chunk)
        ]
        found = chain.from_iterable(map(runs, _ahead(fetch, spans)))
        for kind, group in groupby(found, key=itemgetter(0)):
            yield Kind(kind), map(itemgetter(1), group)

    def still(rows: Sequence[Row]) -> Sequence[Row]:
        nonlocal seen, barred
        mark = moved() if moved else None
        if mark != seen:
            with connect() as warehouse:
                barred = _barred(warehouse, plan)
            seen = mark
        return [row for row in rows if row.seq not in barred] if barred else rows

    return read, still


def _barred(warehouse: Warehouse, plan: OpenPlan) -> frozenset[int]:
    return frozenset(seq for (seq,) in warehouse.rows(_BARRED, [plan.plan_id]))


def _ahead(
    fetch: Callable[[tuple[int, int]], pa.Table], spans: Sequence[tuple[int, int]]
) -> Iterator[pa.Table]:
    """Yield each chunk in two halves; the next is fetched while the second half is worked on."""
    if not spans:
        return
    with ThreadPoolExecutor(max_workers=1) as pool:
        chunk = fetch(spans[0])
        for following in [*spans[1:], None]:
            half = (chunk.num_rows + 1) // 2
            yield chunk.slice(0, half)
            coming = pool.submit(fetch, following) if following else None
            yield chunk.slice(half)
            if coming:
                chunk = coming.result()
