"""The warehouse as the engine sees it: a small protocol that each engine implements.

Instants are `timestamp` columns without zone that hold UTC. One `Warehouse` is one connection,
opened for a piece of work and closed before anything slow: DuckDB's file must not be held while
requests are on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pyarrow as pa

Params = Sequence[Any] | Mapping[str, Any]


class Warehouse(Protocol):
    """One connection to a warehouse."""

    dialect: str
    errors: tuple[type[Exception], ...]
    """What the engine raises for SQL that it refuses."""

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run a statement."""
        ...

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Return a small result as Python rows."""
        ...

    def query(self, sql: str, params: Params = ()) -> pa.Table:
        """Return a result that fits in memory."""
        ...

    def stream(self, sql: str, *, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield a result in batches of at most `rows`, on a connection of its own."""
        ...

    def append(self, table: str, data: pa.Table | pa.RecordBatchReader) -> None:
        """Insert rows by column name, in the open transaction if there is one."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Commit on leaving, roll back on an exception."""
        ...

    def lock(self, name: str, deadline: float = 0.0) -> AbstractContextManager[None]:
        """Hold a named lock of this warehouse.

        Raises:
            LockedError: somebody else still holds it after `deadline` seconds; says who.
        """
        ...

    def tell(self, said: str) -> None:
        """Tell whoever waits for this warehouse what is waited for."""
        ...

    def mark(self, name: str) -> None:
        """Make what `watch` of that name returned tell another value, in every process."""
        ...

    def watch(self, name: str) -> Callable[[], object]:
        """Return a function whose value changes with each `mark`; it needs no connection."""
        ...

    def close(self) -> None:
        """Release the connection and, on an embedded engine, the file."""
        ...

    def __enter__(self) -> Warehouse: ...

    def __exit__(self, *exc: object) -> None: ...


class Connect(Protocol):
    """Opens the warehouse; called again for every piece of work."""

    def __call__(self, deadline: float = 60.0) -> Warehouse:
        """Open a connection, waiting that many seconds for whoever holds the warehouse."""
        ...
