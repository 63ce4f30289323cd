"""The journal of one destination account: what was claimed, what was answered, what is left.

One SQLite file, written with a durable commit before the first byte of a request and again after
its answer. It holds ranges of a plan's seqs and the rows that failed, never payloads; the queue
itself is the plan in the warehouse.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from destinations.base import Outcome
from destinations.clock import Clock
from destinations.delivery.ranges import Claim
from destinations.errors import LockedError, StorageError

_UNWRITABLE = (
    "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM",
)  # fmt: skip


class Receipt(NamedTuple):
    """A settled claim, ready to be copied to the warehouse.

    `quiet_until`: when no attempt that had no answer can be under way any more, unix seconds.
    """

    claim_id: int
    plan_id: str
    seq_from: int
    seq_to: int
    attempt: int
    outcome: str
    http_status: int | None
    settled_at: float
    quiet_until: float | None = None


class Failure(NamedTuple):
    """A row that was not delivered, ready to be copied to the warehouse."""

    claim_id: int
    plan_id: str
    seq: int
    status: str
    code: str
    field: str
    detail: str
    at: float


class _Settled(NamedTuple):
    claim_id: int
    outcome: str
    http_status: int | None
    at: float
    quiet_until: float | None
    exceptions: Mapping[int, Outcome]


class Journal:
    """An open journal; see `open_journal`."""

    def __init__(self, con: sqlite3.Connection, clock: Clock) -> None:
        self._con = con
        self._clock = clock
        self._settled: list[_Settled] = []

    @property
    def journal_id(self) -> str:
        """Return the id drawn when the file was made."""
        return str(self._meta("journal_id"))

    @property
    def created_at(self) -> float:
        """Return when the file was made, in unix seconds."""
        return float(self._meta("created_at") or 0.0)

    @property
    def epoch(self) -> int:
        """Return how often the epoch was raised."""
        return int(self._meta("epoch") or 0)

    def raise_epoch(self) -> int:
        """Return a number above all before it; a copy made earlier holds a lower one."""
        with self.transaction() as con:
            con.execute("update meta set value = cast(value as integer) + 1 where key = 'epoch'")
            return self.epoch

    def _meta(self, key: str) -> str | None:
        found = self._con.execute("select value from meta where key = ?", [key]).fetchone()
        return found[0] if found else None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the write lock, shared with the other processes of the host.

        What was settled and is not written yet is part of it.
        """
        with told_if_unwritable():
            self._con.execute("begin immediate")
            try:
                for settled in self._settled:
                    _put(self._con, settled)
                yield self._con
                self._con.execute("commit")
            except BaseException:
                if self._con.in_transaction:  # a full disk may have ended it
                    self._con.execute("rollback")
                raise
            self._settled.clear()

    def claim(self, plan_id: str, seq_from: int, seq_to: int, kind: str, sha256: str) -> int:
        """Record that these rows are about to be sent; returns the claim's id."""
        with self.transaction() as con:
            # One statement, because each waits for its turn beside the threads on the wire. By the
            # end of their range few claims are looked at: those before are of rows before.
            cursor = con.execute(
                "insert into claims (plan_id, seq_from, seq_to, attempt, kind, body_sha256, "
                "claimed_at) select ?1, ?2, ?3, coalesce(max(attempt), (select cast(value as "
                "integer) from meta where key = 'attempts')) + 1, ?4, ?5, ?6 from claims "
                "where plan_id = ?1 and seq_to >= ?2 and seq_from <= ?3",
                [plan_id, seq_from, seq_to, kind, sha256, self._now()],
            )
            return int(cursor.lastrowid or 0)

    def settle(
        self,
        claim_id: int,
        outcome: str,
        http_status: int | None,
        exceptions: Mapping[int, Outcome] | None = None,
        quiet_until: float | None = None,
    ) -> None:
        """Record what became of a claim: in one commit, with the next claim or by `write`.

        A commit waits for the disk, and the next claim makes one anyway. Until then a process
        that dies knows nothing of the answer, as if it had died before it came.

        `quiet_until`: if it went without an answer before it got one, when no such attempt can
        be under way any more, in unix seconds.
        """
        self._settled.append(
            _Settled(
                claim_id, outcome, http_status, self._now(), quiet_until, dict(exceptions or {})
            )
        )

    def write(self) -> None:
        """Commit what was settled: to be called before waiting for anything, and at the end."""
        if self._settled:
            with self.transaction():
                pass  # what was settled is part of every transaction

    def claims(self, plan_id: str) -> list[Claim]:
        """Return every claim of a plan."""
        self.write()
        found = self._con.execute(
            "select claim_id, seq_from, seq_to, attempt, kind, outcome, coalesce(body_sha256, ''), "
            "http_status, settled_at from claims where plan_id = ?",
            [plan_id],
        )
        return [Claim(*row) for row in found]

    def served_since(self, kind: str, at: float) -> bool:
        """Return whether an endpoint has taken anything since, whoever sent it."""
        self.write()
        found = self._con.execute(
            "select 1 from claims where kind = ? and outcome = 'delivered' "
            "and http_status between 200 and 299 and settled_at > ? limit 1",
            [kind, at],
        )
        return found.fetchone() is not None

    def plans(self) -> list[str]:
        """Return the plans of late, each of which was in the warehouse before its first claim."""
        found = self._con.execute(
            "select distinct plan_id from (select plan_id from claims "
            "order by claim_id desc limit 1000) order by plan_id"
        )
        return [plan_id for (plan_id,) in found]

    def unexported(self) -> tuple[list[Receipt], list[Failure]]:
        """Return what the warehouse has not been told yet, as of one instant."""
        self.write()
        self._con.execute("begin")
        try:
            receipts = self._con.execute(
                "select claim_id, plan_id, seq_from, seq_to, attempt, outcome, http_status, "
                "settled_at, quiet_until from claims where settled_at is not null and exported = 0"
            ).fetchall()
            failures = self._con.execute(
                "select claim_id, plan_id, seq, class, code, field, detail, at from exceptions "
                "where exported = 0"
            ).fetchall()
        finally:
            self._con.execute("commit")
        return [Receipt(*row) for row in receipts], [Failure(*row) for row in failures]

    def mark_exported(self, receipts: list[Receipt], failures: list[Failure]) -> None:
        """Record that the warehouse has these."""
        with self.transaction() as con:
            con.executemany(
                "update claims set exported = 1 where claim_id = ?",
                [(receipt.claim_id,) for receipt in receipts],
            )
            con.executemany(
                "update exceptions set exported = 1 where claim_id = ? and seq = ?",
                [(failure.claim_id, failure.seq) for failure in failures],
            )

    def close(self) -> None:
        """Release the file."""
        self._con.close()

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _put(con: sqlite3.Connection, settled: _Settled) -> None:
    con.execute(
        "update claims set outcome = ?, http_status = ?, settled_at = ?, quiet_until = ? "
        "where claim_id = ?",
        [
            settled.outcome,
            settled.http_status,
            settled.at,
            settled.quiet_until,
            settled.claim_id,
        ],
    )
    if not settled.exceptions:
        return
    con.executemany(
        "insert or replace into exceptions "
        "(claim_id, plan_id, seq, class, code, field, detail, at) "
        "select claim_id, plan_id, ?, ?, ?, ?, ?, ? from claims where claim_id = ?",
        [
            (seq, o.status.value, o.code, o.field, o.detail, settled.at, settled.claim_id)
            for seq, o in settled.exceptions.items()
        ],
    )


@contextmanager
def told_if_unwritable() -> Iterator[None]:
    """Say what to do about a disk that is full or read-only, or a journal that is in use.

    Raises:
        StorageError, LockedError: in place of SQLite's error.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith("SQLITE_BUSY"):
            raise LockedError(
                "the journal has been in use by another process for too long: wait for it or end "
                "it, then run again"
            ) from None
        if not error.sqlite_errorname.startswith(_UNWRITABLE):
            raise
        full = error.sqlite_errorname.startswith(("SQLITE_FULL", "SQLITE_IOERR"))
        what = "make room on" if full else "see to"
        raise StorageError(
            f"the journal cannot be written ({error}): {what} the disk of "
            "TAILRACE_STATE_DIR, then run again. Nothing is sent that is not recorded first; a "
            "request whose answer could not be recorded is sent again as it was"
        ) from None
