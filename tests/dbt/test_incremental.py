"""An incremental build gives what a full one would, whatever has come, gone or changed since."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from destinations.clock import SystemClock
from orchestration.dbt import DbtPaths, manifest, run_dbt
from orchestration.warehouse import Warehouse
from orchestration.warehouse.duckdb import open_duckdb
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables
from tests.dbt.changes import as_arrow, build, differences
from tests.dbt.random_logs import random_logs

T = datetime(2026, 6, 23, 21, tzinfo=UTC)
EARLY = "coalesce(received_at, timestamp) <= timestamp '2026-06-10'"
INSTANTS = (T, datetime(2026, 6, 12, tzinfo=UTC), datetime(2026, 7, 12, tzinfo=UTC))
NO_AS_OF = "1970-01-01 00:00:00.271828"
BY_DEFINITION = """
    select * exclude (has_copies) from analytics.events where {seen} <= timestamp '{at}'
    qualify row_number() over (partition by event_id order by received_at, row_id, content_hash) = 1
"""
LATER = {
    "nothing has changed": "select 1",
    "rows come, late ones too, and copies of old messages": """
        insert into raw.tracks select * from tracks where not coalesce({early}, false)
    """,
    "rows go, and an hour with them": """
        delete from raw.tracks where hash(id) % 10 = 3 or received_at between
            timestamp '2026-06-01' and timestamp '2026-06-02'
    """,
    "rows are replaced under other keys": """
        update raw.tracks set id = id || '-new', event = 'Order Completed' where hash(id) % 20 = 7
    """,
    "rows come that say no time, no key and no user": """
        insert into raw.tracks by name select * replace (
            if(hash(message_id) % 2 = 0, null, id) as id, null as received_at, null as timestamp,
            if(hash(message_id) % 3 = 0, null, message_id) as message_id, null as user_id
        ) from tracks where hash(message_id) % 9 = 0
    """,
    "rows come that have no key but their message's": """
        insert into raw.tracks select * replace (if(hash(id) % 2 = 0, null, '') as id,
            'for ' || id as message_id) from tracks where hash(id) % 11 = 0
    """,
    "some of them are replaced by others": """
        update raw.tracks set message_id = message_id || '-new'
            where coalesce(id, '') = '' and hash(message_id) % 5 = 0
    """,
    "a message comes once more, and its first copy goes": """
        insert into raw.tracks select * replace (id || '-again' as id,
            received_at + interval 3 hour as received_at) from tracks where id like '%7';
        delete from raw.tracks where id like '%7'
    """,
    "copies are read again, and are of somebody else": """
        update raw.tracks set user_id = 'somebody' where message_id in (
            select message_id from raw.tracks group by message_id having count(*) > 1);
        insert into raw.tracks select * replace ('beside-' || id as id, null as message_id)
            from raw.tracks where user_id = 'somebody'
    """,
    "all rows go": "delete from raw.tracks",
    "all rows come back": "insert into raw.tracks select * from tracks",
}


class Log:
    """A warehouse with part of some random logs, and the rest to come."""

    def __init__(self, path: Path, paths: DbtPaths) -> None:
        self.path, self.paths = path, paths
        tracks, identifies = random_logs([T.replace(tzinfo=None)], populations=60)
        with self.open() as warehouse:
            create_raw(warehouse)
            create_tables(warehouse)
            warehouse.append("raw.identifies", as_arrow(identifies))
            warehouse.append("raw.tracks", as_arrow(tracks))
            warehouse.execute("create table tracks as select * from raw.tracks")
            warehouse.execute(f"delete from raw.tracks where not coalesce({EARLY}, false)")

    def open(self) -> Warehouse:
        return open_duckdb(self.path, clock=SystemClock())

    def build(self, *select: str, full_refresh: bool = False, **variables: str) -> None:
        run = build(self.paths, T, *select, full_refresh=full_refresh, **variables)
        assert run.success, run.failures

    def compiled(self, model: str, **variables: str) -> str:
        """Return the model's SQL, as a full build would run it."""
        run_dbt(self.paths, "compile", as_of=None, select=[model], variables=variables)
        return str(manifest(self.paths)["nodes"][f"model.tailrace.{model}"]["compiled_code"])


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, paths: DbtPaths) -> Iterator[Log]:
    path = tmp_path_factory.mktemp("incremental") / "warehouse.duckdb"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILRACE_DUCKDB", str(path))
        log = Log(path, paths)
        log.build("+events_as_of")
        yield log


@pytest.fixture(scope="module")
def full(log: Log) -> str:
    return log.compiled("event_log")


@pytest.fixture(scope="module")
def as_of(log: Log) -> str:
    """events_as_of, as SQL."""
    return log.compiled("events_as_of")


FAST = (
    "rows come, late ones too, and copies of old messages",
    "a message comes once more, and its first copy goes",
)


@pytest.mark.parametrize(
    "change",
    [c if c in FAST else pytest.param(c, marks=pytest.mark.slow) for c in LATER],
)
def test_the_log_is_what_a_full_build_would_make(
    log: Log, full: str, as_of: str, change: str
) -> None:
    with log.open() as warehouse:
        for statement in LATER[change].format(early=EARLY).split(";"):
            warehouse.execute(statement)
    log.build("event_log")
    log.build("event_copies")  # in a build of its own, as after one that was cut off in between
    log_without = "select * exclude (has_copies) from analytics.event_log"
    with log.open() as warehouse:
        assert (
            differences(warehouse, log_without, f"select * exclude (has_copies) from ({full})")
            == []
        )
        missed = warehouse.rows(
            f"select event_id from ({full}) where has_copies except all "
            "select event_id from analytics.event_log where has_copies"
        )
        assert missed == []
        assert wrong_events(warehouse, as_of, "occurred_at") == []


def wrong_events(warehouse: Warehouse, as_of: str, seen: str) -> list[tuple[object, ...]]:
    """Return the rows in which events_as_of differs, at several instants, from its definition."""
    instants = [f"{instant:%Y-%m-%d %H:%M:%S}" for instant in INSTANTS]
    return [
        row
        for at in instants
        for row in differences(
            warehouse, as_of.replace(NO_AS_OF, at), BY_DEFINITION.format(seen=seen, at=at)
        )
    ]


@pytest.mark.slow
def test_by_arrival_too_the_copy_that_arrived_first_wins(log: Log) -> None:
    with log.open() as warehouse:
        warehouse.execute(
            "insert into raw.tracks select * replace (id || '-later' as id, received_at + "
            "interval 30 day as received_at) from raw.tracks where id like '%3'"
        )
    log.build("event_log", "event_copies")
    as_of = log.compiled("events_as_of", visibility="received")
    with log.open() as warehouse:
        assert wrong_events(warehouse, as_of, "received_at") == []


def test_only_hours_that_have_changed_are_read(log: Log) -> None:
    log.build("event_log", full_refresh=True)
    with log.open() as warehouse:
        ((hour,),) = warehouse.rows(
            "select arrived_in from analytics.event_log group by all order by count(*) desc limit 1"
        )
        warehouse.execute("update analytics.event_log set event = 'as it was read'")
        warehouse.execute(
            "insert into raw.tracks (id, event, timestamp, received_at, user_id) "
            f"values ('one more', 'Ping', timestamp '{hour}', timestamp '{hour}', 'u')"
        )
    log.build("event_log")
    with log.open() as warehouse:
        read_again = warehouse.rows(
            "select distinct arrived_in from analytics.event_log where event <> 'as it was read'"
        )
    assert read_again == [(hour,)]


def test_events_of_devices_lie_together(log: Log) -> None:
    """So that who asks for those of users need not read their blocks, nor the other way round."""
    log.build("event_log", full_refresh=True)
    turns = (
        "select count(*) filter (where is_device), count(*) filter (where not is_device), "
        "count(*) filter (where is_device <> was_device) from (select user_id is null as is_device, "
        "lag(user_id is null) over (order by rowid) as was_device from analytics.event_log)"
    )
    with log.open() as warehouse:
        ((devices, users, changes),) = warehouse.rows(turns)
    assert min(devices, users) > 100
    assert changes <= 5, "one, and two more for each thread that may write"


def test_keys_and_hashes_are_kept_as_the_contract_says(log: Log) -> None:
    """What DuckDB would choose takes longer to write, or to find out, and is no smaller."""
    log.build("event_log", full_refresh=True)
    with log.open() as warehouse:
        ((made,),) = warehouse.rows(
            "select sql from duckdb_tables() where table_name = 'event_log'"
        )
    kept = dict(re.findall(r"(\w+) \w+ USING COMPRESSION (\w+)", made))
    hashes = ("row_hash", "event_hash", "content_hash")
    assert kept == dict.fromkeys(("event_id", "row_id"), "ZSTD") | dict.fromkeys(
        hashes, "Uncompressed"
    )


@pytest.mark.slow
def test_a_row_that_is_read_again_may_be_a_copy_of_another_event(log: Log) -> None:
    """Under its own key: what else the row says is the same."""
    come = "insert into raw.tracks (id, message_id, event, timestamp, received_at, user_id) values "
    with log.open() as warehouse:
        for row, message, hour in (("a", "m", 1), ("b", "m", 2), ("c", "n", 3), ("d", "n", 4)):
            at = f"timestamp '2026-06-01 0{hour}:00:00'"
            warehouse.execute(f"{come} ('{row}', '{message}', 'Ping', {at}, {at}, 'u')")
    log.build("event_log", "event_copies")
    with log.open() as warehouse:
        warehouse.execute("update raw.tracks set message_id = 'n' where id = 'b'")
        warehouse.execute(
            f"{come} ('beside', 'o', 'Ping', {at}, timestamp '2026-06-01 02:00', 'u')"
        )
    log.build("event_log", "event_copies")
    with log.open() as warehouse:
        copies = "select row_id from analytics.event_copies where event_id = 'n' order by all"
        assert warehouse.rows(copies) == [("b",), ("c",), ("d",)]


@pytest.mark.slow
def test_of_copies_that_differ_in_user_only_the_same_one_counts(log: Log) -> None:
    """In whatever order they lie in the table, which a full build may change."""
    at = "timestamp '2026-06-02'"
    for first, second in (("one", "two"), ("two", "one")):
        with log.open() as warehouse:
            for user in (first, second):
                warehouse.execute(
                    "insert into raw.tracks (id, message_id, event, timestamp, received_at, user_id) "
                    f"select 'r' || i, '{first}' || i, 'Ping', {at}, {at}, '{user}' from range(99) as r(i)"
                )
    log.build("event_log", "event_copies", "events_as_of")
    with log.open() as warehouse:
        users = "select user_id from analytics.events_as_of where user_id in ('one', 'two')"
        assert sorted(warehouse.rows(users)) == [("one",)] * 198


@pytest.mark.slow
@pytest.mark.parametrize("at", ["0044-03-15 (BC) 10:20:30", "-infinity", "infinity", "20260-01-01"])
def test_a_row_that_arrived_at_any_time_at_all_is_read(log: Log, at: str) -> None:
    with log.open() as warehouse:
        warehouse.execute(
            "insert into raw.tracks (id, event, timestamp, received_at, user_id) "
            f"values ('at {at}', 'Ping', timestamp '2026-06-02', timestamp '{at}', 'u')"
        )
    log.build("event_log")
    with log.open() as warehouse:
        read = f"select row_id from analytics.event_log where row_id = 'at {at}'"
        assert warehouse.rows(read) == [(f"at {at}",)]


def test_a_full_refresh_reads_all_hours(log: Log) -> None:
    with log.open() as warehouse:
        warehouse.execute("update analytics.event_log set event = 'as it was read'")
    log.build("event_log", full_refresh=True)
    with log.open() as warehouse:
        left = "select count(*) from analytics.event_log where event = 'as it was read'"
        assert warehouse.rows(left) == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "column"), [("event_log", "content_hash"), ("event_copies", "arrived_in")]
)
def test_a_log_of_an_earlier_release_says_what_to_do(log: Log, model: str, column: str) -> None:
    with log.open() as warehouse:
        warehouse.execute(f"alter table analytics.{model} drop column {column}")
    run = run_dbt(log.paths, "build", as_of=T, select=[model])
    assert "run once: tailrace build --full-refresh" in run.failures[0].message
    log.build("event_log", "event_copies", full_refresh=True)
    log.build("event_log", "event_copies")


@pytest.mark.slow
def test_rows_made_with_other_vars_are_not_added_to(log: Log) -> None:
    elsewhere = {"raw_schema": "elsewhere"}
    log.build("event_log", full_refresh=True)
    run = run_dbt(log.paths, "run", as_of=T, select=["event_log"], variables=elsewhere)
    assert "run once: tailrace build --full-refresh" in run.failures[0].message
    other = {"tracking_plan_blocks": ["nowhere"]}
    log.build("event_log", full_refresh=True)
    run = run_dbt(log.paths, "run", as_of=T, select=["event_log"], variables=other)
    assert "run once: tailrace build --full-refresh" in run.failures[0].message
    for full_refresh in (True, False):
        run = run_dbt(
            log.paths, "run", as_of=T, select=["event_log"], variables=other,
            full_refresh=full_refresh,
        )  # fmt: skip
        assert run.success, run.failures
    log.build("event_log", "event_copies", full_refresh=True)


@pytest.mark.slow
def test_what_was_known_stays_so_when_more_arrives(log: Log) -> None:
    """A live run at T saw what had arrived by T; asked later, `received` says the same."""
    arrived = f"coalesce(received_at, timestamp) <= timestamp '{T:%Y-%m-%d %H:%M:%S}'"
    late = "timestamp <= timestamp '2026-06-23' and received_at > timestamp '2026-06-24'"
    with log.open() as warehouse:
        warehouse.execute(f"delete from raw.tracks where not coalesce({arrived}, false)")
        assert warehouse.rows(f"select count(*) > 50 from tracks where {late}") == [(True,)]
    log.build("+user_traits", visibility="received")
    with log.open() as warehouse:
        warehouse.execute("create table live as select * from analytics.user_traits")
        warehouse.execute(
            "insert into raw.tracks select * from tracks anti join raw.tracks using (id)"
        )
    log.build("+user_traits", visibility="received")
    with log.open() as warehouse:
        now = "select * from analytics.user_traits"
        assert differences(warehouse, now, "select * from live") == []
    log.build("+user_traits")
    with log.open() as warehouse:
        assert differences(warehouse, now, "select * from live") != []
