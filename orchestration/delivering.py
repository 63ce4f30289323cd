"""One sync, start to end: fold, resume or plan, deliver, fold.

The warehouse is open only to read a chunk of ops and to write what came of it, never while a
request is on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import datetime

from destinations.base import Context, Destination, SyncShape
from destinations.delivery.journal import Journal, open_journal
from destinations.delivery.limiter import Limiter
from destinations.delivery.sender import Incomplete, Sender, Stopped, Tally
from destinations.errors import ConfigError, DataError, LockedError, TailraceError
from orchestration.accounts import endpoint_name
from orchestration.acks import fold
from orchestration.builds import built_as_of, latest_builds
from orchestration.engine import Engine
from orchestration.ops import reader
from orchestration.plan_store import (
    OpenPlan,
    close_plan,
    held_evaluation,
    open_plan,
    set_status,
    store_plan,
)
from orchestration.planning import Plan, make_plan
from orchestration.project import Sync
from orchestration.sync_runs import SyncRun, log_run, settled
from orchestration.warehouse import Warehouse
from orchestration.warehouse.schema import set_state_value, state_value, workspace_id

FOLD_SECONDS = 30.0
FOLD_ROWS = 250_000


def run_sync(engine: Engine, sync: Sync, *, as_of: datetime | None = None) -> SyncRun:
    """Finish what an earlier run of this sync left, then plan and deliver what is due now.

    Raises:
        ConfigError: the account or a mapped column is wrong; no call was made.
        DataError: the models are not built for this as_of.
        LockedError: another process runs this sync.
    """
    run = SyncRun(sync.key, sync.options.destination)
    destination = engine.destination(sync)
    started, started_at = engine.clock.monotonic(), engine.clock.now()
    with ExitStack() as held:
        with engine.connect() as warehouse:
            held.enter_context(warehouse.lock(f"sync-{sync.key}"))
            journal = held.enter_context(closing(_journal(engine, warehouse, sync, destination)))
            fold(warehouse, journal)
            plan = (
                None
                if _is_held(warehouse, sync, run)
                else _resumable(engine, warehouse, sync, journal)
            )
            resumed = plan is not None
            if run.status != "held":
                plan = plan or _planned(engine, warehouse, sync, run, as_of)
            before = _begin(warehouse, plan)
        while plan:
            tally = _send(engine, sync, destination, journal, plan, run)
            with engine.connect() as warehouse:
                fold(warehouse, journal)
                _finish(warehouse, plan, run, tally, before)
                fresh = resumed and run.status == "done"
                plan = _next(engine, warehouse, sync, run, as_of) if fresh else None
                resumed, before = False, _begin(warehouse, plan)
    run.seconds = engine.clock.monotonic() - started
    with engine.connect() as warehouse:
        log_run(warehouse, run, started_at, engine.clock.now())
    return run


def plan_sync(
    engine: Engine, warehouse: Warehouse, sync: Sync, *, as_of: datetime | None, secrets: bool
) -> Plan:
    """Plan a sync in this connection, at the instant its models were built for."""
    names = ["user_traits"] + (["events"] if sync.options.sends == "events" else [])
    instant = built_as_of(latest_builds(warehouse), names, as_of)
    held = held_evaluation(warehouse, sync)
    if held:
        return Plan(sync.key, "held", instant, reasons=(held,))
    if sync.audience and not _was_evaluated(warehouse, sync.audience.key):
        raise DataError(
            f"audience {sync.audience.key} has never been evaluated; run `tailrace build` and "
            "`tailrace evaluate` (or `tailrace run`)",
            key=sync.audience.key,
        )
    last = state_value(warehouse, "", f"as_of/{sync.key}")
    if last is not None and instant < datetime.fromisoformat(last):
        raise DataError(
            f"sync {sync.key} was planned as of {last} already; it does not go back to "
            f"{instant.isoformat()}"
        )
    return make_plan(
        warehouse,
        engine.project,
        sync,
        engine.destination(sync, secrets=secrets),
        as_of=instant,
        now=engine.clock.now(),
    )


def _was_evaluated(warehouse: Warehouse, audience: str) -> bool:
    found = warehouse.rows(
        "select 1 from tailrace.evaluations where audience = ? and status = 'committed' limit 1",
        [audience],
    )
    return bool(found)


def _next(
    engine: Engine, warehouse: Warehouse, sync: Sync, run: SyncRun, as_of: datetime | None
) -> OpenPlan | None:
    """Plan after finishing an old plan; what that delivered is told even if this fails."""
    try:
        return _planned(engine, warehouse, sync, run, as_of)
    except TailraceError as error:
        run.status, run.reasons, run.error = "failed", [error.message], error
        return None


def _planned(
    engine: Engine, warehouse: Warehouse, sync: Sync, run: SyncRun, as_of: datetime | None
) -> OpenPlan | None:
    """Plan and store what is due now; None if that is nothing, or held."""
    plan = plan_sync(engine, warehouse, sync, as_of=as_of, secrets=True)
    if plan.verdict != "held" or plan.ops:
        plan = store_plan(warehouse, sync, plan, engine.clock.now())
        set_state_value(warehouse, "", f"as_of/{sync.key}", plan.as_of.isoformat())
    run.skipped = plan.skipped
    if plan.verdict == "held":
        run.status, run.plan_id, run.reasons = "held", plan.plan_id, list(plan.reasons)
        run.held_exits = plan.counts.get("exit", 0) + plan.counts.get("delete", 0)
    return open_plan(warehouse, sync) if plan.verdict == "ready" else None


def _is_held(warehouse: Warehouse, sync: Sync, run: SyncRun) -> bool:
    """Tell whether an evaluation of the sync's audience waits for approval.

    Until then its syncs send nothing at all: not even a changed address is worth a call on the
    strength of an answer that somebody has yet to confirm.
    """
    held = held_evaluation(warehouse, sync)
    if held:
        run.status, run.reasons = "held", [held]
    return held is not None


def _journal(engine: Engine, warehouse: Warehouse, sync: Sync, destination: Destination) -> Journal:
    """Open the account's journal, once warehouse, journal, account and sync are seen to match."""
    account = sync.options.destination
    key = f"destinations.{account}"
    account_is = f"{endpoint_name(destination)}, profiles by {destination.identifier}"
    _same_as_before(warehouse, account, "account", account_is, "destinations.yml", key)
    audience = sync.audience.key if sync.audience else "-"
    sync_is = f"{account}: {sync.options.sends} {sync.options.as_ or '-'} {audience}"
    _same_as_before(warehouse, "", f"sync/{sync.key}", sync_is, sync.file, f"exposures.{sync.key}")
    ((attempts,),) = warehouse.rows("select coalesce(max(attempt), 0) from tailrace.receipts")
    journal = open_journal(
        engine.state_dir / f"{account}.sqlite",
        warehouse_id=workspace_id(warehouse),
        known_id=state_value(warehouse, account, "journal_id"),
        replaces=state_value(warehouse, "", "replaces"),
        clock=engine.clock,
        new=engine.new_journal,
        attempts=attempts,
    )
    set_state_value(warehouse, account, "journal_id", journal.journal_id)
    return journal


def _same_as_before(
    warehouse: Warehouse, destination: str, name: str, value: str, file: str, key: str
) -> None:
    """Refuse to go on under a name that stood for something else: what that has is unknown.

    Raises:
        ConfigError: the account or the sync is not what this warehouse has delivered so far.
    """
    known = state_value(warehouse, destination, name)
    if known is not None and known != value:
        raise ConfigError(
            f"under this name the warehouse has delivered to: {known}; it would now be: {value}, "
            "of which it knows nothing. Give it another name, or use another warehouse (or dbt "
            "target) for it",
            file=file,
            key=key,
        )
    if known is None:
        set_state_value(warehouse, destination, name, value)


def _resumable(
    engine: Engine, warehouse: Warehouse, sync: Sync, journal: Journal
) -> OpenPlan | None:
    """Return the plan to finish; one that has waited too long is closed and planned anew."""
    plan = open_plan(warehouse, sync)
    now = engine.clock.now()
    if plan and now - plan.ready_at > sync.options.max_age:
        began = journal.created_at <= plan.ready_at.timestamp()
        claims = journal.claims(plan.plan_id)
        ranges = [(claim.seq_from, claim.seq_to) for claim in claims] if began else None
        close_plan(warehouse, plan, now, ranges)
        return None
    return plan


def _begin(warehouse: Warehouse, plan: OpenPlan | None) -> dict[str, int]:
    """Mark a plan as on its way, before its first byte, and count what is settled already."""
    if plan is None:
        return {}
    set_status(warehouse, plan.plan_id, "delivering")
    return settled(warehouse, plan.plan_id)


def _send(
    engine: Engine,
    sync: Sync,
    destination: Destination,
    journal: Journal,
    plan: OpenPlan,
    run: SyncRun,
) -> Tally:
    """Send what is left of a plan; how that ended goes into `run`."""
    run.plan_id = plan.plan_id
    tally = Tally()
    with closing(engine.transport(destination)) as transport:
        sender = Sender(
            destination=destination,
            context=Context(SyncShape(sync.key, sync.audience.key if sync.audience else None)),
            journal=journal,
            limiter=Limiter(journal, engine.clock),
            transport=transport,
            clock=engine.clock,
            random=engine.random,
            endpoints=destination.endpoints,
            after_request=_after_request(engine, sync, journal, plan),
        )
        try:
            sender.send(plan.plan_id, plan.ops, reader(engine.connect, plan), tally)
            run.status = "done"
        except Incomplete as ending:
            run.status, run.reasons = "incomplete", [f"{ending}; the next run goes on from here"]
        except Stopped as ending:
            run.status = "failed"
            run.reasons = [
                f"{ending}: see to the account's key and address in destinations.yml; no row was "
                "rejected for it"
            ]
    return tally


def _finish(
    warehouse: Warehouse, plan: OpenPlan, run: SyncRun, tally: Tally, before: dict[str, int]
) -> None:
    """Count what this run settled, and mark the plan done if all of it is."""
    if run.status == "done":
        set_status(warehouse, plan.plan_id, "done")
    after = settled(warehouse, plan.plan_id)
    run.delivered += after["delivered"] - before["delivered"]
    run.rejected += sum(after[name] - before[name] for name in ("rejected", "later"))
    run.calls += tally.calls
    run.retried += tally.retried
    run.throttled_s += tally.throttled_s
    for name, count in tally.warnings.items():
        run.warnings[name] = run.warnings.get(name, 0) + count


def _after_request(
    engine: Engine, sync: Sync, journal: Journal, plan: OpenPlan
) -> Callable[[Tally], None]:
    """Show progress, and fold now and then without ever waiting for the warehouse."""
    folded_at, folded_rows = engine.clock.monotonic(), 0

    def after_request(tally: Tally) -> None:
        nonlocal folded_at, folded_rows
        engine.progress(sync.key, tally.rows, plan.ops)
        now = engine.clock.monotonic()
        if now - folded_at < FOLD_SECONDS and tally.rows - folded_rows < FOLD_ROWS:
            return
        folded_at, folded_rows = now, tally.rows
        try:
            with engine.connect(deadline=0.0) as warehouse:
                fold(warehouse, journal)
        except LockedError:
            return

    return after_request
