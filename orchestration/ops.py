"""Reading the ops of a plan: chunk by chunk, the warehouse open only for the moment of a chunk.

Whoever is suppressed is left out twice: of each chunk, and, if it happens after the chunk was
read, of each request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from destinations.base import Kind, Row
from destinations.delivery.sender import Read, Still
from orchestration.plan_store import OpenPlan
from orchestration.suppression import MARK, settle
from orchestration.warehouse import Connect, Warehouse

CHUNK_ROWS = 50_000
CHUNK_BYTES = 32 * 1024 * 1024

# One scan of the receipts of a plan, which are few where nobody is suppressed.
_CHUNK = """
select kind, seq, dest_key, op_id, epoch_us(occurred_at) as occurred_us, objects,
    encode(payload) as payload, coalesce(epoch_us(not_before), 0) as not_before
from tailrace.plan_ops
where plan_id = $plan and seq between $from and $to and seq not in (
    select seq_from from tailrace.receipts where plan_id = $plan and outcome = 'suppressed')
order by seq
"""

_BARRED = "select seq_from from tailrace.receipts where plan_id = ? and outcome = 'suppressed'"


def reader(connect: Connect, plan: OpenPlan, now: Callable[[], datetime]) -> tuple[Read, Still]:
    """Return how to read ops in chunks (open, read, close), and what of them may still be sent."""
    average = max(1, plan.bytes // max(1, plan.ops))
    chunk = max(1_000, min(CHUNK_ROWS, CHUNK_BYTES // average))
    moved: Callable[[], object] | None = None
    seen: object = None
    barred: frozenset[int] = frozenset()

    def ops(seq_from: int, seq_to: int) -> Iterator[tuple[str, Row]]:
        nonlocal moved, seen
        while seq_from <= seq_to:
            last = min(seq_to, seq_from + chunk - 1)
            with connect() as warehouse:
                if moved is None:
                    moved = warehouse.watch(MARK)
                    seen = moved()
                with warehouse.transaction():
                    settle(warehouse, now(), plan_id=plan.plan_id, seq_from=seq_from, seq_to=last)
                bounds = {"plan": plan.plan_id, "from": seq_from, "to": last}
                table = warehouse.query(_CHUNK, bounds)
            kinds, *columns = (column.to_pylist() for column in table.columns)
            yield from zip(kinds, map(Row, *columns), strict=True)
            seq_from = last + 1

    def read(seq_from: int, seq_to: int) -> Iterator[tuple[Kind, Iterable[Row]]]:
        for kind, group in groupby(ops(seq_from, seq_to), key=itemgetter(0)):
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
