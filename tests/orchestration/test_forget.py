"""Forgetting a user: what goes, what stays, in which order, and after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from destinations.base import Response
from destinations.errors import ConfigError, LockedError
from orchestration import forgetting
from orchestration.forgetting import Forgetting, forget, would_forget
from orchestration.project import Model
from orchestration.sql.names import text
from orchestration.suppression import suppressed, unsuppress
from tests.support.deleting import Vault, can_delete, vault
from tests.support.faults import down
from tests.support.tiers import first
from tests.support.world import World, make_world, world_again

PERSONAL_TABLES = (
    "deltas", "membership_intervals", "acked", "rejects", "sent_events", "plan_ops", "receipts",
    "plans", "evaluations", "suppressed", "plan_fields", "sync_runs", "destination_state",
)  # fmt: skip


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three users with traits, a membership as track, and events, all sent; then a change."""
    with make_world(tmp_path_factory.mktemp("life")) as world:
        world.audience("lapsed")
        world.sync("traits", sends="traits", fields={"points": "score"})
        world.sync("lapsed", audience="lapsed", sends="membership", **{"as": "track"})
        world.sync("events", sends="events", events=("Seen",))
        for score in (1.0, 2.0):
            now = world.step(1).replace(microsecond=0)
            world.users({user: {"score": score} for user in ("zoe", "bob", "cyd")}, now)
            world.members("lapsed", {"zoe", "bob", "cyd"}, now)
            world.events([(f"{user}-{score}", user, "Seen", now) for user in ("zoe", "bob")], now)
            assert world.evaluate("lapsed").status == "committed"
            assert {run.status for run in world.run_all()} <= {"done", "nothing"}
    return world


@pytest.fixture
def lived(life: World, tmp_path: Path) -> Iterator[World]:
    with world_again(life, tmp_path) as world:
        yield world


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    """An account that can delete, and its endpoint."""
    can_delete(monkeypatch)
    with vault() as running:
        yield running


def traces(world: World, who: str) -> dict[str, int]:
    """Count the rows, of every table of ours, that name somebody anywhere."""
    found = {
        table: world.rows(
            f"select count(*) from tailrace.{table} as t where contains(cast(t as varchar), ?)",
            [who],
        )[0][0]
        for table in PERSONAL_TABLES
    }
    return {table: count for table, count in found.items() if count}


def counts(world: World) -> list[tuple[Any, ...]]:
    return world.rows(
        "select p.plan_id, p.ops, p.status, r.outcome, count(*) from tailrace.plans as p "
        "inner join tailrace.op_outcomes as r on p.plan_id = r.plan_id group by all order by all"
    )


def forgotten(world: World, who: str = "zoe", *, by_email: bool = False) -> Forgetting:
    return forget(world.engine(), who, by_email=by_email)


def is_suppressed(world: World, who: str) -> bool:
    with world.connect() as warehouse:
        return bool(warehouse.rows(f"select {suppressed(warehouse, text(who))}")[0][0])


def test_a_dry_run_counts_and_changes_nothing(lived: World) -> None:
    before = traces(lived, "zoe")
    dry = would_forget(lived.engine(), "zoe", by_email=False)
    assert dry.status == "dry"
    assert (dry.users, dry.keys) == (1, 2)
    assert dry.rows == {
        "deltas": 1, "membership_intervals": 1, "acked": 2, "rejects": 0, "sent_events": 2,
        "plan_ops": 5,
    }  # fmt: skip
    assert (dry.profiles, dry.by_hand) == ({}, {"iterable": 1})
    assert traces(lived, "zoe") == before
    assert not is_suppressed(lived, "zoe")


def test_nothing_names_them_afterwards_and_counts_stay(lived: World) -> None:
    before, others = counts(lived), traces(lived, "bob")
    evaluations = lived.rows("select * from tailrace.evaluations order by evaluation_id")
    receipts = lived.rows("select * from tailrace.receipts order by all")
    ids = lived.rows("select op_id from tailrace.plan_ops order by 1")
    dry = would_forget(lived.engine(), "zoe", by_email=False)
    done = forgotten(lived)
    assert (done.status, done.rows, done.by_hand) == ("done", dry.rows, {"iterable": 1})
    assert traces(lived, "zoe") == {}
    assert traces(lived, "bob") == others
    assert counts(lived) == before
    assert lived.rows("select * from tailrace.evaluations order by evaluation_id") == evaluations
    assert lived.rows("select * from tailrace.receipts order by all") == receipts
    assert lived.rows("select op_id from tailrace.plan_ops order by 1") == ids
    assert lived.rows(
        "select distinct user_id, dest_key, payload, row_hash from tailrace.plan_ops "
        "where user_id = 'forgotten'"
    ) == [("forgotten", "forgotten", None, None)]


def test_of_a_profile_only_its_last_version_stays(lived: World) -> None:
    forgotten(lived)
    columns = [row[0] for row in lived.rows("describe tailrace.acked")]
    stays = {"sync", "dest_key", "user_id", "version_issued", "version_acked"}
    for row in lived.rows("select * from tailrace.acked where starts_with(dest_key, 'forgotten:')"):
        known = {name for name, value in zip(columns, row, strict=True) if value is not None}
        assert known == stays


def test_they_are_suppressed_for_good_even_if_raw_rows_stay(lived: World) -> None:
    forgotten(lived)
    assert is_suppressed(lived, "zoe")
    assert is_suppressed(lived, "ZOE@example.com")
    calls = len(lived.calls())
    now = lived.step(1).replace(microsecond=0)
    lived.users({user: {"score": 9.0} for user in ("zoe", "bob", "cyd")}, now)
    lived.members("lapsed", {"zoe", "bob", "cyd"}, now)
    lived.events([("later", "zoe", "Seen", now)], now)
    lived.evaluate("lapsed")
    lived.run_all()
    assert len(lived.calls()) == calls + 1, "traits of bob and cyd"
    assert lived.fields("zoe@example.com")["points"] == 2.0
    known = lived.rows("select change from tailrace.deltas where user_id = 'zoe'")
    assert set(known) <= {("suppressed",)}


def test_an_address_stands_for_whoever_has_it(lived: World) -> None:
    done = forgotten(lived, " ZOE@Example.com", by_email=True)
    assert (done.status, done.users) == ("done", 1)
    assert is_suppressed(lived, "zoe")
    assert traces(lived, "zoe") == {}


def test_an_address_is_found_as_it_was_pasted(lived: World) -> None:
    assert forgotten(lived, "Zoe <mailto:ZOE@Example.com>\u200b", by_email=True).users == 1
    assert is_suppressed(lived, "zoe")


def test_an_address_that_nobody_has_is_suppressed(lived: World) -> None:
    done = forgotten(lived, "new@example.com", by_email=True)
    assert (done.status, done.users, done.keys, sum(done.rows.values())) == ("done", 0, 1, 0)
    assert is_suppressed(lived, "new@example.com")


@pytest.mark.parametrize(("who", "by_email"), [(" ", False), ("zoe", True)])
def test_who_is_meant_must_be_said(lived: World, who: str, by_email: bool) -> None:
    with pytest.raises(ConfigError):
        forgotten(lived, who, by_email=by_email)


def test_every_id_and_address_of_a_person_goes(
    lived: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other addresses from user_emails, ids that were merged; an old address that moved on stays."""
    with lived.connect() as warehouse:
        warehouse.execute(
            "create table analytics.user_emails as select * from (values "
            "('zoe', 'zoe@work.com'), ('zoe', 'zoe@example.com'), ('eve', 'shared@example.com'), "
            "('lady', 'shared@example.com')) as t(user_id, email)"
        )
        warehouse.execute(
            "create table analytics.user_merges as "
            "select 'zoe' as merged_user_id, 'lady' as user_id, now()::timestamp as merged_at"
        )
        warehouse.execute(
            "update analytics.user_traits set email = 'a2@x.org' where user_id = 'zoe'"
        )
        warehouse.execute(
            "update analytics.user_traits set email = 'zoe@example.com' where user_id = 'bob'"
        )
        warehouse.execute("delete from analytics.user_emails where email = 'zoe@example.com'")
    real = World.engine

    def engine(world: World) -> Any:

        made = real(world)
        emails = Model("user_emails", "analytics.user_emails", (), "e.yml")
        merges = Model("user_merges", "analytics.user_merges", (), "m.yml")
        return replace(made, project=replace(made.project, emails=emails, merges=merges))

    monkeypatch.setattr(World, "engine", engine)
    with lived.connect() as warehouse:  # as if bob had been told under it since
        warehouse.execute(
            "update tailrace.issued set user_id = 'bob' where dest_key = 'zoe@example.com'"
        )
    dry = would_forget(lived.engine(), "zoe", by_email=False)
    assert (dry.users, dry.shared) == (2, 1)
    forgotten(lived)
    barred = {
        who: is_suppressed(lived, who)
        for who in ("zoe", "lady", "a2@x.org", "zoe@work.com", "shared@example.com",
                    "zoe@example.com", "bob", "eve")
    }  # fmt: skip
    assert {who for who, yes in barred.items() if not yes} == {"zoe@example.com", "bob", "eve"}


# Destinations that can delete.


def test_profiles_are_deleted_where_that_can_be_done(lived: World, kept: Vault) -> None:
    lived.url = kept.url
    dry = would_forget(lived.engine(), "zoe", by_email=False)
    assert (dry.profiles, dry.by_hand) == ({"iterable": 1}, {})
    assert kept.requests == []
    kept.profiles["zoe@example.com"] = {}
    done = forgotten(lived)
    assert (done.status, done.profiles, done.by_hand) == ("done", {"iterable": 1}, {})
    assert kept.requests == [("/api/users/bulkDelete", '{"users":[{"email":"zoe@example.com"}]}')]
    assert kept.profiles == {}
    assert traces(lived, "zoe") == {}
    assert lived.rows(
        "select sync, status, mode, ops, \"delete\" from tailrace.plans where mode = 'forget'"
    ) == [("forget/iterable", "done", "forget", 1, 1)]
    assert lived.rows(
        "select r.outcome from tailrace.op_outcomes as r inner join tailrace.plans as p "
        "on r.plan_id = p.plan_id where p.mode = 'forget'"
    ) == [("delivered",)]


def test_a_profile_that_only_arrived_is_deleted_too(lived: World, kept: Vault) -> None:
    """The request got through, its answer did not: nothing says that there is a profile."""
    lived.url = kept.url
    now = lived.step(1).replace(microsecond=0)
    lived.users({"dot": {}}, now)
    lived.wrap = None
    down(lived, Response(503, {}, b""), apply=True)
    assert lived.run("traits").status == "incomplete"
    assert set(kept.profiles) == {"dot@example.com"}
    lived.wrap = None
    lost = lived.clock.now()
    forgotten(lived, "dot")
    assert lived.clock.now() - lost >= timedelta(seconds=60), "nor after it can that arrive"
    assert kept.profiles == {}
    assert traces(lived, "dot@") == {}
    assert lived.run("traits").delivered == 0


def test_a_destination_that_is_down_is_told_by_the_next_try(lived: World, kept: Vault) -> None:
    lived.url = kept.url
    kept.status = 503
    first = forgotten(lived)
    assert first.status == "incomplete"
    assert "503" in first.reasons[0]
    assert is_suppressed(lived, "zoe")
    assert traces(lived, "zoe"), "what is needed to finish is still there"
    tried = len(kept.requests)
    kept.status = 200
    lived.step(24)
    lived.run_all()
    assert kept.deleted() == ["zoe@example.com"] * tried
    done = forgotten(lived)
    assert (done.status, done.profiles) == ("done", {"iterable": 1})
    assert kept.deleted() == ["zoe@example.com"] * (tried + 1)
    assert traces(lived, "zoe") == {}


def test_a_refused_deletion_is_named_to_be_asked_for_by_hand(lived: World, kept: Vault) -> None:
    lived.url = kept.url
    kept.refuses = {"zoe@example.com"}
    done = forgotten(lived)
    assert (done.status, done.profiles, done.by_hand) == ("done", {}, {"iterable": 1})
    assert traces(lived, "zoe") == {}


STEPS = ("_suppress", "_store_deletions", "_open_deletions", "send_plan", "set_status", "remove")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", first(1, STEPS))
def test_after_a_crash_at_any_step_running_it_again_finishes(
    lived: World, kept: Vault, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    lived.url = kept.url
    real = getattr(forgetting, step)

    def crashing(*args: Any, **options: Any) -> Any:
        if after:
            real(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(forgetting, step, crashing)
        with pytest.raises(KeyboardInterrupt):
            forgotten(lived)
    if step != "_suppress" or after:
        lived.users({"zoe": {"score": 7.0}, "bob": {}, "cyd": {}}, lived.step(1))
        lived.run_all()
        assert not any("zoe@" in body for path, body in kept.requests if "Delete" not in path)
    done = forgotten(lived)
    assert done.status == "done"
    assert traces(lived, "zoe") == {}
    assert "zoe@example.com" in kept.deleted()
    assert kept.profiles.keys() <= {"bob@example.com", "cyd@example.com"}
    assert lived.rows("select count(*) from tailrace.plans where mode = 'forget'") == [(1,)]
    assert forgotten(lived).status == "done"
    assert kept.deleted().count("zoe@example.com") <= 2


def test_it_waits_for_a_running_sync_and_names_who_holds_it(lived: World) -> None:
    before = lived.clock.now()
    holder = r"sync-lapsed is in use by process \d+"
    with (
        lived.connect() as warehouse,
        warehouse.lock("sync-lapsed"),
        pytest.raises(LockedError, match=holder),
    ):
        forgotten(lived)
    assert lived.clock.now() - before >= timedelta(seconds=forgetting.LOCK_SECONDS)
    assert is_suppressed(lived, "zoe"), "that comes first and waits for nobody"
    with (
        lived.connect() as warehouse,
        warehouse.lock("audience-lapsed"),
        pytest.raises(LockedError, match="audience-lapsed"),
    ):
        forgotten(lived)
    assert forgotten(lived).status == "done"


# Coming back.


def test_versions_go_on_where_they_stopped(lived: World) -> None:
    """An id that a destination has seen is never given to other content."""
    used = {op for (op,) in lived.rows("select op_id from tailrace.plan_ops")}
    ((issued,),) = lived.rows(
        "select version_issued from tailrace.acked "
        "where sync = 'traits' and dest_key = 'zoe@example.com'"
    )
    assert issued == 2
    forgotten(lived)
    with lived.connect() as warehouse:
        unsuppress(warehouse, ["zoe", "zoe@example.com"])
    lived.users(
        {"zoe": {"score": 5.0}, "bob": {"score": 2.0}, "cyd": {"score": 2.0}}, lived.step(1)
    )
    assert lived.run("traits").delivered == 1
    found = lived.rows(
        "select version, op_id from tailrace.plan_ops where dest_key = 'zoe@example.com'"
    )
    assert [version for version, _ in found] == [3]
    assert found[0][1] not in used


def test_a_tombstone_is_nothing_to_anybody(lived: World) -> None:
    forgotten(lived)
    lived.step(1)
    assert lived.plan("traits").gone == 0
    assert [plan.verdict for plan in map(lived.plan, ("traits", "lapsed", "events"))] == [
        "empty"
    ] * 3


def test_the_state_directory_holds_nothing_personal(lived: World) -> None:
    forgotten(lived)
    files = [path for path in Path(lived.folder / "state").iterdir() if path.is_file()]
    assert files
    assert not any(b"zoe" in path.read_bytes() for path in files)
