"""Ids of evaluations, plans and runs: readable, sortable, unique."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def new_id(prefix: str, now: datetime) -> str:
    """Return an id such as `p-20261122-081500-3fa9c1` (prefix, UTC time, random part)."""
    return f"{prefix}-{now.astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
