"""Named locks on one host: `flock` on a file, released by the kernel when the holder dies."""

from __future__ import annotations

import fcntl
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from destinations.clock import Clock
from destinations.errors import LockedError

POLL_SECONDS = 0.2
_LONGEST = 200
_VERB = re.compile(r"^[a-z][a-z_-]{0,30}\Z")


@contextmanager
def file_lock(path: Path, what: str, *, clock: Clock, deadline: float) -> Iterator[None]:
    """Hold an exclusive lock on `path` until the block ends.

    The file names its holder and stays behind; only the kernel's lock counts.

    Raises:
        LockedError: another process still holds it after `deadline` seconds; says which, at what,
            since when.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, what, clock, deadline)
        holder = (
            f"process {os.getpid()} ({program(sys.argv)}) since {clock.now():%Y-%m-%d %H:%M:%S} UTC"
        )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode()[:_LONGEST], 0)
        yield
    finally:
        os.close(descriptor)


def program(argv: list[str]) -> str:
    """Return what a command line runs, such as `tailrace evaluate`: never its other arguments."""
    path = Path(argv[0] if argv else "")
    module = path.parent.name if path.name == "__main__.py" else path.name
    name = "tailrace" if module in ("orchestration", "tailrace") else module
    verb = argv[1] if len(argv) > 1 else ""
    known = name if re.match(r"^[A-Za-z][\w.-]{0,40}\Z", name) else "python"
    return f"{known} {verb}" if _VERB.match(verb) else known


def _acquire(descriptor: int, what: str, clock: Clock, deadline: float) -> None:
    give_up = clock.monotonic() + deadline
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() >= give_up:
                holder = os.pread(descriptor, _LONGEST, 0).decode(errors="replace")
                msg = (
                    f"{what} is in use by {holder or 'another process'}; wait for it or end it, "
                    "then try again"
                )
                raise LockedError(msg) from None
            clock.sleep(POLL_SECONDS)
        else:
            return
