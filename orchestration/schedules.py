"""Cron expressions of `schedule:`, checked before a scheduler has to."""

from __future__ import annotations

import re

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_SHORTHANDS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_ITEM = re.compile(r"(?:\*|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?\Z")
_LONGEST = {4: 30, 6: 30, 9: 30, 11: 30, 2: 29}


def schedule_problem(expression: str) -> str | None:
    """Return what is wrong with a cron expression, None if it is one.

    Five fields (minute, hour, day of month, month, day of week) of numbers or names, with lists,
    ranges and steps; or a shorthand such as @hourly. What only some schedulers know (L, #, ?) is
    left to them.
    """
    if expression.strip().startswith("@"):
        known = expression.strip().lower() in _SHORTHANDS
        return None if known else f"{expression!r} is none of {', '.join(_SHORTHANDS)}"
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        return f"{expression!r} has {len(parts)} fields; cron has {len(_FIELDS)}"
    for part, (name, low, high, names) in zip(parts, _FIELDS, strict=True):
        for item in part.lower().split(","):
            problem = _item_problem(item, low, high, names)
            if problem:
                return f"{name} {part!r}: {problem}"
    return _never(parts)


def _item_problem(item: str, low: int, high: int, names: tuple[str, ...]) -> str | None:
    if re.search(r"[l#?]", item) and not any(item.startswith(name) for name in names):
        return None
    match = _ITEM.match(item)
    if not match:
        return f"{item!r} is not a number, a range (1-5), a step (*/5) or *"
    if match["step"] is not None and int(match["step"]) == 0:
        return "a step is at least 1"
    ends = [_number(match[end], low, names) for end in ("low", "high") if match[end] is not None]
    for end in ends:
        if end is None or not low <= end <= high:
            allowed = f" or {names[0]} to {names[-1]}" if names else ""
            return f"{item!r} is not within {low} to {high}{allowed}"
    return None


def _number(value: str, low: int, names: tuple[str, ...]) -> int | None:
    if value.isdecimal():
        return int(value)
    return names.index(value) + low if value in names else None


def _never(parts: list[str]) -> str | None:
    """A day that its month does not have never comes."""
    day, month, weekday = parts[2], parts[3], parts[4]
    if day.isdecimal() and month.isdecimal() and weekday == "*":
        longest = _LONGEST.get(int(month), 31)
        if int(day) > longest:
            return f"day {day} of month {month} never comes"
    return None
