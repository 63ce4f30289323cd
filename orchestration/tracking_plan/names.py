"""When two names mean one event."""

from __future__ import annotations

import re
from functools import lru_cache

from orchestration.tracking_plan.asking import answer

EVENT_KEY_SQL = (
    r"trim(regexp_replace(nfc_normalize(lower(regexp_replace(nfc_normalize(?), "
    r"'([a-z0-9])([A-Z])', '\1_\2', 'g'))), '[^\pL\pM\pN]+', '_', 'g'), '_')"
)
"""The rule in DuckDB's words; `?` is the name."""

_CAMEL = re.compile(r"([a-z0-9])([A-Z])")
_OTHERS = re.compile(r"[^a-z0-9]+")


def event_key(name: str) -> str:
    """Return what an event's name is matched by; empty if it holds no letter, mark or digit.

    `session_started`, `Session Started`, `SessionStarted` and `session-started` have one key.
    """
    if not name.isascii():
        # DuckDB knows other letters than Python does, and another lower case of some.
        return _asked(name)
    return _OTHERS.sub("_", _CAMEL.sub(r"\1_\2", name).lower()).strip("_")


@lru_cache(maxsize=100_000)
def _asked(name: str) -> str:
    return str(answer(f"select {EVENT_KEY_SQL}", name))
