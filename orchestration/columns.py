"""Ops as columns: what a request needs to know of all of them costs no look at each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, overload

import pyarrow as pa
import pyarrow.compute as pc

from destinations.base import Row

COLUMNS = (
    "seq, dest_key, op_id, epoch_us(occurred_at) as occurred_at, objects, "
    "encode(payload) as payload, coalesce(epoch_us(not_before), 0) as not_before"
)
"""SQL of the fields of a Row, in their order."""


@dataclass(frozen=True, slots=True)
class Columns(Sequence[Row]):
    """Rows, each made when it is asked for; a slice is a view. See `destinations.base.Together`.

    What is true of all rows that were read at once is true of each slice, and asked only once:
    that none has to wait, that each is one object, that no dest_key comes twice.
    """

    data: pa.RecordBatch
    none_waits: bool = False
    each_is_one: bool = False
    all_differ: bool = False

    def __len__(self) -> int:
        return int(self.data.num_rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Columns: ...
    def __getitem__(self, index: int | slice) -> Row | Columns:
        if isinstance(index, int):
            place = range(len(self))[index]
            return Row(*(column[place].as_py() for column in self.data.columns))
        places = range(len(self))[index]
        if places.step == 1:
            return replace(self, data=self.data.slice(places.start, len(places)))
        return replace(self, data=self.data.take(pa.array(places, pa.int64())))

    def __iter__(self) -> Iterator[Row]:
        values = (column.to_pylist() for column in self.data.columns)
        # Without the function call per row that Row(...) is.
        return map(partial(tuple.__new__, Row), zip(*values, strict=True))

    def joined(self, between: bytes) -> bytes:
        """Return the payloads in order, with something between each two."""
        return between.join(self._column("payload").to_pylist())

    def payload_bytes(self) -> int:
        """Return the bytes of all payloads."""
        payloads = self._column("payload")
        ends = memoryview(payloads.buffers()[1]).cast("q" if payloads.type == _LARGE else "i")
        return int(ends[payloads.offset + len(self)] - ends[payloads.offset])

    def objects(self) -> int:
        """Return how many objects the rows are to their endpoint."""
        return len(self) if self.each_is_one else pc.sum(self._column("objects")).as_py() or 0

    def latest_wait(self) -> int:
        """Return the highest `not_before`, 0 if no row has to wait."""
        return 0 if self.none_waits else pc.max(self._column("not_before")).as_py() or 0

    def is_once(self) -> bool:
        """Return whether no dest_key comes twice."""
        return self.all_differ or pc.count_distinct(self._column("dest_key")).as_py() == len(self)

    def _column(self, name: str) -> Any:
        return self.data.column(name)


_LARGE = pa.large_binary()  # its offsets have 64 bits


def known_of_all(rows: Columns) -> Columns:
    """Look at rows once, so that their slices need not."""
    return replace(
        rows,
        none_waits=rows.latest_wait() == 0,
        each_is_one=rows.objects() == len(rows),
        all_differ=rows.is_once(),
    )


def runs(table: pa.Table) -> Iterator[tuple[str, Columns]]:
    """Yield the rows of a table in order, as runs of one kind: its first column."""
    for batch in table.combine_chunks().to_batches():
        kinds = pc.run_end_encode(batch.column(0))
        rows, begin = Columns(batch.select(range(1, batch.num_columns))), 0
        for kind, end in zip(kinds.values.to_pylist(), kinds.run_ends.to_pylist(), strict=True):
            yield kind, known_of_all(rows[begin:end])
            begin = end
