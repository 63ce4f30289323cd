"""The end of a sync, and a sync under another name: what its destination has stays known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import uuid4

from destinations.errors import ConfigError, DataError
from orchestration.delivering import LOCK_SECONDS, run_sync
from orchestration.desired.membership import TOLD
from orchestration.desired.scope import Mode
from orchestration.engine import Engine
from orchestration.plan_store import supersede_open
from orchestration.project import Sync
from orchestration.sync_identity import orphans, retired_at, shape_of
from orchestration.sync_plans import plan_sync
from orchestration.warehouse import Warehouse
from orchestration.warehouse.schema import set_state_value, state_value

_TABLES = ("issued", "rejects", "sent_events", "plans", "sync_runs")


@dataclass(frozen=True, slots=True)
class Adoption:
    """What moved from one key to another."""

    old: str
    new: str
    profiles: int

    def as_dict(self) -> dict[str, object]:
        """Return the shape that `adopt --json` prints."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Retirement:
    """The end of a sync: what it sent, or would send, to take its leave."""

    sync: str
    status: str
    exits: int
    calls: int = 0
    reasons: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the shape that `retire --json` prints."""
        return asdict(self)


def adopt(engine: Engine, warehouse: Warehouse, old: str, new: str) -> Adoption:
    """Let a sync go on under another key: nothing is sent for the change of name.

    The op_ids of the sync go on as they were; a sync that takes the old key later begins anew.

    Raises:
        ConfigError: the old key is still in the project or unknown, the new one is not in the
            project, does something else, or has delivered already.
        LockedError: another process runs one of them.
    """
    sync = _adopter(engine, warehouse, old, new)
    with (
        warehouse.lock(f"sync-{old}", LOCK_SECONDS),
        warehouse.lock(f"sync-{new}", LOCK_SECONDS),
        warehouse.transaction(),
    ):
        supersede_open(warehouse, new)
        warehouse.execute("delete from tailrace.issued where sync = ?", [new])
        warehouse.execute("delete from tailrace.rejects where sync = ?", [new])
        for table in _TABLES:
            warehouse.execute(f"update tailrace.{table} set sync = ? where sync = ?", [new, old])
        set_state_value(warehouse, "", f"op_key/{new}", _op_key(warehouse, old))
        set_state_value(warehouse, "", f"op_key/{old}", uuid4().hex)
        set_state_value(warehouse, "", f"sync/{new}", shape_of(sync))
        last = state_value(warehouse, "", f"as_of/{old}")
        if last is not None:
            set_state_value(warehouse, "", f"as_of/{new}", last)
        warehouse.execute(
            "delete from tailrace.destination_state where destination = '' and name in (?, ?)",
            [f"sync/{old}", f"as_of/{old}"],
        )
    return Adoption(old, new, _told(warehouse, new))


def _adopter(engine: Engine, warehouse: Warehouse, old: str, new: str) -> Sync:
    sync = engine.project.sync(new)
    if old in {other.key for other in engine.project.syncs}:
        raise ConfigError(f"{old} is still a sync of the project; rename it first", key="OLD")
    left = orphans(warehouse, engine.project)
    if old not in left:
        raise ConfigError(
            f"there is nothing known of a sync {old!r}", key="OLD", accepted=sorted(left)
        )
    if left[old] != shape_of(sync):
        raise ConfigError(
            f"{old} was {left[old]}, and {new} is {shape_of(sync)}: what one knows is of no use "
            "to the other",
            file=sync.file,
            key=f"exposures.{new}",
        )
    delivered = warehouse.rows(
        "select 1 from tailrace.plans where sync = ? and ready_at is not null limit 1", [new]
    )
    if delivered:
        raise ConfigError(f"{new} has delivered already under its own name", key="NEW")
    return sync


def _op_key(warehouse: Warehouse, key: str) -> str:
    return state_value(warehouse, "", f"op_key/{key}") or key


def retire(
    engine: Engine, key: str, *, expect_exits: int | None, leave: bool, now: datetime
) -> Retirement:
    """End a sync: everybody who was told that they are in is told that they left.

    Without `expect_exits` nothing is done. `leave` ends it as it stands, without a call. Once
    begun, a retirement goes on with each run of the sync until it is through.

    Raises:
        ConfigError: there is no such sync, it was removed from the project and would have
            something to say, or the number is not the right one.
    """
    with engine.connect() as warehouse:
        since = retired_at(warehouse, key)
        if since is not None:
            return Retirement(key, "retired", 0, reasons=(f"since {since:%Y-%m-%d}",))
        sync = next((sync for sync in engine.project.syncs if sync.key == key), None)
        if sync is None and key not in orphans(warehouse, engine.project):
            known = {s.key for s in engine.project.syncs} | set(orphans(warehouse, engine.project))
            raise ConfigError(f"there is no sync {key!r}", key="SYNC", accepted=sorted(known))
        told = _told(warehouse, key)
        silent = leave or not told or sync is None or sync.options.sends != "membership"
        if silent and not leave and sync is None and told:
            raise ConfigError(
                f"{key} told {told:,} profiles that they are in, and how to tell them otherwise "
                "is no longer in the project; put its exposure back, or end it as it stands with "
                "--leave",
                key=key,
            )
        exits = 0 if silent or sync is None else _exits(engine, warehouse, sync)
        if expect_exits is None:
            return Retirement(key, "dry", exits)
        if expect_exits != exits:
            raise ConfigError(
                f"{key} would tell {exits:,} profiles that they left, not {expect_exits:,}",
                key="--expect-exits",
            )
        if silent or sync is None:
            with warehouse.lock(f"sync-{key}", LOCK_SECONDS), warehouse.transaction():
                supersede_open(warehouse, key)
                set_state_value(warehouse, "", f"retired/{key}", now.isoformat())
            return Retirement(key, "retired", 0)
        set_state_value(warehouse, "", f"retiring/{key}", now.isoformat())
    return _say_goodbye(engine, sync, now)


def _say_goodbye(engine: Engine, sync: Sync, now: datetime) -> Retirement:
    run = run_sync(engine, sync, mode=Mode.RETIRE)
    with engine.connect() as warehouse:
        left = _told(warehouse, sync.key)
        done = run.status in ("done", "nothing")
        if done:
            set_state_value(warehouse, "", f"retired/{sync.key}", now.isoformat())
    reasons = list(run.reasons)
    if done and left:
        reasons.append(f"{left:,} profiles refused to be told; `tailrace rejects` says why")
    status = "retired" if done else run.status
    return Retirement(sync.key, status, run.delivered, run.calls, tuple(reasons))


def _exits(engine: Engine, warehouse: Warehouse, sync: Sync) -> int:
    plan = plan_sync(engine, warehouse, sync, as_of=None, secrets=False, mode=Mode.RETIRE)
    if plan.verdict == "held":
        raise DataError(f"{sync.key} cannot be retired yet: {'; '.join(plan.reasons)}")
    return plan.counts.get("exit", 0)


def _told(warehouse: Warehouse, key: str) -> int:
    ((told,),) = warehouse.rows(
        f"select count(*) from tailrace.acked where sync = ? and op in {TOLD}", [key]
    )
    return int(told)
