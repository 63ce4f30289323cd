"""The trait macros once more, in plain Python: from what their comments say, not from their SQL.

A row has event, properties (a mapping), occurred_at, received_at, row_id. What every function here
gets are the rows of one user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle import amount, text_of
from tests.oracle_behaviour import moment, named

Row = dict[str, Any]
Names = str | list[str]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class World:
    """The instant that is answered for (naive UTC), and whose days are meant."""

    as_of: datetime
    zone: str = "UTC"

    def day(self, instant: datetime) -> date:
        return local_day(instant, self.zone)


@cache
def local_day(instant: datetime, zone: str) -> date:
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()


def as_list(names: Names | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else names


def of_name(rows: list[Row], names: Names | None) -> list[Row]:
    """Return the events of these names in the order in which they happened."""
    return named(rows, *as_list(names))


def counted(
    rows: list[Row],
    world: World,
    names: Names,
    *,
    days: int | None = None,
    calendar_days: int | None = None,
    where: Callable[[Row], bool] | None = None,
    late_hours: int | None = None,
) -> list[Row]:
    """Return the events that count, in the order in which they happened."""
    found = of_name(rows, names)
    if days is not None:
        since = world.as_of - days * DAY
        found = [row for row in found if since < row["occurred_at"] <= world.as_of]
    if calendar_days is not None:
        today = world.day(world.as_of)
        wanted = {today - ago * DAY for ago in range(calendar_days)}
        found = [
            row
            for row in found
            if row["occurred_at"] <= world.as_of and world.day(row["occurred_at"]) in wanted
        ]
    if where is not None:
        found = [row for row in found if where(row)]
    if late_hours is not None:
        late = late_hours * HOUR
        found = [row for row in found if row["received_at"] - row["occurred_at"] <= late]
    return found


def texts(rows: Iterable[Row], key: str) -> list[str]:
    """Return the texts of a property, of the events that have one."""
    found = (text_of(row["properties"].get(key)) for row in rows)
    return [text for text in found if text is not None]


def amounts(rows: Iterable[Row], key: str) -> list[Decimal]:
    """Return the numbers in a property, of the events that have one."""
    found = (amount(row["properties"].get(key)) for row in rows)
    return [number for number in found if number is not None]


def mean(numbers: list[Decimal]) -> float | None:
    return float(sum(numbers, Decimal(0))) / len(numbers) if numbers else None


def share(numerator: float | Decimal | None, denominator: float | Decimal | None) -> float | None:
    if numerator is None or not denominator:
        return None
    return float(numerator) / float(denominator)


def most_frequent(rows: list[Row], key: str, tie: str = "alphabet") -> str | None:
    """Return the text there is most often; `rows` in their order."""
    found = texts(rows, key)
    uses = Counter(found)
    most = [text for text in uses if uses[text] == max(uses.values())]
    if tie == "recent":
        return next((text for text in reversed(found) if text in most), None)
    return min(most, default=None)


def by_use(
    rows: list[Row], key: str, order: str = "first", cap: int | None = None
) -> list[str] | None:
    """Return the different texts by their first use, or by their last use, the last one first."""
    found = texts(rows, key)
    ordered = list(dict.fromkeys(found if order == "first" else reversed(found)))
    return ordered[:cap] or None


def sequence(
    rows: list[Row], first: Names, then: Names, hours: int, without: Names | None = None
) -> datetime | None:
    """Return the latest time at which a `first` was followed by its next `then`, as it should."""
    completed = []
    for began in of_name(rows, first):
        start = began["occurred_at"]
        later = [r["occurred_at"] for r in of_name(rows, then) if r["occurred_at"] > start]
        if not later or min(later) - start > hours * HOUR:
            continue
        end = min(later)
        if not any(start < row["occurred_at"] < end for row in of_name(rows, without)):
            completed.append(end)
    return max(completed, default=None)


def latest(rows: Iterable[Row]) -> datetime | None:
    return max((row["occurred_at"] for row in rows), default=None)


def abandoned(
    rows: list[Row], first: Names, then: Names, hours: int, world: World
) -> datetime | None:
    """Return when the latest `first` was given up: so many hours on, with no `then` since."""
    began = latest(of_name(rows, first))
    if began is None or began + hours * HOUR > world.as_of:
        return None
    ended = any(row["occurred_at"] >= began for row in of_name(rows, then))
    return None if ended else began + hours * HOUR


def in_a_row(
    rows: list[Row],
    names: Names,
    satisfies: Callable[[Row], bool],
    *,
    reset_at: datetime | None = None,
    reset_event: Names | None = None,
) -> int | None:
    """Count the latest events in a row that satisfy something; None without any after a reset."""
    resets = [time for time in (reset_at, latest(of_name(rows, reset_event))) if time is not None]
    left = [row for row in of_name(rows, names) if all(row["occurred_at"] > t for t in resets)]
    if not left:
        return None
    length = 0
    for row in sorted(left, key=moment, reverse=True):
        if not satisfies(row):
            break
        length += 1
    return length
