"""What is wrong is said before anybody is suppressed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from destinations.errors import ConfigError
from orchestration.engine import Engine
from orchestration.forgetting import forget, would_forget
from orchestration.sql.names import text
from orchestration.suppression import suppressed
from tests.support.deleting import can_delete
from tests.support.world import T0, World


@pytest.fixture
def told(world: World) -> World:
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.users({"zoe": {}}, T0)
    assert world.run("traits").delivered == 1
    return world


def without_key(world: World) -> Engine:
    engine = world.engine()
    account = engine.accounts["iterable"]
    bare = replace(account, settings={**account.settings, "api_key": ""})
    return replace(engine, accounts={"iterable": bare})


def is_suppressed(world: World, who: str) -> bool:
    with world.connect() as warehouse:
        return bool(warehouse.rows(f"select {suppressed(warehouse, text(who))}")[0][0])


def test_an_account_that_is_not_set_up(told: World, monkeypatch: pytest.MonkeyPatch) -> None:
    can_delete(monkeypatch)
    with pytest.raises(ConfigError, match="is empty"):
        forget(without_key(told), "zoe", by_email=False)
    assert not is_suppressed(told, "zoe")


def test_no_secret_is_asked_for_where_nothing_can_be_deleted(told: World) -> None:
    done = forget(without_key(told), "zoe", by_email=False)
    assert (done.status, done.by_hand) == ("done", {"iterable": 1})
    assert is_suppressed(told, "zoe")


def test_an_address_is_no_user_id(told: World) -> None:
    for run in (would_forget, forget):
        with pytest.raises(ConfigError, match="add --email"):
            run(told.engine(), "zoe@example.com", by_email=False)
    assert not is_suppressed(told, "zoe@example.com")
