"""How a sandbox behaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from destinations.base import Secret

LOST = 0
"""In `SandboxSettings.script`: the call is applied and its answer is cut off on the way back."""

RATES: Mapping[str, int] = MappingProxyType(
    {
        "/api/users/update": 500,
        "/api/users/bulkUpdate": 5,
        "/api/events/track": 2000,
        "/api/events/trackBulk": 10,
    }
)
"""Requests per second and project; source: Iterable API reference."""

MAX_BYTES = 4_000_000
"""Of a body; the reference says 4 MB, this is the smaller reading of it."""

MAX_ITEMS = 1000
"""Users or events in a bulk call."""


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """One project of the sandbox.

    Attributes:
        state: the SQLite file; made if missing. Needed unless `store` is false.
        api_key: the only key it takes.
        project: what a profile is selected by: `email`, `user_id` or `hybrid` (either).
        track_creates_users: whether an event of an unknown user creates the user.
        checks: whether keys, identities and field types are checked.
        limits: whether the documented rates are enforced.
        store: whether anything is kept. If not, every call within the rates is answered as a
            success at once, unread: an open throttle to measure a sender against.
        forgotten: e-mails and user ids that count as forgotten.
        disallowed_events: event names that the project does not take.
        script: for tests, the statuses of the next POST calls, one each; 200 means "as usual",
            `LOST` applies the call and cuts its answer off. After that, as usual.
    """

    state: Path | None = None
    api_key: Secret = field(default_factory=lambda: Secret("sandbox-key"))
    project: Literal["hybrid", "email", "user_id"] = "hybrid"
    track_creates_users: bool = False
    checks: bool = True
    limits: bool = True
    store: bool = True
    forgotten: frozenset[str] = frozenset()
    disallowed_events: frozenset[str] = frozenset()
    script: tuple[int, ...] = ()
