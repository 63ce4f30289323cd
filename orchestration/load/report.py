"""What a load did, for people and for `--json`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class FileLoad:
    """What became of one file; read = loaded + known + skipped + later.

    Attributes:
        file: as it was given.
        table: raw table that it went to.
        read: rows in the file.
        loaded: rows that are new.
        known: rows whose id was there already, or earlier in the same file.
        skipped: rows of nobody, or of no event; `notes` says which.
        later: rows of the sample that had not arrived by `until`.
        first_at: earliest event time of the rows that count, UTC; None when there are none.
        last_at: latest one.
        notes: sentences worth reading.
    """

    file: str
    table: str
    read: int
    loaded: int
    known: int
    skipped: int
    first_at: datetime | None
    last_at: datetime | None
    later: int = 0
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the shape of one entry of `loads`."""
        return {
            "file": self.file,
            "table": self.table,
            "read": self.read,
            "loaded": self.loaded,
            "known": self.known,
            "skipped": self.skipped,
            "later": self.later,
            "first_at": _text(self.first_at),
            "last_at": _text(self.last_at),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did.

    Attributes:
        loads: one entry per file.
        replaced: whether what was there, with the history computed from it, was dropped first.
        end: where the sample's last event was put, UTC; None for own files.
    """

    loads: tuple[FileLoad, ...]
    replaced: bool = False
    end: datetime | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the shape printed by `load --json`."""
        return {
            "loads": [load.as_dict() for load in self.loads],
            "replaced": self.replaced,
            "end": _text(self.end),
        }

    def notes(self) -> list[str]:
        """Return the sentences to print under the table."""
        said = [f"{load.file}: {note}" for load in self.loads for note in load.notes]
        if later := sum(load.later for load in self.loads):
            said.insert(0, f"{later:,} rows of the sample have not arrived yet; load it again")
        if self.replaced:
            said.insert(0, REPLACED)
        return said


REPLACED = (
    "Replaced: the raw tables were emptied and the schemas analytics and tailrace dropped, since "
    "their audiences, history and plans came from other events."
)


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.strftime("%Y-%m-%dT%H:%M:%SZ")
