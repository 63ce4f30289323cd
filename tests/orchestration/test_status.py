"""Status: where everything stands, what it waits for, and what failed before it began."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from destinations.base import Response
from destinations.errors import ConfigError
from orchestration.activate import check_accounts, run_syncs
from orchestration.approvals import approve
from orchestration.rejects import open_rejects
from orchestration.retrying import retry
from orchestration.status import status
from orchestration.suppression import suppress
from orchestration.warehouse.schema import set_state_value
from tests.support.faults import down
from tests.support.world import World

MANY = {f"m{n}": {} for n in range(20)}
REFUSED = Response(400, {}, json.dumps({"code": "BadParams", "msg": "no"}).encode())


def read(world: World) -> dict[str, Any]:
    with world.connect() as warehouse:
        return status(warehouse, world.engine().project)


def of(world: World, what: str, name: str) -> dict[str, Any]:
    """Return the entry of an audience, sync or orphan; what is short for its list."""
    (found,) = [one for one in read(world)[f"{what}s"] if one.get("sync", one.get(what)) == name]
    return dict(found)


@pytest.fixture
def lapsed(world: World) -> World:
    """An audience of 20 whose sync has told everybody."""
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", **{"as": "identify"})
    world.users(MANY, world.clock.now())
    world.members("lapsed", set(MANY), world.clock.now())
    world.evaluate("lapsed")
    world.run("told")
    return world


def test_before_anything_happened(world: World) -> None:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", **{"as": "identify"})
    found = read(world)
    assert found["build"] is None
    assert found["orphans"] == []
    assert found["audiences"][0]["status"] == "never evaluated"
    assert found["syncs"][0]["plan"] == "never planned"
    assert {one["waits_for"] for one in (*found["audiences"], *found["syncs"])} == {None}


def test_all_well(lapsed: World) -> None:
    audience, sync = of(lapsed, "audience", "lapsed"), of(lapsed, "sync", "told")
    assert (audience["status"], audience["members"]) == ("committed", 20)
    assert audience["as_of"] == "2026-03-01T12:00:00Z"
    assert (sync["plan"], sync["last_run"], sync["acked"], sync["pending"]) == (
        "done", "done", 20, 0,
    )  # fmt: skip
    assert sync["waits_for"] is sync["reason"] is sync["approve"] is None
    assert read(lapsed)["build"]["success"]


def test_a_held_evaluation_says_why_and_what_to_type(lapsed: World) -> None:
    at = lapsed.step()
    lapsed.users(MANY, at)
    lapsed.members("lapsed", set(), at)
    held = lapsed.evaluate("lapsed")
    lapsed.run("told")
    audience = of(lapsed, "audience", "lapsed")
    assert (audience["status"], audience["held"]) == ("held", held.evaluation_id)
    assert audience["members"] == 20, "the last committed answer stands"
    assert audience["reason"] == held.reasons[0]
    assert audience["approve"] == f"tailrace approve {held.evaluation_id} --expect-exits 20"
    sync = of(lapsed, "sync", "told")
    assert (sync["last_run"], sync["held"], sync["approve"]) == ("held", None, None)
    assert str(held.evaluation_id) in sync["waits_for"]


def test_a_held_plan_says_why_and_what_to_type(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"}, max_first=0)
    world.users({"a": {}}, world.clock.now())
    run = world.run("traits")
    sync = of(world, "sync", "traits")
    assert (sync["plan"], sync["held"]) == ("held", run.plan_id)
    assert sync["reason"] == run.reasons[0]
    assert sync["approve"] == f"tailrace approve {run.plan_id}"


def test_what_is_under_way_is_pending(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.users({"a": {}, "b": {}}, world.clock.now())
    down(world, Response(503, {}, b""))
    run = world.run("traits")
    sync = of(world, "sync", "traits")
    assert (sync["last_run"], sync["plan"], sync["pending"]) == ("incomplete", "delivering", 2)
    assert str(run.plan_id) in sync["waits_for"]
    assert "the next run goes on" in sync["reason"]
    world.wrap = None
    world.step(1)
    world.run("traits")
    sync = of(world, "sync", "traits")
    assert (sync["pending"], sync["reason"], sync["waits_for"]) == (0, None, None)


def test_a_stopped_account_is_seen(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.users({"a": {}}, world.clock.now())
    down(world, Response(401, {}, b""))
    world.run("traits")
    sync = of(world, "sync", "traits")
    assert sync["last_run"] == "failed"
    assert "destinations.yml" in sync["reason"]


def test_a_sync_that_could_not_be_planned_is_seen(lapsed: World) -> None:
    lapsed.step(1)
    lapsed.sync("wrong", sends="traits", fields={"points": "nothing"})
    (run,) = run_syncs(lapsed.engine(), [lapsed.syncs["wrong"]], None)
    assert run.status == "failed"
    sync = of(lapsed, "sync", "wrong")
    assert (sync["last_run"], sync["ended_at"]) == ("failed", "2026-03-01T13:00:00Z")
    assert "nothing" in sync["reason"]


def test_an_account_that_cannot_be_opened_is_seen(lapsed: World) -> None:
    lapsed.step(1)
    lapsed.sync("elsewhere", destination="braze", sends="traits", fields={"points": "score"})
    with pytest.raises(ConfigError, match="braze"):
        check_accounts(lapsed.engine(), lapsed.syncs.values())
    sync = of(lapsed, "sync", "elsewhere")
    assert sync["last_run"] == "failed"
    assert "braze" in sync["reason"]
    assert of(lapsed, "sync", "told")["last_run"] == "done", "its account is well"


def test_a_sync_that_another_process_runs_has_not_failed(lapsed: World) -> None:
    with lapsed.connect() as warehouse, warehouse.lock("sync-told"):
        (run,) = run_syncs(lapsed.engine(), [lapsed.syncs["told"]], None)
    assert run.status == "failed"
    assert of(lapsed, "sync", "told")["last_run"] == "done"


def test_a_model_that_failed_is_what_its_audience_waits_for(lapsed: World) -> None:
    with lapsed.connect() as warehouse:
        lapsed._built(warehouse, "lapsed", lapsed.step())
        warehouse.execute(
            "update tailrace.builds set success = false, "
            "relations = replace(relations, 'success', 'error') "
            "where build_id = (select max(build_id) from tailrace.builds)"
        )
    found = read(lapsed)
    assert (found["build"]["success"], found["build"]["failed"]) == (False, ["lapsed"])
    audience = of(lapsed, "audience", "lapsed")
    assert audience["waits_for"] == "a build: model lapsed ended as error"
    assert audience["status"] == "committed"


def test_what_was_approved_waits_for_the_next_run_only(lapsed: World) -> None:
    at = lapsed.step()
    lapsed.users(MANY, at)
    lapsed.members("lapsed", set(), at)
    held = lapsed.evaluate("lapsed")
    assert lapsed.run("told").status == "held"
    with lapsed.connect() as warehouse:
        approve(warehouse, str(held.evaluation_id), expect_exits=20, by="me", now=at)
    sync = of(lapsed, "sync", "told")
    assert sync["waits_for"] == "the next run: what the last one was held for is settled"
    assert sync["reason"] is None


def test_a_sync_that_the_project_lost_is_an_orphan(lapsed: World) -> None:
    lapsed.syncs["renamed"] = replace(lapsed.syncs.pop("told"), key="renamed")
    (orphan,) = read(lapsed)["orphans"]
    assert (orphan["sync"], orphan["acked"]) == ("told", 20)
    assert "tailrace retire told" in orphan["waits_for"]
    assert "tailrace adopt told" in orphan["waits_for"]
    with lapsed.connect() as warehouse:
        set_state_value(warehouse, "", "retired/told", lapsed.clock.now().isoformat())
    assert read(lapsed)["orphans"] == []


def test_a_retired_sync_is_to_be_taken_out(lapsed: World) -> None:
    with lapsed.connect() as warehouse:
        set_state_value(warehouse, "", "retired/told", lapsed.clock.now().isoformat())
    sync = of(lapsed, "sync", "told")
    assert sync["retired_at"] == "2026-03-01T12:00:00Z"
    assert "take it out of the project" in sync["waits_for"]


def test_what_may_no_longer_be_sent_is_not_pending(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.users({"a": {}, "b": {}}, world.clock.now())
    down(world, Response(503, {}, b""))
    world.run("traits")
    with world.connect() as warehouse:
        suppress(warehouse, ["a"], "asked for it", world.clock.now())
    assert of(world, "sync", "traits")["pending"] == 1


def test_rejects_open_and_taken_up_again(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.users({"a": {}, "b": {}}, world.clock.now())
    down(world, REFUSED)
    world.run("traits")
    assert of(world, "sync", "traits")["rejects"] == 2
    with world.connect() as warehouse:
        retry(warehouse, world.syncs.values())
    sync = of(world, "sync", "traits")
    assert (sync["rejects"], sync["retry"]) == (0, 2)
    assert "sends 2 refused again" in sync["waits_for"]


def refused(world: World) -> list[dict[str, Any]]:
    with world.connect() as warehouse:
        return open_rejects(warehouse, syncs=world.syncs, show_pii=False, now=world.clock.now())


def test_rejects_say_since_when_and_what_to_do(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.users({"a": {}, "b": {"score": float("nan")}}, world.clock.now())
    down(world, REFUSED)
    world.run("traits")
    bad, unsendable = sorted(refused(world), key=lambda one: one["code"])
    assert (bad["code"], bad["count"], bad["state"]) == ("BadParams", 1, "open")
    assert bad["first_at"] == bad["last_at"] == "2026-03-01T12:00:00Z"
    assert bad["command"] == "tailrace retry traits --code BadParams"
    assert "what JSON does not have" in unsendable["todo"]
    assert "example.com" not in str(bad)
    assert "a" not in bad["users"]

    world.step(5)
    with world.connect() as warehouse:
        retry(warehouse, world.syncs.values(), code="BadParams")
    assert [one["todo"] for one in refused(world) if one["state"] == "retry"] == [
        "the next run sends it again"
    ]
    world.run("traits")
    (bad,) = [one for one in refused(world) if one["code"] == "BadParams"]
    assert (bad["first_at"], bad["last_at"]) == ("2026-03-01T12:00:00Z", "2026-03-01T17:00:00Z")


def test_rejects_of_class_later_say_until_when(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.users({"a": {}}, world.clock.now())
    down(world, REFUSED)
    world.run("traits")
    with world.connect() as warehouse:
        warehouse.execute("update tailrace.rejects set class = 'later'")
    assert refused(world)[0]["todo"] == "each run tries again until 2026-03-08 12:00"
    assert refused(world)[0]["command"] is None
    world.clock.instant += timedelta(days=7)
    assert "for 7 days" in refused(world)[0]["todo"]
    assert "tailrace retry traits" in refused(world)[0]["command"]
