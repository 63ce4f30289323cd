"""Every trait macro against `tests/oracle_macros.py`, for hundreds of random users on every edge."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import oracle_behaviour as behaviour
from tests.dbt.conftest import PROJECT
from tests.dbt.macro_calls import Call, User, aggregates
from tests.dbt.macro_logs import Log, Writer
from tests.dbt.macro_mistakes import MISTAKES, mistaken_models
from tests.dbt.macro_project import AUDIENCE, MacroProject
from tests.dbt.macro_relations import relations
from tests.oracle_macros import World

RELATIONS = relations()
AGGREGATES = {
    "at_any_time": [call for call in aggregates() if "calendar_days" not in call.sql],
    "on_days": [call for call in aggregates() if "calendar_days" in call.sql],
}
MACROS = PROJECT / "macros"
USERS = 300
HERE, ELSEWHERE = "UTC", "Europe/Berlin"
KEYS = (
    *("a.b", "ä", "with space", "*", "a*", "a[0]", "$", "?", "#-1", "0", "-1", "~", "~1", "a/b"),
    *("/", "", "it's", 'quo"te', "\\", "back\\slash", 'e\\"', "{{ x }}", "%", "tab\t", "new\nline"),
)
OBJECT = "select said, {{ json_object('said') }} as found from said"
FIFTHS = "select number, {{ fifth('number') }} as score from numbers"
# days around the change of the clocks have 23 and 25 hours
WORLDS = [
    World(datetime.fromisoformat(as_of), zone)
    for as_of, zone in (
        ("2026-06-30 21:00:00", HERE),
        ("2026-03-29 21:59:59", ELSEWHERE),
        ("2026-10-25 23:00:00", ELSEWHERE),
        ("2026-03-08 07:00:00", "America/New_York"),
        ("2026-11-03 04:59:59", "America/New_York"),
    )
]


def read_keys() -> str:
    """Return a model that reads each key, beside an object's other keys."""
    columns = [
        f"{{{{ json_text('properties', {key!r}) }}}} as key_{n}" for n, key in enumerate(KEYS)
    ]
    return f"select {', '.join(columns)} from objects"


def of_readme() -> str:
    """Return a model of the traits that the README shows."""
    text = (PROJECT.parent / "README.md").read_text(encoding="utf-8")
    (columns,) = re.findall(r"```\n((?:\{\{ event_.+ as \w+,?\n)+)```", text)
    return f"select user_id, {columns} from log group by user_id"


@dataclass
class Answers:
    """What DuckDB and the oracle answer for one world."""

    world: World
    log: Log
    sql: dict[str, str]

    @cached_property
    def warehouse(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config={"threads": 1})
        connection.execute("set timezone = 'UTC'")
        events = self.log.frame()
        zones = pd.DataFrame(list(self.log.zones.items()), columns=["user_id", "time_zone"])
        resets = [(user, time) for user, times in self.log.resets.items() for time in times]
        left = pd.DataFrame(resets, columns=["user_id", "reset_at"])
        left["reset_at"] = left["reset_at"].astype("datetime64[us]")
        for name, frame in {"given": events, "zones_given": zones, "left_given": left}.items():
            connection.register(name, frame)
        connection.execute(f"""
            create table log as select * replace (properties::json as properties) from given;
            create table zones as select user_id, time_zone::varchar as time_zone from zones_given;
            create table resets as from left_given;
            create table membership_intervals as
                select '{AUDIENCE}' as audience, user_id, reset_at as exited_at from resets
                union all
                select 'other', user_id, timestamp '2020-01-01' from log;
        """)
        return connection

    @cached_property
    def users(self) -> list[User]:
        return [User(name, rows, self.log, self.world) for name, rows in self.log.users.items()]


@dataclass(frozen=True)
class Compiled:
    """The SQL of the models by zone, and what dbt said of those it refused."""

    sql: dict[str, dict[str, str]]
    refused: dict[str, str]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """Return the models as dbt renders them: in UTC, whose days need no clock, and in a zone."""
    models = {call.name: call.sql for call in RELATIONS}
    models |= {name: grouped(calls) for name, calls in AGGREGATES.items()}
    models |= {"keys": read_keys(), "object": OBJECT, "fifths": FIFTHS, "readme": of_readme()}
    folder = tmp_path_factory.mktemp("macros") / "project"
    project = MacroProject(folder, models | mistaken_models())
    variables = {"as_of": str(WORLDS[0].as_of)}
    elsewhere = project.sql(models, {**variables, "time_zone": ELSEWHERE})
    by_zone = [name for name in models if f"'{ELSEWHERE}'" in elsewhere[name]]
    here = project.sql(by_zone, {**variables, "time_zone": HERE})
    refused = project.refused(mistaken_models())
    return Compiled({ELSEWHERE: elsewhere, HERE: elsewhere | here}, refused)


def grouped(calls: list[Call]) -> str:
    columns = ",\n".join(f"{call.sql} as {call.name}" for call in calls)
    return f"select user_id, {columns} from log where user_id is not null group by user_id"


@pytest.fixture(
    scope="module", params=enumerate(WORLDS), ids=lambda given: f"{given[1].zone} {given[1].as_of}"
)
def answers(request: pytest.FixtureRequest, compiled: Compiled) -> Iterator[Answers]:
    """One compilation is enough for all instants and zones: both are literals in the SQL."""
    seed, world = request.param
    zone = HERE if world.zone == HERE else ELSEWHERE
    sql = {
        name: text.replace(f"'{WORLDS[0].as_of}'", f"'{world.as_of}'").replace(
            f"'{zone}'", f"'{world.zone}'"
        )
        for name, text in compiled.sql[zone].items()
    }
    answers = Answers(world, Writer(seed, world).log(USERS), sql)
    yield answers
    answers.warehouse.close()


def same(found: Any, expected: Any) -> bool:
    """Whether two answers are one; only a quotient of floats may differ in its last place."""
    if isinstance(expected, tuple | list) and isinstance(found, tuple | list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float) and isinstance(found, float):
        return abs(found - expected) <= 1e-14 * abs(expected)
    return type(found) is type(expected) and bool(found == expected)


def different(call: Call, found: dict[str, Any], answers: Answers) -> list[Any]:
    """Return (user, found, expected) where they differ; nobody else may be found."""
    expected = {user.name: call.answer(user) for user in answers.users}
    return [
        (user, found.get(user), expected.get(user))
        for user in expected | found
        if not same(found.get(user), expected.get(user))
    ]


def as_python(value: Any) -> Any:
    """Return a list for a JSON array; the oracle has no other text that looks like one."""
    return json.loads(value) if isinstance(value, str) and value.startswith("[") else value


@pytest.mark.parametrize("model", AGGREGATES)
def test_every_aggregate_is_the_same_for_every_user(model: str, answers: Answers) -> None:
    rows = answers.warehouse.execute(answers.sql[model]).fetchall()
    assert sorted(user for user, *_ in rows) == sorted(answers.log.users)
    differences = {}
    for place, call in enumerate(AGGREGATES[model], start=1):
        found = {row[0]: as_python(row[place]) for row in rows}
        if wrong := different(call, found, answers):
            differences[call.name] = wrong[:3]
    assert differences == {}


@pytest.mark.parametrize("macro", sorted({call.name.partition("__")[0] for call in RELATIONS}))
def test_every_select_is_the_same_for_every_user(macro: str, answers: Answers) -> None:
    differences = {}
    for call in RELATIONS:
        if call.name.partition("__")[0] == macro:
            rows = answers.warehouse.execute(answers.sql[call.name]).fetchall()
            assert rows, call.name
            if wrong := different(call, by_user(macro, rows), answers):
                differences[call.name] = wrong[:3]
    assert differences == {}


def by_user(macro: str, rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Return what a select says of each user: a value or a row, of sessions all rows."""
    if macro == "sessions":
        found: dict[str, Any] = {}
        for user, *session in sorted(rows):
            found.setdefault(user, []).append(tuple(session))
        return found
    assert len({user for user, *_ in rows}) == len(rows)
    return {user: as_python(row[0]) if len(row) == 1 else tuple(row) for user, *row in rows}


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda number: MISTAKES[number][0])
def test_a_wrong_argument_is_refused_with_what_is_accepted(number: int, compiled: Compiled) -> None:
    macro, *_, said = MISTAKES[number]
    message = compiled.refused.get(f"mistake_{number}", "not refused")
    assert said in message
    assert f"macro {macro} " in message


def test_every_macro_of_traits_is_called_here() -> None:
    files = [file for room in ("traits", "behaviour") for file in (MACROS / room).glob("*.sql")]
    bodies = {file.stem: file.read_text("utf-8") for file in files}
    calls = [*RELATIONS, *(call for calls in AGGREGATES.values() for call in calls)]
    called = set(re.findall(r"(\w+)\(", " ".join([FIFTHS, *(call.sql for call in calls)])))
    while more := {
        name
        for name in bodies.keys() - called
        if any(re.search(rf"\b{name}\(", bodies[user]) for user in bodies.keys() & called)
    }:
        called |= more
    of_identifies = {"latest"}
    assert bodies.keys() - called == of_identifies


def test_the_traits_that_the_readme_shows_can_be_made(answers: Answers) -> None:
    made = answers.warehouse.execute(answers.sql["readme"])
    assert len(made.fetchall()) > 100
    assert [column for column, *_ in made.description or ()][1] == "orders_30d"


def test_any_text_is_a_key(compiled: Compiled) -> None:
    everything = {key: f"value of {key}" for key in KEYS}
    with duckdb.connect() as connection:
        connection.execute("create table log as select 1")
        connection.execute("create table zones as select 1; create table resets as select 1")
        connection.execute("create table objects (properties json)")
        for given_keys in (everything, *({key: everything[key]} for key in KEYS), {}):
            connection.execute("insert into objects values (?)", [json.dumps(given_keys)])
        found = connection.execute(compiled.sql[HERE]["keys"]).fetchall()
    assert found[0] == tuple(everything.values())
    for place, key in enumerate(KEYS):
        alone = [None] * len(KEYS)
        alone[place] = everything[key]
        assert list(found[1 + place]) == alone
    assert set(found[-1]) == {None}


@pytest.mark.parametrize("type_", ["json", "varchar"])
def test_what_is_no_object_is_an_empty_one(type_: str, compiled: Compiled) -> None:
    objects = ["{}", '{"a": 1}', ' {"a": {"b": [1]}}', '\n\t\r {"a": "}"} ']
    others = ["[]", '[{"a": 1}]', " [1]", "null", "1", '"{"', '"{}"', "true", None]
    no_json = (
        ["", " ", "{", '{"a": 1', "{'a': 1}", '{"a": 1} {}', "a"] if type_ == "varchar" else []
    )
    with duckdb.connect() as connection:
        connection.execute(f"create table said (said {type_})")
        connection.executemany(
            "insert into said values (?)", [[said] for said in [*objects, *others, *no_json]]
        )
        found = dict(connection.execute(compiled.sql[HERE]["object"]).fetchall())
    assert found == {said: said for said in objects} | dict.fromkeys([*others, *no_json], "{}")


@pytest.fixture(scope="module")
def numbers() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("create table log as select 1; create table numbers (number bigint)")
        connection.execute("create table zones as select 1; create table resets as select 1")
        yield connection


@settings(max_examples=50)
@given(values=st.lists(st.none() | st.integers(0, 9), max_size=30))
def test_a_fifth_is_a_share_of_those_with_less(
    values: list[int | None], numbers: duckdb.DuckDBPyConnection, compiled: Compiled
) -> None:
    numbers.execute("delete from numbers")
    numbers.execute("insert into numbers select unnest(?::bigint[])", [values])
    found = numbers.execute(compiled.sql[HERE]["fifths"]).fetchall()
    scores = behaviour.fifths({str(n): v for n, v in enumerate(values) if v is not None})
    expected = [(v, scores.get(str(n))) for n, v in enumerate(values)]
    assert sorted(found, key=str) == sorted(expected, key=str)
