"""One sync, start to end: fold, resume or plan, deliver, fold.

The warehouse is open only to read a chunk of ops and to write what came of it, never while a
request is on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from destinations.base import Context, Destination, Kind, Row, SyncShape
from destinations.delivery.journal import Journal, open_journal
from destinations.delivery.limiter import Limiter
from destinations.delivery.sender import Incomplete, Read, Sender, Stopped, Tally
from destinations.errors import ConfigError, DataError, LockedError, TailraceError
from orchestration.accounts import endpoint_name
from orchestration.acks import fold
from orchestration.builds import built_as_of, latest_builds
from orchestration.engine import Engine
from orchestration.ids import new_id
from orchestration.plan_store import OpenPlan, close_plan, open_plan, set_status, store_plan
from orchestration.planning import Plan, make_plan
from orchestration.project import Sync
from orchestration.sql.names import aware_utc, naive_utc
from orchestration.warehouse import Connect, Warehouse
from orchestration.warehouse.schema import set_state_value, state_value, workspace_id

CHUNK_ROWS = 50_000
CHUNK_BYTES = 32 * 1024 * 1024
FOLD_SECONDS = 30.0
FOLD_ROWS = 250_000


@dataclass(slots=True)
class SyncRun:
    """One run of a sync, as `run --json` shows it.

    `status`: done, nothing (to send), held, incomplete (resumed by the next run), failed, or
    waiting (for a sync it comes after).
    """

    sync: str
    destination: str
    status: str = "nothing"
    plan_id: str | None = None
    calls: int = 0
    delivered: int = 0
    rejected: int = 0
    skipped: int = 0
    retried: int = 0
    throttled_s: float = 0.0
    seconds: float = 0.0
    held_exits: int = 0
    reasons: list[str] = field(default_factory=list)
    warnings: dict[str, int] = field(default_factory=dict)
    error: TailraceError | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the shape that `run --json` promises."""
        shape: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        shape["throttled_s"] = round(self.throttled_s, 2)
        shape["seconds"] = round(self.seconds, 2)
        shape["error"] = self.error.as_dict() if self.error else None
        return shape


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
            plan = _resumable(engine, warehouse, sync)
            resumed = plan is not None
            plan = plan or _planned(engine, warehouse, sync, run, as_of)
            before = _begin(warehouse, plan)
        while plan:
            tally = _send(engine, sync, destination, journal, plan, run)
            with engine.connect() as warehouse:
                fold(warehouse, journal)
                _finish(warehouse, plan, run, tally, before)
                fresh = resumed and run.status == "done"
                plan = _planned(engine, warehouse, sync, run, as_of) if fresh else None
                resumed, before = False, _begin(warehouse, plan)
    run.seconds = engine.clock.monotonic() - started
    with engine.connect() as warehouse:
        _log_run(engine, warehouse, run, started_at)
    return run


def plan_sync(
    engine: Engine, warehouse: Warehouse, sync: Sync, *, as_of: datetime | None, secrets: bool
) -> Plan:
    """Plan a sync in this connection, at the instant its models were built for."""
    names = ["user_traits"] + (["events"] if sync.options.sends == "events" else [])
    instant = built_as_of(latest_builds(warehouse), names, as_of)
    ((last,),) = warehouse.rows(
        "select max(as_of) from tailrace.plans where sync = ? and ready_at is not null", [sync.key]
    )
    if last is not None and instant < aware_utc(last):
        raise DataError(
            f"sync {sync.key} was planned as of {last:%Y-%m-%d %H:%M:%S} already; it does not go "
            f"back to {instant:%Y-%m-%d %H:%M:%S}. For the past use `tailrace backfill`, which "
            "never sends anything"
        )
    return make_plan(
        warehouse,
        engine.project,
        sync,
        engine.destination(sync, secrets=secrets),
        as_of=instant,
        now=engine.clock.now(),
    )


def _planned(
    engine: Engine, warehouse: Warehouse, sync: Sync, run: SyncRun, as_of: datetime | None
) -> OpenPlan | None:
    """Plan and store what is due now; None if that is nothing, or held.

    While an audience's evaluation is held, its syncs send nothing at all: not even a changed
    address is worth a call on the strength of an answer that somebody has yet to confirm.
    """
    held = _held_evaluation(warehouse, sync)
    if held:
        run.status, run.reasons = "held", [f"evaluation {held} of its audience is held"]
        return None
    plan = plan_sync(engine, warehouse, sync, as_of=as_of, secrets=True)
    plan = store_plan(warehouse, sync, plan, engine.clock.now())
    run.skipped = plan.skipped
    if plan.verdict == "held":
        run.status, run.plan_id, run.reasons = "held", plan.plan_id, list(plan.reasons)
        run.held_exits = plan.counts.get("exit", 0) + plan.counts.get("delete", 0)
    return open_plan(warehouse, sync) if plan.verdict == "ready" else None


def _held_evaluation(warehouse: Warehouse, sync: Sync) -> str | None:
    found = warehouse.rows(
        "select max(evaluation_id) from tailrace.evaluations where audience = ? "
        "and status = 'held'",
        [sync.audience.key if sync.audience else None],
    )
    return str(found[0][0]) if found[0][0] else None


def _journal(engine: Engine, warehouse: Warehouse, sync: Sync, destination: Destination) -> Journal:
    """Open the account's journal and make sure that warehouse, journal and account match."""
    account = sync.options.destination
    known = state_value(warehouse, account, "endpoint")
    name = endpoint_name(destination)
    if known is not None and known != name:
        raise ConfigError(
            f"this warehouse has delivered to {known} as {account!r} and would now send to "
            f"{name}, of which it knows nothing. Use another warehouse (or dbt target) for "
            "another account, or give the account another name in destinations.yml",
            file="destinations.yml",
            key=f"destinations.{account}.base_url",
        )
    journal = open_journal(
        engine.state_dir / f"{account}.sqlite",
        warehouse_id=workspace_id(warehouse),
        known_id=state_value(warehouse, account, "journal_id"),
        replaces=state_value(warehouse, "", "replaces"),
        clock=engine.clock,
        new=engine.new_journal,
    )
    set_state_value(warehouse, account, "endpoint", name)
    set_state_value(warehouse, account, "journal_id", journal.journal_id)
    return journal


def _resumable(engine: Engine, warehouse: Warehouse, sync: Sync) -> OpenPlan | None:
    """Return the plan to finish; one that has waited too long is closed and planned anew."""
    plan = open_plan(warehouse, sync)
    if plan and engine.clock.now() - plan.ready_at > sync.options.max_age:
        close_plan(warehouse, plan, engine.clock.now())
        return None
    return plan


def _begin(warehouse: Warehouse, plan: OpenPlan | None) -> dict[str, int]:
    """Mark a plan as on its way, before its first byte, and count what is settled already."""
    if plan is None:
        return {}
    set_status(warehouse, plan.plan_id, "delivering")
    return _outcomes(warehouse, plan.plan_id)


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
            sender.send(plan.plan_id, plan.ops, _reader(engine.connect, plan), tally)
            run.status = "done"
        except Incomplete as ending:
            run.status, run.reasons = "incomplete", [f"{ending}; the next run goes on from here"]
        except Stopped as ending:
            run.status, run.reasons = "failed", [f"{ending}; no row was rejected for it"]
    return tally


def _finish(
    warehouse: Warehouse, plan: OpenPlan, run: SyncRun, tally: Tally, before: dict[str, int]
) -> None:
    """Count what this run settled, and mark the plan done if all of it is."""
    if run.status == "done":
        set_status(warehouse, plan.plan_id, "done")
    after = _outcomes(warehouse, plan.plan_id)
    run.delivered += after["delivered"] - before["delivered"]
    run.rejected += sum(after[name] - before[name] for name in ("rejected", "later"))
    run.calls += tally.calls
    run.retried += tally.retried
    run.throttled_s += tally.throttled_s
    for name, count in tally.warnings.items():
        run.warnings[name] = run.warnings.get(name, 0) + count


def _outcomes(warehouse: Warehouse, plan_id: str) -> dict[str, int]:
    counts = {"delivered": 0, "rejected": 0, "later": 0}
    found = warehouse.rows(
        "select outcome, count(*) from tailrace.op_outcomes where plan_id = ? group by outcome",
        [plan_id],
    )
    return counts | {outcome: count for outcome, count in found if outcome in counts}


def _reader(connect: Connect, plan: OpenPlan) -> Read:
    """Read ops in chunks: open, read, close."""
    average = max(1, plan.bytes // max(1, plan.ops))
    chunk = max(1_000, min(CHUNK_ROWS, CHUNK_BYTES // average))

    def ops(seq_from: int, seq_to: int) -> Iterator[tuple[str, Row]]:
        while seq_from <= seq_to:
            last = min(seq_to, seq_from + chunk - 1)
            with connect() as warehouse:
                table = warehouse.query(
                    "select kind, seq, dest_key, op_id, epoch_us(occurred_at) as occurred_us, "
                    "objects, encode(payload) as payload from tailrace.plan_ops "
                    "where plan_id = ? and seq between ? and ? order by seq",
                    [plan.plan_id, seq_from, last],
                )
            kinds, *columns = (column.to_pylist() for column in table.columns)
            yield from zip(kinds, map(Row, *columns), strict=True)
            seq_from = last + 1

    def read(seq_from: int, seq_to: int) -> Iterator[tuple[Kind, Iterable[Row]]]:
        for kind, group in groupby(ops(seq_from, seq_to), key=itemgetter(0)):
            yield Kind(kind), map(itemgetter(1), group)

    return read


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


def _log_run(engine: Engine, warehouse: Warehouse, run: SyncRun, started_at: datetime) -> None:
    warehouse.execute(
        "insert into tailrace.sync_runs values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            new_id("r", started_at),
            run.sync,
            run.plan_id,
            naive_utc(started_at),
            naive_utc(engine.clock.now()),
            run.status,
            run.calls,
            run.retried,
            run.throttled_s,
        ],
    )


def failed_run(sync: Sync, error: TailraceError) -> SyncRun:
    """Return the run of a sync that could not start."""
    return SyncRun(
        sync.key, sync.options.destination, "failed", reasons=[error.message], error=error
    )
