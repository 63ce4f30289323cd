"""Named locks on one host: `flock` on a file, released by the kernel when the holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from destinations.clock import Clock
from destinations.errors import LockedError

POLL_SECONDS = 0.2


@contextmanager
def file_lock(path: Path, what: str, *, clock: Clock, deadline: float) -> Iterator[None]:
    """Hold an exclusive lock on `path` until the block ends.

    The file names its holder and stays behind; only the kernel's lock counts.

    Raises:
        LockedError: another process still holds it after `deadline` seconds.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, what, clock, deadline)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, what: str, clock: Clock, deadline: float) -> None:
    give_up = clock.monotonic() + deadline
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() >= give_up:
                holder = os.pread(descriptor, 100, 0).decode() or "another process"
                msg = f"{what} is in use by {holder}; wait for it or end it, then try again"
                raise LockedError(msg) from None
            clock.sleep(POLL_SECONDS)
        else:
            return
