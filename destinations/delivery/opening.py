"""Opening a journal: on first use, after a loss, and never one that is not ours."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from destinations.clock import Clock
from destinations.delivery.journal import Journal, told_if_unwritable
from destinations.errors import ConfigError, LockedError, StorageError
from destinations.private import private_file, private_folder

SCHEMA_VERSION = "1"
_SCHEMA = """
create table if not exists meta (key text primary key, value text not null);
create table if not exists claims (
    claim_id integer primary key, plan_id text not null, seq_from integer not null,
    seq_to integer not null, attempt integer not null, kind text not null, body_sha256 text,
    claimed_at real not null, settled_at real, outcome text, http_status integer,
    exported integer not null default 0, quiet_until real);
drop index if exists claims_of_plan;
create index if not exists claims_by_end on claims (plan_id, seq_to);
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
        StorageError: the disk is full or cannot be written.
        LockedError: another process keeps the file to itself.
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
    with told_if_unwritable():
        con = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
    journal = Journal(con, clock)
    try:
        with told_if_unwritable():
            _write_ahead(con, clock)
            _set_up(con, warehouse_id, clock.now().timestamp(), attempts)
        _check_owner(journal, path, warehouse_id, None if new else known_id)
        if not new:
            _check_epoch(journal, path, known_epoch)
    except (sqlite3.OperationalError, StorageError, LockedError):  # nothing is wrong with the file
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
