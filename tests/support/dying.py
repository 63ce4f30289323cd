"""Processes that die at a chosen point, seen from inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from destinations.delivery.journal import Journal


class Crash(BaseException):
    """What a kill looks like from inside: nobody catches it, nothing after it runs."""


@dataclass
class Fuse:
    """Blows at the nth point that is passed; 0 never does."""

    left: int = 0

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Crash


@dataclass
class MortalJournal:
    """A journal whose process may die before and after each commit of a claim or an answer."""

    journal: Journal
    fuse: Fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.journal, name)
        if name not in ("claim", "settle", "write"):
            return found

        def commit(*values: Any, **named: Any) -> Any:
            self.fuse.burn()
            made = found(*values, **named)
            self.fuse.burn()
            return made

        return commit
