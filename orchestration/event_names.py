"""Names of events in models and syncs that the log cannot have, held against the tracking plan."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches

from orchestration.tracking_plan.names import event_key

_FIRST = (
    "event_[a-z_]+|days_since_event|named_events?|counted_event|percent_of_checklist"
    "|unique_count|unique_list|next_time"
)
_SECOND = "most_frequent|unique_list_by_use|best_hour|day_streak|interval_stats|streak|sequence"
_TEXT = r"(?:'[^'\n]*'|\"[^\"\n]*\")"
_NAMED = re.compile(
    rf"\b(?:{_FIRST})\(\s*(?P<first>{_TEXT})"
    rf"|\b(?:{_SECOND})\(\s*{_TEXT}\s*,\s*(?P<second>{_TEXT})"
    r"|(?<![\w.])event\s*=\s*(?P<compared>'[^'\n]*')"
)
_COMMENT = re.compile(r"\{#.*?#\}|--[^\n]*", re.DOTALL)
_ALIKE = 0.85
"""How much of two names is the same, from 0 to 1, where one is taken for a slip of the other."""


def events_named(sql: str) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of each event that a model names in a trait macro or compares with."""
    plain = _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), sql)
    for match in _NAMED.finditer(plain):
        name = match["first"] or match["second"] or match["compared"]
        yield plain.count("\n", 0, match.start()) + 1, name[1:-1]


def misnamed(name: str, planned: Collection[str]) -> str | None:
    """Return what is wrong with a name, if the log has the event under one of these instead.

    Whatever is like none of them may be an event that the tracking plan does not know.
    """
    if name in planned:
        return None
    same = [other for other in planned if event_key(other) == event_key(name)]
    if same:
        return f"there is no event {name!r}: the tracking plan spells it {same[0]!r}"
    close = get_close_matches(name, planned, n=1, cutoff=_ALIKE)
    return (
        f"there is no event {name!r} in the tracking plan; is it {close[0]!r}?" if close else None
    )
