"""The list of who is suppressed: keyed hashes, compared in SQL."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from orchestration.suppression import hash_sql, note_merges, suppress, suppressed, unsuppress
from orchestration.warehouse.duckdb import DuckDBWarehouse
from orchestration.warehouse.schema import start_again, state_value
from tests.support.world import T0, World

KEY_OF = "select value from tailrace.destination_state where name = 'suppression_key'"


@pytest.mark.parametrize("value", ["u1", "", "ada@example.com", "ü☃\U0001f600", "x" * 300, " u 1 "])
def test_the_hash_is_hmac_sha256(warehouse: DuckDBWarehouse, value: str) -> None:
    suppress(warehouse, ["somebody"], "", T0)
    key = bytes.fromhex(warehouse.rows(KEY_OF)[0][0])
    assert len(key) == 32
    ((found,),) = warehouse.rows(f"select {hash_sql('$value')}", {"value": value})
    assert found == hmac.new(key, value.encode(), hashlib.sha256).hexdigest()


def test_nothing_is_asked_of_the_warehouse_while_nobody_is_suppressed(
    warehouse: DuckDBWarehouse,
) -> None:
    assert suppressed(warehouse, "user_id") == "false"
    suppress(warehouse, ["u1"], "", T0)
    assert suppressed(warehouse, "user_id") != "false"
    assert suppressed(warehouse) == "false", "of no expressions none is suppressed"
    unsuppress(warehouse, ["u1"])
    assert suppressed(warehouse, "user_id") == "false"


@pytest.mark.parametrize(
    ("given_as", "asked", "expected"),
    [
        (" Ada@Example.com ", "ada@example.com", True),
        ("ada@example.com", "ADA@example.com ", True),
        ("Ada <mailto:Ada@example.com>", "ada@example.com", True),
        ("zoe\u0308@example.com\xa0", "zo\xeb@example.com", True),
        ("zoe\u0308@example.com", "ZOE\u0308@example.com", True),
        ("U1", "U1", True),
        ("U1", "u1", False),
        (" u1", "u1", True),  # the dest_key of the id ' u1'
        (" u1", " u1", True),
        ("u1", "u10", False),
        ("u1\n", "u1\n", True),  # an id may end so, and a pasted one, too
        ("\tu1\r\n", "\tu1\r\n", True),
        ("\tu1\r\n", "u1", True),
    ],
)
def test_addresses_match_normalised_and_ids_as_they_are(
    warehouse: DuckDBWarehouse, given_as: str, asked: str, expected: bool
) -> None:
    suppress(warehouse, [given_as], "", T0)
    condition = suppressed(warehouse, "$asked", "cast(null as varchar)")
    assert warehouse.rows(f"select {condition}", {"asked": asked}) == [(expected,)]


def test_the_condition_is_never_null(warehouse: DuckDBWarehouse) -> None:
    suppress(warehouse, ["u1"], "", T0)
    assert warehouse.rows(f"select {suppressed(warehouse, 'null', 'null')}") == [(False,)]


@pytest.mark.parametrize("given_as", ["old", "older", "now", "twin"])
def test_whoever_is_one_with_somebody_suppressed_is_suppressed(given_as: str, world: World) -> None:
    world.merges({"older": "old", "old": "now", "twin": "now", "other": "another"})
    with world.connect() as warehouse:
        suppress(warehouse, [given_as], "", T0)

        def barred() -> set[str]:
            people = "(values ('old'), ('older'), ('now'), ('twin'), ('other'), ('another'))"
            found = f"select id from {people} as p (id) where {suppressed(warehouse, 'id')}"
            return {one for (one,) in warehouse.rows(found)}

        assert barred() == {given_as}, "nothing has said yet where merges are"
        note_merges(warehouse, "analytics.user_merges")
        assert barred() == {"old", "older", "now", "twin"}
        unsuppress(warehouse, [given_as])
        assert barred() == set()
        suppress(warehouse, [given_as], "", T0)
        warehouse.execute("drop table analytics.user_merges")
        assert barred() == {given_as}, "a relation that is gone ties nobody"
        note_merges(warehouse, None)
        assert barred() == {given_as}


def test_no_value_is_stored_and_two_warehouses_hash_differently(
    warehouse: DuckDBWarehouse, world: World
) -> None:
    for one in (warehouse, world.connect()):
        assert suppress(one, ["ada@example.com"], "erasure", T0).added == 1
        assert suppress(one, ["ADA@example.com"], "again", T0).added == 0
    here = warehouse.rows("select hmac, reason from tailrace.suppressed")
    there = world.rows("select hmac, reason from tailrace.suppressed")
    assert len(here[0][0]) == 64
    assert here[0][1] == there[0][1] == "erasure"
    assert here[0][0] != there[0][0]


def test_beginning_again_keeps_who_is_suppressed(warehouse: DuckDBWarehouse) -> None:
    suppress(warehouse, ["u1"], "asked us to", T0)
    key = state_value(warehouse, "", "suppression_key")
    with warehouse.transaction():
        start_again(warehouse)
    assert state_value(warehouse, "", "suppression_key") == key
    condition = suppressed(warehouse, "'u1'")
    assert warehouse.rows(f"select {condition}") == [(True,)]
    with warehouse.transaction():
        start_again(warehouse)
    assert warehouse.rows("select reason from tailrace.suppressed") == [("asked us to",)]
