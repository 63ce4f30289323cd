"""Names of events in models and syncs that the log cannot have, held against the tracking plan."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches

from orchestration.tracking_plan.names import event_key

_MACROS = re.compile(
    r"\b(?:event_[a-z_]+|days_since_event|named_events?|counted_event|percent_of_checklist"
    r"|unique_count|unique_list(?:_by_use)?|next_time|most_frequent|best_hour|day_streak"
    r"|interval_stats|streak|sequence|abandoned)\("
)
_COMPARED = re.compile(
    r"(?<![\w.])event\s*(?:=|<>|!=)\s*(?=')|(?<![\w.])event\s+(?:not\s+)?in\s*\(", re.IGNORECASE
)
_SET = re.compile(r"\{%-?\s*set\b(?P<given>(?:[^%]|%(?!\}))*)%\}")
_TEXT = r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""
_TEXTS = re.compile(_TEXT)
_TOKENS = re.compile(rf"(?P<text>{_TEXT})|\{{#.*?#\}}|--[^\n]*", re.DOTALL)
_ALIKE = 0.85
"""How much of two names is the same, from 0 to 1, where one is taken for a slip of the other."""


def events_named(sql: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of what a model may name as an event.

    Those are the texts among the arguments of a trait macro or in a `set`, which may name something
    else as well, and those that the column event is compared with.
    """
    plain = _TOKENS.sub(lambda m: m[0] if m["text"] else re.sub(r"[^\n]", " ", m[0]), sql)
    for call in _MACROS.finditer(plain):
        yield from _texts(plain, call.end(), _end(plain, call.end()))
    for given in _SET.finditer(plain):
        yield from _texts(plain, *given.span("given"))
    for compared in _COMPARED.finditer(plain):
        several = compared[0].endswith("(")
        first = _TEXTS.match(plain, compared.end())
        end = _end(plain, compared.end()) if several else first.end() if first else 0
        yield from _texts(plain, compared.end(), end)


def _texts(plain: str, begin: int, end: int) -> Iterator[tuple[int, str]]:
    for found in _TEXTS.finditer(plain, begin, end):
        text = re.sub(r"\\(['\"\\])", r"\1", found[0][1:-1])
        yield plain.count("\n", 0, found.start()) + 1, text


def _end(plain: str, begin: int) -> int:
    """Return where the bracket closes that was opened before `begin`."""
    depth = 1
    for found in re.finditer(rf"{_TEXT}|[()]", plain[begin:]):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if not depth:
            return begin + found.start()
    return len(plain)


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
