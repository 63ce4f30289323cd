from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destinations.base import PayloadSpec
from destinations.errors import ConfigError
from destinations.testing import render, strict
from orchestration.sql.names import checked_name, ident, instant, text
from orchestration.sql.payloads import first_unsendable, json_object, payload
from orchestration.sql.scalars import Column, Type, column_type
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from tests.conftest import FakeClock

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = {
    pa.string(): texts,
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.bool_(): st.booleans(),
}
values = st.sampled_from(list(scalars)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.none() | scalars[kind])
)
HOSTILE = [
    "",
    '"',
    "'",
    "a'b\"c\\d",
    "{x}",
    "%s",
    "\x00",
    "\n",
    "日本 😀",
    "a.b",
    "$name",
    "?",
    "--",
]
SPEC = PayloadSpec("email", "dataFields", constants={"merge": "false", "s": '"x\'y"'})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBWarehouse]:
    path = tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb"
    with open_duckdb(path, clock=FakeClock()) as opened:
        yield opened


def load(
    warehouse: DuckDBWarehouse, fields: Mapping[str, tuple[pa.DataType, Any]]
) -> dict[str, Column]:
    """Make a row of these values; returns its columns by the name of the field they go to."""
    arrays = {f"c{n}": pa.array([value], kind) for n, (kind, value) in enumerate(fields.values())}
    warehouse.execute("drop table if exists given")
    warehouse._con.register("incoming", pa.table({"dest_key": ["ada@example.com"], **arrays}))
    warehouse.execute("create temp table given as select * from incoming")
    warehouse._con.unregister("incoming")
    types = {row[0]: row[1] for row in warehouse.rows("describe given")}
    return {
        name: Column(ident(column), column_type(types[column], column))
        for name, column in zip(fields, arrays, strict=True)
    }


def made(warehouse: DuckDBWarehouse, spec: PayloadSpec, fields: str, **more: Any) -> bytes:
    ((rendered,),) = warehouse.rows(
        f"select {payload(spec, 'dest_key', fields, **more)} from given"
    )
    return str(rendered).encode()


@settings(max_examples=60)
@given(st.dictionaries(texts | st.sampled_from(HOSTILE), values, max_size=6), st.booleans())
def test_a_payload_is_what_a_connector_is_promised(
    shared: DuckDBWarehouse, fields: dict[str, tuple[pa.DataType, Any]], nulls: bool
) -> None:
    columns = load(shared, fields)
    found = strict(made(shared, SPEC, json_object(columns, SPEC, nulls=nulls)))
    kept = {name: value for name, (_, value) in fields.items() if nulls or value is not None}
    assert found == strict(render(SPEC, "ada@example.com", kept))
    types = {name: type(value) for name, value in found["dataFields"].items()}
    assert types == {name: type(value) for name, value in kept.items()}
    assert list(found["dataFields"]) == list(kept), "in the order of the sync"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_and_keys(shared: DuckDBWarehouse, name: str) -> None:
    columns = load(shared, {name: (pa.string(), name), f"{name}2": (pa.string(), None)})
    spec = PayloadSpec(f"id{name}", f"fields{name}", f"event{name}")
    event = Column(text(f"Said {name}"), Type.STRING)
    found = strict(made(shared, spec, json_object(columns, spec, nulls=True), event=event))
    assert found == {
        f"id{name}": "ada@example.com",
        f"event{name}": f"Said {name}",
        f"fields{name}": {name: name, f"{name}2": None},
    }


def test_an_event_is_named_only_where_the_kind_has_one(shared: DuckDBWarehouse) -> None:
    columns = load(shared, {"plan": (pa.string(), "pro")})
    event = Column("'Order Completed'", Type.STRING)
    fields = json_object(columns, SPEC, nulls=False)
    assert "Order" not in made(shared, SPEC, fields, event=event).decode()


def test_nothing_to_say_is_an_empty_object(shared: DuckDBWarehouse) -> None:
    columns = load(shared, {"plan": (pa.string(), None)})
    for fields in (json_object({}, SPEC, nulls=True), json_object(columns, SPEC, nulls=False)):
        assert strict(made(shared, SPEC, fields))["dataFields"] == {}
    cleared = strict(made(shared, SPEC, json_object(columns, SPEC, nulls=True)))
    assert cleared["dataFields"] == {"plan": None}


def test_each_field_has_its_own_word_on_nulls(shared: DuckDBWarehouse) -> None:
    columns = load(shared, {"a": (pa.string(), None), "b": (pa.string(), None)})
    fields = json_object(columns, SPEC, nulls={"a": "false", "b": "dest_key is not null"})
    assert strict(made(shared, SPEC, fields))["dataFields"] == {"b": None}


def test_instants_follow_the_connectors_format(shared: DuckDBWarehouse) -> None:
    columns = load(
        shared, {"at": (pa.timestamp("us"), datetime.fromisoformat("2026-01-02 03:04:05.678"))}
    )
    spec = PayloadSpec("id", "f", timestamps="%Y-%m-%d %H:%M:%S +00:00")
    found = strict(made(shared, spec, json_object(columns, spec, nulls=True)))
    assert found["f"] == {"at": "2026-01-02 03:04:05 +00:00"}


def test_the_first_field_that_cannot_be_sent_is_named(shared: DuckDBWarehouse) -> None:
    shared.execute(
        "create or replace temp table given as select * from (values "
        "(1, 1.0::double, date '2026-01-01', null::json), "
        "(2, 'nan'::double, date '2026-01-01', null), "
        "(3, null, 'infinity'::date, 'NaN'::json), "
        "(4, null, null, 'NaN'::json)) as t(i, d, day, j)"
    )
    fields = {
        'it\'s "d"': Column("d", Type.DOUBLE),
        "s": Column("'x'", Type.STRING),
        "day": Column("day", Type.DATE),
        "j": Column("j", Type.JSON),
    }
    found = shared.rows(f"select {first_unsendable(fields)} from given order by i")
    assert [name for (name,) in found] == [None, 'it\'s "d"', "day", "j"]
    assert shared.rows(f"select {first_unsendable({})} from given limit 1") == [(None,)]
    only = {"s": Column("'x'", Type.STRING)}
    assert shared.rows(f"select {first_unsendable(only)} from given limit 1") == [(None,)]


def test_large_rows_and_many_fields(shared: DuckDBWarehouse) -> None:
    fields = {f"field_{number}": (pa.string(), "x" * 1_000) for number in range(150)}
    columns = load(shared, fields)
    found = strict(made(shared, SPEC, json_object(columns, SPEC, nulls=True)))
    assert len(found["dataFields"]) == 150
    assert json.dumps(found).count("x" * 1_000) == 150


@given(texts)
def test_any_text_is_a_literal(shared: DuckDBWarehouse, value: str) -> None:
    assert shared.rows(f"select {text(value)}") == [(value,)]


@pytest.mark.parametrize(
    "name", ['a"b', "select", "a; drop table x", "a--b", "it's", "日本", " a "]
)
def test_any_name_is_an_identifier(shared: DuckDBWarehouse, name: str) -> None:
    shared.execute(f"create or replace temp table {ident(name)} ({ident(name)} varchar)")
    shared.append(ident(name), pa.table({name: ["x"]}))
    assert shared.query(f"select {ident(name)} from {ident(name)}").to_pylist() == [{name: "x"}]


def test_an_instant_is_a_literal_of_utc(shared: DuckDBWarehouse) -> None:
    at = datetime.fromisoformat("2026-03-01T12:00:00+05:30")
    assert shared.rows(f"select {instant(at)}") == [
        (datetime.fromisoformat("2026-03-01 06:30:00"),)
    ]


@pytest.mark.parametrize("name", ["a", "re_engagement", "a" * 63, "a1"])
def test_names_of_ours(name: str) -> None:
    assert checked_name(name, "sync") == name


@pytest.mark.parametrize(
    "name",
    ["", "A", "1a", "_a", "a-b", "a.b", "a b", "a/b", "../a", "a\n", "\na", "a\x00", "é", "a" * 64],
)
def test_names_that_are_not(name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        checked_name(name, "sync", file="models/syncs.yml")
    assert raised.value.key == name
    assert raised.value.file == "models/syncs.yml"
