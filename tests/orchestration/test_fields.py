"""What a mapping says is what is sent, and a mapping that cannot be is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destinations.errors import ConfigError
from destinations.testing import strict
from orchestration.fields import field_column, personal_fields
from orchestration.options import MappedField, SyncOptions
from orchestration.project import Model, Sync
from orchestration.sql.names import ident
from orchestration.sql.payloads import fields_hash, first_unsendable
from orchestration.sql.scalars import Column, Type, column_type, json_text
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from tests.conftest import FakeClock

TYPES = {
    "name": "VARCHAR",
    "score": "DOUBLE",
    "number": "BIGINT",
    "plan": "ENUM('pro', 'free')",
    "seen_at": "TIMESTAMP WITH TIME ZONE",
    "data": "JSON",
    "price": "DECIMAL(9,2)",
    "tags": "VARCHAR[]",
    "At": "VARCHAR",
    'it\'s "odd"': "VARCHAR",
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBWarehouse]:
    path = tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb"
    with open_duckdb(path, clock=FakeClock()) as opened:
        columns = ", ".join(f"{ident(name)} {kind}" for name, kind in TYPES.items())
        opened.execute(f"create table given ({columns})")
        yield opened


def sync_of(**fields: Any) -> Sync:
    options = SyncOptions.model_validate(
        {"destination": "d", "sends": "traits", "consent": "not_required", "fields": fields}
    )
    return Sync("s", "", "", "models/syncs.yml", options, Model("m", "m", (), ""), None)


def column_of(warehouse: DuckDBWarehouse, mapped: Any) -> Column:
    sync = sync_of(f=mapped)
    columns = {
        name: Column(f"g.{ident(name)}", column_type(kind, name))
        for name, kind in TYPES.items()
        if not kind.endswith("]")
    }
    return field_column(warehouse, sync, "f", sync.options.fields["f"], columns, TYPES)


def values(warehouse: DuckDBWarehouse, mapped: Any, *rows: Mapping[str, Any]) -> list[Any]:
    """Return the JSON values of a field for these rows, in their order; None is SQL's null."""
    column = column_of(warehouse, mapped)
    found = []
    for row in rows:
        warehouse.execute("delete from given")
        names = ", ".join(map(ident, row))
        marks = ", ".join("?" for _ in row)
        warehouse.execute(f"insert into given ({names}) values ({marks})", list(row.values()))
        ((bad, value),) = warehouse.rows(
            f"select {first_unsendable({'f': column})}, {json_text(column, '%Y-%m-%d')} "
            "from given as g"
        )
        found.append("reject" if bad else None if value is None else strict(value.encode()))
    return found


def refused(warehouse: DuckDBWarehouse, mapped: Any) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        column_of(warehouse, mapped)
    assert raised.value.file == "models/syncs.yml"
    assert (raised.value.key or "").startswith("exposures.s.config.meta.sync.fields.f")
    return raised.value


ADA = {"name": "Ada"}


def test_a_bare_name_is_a_column(shared: DuckDBWarehouse) -> None:
    assert column_of(shared, "name") == Column('g."name"', Type.STRING)
    assert values(shared, {"column": "name"}, ADA) == ["Ada"]
    assert refused(shared, "nothing").accepted == tuple(sorted(set(TYPES) - {"tags"}))


@given(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
def test_a_constant_is_itself(shared: DuckDBWarehouse, value: Any) -> None:
    (found,) = values(shared, {"value": value}, ADA)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("sql", "row", "expected"),
    [
        ("upper(name) || '!'", {"name": "Ada"}, "ADA!"),
        ("NAME", {"name": "Ada"}, "Ada"),
        ('"At"', {"At": "x"}, "x"),
        ('"it\'s ""odd"""', {'it\'s "odd"': "x"}, "x"),
        ("score > 5 and number is not null", {"score": 6.0, "number": 1}, True),
        ("case when score >= 10 then 'high' else 'low' end", {"score": 3.0}, "low"),
        ("number * 2", {"number": 21}, 42),
        ("round(score, 1)", {"score": 1.26}, 1.3),
        ("price + 1", {"price": "1.50"}, 2.5),
        ("plan = 'pro'", {"plan": "pro"}, True),
        ("cast(seen_at as date)", {"seen_at": "2026-01-02 00:00:00+00"}, "2026-01-02"),
        ("data ->> '$.a'", {"data": '{"a": "b"}'}, "b"),
        ("data -> '$.a'", {"data": '{"a": [1]}'}, [1]),
        ("len(name)", {"name": "Ada"}, 3),
        ("'a constant'", ADA, "a constant"),
        ("'it''s ; -- /* x'", ADA, "it's ; -- /* x"),
        ("name -- the name\n", ADA, "Ada"),
        ("coalesce(name, 'nobody')", {"number": 1}, "nobody"),
        ("nullif(name, 'Ada')", ADA, None),
        ("name", {"number": 1}, None),
        ("list_transform([number], x -> x + 1)[1]", {"number": 1}, 2),
        ("cast(date_part('year', seen_at) as int)", {"seen_at": "2026-01-02 00:00:00+00"}, 2026),
    ],
)
def test_an_expression_over_the_columns_of_a_row(
    shared: DuckDBWarehouse, sql: str, row: dict[str, Any], expected: Any
) -> None:
    (found,) = values(shared, {"sql": sql}, row)
    assert found == expected
    assert type(found) is type(expected)


def test_a_column_stays_whole_inside_an_expression(shared: DuckDBWarehouse) -> None:
    sync = sync_of(f={"sql": "number * 2"})
    columns = {"number": Column("1 + 2", Type.INTEGER)}
    made = field_column(shared, sync, "f", sync.options.fields["f"], columns, TYPES)
    assert shared.rows(f"select {made.sql}") == [(6,)]


def test_a_row_that_cannot_be_computed_is_refused_alone(shared: DuckDBWarehouse) -> None:
    """Neither does it fail the plan of everybody else, nor is it taken for a null."""
    rows = [{"name": name} for name in ("1", "two", None, "3")]
    assert values(shared, {"sql": "cast(name as int) + 1"}, *rows) == [2, "reject", None, 4]
    divided = {"sql": "100 / number"}
    found = values(shared, divided, {"number": 4}, {"number": 0}, {"number": None})
    assert found == [25.0, "reject", None]
    assert values(shared, {"sql": "number + 9223372036854775807"}, {"number": 1}) == ["reject"]
    hashed = {"sql": "cast(cast(name as int) as varchar)", "hash": "sha256"}
    assert values(shared, hashed, {"name": "x"}) == ["reject"]
    # All of them at once: one row's failure is not another's.
    shared.execute("delete from given")
    shared.execute("insert into given (name) values ('1'), ('two'), (null)")
    column = column_of(shared, {"sql": "cast(name as int)"})
    sql = f"select {first_unsendable({'f': column})}, {column.sql}, {fields_hash({'f': column})}"
    found = {(bad, value) for bad, value, _ in shared.rows(f"{sql} from given as g")}
    assert found == {(None, 1), ("f", None), (None, None)}


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("upper(name", "not an SQL expression"),
        ("select 1", "not an SQL expression"),
        ("", "not one"),
        ("name, score", "not one"),
        ("1; drop table given", "not one"),
        ("name from given", "statement"),
        ("distinct name", "statement"),
        ("name limit 1", "statement"),
        ("name as label", "`as`"),
        ("(select 1)", "subquery"),
        ("exists (select 1)", "subquery"),
        ("score in (select 1)", "subquery"),
        ("sum(score)", "aggregate"),
        ("histogram(score)", "refuses"),
        ('"histogram"(score)', "refuses"),
        ("sum(score) over ()", "window"),
        ("row_number()", "refuses"),
        ("unnest(tags)", "many rows"),
        ("*", "star"),
        ("columns(*)", "star"),
        ("count(*)", "star|aggregate"),
        ("$1", "placeholder"),
        ("?", "placeholder"),
        ("#1", "place"),
        ("now()", "now gives another answer"),
        ('"now"()', "now gives another answer"),
        ("current_date", "current_date gives"),
        ("date_diff('day', seen_at, today())", "gives another answer"),
        ("age(seen_at)", "age gives"),
        ("random()", "random gives|rand gives"),
        ("uuid()", "uuid gives"),
        ("{{ 'a': now() }}", "gives|not an SQL"),
        ("g.name", "no table in front"),
        ("nothing + 1", "no column 'nothing'"),
        ("no_such_function(name)", "refuses"),
        ("name + true", "refuses"),
        ("len(tags)", "no column 'tags'"),
        ("[score]", "cannot be sent"),
        ("{'a': score}", "cannot be sent"),
        ("name::blob", "cannot be sent"),
        ("interval 1 day", "cannot be sent"),
    ],
)
def test_what_is_no_expression_over_one_row_is_refused(
    shared: DuckDBWarehouse, sql: str, said: str
) -> None:
    error = refused(shared, {"sql": sql})
    assert error.key == "exposures.s.config.meta.sync.fields.f.sql"
    assert any(words in error.message for words in said.split("|")), error.message


def sha256(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


@pytest.mark.parametrize(
    ("how", "given_", "normal"),
    [
        ("email", " Ada.L@Example.COM\t\n", "ada.l@example.com"),
        ("email", "\u00a0Ada@Example.com", "ada@example.com"),
        ("email", "GRÖSSE@x.de", "grösse@x.de"),
        ("phone", " +49 (0)170-123 45.67 ", "+4901701234567"),
        ("phone", "0170/1234567", "01701234567"),
        ("phone", "1+2", "12"),
        ("phone", "+", None),
        ("phone", "n/a", None),
        ("trim", "  Ada  L \n", "Ada  L"),
        ("trim", " \t ", None),
        ("lower", " Ada ", " ada "),
        ("lower", "", None),
        (None, "Ada ", "Ada "),
        (None, "日本", "日本"),
        ("email", None, None),
    ],
)
def test_texts_are_normalised_and_hashed(
    shared: DuckDBWarehouse, how: str | None, given_: str | None, normal: str | None
) -> None:
    row = {"name": given_}
    if how:
        assert values(shared, {"column": "name", "normalise": how}, row) == [normal]
    mapped = {"column": "name", "hash": "sha256", **({"normalise": how} if how else {})}
    assert values(shared, mapped, row) == [None if normal is None else sha256(normal)]
    assert values(shared, {**mapped, "column": None, "sql": "name"}, row) == [
        None if normal is None else sha256(normal)
    ]


def test_what_is_no_text_is_not_hashed(shared: DuckDBWarehouse) -> None:
    assert values(shared, {"column": "number", "hash": "sha256"}, {"number": 7}) == [sha256("7")]
    assert values(shared, {"column": "plan", "hash": "sha256"}, {"plan": "pro"}) == [sha256("pro")]
    for column in ("score", "seen_at", "data", "price"):
        error = refused(shared, {"column": column, "hash": "sha256"})
        assert (error.key or "").endswith("fields.f.hash")
        assert error.accepted == ("string", "integer")
    error = refused(shared, {"column": "number", "normalise": "trim"})
    assert (error.key or "").endswith("fields.f.normalise")
    assert refused(shared, {"sql": "score > 1", "hash": "sha256"}).accepted


@pytest.mark.parametrize(
    ("mapped", "personal"),
    [
        *(
            (name, True)
            for name in (
                "phoneNumber", "emailAddress", "userEmail", "firstName", "phone1", "email2",
                "email", "Email", "work_email", "email_address", "phone", "phone_number", "mobile",
                "user_id", "userId", "first_name", "last_name", "full_name", "name", "Name",
                "address", "street_address", "ip_address", "postal_code", "date_of_birth_dob",
                "birthday", "anonymous_id",
            )
        ),
        *(
            (name, False)
            for name in (
                "plan", "feature_name", "plan_name", "score", "country", "time_zone", "ship_at",
                "last_session_at", "sessions_30d", "paid", "zipper", "named", "renamed_at",
                "planName", "lastSessionAt", "plan2",
            )
        ),
        ({"column": "email", "pii": "none"}, False),
        ({"column": "plan", "pii": "other"}, True),
        ({"value": "x"}, False),
        ({"value": "x", "pii": "name"}, True),
        ({"sql": "split_part(email, '@', 2)"}, True),
        ({"sql": "split_part(email, '@', 2)", "pii": "none"}, False),
        ({"sql": '"First_Name" || plan'}, True),
        ({"sql": "upper(plan)"}, False),
        ({"column": "plan", "hash": "sha256"}, True),
        ({"column": "email", "hash": "sha256", "pii": "none"}, False),
    ],
)  # fmt: skip
def test_what_tells_who_somebody_is(mapped: Any, personal: bool) -> None:
    assert personal_fields(sync_of(f=mapped)) == (frozenset({"f"}) if personal else frozenset())


@pytest.mark.parametrize(
    "mapped",
    [
        {},
        {"value": None},
        {"column": "a", "value": 1},
        {"column": "a", "sql": "a"},
        {"value": False, "sql": "a"},
        {"value": [1]},
        {"value": {"a": 1}},
        {"value": float("nan")},
        {"value": float("inf")},
        {"value": 2**63},
        {"value": "x", "hash": "sha256"},
        {"value": "x", "normalise": "trim"},
        {"value": "x", "nulls": "omit"},
        {"column": "a", "hash": "md5"},
        {"column": "a", "normalise": "upper"},
        {"column": "a", "nulls": "drop"},
        {"column": "a", "pii": "yes"},
        {"column": "a", "sql_": "a"},
        {"column": 7},
        {"sql": 7},
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(mapped: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="f"):
        sync_of(f=mapped)


def test_a_field_may_be_given_as_it_is_read() -> None:
    given_ = MappedField(column="a", nulls="keep")
    assert sync_of(f=given_).options.fields == {"f": given_}
