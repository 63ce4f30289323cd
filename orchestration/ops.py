"""Reading the ops of a plan: chunk by chunk, the warehouse open only for the moment of a chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from destinations.base import Kind, Row
from destinations.delivery.sender import Read
from orchestration.plan_store import OpenPlan
from orchestration.warehouse import Connect

CHUNK_ROWS = 50_000
CHUNK_BYTES = 32 * 1024 * 1024


def reader(connect: Connect, plan: OpenPlan) -> Read:
    """Read ops in chunks: open, read, close."""
    average = max(1, plan.bytes // max(1, plan.ops))
    chunk = max(1_000, min(CHUNK_ROWS, CHUNK_BYTES // average))

    def ops(seq_from: int, seq_to: int) -> Iterator[tuple[str, Row]]:
        while seq_from <= seq_to:
            last = min(seq_to, seq_from + chunk - 1)
            with connect() as warehouse:
                table = warehouse.query(
                    "select kind, seq, dest_key, op_id, epoch_us(occurred_at) as occurred_us, "
                    "objects, encode(payload) as payload from tailrace.plan_ops "
                    "where plan_id = ? and seq between ? and ? order by seq",
                    [plan.plan_id, seq_from, last],
                )
            kinds, *columns = (column.to_pylist() for column in table.columns)
            yield from zip(kinds, map(Row, *columns), strict=True)
            seq_from = last + 1

    def read(seq_from: int, seq_to: int) -> Iterator[tuple[Kind, Iterable[Row]]]:
        for kind, group in groupby(ops(seq_from, seq_to), key=itemgetter(0)):
            yield Kind(kind), map(itemgetter(1), group)

    return read
