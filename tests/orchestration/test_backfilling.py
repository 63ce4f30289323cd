"""What a backfill keeps, refuses and leaves alone; its SQL is written here, not by dbt."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from destinations.errors import ConfigError, DataError, TailraceError
from orchestration import backfilling, intervals
from orchestration.backfilling import Backfill, backfill
from orchestration.chain import Step, make_at, read_chain
from orchestration.preview import SENTINEL
from orchestration.suppression import suppress
from tests.support.world import T0, World

# Who is in on day n of February are the users below n.
TRAITS = f"select 'u' || n as user_id from range(1, extract(day from {SENTINEL})::int) t(n)"
DAYS = (date(2026, 2, 2), date(2026, 2, 4))


@pytest.fixture
def filled(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose audience `lapsed` can be filled in."""
    (world.folder / "dbt_project.yml").write_text("name: shop\nvars: {time_zone: UTC}\n")
    world.audience("lapsed", max_exits="100%")
    world.audience("other")
    world.users({"u1": {}, "u2": {}}, T0)
    chained(monkeypatch, "select user_id from tailrace_at_0_user_traits")
    return world


def chained(monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    chain = (
        Step(0, "user_traits", "user_traits.sql", TRAITS, False, True),
        Step(1, "lapsed", "lapsed.sql", sql, False, True),
    )
    monkeypatch.setattr(backfilling, "compile_chain", lambda paths, audience: chain)


def fill(world: World, *days: date, **options: Any) -> Backfill:
    engine = world.engine()
    first, last = days or DAYS
    return backfill(
        engine.dbt, world.connect, engine.project, world.audiences["lapsed"],
        first=first, last=last, clock=world.clock, **{"replace": False, **options},
    )  # fmt: skip


def kept(world: World) -> list[Any]:
    return [
        world.rows(f"select * from tailrace.{table} order by all")
        for table in ("evaluations", "membership_intervals", "deltas", "plans")
    ]


def test_what_a_point_says(filled: World) -> None:
    with filled.connect() as warehouse:
        suppress(warehouse, ["u1"], "asked us to", T0)
    assert fill(filled).evaluations == 3
    assert filled.rows(
        "select origin, status, base, candidates, members, entered, exited, sql_fingerprint "
        "from tailrace.evaluations order by as_of"
    ) == [
        ("backfill", "committed", 1, 1, 0, 0, 0, "f" * 16),
        ("backfill", "committed", 2, 2, 1, 1, 0, "f" * 16),
        ("backfill", "committed", 3, 3, 2, 1, 0, "f" * 16),
    ]
    assert filled.rows("select distinct user_id from tailrace.membership_intervals order by 1") == [
        ("u2",),
        ("u3",),
    ]
    assert filled.rows("select count(*) from tailrace.deltas") == [(0,)]


def test_other_audiences_are_left_alone(filled: World) -> None:
    fill(filled)
    filled.audiences["lapsed"], filled.audiences["other"] = (
        filled.audiences[key] for key in ("other", "lapsed")
    )
    before = stays_of(filled, "lapsed")
    fill(filled, date(2026, 2, 3), date(2026, 2, 3))
    assert stays_of(filled, "lapsed") == before
    at = T0 + timedelta(days=1)
    filled.users({"u2": {}}, at)
    filled.members("other", {"u2"}, at)
    filled.audiences["other"] = filled.audiences["lapsed"]
    assert filled.evaluate("other").status == "committed"
    assert stays_of(filled, "lapsed") == before, "nor by the first live point of another"


def stays_of(world: World, audience: str) -> list[Any]:
    return world.rows(
        "select user_id, entered_at, exited_at from tailrace.membership_intervals "
        "where audience = ? order by all",
        [audience],
    )


# Out on each third day; who has left stays away for two days.
PAUSES = f"""
select user_id from tailrace_at_0_user_traits
where extract(day from {SENTINEL})::int % 3 <> 0 and user_id not in (
    select user_id from {intervals.KNOWN_STAYS}
    where audience = 'lapsed' and exited_at <= {SENTINEL}
        and exited_at > {SENTINEL} - interval 2 day
)
"""


def pausing(last: int) -> list[tuple[int, str]]:
    """Return (day, user) of all members from the second to a last day of February."""
    found: list[tuple[int, str]] = []
    before: set[str] = set()
    left: set[str] = set()
    for day in range(2, last + 1):
        members = {f"u{n}" for n in range(1, day)} - left if day % 3 else set()
        before, left = members, before - members
        found += [(day, user) for user in members]
    return sorted(found)


def members_by_day(world: World) -> list[tuple[int, str]]:
    return world.rows(
        "select distinct extract(day from e.as_of)::int, i.user_id "
        "from tailrace.evaluations as e join tailrace.membership_intervals as i "
        "on i.audience = e.audience and i.entered_at <= e.as_of "
        "and (i.exited_at is null or i.exited_at > e.as_of) "
        "where e.audience = 'lapsed' and e.status = 'committed' order by all"
    )


@pytest.mark.parametrize("at_once", [31, 1, 4])
def test_a_day_knows_who_left_on_the_days_before(
    filled: World, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    chained(monkeypatch, PAUSES)
    monkeypatch.setattr(backfilling, "DAYS_AT_ONCE", at_once)
    fill(filled, date(2026, 2, 2), date(2026, 2, 11))
    found = members_by_day(filled)
    assert found == pausing(11)
    unpaused = sum(day - 1 for day in range(2, 12) if day % 3)
    assert len(found) < unpaused - 10, "nobody paused"
    fill(filled, date(2026, 2, 2), date(2026, 2, 11))
    assert members_by_day(filled) == found, "once more, and nothing that is replaced was read"


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("select user_id from tailrace_at_0_user_traits union all select 'u1'", "repeat a user_id"),
        ("select nullif(user_id, 'u1') as user_id from tailrace_at_0_user_traits", "no user_id"),
        ("select ' ' as user_id", "have no user_id"),
        ("select 1 as one", "needs a column user_id"),
        ("select nothing from tailrace_at_0_user_traits", "lapsed.sql: Binder Error"),
    ],
)
def test_a_bad_answer_is_refused(
    filled: World, monkeypatch: pytest.MonkeyPatch, sql: str, says: str
) -> None:
    fill(filled)
    before = kept(filled)
    chained(monkeypatch, sql)
    with pytest.raises(DataError, match=says):
        fill(filled)
    assert kept(filled) == before


def test_a_live_evaluation_that_comes_in_between_is_not_overwritten(filled: World) -> None:
    def race(done: int, total: int) -> None:
        if done == 2:
            at = datetime(2026, 2, 3, 12, tzinfo=UTC)
            filled.users({"u1": {}}, at)
            filled.members("lapsed", {"u1"}, at)
            assert filled.evaluate("lapsed").status == "committed"

    with pytest.raises(ConfigError, match="ends on a day before"):
        fill(filled, progress=race)
    assert filled.rows("select distinct origin from tailrace.evaluations") == [("live",)]


def test_what_fails_while_it_is_stored_leaves_nothing(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(filled, DAYS[0], DAYS[0])
    before = kept(filled)
    monkeypatch.setattr(intervals, "_COUNT", "select no_such_column")
    with filled.connect() as warehouse, pytest.raises(warehouse.errors):
        fill(filled)
    assert kept(filled) == before


@pytest.mark.parametrize(
    ("first", "last"), [(date(2026, 2, 4), date(2026, 2, 3)), (DAYS[0], T0.date())]
)
def test_days_in_the_wrong_order_or_not_over(filled: World, first: date, last: date) -> None:
    with pytest.raises(ConfigError) as raised:
        fill(filled, first, last)
    assert raised.value.key == "--to"


@pytest.mark.parametrize(
    ("first", "last", "key"), [(date.min, DAYS[0], "--from"), (DAYS[0], date.max, "--to")]
)
def test_days_beyond_the_calendar(filled: World, first: date, last: date, key: str) -> None:
    with pytest.raises(ConfigError, match="calendar") as raised:
        fill(filled, first, last)
    assert raised.value.key == key


def test_an_approval_is_not_out_of_date_for_a_backfill(filled: World) -> None:
    from orchestration.approvals import approve

    for n, members in enumerate(({f"m{n}" for n in range(20)}, set[str]())):
        at = T0 - timedelta(days=20 - n)
        filled.users({"u1": {}}, at)
        filled.members("lapsed", members, at)
        held = filled.evaluate("lapsed")
    assert held.status == "held"
    with filled.connect() as warehouse:
        warehouse.execute(
            "insert into tailrace.evaluations (evaluation_id, audience, as_of, origin, status) "
            "values ('b', 'lapsed', ?, 'backfill', 'committed')",
            [T0.replace(tzinfo=None)],
        )
        approve(warehouse, str(held.evaluation_id), expect_exits=20, by="me", now=T0)


def node(name: str, sql: str, *parents: str, **more: Any) -> dict[str, Any]:
    return {
        "resource_type": "model", "name": name, "original_file_path": f"{name}.sql",
        "compiled_code": sql, "relation_name": f"w.a.{name}",
        "depends_on": {"nodes": [f"model.{parent}" for parent in parents]},
        "config": {"materialized": "table"}, **more,
    }  # fmt: skip


def test_a_chain_keeps_names_apart_and_clocks(world: World) -> None:
    nodes = {
        "model.users": node("users", "select 'a' as user_id", relation_name="w.a.users"),
        "model.users_2": node("users", "select 'b' as user_id", relation_name="w.a.users_2"),
        "model.lapsed": node(
            "lapsed",
            f"select user_id from w.a.users_2 where timestamp '1970-01-01 00:00:00' < {SENTINEL} "
            "except select user_id from w.a.users",
            "users", "users_2",
        ),
    }  # fmt: skip
    chain = read_chain({"nodes": nodes, "sources": {}}, "lapsed")
    assert [step.is_dated for step in chain] == [False, False, True]
    with world.connect() as warehouse:
        from orchestration.chain import make_undated

        make_undated(warehouse, chain)
        relation = make_at(warehouse, chain, T0)
        assert warehouse.rows(f"select * from {relation}") == [("b",)]
        relation = make_at(warehouse, chain, datetime(1970, 1, 1, tzinfo=UTC))
        assert warehouse.rows(f"select * from {relation}") == []


def test_who_was_in_before_is_asked_anew_for_each_day() -> None:
    stays = "source.t.tailrace.membership_intervals"
    sources = {
        stays: {
            "schema": "tailrace", "name": "membership_intervals",
            "relation_name": "w.tailrace.membership_intervals",
        },
    }  # fmt: skip
    reading = node("stays", "select * from w.tailrace.membership_intervals")
    reading["depends_on"]["nodes"].append(stays)
    nodes = {"model.stays": reading, "model.lapsed": node("lapsed", "select 1", "stays")}
    chain = read_chain({"nodes": nodes, "sources": sources}, "lapsed")
    assert [step.is_dated for step in chain] == [True, True]


def test_days_before_anybody_was_there_are_counted(filled: World) -> None:
    done = fill(filled, date(2026, 2, 1), DAYS[1])
    assert (done.evaluations, done.empty) == (4, 1)


def test_errors_are_of_one_kind(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chained(monkeypatch, "select cast('x' as int) as user_id")
    with pytest.raises(TailraceError, match=r"lapsed\.sql: Conversion Error"):
        fill(filled)
