"""The one SQLite file behind a sandbox."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from destinations.private import private_file, private_folder

_TABLES = """
create table if not exists profiles (
    id integer primary key, email text unique, user_id text unique, fields text not null,
    created_at text not null, updated_at text not null
);
create table if not exists events (
    id text primary key, profile_id integer not null, event_name text not null,
    created_at integer not null, fields text not null, times_received integer not null,
    received_at text not null
);
create index if not exists events_of_profile on events (profile_id, created_at);
create table if not exists fields (
    category text, name text, type text not null, primary key (category, name)
);
create table if not exists calls (
    seq integer primary key, received_at text not null, method text not null, path text not null,
    status integer not null, items integer not null, accepted integer not null
);
"""
_SAVE_PROFILE = """
insert into profiles values (?, ?, ?, ?, ?, ?)
on conflict (id) do update set email = excluded.email, user_id = excluded.user_id,
    fields = excluded.fields, updated_at = excluded.updated_at
"""
# A known id is overwritten; how often it came is kept, so that a duplicate can be seen.
_SAVE_EVENT = """
insert into events values (?, ?, ?, ?, ?, 1, ?)
on conflict (id) do update set profile_id = excluded.profile_id,
    event_name = excluded.event_name, created_at = excluded.created_at,
    fields = excluded.fields, received_at = excluded.received_at,
    times_received = times_received + 1
"""


@dataclass(slots=True)
class Profile:
    """One user of the project; `email` is in lower case."""

    id: int
    email: str | None
    user_id: str | None
    fields: dict[str, Any]
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event, without how often it came."""

    id: str
    profile_id: int
    name: str
    created_at: int
    fields: Mapping[str, Any] = field(default_factory=dict)


class Store:
    """Reads and writes of one sandbox; used from one thread."""

    def __init__(self, path: Path) -> None:
        private_folder(path.parent)
        private_file(path)
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            # A power cut may lose the last calls of a rehearsal; not worth waiting for the disk.
            self._db.executescript(f"pragma journal_mode=wal; pragma synchronous=normal; {_TABLES}")
        except sqlite3.Error:
            self._db.close()
            raise
        self._next_profile: int = self._one("select coalesce(max(id), 0) + 1 from profiles")
        self.types: dict[str, dict[str, str]] = {"user": {}, "event": {}}
        for category, name, kind in self._db.execute("select category, name, type from fields"):
            self.types[category][name] = kind

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all writes of a call or none."""
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def profiles(self, emails: Sequence[str], user_ids: Sequence[str]) -> list[Profile]:
        """Return the profiles with any of these identifiers."""
        rows = self._db.execute(
            "select * from profiles where email in (select value from json_each(?))"
            " union select * from profiles where user_id in (select value from json_each(?))",
            (json.dumps(list(emails)), json.dumps(list(user_ids))),
        )
        return [Profile(i, e, u, json.loads(f), c, w) for i, e, u, f, c, w in rows]

    def new_profile(self, email: str | None, user_id: str | None, now: str) -> Profile:
        """Return a profile that exists once it is saved."""
        self._next_profile += 1
        return Profile(self._next_profile - 1, email, user_id, {}, now, now)

    def save_profiles(self, profiles: Iterable[Profile]) -> None:
        """Insert or overwrite profiles."""
        rows = [
            (p.id, p.email, p.user_id, encode(p.fields), p.created_at, p.updated_at)
            for p in profiles
        ]
        self._db.executemany(_SAVE_PROFILE, rows)

    def save_events(self, events: Iterable[Event], now: str) -> None:
        """Insert or overwrite events by id."""
        rows = [(e.id, e.profile_id, e.name, e.created_at, encode(e.fields), now) for e in events]
        self._db.executemany(_SAVE_EVENT, rows)

    def lock_types(self, category: str, created: Mapping[str, str]) -> None:
        """Fix the types of new fields for good."""
        rows = [(category, name, kind) for name, kind in created.items()]
        self._db.executemany("insert or ignore into fields values (?, ?, ?)", rows)
        self.types[category].update(created)

    def events_of(self, profile_id: int, limit: int) -> list[tuple[str, str, int, str]]:
        """Return (id, name, created_at, fields as JSON) of a profile's latest events."""
        return self._db.execute(
            "select id, event_name, created_at, fields from events where profile_id = ?"
            " order by created_at desc, rowid desc limit ?",
            (profile_id, limit),
        ).fetchall()

    def log(self, call: tuple[str, str, str, int, int, int]) -> None:
        """Keep (received_at, method, path, status, items, accepted)."""
        self._db.execute(
            "insert into calls (received_at, method, path, status, items, accepted)"
            " values (?, ?, ?, ?, ?, ?)",
            call,
        )

    def _one(self, sql: str) -> Any:
        return self._db.execute(sql).fetchone()[0]


def encode(fields: Mapping[str, Any]) -> str:
    """Return fields as compact JSON; a double keeps its point."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
