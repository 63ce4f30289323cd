"""Random events of many users around one instant, on every edge that the trait macros speak of."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from tests.oracle_macros import World

Row = dict[str, Any]
MICROSECOND, SECOND = timedelta(microseconds=1), timedelta(seconds=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

ORDER, QUOTED, BEGUN, RESET, OTHER = "Order Completed", 'It\'s "new"', "Begun", "Reset", "Other"
NAMES = (*[ORDER] * 5, *[QUOTED] * 3, BEGUN, BEGUN, RESET, OTHER, "order completed", f" {ORDER}")
# a property of an odd name; absent, null, empty and values that are no text are among its values
ITEM, AMOUNT = 'it.em "ä"', "amount"
ITEMS = ("b", "a", "B", "éclair", "zz", "", None, 5, 1.5, True, {"k": [1, "x"]}, "a", "b")
AMOUNTS = (
    *(1, 2, 2, 2.5, 0.1, 0.2, 119.999999, 120, "20.5", " 7 ", "free", "", None, True, [1], -5, 0),
    *(
        "1e3",
        "nan",
        "inf",
        "0.0000005",
        "1_000",
        "_1",
        999_999_999_999.25,
        "999999999999.9999995",
        10**30,
    ),
)
ZONES = (
    *("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "UTC"),
    *("Mars/Olympus", "", None),
)
HOURS, MINUTES = (24, 48), 30


@dataclass
class Log:
    """The events by user, with what else is known of users; the events of nobody are apart."""

    users: dict[str, list[Row]] = field(default_factory=dict)
    zones: dict[str, str | None] = field(default_factory=dict)
    resets: dict[str, list[datetime | None]] = field(default_factory=dict)
    nobodys: list[Row] = field(default_factory=list)

    def frame(self) -> pd.DataFrame:
        """Return all events in an order that says nothing."""
        rows = [row for events in self.users.values() for row in events] + self.nobodys
        rows = sorted(rows, key=lambda row: backwards(row["row_id"]))
        frame = pd.DataFrame([{**r, "properties": json.dumps(r["properties"])} for r in rows])
        for column in ("occurred_at", "received_at"):
            frame[column] = frame[column].astype("datetime64[us]")
        return frame


def backwards(text: str) -> str:
    return text[::-1]


class Writer:
    """Writes the log of one world."""

    def __init__(self, seed: int, world: World) -> None:
        self.dice = random.Random(seed)
        self.world = world
        self.bounds = self.midnights() + [world.as_of - n * DAY for n in (0, 0, 1, 2, 3, 7, 30)]
        self.rows = 0

    def midnights(self) -> list[datetime]:
        """Return where local days begin (UTC), from ten days ago to tomorrow."""
        today = self.world.day(self.world.as_of)
        return [local_midnight(today - n * DAY, self.world.zone) for n in range(-1, 10)]

    def time(self, before: list[datetime]) -> datetime:
        """Return a time on a bound or beside it, a telling distance from an earlier time, or any."""
        beside = self.dice.choice([0, 0, 1, -1]) * MICROSECOND
        kind = self.dice.random()
        if before and kind < 0.2:
            return self.dice.choice(before)
        if before and kind < 0.45:
            apart = self.dice.choice([MINUTES * 60 * SECOND, *(n * HOUR for n in HOURS), DAY])
            return self.dice.choice(before) + self.dice.choice([1, 1, -1]) * apart + beside
        if kind < 0.75:
            return self.dice.choice(self.bounds) + beside
        return self.world.as_of - self.dice.uniform(-2, 10) * DAY

    def event(self, user: str | None, before: list[datetime], names: tuple[str, ...]) -> Row:
        self.rows += 1
        happened = self.time(before)
        before.append(happened)
        late = self.dice.choice([0, 0, 0, 1, 5, 20 * 24, 24, 24, 48]) * HOUR
        beside = self.dice.choice([0, 0, 1, -1]) * MICROSECOND
        given = {
            ITEM: self.dice.choice(ITEMS),
            AMOUNT: self.dice.choice(AMOUNTS),
            "it": "another",
            "ok": self.dice.choice([True, True, True, False, None]),
        }
        return {
            "row_id": f"{self.dice.randrange(10)}-{self.rows}",
            "user_id": user,
            "event": self.dice.choice(names),
            "properties": {k: v for k, v in given.items() if self.dice.random() < 0.9},
            "occurred_at": happened,
            "received_at": happened + late + beside,
        }

    def user(self, log: Log, number: int) -> None:
        user = f"u{number:05}"
        names = (OTHER, RESET) if self.dice.random() < 0.05 else NAMES
        if self.dice.random() < 0.2:
            names = (*names, *[ORDER] * 30)
        before: list[datetime] = []
        most = self.dice.choice([2, 6, 16, 40])
        events = [self.event(user, before, names) for _ in range(self.dice.randrange(1, most))]
        log.users[user] = events
        if self.dice.random() < 0.8:
            log.zones[user] = self.dice.choice(ZONES)
        if self.dice.random() < 0.5:
            times = [*before, None, self.time(before)]
            log.resets[user] = [self.dice.choice(times) for _ in range(self.dice.randrange(1, 3))]

    def log(self, users: int) -> Log:
        log = Log()
        for number in range(users):
            self.user(log, number)
        log.nobodys = [self.event(None, [], NAMES) for _ in range(users // 4)]
        return log


def local_midnight(day: date, zone: str) -> datetime:
    """Return the instant (UTC) at which a day begins on the clocks of a zone."""
    begins = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return begins.astimezone(UTC).replace(tzinfo=None)
