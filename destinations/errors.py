"""What can go wrong, in words for the person who has to fix it.

TailraceError            exit 1
+-- ConfigError          exit 2: a file, key, flag or environment variable is wrong
+-- DataError            exit 1: the warehouse or a file holds something unusable
+-- LockedError          exit 1: somebody else holds what this run needs
+-- StorageError         exit 1: a disk is full or cannot be written

Rows that a destination refuses are data (`destinations.base.Outcome`), never exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable

from destinations.scrub import one_line, scrubbed


class TailraceError(Exception):
    """Root of every expected error; the message is one a person can act on.

    Args:
        message: what is wrong and what to do; secrets and addresses in it are masked.
        file: the file that holds the mistake, if a file does.
        key: the key, column or flag inside it.
        line: the line of the file, from 1, if it is known.
        accepted: the values that would have been right.
    """

    kind = "error"
    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        key: str | None = None,
        accepted: Iterable[str] = (),
        line: int | None = None,
    ) -> None:
        self.message = scrubbed(message)
        super().__init__(self.message)
        self.file = file
        self.key = key
        self.accepted = tuple(accepted)
        self.line = line

    @property
    def place(self) -> str | None:
        """Return the file, with the line behind a colon if it is known."""
        return f"{self.file}:{self.line}" if self.file and self.line else self.file

    def as_dict(self) -> dict[str, object]:
        """Return the shape printed under `error` by `--json`."""
        shape: dict[str, object] = {
            "kind": self.kind,
            "message": self.message,
            "file": self.file and one_line(self.file),
            "key": self.key and one_line(self.key),
            "line": self.line,
        }
        if self.accepted:
            shape["accepted"] = [one_line(value) for value in self.accepted]
        return shape


class ConfigError(TailraceError):
    """A file, key, flag or environment variable is wrong; nothing was done."""

    kind = "config"
    exit_code = 2


class DataError(TailraceError):
    """The warehouse or an input file holds something that cannot be used."""

    kind = "data"


class LockedError(TailraceError):
    """Another process holds the warehouse, an audience or a sync."""

    kind = "locked"


class StorageError(TailraceError):
    """A disk is full, or cannot be written; what was recorded before stays."""

    kind = "storage"
