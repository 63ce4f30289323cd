"""A shop with 1,500 users and months of events, in a world whose relations are built by SQL."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb

from destinations.errors import TailraceError
from orchestration.memberships import Evaluation
from orchestration.sql.names import instant
from tests.support.world import T0, World

USERS = 1500

# One in five of (user, day) is a visit of one to three events between 8 and 22 o'clock.
_EVENTS = f"""
create table shop.events as
select
    hash(n, d, i)::varchar as event_id,
    'u' || n as user_id,
    to_days(d::int) + to_minutes((480 + hash(i, n, d) % 840)::int) as since
from range({USERS}) as users (n), range(-70, 120) as days (d), range(3) as again (i)
where hash(n, d) % 100 < [35, 30, 20, 10, 5][(1 + hash(n) % 5)::int] and hash(d, n) % 3 >= i
"""

BUILT = {
    "events": """
        select event_id, event_id as row_id, user_id, 'Visited' as event,
            null::varchar as anonymous_id, '{{"n":1}}'::json as properties,
            {midnight} + since as occurred_at, {midnight} + since as received_at
        from shop.events where {midnight} + since <= {at}
    """,
    "user_traits": """
        select u.user_id, u.user_id || '@example.com' as email, 1.0 as score,
            null::varchar as label, u.number, max(e.occurred_at) as last_seen_at
        from shop.users as u
        left join analytics.events as e on u.user_id = e.user_id and e.occurred_at <= {at}
        group by all
    """,
    # about 190 users, of whom some 20 come and 20 go from day to day
    "audience": """
        select user_id, 1.0 as level from analytics.user_traits
        where number % 5 = 0 and last_seen_at > {at} - interval '7 days'
    """,
}


@dataclass(slots=True)
class Shop:
    """One story in a world."""

    world: World
    key: str
    start: datetime
    at: datetime

    def build(self, hours: float, **other: str) -> None:
        """Build every relation so many hours later, some of them by other SQL."""
        self.at += timedelta(hours=hours)
        self.world.clock.instant = self.at
        midnight = instant(self.start.replace(hour=0))
        for name, usual in BUILT.items():
            sql = other.get(name, usual).format(at=instant(self.at), midnight=midnight)
            self.world.relation(self.key if name == "audience" else name, sql, self.at)

    def point(self, hours: float = 24, **other: str) -> Evaluation:
        """Build and evaluate."""
        self.build(hours, **other)
        return self.world.evaluate(self.key)

    def send(self) -> int:
        """Run the sync as far as it goes; returns the calls that the endpoint saw."""
        before = len(self.world.calls())
        with suppress(TailraceError, duckdb.Error):
            self.world.run(f"{self.key}_told")
        return len(self.world.calls()) - before

    def state(self) -> list[tuple[Any, ...]]:
        """Return what is committed: the stays and the points."""
        return self.world.rows(
            "select 'stay', user_id, entered_at, exited_at from tailrace.membership_intervals "
            "where audience = $key union all "
            "select 'point', evaluation_id, as_of, null from tailrace.evaluations "
            "where audience = $key and status = 'committed' order by all",
            {"key": self.key},
        )


def furnish(world: World) -> None:
    """Put the users and the events into a world."""
    with world.connect() as warehouse:
        warehouse.execute("create schema shop")
        warehouse.execute(
            f"create table shop.users as select 'u' || n as user_id, n as number from range({USERS}) t(n)"
        )
        warehouse.execute(_EVENTS)


def open_shop(world: World, key: str) -> Shop:
    """Begin with two ordinary days, delivered."""
    shop = Shop(world, key, T0, T0)
    world.audience(key)
    world.sync(f"{key}_told", audience=key, sends="membership", **{"as": "track"})
    for _ in range(2):
        assert shop.point().status == "committed"
    assert shop.send() > 0
    return shop
