"""What a sandbox received, read from its file; the shapes are those of the command line."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from destinations.errors import DataError


def calls(path: Path, *, limit: int | None = None) -> dict[str, Any]:
    """Return the calls in the order they came in, or the last `limit` of them.

    Raises:
        DataError: there is no sandbox file at `path`.
    """
    with _opened(path) as db:
        rows = db.execute(
            "select received_at, method, path, status, items, accepted from calls"
            " order by seq desc limit ?",
            (-1 if limit is None else limit,),
        ).fetchall()
    return {"calls": [dict(row) for row in reversed(rows)]}


def profile(path: Path, identifier: str) -> dict[str, Any]:
    """Return a user by e-mail or userId, and the user's events in order of their time.

    An unknown user has the profile None. `lists` is empty: the sandbox has none.

    Raises:
        DataError: there is no sandbox file at `path`.
    """
    with _opened(path) as db:
        found = db.execute(
            "select * from profiles where user_id = ? or email = ? order by user_id = ? desc",
            (identifier, identifier.lower(), identifier),
        ).fetchone()
        rows = db.execute(
            "select * from events where profile_id = ? order by created_at, rowid",
            (found["id"] if found else None,),
        ).fetchall()
    return {
        "profile": _profile(found) if found else None,
        "events": [_event(row) for row in rows],
        "lists": [],
    }


def _profile(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "email": row["email"],
        "userId": row["user_id"],
        "dataFields": json.loads(row["fields"]),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _event(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "eventName": row["event_name"],
        "createdAt": row["created_at"],
        "created_at": datetime.fromtimestamp(row["created_at"], UTC).isoformat(),
        "dataFields": json.loads(row["fields"]),
        "times_received": row["times_received"],
    }


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise DataError(
            f"no sandbox has run here, {path} does not exist: `tailrace sandbox serve` makes it",
            file=str(path),
        )
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as db:
        db.row_factory = sqlite3.Row
        yield db
