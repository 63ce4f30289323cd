"""What goes wrong in warehouses: each ends held or refused, says why, and makes no call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration.memberships import Evaluation
from tests.orchestration.catastrophes.shop import Shop, furnish, open_shop
from tests.support.tiers import first
from tests.support.world import make_world, world_again

MEMBERS = "select user_id, 1.0 as level from analytics.user_traits where number % 5 = 0"
FRESH = "last_seen_at > {at} - interval '7 days'"
NOBODY = "select null::varchar as user_id, 1.0 as level where false"


def usual(column: str = "user_id", where: str = "number % 5 = 0") -> str:
    """The audience's SQL with one thing changed."""
    return (
        f"select {column} as user_id, 1.0 as level from analytics.user_traits "
        f"where {where} and {FRESH}"
    )


def events(where: str = "true", since: str = "since") -> str:
    """The events' SQL with one thing changed; `since` is the time from the story's midnight."""
    return f"""
        select event_id, event_id as row_id, user_id, 'Visited' as event,
            null::varchar as anonymous_id, '{{{{"n":1}}}}'::json as properties,
            {{midnight}} + {since} as occurred_at, {{midnight}} + {since} as received_at
        from shop.events where {{midnight}} + since <= {{at}} and {where}
    """


def traits(users: str) -> str:
    """The traits' SQL over other users."""
    return f"""
        select u.user_id, u.user_id || '@example.com' as email, 1.0 as score,
            null::varchar as label, u.number, max(e.occurred_at) as last_seen_at
        from ({users}) as u
        left join analytics.events as e on u.user_id = e.user_id and e.occurred_at <= {{at}}
        group by u.user_id, u.number
    """


# What happens on the third day (a Wednesday, at noon), the status, and words of the reason.
SUDDEN: dict[str, tuple[dict[str, str], str, list[str]]] = {
    "source_emptied": ({"events": events("false")}, "held", ["became empty", "would leave"]),
    "audience_emptied": ({"audience": NOBODY}, "held", ["became empty"]),
    "yesterday_half_loaded": (
        {"events": events("(since < interval '48 hours' or hash(event_id) % 10 < 4)")},
        "held", ["Tuesday 2", "median of 8 earlier Tuesdays", "loaded in part"],
    ),
    "yesterdays_partition_missing": (
        {"events": events("not since between interval '48 hours' and interval '72 hours'")},
        "held", ["only 0 events", "Tuesday 2"],
    ),
    "tracking_stopped_since_yesterday": (
        {"events": events("since < interval '58 hours'")}, "held", ["Tuesday 2", "events"],
    ),
    "time_zone_of_new_events_wrong_by_ten_hours": (
        {"events": events(since="since + case when since > interval '59 hours' "
                                "then interval '10 hours' else interval '0 hours' end")},
        "held", ["Tuesday 2", "events"],
    ),
    "where_clause_dropped": (
        {"audience": "select user_id, 1.0 as level from analytics.user_traits"},
        "held", ["users would enter", "members; the limit is 500"],
    ),
    "filter_inverted": (
        {"audience": f"select user_id, 1.0 as level from analytics.user_traits where not ({FRESH})"},
        "held", ["would leave (9", "max_exits 20%"],
    ),
    "window_in_hours_instead_of_days": (
        {"audience": f"{MEMBERS} and last_seen_at > {{at}} - interval '7 hours'"},
        "held", ["would leave (8", "max_exits 20%"],
    ),
    "window_of_four_days_instead_of_seven": (
        {"audience": f"{MEMBERS} and last_seen_at > {{at}} - interval '4 days'"},
        "held", ["would leave (", "max_exits 20%"],
    ),
    "join_fan_out": (
        {"audience": f"{usual()} union all {usual()}"}, "failed", ["rows repeat a user_id"],
    ),
    "users_loaded_twice": (
        {"audience": usual() + " union all " + usual(where="number % 50 = 0")},
        "failed", ["repeat a user_id"],
    ),
    "ids_null": ({"audience": usual("nullif(user_id, 'u0')")}, "failed", ["1 of", "no user_id"]),
    "ids_blank": ({"audience": usual("'  '")}, "failed", ["no user_id"]),
    "key_renamed": (
        {"audience": f"select user_id as id from ({usual()})"}, "failed", ["needs a column user_id"],
    ),
    "ids_recased": ({"audience": usual("upper(user_id)")}, "held", ["would leave (100%)"]),
    "ids_with_white_space": ({"audience": usual("user_id || ' '")}, "held", ["leave (100%)"]),
    "ids_with_a_prefix": ({"audience": usual("'user:' || user_id")}, "held", ["leave (100%)"]),
    "ids_as_decimals": ({"audience": usual("user_id || '.0'")}, "held", ["leave (100%)"]),
    "all_ids_replaced": ({"audience": usual("md5(user_id)")}, "held", ["leave (100%)"]),
    "audience_swapped": ({"audience": usual(where="number % 5 = 1")}, "held", ["leave (100%)"]),
    "base_truncated_to_a_tenth": (
        {"user_traits": traits("select * from shop.users where number < 150")},
        "held", ["would leave (9", "user_traits has 150 users, 90% fewer than the 1,500"],
    ),
    "a_quarter_of_the_base_lost": (
        {"user_traits": traits("select * from shop.users where number % 4 > 0 or number % 5 = 0")},
        "held", ["1,200 users, 20% fewer", "max_base_drop"],
    ),
    "another_environments_users": (
        {"user_traits": traits("select 'test' || n as user_id, n as number from range(300) t(n)")},
        "held", ["became empty", "user_traits has 300 users"],
    ),
    "bots_sign_up": (
        {"audience": usual() + " union all select 'bot' || n, 1.0 from range(3000) t(n)"},
        "held", ["3,0", "users would enter", "min_enters"],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop after two ordinary days; every story goes on in a copy of it."""
    with make_world(tmp_path_factory.mktemp("shop")) as made:
        furnish(made)
        return open_shop(made, "story")


@pytest.fixture
def shop(opened: Shop, tmp_path: Path) -> Iterator[Shop]:
    with world_again(opened.world, tmp_path) as world:
        yield replace(opened, world=world)


def check(shop: Shop, evaluation: Evaluation, status: str, words: list[str]) -> None:
    """It ended as it should, says so in these words, and no call was made."""
    said = "; ".join(evaluation.reasons)
    assert evaluation.status == status, said
    assert all(word in said for word in words), said
    assert shop.send() == 0
    held = shop.world.rows(
        "select count(*) from tailrace.evaluations where audience = ? and status = 'held'",
        [shop.key],
    )
    assert held == [(1 if status == "held" else 0,)]


@pytest.mark.parametrize("name", first(12, SUDDEN))
def test_a_sudden_catastrophe(shop: Shop, name: str) -> None:
    relations, status, words = SUDDEN[name]
    before = shop.state()
    check(shop, shop.point(**relations), status, words)
    assert shop.state() == before, "nothing is committed"


def test_a_model_that_failed_to_build(shop: Shop) -> None:
    before = shop.state()
    shop.build(24, audience=NOBODY)
    shop.world.rows(
        "update tailrace.builds set relations = "
        "replace(relations::varchar, 'success', 'error')::json "
        "where json_extract_string(relations, '$[0].name') = ? returning 1",
        [shop.key],
    )
    check(shop, shop.world.evaluate(shop.key), "failed", ["was not built", "Unknown is not empty"])
    assert shop.state() == before


def test_models_of_two_instants(shop: Shop) -> None:
    before = shop.state()
    shop.build(24)
    shop.world.relation("user_traits", "select * from analytics.user_traits", shop.start)
    check(shop, shop.world.evaluate(shop.key), "failed", ["built at different instants"])
    assert shop.state() == before


def points(shop: Shop, count: int, hours: float, **relations: Any) -> tuple[int, Evaluation]:
    """Evaluate until something is held; returns after how many committed points."""
    for n in range(count):
        sql = {name: make(n) for name, make in relations.items()}
        before = shop.state()
        evaluation = shop.point(hours, **sql)
        if evaluation.status != "committed":
            assert shop.state() == before
            return n, evaluation
        shop.send()
    raise AssertionError(f"{count} points were committed: {evaluation.members} members left")


def test_a_slow_bleed_over_ten_hourly_runs(shop: Shop) -> None:
    at, held = points(
        shop, 10, 1, audience=lambda n: usual() + f" and hash(user_id) % 100 >= {6 * (n + 1)}"
    )
    assert 1 <= at <= 4, "each hour is an ordinary one, the sum is not"
    check(shop, held, "held", ["hours before, together", "max_exits 20%"])


def test_a_slow_bleed_over_ten_daily_runs(shop: Shop) -> None:
    at, held = points(
        shop, 10, 24, audience=lambda n: f"{MEMBERS} and hash(user_id) % 100 < {100 * 0.88**n}"
    )
    assert 4 <= at <= 8
    check(shop, held, "held", ["days ago and would have", "max_week_drop"])


def test_a_slow_flood_over_ten_hourly_runs(shop: Shop) -> None:
    flood = " union all select 'bot' || n, 1.0 from range({}) t(n)"
    at, held = points(shop, 10, 1, audience=lambda n: usual() + flood.format(200 * (n + 1)))
    assert at == 2
    check(shop, held, "held", ["users would enter", "together 6", "the limit is 500"])


def test_the_same_users_back_and_forth(shop: Shop) -> None:
    at, held = points(
        shop, 10, 1, audience=lambda n: usual() + f" and ({n} % 2 = 1 or hash(user_id) % 8 > 0)"
    )
    assert at <= 4
    check(shop, held, "held", ["hours before, together"])


def test_weekly_runs_with_a_collapse(shop: Shop) -> None:
    for _ in range(3):
        assert shop.point(24 * 7).status == "committed"
    held = shop.point(24 * 7, audience=usual() + " and hash(user_id) % 100 < 15")
    check(shop, held, "held", ["would leave (", "79% over 7.0 days"])


def test_waiting_makes_no_catastrophe_ordinary(shop: Shop) -> None:
    before = shop.state()
    for _ in range(9):
        held = shop.point(24, audience=usual() + " and hash(user_id) % 3 > 0")
        check(shop, held, "held", ["would leave"])
    assert shop.state() == before
    assert shop.point(24).status in ("committed", "held"), "repaired: as the days make it"
