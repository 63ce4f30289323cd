"""The whole way from a mapping to the endpoint and back to what is known of it."""

from __future__ import annotations

import hashlib

import pytest

from destinations.errors import ConfigError
from tests.support.world import T0, World

FIELDS = {
    "score": "score",
    "tier": {"sql": "case when score >= 10 then 'gold' else 'none' end"},
    "source": {"value": "warehouse"},
    "contact": {"column": "email", "hash": "sha256", "normalise": "email"},
    "label": {"column": "label", "nulls": "keep"},
}


def test_fields_arrive_as_the_mapping_says(world: World) -> None:
    world.sync("traits", sends="traits", fields=FIELDS)
    world.users({"ada": {"email": " Ada@Example.com", "score": 12.5, "label": "x"}}, at=T0)
    assert world.run("traits").delivered == 1
    found = world.fields("ada@example.com")
    assert {name: found[name] for name in FIELDS} == {
        "score": 12.5,
        "tier": "gold",
        "source": "warehouse",
        "contact": hashlib.sha256(b"ada@example.com").hexdigest(),
        "label": "x",
    }


def test_a_kept_value_stays_when_it_is_lost_and_goes_when_it_changes(world: World) -> None:
    world.sync("traits", sends="traits", fields=FIELDS)
    world.users({"ada": {"score": 1.0, "label": "x"}}, at=T0)
    world.run("traits")
    world.users({"ada": {"score": 1.0}}, at=world.step())
    assert world.plan("traits").counts.get("update", 0) == 0, "a lost value alone is no change"
    world.users({"ada": {"score": 2.0}}, at=world.step())
    assert world.run("traits").delivered == 1
    assert world.fields("ada@example.com")["label"] == "x"
    assert world.plan("traits").counts.get("update", 0) == 0
    world.users({"ada": {"score": 2.0, "label": "x"}}, at=world.step())
    assert world.plan("traits").counts.get("update", 0) == 0, "it came back as it was"
    world.users({"ada": {"score": 2.0, "label": "y"}}, at=world.step())
    world.run("traits")
    assert world.fields("ada@example.com")["label"] == "y"


@pytest.mark.parametrize(("nulls", "left"), [("clear", None), ("omit", "x")])
def test_a_null_clears_or_is_left_out(world: World, nulls: str, left: str | None) -> None:
    world.sync("traits", sends="traits", fields={"label": {"column": "label", "nulls": nulls}})
    world.users({"ada": {"label": "x"}}, at=T0)
    world.run("traits")
    world.users({"ada": {}}, at=world.step())
    assert world.run("traits").delivered == 1
    assert world.fields("ada@example.com").get("label") == left


def test_a_row_that_cannot_be_computed_is_a_reject_and_others_go_on(world: World) -> None:
    world.sync("traits", sends="traits", fields={"n": {"sql": "cast(label as int)"}})
    world.users({"ada": {"label": "1"}, "bob": {"label": "two"}, "cy": {}}, at=T0)
    assert world.run("traits").delivered == 2
    assert world.fields("ada@example.com")["n"] == 1
    assert world.rows("select field from tailrace.rejects") == [("n",)]


def test_an_expression_the_warehouse_refuses_stops_the_plan(world: World) -> None:
    world.sync("traits", sends="traits", fields={"n": {"sql": "score + true"}})
    world.users({"ada": {}}, at=T0)
    with pytest.raises(ConfigError) as raised:
        world.plan("traits")
    assert raised.value.key == "exposures.traits.config.meta.sync.fields.n.sql"
    assert not world.calls()


def test_an_expression_over_an_audience_and_its_traits(world: World) -> None:
    world.audience("vips")
    fields = {"both": {"sql": "level + score"}, "named": {"sql": "coalesce(label, 'nobody')"}}
    world.sync(
        "sync", audience="vips", sends="membership", fields=fields, send_updates=True,
        **{"as": "identify"},
    )  # fmt: skip
    world.users({"ada": {"score": 2.0}}, at=T0)
    world.members("vips", {"ada": 40.0}, at=T0)
    world.evaluate("vips")
    assert world.run("sync").delivered == 1
    found = world.fields("ada@example.com")
    assert (found["vips"], found["both"], found["named"]) == (True, 42.0, "nobody")


def test_a_field_by_another_name_is_sent_under_it(world: World) -> None:
    """The values are what they were; only the mapping is not."""
    more = {"sql": "score + 1"}
    world.sync("traits", sends="traits", fields={"a": "score", "b": more})
    world.users({user: {"score": 1.0} for user in ("ada", "bob")}, at=T0)
    world.run("traits")
    for fields in ({"a": "score", "c": more}, {"a": more, "c": "score"}):
        world.sync("traits", sends="traits", fields=fields)
        assert world.plan("traits").counts == {"update": 2}, fields
        assert world.run("traits").delivered == 2
        assert world.plan("traits").verdict == "empty"
    found = world.fields("ada@example.com")
    assert (found["a"], found["c"]) == (2.0, 1.0)
    masked = {"a": {**more, "pii": "other"}, "c": "score"}
    world.sync("traits", sends="traits", fields=masked)
    assert world.run("traits").status == "nothing", "what is masked is no change"


def test_rows_that_cannot_be_sent_are_said(world: World) -> None:
    odd = {"inverse": {"sql": "case when score = 0 then 1 / 0 else 1.0 end"}}
    world.sync("traits", sends="traits", fields=odd)
    world.users({"ada": {"score": 0.0}, "bob": {"score": 1.0}}, at=T0)
    assert world.plan("traits").unsendable == 1
    run = world.run("traits")
    assert (run.delivered, run.unsendable) == (1, 1)


@pytest.mark.parametrize("gone", [False, True])
def test_an_exit_writes_nothing_of_who_had_the_address_before(world: World, gone: bool) -> None:
    world.audience("vips")
    fields = {"score": "score", "tier": FIELDS["tier"], "source": {"value": "warehouse"}}
    world.sync("vips", audience="vips", sends="membership", fields=fields, **{"as": "identify"})
    world.users({"ada": {"email": "a@x.org", "score": 1.0}, "bob": {"email": "b@x.org"}}, at=T0)
    world.members("vips", {"ada"}, at=T0)
    world.evaluate("vips")
    world.run("vips")
    before = dict(world.fields("a@x.org"))
    assert (before["vips"], before["tier"]) == (True, "none")
    now = world.step()
    moved = {"bob": {"email": "a@x.org", "score": 0.0}}
    world.users(moved if gone else {**moved, "ada": {"email": "b@x.org", "score": 99.0}}, at=now)
    world.members("vips", set() if gone else {"ada"}, at=now)
    world.evaluate("vips")
    world.run("vips")
    assert world.fields("a@x.org") == {**before, "vips": False}
    assert gone or world.fields("b@x.org")["tier"] == "gold"


def test_an_exit_goes_out_without_what_is_wrong(world: World) -> None:
    world.audience("lapsed")
    fields = {"score": "score", "inverse": {"sql": "case when score = 0 then 1 / 0 else 1.0 end"}}
    world.sync("told", audience="lapsed", sends="membership", fields=fields, **{"as": "track"})
    world.users({"ada": {"score": 1.0}}, at=T0)
    for members, score in (({"ada"}, 1.0), (set[str](), 0.0)):
        at = world.step()
        world.users({"ada": {"score": score}}, at)
        world.members("lapsed", members, at)
        world.evaluate("lapsed")
        assert world.run("told").delivered == 1
    _, left = world.profile("ada@example.com")["events"]
    assert left["eventName"] == "Audience Exited"
    assert "inverse" not in left["dataFields"]
    assert left["dataFields"]["score"] == 0.0
    assert world.rows("select count(*) from tailrace.rejects") == [(0,)]
