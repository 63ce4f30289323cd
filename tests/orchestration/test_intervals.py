"""Points may come in any order, in pieces and twice: the stays are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestration.history import members_at, points
from orchestration.intervals import add_point, begin_points, store_points
from orchestration.sql.names import naive_utc
from orchestration.status import status
from tests.support.world import T0, World, make_world

USERS = ["ada", "bob", "cy"]
DAYS = 7
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
audiences = (f"lapsed_{n}" for n in count())
memberships = st.lists(st.frozensets(st.sampled_from(USERS)), min_size=DAYS + 1, max_size=DAYS + 1)
pieces = st.lists(
    st.tuples(st.integers(0, DAYS - 1), st.integers(0, DAYS - 1)).map(sorted),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("world")
    with make_world(folder) as made:
        made.users({user: {} for user in USERS}, T0)
        yield made


def fill(world: World, key: str, days: Mapping[int, frozenset[str]]) -> None:
    """Backfill these days: their numbers, and who was in at the end of each."""
    first, last = (T0 + n * DAY for n in (min(days), max(days)))
    with world.connect() as warehouse:
        begin_points(warehouse)
        for n, members in days.items():
            warehouse.execute("create or replace temp table found (user_id varchar)")
            warehouse.append("found", pa.table({"user_id": pa.array(sorted(members), pa.string())}))
            add_point(
                warehouse, f"b-{next(audiences)}", T0 + n * DAY, "select user_id from found",
                candidates=len(members), base=None,
            )  # fmt: skip
        with warehouse.transaction():
            since = first - DAY + timedelta(seconds=1)
            store_points(warehouse, world.audiences[key], since, last, world.clock.now())


def live(world: World, key: str, at_day: float, members: frozenset[str]) -> None:
    at = T0 + at_day * DAY
    world.users({user: {} for user in USERS}, at)
    world.members(key, set(members), at)
    assert world.evaluate(key).status == "committed"


def stays(world: World, key: str) -> set[tuple[object, ...]]:
    return set(
        world.rows(
            "select user_id, entered_at, exited_at from tailrace.membership_intervals "
            "where audience = ?",
            [key],
        )
    )


def runs(answers: Mapping[float, frozenset[str]]) -> set[tuple[object, ...]]:
    """A stay is a maximal run of consecutive points, from the definition."""
    found: set[tuple[object, ...]] = set()
    order = sorted(answers)
    for user in USERS:
        inside = [user in answers[day] for day in order]
        for n, is_in in enumerate(inside):
            if not is_in or (n and inside[n - 1]):
                continue
            end = next((m for m in range(n, len(order)) if not inside[m]), None)
            ends = None if end is None else naive_utc(T0 + order[end] * DAY)
            found.add((user, naive_utc(T0 + order[n] * DAY), ends))
    return found


@settings(max_examples=12, deadline=None)
@given(memberships, pieces, st.integers(0, 5))
def test_any_order_and_any_pieces(
    world: World, members: list[frozenset[str]], chosen: list[list[int]], when: int
) -> None:
    """Some pieces, then a live point after all of them, then the other pieces."""
    key = world.audience(next(audiences)).key
    answers: dict[float, frozenset[str]] = {}
    for n, (first, last) in enumerate(chosen):
        if n == when:
            live(world, key, DAYS, members[DAYS])
            answers[DAYS] = members[DAYS]
        days = {day: members[day] for day in range(first, last + 1)}
        fill(world, key, days)
        answers |= days
        assert stays(world, key) == runs(answers)
    with world.connect() as warehouse:
        assert not warehouse.rows(
            "select 1 from tailrace.membership_intervals where audience = ? and evaluation_id not in "
            "(select evaluation_id from tailrace.evaluations where status = 'committed')",
            [key],
        )
        for day, expected in answers.items():
            assert members_at(warehouse, key, T0 + day * DAY) == sorted(expected)
        told = {str(point["as_of"]): point for point in points(warehouse, key)}
    before: frozenset[str] = frozenset()
    for day, expected in sorted(answers.items()):
        point = told[f"{T0 + day * DAY:%Y-%m-%dT%H:%M:%SZ}"]
        assert point["members"] == len(expected)
        if point["origin"] == "backfill":
            changes = (len(expected - before), len(before - expected))
            assert (point["entered"], point["exited"]) == changes
        before = expected


NONE, ADA = [frozenset[str]()] * (DAYS + 1), [frozenset(["ada"])] * (DAYS + 1)


@settings(max_examples=8, deadline=None)
@example(NONE, ADA, [[3, 3], [2, 2]])
@given(memberships, memberships, pieces)
@pytest.mark.slow
def test_live_points_are_replaced_by_the_days_around_them(
    world: World,
    said: list[frozenset[str]],
    members: list[frozenset[str]],
    chosen: list[list[int]],
) -> None:
    key = world.audience(next(audiences)).key
    answers = {day - 0.5: said[day] for day in range(DAYS + 1)}
    for day, found in answers.items():
        live(world, key, day, found)
    for first, last in chosen:
        days = {day: members[day] for day in range(first, last + 1)}
        fill(world, key, days)
        with world.connect() as warehouse:
            assert len(points(warehouse, key)) == len(
                {d for d in answers if not first - 1 < d <= last} | days.keys()
            )
        answers = {d: a for d, a in answers.items() if not first - 1 < d <= last} | days
        assert stays(world, key) == runs(answers)
    opened = {row[0] for row in stays(world, key) if row[2] is None}
    assert opened == said[DAYS], "where the audience stands is not touched"


@pytest.mark.parametrize("first", [True, False])
def test_live_is_a_stay_that_a_live_point_is_in(world: World, first: bool) -> None:
    """Whether the days in between were filled in before or after it."""
    key = world.audience(next(audiences)).key
    ada = frozenset(["ada"])
    fill(world, key, {1: ada, 2: ada} if first else {1: ada})
    if first:
        fill(world, key, {3: frozenset()})
    live(world, key, 5, ada)
    if not first:
        fill(world, key, {2: ada, 3: frozenset()})
    assert world.rows(
        "select origin, entered_at from tailrace.membership_intervals where audience = ? "
        "order by entered_at",
        [key],
    ) == [("backfill", naive_utc(T0 + DAY)), ("live", naive_utc(T0 + 5 * DAY))]


def test_live_answers_begin_from_nothing(world: World) -> None:
    """Their deltas are complete, though the stays go on."""
    key = world.audience(next(audiences)).key
    fill(world, key, {0: frozenset(["ada", "bob"])})
    live(world, key, 1, frozenset(["ada", "cy"]))
    assert world.rows(
        "select user_id, change from tailrace.deltas where audience = ? order by all", [key]
    ) == [("ada", "entered"), ("cy", "entered")]
    assert stays(world, key) == runs({0: frozenset(["ada", "bob"]), 1: frozenset(["ada", "cy"])})
    assert world.rows(
        "select user_id, origin from tailrace.membership_intervals where audience = ? order by all",
        [key],
    ) == [("ada", "live"), ("bob", "backfill"), ("cy", "live")]


def test_a_live_point_before_the_last_filled_day_is_refused(world: World) -> None:
    key = world.audience(next(audiences)).key
    fill(world, key, {3: frozenset(["ada"])})
    for day in (2, 3):
        world.users({"ada": {}}, T0 + day * DAY)
        world.members(key, {"ada"}, T0 + day * DAY)
        found = world.evaluate(key)
        assert (found.status, "was filled in up to" in found.reasons[0]) == ("failed", True)
    assert stays(world, key) == runs({3: frozenset(["ada"])})


def test_a_sync_sees_nothing_of_a_backfill(world: World) -> None:
    from destinations.errors import DataError

    key = world.audience(next(audiences)).key
    name = world.sync(f"sync_{key}", audience=key, sends="membership", **{"as": "track"}).key
    fill(world, key, {0: frozenset(["ada", "bob"])})
    with pytest.raises(DataError, match="has never been evaluated"):
        world.plan(name)
    with world.connect() as warehouse:
        shown = {
            one["audience"]: one for one in status(warehouse, world.engine().project)["audiences"]
        }
    assert (shown[key]["status"], shown[key]["members"]) == ("never evaluated", None)
    live(world, key, 1, frozenset(["bob"]))
    assert world.run(name).delivered == 1
    began = world.rows(
        "select o.occurred_at from tailrace.plan_ops as o "
        "inner join tailrace.plans as p on o.plan_id = p.plan_id where p.sync = ?",
        [name],
    )
    assert began == [(naive_utc(T0 + DAY),)], "as if there had been no backfill"
    world.clock.instant = T0 + 2 * DAY
    before = len(world.calls())
    fill(world, key, {-1: frozenset(["cy", "bob"]), 0: frozenset(["ada", "bob"])})
    assert (world.plan(name).verdict, world.run(name).status) == ("empty", "nothing")
    assert len(world.calls()) == before
    assert world.event_names("cy@example.com") == world.event_names("ada@example.com") == []
