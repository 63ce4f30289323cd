"""Files and folders that are nobody else's: 0700 and 0600, whatever the umask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from destinations.errors import StorageError

FOLDER, FILE = 0o700, 0o600


def private_folder(path: Path, *, take_back: bool = False) -> None:
    """Make a folder for ourselves alone; `take_back` closes one that is there to the others.

    Raises:
        StorageError: it cannot be made.
    """
    with _told(path):
        path.mkdir(mode=FOLDER, parents=True, exist_ok=True)
        if take_back:
            _restrict(path, FOLDER)


def private_file(path: Path) -> None:
    """Make an empty file for ourselves alone; one that is there is taken back from the others.

    One that is there is not opened: to close it again would end this process's locks on it.

    Raises:
        StorageError: it cannot be made.
    """
    with _told(path):
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE))
        except FileExistsError:
            _restrict(path, FILE)


def keep_to_ourselves() -> None:
    """Let nobody else read what this process makes from now on.

    For what libraries write by themselves: the warehouse's log beside its file, dbt's artifacts.
    """
    os.umask(0o077)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot make or keep {path}: {error.strerror}. TAILRACE_DUCKDB and TAILRACE_STATE_DIR "
            "say where the warehouse and the state are",
            file=str(path),
        ) from None


def _restrict(path: Path, mode: int) -> None:
    there = path.stat()
    if there.st_uid == os.getuid() and there.st_mode & 0o777 & ~mode:
        path.chmod(mode)
