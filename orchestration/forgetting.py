"""Forgetting a user: suppressed first, deleted where that can be done, then removed here.

Each step may be the last one of a process: running it again finishes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace

from destinations.base import Destination, Kind, SyncShape
from destinations.errors import ConfigError
from orchestration.acks import fold
from orchestration.delivering import account_journal, send_plan
from orchestration.engine import Engine
from orchestration.forgotten import (
    PREFIX,
    Person,
    audiences_of,
    count_deletions,
    count_profiles,
    count_rows,
    find,
    remove,
)
from orchestration.ids import new_id
from orchestration.plan_store import OpenPlan, set_status
from orchestration.project import Sync
from orchestration.sql.names import aware_utc, naive_utc, text
from orchestration.sql.scalars import uuid_of
from orchestration.suppression import suppress
from orchestration.sync_runs import SyncRun
from orchestration.warehouse import Warehouse
from orchestration.warehouse.locks import lock_when_free
from orchestration.warehouse.schema import workspace_id

LOCK_SECONDS = 30.0
REASON = "forgotten"


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What forgetting somebody does, or did.

    Attributes:
        status: dry, done, or incomplete (a destination did not answer; run it again).
        users: ids that are this person.
        keys: ids and addresses that are suppressed with them.
        shared: of these, addresses that other users have too: they are not written to either.
        profiles: profiles to delete, or deleted, by destination.
        by_hand: profiles whose deletion has to be asked for by hand, by destination.
        rows: rows removed or made anonymous, by table.
        reasons: why it is not done.
    """

    status: str
    users: int
    keys: int
    shared: int = 0
    profiles: Mapping[str, int] = field(default_factory=dict)
    by_hand: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the shape that `forget --json` prints."""
        return {
            "status": self.status,
            "users": self.users,
            "keys": self.keys,
            "shared": self.shared,
            "profiles": dict(self.profiles),
            "by_hand": dict(self.by_hand),
            "rows": dict(self.rows),
            "reasons": list(self.reasons),
        }


def would_forget(engine: Engine, who: str, *, by_email: bool) -> Forgetting:
    """Return what `forget` would do; nothing is written.

    Raises:
        ConfigError: `who` is empty, or no address where one is meant.
    """
    _check(who, by_email)
    with engine.connect() as warehouse:
        person = find(warehouse, engine.project, who, by_email=by_email)
        _check_known(person, who, by_email)
        return _plan(engine, warehouse, person, secrets=False)


def forget(engine: Engine, who: str, *, by_email: bool) -> Forgetting:
    """Forget a user, or whoever has an address.

    From the first moment nothing more is sent of them. A destination that cannot be told keeps
    what it has; the result says which, and how many profiles. Rows are removed once every
    deletion is settled.

    Raises:
        ConfigError: `who` is empty, or no address where one is meant; an account is not set up.
        LockedError: an evaluation or a sync does not end; by then they are suppressed already.
    """
    _check(who, by_email)
    with engine.connect() as warehouse:
        person = find(warehouse, engine.project, who, by_email=by_email)
        _check_known(person, who, by_email)
        _plan(engine, warehouse, person, secrets=True)  # what is not set up is said before
        _suppress(engine, warehouse, person)
        names = _locks(engine, warehouse)
    with ExitStack() as held:
        for name in names:
            held.enter_context(
                lock_when_free(engine.connect, name, clock=engine.clock, deadline=LOCK_SECONDS)
            )
        with engine.connect() as warehouse:
            person = find(warehouse, engine.project, who, by_email=by_email)
            _suppress(engine, warehouse, person)
            plan = _plan(engine, warehouse, person, secrets=True)
            for account in plan.profiles:
                _store_deletions(engine, warehouse, account, person)
        reasons = _delete(engine)
        if reasons:
            return replace(plan, status="incomplete", reasons=reasons)
        with engine.connect() as warehouse:
            find(warehouse, engine.project, who, by_email=by_email)
            deleted, refused = count_deletions(warehouse)
            by_hand = {**plan.by_hand, **refused}
            rows = remove(warehouse)
        return replace(plan, status="done", profiles=deleted, by_hand=by_hand, rows=rows)


def _check(who: str, by_email: bool) -> None:
    if not who.strip():
        raise ConfigError("is empty", key="USER")
    if by_email and "@" not in who:
        raise ConfigError("this is no e-mail address; without --email it is a user id", key="USER")


def _check_known(person: Person, who: str, by_email: bool) -> None:
    """Refuse an address that was given as a user id: half of the person would be forgotten."""
    if "@" in who and not by_email and not person.is_known:
        raise ConfigError(
            "no user has this id, and it looks like an address: add --email", key="USER"
        )


def _suppress(engine: Engine, warehouse: Warehouse, person: Person) -> None:
    suppress(warehouse, [*person.users, *person.keys], REASON, engine.clock.now())


def _plan(engine: Engine, warehouse: Warehouse, person: Person, *, secrets: bool) -> Forgetting:
    profiles: dict[str, int] = {}
    by_hand: dict[str, int] = {}
    for account, count in count_profiles(warehouse).items():
        deletes = _deleter(engine, account, secrets=secrets) is not None
        (profiles if deletes else by_hand)[account] = count
    return Forgetting(
        "dry",
        len(person.users),
        len(person.keys),
        person.shared,
        profiles,
        by_hand,
        count_rows(warehouse),
    )


def _carrier(engine: Engine, account: str) -> Sync | None:
    """Return a sync by which the account is reached; deletions are not its own ops."""
    return next((s for s in engine.project.syncs if s.options.destination == account), None)


def _deleter(engine: Engine, account: str, *, secrets: bool = True) -> Destination | None:
    """Return the account's connector if it can delete profiles."""
    sync = _carrier(engine, account)
    if sync is None or account not in engine.accounts:
        return None
    if Kind.DELETE not in engine.destination(sync, secrets=False).endpoints:
        return None
    return engine.destination(sync, secrets=secrets)


def _locks(engine: Engine, warehouse: Warehouse) -> list[str]:
    """Return the locks of every audience that is to change, and of every sync."""
    known = warehouse.rows(
        "select substr(name, 6) from tailrace.destination_state "
        "where destination = '' and name like 'sync/%'"
    )
    syncs = {sync.key for sync in engine.project.syncs} | {key for (key,) in known}
    audiences = [f"audience-{audience}" for audience in audiences_of(warehouse)]
    return [*audiences, *(f"sync-{key}" for key in sorted(syncs))]


def _store_deletions(engine: Engine, warehouse: Warehouse, account: str, person: Person) -> None:
    """Store one plan of deletions; profiles that have such an op already are not in it."""
    destination, sync = _deleter(engine, account), _carrier(engine, account)
    if destination is None or sync is None:
        return
    now = engine.clock.now()
    shape = SyncShape(sync.key, sync.audience.key if sync.audience else None)
    values = {
        "plan": new_id("p", now),
        "account": account,
        "sync": PREFIX + account,
        "user": person.users[0] if person.users else "",
        "identifier": destination.columns(Kind.DELETE, shape).identifier,
        "now": naive_utc(now),
    }
    parts = (text(str(values[name])) for name in ("sync", "plan"))
    op_id = uuid_of(text(workspace_id(warehouse)), *parts, "dest_key")
    with warehouse.transaction():
        for statement in (_DELETIONS.format(op_id=op_id), _DELETION_PLAN):
            used = {name: value for name, value in values.items() if f"${name}" in statement}
            warehouse.execute(statement, used)


_DELETIONS = """
insert into tailrace.plan_ops by name
with profiles as (
    select dest_key, (
        select max(greatest(unsure_until, quiet_until)) from tailrace.acked as k
        where k.dest_key = p.dest_key
    ) as not_before
    from tailrace_profiles as p where destination = $account
)
select $plan as plan_id, row_number() over (order by not_before is not null, dest_key) as seq,
    dest_key, $user as user_id, 'delete' as kind, 'delete' as op, 0 as version, {op_id} as op_id,
    cast($now as timestamp) as occurred_at, '' as row_hash, not_before, 1 as objects,
    cast(json_object($identifier, dest_key) as varchar) as payload
from profiles
"""

_DELETION_PLAN = """
insert into tailrace.plans by name
select $plan as plan_id, $sync as sync, cast($now as timestamp) as as_of, '' as plan_hash,
    'ready' as status, cast('[]' as json) as reasons, 'forget' as mode,
    cast($now as timestamp) as ready_at, cast($now as timestamp) as planned_at,
    count(*) as ops, 0 as enter, 0 as "exit", 0 as "update", count(*) as "delete", 0 as event,
    0 as skipped, 0 as gone, 0 as too_late, 0 as calls, sum(strlen(payload)) as bytes
from tailrace.plan_ops where plan_id = $plan
"""


def _delete(engine: Engine) -> tuple[str, ...]:
    """Send every deletion that is stored; returns why some are not settled."""
    with engine.connect() as warehouse:
        plans = _open_deletions(warehouse)
    runs = [_send(engine, account, plan) for account, plan in plans]
    return tuple(reason for run in runs if run.status != "done" for reason in run.reasons)


def _open_deletions(warehouse: Warehouse) -> list[tuple[str, OpenPlan]]:
    found = warehouse.rows(
        "select sync, plan_id, status, as_of, ready_at, ops, bytes from tailrace.plans "
        "where mode = 'forget' and status in ('ready', 'delivering') order by ready_at, plan_id"
    )
    return [
        (
            sync.removeprefix(PREFIX),
            OpenPlan(plan_id, status, aware_utc(as_of), aware_utc(ready), ops, size, "forget"),
        )
        for sync, plan_id, status, as_of, ready, ops, size in found
    ]


def _send(engine: Engine, account: str, plan: OpenPlan) -> SyncRun:
    """Deliver one plan of deletions as any plan is delivered: claimed, settled, folded."""
    run = SyncRun(PREFIX + account, account)
    sync, destination = _carrier(engine, account), _deleter(engine, account)
    if sync is None or destination is None:
        run.status = "failed"
        run.reasons = [f"{account} can no longer be told: it is gone from the project"]
        return run
    with engine.connect() as warehouse:
        journal = account_journal(engine, warehouse, sync, destination)
        set_status(warehouse, plan.plan_id, "delivering")
    with closing(journal):
        send_plan(engine, sync, destination, journal, plan, run)
        with engine.connect() as warehouse:
            fold(warehouse, journal)
            if run.status == "done":
                set_status(warehouse, plan.plan_id, "done")
    return run
