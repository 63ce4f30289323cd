"""Named locks on one host: `flock` on a file, released by the kernel when the holder dies."""

from __future__ import annotations

import fcntl
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from destinations.clock import Clock
from destinations.errors import LockedError
from destinations.private import private_folder
from orchestration.warehouse import Connect

POLL_SECONDS = 0.2
PATIENCE = 2.0
"""Whoever waits longer, in seconds, is told what for."""

Tell = Callable[[str], None]
T = TypeVar("T")
_LONGEST = 200
_VERB = re.compile(r"^[a-z][a-z_-]{0,30}\Z")


def in_silence(said: str) -> None:
    """Tell nobody."""


def keep_trying(
    attempt: Callable[[], T],
    *,
    clock: Clock,
    deadline: float,
    every: float = POLL_SECONDS,
    tell: Tell = in_silence,
) -> T:
    """Return what `attempt` does, once nobody else holds what it needs.

    Args:
        attempt: tried again for as long as it raises LockedError.
        clock: what to wait on.
        deadline: the seconds after which to give up.
        every: the seconds between two attempts.
        tell: told once what is waited for, if it takes long.

    Raises:
        LockedError: as `attempt` did last.
    """
    began, told = clock.monotonic(), False
    while True:
        try:
            return attempt()
        except LockedError as error:
            waited = clock.monotonic() - began
            if waited >= deadline:
                raise
            if waited >= PATIENCE and not told:
                tell(error.message.partition(";")[0])
                told = True
        clock.sleep(every)


@contextmanager
def lock_when_free(connect: Connect, name: str, *, clock: Clock, deadline: float) -> Iterator[None]:
    """Hold a named lock of the warehouse, which is let go while this waits.

    Whoever has the lock may need the warehouse to come to an end. If it takes long, whoever the
    warehouse tells is told what for.

    Raises:
        LockedError: somebody else still holds it after `deadline` seconds.
    """
    tell: Tell = in_silence
    with ExitStack() as held:

        def attempt() -> None:
            nonlocal tell
            with connect() as warehouse:
                tell = warehouse.tell
                held.enter_context(warehouse.lock(name))

        keep_trying(
            attempt, clock=clock, deadline=deadline, every=1.0, tell=lambda said: tell(said)
        )
        yield


@contextmanager
def file_lock(
    path: Path, what: str, *, clock: Clock, deadline: float, tell: Tell = in_silence
) -> Iterator[None]:
    """Hold an exclusive lock on `path` until the block ends.

    The file names its holder and stays behind; only the kernel's lock counts.

    Raises:
        LockedError: another process still holds it after `deadline` seconds; says which, at what,
            since when.
    """
    private_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        keep_trying(lambda: _acquire(descriptor, what), clock=clock, deadline=deadline, tell=tell)
        holder = (
            f"process {os.getpid()} ({program(sys.argv)}) since {clock.now():%Y-%m-%d %H:%M:%S} UTC"
        )
        with suppress(OSError):  # a full disk takes the name, not the lock
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


def _acquire(descriptor: int, what: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, _LONGEST, 0).decode(errors="replace")
        raise LockedError(
            f"{what} is in use by {holder or 'another process'}; wait for it or end it, "
            "then try again"
        ) from None
