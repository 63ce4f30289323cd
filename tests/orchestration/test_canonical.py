"""The text that is hashed: equal values have equal text, and nothing else has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestration.sql.names import text
from orchestration.sql.payloads import fields_hash
from orchestration.sql.scalars import (
    Column,
    Type,
    canonical_text,
    row_hash,
    row_text,
    stale_format,
)
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from tests.conftest import FakeClock

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
doubles = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBWarehouse]:
    path = tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb"
    with open_duckdb(path, clock=FakeClock()) as opened:
        yield opened


def load(warehouse: DuckDBWarehouse, **columns: tuple[list[Any], pa.DataType, str]) -> None:
    """Make the table `given` with columns of these values, Arrow types and engine's types."""
    types = ", ".join(f"{name} {engine}" for name, (_, _, engine) in columns.items())
    warehouse.execute(f"create or replace temp table given (i bigint, {types})")
    arrays = {name: pa.array(values, kind) for name, (values, kind, _) in columns.items()}
    rows = len(next(iter(arrays.values())))
    warehouse.append("given", pa.table({"i": range(rows), **arrays}))


def select(warehouse: DuckDBWarehouse, expression: str) -> list[Any]:
    return [row[0] for row in warehouse.rows(f"select {expression} from given order by i")]


def texts_of(warehouse: DuckDBWarehouse, values: list[Any], kind: str) -> list[str]:
    """Return the canonical text of values that are given as text of an engine's type."""
    load(warehouse, v=([str(value) for value in values], pa.string(), kind))
    types = {"double": Type.DOUBLE, "json": Type.JSON, "hugeint": Type.INTEGER}
    column = Column("v", Type.DECIMAL if kind.startswith("decimal") else types[kind])
    return select(warehouse, canonical_text(column))


def as_double(value: float) -> str:
    """The rule once more, from Python's own correct rounding."""
    shortest = Decimal(f"{value:.12g}")
    if abs(value) > 1e12 - 1 and abs(value) < 1.7e38:
        return str(int(shortest))
    return f"{value + 0.0:.12g}"


EDGES = [
    0.0, -0.0, 5.0, -5.0, 0.1, 0.3, 0.1 + 0.2, 1e-4, 9.9999999999999e-5, 1e-5, 1e11, 1e12, -1e12,
    999999999999.0, 999999999999.5, 999999999999.4, 999999999999.9999, 123456789012.5, 2.0**53,
    1e15, 1e16, 1e22, 1e37, 1.7e38, 1e39, 1e300, -1e300, 5e-324, 2.2250738585072014e-308, 1 / 3,
]  # fmt: skip


@settings(max_examples=60)
@given(st.lists(doubles | st.floats(-1e13, 1e13), min_size=1, max_size=30))
def test_doubles_are_known_by_twelve_digits(shared: DuckDBWarehouse, values: list[float]) -> None:
    values += EDGES
    assert texts_of(shared, [repr(value) for value in values], "double") == [
        as_double(value) for value in values
    ]


@settings(max_examples=60)
@given(st.lists(st.integers(-(10**12) + 1, 10**12 - 1), min_size=1), st.integers(-26, 25))
def test_equal_numbers_have_one_text_whatever_their_type(
    shared: DuckDBWarehouse, digits: list[int], exponent: int
) -> None:
    """Twelve digits, moved to anywhere a decimal of 38 can hold."""
    numbers = [Decimal(value).scaleb(exponent) for value in [*digits, 0, 1, -1, 10, 999999999999]]
    found = texts_of(shared, [f"{number:f}" for number in numbers], "double")
    scale = max(0, -exponent)
    for kind in {f"decimal(38, {scale})", f"decimal(38, {max(scale, 12 - max(exponent, 0))})"}:
        width, places = 38, int(kind[12:-1])
        fits = all(abs(number) < 10 ** (width - places) for number in numbers)
        if fits:
            assert texts_of(shared, [f"{number:f}" for number in numbers], kind) == found
    whole = [number for number in numbers if number == int(number)]
    same = [text for text, number in zip(found, numbers, strict=True) if number == int(number)]
    assert texts_of(shared, [int(number) for number in whole], "hugeint") == same


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(-(10**25), 10**25), st.integers(0, 38)), min_size=1, max_size=20)
)
@pytest.mark.slow
def test_decimals_have_one_text_exactly_if_they_are_equal(
    shared: DuckDBWarehouse, given_: list[tuple[int, int]]
) -> None:
    by_value: dict[Decimal, str] = {}
    for unscaled, scale in given_:
        value = Decimal(unscaled).scaleb(-scale)
        # As narrow as it can be, and with three zeros behind.
        for places in {scale, min(scale + 3, 38)}:
            if abs(value) < Decimal(10) ** (38 - places):
                (found,) = texts_of(shared, [f"{value:f}"], f"decimal(38, {places})")
                assert by_value.setdefault(value, found) == found
    assert len(set(by_value.values())) == len(by_value)


def test_small_decimals_of_many_digits_stay_apart(shared: DuckDBWarehouse) -> None:
    values = ["0.0000123456789012", "0.00001234567890123", "0.00001234567890124", "0.00001"]
    assert len(set(texts_of(shared, values, "decimal(38, 20)"))) == 4
    assert texts_of(shared, values[:1], "decimal(38, 20)") == texts_of(shared, values[:1], "double")


def test_the_order_of_a_sum_makes_no_change(shared: DuckDBWarehouse) -> None:
    amounts = [0.1, 19.99, 1e9, 4.35, 0.07, 123456.78, 2.67]
    sums = {sum(order) for order in permutations(amounts)}
    assert len(sums) > 1
    assert len(set(texts_of(shared, [repr(value) for value in sums], "double"))) == 1
    shares = [1 / 3 + 1 / 3 + 1 / 3, 1.0, 0.1 * 3 + 0.7, 1 - 1e-16, 1 + 3e-16]
    assert set(texts_of(shared, [repr(value) for value in shares], "double")) == {"1"}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.integers(-(2**80), 2**80)
    | doubles
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: Any, random: Random) -> Any:
    """Return an equal value whose keys come in another order at every depth."""
    if isinstance(value, list):
        return [shuffled(item, random) for item in value]
    if isinstance(value, dict):
        items = [(key, shuffled(item, random)) for key, item in value.items()]
        random.shuffle(items)
        return dict(items)
    return value


def long_number(value: Any) -> bool:
    return any(
        len(run) > 18
        for run in "".join(c if c.isdigit() else " " for c in json.dumps(value)).split()
    )


@settings(max_examples=80)
@given(st.lists(json_values, min_size=1, max_size=8), st.randoms(use_true_random=False))
@pytest.mark.slow
def test_json_is_the_same_in_any_order_and_layout(
    shared: DuckDBWarehouse, values: list[Any], random: Random
) -> None:
    assume(not long_number(values))
    written = [json.dumps(value) for value in values]
    other = [
        json.dumps(shuffled(value, random), indent=random.choice([None, 1, 4]), ensure_ascii=False)
        for value in values
    ]
    assert texts_of(shared, written, "json") == texts_of(shared, other, "json")


def typed(value: Any) -> Any:
    """Return something that is equal exactly if two values are the same JSON."""
    if isinstance(value, list):
        return ("array", *map(typed, value))
    if isinstance(value, dict):
        return ("object", frozenset((key, typed(item)) for key, item in value.items()))
    return (type(value).__name__, repr(value))


SIBLINGS: list[Any] = [
    {"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": {"b": 1}}, {"a": {}}, {"a": []}, {"a": None}, {},
    [], [[]], [{}], [1, 2], [2, 1], ["1"], [1], None, "null", "", "{}", '{"a":1}', True, "true",
    {"a": "b"}, {"a\":\"b": 1}, {"a": 2**64}, {"a": 2**64 + 1}, {"a": 2**53}, {"a": 2**53 + 1},
    {"a": 0.1}, {"a": 0.1 + 0.2}, {"a": 0.3}, {"": 1}, {" ": 1}, {"A": 1}, {"é": 1}, {"e\u0301": 1},
]  # fmt: skip


@settings(max_examples=80)
@given(st.lists(json_values, max_size=8))
def test_different_json_has_different_text(shared: DuckDBWarehouse, values: list[Any]) -> None:
    values += SIBLINGS
    found = texts_of(shared, [json.dumps(value) for value in values], "json")
    assert len(set(found)) == len({typed(value) for value in values})


def test_json_is_in_order_at_any_depth(shared: DuckDBWarehouse) -> None:
    first, second = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    for level in range(200):
        first, second = {"a": [level, first], "b": 2}, {"b": 2, "a": [level, second]}
    one, two = texts_of(shared, [json.dumps(first), json.dumps(second)], "json")
    assert one == two


cells = st.tuples(
    st.none()
    | st.sampled_from(["", "-", "1:a", "a", "2:", "null", "é", "e\u0301", "\x00", ":", ";", "1;"]),
    st.none() | st.sampled_from(["", "-", "a", "0", "1:-", "a1:", "null", "NULL"]),
    st.none() | st.integers(-2, 12),
    st.none() | st.sampled_from([0.0, 1.0, 0.1, 0.5, 0.3, 1e300]),
    st.none() | st.booleans(),
    st.none() | st.sampled_from(['""', "null", "[]", '{"a":1}', '"a"', "1"]),
)
CELLS = {
    "a": (pa.string(), "varchar", Type.STRING),
    "b": (pa.string(), "varchar", Type.STRING),
    "c": (pa.int32(), "int", Type.INTEGER),
    "d": (pa.float64(), "double", Type.DOUBLE),
    "e": (pa.bool_(), "boolean", Type.BOOLEAN),
    "f": (pa.string(), "json", Type.JSON),
}


@settings(max_examples=120)
@given(st.lists(cells, min_size=2, max_size=20), st.permutations("abcdef"))
def test_rows_have_one_hash_exactly_if_they_are_equal(
    shared: DuckDBWarehouse, rows: list[tuple[Any, ...]], order: list[str]
) -> None:
    made = dict(zip("abcdef", map(list, zip(*rows, strict=True)), strict=True))
    load(shared, **{name: (made[name], *CELLS[name][:2]) for name in CELLS})
    columns = [Column(name, CELLS[name][2]) for name in order]
    for rendered in (row_text(columns), row_hash(columns)):
        found = select(shared, rendered)
        assert len(set(found)) == len(set(zip(rows, found, strict=True))) == len(set(rows))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("'a'", "'bc'"), ("'ab'", "'c'")),
        (("null", "''"), ("''", "null")),
        (("null", "'null'"), ("'null'", "null")),
        (("'1:a'", "''"), ("''", "'1:a'")),
        (("'a'", "null"), ("'a0:'", "null")),
    ],
)
def test_values_never_run_into_each_other(
    shared: DuckDBWarehouse, one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    def hashed(values: tuple[str, ...]) -> Any:
        columns = [Column(f"cast({value} as varchar)", Type.STRING) for value in values]
        return shared.rows(f"select {row_hash(columns)}")

    assert hashed(one) != hashed(other)


def test_instants_count_to_the_microsecond_in_any_zone(shared: DuckDBWarehouse) -> None:
    at = datetime.fromisoformat("2026-01-01 12:00:00")
    stored = [at, at, at + timedelta(microseconds=1)]
    load(shared, v=(stored, pa.timestamp("us"), "timestamp"))
    first, second, third = select(shared, row_hash([Column("v", Type.TIMESTAMP)]))
    assert first == second != third
    zoned = "select " + canonical_text(Column("v", Type.TIMESTAMP))
    rows = shared.rows(
        f"{zoned} from (values (timestamptz '2026-01-01 14:00:00+02'), "
        "(timestamptz '2026-01-01 12:00:00+00')) as t (v)"
    )
    assert {value for (value,) in rows} == {"1767268800000000"}


def test_a_hash_does_not_change_from_one_version_to_the_next(shared: DuckDBWarehouse) -> None:
    """Another hash for the same row would send everything again: raise HASH_FORMAT for that."""
    columns = {
        "name": Column("'Ada'", Type.STRING),
        "nothing": Column("null::varchar", Type.STRING),
        "score": Column("1.50::double", Type.DOUBLE),
        "sum": Column("(0.1 + 0.2)::double", Type.DOUBLE),
        "count": Column("5::bigint", Type.INTEGER),
        "at": Column("timestamp '2026-01-01 00:00:00'", Type.TIMESTAMP),
        "day": Column("date '2026-01-01'", Type.DATE),
        "yes": Column("true", Type.BOOLEAN),
        "price": Column("2.50::decimal(5, 2)", Type.DECIMAL),
        "tags": Column("""'{"b": [2, 1], "a": null}'::json""", Type.JSON),
    }
    canonical = "3:Ada:1.5;0.3;5;1767225600000000@2026-01-01;true;2.5;" + '20~{"a":null,"b":[2,1]}'
    digest = hashlib.md5(canonical.encode(), usedforsecurity=False).hexdigest()
    assert shared.rows(f"select {row_text(columns.values())}") == [(canonical,)]
    assert shared.rows(f"select {row_hash(columns.values())}") == [(f"2:{digest}",)]
    assert shared.rows(f"select {fields_hash(columns)}") == [
        ("2:e5eb4145ffd95de4aa426dfd3065634b",)
    ]


def test_names_belong_to_values_and_their_order_does_not_matter(shared: DuckDBWarehouse) -> None:
    one, two = Column("'1'", Type.STRING), Column("'2'", Type.STRING)
    event = Column("'Entered'", Type.STRING)

    def of(fields: dict[str, Column], *constants: Column) -> Any:
        return shared.rows(f"select {fields_hash(fields, *constants)}")

    assert of({"a": one, "b": two}) == of({"b": two, "a": one})
    assert of({"a": one, "b": two}) != of({"a": two, "b": one})
    assert of({"a": one}) != of({"a": one}, event)
    assert of({"a": one}) != of({"b": one})
    assert of({}) == of({})


def test_a_hash_of_another_format_is_told_apart(shared: DuckDBWarehouse) -> None:
    old = hashlib.md5(b"1", usedforsecurity=False).hexdigest()
    for value, stale in [(old, True), ("3:" + old, True), ("22:" + old, True), (None, False)]:
        sql = text(value) if value else "cast(null as varchar)"
        assert shared.rows(f"select {stale_format(sql)}") == [(stale,)]
    for made in (row_hash([]), fields_hash({"a": Column("1", Type.INTEGER)}, keep=["a"])):
        assert shared.rows(f"select {stale_format(made)}") == [(False,)]


KEPT = {
    "name": Column("n", Type.STRING),
    "phone": Column("p", Type.STRING),
    "age": Column("a", Type.INTEGER),
}


def kept_hash(
    warehouse: DuckDBWarehouse, known: str | None, *values: Any, keep: tuple[str, ...]
) -> str:
    sql = fields_hash(KEPT, keep=keep, known="k")
    ((found,),) = warehouse.rows(
        f"select {sql} from (select ?::varchar as n, ?::varchar as p, ?::int as a, ?::varchar as k)",
        [*values, known],
    )
    return str(found)


def test_a_kept_value_that_became_null_is_no_change(shared: DuckDBWarehouse) -> None:
    def of(known: str | None, *values: Any, keep: tuple[str, ...] = ("phone", "age")) -> str:
        return kept_hash(shared, known, *values, keep=keep)

    before = of(None, "Ada", "1", 7)
    assert of(before, "Ada", "1", 7) == before
    assert of(before, "Ada", None, 7) == of(before, "Ada", "1", None) == before
    assert of(before, "Ada", None, None) == before
    assert len({before, of(before, None, None, None), of(before, "Bob", None, None)}) == 3
    assert of(before, "Ada", "2", 7) != before
    assert of(before, "Ada", "1", 8) != before
    # It comes back as it was: nothing to say. As another: a change.
    assert of(of(before, "Ada", None, None), "Ada", "1", 7) == before
    # Nothing known of it yet, then a first value.
    first = of(None, "Ada", None, None)
    assert first.endswith(":-:-")
    assert of(first, "Ada", None, None) == first
    assert of(first, "Ada", "1", None) != first
    assert of(hashlib.md5(b"1", usedforsecurity=False).hexdigest(), "Ada", None, None) == first
    # Only what is named is kept.
    alone = of(None, "Ada", "1", 7, keep=("phone",))
    assert alone.count(":") == 2
    assert of(alone, "Ada", None, 7, keep=("phone",)) == alone
    assert of(alone, "Ada", "1", None, keep=("phone",)) != alone


def test_a_kept_part_of_another_field_is_never_taken_for_its_own(shared: DuckDBWarehouse) -> None:
    """A mapping that changed leaves parts in other places than now."""
    was = kept_hash(shared, None, "same", "same", 1, keep=("phone",))
    now = kept_hash(shared, was, None, "other", 1, keep=("name", "phone"))
    assert now != was
    assert kept_hash(shared, now, "same", "other", 1, keep=("name", "phone")) != now


def test_what_is_kept_needs_something_known(shared: DuckDBWarehouse) -> None:
    sql = fields_hash(KEPT, keep=["phone"])
    (row,) = shared.rows(f"select {sql} from (select 'Ada' as n, null as p, 7 as a)")
    assert row[0].endswith(":-")
