"""One user: ids, traits, audiences, and what each destination was told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from destinations.base import Response
from destinations.delivery.transport import Failed
from destinations.errors import ConfigError, DataError
from orchestration.preview import hashed
from orchestration.project import Model, Project
from orchestration.suppression import suppress
from orchestration.user_profile import profile, user_of_email
from tests.support.faults import down
from tests.support.world import World, make_world, world_again

pytestmark = pytest.mark.slow

REFUSED = Response(400, {}, json.dumps({"code": "BadParams", "msg": "no"}).encode())
EMAILS = Model("user_emails", "analytics.user_emails", (), "identity.yml")
MERGES = Model("user_merges", "analytics.user_merges", (), "identity.yml")
IDENTITIES = Model("identity_map", "analytics.identity_map", (), "identity.yml")


def project(world: World) -> Project:
    return replace(world.engine().project, emails=EMAILS, merges=MERGES, identities=IDENTITIES)


def look(world: World, user: str, show_pii: bool = True) -> dict[str, Any]:
    with world.connect() as warehouse:
        return profile(warehouse, project(world), user, show_pii=show_pii)


def find(world: World, address: str) -> str:
    with world.connect() as warehouse:
        return user_of_email(warehouse, project(world), address)


@pytest.fixture
def ann(told: World, tmp_path: Path) -> Iterator[World]:
    with world_again(told, tmp_path) as world:
        yield world


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Ann is in an audience, was told so, and has two addresses, two devices and an old id."""
    with make_world(tmp_path_factory.mktemp("told")) as world:
        begin(world)
    return world


def begin(world: World) -> None:
    world.audience("lapsed")
    world.audience("other")
    world.sync("told", audience="lapsed", sends="membership", **{"as": "track"})
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.users({"ann": {"label": "gold"}, "bob": {}}, world.clock.now())
    world.members("lapsed", {"ann"}, world.clock.now())
    world.members("other", {"bob"}, world.clock.now())
    with world.connect() as warehouse:
        for sql in (
            "create table analytics.user_emails as select * from (values "
            "('ann', 'ann@example.com', true), ('ann', 'a.old@example.com', false), "
            "('bob', 'bob@example.com', true), ('bob', 'both@example.com', false), "
            "('ann', 'both@example.com', false)) as e (user_id, email, is_primary)",
            "create table analytics.user_merges as select * from (values "
            "('ann-old', 'ann-mid', now()::timestamp), ('ann-mid', 'ann', now()::timestamp)) "
            "as m (merged_user_id, user_id, merged_at)",
            "create table analytics.identity_map as select * from (values "
            "('phone', 'ann'), ('laptop', 'ann-old'), ('else', 'bob')) as i (anonymous_id, user_id)",
        ):
            warehouse.execute(sql)
    world.evaluate("lapsed")
    world.evaluate("other")
    world.run_all()


def test_who_it_is(ann: World) -> None:
    found = look(ann, "ann")
    assert found["user_id"] == "ann"
    assert found["emails"] == [
        {"email": "ann@example.com", "is_primary": True},
        {"email": "a.old@example.com", "is_primary": False},
        {"email": "both@example.com", "is_primary": False},
    ]
    assert found["anonymous_ids"] == ["laptop", "phone"]
    assert found["merged_ids"] == ["ann-mid", "ann-old"]
    assert found["traits"]["label"] == "gold"
    assert found["as_of"] == "2026-03-01T12:00:00Z"
    assert found["suppressed"] is False


def test_a_merged_id_leads_to_who_it_is_now(ann: World) -> None:
    found = look(ann, "ann-old")
    assert (found["user_id"], found["asked_for_merged"]) == ("ann", True)
    assert not look(ann, "ann")["asked_for_merged"]


def test_where_it_is_in_and_since_when(ann: World) -> None:
    for members in (set(), {"ann"}):
        at = ann.step()
        ann.users({"ann": {}, "bob": {}}, at)
        ann.members("lapsed", members, at)
        ann.evaluate("lapsed")
    lapsed, other = look(ann, "ann")["audiences"]
    assert (lapsed["member"], lapsed["since"]) == (True, "2026-03-03T12:00:00Z")
    assert lapsed["stays"] == [
        {"entered_at": "2026-03-01T12:00:00Z", "exited_at": "2026-03-02T12:00:00Z"},
        {"entered_at": "2026-03-03T12:00:00Z", "exited_at": None},
    ]
    assert (other["member"], other["since"], other["stays"]) == (False, None, [])


def of(found: dict[str, Any], sync: str) -> dict[str, Any]:
    return next(one for one in found["syncs"] if one["sync"] == sync)


def test_what_each_destination_was_told(ann: World) -> None:
    told = of(look(ann, "ann"), "told")
    (known,) = told["known"]
    assert (known["dest_key"], known["op"], known["version"]) == ("ann@example.com", "enter", 1)
    assert known["occurred_at"] == "2026-03-01T12:00:00Z"
    assert known["unsure_until"] is None
    (op,) = told["ops"]
    assert (op["op"], op["outcome"], op["version"]) == ("enter", "delivered", 1)
    assert op["settled_at"] == "2026-03-01T12:00:00Z"
    assert told["rejects"] == []
    assert of(look(ann, "bob"), "told")["known"] == []


def test_the_last_ops_come_first_and_are_few(ann: World) -> None:
    for n in range(7):
        ann.users({"ann": {"score": 10.0 + n}}, ann.step(1))
        ann.run("traits")
    ops = of(look(ann, "ann"), "traits")["ops"]
    assert [op["version"] for op in ops] == [8, 7, 6, 5, 4]


def test_a_refused_row_shows_in_its_op_and_among_the_rejects(ann: World) -> None:
    ann.users({"ann": {"score": 2.0}, "bob": {"score": 2.0}}, ann.step(1))
    down(ann, REFUSED)
    ann.run("traits")
    traits = of(look(ann, "ann"), "traits")
    assert traits["ops"][0]["outcome"] == "rejected"
    (refused,) = traits["rejects"]
    assert (refused["code"], refused["state"]) == ("BadParams", "open")
    assert traits["known"][0]["version"] == 1, "it knows what it knew before"


def test_an_answer_that_was_lost_is_unsure(ann: World) -> None:
    ann.users({"ann": {"score": 2.0}}, ann.step(1))
    down(ann, Failed("connection lost", sent=True), apply=True)
    ann.run("traits")
    ann.users({"ann": {"score": 3.0}}, ann.step(7))
    ann.run("traits")
    traits = of(look(ann, "ann"), "traits")
    assert traits["known"][0]["unsure_until"] is not None
    assert traits["ops"][1]["outcome"] == "no answer, the plan is superseded"
    assert traits["ops"][0]["outcome"] == "no answer, the plan is delivering"


def test_consent_is_the_answer_in_the_traits(ann: World) -> None:
    sync = ann.syncs["told"]
    ann.syncs["told"] = replace(sync, options=sync.options.model_copy(update={"consent": "label"}))
    assert of(look(ann, "ann"), "told")["consent"] == {"column": "label", "value": "gold"}
    assert of(look(ann, "ann"), "traits")["consent"] == {"column": None, "value": None}


def test_nothing_tells_who_it_is_unless_asked(ann: World) -> None:
    said = json.dumps(look(ann, "ann", show_pii=False), default=str)
    for secret in ("@example", '"ann"', "ann-old", "laptop"):
        assert secret not in said
    assert hashed("ann") in said


def test_a_user_who_has_left_the_traits_is_still_known(ann: World) -> None:
    ann.users({"bob": {}}, ann.step(1))
    found = look(ann, "ann")
    assert found["traits"] is None
    assert of(found, "traits")["known"]


def test_a_suppressed_user_is_said_to_be(ann: World) -> None:
    with ann.connect() as warehouse:
        suppress(warehouse, ["bob@example.com", "gone"], "asked for it", ann.clock.now())
    assert look(ann, "bob")["suppressed"] is True
    assert look(ann, "gone")["suppressed"] is True, "and not that nobody knows of it"
    assert look(ann, "ann")["suppressed"] is False


def test_a_user_nobody_knows(ann: World) -> None:
    with pytest.raises(ConfigError, match="no such user"):
        look(ann, "nobody")


def test_by_address(ann: World) -> None:
    assert find(ann, " Ann@Example.com ") == "ann"
    assert find(ann, "a.old@example.com") == "ann"
    with pytest.raises(ConfigError, match="2 users have this address"):
        find(ann, "both@example.com")
    with pytest.raises(ConfigError, match="nobody has this address") as caught:
        find(ann, "x@example.com")
    assert "x@example.com" not in str(caught.value)


def test_an_address_that_only_a_destination_knows(ann: World) -> None:
    ann.users({"bob": {}}, ann.step(1))
    with ann.connect() as warehouse:
        warehouse.execute("delete from analytics.user_emails where user_id = 'ann'")
    assert find(ann, "ann@example.com") == "ann"


def test_without_a_build_there_is_nothing_to_say(world: World) -> None:
    with pytest.raises(DataError, match="tailrace build"):
        look(world, "ann")
