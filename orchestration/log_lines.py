"""Log lines for machines: one JSON object each, on stderr, whatever is in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping

from destinations.clock import Clock, whole_second
from destinations.scrub import scrubbed_values

Write = Callable[[str], None]


def to_stderr(line: str) -> None:
    """Write a line to stderr at once."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def log_line(
    clock: Clock, event: str, values: Mapping[str, object], write: Write = to_stderr
) -> None:
    """Write an event with its values; JSON escapes what could begin another line."""
    at = f"{whole_second(clock.now()):%Y-%m-%dT%H:%M:%SZ}"
    write(json.dumps({"at": at, "event": event, **scrubbed_values(values)}, default=str))
