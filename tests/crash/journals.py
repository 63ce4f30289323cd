"""What the journal of a process that died says of the requests it had on the wire."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

CONCURRENCY = 4
"""Requests that Iterable's endpoints may have on the wire at a time."""


@contextmanager
def read_journal(journal: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of the journal: to look at what a dead process left is to change it."""
    with TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            part = journal.with_name(journal.name + suffix)
            if part.exists():
                shutil.copy(part, folder)
        with closing(sqlite3.connect(Path(folder) / journal.name)) as con:
            yield con


def unanswered(journal: Path) -> set[tuple[int, str, int]]:
    """Return (id, kind, rows) of every claim without an answer."""
    with read_journal(journal) as con:
        if not con.execute("select 1 from sqlite_master where name = 'claims'").fetchone():
            return set()
        return set(
            con.execute(
                "select claim_id, kind, seq_to - seq_from + 1 from claims where outcome is null"
            )
        )
