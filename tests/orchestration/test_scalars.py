"""Whatever a warehouse can hold arrives at an endpoint as the same value, or is not sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from math import copysign
from typing import Any
from uuid import RFC_4122, UUID

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destinations.errors import ConfigError
from orchestration.sql.names import text
from orchestration.sql.scalars import (
    Column,
    Type,
    canonical_text,
    column_type,
    json_text,
    row_hash,
    unsendable,
    uuid_of,
)
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from tests.conftest import FakeClock

TIMES = "%Y-%m-%d %H:%M:%S +00:00"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
doubles = st.floats(allow_nan=False, allow_infinity=False)
EDGES = [0.0, -0.0, 1e300, -1e300, 5e-324, -5e-324, 2.2250738585072014e-308, 0.1, 1e16, 1e15, 1e22]
HOSTILE = [
    '"',
    "\\",
    "'",
    "\x00",
    "\x1f",
    "\x7f",
    "\n\r\t",
    "\u2028",
    "\ufffe\uffff",
    "😀",
    "-",
    "",
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBWarehouse]:
    path = tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb"
    with open_duckdb(path, clock=FakeClock()) as opened:
        yield opened


def strict(rendered: str) -> Any:
    def never(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(rendered, parse_constant=never)


def load(warehouse: DuckDBWarehouse, values: list[Any], kind: pa.DataType, cast: str) -> Column:
    """Put values into a table as one type of the engine; returns the column `v` of `t`."""
    table = pa.table({"i": range(len(values)), "v": pa.array(values, kind)})
    warehouse.execute("create or replace temp table given (i bigint, v " + cast + ")")
    warehouse.append("given", table)
    ((engine_type,),) = warehouse.rows("select any_value(typeof(v)) from given")
    return Column("v", column_type(engine_type, "v"))


def select(warehouse: DuckDBWarehouse, expression: str) -> list[Any]:
    return [row[0] for row in warehouse.rows(f"select {expression} from given order by i")]


def rendered(warehouse: DuckDBWarehouse, column: Column) -> list[Any]:
    condition = unsendable(column)
    if condition:
        assert not any(select(warehouse, condition)), "fit to be sent"
    return [strict(value) for value in select(warehouse, json_text(column, TIMES))]


@settings(max_examples=40)
@given(st.lists(texts, min_size=1, max_size=20))
def test_strings(shared: DuckDBWarehouse, values: list[str]) -> None:
    values += HOSTILE
    assert rendered(shared, load(shared, values, pa.string(), "varchar")) == values


@settings(max_examples=40)
@given(st.lists(doubles, min_size=1, max_size=20))
def test_doubles_are_the_same_and_never_look_like_integers(
    shared: DuckDBWarehouse, values: list[float]
) -> None:
    values += EDGES
    column = load(shared, values, pa.float64(), "double")
    found = rendered(shared, column)
    assert all(type(value) is float for value in found)
    assert found == values
    assert [copysign(1, value) for value in found] == [copysign(1, value) for value in values]


@settings(max_examples=20)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_floats_are_the_shortest_text_of_themselves(
    shared: DuckDBWarehouse, values: list[float]
) -> None:
    found = rendered(shared, load(shared, values, pa.float32(), "float"))
    assert all(type(value) is float for value in found)
    assert pa.array(found, pa.float64()).cast(pa.float32(), safe=False).to_pylist() == values


@settings(max_examples=40)
@given(st.sampled_from([(2, 2), (4, 1), (9, 0), (18, 3), (38, 10), (38, 38)]), st.data())
def test_decimals_keep_every_digit(
    shared: DuckDBWarehouse, shape: tuple[int, int], data: st.DataObject
) -> None:
    width, scale = shape
    digits = st.integers(-(10**width) + 1, 10**width - 1)
    unscaled = [*data.draw(st.lists(digits, min_size=1, max_size=10)), 0, 1, -1, 5]
    signs = [(number < 0, tuple(map(int, str(abs(number))))) for number in unscaled]
    values = [Decimal((sign, digits, -scale)) for sign, digits in signs]
    load(shared, [f"{value:f}" for value in values], pa.string(), f"decimal({width}, {scale})")
    column = Column("v", Type.DECIMAL)
    found = select(shared, json_text(column, TIMES))
    assert [json.loads(value, parse_float=Decimal) for value in found] == values
    assert all(type(strict(value)) is float for value in found)


@settings(max_examples=30)
@given(st.lists(st.integers(-(2**127), 2**127 - 1), min_size=1))
def test_integers_up_to_hugeint(shared: DuckDBWarehouse, values: list[int]) -> None:
    values += [0, -1, 2**53 + 1, -(2**127), 2**127 - 1]
    column = load(shared, [str(value) for value in values], pa.string(), "hugeint")
    assert column.type is Type.INTEGER
    found = rendered(shared, column)
    assert found == values
    assert all(type(value) is int for value in found)


def test_booleans(shared: DuckDBWarehouse) -> None:
    found = rendered(shared, load(shared, [True, False], pa.bool_(), "boolean"))
    assert found[0] is True
    assert found[1] is False


@settings(max_examples=30)
@given(st.lists(st.dates(), min_size=1))
def test_dates(shared: DuckDBWarehouse, values: list[date]) -> None:
    values += [date.min, date.max, date(999, 12, 31)]
    found = rendered(shared, load(shared, values, pa.date32(), "date"))
    assert [date.fromisoformat(value) for value in found] == values


@settings(max_examples=30)
@given(st.lists(st.datetimes(), min_size=1), st.sampled_from(["timestamp", "timestamptz"]))
def test_instants_are_utc(
    shared: DuckDBWarehouse, values: list[datetime], engine_type: str
) -> None:
    edges = ["0001-01-01 00:00:00", "1969-12-31 23:59:59", "9999-12-31 23:59:59.999999"]
    values += map(datetime.fromisoformat, edges)
    zone = "UTC" if engine_type == "timestamptz" else None
    stored = [value.replace(tzinfo=UTC) if zone else value for value in values]
    column = load(shared, stored, pa.timestamp("us", zone), engine_type)
    assert column.type is Type.TIMESTAMP
    found = [datetime.strptime(value, "%Y-%m-%d %H:%M:%S %z") for value in rendered(shared, column)]
    assert found == [value.replace(microsecond=0, tzinfo=UTC) for value in values]


def test_an_instant_of_another_zone_is_sent_in_utc(shared: DuckDBWarehouse) -> None:
    column = load(shared, ["2026-01-01 00:30:00+02"], pa.string(), "timestamptz")
    assert rendered(shared, column) == ["2025-12-31 22:30:00 +00:00"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | doubles | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.lists(json_values, min_size=1, max_size=10), st.sampled_from([None, 2]), st.booleans())
def test_json_passes_through(
    shared: DuckDBWarehouse, values: list[Any], indent: int | None, ascii_only: bool
) -> None:
    values += [{"nan": 1, "NaN": "-Infinity", 'a"nan': '\\"NaN'}, "NaN", [], {}, 1e300, 5e-324]
    written = [json.dumps(value, indent=indent, ensure_ascii=ascii_only) for value in values]
    column = load(shared, written, pa.string(), "json")
    assert column.type is Type.JSON
    found = rendered(shared, column)
    assert json.dumps(found) == json.dumps(values), "equal, and of the same types"


def test_json_that_only_the_engine_takes_for_json_becomes_json_or_is_not_sent(
    shared: DuckDBWarehouse,
) -> None:
    column = load(shared, ["[1,]", '{"a": [1, 2, ], }', " 1 "], pa.string(), "json")
    assert rendered(shared, column) == [[1], {"a": [1, 2]}, 1]
    strange = ["NaN", "[-Infinity]", '{"a": {"b": NaN}}', "[nan]", '["\\"", inf]']
    column = load(shared, [*strange, None], pa.string(), "json")
    assert select(shared, str(unsendable(column))) == [True] * 5 + [False]


@pytest.mark.parametrize(
    ("engine_type", "values"),
    [
        ("double", ["nan", "inf", "-inf"]),
        ("float", ["nan", "inf", "-inf"]),
        ("timestamp", ["infinity", "-infinity", "10000-01-01", "0044-03-15 (BC)"]),
        ("timestamptz", ["infinity", "-infinity", "10000-01-01 00:00:00+00"]),
        ("timestamp_s", ["infinity", "294247-01-10 04:00:54"]),
        ("date", ["infinity", "-infinity", "10000-01-01", "0044-03-15 (BC)", "5881580-07-10"]),
    ],
)
def test_what_has_no_json_form_is_flagged_and_breaks_nothing(
    shared: DuckDBWarehouse, engine_type: str, values: list[str]
) -> None:
    """One such row must not stop the plan of everybody else: each expression has to evaluate."""
    column = load(shared, [*values, None], pa.string(), engine_type)
    flags = select(shared, str(unsendable(column)))
    assert flags[:-1] == [True] * len(values)
    assert not flags[-1]
    assert len(select(shared, json_text(column, TIMES))) == len(values) + 1
    assert len(select(shared, canonical_text(column))) == len(values) + 1


@pytest.mark.parametrize("kind", list(Type))
def test_null_stays_null(shared: DuckDBWarehouse, kind: Type) -> None:
    names = {Type.STRING: "varchar", Type.INTEGER: "bigint"}
    load(shared, [None], pa.string(), names.get(kind, kind.value))
    column = Column("v", kind)
    assert select(shared, json_text(column, TIMES)) == [None]
    assert select(shared, canonical_text(column)) == [None]
    assert not any(select(shared, unsendable(column) or "false"))


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("'x'::varchar", Type.STRING),
        ("uuid()", Type.STRING),
        ("'a]'::enum('a]', 'it''s (b)\n)')", Type.STRING),
        ("true", Type.BOOLEAN),
        ("1::utinyint", Type.INTEGER),
        ("1::uhugeint", Type.INTEGER),
        ("1::float", Type.DOUBLE),
        ("1.5", Type.DECIMAL),
        ("date '2026-01-01'", Type.DATE),
        ("now()", Type.TIMESTAMP),
        ("'2026-01-01'::timestamp_ns", Type.TIMESTAMP),
        ("'2026-01-01'::timestamp_ms", Type.TIMESTAMP),
        ("'{}'::json", Type.JSON),
    ],
)
def test_types_of_the_engine(shared: DuckDBWarehouse, sql: str, kind: Type) -> None:
    (described,) = shared.rows(f"describe select {sql} as v")
    assert column_type(described[1], "v") is kind
    column = Column("v", kind)
    ((value, digest),) = shared.rows(
        f"select {json_text(column, TIMES)}, {row_hash([column])} from (select {sql} as v)"
    )
    strict(value)
    assert len(digest) == 34


@pytest.mark.parametrize(
    "sql",
    ["[1]", "{'a': 1}", "map {'a': 1}", "'a'::blob", "interval 1 day", "time '01:00'",
     "['a'::json]", "[1.5::decimal(3, 1)]", "'1'::bit", "array_value(1, 2)"],
)  # fmt: skip
def test_types_that_cannot_be_sent_are_refused(shared: DuckDBWarehouse, sql: str) -> None:
    (described,) = shared.rows(f"describe select {sql} as v")
    with pytest.raises(ConfigError) as raised:
        column_type(described[1], "my_column", file="models/a.sql")
    assert raised.value.file == "models/a.sql"
    assert raised.value.key == "my_column"
    assert "json" in raised.value.accepted


def reference_uuid(*parts: str) -> str:
    """RFC 9562 section 5.8: sha256 with version 8 and the variant bits in their places."""
    digest = bytearray(
        hashlib.sha256("".join(f"{len(p)}:{p}" for p in parts).encode()).digest()[:16]
    )
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))


@settings(max_examples=60)
@given(st.lists(texts, min_size=1, max_size=4))
def test_op_ids_are_uuids_of_their_parts(shared: DuckDBWarehouse, parts: list[str]) -> None:
    ((found,),) = shared.rows(f"select {uuid_of(*map(text, parts))}")
    assert found == reference_uuid(*parts)
    assert UUID(found).version == 8
    assert UUID(found).variant == RFC_4122


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("w", "s", "ada@example.com", "1"), "912c4df4-6a56-8890-88d5-ff69a85b2b0a"),
        (("",), "ba768b33-1fd8-8cec-803b-e04e56ab2b3d"),
        (("Größe 日本 😀", "\x00"), "35ad0a8f-09fd-8104-9a91-d3ca47dd8aa5"),
    ],
)
def test_op_ids_stay_what_they_were(
    shared: DuckDBWarehouse, parts: tuple[str, ...], expected: str
) -> None:
    assert shared.rows(f"select {uuid_of(*map(text, parts))}") == [(expected,)]


def test_parts_never_run_into_each_other(shared: DuckDBWarehouse) -> None:
    made = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        ("abc", ""),
        ("", "abc"),
        ("1:a", "bc"),
        ("a1:b", "c"),
    ]
    found = {shared.rows(f"select {uuid_of(*map(text, parts))}")[0] for parts in made}
    assert len(found) == len(made)
