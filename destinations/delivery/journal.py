"""The journal of one destination account: what was claimed, what was answered, what is left.

One SQLite file, written with a durable commit before the first byte of a request and again after
its answer. It holds ranges of a plan's seqs and the rows that failed, never payloads; the queue
itself is the plan in the warehouse.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from destinations.base import Outcome
from destinations.clock import Clock
from destinations.delivery.ranges import Claim
from destinations.errors import ConfigError, StorageError
from destinations.private import private_file, private_folder

SCHEMA_VERSION = "1"
_SCHEMA = """
create table if not exists meta (key text primary key, value text not null);
create table if not exists claims (
    claim_id integer primary key, plan_id text not null, seq_from integer not null,
    seq_to integer not null, attempt integer not null, kind text not null, body_sha256 text,
    claimed_at real not null, settled_at real, outcome text, http_status integer,
    exported integer not null default 0, quiet_until real);
create index if not exists claims_of_plan on claims (plan_id, seq_from);
create table if not exists exceptions (
    claim_id integer not null, plan_id text not null, seq integer not null, class text not null,
    code text not null, field text not null, detail text not null, at real not null,
    exported integer not null default 0, primary key (claim_id, seq));
create table if not exists budget (name text primary key, tat real not null);
create table if not exists throttle (
    name text primary key, blocked_until real not null, factor real not null,
    changed_at real not null);
create table if not exists breaker (
    name text primary key, open_until real not null, failures integer not null);
"""

BUSY_SECONDS = 30.0
POLL_SECONDS = 0.05
_UNWRITABLE = ("SQLITE_FULL", "SQLITE_IOERR")


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


class Journal:
    """An open journal; see `open_journal`."""

    def __init__(self, con: sqlite3.Connection, clock: Clock) -> None:
        self._con = con
        self._clock = clock

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
        """Hold the write lock, shared with the other processes of the host."""
        with _told_if_unwritable():
            self._con.execute("begin immediate")
            try:
                yield self._con
                self._con.execute("commit")
            except BaseException:
                if self._con.in_transaction:  # a full disk may have ended it
                    self._con.execute("rollback")
                raise

    def claim(self, plan_id: str, seq_from: int, seq_to: int, kind: str, sha256: str) -> int:
        """Record that these rows are about to be sent; returns the claim's id."""
        with self.transaction() as con:
            (attempt,) = con.execute(
                "select coalesce(max(attempt), (select cast(value as integer) from meta "
                "where key = 'attempts')) + 1 from claims "
                "where plan_id = ? and seq_from <= ? and seq_to >= ?",
                [plan_id, seq_to, seq_from],
            ).fetchone()
            cursor = con.execute(
                "insert into claims (plan_id, seq_from, seq_to, attempt, kind, body_sha256, "
                "claimed_at) values (?, ?, ?, ?, ?, ?, ?)",
                [plan_id, seq_from, seq_to, attempt, kind, sha256, self._now()],
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
        """Record what became of a claim, in one commit.

        `quiet_until`: if it went without an answer before it got one, when no such attempt can
        be under way any more, in unix seconds.
        """
        now = self._now()
        with self.transaction() as con:
            con.execute(
                "update claims set outcome = ?, http_status = ?, settled_at = ?, quiet_until = ? "
                "where claim_id = ?",
                [outcome, http_status, now, quiet_until, claim_id],
            )
            (plan_id,) = con.execute(
                "select plan_id from claims where claim_id = ?", [claim_id]
            ).fetchone()
            con.executemany(
                "insert or replace into exceptions "
                "(claim_id, plan_id, seq, class, code, field, detail, at) "
                "values (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (claim_id, plan_id, seq, o.status.value, o.code, o.field, o.detail, now)
                    for seq, o in (exceptions or {}).items()
                ],
            )

    def claims(self, plan_id: str) -> list[Claim]:
        """Return every claim of a plan."""
        found = self._con.execute(
            "select claim_id, seq_from, seq_to, attempt, kind, outcome, coalesce(body_sha256, '') "
            "from claims where plan_id = ?",
            [plan_id],
        )
        return [Claim(*row) for row in found]

    def unexported(self) -> tuple[list[Receipt], list[Failure]]:
        """Return what the warehouse has not been told yet, as of one instant."""
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


def open_journal(
    path: Path,
    *,
    warehouse_id: str,
    known_id: str | None,
    clock: Clock,
    known_epoch: int = 0,
    new: bool = False,
    replaces: str | None = None,
    attempts: int = 0,
) -> Journal:
    """Open the journal of a destination, making it on first use.

    Args:
        path: the file; its directory is made with mode 0700, the file with 0600.
        warehouse_id: the warehouse whose plans it may hold.
        known_id: the journal's id as the warehouse remembers it, None before first use.
        clock: gives the time of claims.
        known_epoch: the last epoch of that journal which the warehouse was told.
        new: move whatever is there aside and begin a new journal.
        replaces: the id of a warehouse whose place this one took on purpose; its journal is put
            aside, since the plans in it are gone.
        attempts: the highest attempt the warehouse has a receipt of; a journal that begins now
            counts on from there, so that its receipts are the later ones.

    Raises:
        StorageError: the disk is full.
        ConfigError: the journal is lost, belongs to another warehouse, or is an older copy of
            the one that was used last; says what to do.
    """
    private_folder(path.parent, take_back=True)
    new = new or (replaces is not None and path.exists() and _owner(path) == replaces)
    if new and path.exists():
        _move_aside(path, f"{clock.now():%Y%m%dT%H%M%S}")
    if not path.exists() and known_id is not None and not new:
        raise ConfigError(
            f"the journal {path.name} is gone: it says what was sent and not yet recorded. "
            "Restore it, or begin a new one with --new-journal (rows in flight are sent again: "
            "duplicates are possible, loss is not)",
            file=path.name,
        )
    private_file(path)  # SQLite gives its -wal and -shm the same mode
    con = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
    journal = Journal(con, clock)
    try:
        with _told_if_unwritable():
            _write_ahead(con, clock)
            _set_up(con, warehouse_id, clock.now().timestamp(), attempts)
        _check_owner(journal, path, warehouse_id, None if new else known_id)
        if not new:
            _check_epoch(journal, path, known_epoch)
    except (sqlite3.OperationalError, StorageError):  # nothing is wrong with the file
        journal.close()
        raise
    except sqlite3.DatabaseError as error:
        journal.close()
        raise ConfigError(
            f"the journal {path.name} cannot be read ({error}). Restore it, or begin a new one "
            "with --new-journal (the old file is kept aside; rows in flight are sent again)",
            file=path.name,
        ) from None
    except ConfigError:
        journal.close()
        raise
    return journal


@contextmanager
def _told_if_unwritable() -> Iterator[None]:
    """Say what to do about a full disk.

    Raises:
        StorageError: in place of SQLite's error.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith(_UNWRITABLE):
            raise
        raise StorageError(
            f"the journal cannot be written ({error}): make room on the disk of "
            "TAILRACE_STATE_DIR, then run again. Nothing is sent that is not recorded first; a "
            "request whose answer could not be recorded is sent again as it was"
        ) from None


def _write_ahead(con: sqlite3.Connection, clock: Clock) -> None:
    """Switch to the write-ahead log, which SQLite refuses at once while another process does so."""
    give_up = clock.monotonic() + BUSY_SECONDS
    while True:
        try:
            con.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or clock.monotonic() > give_up:
                raise
            clock.sleep(POLL_SECONDS)
        else:
            return


def _set_up(con: sqlite3.Connection, warehouse_id: str, now: float, attempts: int) -> None:
    con.execute("pragma synchronous = full")
    con.execute("pragma secure_delete = on")
    con.executescript(_SCHEMA)
    if not any(column[1] == "quiet_until" for column in con.execute("pragma table_info(claims)")):
        con.execute("alter table claims add column quiet_until real")
    con.executemany(
        "insert or ignore into meta values (?, ?)",
        [
            ("schema_version", SCHEMA_VERSION),
            ("journal_id", uuid4().hex),
            ("warehouse_id", warehouse_id),
            ("created_at", str(now)),
            ("attempts", str(attempts)),
            ("epoch", "0"),
        ],
    )


def _owner(path: Path) -> str | None:
    """Return the warehouse that a journal belongs to, None if it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as con:
            found = con.execute("select value from meta where key = 'warehouse_id'").fetchone()
    except sqlite3.DatabaseError:
        return None
    return found[0] if found else None


def _check_owner(journal: Journal, path: Path, warehouse_id: str, known_id: str | None) -> None:
    version = journal._meta("schema_version")
    if version != SCHEMA_VERSION:
        raise ConfigError(
            f"the journal {path.name} was written by another version of tailrace "
            f"(format {version}, this one reads {SCHEMA_VERSION}). Use that version, or begin a "
            "new journal with --new-journal (the old file is kept aside)",
            file=path.name,
        )
    foreign = journal._meta("warehouse_id") != warehouse_id
    replaced = known_id is not None and journal.journal_id != known_id
    if foreign or replaced:
        why = "belongs to another warehouse" if foreign else "is not the one this warehouse used"
        raise ConfigError(
            f"the journal {path.name} {why}. Point TAILRACE_STATE_DIR at the right "
            "directory, or begin a new journal with --new-journal (the old file is kept aside)",
            file=path.name,
        )


def _check_epoch(journal: Journal, path: Path, known_epoch: int) -> None:
    """Refuse a backup: what was sent after it was made would count as never sent."""
    if journal.epoch < known_epoch:
        raise ConfigError(
            f"the journal {path.name} is an older copy of the one this warehouse used last: it "
            "does not know what was sent since. Put the newer one back, or begin a new one with "
            "--new-journal (the old file is kept aside; rows in flight are sent again: "
            "duplicates are possible, loss is not)",
            file=path.name,
        )


def _move_aside(path: Path, stamp: str) -> None:
    taken = 1
    while path.with_name(f"{path.stem}.{stamp}{path.suffix}").exists():
        stamp, taken = f"{stamp.split('-')[0]}-{taken + 1}", taken + 1
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(f"{path.stem}.{stamp}{path.suffix}{suffix}"))
