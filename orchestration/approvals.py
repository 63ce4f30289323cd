"""Approving what the guard held: exactly that, once, by somebody who knows the number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from destinations.clock import Clock
from destinations.errors import ConfigError, DataError
from orchestration.builds import latest_builds
from orchestration.deltas import apply_deltas, delta_hash
from orchestration.sql.names import aware_utc, naive_utc
from orchestration.warehouse import Connect, Warehouse
from orchestration.warehouse.locks import keep_trying


@dataclass(frozen=True, slots=True)
class Approval:
    """What was approved."""

    id: str
    what: str
    entered: int
    exited: int

    def as_dict(self) -> dict[str, object]:
        """Return the shape that `approve --json` prints."""
        return {
            "approved": self.id,
            "what": self.what,
            "enter": self.entered,
            "exit": self.exited,
        }


def approve_when_free(
    connect: Connect,
    held_id: str,
    *,
    expect_exits: int | None,
    by: str,
    clock: Clock,
    deadline: float = 30.0,
) -> Approval:
    """Let a held evaluation or plan take effect, waiting for whoever is at work on it.

    The warehouse is let go of while waiting: whoever holds the lock may need it.

    Raises:
        LockedError: it is still in use after `deadline` seconds; says by whom.
        ConfigError: as `approve`.
        DataError: as `approve`.
    """

    def attempt() -> Approval:
        with connect() as warehouse:
            return approve(warehouse, held_id, expect_exits=expect_exits, by=by, now=clock.now())

    return keep_trying(attempt, clock=clock, deadline=deadline, every=1.0)


def approve(
    warehouse: Warehouse, held_id: str, *, expect_exits: int | None, by: str, now: datetime
) -> Approval:
    """Let a held evaluation or plan take effect.

    An evaluation applies exactly its stored deltas; a plan is sent by the next `sync`.

    Raises:
        ConfigError: nothing held has that id, or the number of exits is not the expected one.
        DataError: something newer was committed in the meantime, or the deltas are not those that
            were held.
        LockedError: an evaluation of the audience, or the sync, is at work; says who.
    """
    with warehouse.lock(_lock_of(warehouse, held_id)), warehouse.transaction():
        approved = _approve_evaluation(warehouse, held_id, expect_exits, by, now)
        return approved or _approve_plan(warehouse, held_id, expect_exits, by, now)


def _lock_of(warehouse: Warehouse, held_id: str) -> str:
    found = warehouse.rows(
        "select 'audience-' || audience from tailrace.evaluations where evaluation_id = $id "
        "union all select 'sync-' || sync from tailrace.plans where plan_id = $id",
        {"id": held_id},
    )
    if not found:
        raise ConfigError(f"nothing has the id {held_id}", key="ID", accepted=_held_ids(warehouse))
    return str(found[0][0])


def _approve_evaluation(
    warehouse: Warehouse, evaluation_id: str, expect_exits: int | None, by: str, now: datetime
) -> Approval | None:
    found = warehouse.rows(
        "select audience, as_of, entered, exited, delta_hash, status, approved_by, approved_at "
        "from tailrace.evaluations where evaluation_id = ?",
        [evaluation_id],
    )
    if not found:
        return None
    audience, as_of, entered, exited, digest, *state = found[0]
    _check_held(evaluation_id, *state)
    _check_exits(evaluation_id, exited, expect_exits)
    newer = warehouse.rows(
        "select count(*) from tailrace.evaluations where audience = ? and status = 'committed' "
        "and origin = 'live' and as_of > ?",
        [audience, as_of],
    )
    if newer[0][0]:
        raise DataError(
            f"{audience} was evaluated and committed after {evaluation_id}; what it held is out "
            "of date"
        )
    if delta_hash(warehouse, evaluation_id) != digest:
        raise DataError(
            f"the deltas of {evaluation_id} are not those that were held (a user may have been "
            "forgotten since); `tailrace evaluate` makes it anew, and shows what to approve"
        )
    apply_deltas(warehouse, evaluation_id, audience, aware_utc(as_of))
    warehouse.execute(
        "update tailrace.evaluations set status = 'committed', approved_by = ?, approved_at = ? "
        "where evaluation_id = ?",
        [by, naive_utc(now), evaluation_id],
    )
    return Approval(evaluation_id, f"audience {audience}", entered, exited)


def _approve_plan(
    warehouse: Warehouse, plan_id: str, expect_exits: int | None, by: str, now: datetime
) -> Approval:
    ((sync, as_of, entered, exited, *state),) = warehouse.rows(
        'select sync, as_of, enter + "update" + event, "exit" + "delete", '
        "status, approved_by, approved_at from tailrace.plans where plan_id = ?",
        [plan_id],
    )
    _check_held(plan_id, *state)
    _check_exits(plan_id, exited, expect_exits)
    _check_current(warehouse, plan_id, sync, aware_utc(as_of))
    warehouse.execute(
        "update tailrace.plans set status = 'ready', approved_by = ?, approved_at = ?, "
        "ready_at = ? where plan_id = ?",
        [by, naive_utc(now), naive_utc(now), plan_id],
    )
    return Approval(plan_id, f"sync {sync}", entered, exited)


def _check_current(warehouse: Warehouse, plan_id: str, sync: str, as_of: datetime) -> None:
    built = latest_builds(warehouse).get("user_traits")
    if built and built.as_of > as_of:
        raise DataError(
            f"the models were built as of {built.as_of:%Y-%m-%d %H:%M:%S} since {plan_id} was "
            f"made; `tailrace sync {sync}` plans from there, and shows what to approve"
        )


def _check_held(held_id: str, status: str, by: str | None, at: datetime | None) -> None:
    if status == "held":
        return
    said = f"; {by} approved it at {at:%Y-%m-%d %H:%M:%S} UTC" if by and at else ""
    raise ConfigError(f"{held_id} is not held: it is {status}{said}", key="ID")


def _check_exits(held_id: str, exits: int, expected: int | None) -> None:
    if exits and expected is None:
        raise ConfigError(
            f"{held_id} makes {exits:,} leave; say so with --expect-exits {exits}",
            key="--expect-exits",
        )
    if expected is not None and expected != exits:
        raise ConfigError(
            f"{held_id} makes {exits:,} leave, not {expected:,}", key="--expect-exits"
        )


def _held_ids(warehouse: Warehouse) -> list[str]:
    return [
        row[0]
        for row in warehouse.rows(
            "select evaluation_id from tailrace.evaluations where status = 'held' union all "
            "select plan_id from tailrace.plans where status = 'held' order by 1"
        )
    ]
