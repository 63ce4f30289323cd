"""Events against a tracking plan: dbt's answers against `tests/oracle_plan.py`, for each target."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections import defaultdict
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
from orchestration.load import load_sample
from orchestration.tracking_plan.names import EVENT_KEY_SQL
from orchestration.warehouse import Warehouse
from orchestration.warehouse.duckdb import open_duckdb
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables
from tests.dbt.conftest import PROJECT
from tests.oracle_plan import Plan, read_plan
from tests.support.tiers import first

T = datetime(2026, 6, 30, 21, tzinfo=UTC)
HEADER = ("event", "property", "type", "required", "allowed_values", "pattern", "enforcement")
PLAN = [
    ("Session Started", "", "", "", "", "", ""),
    ("Session Started", "text", "string", "true", "", "", ""),
    ("Session Started", "a/b~c.*", "number", "true", "", "", ""),
    ("Session Started", "it's", "integer|null", "true", "", "", ""),
    ("Session Started", "either", "boolean|array", "false", "", "", ""),
    ("Order Completed", "", "", "", "", "", "block"),
    ("Order Completed", "text", "", "", "a|b c|it's", "", ""),
    ("Order Completed", "a/b~c.*", "", "", '[1, 2.5, "1", true, "x|y"]', "", ""),
    ("Order Completed", "either", "", "", "", "^[a-z]+@x\\.com$", ""),
    ("Feature Used", "", "", "", "", "", "alert"),
    ("Feature Used", "either", "date-time", "true", "", "", ""),
    ("Feature Used", "it's", "object|string", "", "", "\\d", ""),
    ("Nothing Asked", "", "", "", "", "", ""),
]
ALIASES = [("visit begun", "session started"), ("Paid!", "Money Came")]
NAMES = (
    *("Session Started", "session_started", " SessionStarted", "session-started", "Visit_Begun"),
    *("Order Completed", "order completed", "Feature Used", "feature.used", "Feature  Used!"),
    *("Nothing Asked", "paid", "Something Else", "", None),
)
VALUES: dict[str, tuple[Any, ...]] = {
    "text": ("a", "b c", "it's", "", "ä", 5, None, True, ["a"]),
    "a/b~c.*": (1, 1.0, 2.5, "1", 1e300, -3, 10**30, True, False, "x|y", None, {"a": 1}),
    "it's": (1, 1.0, 1.5, 10**30, None, "7", "no digit", {"k": "5"}, False),
    "either": (
        *(True, [], [1], "secret@x.com", "secret@y.com", "2026-01-02T03:04:05Z", "2026-01-02"),
        *("2026-13-02T03:04:05Z", "2026-01-02 03:04", "2026-01-02T03:04:05+02:00", 5, None),
    ),
}


def tracks() -> pd.DataFrame:
    """Return events of every name with any of the values, some with a copy."""
    dice = random.Random(3)
    rows = []
    for n in range(3000):
        given = {name: dice.choice(some) for name, some in VALUES.items() if dice.random() < 0.9}
        happened = T.replace(tzinfo=None) - timedelta(hours=dice.choice([0, 1, 30, 70, -2]))
        rows.append(
            {
                "id": f"r{n}",
                "message_id": f"m{dice.randrange(2900)}",
                "user_id": f"u{n % 50}",
                "event": dice.choice(NAMES),
                "properties": dice.choices([json.dumps(given), "[]", None], [30, 1, 1])[0],
                "timestamp": happened,
                "received_at": happened + timedelta(hours=dice.choice([0, 0, 5])),
            }
        )
    frame = pd.DataFrame(rows)
    for column in ("timestamp", "received_at"):
        frame[column] = frame[column].astype("datetime64[us]")
    return frame


PROFILES = """
tailrace:
  target: dev
  outputs:
    dev: &duckdb
      type: duckdb
      path: "{{ env_var('TAILRACE_DUCKDB') }}"
      schema: analytics
      threads: 1
      settings: {TimeZone: UTC}
    staging: *duckdb
    production: *duckdb
"""


@dataclass(frozen=True)
class Site:
    """A project with a plan of its own, and a warehouse with events."""

    project: Path
    warehouse: Path
    tracks: pd.DataFrame

    def build(self, target: str = "dev", **given: Any) -> None:
        run = self.run(target, **given)
        assert run.success, run.failures

    def run(self, target: str = "dev", **given: Any) -> DbtRun:
        paths = DbtPaths(self.project, self.project, target=target)
        select = ["+events", "event_violations", "tracking_plan", "event_aliases"]
        exclude = ["resource_type:unit_test", "resource_type:exposure", "resource_type:test"]
        return run_dbt(paths, "build", as_of=T, select=select, exclude=exclude, **given)

    def plan(self, rows: list[tuple[str, ...]], aliases: list[tuple[str, str]] = ALIASES) -> None:
        for name, header, cells in (
            ("tracking_plan", HEADER, rows),
            ("event_aliases", ("alias", "event"), aliases),
        ):
            with (self.project / "seeds" / f"{name}.csv").open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([header, *cells])

    def open(self) -> Warehouse:
        return open_duckdb(self.warehouse, clock=SystemClock())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.open() as warehouse:
            return warehouse.rows(sql)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("plan")
    site = Site(folder / "project", folder / "warehouse.duckdb", tracks())
    shutil.copytree(PROJECT, site.project, ignore=shutil.ignore_patterns("target", "logs"))
    (site.project / "profiles.yml").write_text(PROFILES)
    site.plan(PLAN)
    with site.open() as warehouse:
        create_raw(warehouse)
        create_tables(warehouse)
        warehouse.append("raw.tracks", pa.Table.from_pandas(site.tracks, preserve_index=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILRACE_DUCKDB", str(site.warehouse))
        yield site


@dataclass(frozen=True)
class Case:
    site: Site
    plan: Plan

    def expected(self) -> Iterator[tuple[dict[str, Any], str | None, list[tuple[str, str]], bool]]:
        """Each row with its canonical name, what is wrong, and whether it is blocked."""
        for row in self.site.tracks.to_dict("records"):
            sent = row["event"].strip() or None if isinstance(row["event"], str) else None
            name = self.plan.name(sent)
            value = json.loads(row["properties"]) if isinstance(row["properties"], str) else {}
            found = self.plan.violations(name, value if isinstance(value, dict) else {})
            yield row, name, found, self.plan.is_blocked(name, found)


@pytest.fixture(scope="module", params=first(1, ["dev", "staging", "production"]))
def case(request: pytest.FixtureRequest, site: Site) -> Case:
    site.plan(PLAN)
    site.build(request.param, full_refresh=True)
    return Case(site, read_plan(site.project / "seeds", blocks=request.param != "production"))


def test_names_violations_and_what_is_blocked_are_the_same(case: Case) -> None:
    found = {
        row_id: (event, sorted(tuple(v.values()) for v in json.loads(violations or "[]")), blocked)
        for row_id, event, violations, blocked in case.site.rows(
            "select row_id, event, violations, is_blocked from analytics.event_log"
        )
    }
    expected = {
        row["id"]: (name, sorted(wrong), blocked) for row, name, wrong, blocked in case.expected()
    }
    assert {
        row: (found[row], expected[row]) for row in expected if found[row] != expected[row]
    } == {}
    rules = {rule for _, wrong, _ in expected.values() for rule, _ in wrong}
    assert rules == {"required", "type", "allowed_values", "pattern", "unplanned"}


def test_the_plan_is_asked_for_without_a_join(case: Case) -> None:
    """DuckDB can make a join of `in`, which is worked out for all rows, of whichever event."""
    path = case.site.project / "target/compiled/tailrace/models/events/event_log.sql"
    [(_, plan)] = case.site.rows(f"explain {path.read_text()}")
    assert "Join Type: LEFT" in plan
    assert "Join Type: MARK" not in plan


def test_what_is_blocked_is_in_no_event(case: Case) -> None:
    kept = {row_id for (row_id,) in case.site.rows("select row_id from analytics.events")}
    expected = {row["id"] for row, name, _, blocked in case.expected() if name and not blocked}
    assert kept == expected
    assert len(kept) < len(case.site.tracks) - 400


def test_violations_by_day_are_the_same(case: Case) -> None:
    # of the copies that break the plan the one that arrived first
    first: dict[str, tuple[Any, ...]] = {}
    for row, name, wrong, blocked in case.expected():
        arrived = (row["received_at"], row["id"])
        if wrong and row["timestamp"] <= T.replace(tzinfo=None):
            one = (arrived, row, name, wrong, blocked)
            first[row["message_id"]] = min(
                one, first.get(row["message_id"], one), key=lambda copy: copy[0]
            )
    days: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for _, row, name, wrong, blocked in first.values():
        for rule, prop in wrong:
            days[row["timestamp"].date(), name, rule, prop, blocked].append(row)
    found = {
        tuple(row[:5]): row[5:]
        for row in case.site.rows(
            "select day, event, rule, property, is_blocked, events, example_row_id, "
            "first_seen_at, last_seen_at from analytics.event_violations"
        )
    }
    assert found == {
        key: (
            len(rows),
            max(rows, key=lambda row: (row["timestamp"], row["id"]))["id"],
            min(row["timestamp"] for row in rows),
            max(row["timestamp"] for row in rows),
        )
        for key, rows in days.items()
    }


def test_no_value_is_told(case: Case) -> None:
    told = " ".join(
        found or ""
        for (found,) in case.site.rows("select example_found from analytics.event_violations")
    )
    assert "string aaaaaa@a.aaa" in told
    assert "nothing" in told
    assert "secret" not in told


@pytest.mark.slow
def test_only_new_events_are_checked_until_a_full_refresh(site: Site) -> None:
    site.plan(PLAN)
    site.build(full_refresh=True)
    before = site.rows("select row_id, violations from analytics.event_log order by 1")
    site.plan([("Session Started", "", "", "", "", "", "")])
    site.build()
    assert site.rows("select row_id, violations from analytics.event_log order by 1") == before
    with site.open() as warehouse:
        warehouse.execute(
            "insert into raw.tracks by name select id || '-new' as id, message_id || '-new' as "
            "message_id, user_id, event, properties, timestamp + interval 30 day as timestamp, "
            "received_at + interval 30 day as received_at from raw.tracks where event is not null"
        )
    site.build()
    new = site.rows(
        "select distinct event, violations is null from analytics.event_log "
        "where row_id like '%-new' and event is not null"
    )
    assert {event for event, right in new if right} == {"Session Started"}
    site.build(full_refresh=True)
    after = site.rows("select row_id, violations from analytics.event_log")
    assert dict(after).items() != dict(before).items()
    with site.open() as warehouse:
        warehouse.execute("delete from raw.tracks where id like '%-new'")


def test_the_import_and_the_models_know_names_by_one_rule() -> None:
    macro = (PROJECT / "macros/tracking_plan/event_key.sql").read_text(encoding="utf-8")
    body = macro.split("duckdb__event_key(name) -%}")[1].split("{%- endmacro")[0]
    plain = "".join(body.split()).replace("{{name}}", "?")
    assert plain == "".join(EVENT_KEY_SQL.split())


@pytest.mark.slow
def test_properties_are_of_their_event_however_it_is_spelt(site: Site) -> None:
    for name in ("Session Started", "session_started"):
        site.plan(
            [("Session Started", *[""] * 6), (name, "never_sent", "string", "true", "", "", "")]
        )
        site.build(full_refresh=True)
        found = site.rows(
            "select count(*) > 5, count(*) = count(violations) from analytics.event_log "
            "where event = 'Session Started'"
        )
        assert found == [(True, True)], name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plan", "aliases", "there", "called"),
    [
        ([("session_started", *[""] * 6)], [], "Session Started", "session_started"),
        (PLAN, [*ALIASES, ("Something Else", "Nothing Asked")], "Something Else", "Nothing Asked"),
    ],
)
def test_a_log_never_has_an_event_under_two_names(
    site: Site, plan: list[tuple[str, ...]], aliases: list[tuple[str, str]], there: str, called: str
) -> None:
    site.plan(PLAN)
    site.build(full_refresh=True)
    site.plan(plan, aliases)
    failed, *_ = site.run().failures
    assert (
        f"the name {there}, which the tracking plan or an alias now calls {called}; run once"
        in (" ".join(failed.message.split()))
    )
    site.build(full_refresh=True)
    assert site.rows(f"select 1 from analytics.event_log where event = '{there}' limit 1") == []
    site.build()


@pytest.mark.slow
def test_a_target_that_blocks_adds_to_no_log_of_one_that_does_not(site: Site) -> None:
    site.plan(PLAN)
    site.build("production", full_refresh=True)
    for built, other in (("production", "dev"), ("dev", "production")):
        failed, *_ = site.run(other).failures
        assert "or for another dbt target; run once" in " ".join(failed.message.split()), built
        site.build(other, full_refresh=True)
    site.build("dev", full_refresh=True)
    site.build("staging")  # blocks as well


@pytest.mark.slow
def test_without_a_plan_nothing_is_wrong(site: Site) -> None:
    site.plan([], [])
    site.build(full_refresh=True)
    assert site.rows(
        "select count(violations), count(*) filter (where is_blocked) from analytics.event_log"
    ) == [(0, 0)]
    assert site.rows("select count(*) from analytics.event_violations") == [(0,)]


@pytest.mark.slow
def test_an_alias_of_two_events_is_refused(site: Site) -> None:
    """It was the last one in the alphabet. Twice of one event, in whatever spelling, is nothing wrong."""
    site.plan(PLAN, [("visit begun", "session started"), ("VisitBegun", "Session Started")])
    site.build(full_refresh=True)
    site.plan(PLAN, [("visit begun", "session started"), ("VisitBegun", "Feature Used")])
    failed, *_ = site.run(full_refresh=True).failures
    assert "visit begun is Feature Used, and that it is Session Started" in failed.message


@pytest.mark.slow
def test_a_mistaken_list_of_targets_is_refused(site: Site) -> None:
    with pytest.raises(ConfigError, match="accepted: a list of names of dbt targets"):
        site.build(variables={"tracking_plan_blocks": "dev"})


@pytest.mark.slow
def test_the_breaches_of_the_sample_are_found_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("TAILRACE_DUCKDB", str(path))
    with open_duckdb(path, clock=SystemClock()) as warehouse:
        create_raw(warehouse)
        create_tables(warehouse)
        load_sample(warehouse, clock=SystemClock(), end=T)
    site = Site(PROJECT, path, pd.DataFrame())
    site.build(target="dev")
    assert site.rows(
        "select event, rule, property, sum(events), bool_and(is_blocked) "
        "from analytics.event_violations group by all order by all"
    ) == [
        ("Feature Used", "required", "feature_name", 14, False),
        ("Feature Used", "type", "time_spent_seconds", 16, False),
    ]
    sent = "event in ('Feature_Used', 'Feature Used')"
    assert site.rows(f"select count(*) from raw.tracks where {sent}") == site.rows(
        "select count(*) from analytics.event_log where event = 'Feature Used'"
    )
