"""Random raw logs that sit on every edge the definitions have."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

Row = dict[str, Any]
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
WHO = ("id", "message_id", "user_id", "anonymous_id")
TRACKS = (*WHO, "event", "properties", "timestamp", "received_at")
IDENTIFIES = (
    *(*WHO, "email", "phone", "country", "region", "time_zone", "plan"),
    *("signup_at", "timestamp", "received_at"),
)
ALIASES = ("id", "message_id", "user_id", "previous_id", "timestamp", "received_at")
EVENTS = (
    *(["Session Started"] * 8 + ["Feature Used"] * 5 + ["Onboarding Step Completed"] * 3),
    *("Onboarding Completed", "Order Completed", "Order Completed", "Feature Viewed"),
    *("Session Ended", " Session Started", None, "", "session started"),
    *["Session Ended"] * 3,
    *("Product Added", "Report Generated", "Dashboard Viewed", "Data Exported"),
    *["Nudge Responded"] * 2,
)
FEATURES = ("export", "Export", "search", "éclair", "a", "", None, 5, 1.5, True, {"k": [1, "x"]})
CATEGORIES = ("b", "a", "a b", "B", None, "")
STEPS = ("s1", "s2", "s3", "s4", "s5", "s6", 1, None)
TOTALS = (
    *(10, 19.99, 0.1, 0.2, "20.5", " 7 ", "free", "", None, True, [1], -5, "1e3", "nan", "inf"),
    *("0.0000005", 12345678901.25, "999999999999.9999995", 10**30, "1,000"),
)
DURATIONS = (0, 30, 60, 119.999999, "90", 5, 119, 120, 120.5, 600, None, "long")
RESPONSES = ("clicked", "dismissed", "Clicked", None)
NO_IDS = ("NULL", " undefined ", "0", "[object Object]", "00000000-0000-0000-0000-000000000000")
ZONES = ("Europe/Amsterdam", "America/New_York", "Asia/Kolkata", "Mars/Olympus", None)
NOT_OBJECTS = (None, "null", "[]", '"x"', "5", "{}", '[{"total": 5}]')


class Population:
    """A few users with their devices; ids carry the number, so that populations never meet."""

    def __init__(self, number: int, as_ofs: list[datetime]) -> None:
        self.name = f"rnd{number}"
        self.dice = random.Random(number)
        self.noise = random.Random(-1 - number)
        self.as_ofs = as_ofs
        self.users = [f"{self.name}-u{n}" for n in range(4)]
        self.devices = [f"{self.name}-a{n}" for n in range(5)]
        self.rows = 0
        self.ties = [self.moment(), self.moment()]

    def moment(self) -> datetime:
        """Return a time on, just before or just after a bound, or anywhere."""
        as_of = self.dice.choice(self.as_ofs)
        back = self.dice.choice([0, 0, 7, 14, 30, 30, 90, self.dice.uniform(-3, 120)]) * DAY
        jitter = self.dice.choice([0, 0, 0, -1, 1, -1e-6, 1e-6, self.dice.uniform(-9e4, 9e4)])
        return as_of - back + jitter * SECOND

    def call(self) -> Row:
        """Return what all calls have."""
        self.rows += 1
        happened = self.moment()
        late = self.dice.choice([0, 0, 1, 5, 86_400, 20 * 86_400, -3]) * SECOND
        row_id = f"{self.name}-{self.dice.randrange(10)}-{self.rows}"
        message_id = f"{self.name}-m{self.rows}"
        call = {
            "id": self.dice.choices([row_id, None], [60, 1])[0],
            "message_id": self.dice.choices([message_id, None, ""], [30, 3, 1])[0],
            "user_id": self.dice.choice([*self.users, None, None, ""]),
            "anonymous_id": self.dice.choice([*self.devices, None]),
            "timestamp": self.dice.choices([happened, None], [40, 1])[0],
            "received_at": self.dice.choices([happened + late, None], [40, 1])[0],
        }
        if self.noise.random() < 0.1:
            call[self.noise.choice(WHO[2:])] = self.noise.choice(NO_IDS)
        return call

    def spelling(self, address: str) -> str:
        """Return an address as somebody else might write it, or none."""
        spellings = (f" {address.upper()} ", f"Ü <{address}>", f"\u200bmailto:{address}\u00a0")
        return self.noise.choice([*spellings, "NULL"])

    def track(self) -> Row:
        """Return a track call."""
        given = {
            "feature_name": self.dice.choice(FEATURES),
            "feature_category": self.dice.choice(CATEGORIES),
            "step_id": self.dice.choice(STEPS),
            "total": self.dice.choice(TOTALS),
            "duration_seconds": self.dice.choice(DURATIONS),
            "response": self.dice.choice(RESPONSES),
        }
        kept = {key: value for key, value in given.items() if self.dice.random() < 0.9}
        text = self.dice.choices([json.dumps(kept), self.dice.choice(NOT_OBJECTS)], [15, 1])[0]
        return {**self.call(), "event": self.dice.choice(EVENTS), "properties": text}

    def identify(self) -> Row:
        """Return an identify call; equal times are common."""
        address = self.dice.choice([*self.users, "shared"]) + "@Example.com"
        tie = self.dice.choice([*self.ties, None])
        at_once = {"timestamp": tie, "received_at": tie}
        late = {"timestamp": tie}
        return {
            **self.call(),
            **(self.dice.choice([at_once, late]) if tie else {}),
            "email": self.dice.choice([address, self.spelling(address), None, ""]),
            "phone": self.dice.choice(["+31 6", None]),
            "country": self.dice.choice(["NL", "DE", None, " "]),
            "region": self.dice.choice(["x", None]),
            "time_zone": self.dice.choice(ZONES),
            "plan": self.dice.choice(["free", "pro", None]),
            "signup_at": self.dice.choice([self.moment(), None, None]),
        }

    def alias(self) -> Row:
        """Return an alias call between any two ids."""
        call = self.call()
        del call["anonymous_id"]
        previous = self.dice.choice([*self.users, *self.devices, None])
        if self.noise.random() < 0.2:
            previous = self.noise.choice(NO_IDS)
        return {**call, "previous_id": previous}

    def copy(self, row: Row, other: Row) -> Row:
        """Return another copy of a message, with some of another message's content."""
        taken = {key: other[key] for key in row if key not in WHO[:2] and self.dice.random() < 0.3}
        at_once = {"received_at": row["received_at"]} if self.dice.random() < 0.5 else {}
        return {**row, **taken, **at_once, "id": f"{self.name}-c{self.dice.randrange(10**9)}"}

    def calls(self, make: Any, most: int) -> list[Row]:
        """Return calls and copies of some of them, in no order."""
        rows = [make() for _ in range(self.dice.randrange(most))]
        rows += [self.copy(row, self.dice.choice(rows)) for row in rows if self.dice.random() < 0.1]
        self.dice.shuffle(rows)
        return rows


def random_aliases(as_ofs: list[datetime], populations: int) -> pd.DataFrame:
    """Return alias calls between the ids of every other population of `random_logs`."""
    rows: list[Row] = []
    for number in range(0, populations, 2):
        population = Population(number, as_ofs)
        rows += population.calls(population.alias, 5)
    return as_frame(rows, ALIASES)


def random_logs(as_ofs: list[datetime], populations: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (tracks, identifies) of many small populations around these instants (naive UTC)."""
    tracks: list[Row] = []
    identifies: list[Row] = []
    for number in range(populations):
        population = Population(number, as_ofs)
        tracks += population.calls(population.track, 160)
        identifies += population.calls(population.identify, 14)
    return as_frame(tracks, TRACKS), as_frame(identifies, IDENTIFIES)


def as_frame(rows: list[Row], columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a frame with times in microseconds."""
    frame = pd.DataFrame(rows, columns=list(columns))
    for column in {"timestamp", "received_at", "signup_at"} & set(columns):
        frame[column] = pd.to_datetime(frame[column]).astype("datetime64[us]")
    return frame
