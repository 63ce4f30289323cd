"""DuckDB, the embedded default.

One process at a time may open the file, readers included, so connections are short and opening
waits for whoever holds it. Facts: duckdb.org/docs/current/connect/concurrency.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from errno import ENOSPC
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pyarrow as pa

from destinations.clock import Clock
from destinations.errors import DataError, LockedError, StorageError
from destinations.private import FILE, private_file, private_folder
from orchestration.warehouse import Params
from orchestration.warehouse.locks import Tell, file_lock, in_silence, keep_trying

INCOMING = "tailrace_incoming"
MARK_BYTES = 64
# With preserve_insertion_order, 2.0.0 loses rows without a word: in one transaction, an insert of
# no rows and then one of over 122,880 rows into the same table. Nothing here goes by that order.
SETTINGS = "set TimeZone = 'UTC'; set preserve_insertion_order = false"


class DuckDBWarehouse:
    """One connection to a DuckDB file."""

    dialect = "duckdb"
    errors: tuple[type[Exception], ...] = (duckdb.Error,)

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        path: Path,
        clock: Clock,
        tell: Tell = in_silence,
    ) -> None:
        self._con = con
        self._path = path
        self._clock = clock
        self._tell = tell

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run a statement."""
        with _told_if_full(self._path):
            self._con.execute(sql, params or None)

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Return a small result as Python rows."""
        with _told_if_full(self._path):
            return self._con.execute(sql, params or None).fetchall()

    def query(self, sql: str, params: Params = ()) -> pa.Table:
        """Return a result that fits in memory."""
        with _told_if_full(self._path):
            return self._con.sql(sql, params=params or None).to_arrow_table()

    def stream(self, sql: str, *, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield a result in batches; an open reader would block its connection."""
        with closing(self._con.cursor()) as cursor:
            cursor.execute(SETTINGS)  # a cursor does not take over its connection's settings
            yield from cursor.sql(sql).to_arrow_reader(rows)

    def append(self, table: str, data: pa.Table | pa.RecordBatchReader) -> None:
        """Insert rows by column name, in the open transaction if there is one."""
        self._con.register(INCOMING, data)
        try:
            self.execute(f"insert into {table} by name select * from {INCOMING}")
        except (duckdb.Error, StorageError):
            with suppress(duckdb.Error):  # refused in a transaction that has to be rolled back
                self._con.unregister(INCOMING)
            raise
        self._con.unregister(INCOMING)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit on leaving, roll back on an exception."""
        self._con.begin()
        try:
            yield
        except BaseException:
            with suppress(duckdb.Error):  # what went wrong first is what has to be seen
                self._con.rollback()
            raise
        with _told_if_full(self._path):
            self._con.commit()

    def lock(self, name: str, deadline: float = 0.0) -> AbstractContextManager[None]:
        """Hold a named lock kept beside the file."""
        return file_lock(
            self._beside(name), name, clock=self._clock, deadline=deadline, tell=self._tell
        )

    def tell(self, said: str) -> None:
        """Tell whoever waits for this warehouse what is waited for."""
        self._tell(said)

    def mark(self, name: str) -> None:
        """Write something new into a small file kept beside the warehouse."""
        path = self._beside(f"{name}.mark")
        private_folder(path.parent)
        private_file(path)
        path.write_text(uuid4().hex, encoding="ascii")

    def watch(self, name: str) -> Callable[[], object]:
        """Return a function that reads the file of a mark."""
        path = self._beside(f"{name}.mark")

        def read() -> object:
            # Asked twice for each request, and `open` makes twice as many calls of the system.
            try:
                file = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                return None
            try:
                return os.read(file, MARK_BYTES)
            finally:
                os.close(file)

        return read

    def _beside(self, name: str) -> Path:
        return self._path.with_name(self._path.name + ".locks") / name

    def close(self) -> None:
        """Release the file."""
        self._con.close()

    def __enter__(self) -> DuckDBWarehouse:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@contextmanager
def _told_if_full(path: Path) -> Iterator[None]:
    """Say what to do about a full disk.

    Raises:
        StorageError: in place of DuckDB's error.
    """
    try:
        yield
    except duckdb.Error as error:
        if os.strerror(ENOSPC) not in str(error):
            raise
        raise StorageError(
            f"the disk of the warehouse {path.name} is full: make room, then run again. What was "
            "committed stays, and the next run goes on from there",
            file=path.name,
        ) from None


def open_duckdb(
    path: Path, *, clock: Clock, deadline: float = 60.0, tell: Tell = in_silence
) -> DuckDBWarehouse:
    """Open the file, making it if it is not there, and wait while another process holds it.

    `tell` is told what is waited for, if it takes long: for the file, or for a named lock.

    Raises:
        StorageError: the disk is full.
        LockedError: still held after `deadline` seconds; names the process.
        DataError: the file is not a DuckDB database or cannot be read.
    """
    private_folder(path.parent)
    new = not path.exists()
    con = keep_trying(lambda: _connect(path), clock=clock, deadline=deadline, tell=tell)
    if new:
        path.chmod(FILE)  # it will hold payloads; whoever is to read it can be let in
    con.execute(SETTINGS)
    return DuckDBWarehouse(con, path, clock, tell)


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    try:
        with _told_if_full(path):
            return duckdb.connect(str(path))
    except duckdb.Error as error:
        if "Could not set lock" in str(error):
            raise held(str(error), path.name) from None
        raise DataError(f"cannot open the warehouse: {error}", file=path.name) from None


def held(error: str, file: str) -> LockedError:
    """Return DuckDB's error about a lock as ours, with the process that has the file open."""
    pid = re.search(r"PID (\d+)", error)
    holder = f"process {pid.group(1)}" if pid else "another process"
    return LockedError(
        f"the warehouse {file} is open in {holder}; close it there, then try again", file=file
    )
