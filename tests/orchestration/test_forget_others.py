"""What forgetting somebody leaves of others, and that it finds an id however it is spelt."""

from __future__ import annotations

from orchestration.forgetting import forget
from tests.support.world import T0, World

BOTH = {"email": "both@example.com"}


def test_events_of_others_at_a_shared_address_are_not_sent_again(world: World) -> None:
    world.sync("events", sends="events", events=("Seen",))
    world.users({"zoe": BOTH, "bob": BOTH}, T0)
    world.events([("of zoe", "zoe", "Seen", T0), ("of bob", "bob", "Seen", T0)], T0)
    assert world.run("events").delivered == 2
    forget(world.engine(), "zoe", by_email=False)
    now = world.step(1).replace(microsecond=0)
    world.users({"bob": {"email": "bob@example.com"}}, now)
    world.events([("later", "bob", "Seen", now)], now)
    assert world.run("events").delivered == 1
    assert world.event_names("bob@example.com") == ["Seen"]
    assert world.rows("select event_id from tailrace.sent_events order by 1") == [
        ("later",),
        ("of bob",),
    ]


def test_an_id_is_found_with_the_blanks_that_came_with_it(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.users({"zoe": {}}, T0)
    assert world.run("traits").delivered == 1
    done = forget(world.engine(), " zoe ", by_email=False)
    assert done.rows["acked"] == 1
    assert world.rows("select count(*) from tailrace.plan_ops where user_id = 'zoe'") == [(0,)]
