"""Who is one person: dbt's answers against `tests/oracle_identity.py`, on every shape of group."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from destinations.clock import SystemClock
from destinations.errors import ConfigError
from orchestration.dbt import DbtPaths, DbtRun, run_dbt
from orchestration.warehouse.duckdb import open_duckdb
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables
from tests import oracle, oracle_identity
from tests.support.tiers import first

AS_OF = datetime(2026, 6, 30, 12, tzinfo=UTC)
BEFORE = datetime(2026, 6, 20, 12, tzinfo=UTC)
TIED = {"alias": 1, "anonymous_id": 2, "email": 3}
Row = dict[str, Any]
SLOW = pytest.mark.slow


class Writer:
    """Alias and identify calls, around the two instants that are asked for."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.aliases: list[Row] = []
        self.identifies: list[Row] = []

    def when(self) -> Row:
        """Return the times of a call: on a bound, equal to another's, or late."""
        bound = self.dice.choice([AS_OF, BEFORE]).replace(tzinfo=None)
        happened = bound + timedelta(hours=self.dice.choice([*range(-300, 12), 0, 0]))
        late = timedelta(hours=self.dice.choice([0, 0, 1, 48, 300]))
        return {"timestamp": happened, "received_at": happened + late}

    def alias(self, previous: str | None, user: str | None, **given: Any) -> None:
        row_id = f"r{len(self.aliases)}"
        row = {"id": row_id, "message_id": None, "previous_id": previous, "user_id": user}
        self.aliases.append({**row, **self.when(), **given})

    def identify(self, user: str, **given: Any) -> None:
        row = {"id": f"i{len(self.identifies)}", "message_id": None, "user_id": user}
        self.identifies.append({**row, "anonymous_id": None, "email": None, **self.when(), **given})

    def chain(self, name: str, length: int, **given: Any) -> None:
        for n in range(length):
            self.alias(f"{name}{n}", f"{name}{n + 1}", **given)

    def circle(self, name: str, length: int) -> None:
        for n in range(length):
            self.alias(f"{name}{n}", f"{name}{(n + 1) % length}")

    def crowd(self, name: str, users: int) -> None:
        """Write users of one device and one address, some of them more than once."""
        for n in range(users):
            for _ in range(self.dice.choice([1, 1, 3])):
                self.identify(f"{name}{n}", anonymous_id=f"{name}a", email=f" {name}@X.com")

    def tangle(self, name: str) -> None:
        """Write anything between a few ids."""
        ids = [f"{name}{n}" for n in range(self.dice.randrange(2, 9))]
        for _ in range(self.dice.randrange(12)):
            some = self.dice.choices([*ids, None], k=2)
            self.alias(*some)
            self.identify(
                self.dice.choice(ids),
                anonymous_id=self.dice.choice([None, f"{name}x", f"{name}y", *ids]),
                email=self.dice.choice([None, f"{name}@x.com", f"{name.upper()}@x.com", ""]),
            )

    def conflict(self, name: str) -> None:
        """Write two users who claim one previous id, the second of them twice."""
        for user in ("b", "c", "c"):
            self.alias(f"{name}a", f"{name}{user}")

    def copies(self, name: str) -> None:
        """Write two copies of one message that say different things."""
        for user in ("b", "c"):
            self.alias(f"{name}a", f"{name}{user}", message_id=f"{name}m")

    def long_ago(self, name: str) -> None:
        """Write two ways of tying two ids: a short late one, and a long early one."""
        start = AS_OF.replace(tzinfo=None) - timedelta(days=29)
        for n in range(4):
            at = start + timedelta(hours=n)
            self.alias(f"{name}{n}", f"{name}{n + 1}", timestamp=at, received_at=at)
        late = start + timedelta(days=10)
        self.alias(f"{name}0", f"{name}4", timestamp=late, received_at=late)


def written() -> Writer:
    """Return all shapes, a few of each; ids of two of them never meet."""
    writer = Writer(7)
    for n in range(6):
        writer.circle(f"circle{n}-", n + 1)
        writer.chain(f"chain{n}-", 3 * n)
        writer.crowd(f"crowd{n}-", n)
        writer.conflict(f"conflict{n}-")
        writer.copies(f"copies{n}-")
    writer.long_ago("long-")
    # 50 ids are merged, 51 are not
    early = dict.fromkeys(
        ("timestamp", "received_at"), AS_OF.replace(tzinfo=None) - timedelta(days=60)
    )
    writer.chain("most-", 49, **early)
    writer.chain("more-", 50, **early)
    writer.chain("giant-", 400, **early)
    for n in range(150):
        writer.tangle(f"tangle{n}-")
    return writer


@dataclass(frozen=True)
class World:
    path: Path
    writer: Writer

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with open_duckdb(self.path, clock=SystemClock()) as warehouse:
            return warehouse.rows(sql)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("identity") / "warehouse.duckdb", written())
    with open_duckdb(world.path, clock=SystemClock()) as warehouse:
        create_raw(warehouse)
        create_tables(warehouse)
        for table in ("aliases", "identifies"):
            fill(warehouse, table, getattr(world.writer, table))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILRACE_DUCKDB", str(world.path))
        yield world


def fill(warehouse: Any, table: str, rows: list[Row]) -> None:
    frame = pd.DataFrame(rows)
    for column in ("timestamp", "received_at"):
        frame[column] = frame[column].astype("datetime64[us]")
    warehouse.append(f"raw.{table}", pa.Table.from_pandas(frame, preserve_index=False))


def build(paths: DbtPaths, as_of: datetime = AS_OF, **variables: Any) -> DbtRun:
    return run_dbt(
        paths, "run", as_of=as_of, variables=variables, select=("+user_merges", "identity_report")
    )


@dataclass(frozen=True)
class Case:
    world: World
    expected: oracle_identity.Identity
    limits: dict[str, int]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((AS_OF, "occurred", dict(oracle_identity.LIMITS)), marks=SLOW),
        (AS_OF, "occurred", TIED),
        pytest.param((BEFORE, "occurred", TIED), marks=SLOW),
        pytest.param((BEFORE, "received", TIED), marks=SLOW),
    ],
    ids=["as it is shipped", "devices and addresses", "days before", "as it was known"],
)
def case(request: pytest.FixtureRequest, world: World, paths: DbtPaths) -> Case:
    as_of, visibility, limits = request.param
    run = build(paths, as_of, visibility=visibility, identity_limits=limits)
    assert run.success, run.failures
    calls = (
        oracle.first_copies(
            oracle.visible(
                oracle.rows_of(pd.DataFrame(rows)), as_of.replace(tzinfo=None), visibility
            ),
            needs=needs,
        )
        for rows, needs in (
            (world.writer.identifies, ("user_id",)),
            (world.writer.aliases, ("previous_id", "user_id")),
        )
    )
    time = {"occurred": "occurred_at", "received": "received_at"}[visibility]
    return Case(world, oracle_identity.identity(*calls, time=time, limits=limits), limits)


def test_edges_are_the_same(case: Case) -> None:
    found = case.world.rows(
        "select id_type, id_value, left_id, right_id, known_at, user_number, is_kept "
        "from analytics.identity_edges"
    )
    expected = [
        (
            *(e.id_type, e.value, e.left, e.right, e.known_at, e.number),
            e.number <= case.limits[e.id_type],
        )
        for e in case.expected.edges
    ]
    assert sorted(found) == sorted(expected)
    assert len({row[-1] for row in found}) == 2


def test_groups_are_the_same(case: Case) -> None:
    found = case.world.rows(
        "select list(user_id), group_id, any_value(ids), any_value(is_kept) "
        "from analytics.identity_groups group by group_id"
    )
    expected = [
        (sorted(ids), min(ids), len(ids), len(ids) <= oracle_identity.MOST_IDS)
        for ids in case.expected.groups
    ]
    assert sorted((sorted(ids), *rest) for ids, *rest in found) == sorted(expected)


def test_merges_are_the_same(case: Case) -> None:
    found = {
        merged: (user, at) for merged, user, at in case.world.rows("from analytics.user_merges")
    }
    assert found == case.expected.merges
    assert len(found) > 100


def test_what_was_not_merged_is_reported(case: Case) -> None:
    found = set(case.world.rows("from analytics.identity_report"))
    giants = {
        ("group_too_large", "group", min(ids), len(ids))
        for ids in case.expected.groups
        if len(ids) > oracle_identity.MOST_IDS
    }
    beyond: dict[tuple[str, str], int] = {}
    for edge in case.expected.edges:
        if edge.number > case.limits[edge.id_type]:
            key = (edge.id_type, edge.value)
            beyond[key] = max(edge.number, beyond.get(key, 0))
    assert found == giants | {("over_limit", *key, users) for key, users in beyond.items()}
    assert giants


@pytest.mark.slow
def test_an_alias_ties_its_user_whatever_else_is_limited(world: World, paths: DbtPaths) -> None:
    merged = []
    for limits in ({"email": 2}, {"alias": 1, "anonymous_id": 0, "email": 2}):
        assert build(paths, identity_limits=limits).success
        merged.append(sorted(world.rows("from analytics.user_merges")))
    assert merged[0] == merged[1]
    assert len(merged[0]) > 10


@pytest.mark.parametrize("visibility", ["occurred", "received"])
@pytest.mark.slow
def test_who_was_tied_stays_tied(world: World, paths: DbtPaths, visibility: str) -> None:
    """Later calls only make groups larger: nobody is two users again after having been one."""
    groups = []
    for as_of in (BEFORE, AS_OF):
        assert build(paths, as_of, visibility=visibility, identity_limits=TIED).success
        sql = "select user_id, group_id from analytics.identity_groups"
        # which of two copies of a message counts does change
        groups.append(dict(world.rows(f"{sql} where user_id not like 'copies%'")))
    earlier, later = groups
    assert len(earlier) > 300
    for user, group in earlier.items():
        assert later[user] == later[group]


@pytest.mark.parametrize(
    ("variables", "said"),
    first(
        1,
        [
            ({"identity_limits": {"phone": 2}}, "accepted: alias, anonymous_id and email"),
            ({"identity_limits": {"email": "two"}}, "each a whole number from 0 on"),
            ({"identity_most_ids": 1}, "accepted: a whole number from 2 on"),
            ({"identity_blocked": "null"}, 'is "null"; accepted: a list of texts'),
            ({"identity_blocked": ["a", -1]}, r'is \["a", -1\]; accepted: a list of texts'),
            ({"identity_blocked": {"a": "b"}}, 'is {"a": "b"}; accepted: a list of texts'),
        ],
    ),
)
def test_a_mistaken_var_is_refused(
    world: World, paths: DbtPaths, variables: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        build(paths, **variables)


@pytest.mark.slow
def test_calls_under_one_key_count_alike_wherever_they_lie(
    tmp_path: Path, paths: DbtPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is used more than once, by copies of a message and by other ones."""
    path = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("TAILRACE_DUCKDB", str(path))
    calls = """
        select 'r' || n % 50 as id, 'm' || n % 400 as message_id, 'u' || n % 50 as user_id,
            'p' || n % 7777 as phone, n % 6666 || '@x.org' as email, 'plan ' || n % 5555 as plan,
            timestamp '2026-06-01' as timestamp, timestamp '2026-06-01' as received_at
        from range(20000) as calls(n)
    """
    found = []
    for way in ("n asc", "n desc", "hash(n)"):
        with open_duckdb(path, clock=SystemClock()) as warehouse:
            create_raw(warehouse)
            create_tables(warehouse)
            warehouse.execute("delete from raw.identifies")
            warehouse.execute(f"insert into raw.identifies by name {calls} order by {way}")
        select = ["+user_profile", "+user_emails"]
        assert run_dbt(paths, "run", as_of=AS_OF, select=select).success
        with open_duckdb(path, clock=SystemClock()) as warehouse:
            tables = ("identifies_as_of", "user_profile", "user_emails")
            found.append([sorted(warehouse.rows(f"from analytics.{table}")) for table in tables])
    assert len(found[0][1]) == 50
    assert found[0] == found[1] == found[2]
