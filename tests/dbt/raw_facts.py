"""What some people did, told once; `tests/dbt/raw_forms.py` writes it down as each collector would."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Row = dict[str, Any]
PROPERTIES: dict[str, dict[str, tuple[Any, ...]]] = {
    "Order Completed": {
        "total": (10.5, 0.0, -3.25, 12345678901.25, None),
        "from": ("web", "", "it's", 'quo"te', "\\", "{}", "ä", None),
        "coupon_code": ("SPRING", "", None),
        "items": (3, 0, None),
        "gift": (True, False, None),
    },
    "Session Started": {"platform": ("web", "ios", "", None), "duration_seconds": (30, 119, None)},
    "Feature Used": {"feature_name": ("export", "Export", "", None), "end": ("a", None)},
    "Onboarding Completed": {},
    "it's done": {"1_st": ("x", None), "tags": ('["a", "b"]', None)},
    "Button Pressed": {
        "se_category": ("nav", None),
        "se_label": ("", "menu", None),
        "se_value": (1.5, None),
    },
}
"""The events, and per property the values it may have; Button Pressed is a structured event of Snowplow."""

TABLES = {
    "Order Completed": "order_completed",
    "Session Started": "session_started",
    "Feature Used": "feature_used",
    "Onboarding Completed": "onboarding_completed",
    "it's done": "it_s_done",
    "Button Pressed": "button_pressed",
}


@dataclass(frozen=True)
class Facts:
    """Calls as dictionaries; a property or trait that was not said is None."""

    tracks: list[Row]
    identifies: list[Row]
    pages: list[Row]
    aliases: list[Row]


def random_facts(as_of: datetime, *, seed: int, calls: int) -> Facts:
    """Return calls before and after an instant (naive UTC), and copies of some.

    There are so many of each kind, but few aliases: users are to stay apart.
    """
    dice = random.Random(seed)

    def call(number: int) -> Row:
        happened = as_of - timedelta(days=dice.uniform(-2, 100))
        late = dice.choice([0, 1, 5, 86_400, 20 * 86_400]) * timedelta(seconds=1)
        return {
            "id": f"m{number}",
            "user_id": dice.choice([*(f"u{n}" for n in range(12)), " u1 ", "", None, None]),
            "anonymous_id": dice.choice([*(f"a{n}" for n in range(15)), "", None]),
            "timestamp": dice.choices([happened, None], [30, 1])[0],
            "received_at": dice.choices([happened + late, None], [30, 1])[0],
        }

    def track(number: int) -> Row:
        event = dice.choice(list(PROPERTIES))
        said = {name: dice.choice(values) for name, values in PROPERTIES[event].items()}
        fixed = {"se_action": event} if event == "Button Pressed" else {}
        return {**call(number), "event": event, "properties": {**said, **fixed}}

    def identify(number: int) -> Row:
        user = dice.randrange(12)
        return {
            **call(number),
            "user_id": dice.choice([f"u{user}", f" u{user} ", None]),
            "email": dice.choice([f"U{user}@Example.com", f" u{user}@example.com", "", None]),
            "phone": dice.choice(["+31 6", "", None]),
            "country": dice.choice(["NL", " DE ", "", None]),
            "region": dice.choice(["Utrecht", " ", None]),
            "time_zone": dice.choice(["Europe/Amsterdam", "", None]),
            "plan": dice.choice(["free", "pro", "", None]),
            "signup_at": dice.choice([as_of - timedelta(days=dice.randrange(90), seconds=7), None]),
        }

    def page(number: int) -> Row:
        path = dice.choice(["/", "/pricing", "", None])
        return {
            **call(number),
            "name": dice.choice(["Home", " ", None]),
            "path": path,
            "url": f"https://example.com{path}",
            "title": dice.choice(["Pricing - us", "", None]),
            "referrer": dice.choice(["https://example.org/?q=a'b", None]),
            "properties": {
                "page_urlquery": dice.choice(["q=1", "", None]),
                "mkt_source": dice.choice(["ad", None]),
            },
        }

    def alias(number: int) -> Row:
        ids = [*(f"u{n}" for n in range(12)), *(f"a{n}" for n in range(15))]
        said = call(number)
        del said["anonymous_id"]
        return {**said, "previous_id": dice.choice([*ids, f" {ids[0]} ", "", "null", None])}

    def told(make: Callable[[int], Row], first: int, calls: int = calls) -> list[Row]:
        rows = [make(first + number) for number in range(calls)]
        again = [
            {**row, "received_at": as_of - timedelta(days=1)} for row in rows if dice.random() < 0.1
        ]
        dice.shuffle(mixed := rows + again)
        return mixed

    aliases = told(alias, 30_000, min(calls, 9))
    return Facts(told(track, 0), told(identify, 10_000), told(page, 20_000), aliases)
