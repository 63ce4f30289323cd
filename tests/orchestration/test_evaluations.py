"""What an evaluation is judged by, in real weeks: windows, approvals, merges, controls, loads."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from destinations.errors import DataError
from orchestration.approvals import approve
from orchestration.memberships import Evaluation
from orchestration.suppression import suppress
from tests.support.world import T0, World

HUNDRED = [f"m{n:03}" for n in range(100)]
NOON = "timestamp '2026-03-01 12:00:00'"


@pytest.fixture
def lapsed(world: World) -> World:
    """An audience that nobody has evaluated yet."""
    world.audience("lapsed")
    world.users({"m": {}}, world.clock.now())
    return world


def point(world: World, members: list[str] | set[str], hours: float = 24) -> Evaluation:
    at = world.step(hours)
    world.relation("user_traits", "select * from analytics.user_traits", at)
    world.members("lapsed", set(members), at)
    return world.evaluate("lapsed")


def let_through(world: World, evaluation: Evaluation) -> None:
    with world.connect() as warehouse:
        approve(
            warehouse,
            str(evaluation.evaluation_id),
            expect_exits=evaluation.exited,
            by="ada",
            now=world.clock.now(),
        )


def rules(world: World, evaluation: Evaluation) -> str:
    ((found,),) = world.rows(
        "select cast(rules as varchar) from tailrace.evaluations where evaluation_id = ?",
        [evaluation.evaluation_id],
    )
    return str(found)


def inside(world: World) -> set[str]:
    found = world.rows("select user_id from tailrace.membership_intervals where exited_at is null")
    return {row[0] for row in found}


def test_a_held_evaluation_keeps_its_reasons_and_rules(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    held = point(lapsed, HUNDRED[:79])
    assert held.status == "held"
    assert rules(lapsed, held) == '["exits"]'
    ((said,),) = lapsed.rows(
        "select json_extract_string(reasons, '$[0]') from tailrace.evaluations "
        "where status = 'held'"
    )
    assert said == held.reasons[0]
    assert inside(lapsed) == set(HUNDRED)


def test_the_first_evaluation_is_not_guarded_and_counts_for_nothing(lapsed: World) -> None:
    assert point(lapsed, [f"m{n}" for n in range(2_000)]).status == "committed"
    more = [f"m{n}" for n in range(2_600)]
    assert point(lapsed, more, hours=1).status == "committed"


def test_nothing_that_changes_nothing_is_held(lapsed: World) -> None:
    lapsed.users({f"u{n}": {} for n in range(100)}, lapsed.clock.now())
    point(lapsed, HUNDRED)
    lapsed.users({"u1": {}}, lapsed.clock.now())
    assert point(lapsed, HUNDRED).status == "committed"
    held = point(lapsed, HUNDRED[1:])
    assert (held.status, rules(lapsed, held)) == ("held", '["base"]')


def test_the_loss_of_users_is_measured_from_the_best_of_seven_days(lapsed: World) -> None:
    sizes = [100, 93, 86, 81]
    for size in sizes:
        lapsed.users({f"u{n}": {} for n in range(size)}, lapsed.clock.now())
        assert point(lapsed, HUNDRED[: size // 2 + 50]).status == "committed"
    lapsed.users({f"u{n}": {} for n in range(80)}, lapsed.clock.now())
    held = point(lapsed, HUNDRED[:89])
    assert "20% fewer than the 100" in held.reasons[0]
    let_through(lapsed, held)
    assert point(lapsed, HUNDRED[:88]).status == "committed", "said once"
    assert point(lapsed, HUNDRED[:86], hours=24 * 6).status == "committed"


def test_an_approval_is_of_exactly_the_stored_deltas(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    held = point(lapsed, HUNDRED[:50])
    lapsed.rows(
        "delete from tailrace.deltas where evaluation_id = ? and user_id = 'm077' returning 1",
        [held.evaluation_id],
    )
    with pytest.raises(DataError, match="not those that were held"):
        let_through(lapsed, held)
    assert inside(lapsed) == set(HUNDRED)
    assert lapsed.rows("select count(*) from tailrace.evaluations where status = 'held'") == [(1,)]


def test_an_approval_applies_them_and_says_who_and_when(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    held = point(lapsed, [*HUNDRED[:50], "new"])
    lapsed.members("lapsed", {"somebody else"}, lapsed.clock.now())
    let_through(lapsed, held)
    assert inside(lapsed) == {*HUNDRED[:50], "new"}
    assert lapsed.rows(
        "select status, approved_by, approved_at from tailrace.evaluations where evaluation_id = ?",
        [held.evaluation_id],
    ) == [("committed", "ada", lapsed.clock.now().replace(tzinfo=None))]


def test_what_is_newer_makes_an_approval_too_late(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    held = point(lapsed, HUNDRED[:50])
    assert point(lapsed, HUNDRED).status == "committed"
    lapsed.rows(
        "update tailrace.evaluations set status = 'held' where evaluation_id = ? returning 1",
        [held.evaluation_id],
    )
    with pytest.raises(DataError, match="out of date"):
        let_through(lapsed, held)


def test_what_was_approved_is_not_held_again(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    assert point(lapsed, HUNDRED[:95], hours=3).status == "committed"
    held = point(lapsed, HUNDRED[:40], hours=3)
    let_through(lapsed, held)
    assert point(lapsed, HUNDRED[:39], hours=3).status == "committed"
    assert point(lapsed, HUNDRED[:35], hours=24 * 3).status == "committed", "nor by the week"
    held = point(lapsed, HUNDRED[:24], hours=1)
    assert rules(lapsed, held) == '["exits"]'


def test_what_was_approved_is_in_no_sum(lapsed: World) -> None:
    many = [f"m{n:03}" for n in range(300)]
    point(lapsed, many)
    assert point(lapsed, many[12:], hours=3).status == "committed"
    let_through(lapsed, point(lapsed, many[162:], hours=3))
    assert point(lapsed, many[174:], hours=3).status == "committed", "12 and 12 of 150"
    assert point(lapsed, many[181:], hours=3).status == "held"


def test_the_day_is_of_committed_changes_alone(lapsed: World) -> None:
    for _ in range(2):
        point(lapsed, HUNDRED)
    assert point(lapsed, HUNDRED[:88], hours=6).status == "committed"
    held = point(lapsed, HUNDRED[:78], hours=19)
    assert rules(lapsed, held) == '["day_exits"]'
    assert "10 members of lapsed would leave after 12 in the 25 hours" in held.reasons[0]
    assert point(lapsed, HUNDRED[:84], hours=1).status == "committed", "12 and 4"
    assert point(lapsed, HUNDRED[:73], hours=6).status == "committed", "the 12 are a day old"


def test_time_that_passes_while_held_counts_for_no_window(lapsed: World) -> None:
    for _ in range(2):
        point(lapsed, HUNDRED)
    point(lapsed, HUNDRED[:88], hours=6)
    for hours in (19, 24, 24 * 9):
        held = point(lapsed, HUNDRED[:78], hours=hours)
        assert rules(lapsed, held) == '["day_exits"]', held
    assert inside(lapsed) == set(HUNDRED[:88])


def test_the_same_evaluation_again_stays_the_one_to_approve(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    held = point(lapsed, HUNDRED[:50])
    again = lapsed.evaluate("lapsed")
    assert again == held
    let_through(lapsed, again)
    assert lapsed.evaluate("lapsed").status == "committed"
    assert lapsed.rows("select count(*) from tailrace.deltas") == [(150,)]


def test_other_deltas_at_the_same_instant_are_another_evaluation(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    held = point(lapsed, HUNDRED[:50])
    lapsed.members("lapsed", set(HUNDRED[50:]), lapsed.clock.now())
    other = lapsed.evaluate("lapsed")
    assert other.status == "held"
    assert other.evaluation_id != held.evaluation_id


def test_limits_of_the_audience_count(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    held = point(lapsed, HUNDRED[:50])
    lapsed.audience("lapsed", max_exits="60%")
    assert lapsed.evaluate("lapsed").status == "committed"
    assert held.status == "held"
    assert inside(lapsed) == set(HUNDRED[:50])


# -- merges


def test_a_user_who_was_two_is_neither_gone_nor_new(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    lapsed.merges({user: f"n{user}" for user in HUNDRED[:40]})
    merged = point(lapsed, [*(f"n{user}" for user in HUNDRED[:40]), *HUNDRED[40:]])
    assert (merged.status, merged.entered, merged.exited) == ("committed", 40, 40)
    assert lapsed.rows(
        "select excused_entered, excused_exited from tailrace.evaluations where excused_exited > 0"
    ) == [(40, 40)]
    # nor do they count in the day
    assert (
        point(lapsed, [*(f"n{user}" for user in HUNDRED[:40]), *HUNDRED[55:]], hours=1).exited == 15
    )
    assert len(inside(lapsed)) == 85


def test_who_enters_as_a_part_of_a_member_counts_in_no_sum(lapsed: World) -> None:
    lapsed.audience("lapsed", max_enters="10%", min_enters=5)
    point(lapsed, HUNDRED)
    lapsed.merges({user: f"n{user}" for user in HUNDRED[:40]})
    members = [*(f"n{user}" for user in HUNDRED[:40]), *HUNDRED[40:]]
    assert point(lapsed, members).status == "committed"
    assert point(lapsed, [*members, *(f"o{n}" for n in range(10))], hours=1).status == "committed"
    assert point(lapsed, [*members, *(f"o{n}" for n in range(11))], hours=1).status == "held"


def test_members_who_are_merged_with_members_do_not_leave(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    # chains: m000 -> m001 -> ... -> m009, ten of them
    lapsed.merges({a: b for a, b in pairwise(HUNDRED) if b[-1] != "0"})
    assert point(lapsed, {user for user in HUNDRED if user[-1] == "9"}).reasons == (
        "lapsed shrank from 100 to 10 members: 90 would leave; held at 10 or fewer "
        "(min_members 10%)",
    )
    assert point(lapsed, {u for u in HUNDRED if u[-1] in "89"}, hours=1).status == "committed"


def test_a_merge_into_somebody_who_is_not_in_is_an_exit(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    lapsed.merges(dict.fromkeys(HUNDRED[:21], "outside"))
    assert "21 of 100" in point(lapsed, HUNDRED[21:]).reasons[0]


# -- controls


def test_who_is_suppressed_is_no_member_and_leaves_unjudged(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    with lapsed.connect() as warehouse:
        suppress(warehouse, [*HUNDRED[:30], "new"], "asked", lapsed.clock.now())
    for _ in range(2):
        evaluation = point(lapsed, [*HUNDRED, "new"])
        assert (evaluation.status, evaluation.members) == ("committed", 70)
    assert lapsed.rows(
        "select candidates, members, entered, exited, excused_exited from tailrace.evaluations "
        "order by as_of"
    ) == [(100, 100, 100, 0, 0), (101, 70, 0, 30, 30), (101, 70, 0, 0, 0)]
    assert lapsed.rows(
        "select change, count(*) from tailrace.deltas group by change order by change"
    ) == [("entered", 100), ("exited", 30), ("suppressed", 62)]
    assert inside(lapsed) == set(HUNDRED[30:])


# -- a day loaded in part


def load(world: World, at: datetime, per_day: dict[int, int]) -> None:
    """Make the events: so many each on the day so many days back."""
    days = " union all ".join(
        f"select {NOON} - to_days({back - (at.date() - T0.date()).days}) as t, range({count}) as n"
        for back, count in per_day.items()
    )
    world.relation(
        "events",
        f"select 'e' as event_id, t as occurred_at from (select unnest(n), t from ({days}))",
        at,
    )


def a_monday(yesterday: int, usual: int = 100, weeks: int = 8) -> dict[int, int]:
    return {1: yesterday, **{1 + 7 * n: usual for n in range(1, weeks + 1)}}


@pytest.mark.parametrize(
    ("yesterday", "usual", "weeks", "status"),
    [
        (49, 100, 8, "held"),
        (50, 100, 8, "committed"),
        (0, 100, 3, "held"),
        (0, 100, 2, "committed"),
        (0, 99, 8, "committed"),
        (0, 5_000, 8, "held"),
    ],
)
def test_a_day_with_under_half_of_its_events_holds(
    lapsed: World, yesterday: int, usual: int, weeks: int, status: str
) -> None:
    point(lapsed, HUNDRED)
    at = lapsed.step()
    load(lapsed, at, a_monday(yesterday, usual, weeks))
    lapsed.users({"m": {}}, at)
    lapsed.members("lapsed", set(HUNDRED[1:]), at)
    evaluation = lapsed.evaluate("lapsed")
    assert evaluation.status == status, evaluation.reasons
    if status == "held":
        assert rules(lapsed, evaluation) == f'["half_loaded {at - timedelta(days=1):%Y-%m-%d}"]'


def test_a_day_is_asked_about_once_and_counted_once_per_build(lapsed: World) -> None:
    lapsed.audience("other")
    point(lapsed, HUNDRED)
    lapsed.members("other", set(HUNDRED), lapsed.clock.now())
    lapsed.evaluate("other")
    at = lapsed.step()
    load(lapsed, at, a_monday(10))
    lapsed.users({"m": {}}, at)
    for audience in ("lapsed", "other"):
        lapsed.members(audience, set(HUNDRED[1:]), at)
    held = lapsed.evaluate("lapsed")
    assert held.status == "held"
    # the relation changes without a build: the count of the build is what counts
    lapsed.rows("delete from analytics.events returning 1")
    assert "only 10 events" in lapsed.evaluate("other").reasons[0]
    let_through(lapsed, held)
    at = lapsed.step(1)
    load(lapsed, at, a_monday(20))
    lapsed.users({"m": {}}, at)
    for audience in ("lapsed", "other"):
        lapsed.members(audience, set(HUNDRED[2:]), at)
    assert lapsed.evaluate("lapsed").status == "committed", "approved for that day"
    assert "only 20 events" in lapsed.evaluate("other").reasons[0], "another audience's approval"


def test_a_day_that_was_held_for_is_asked_about_until_it_is_there(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    first = lapsed.clock.now() + timedelta(days=1)

    def later(monday: int) -> Evaluation:
        at = lapsed.step()
        back = (at - first).days + 1
        days = {back + 7 * n: 100 for n in range(1, 9)} | {1: 100} | {back: monday}
        load(lapsed, at, days)
        lapsed.users({"m": {}}, at)
        lapsed.members("lapsed", set(HUNDRED[1:]), at)
        return lapsed.evaluate("lapsed")

    assert rules(lapsed, later(10)) == '["half_loaded 2026-03-02"]'
    assert rules(lapsed, later(20)) == '["half_loaded 2026-03-02"]'
    assert later(80).status == "committed"


def test_events_of_another_instant_say_nothing(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    at = lapsed.step()
    load(lapsed, at - timedelta(hours=1), a_monday(0))
    lapsed.users({"m": {}}, at)
    lapsed.members("lapsed", set(HUNDRED[1:]), at)
    assert lapsed.evaluate("lapsed").status == "committed"


def test_who_left_is_seen_at_the_same_instant_too(lapsed: World) -> None:
    at = lapsed.step()
    for members in ({"m1", "m2"}, {"m1"}):
        lapsed.relation("user_traits", "select * from analytics.user_traits", at)
        lapsed.members("lapsed", members, at)
        found = lapsed.evaluate("lapsed")
        assert (found.status, inside(lapsed)) == ("committed", members)


def test_the_same_answer_an_hour_later_is_another_hold(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    first = point(lapsed, HUNDRED[:50])
    second = point(lapsed, HUNDRED[:50], hours=1)
    assert first.evaluation_id != second.evaluation_id
    assert lapsed.rows("select status, count(*) from tailrace.evaluations group by all order by 1") == [
        ("committed", 1), ("held", 1), ("superseded", 1),
    ]  # fmt: skip


def test_the_same_answer_for_another_reason_is_another_hold(lapsed: World) -> None:
    point(lapsed, HUNDRED)
    first = point(lapsed, HUNDRED[:50])
    lapsed.audience("lapsed", min_members="60%")
    second = lapsed.evaluate("lapsed")
    assert (rules(lapsed, first), rules(lapsed, second)) == ('["exits"]', '["empty"]')
