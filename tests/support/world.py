"""A whole engine on a warehouse whose models are written by the test, not by dbt.

Everything from evaluation to HTTP is the real thing; the endpoint is the sandbox. Time is the
test's: waiting moves the clock.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pyarrow as pa

from destinations.base import Destination, Secret
from destinations.delivery.transport import HttpTransport, Transport
from destinations.sandbox import SandboxSettings, calls, profile, running
from orchestration.accounts import Account
from orchestration.activate import run_syncs
from orchestration.audience_options import GuardLimits
from orchestration.builds import latest_builds
from orchestration.dbt import DbtPaths
from orchestration.delivering import run_sync
from orchestration.desired.scope import Mode
from orchestration.engine import Engine
from orchestration.memberships import Evaluation, evaluate
from orchestration.options import SyncOptions
from orchestration.plan import Plan
from orchestration.plan_store import store_plan
from orchestration.project import Audience, Model, Project, Sync
from orchestration.sql.names import naive_utc
from orchestration.sync_plans import plan_sync, propose, scope_of
from orchestration.sync_runs import SyncRun
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables, set_state_value
from tests.support.serving import left_behind, wait_for_leavers

T0 = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
KEY = "test-key"
TRAITS = Model("user_traits", "analytics.user_traits", ("user_id", "email", "score"), "traits.yml")
_TRAITS = pa.schema(
    [
        ("user_id", pa.string()),
        ("email", pa.string()),
        ("score", pa.float64()),
        ("label", pa.string()),
        ("agreed", pa.bool_()),
    ]
)
EMAILS = Model("user_emails", "analytics.user_emails", (), "identity.yml")
MERGES = Model("user_merges", "analytics.user_merges", (), "identity.yml")
EVENTS = Model("events", "analytics.events", (), "events.yml")


@dataclass(slots=True)
class TestClock:
    """Starts at T0; sleeping moves it."""

    __test__ = False

    instant: datetime = T0

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.instant.timestamp()

    def sleep(self, seconds: float) -> None:
        self.instant += timedelta(seconds=max(0.0, seconds))


@dataclass(slots=True)
class World:
    """A warehouse, a sandbox and an engine between them."""

    folder: Path
    clock: TestClock
    url: str
    syncs: dict[str, Sync] = field(default_factory=dict)
    audiences: dict[str, Audience] = field(default_factory=dict)
    identifier: str = "email"
    builds: int = 0
    has_emails: bool = False
    has_merges: bool = False
    wrap: Any = None

    @property
    def sandbox(self) -> Path:
        return self.folder / "sandbox.sqlite"

    def connect(self, deadline: float = 60.0) -> DuckDBWarehouse:
        return open_duckdb(self.folder / "w.duckdb", clock=self.clock, deadline=deadline)

    def rows(self, sql: str, params: Any = ()) -> list[tuple[Any, ...]]:
        with self.connect() as warehouse:
            return warehouse.rows(sql, params)

    def users(self, users: Mapping[str, Mapping[str, Any]], at: datetime) -> None:
        """Replace user_traits, as a build at `at` would: user_id to email and score."""
        with self.connect() as warehouse:
            warehouse.execute(
                "create or replace table analytics.user_traits "
                "(user_id varchar, email varchar, score double, label varchar, agreed boolean)"
            )
            rows = [
                {
                    "user_id": user_id,
                    "email": user.get("email", f"{user_id}@example.com"),
                    "score": user.get("score", 1.0),
                    "label": user.get("label"),
                    "agreed": user.get("agreed"),
                }
                for user_id, user in users.items()
            ]
            if rows:
                warehouse.append("analytics.user_traits", pa.Table.from_pylist(rows, _TRAITS))
            self._built(warehouse, "user_traits", at)

    def emails(self, emails: Mapping[str, list[str]]) -> None:
        """Replace user_emails: user_id to addresses, the first of them primary."""
        with self.connect() as warehouse:
            warehouse.execute(
                "create or replace table analytics.user_emails "
                "(user_id varchar, email varchar, is_primary boolean)"
            )
            for user_id, addresses in emails.items():
                for address in addresses:
                    row = [user_id, address, address == addresses[0]]
                    warehouse.execute("insert into analytics.user_emails values (?, ?, ?)", row)
        self.has_emails = True

    def merges(self, merges: Mapping[str, str]) -> None:
        """Replace user_merges: merged user_id to the user it is today."""
        with self.connect() as warehouse:
            warehouse.execute(
                "create or replace table analytics.user_merges "
                "(merged_user_id varchar, user_id varchar, merged_at timestamp)"
            )
            for merged, user_id in merges.items():
                row = [merged, user_id, naive_utc(self.clock.now())]
                warehouse.execute("insert into analytics.user_merges values (?, ?, ?)", row)
        self.has_merges = True

    def members(self, audience: str, members: Mapping[str, float] | set[str], at: datetime) -> None:
        """Replace an audience's relation, as a build at `at` would."""
        levels = members if isinstance(members, Mapping) else dict.fromkeys(members, 1.0)
        with self.connect() as warehouse:
            warehouse.execute(
                f"create or replace table analytics.{audience} (user_id varchar, level double)"
            )
            rows = {"user_id": list(levels), "level": list(levels.values())}
            warehouse.append(
                f"analytics.{audience}",
                pa.table(rows, pa.schema([("user_id", pa.string()), ("level", pa.float64())])),
            )
            self._built(warehouse, audience, at)

    def events(self, events: list[tuple[str, str, str, datetime]], at: datetime) -> None:
        """Add (event_id, user_id, name, occurred_at), received as they occur."""
        with self.connect() as warehouse:
            rows = [
                {
                    "event_id": event_id,
                    "row_id": event_id,
                    "user_id": user_id,
                    "event": name,
                    "properties": '{"n":1}',
                    "occurred_at": naive_utc(occurred),
                    "received_at": naive_utc(occurred),
                }
                for event_id, user_id, name, occurred in events
            ]
            if rows:
                warehouse.append("analytics.events", pa.Table.from_pylist(rows))
            self._built(warehouse, "events", at)

    def relation(self, name: str, sql: str, at: datetime) -> None:
        """Replace any relation by a query, as a build at `at` would."""
        with self.connect() as warehouse:
            warehouse.execute(f"create or replace table analytics.{name} as {sql}")
            self._built(warehouse, name, at)

    def _built(self, warehouse: DuckDBWarehouse, name: str, at: datetime) -> None:
        self.builds += 1
        entry = json.dumps([{"name": name, "resource_type": "model", "status": "success"}])
        warehouse.execute(
            "insert into tailrace.builds values (?, ?, ?, ?, true, ?)",
            [f"b{self.builds:06}", *[at.replace(tzinfo=None)] * 3, entry],
        )
        warehouse.execute(
            "update tailrace.builds set finished_at = ? where build_id = ?",
            [naive_utc(T0 + timedelta(seconds=self.builds)), f"b{self.builds:06}"],
        )

    def audience(self, key: str, **guard: Any) -> Audience:
        """Add an audience; `guard` is what its YAML says there."""
        model = Model(key, f"analytics.{key}", ("user_id", "level"), f"audiences/{key}.sql")
        limits = GuardLimits.model_validate(guard)
        made = Audience(
            key, key.capitalize(), "team", "", model, ("user_traits",), "f" * 16, limits=limits
        )
        self.audiences[key] = made
        return made

    def sync(self, key: str, *, audience: str | None = None, **options: Any) -> Sync:
        defaults = {"destination": "iterable", "max_first": 1_000_000, "consent": "not_required"}
        read = SyncOptions.model_validate({**defaults, **options})
        model = EVENTS if read.sends == "events" else TRAITS
        of = self.audiences[audience] if audience else None
        made = Sync(key, "", "team", "syncs.yml", read, of.model if of else model, of)
        self.syncs[key] = made
        return made

    def engine(self) -> Engine:
        settings = {"api_key": KEY, "base_url": self.url, "identifier": self.identifier}
        account = Account("iterable", "iterable", settings, Path("destinations.yml"))
        return Engine(
            dbt=DbtPaths(self.folder, self.folder),
            project=Project(
                tuple(self.audiences.values()),
                tuple(self.syncs.values()),
                TRAITS,
                EVENTS,
                emails=EMAILS if self.has_emails else None,
                merges=MERGES if self.has_merges else None,
            ),
            connect=self.connect,
            accounts={"iterable": account},
            environment={},
            state_dir=self.folder / "state",
            clock=self.clock,
            random=Random(7),
            transport=self._transport,
        )

    def _transport(self, destination: Destination) -> Transport:
        real = HttpTransport(destination.base_url, destination.auth, "test")
        return self.wrap(real) if self.wrap else real

    def evaluate(self, key: str) -> Evaluation:
        with self.connect() as warehouse:
            return evaluate(
                warehouse,
                self.engine().project,
                self.audiences[key],
                latest_builds(warehouse),
                as_of=None,
                clock=self.clock,
            )

    def run(self, key: str, *, mode: Mode = Mode.NORMAL, **changes: Any) -> SyncRun:
        return run_sync(replace(self.engine(), **changes), self.syncs[key], mode=mode)

    def run_all(self) -> tuple[SyncRun, ...]:
        return run_syncs(self.engine(), self.syncs.values(), None)

    def plan(self, key: str) -> Plan:
        """Plan without storing."""
        with self.connect() as warehouse:
            return plan_sync(self.engine(), warehouse, self.syncs[key], as_of=None, secrets=False)

    def store(self, key: str) -> Plan:
        """Plan and store, without sending."""
        engine = self.engine()
        with self.connect() as warehouse:
            scope = scope_of(engine, warehouse, self.syncs[key], as_of=None, secrets=False)
            plan = propose(engine, scope)
            return store_plan(warehouse, self.syncs[key], plan, self.clock.now())

    def calls(self) -> list[dict[str, Any]]:
        """Return the calls that wrote something."""
        found: list[dict[str, Any]] = calls(self.sandbox)["calls"] if self.sandbox.exists() else []
        return [call for call in found if call["method"] == "POST"]

    def profile(self, identifier: str) -> dict[str, Any]:
        return profile(self.sandbox, identifier)

    def fields(self, identifier: str) -> dict[str, Any]:
        found = self.profile(identifier)["profile"]
        return dict(found["dataFields"]) if found else {}

    def event_names(self, identifier: str) -> list[str]:
        return [event["eventName"] for event in self.profile(identifier)["events"]]

    def step(self, hours: float = 24) -> datetime:
        """Move the clock on and return the new instant."""
        self.clock.sleep(hours * 3600)
        return self.clock.now()


def expected_id(*parts: str) -> str:
    """The same rule, from hashlib: sha256 over length-prefixed parts, as a UUID version 8."""
    digest = hashlib.sha256("".join(f"{len(p)}:{p}" for p in parts).encode()).hexdigest()
    variant = "89ab"[int(digest[16], 16) % 4]
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


@contextmanager
def make_world(folder: Path, **settings: Any) -> Iterator[World]:
    """Open a world in an empty folder; `settings` go to the sandbox."""
    clock = TestClock()
    chosen = {"limits": False, "track_creates_users": True, **settings}
    options = SandboxSettings(state=folder / "sandbox.sqlite", api_key=Secret(KEY), **chosen)
    with left_behind(running(options, clock)) as url, world_at(folder, clock, url) as world:
        yield world


@contextmanager
def world_again(world: World, folder: Path) -> Iterator[World]:
    """Open a copy, in another folder, of a world that is closed."""
    wait_for_leavers()
    shutil.copytree(world.folder, folder, dirs_exist_ok=True)
    clock = TestClock(world.clock.instant)
    options = SandboxSettings(
        state=folder / "sandbox.sqlite", api_key=Secret(KEY), limits=False, track_creates_users=True
    )
    with left_behind(running(options, clock)) as url:
        made = replace(
            world,
            folder=folder,
            clock=clock,
            url=url,
            syncs=dict(world.syncs),
            audiences=dict(world.audiences),
        )
        with made.connect() as warehouse:
            warehouse.execute("set threads = 1")
            yield made


@contextmanager
def world_at(folder: Path, clock: TestClock, url: str) -> Iterator[World]:
    """Open a world whose endpoint is somewhere else."""
    world = World(folder, clock, url)
    shutil.copy(_prepared(), folder / "w.duckdb")
    # Kept open, so that opening the file again in this process costs next to nothing.
    with world.connect() as warehouse:
        set_state_value(warehouse, "", "workspace_id", uuid4().hex)
        # A few rows are no work for several threads, and there is a process of tests per core.
        warehouse.execute("set threads = 1")
        yield world


@cache
def _prepared() -> Path:
    """Return an empty warehouse to copy: to make all of its tables takes ten times as long."""
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "w.duckdb"
    with open_duckdb(path, clock=TestClock()) as warehouse:
        prepare(warehouse)
    return path


def prepare(warehouse: DuckDBWarehouse) -> None:
    """Make the tables of an empty warehouse, with a raw layer that is not empty."""
    create_raw(warehouse)
    create_tables(warehouse)
    warehouse.execute("create schema analytics")
    warehouse.execute(
        "create table analytics.events (event_id varchar, row_id varchar, "
        "user_id varchar, event varchar, anonymous_id varchar, properties json, "
        "occurred_at timestamp, received_at timestamp)"
    )
    warehouse.execute("insert into raw.identifies (id, user_id) values ('x', 'x')")
