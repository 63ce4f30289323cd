"""The syncs that the machine may draw: one of each kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from orchestration.desired.scope import Mode
from tests.orchestration.machine.truth import Said

AUDIENCE = "lapsed"
MOST_EXITS = 1
TELLING = {
    "told": ("Told in", "Told out"),
    "heard": ("Heard in", "Heard out"),
}
"""Names of the events of syncs that send membership as track."""

SYNCS: dict[str, tuple[Said, dict[str, Any]]] = {
    "said": (
        Said("said", "membership", needs_consent=False),
        {"as": "identify", "send_updates": True, "fields": {"level": "level"}},
    ),
    "told": (
        Said("told", "membership", needs_consent=False, silent_moves=True),
        {"as": "track", "entered_event": "Told in", "exited_event": "Told out"},
    ),
    "heard": (
        Said("heard", "membership", needs_consent=True),
        {
            "as": "track", "entered_event": "Heard in", "exited_event": "Heard out",
            "on_rekey": "send", "consent": "agreed",
        },
    ),
    "points": (
        Said("points", "traits", needs_consent=True, fields=("points",)),
        {"fields": {"points": "score"}, "consent": "agreed"},
    ),
    "orders": (
        Said("orders", "events", needs_consent=True),
        {"events": ["Order"], "consent": "agreed"},
    ),
}  # fmt: skip
QUIET = (Mode.NONE, Mode.ASSUME_SENT)


def strict(said: Said, options: dict[str, Any]) -> tuple[Said, dict[str, Any]]:
    """Return a sync that asks for consent, and clears the fields of who is gone."""
    if said.sends == "traits":
        return replace(said, clears_gone=True), {**options, "on_gone": "clear"}
    return replace(said, needs_consent=True), {**options, "consent": "agreed"}
