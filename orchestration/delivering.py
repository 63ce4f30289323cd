"""One sync, start to end: fold, resume or plan, deliver, fold.

The warehouse is open only to read a chunk of ops and to write what came of it, never while a
request is on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from datetime import datetime, timedelta
from threading import Lock

from destinations.base import Context, Destination, Endpoint, SyncShape
from destinations.delivery.calling import Tally
from destinations.delivery.journal import Journal
from destinations.delivery.limiter import Limiter
from destinations.delivery.opening import open_journal
from destinations.delivery.policy import quiescence
from destinations.delivery.ranges import pending
from destinations.delivery.sender import Sender
from destinations.delivery.steps import Incomplete, Stopped
from destinations.delivery.wire import OneByOne, SideBySide, Wire
from destinations.errors import ConfigError, LockedError, TailraceError
from orchestration.accounts import endpoint_name
from orchestration.acks import copy, fold, known_epoch, note_epoch
from orchestration.desired.scope import QUIET, Mode, kind_of
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
from orchestration.progress import measured
from orchestration.project import Sync
from orchestration.retention import drop_old_payloads
from orchestration.suppression import note_merges, settle_tied
from orchestration.sync_identity import is_retiring, retired_at, same_as_before, shape_of
from orchestration.sync_plans import propose, scope_of, with_exact_cost
from orchestration.sync_runs import SyncRun, log_run, settled
from orchestration.warehouse import Warehouse
from orchestration.warehouse.locks import lock_when_free
from orchestration.warehouse.schema import set_state_value, state_value, workspace_id

FOLD_SECONDS = 30.0
FOLD_ROWS = 250_000


LOCK_SECONDS = 30.0


def run_sync(
    engine: Engine, sync: Sync, *, as_of: datetime | None = None, mode: Mode = Mode.NORMAL
) -> SyncRun:
    """Finish what an earlier run of this sync left, then plan and deliver what is due now.

    Args:
        engine: what every verb is handed.
        sync: the sync.
        as_of: the instant its models must have been built for; None for that of the last build.
        mode: what the new plan is for. Where no call is to be made, an earlier plan is closed
            rather than finished.

    Raises:
        ConfigError: the account or a mapped column is wrong; no call was made.
        DataError: the models are not built for this as_of.
        LockedError: another process runs this sync.
    """
    run = SyncRun(sync.key, sync.options.destination)
    destination = engine.destination(sync)
    started, started_at = engine.clock.monotonic(), engine.clock.now()
    with ExitStack() as held:
        name = f"sync-{sync.key}"
        held.enter_context(
            lock_when_free(engine.connect, name, clock=engine.clock, deadline=LOCK_SECONDS)
        )
        with engine.connect() as warehouse:
            if _is_over(warehouse, sync, run):
                return run
            mode = Mode.RETIRE if is_retiring(warehouse, sync.key) else mode
            journal = account_journal(engine, warehouse, sync, destination)
            held.enter_context(closing(journal))
            fold(warehouse, journal)
            plan = None
            if mode is Mode.RETIRE or not _is_held(warehouse, sync, run):
                plan = _resumable(engine, warehouse, sync, destination, journal, mode)
            resumed = plan is not None
            if run.status != "held":
                plan = plan or _planned(engine, warehouse, sync, run, as_of, mode)
            before = _begin(warehouse, plan)
        while plan:
            tally = send_plan(engine, sync, destination, journal, plan, run)
            with engine.connect() as warehouse:
                fold(warehouse, journal)
                _finish(warehouse, plan, run, tally, before)
                fresh = resumed and run.status == "done"
                plan = _next(engine, warehouse, sync, run, as_of, mode) if fresh else None
                resumed, before = False, _begin(warehouse, plan)
    run.seconds = engine.clock.monotonic() - started
    with engine.connect() as warehouse:
        log_run(warehouse, run, started_at, engine.clock.now())
        drop_old_payloads(warehouse, engine.clock.now())
    return run


def _next(
    engine: Engine,
    warehouse: Warehouse,
    sync: Sync,
    run: SyncRun,
    as_of: datetime | None,
    mode: Mode,
) -> OpenPlan | None:
    """Plan after finishing an old plan; what that delivered is told even if this fails."""
    try:
        return _planned(engine, warehouse, sync, run, as_of, mode)
    except TailraceError as error:
        run.status, run.reasons, run.error = "failed", [error.message], error
        return None


def _planned(
    engine: Engine,
    warehouse: Warehouse,
    sync: Sync,
    run: SyncRun,
    as_of: datetime | None,
    mode: Mode,
) -> OpenPlan | None:
    """Plan and store what is due now; None if that is nothing, or held."""
    scope = scope_of(engine, warehouse, sync, as_of=as_of, secrets=True, mode=mode)
    note_merges(warehouse, scope.relations.merges)
    if mode is not Mode.RETIRE and _is_held(warehouse, sync, run):
        return None
    plan = propose(engine, scope)
    if plan.verdict == "held":
        plan = with_exact_cost(scope, plan)
    plan = store_plan(warehouse, sync, plan, engine.clock.now())
    set_state_value(warehouse, "", f"as_of/{sync.key}", plan.as_of.isoformat())
    run.skipped, run.silent, run.unsendable = plan.skipped, plan.silent, plan.unsendable
    if plan.verdict == "held":
        run.status, run.plan_id, run.reasons = "held", plan.plan_id, list(plan.reasons)
        run.held_exits = plan.counts.get("exit", 0) + plan.counts.get("delete", 0)
    elif mode in QUIET:
        run.status = "done"
    return open_plan(warehouse, sync) if plan.verdict == "ready" else None


def _is_over(warehouse: Warehouse, sync: Sync, run: SyncRun) -> bool:
    """Tell whether the sync is retired: its key is used up."""
    since = retired_at(warehouse, sync.key)
    if since is not None:
        run.reasons = [
            f"retired on {since:%Y-%m-%d}; remove its exposure, or give it another key to begin "
            "anew"
        ]
    return since is not None


def _is_held(warehouse: Warehouse, sync: Sync, run: SyncRun) -> bool:
    """Tell whether an evaluation of the sync's audience waits for approval.

    Until then its syncs send nothing at all: not even a changed address is worth a call on the
    strength of an answer that somebody has yet to confirm.
    """
    held = held_evaluation(warehouse, sync)
    if held:
        run.status, run.reasons = "held", [held]
    return held is not None


def account_journal(
    engine: Engine, warehouse: Warehouse, sync: Sync, destination: Destination
) -> Journal:
    """Open the account's journal, once warehouse, journal, account and sync are seen to match."""
    account = sync.options.destination
    key = f"destinations.{account}"
    account_is = f"{endpoint_name(destination)}, profiles by {destination.identifier}"
    same_as_before(warehouse, account, "account", account_is, file="destinations.yml", key=key)
    key = f"exposures.{sync.key}"
    same_as_before(warehouse, "", f"sync/{sync.key}", shape_of(sync), file=sync.file, key=key)
    ((attempts,),) = warehouse.rows(
        "select coalesce(max(attempt), 0) from tailrace.receipts where outcome <> 'suppressed'"
    )
    known_id = state_value(warehouse, account, "journal_id")
    journal = open_journal(
        engine.state_dir / f"{account}.sqlite",
        warehouse_id=workspace_id(warehouse),
        known_id=known_id,
        known_epoch=known_epoch(warehouse, known_id),
        replaces=state_value(warehouse, "", "replaces"),
        clock=engine.clock,
        new=engine.new_journal,
        attempts=attempts,
    )
    try:
        _check_not_older(warehouse, journal, account)
    except ConfigError:
        journal.close()
        raise
    set_state_value(warehouse, account, "journal_id", journal.journal_id)
    note_epoch(warehouse, journal)
    return journal


def _check_not_older(warehouse: Warehouse, journal: Journal, account: str) -> None:
    """Refuse a backup of the warehouse: it would give out versions again that went out before.

    Raises:
        ConfigError: it lacks a plan of which the journal has claims.
    """
    for plan_id in journal.plans():
        if not warehouse.rows("select 1 from tailrace.plans where plan_id = ?", [plan_id]):
            raise ConfigError(
                f"the warehouse is an older copy: it does not have {plan_id}, which was on its "
                f"way, as the journal {account}.sqlite knows. Put the newer one back, or go "
                "on from this one with --new-journal (the old file is kept aside; what was sent "
                "since is planned again, under ids that may have been used)",
                file=f"{account}.sqlite",
            )


def _resumable(
    engine: Engine,
    warehouse: Warehouse,
    sync: Sync,
    destination: Destination,
    journal: Journal,
    mode: Mode,
) -> OpenPlan | None:
    """Return the plan to finish; one that has waited too long is closed and planned anew."""
    plan = open_plan(warehouse, sync)
    now = engine.clock.now()
    asked_otherwise = mode in (*QUIET, Mode.RETIRE) and plan and plan.mode != mode.value
    if plan and (asked_otherwise or now - plan.ready_at > sync.options.max_age):
        began = journal.created_at <= plan.ready_at.timestamp()
        claims = journal.claims(plan.plan_id)
        ranges = [(claim.seq_from, claim.seq_to) for claim in claims] if began else None
        quiet = quiescence(endpoint.timeout for endpoint in destination.endpoints.values())
        close_plan(warehouse, plan, now + timedelta(seconds=quiet), ranges)
        return None
    if plan:
        settle_tied(warehouse, now, plan.plan_id)
    return plan


def _begin(warehouse: Warehouse, plan: OpenPlan | None) -> dict[str, int]:
    """Mark a plan as on its way, before its first byte, and count what is settled already."""
    if plan is None:
        return {}
    set_status(warehouse, plan.plan_id, "delivering")
    return settled(warehouse, plan.plan_id)


def send_plan(
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
    alone = Lock()
    read, still = reader(engine.connect, plan, engine.clock.now, alone)
    ordered = sync.options.sends == "events" and sync.options.order == "time"
    with closing(_wire(engine, destination, ordered=ordered)) as wire:
        sender = Sender(
            destination=destination,
            context=Context(SyncShape(sync.key, sync.audience.key if sync.audience else None)),
            journal=journal,
            limiter=Limiter(journal, engine.clock),
            wire=wire,
            clock=engine.clock,
            random=engine.random,
            endpoints=destination.endpoints,
            after_request=_after_request(
                engine, sync, journal, plan, destination.endpoints.get(kind_of(sync)), alone
            ),
            still=still,
            ordered=ordered,
            ending=engine.ending,
        )
        try:
            sender.send(plan.plan_id, plan.ops, read, tally)
            run.status = "done"
        except Incomplete as ending:
            run.status, run.reasons = "incomplete", [f"{ending}; the next run goes on from here"]
        except Stopped as ending:
            run.status, run.reasons = "failed", [f"{ending}; no row was rejected for it"]
    return tally


def _wire(engine: Engine, destination: Destination, *, ordered: bool) -> Wire:
    most = max(endpoint.concurrency for endpoint in destination.endpoints.values())
    first = engine.transport(destination)
    if ordered or most == 1:
        return OneByOne(first)
    return SideBySide(first, lambda: engine.transport(destination))


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
    engine: Engine,
    sync: Sync,
    journal: Journal,
    plan: OpenPlan,
    endpoint: Endpoint | None,
    alone: Lock,
) -> Callable[[Tally], None]:
    """Tell how far it is, and fold now and then without ever waiting for the warehouse."""
    folded_at, folded_rows = engine.clock.monotonic(), 0
    spans = pending(plan.ops, journal.claims(plan.plan_id))
    measure = measured(
        sync.key,
        left=sum(span.seq_to - span.seq_from + 1 for span in spans),
        of=plan.ops,
        endpoint=endpoint,
        clock=engine.clock,
    )

    def after_request(tally: Tally) -> None:
        nonlocal folded_at, folded_rows
        engine.watch.progress(measure(tally.calls, tally.rows))
        now = engine.clock.monotonic()
        if now - folded_at < FOLD_SECONDS and tally.rows - folded_rows < FOLD_ROWS:
            return
        if not alone.acquire(blocking=False):
            return
        folded_at, folded_rows = now, tally.rows
        try:
            with suppress(LockedError), engine.connect(deadline=0.0) as warehouse:
                copy(warehouse, journal)
        finally:
            alone.release()

    return after_request
