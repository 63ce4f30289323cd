"""One run of a sync in numbers, and its row in `tailrace.sync_runs`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from destinations.errors import LockedError, TailraceError
from destinations.scrub import one_line
from orchestration.ids import new_id
from orchestration.plan_store import OF_SLICE, slices
from orchestration.project import Sync
from orchestration.sql.names import naive_utc
from orchestration.warehouse import Connect, Warehouse
from orchestration.warehouse.schema import told


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
    unsendable: int = 0
    silent: int = 0
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


def settled(warehouse: Warehouse, plan_id: str) -> dict[str, int]:
    """Return how many ops of a plan are delivered, rejected, and to be tried later."""
    counts = {"delivered": 0, "rejected": 0, "later": 0}
    for part in slices(warehouse, plan_id):
        for outcome, count in warehouse.rows(_OUTCOMES, part):
            if outcome in counts:
                counts[outcome] += count
    return counts


_OUTCOMES = f"""
select outcome, count(*) from ({told(OF_SLICE)}) where seq between $from and $to group by outcome
"""


def log_run(warehouse: Warehouse, run: SyncRun, started_at: datetime, ended_at: datetime) -> None:
    """Keep what cannot be derived from the plan and its receipts."""
    warehouse.execute(
        "insert into tailrace.sync_runs (run_id, sync, plan_id, started_at, ended_at, status, "
        "calls, retried, throttled_s, reason) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            new_id("r", started_at),
            run.sync,
            run.plan_id,
            naive_utc(started_at),
            naive_utc(ended_at),
            run.status,
            run.calls,
            run.retried,
            run.throttled_s,
            one_line(run.reasons[0]) if run.reasons else None,
        ],
    )


def log_unstarted(connect: Connect, runs: Iterable[SyncRun], now: datetime) -> None:
    """Keep that syncs could not start, so that `status` knows.

    Best effort: the error itself is what has to be told. A sync that another process runs is not
    one that failed, and nobody waits for a warehouse that is in use.
    """
    failed = [run for run in runs if not isinstance(run.error, LockedError)]
    if not failed:
        return
    try:
        with connect(deadline=0.0) as warehouse:
            if warehouse.rows(_HAS_TABLE):
                for run in failed:
                    log_run(warehouse, run, now, now)
    except TailraceError:
        return


_HAS_TABLE = """
select 1 from information_schema.columns
where table_schema = 'tailrace' and table_name = 'sync_runs' and column_name = 'reason'
"""


def failed_run(sync: Sync, error: TailraceError) -> SyncRun:
    """Return the run of a sync that could not start."""
    return SyncRun(
        sync.key, sync.options.destination, "failed", reasons=[error.message], error=error
    )
