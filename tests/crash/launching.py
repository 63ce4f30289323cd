"""Starts `tailrace` in processes that can be killed; see `mortal`."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
"""Seconds after which a process that should have ended is taken to hang."""


@dataclass(slots=True)
class Child:
    """A process that runs one verb."""

    launcher: Launcher
    pid: int
    folder: Path

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        self.launcher.tell(number)

    def has_ended(self, within: float) -> bool:
        return self.launcher.hears(within)

    def wait(self) -> int:
        """Return its exit code, or the negative number of the signal that ended it."""
        while "ended" not in (said := self.launcher.listen()):
            assert said == {"stopped": True}
        return int(said["ended"])

    def wait_until_stopped(self) -> None:
        assert self.launcher.listen() == {"stopped": True}, self.err


@dataclass(slots=True)
class Launcher:
    """A process that has imported everything and forks others, one at a time."""

    process: subprocess.Popen[bytes]

    def start(
        self,
        folder: Path,
        *arguments: str,
        point: str = "",
        times: int = 1,
        number: int = signal.SIGKILL,
        **environment: str,
    ) -> Child:
        """Start a verb; it gets signal `number` when it passes `point` for the n-th time."""
        order = {
            "arguments": arguments,
            "environment": environment,
            "point": point,
            "times": times,
            "signal": number,
            "out": str(folder / "out"),
            "err": str(folder / "err"),
        }
        self.tell(order)
        return Child(self, self.listen()["pid"], folder)

    def tell(self, order: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order).encode() + b"\n")

    def hears(self, within: float) -> bool:
        return bool(select.select([self.process.stdout], [], [], within)[0])

    def listen(self) -> dict[str, Any]:
        assert self.process.stdout
        assert self.hears(PATIENCE), "the process hangs"
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        return said


@contextmanager
def launching(*before: str) -> Iterator[Launcher]:
    """A launcher of its own, behind a command that execs it; what it started dies with it."""
    with subprocess.Popen(
        [*before, sys.executable, "-m", "tests.crash.mortal", "--serve"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            yield Launcher(process)
        finally:
            assert process.stdin
            process.stdin.close()
