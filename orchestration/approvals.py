"""Approving what the guard held: exactly that, once, by somebody who knows the number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from destinations.errors import ConfigError, DataError
from orchestration.builds import latest_builds
from orchestration.deltas import apply_deltas
from orchestration.sql.names import aware_utc, naive_utc
from orchestration.warehouse import Warehouse


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


def approve(
    warehouse: Warehouse, held_id: str, *, expect_exits: int | None, by: str, now: datetime
) -> Approval:
    """Let a held evaluation or plan take effect.

    An evaluation applies exactly its stored deltas; a plan is sent by the next `sync`.

    Raises:
        ConfigError: nothing held has that id, or the number of exits is not the expected one.
        DataError: something newer was committed in the meantime.
    """
    with warehouse.transaction():
        evaluation = warehouse.rows(
            "select audience, as_of, entered, exited, status from tailrace.evaluations "
            "where evaluation_id = ?",
            [held_id],
        )
        if evaluation:
            audience, as_of, entered, exited, status = evaluation[0]
            _check(held_id, status, exited, expect_exits)
            _approve_evaluation(warehouse, held_id, audience, aware_utc(as_of), by, now)
            return Approval(held_id, f"audience {audience}", entered, exited)
        plan = warehouse.rows(
            'select sync, enter + "update" + event, "exit" + "delete", status, as_of '
            "from tailrace.plans where plan_id = ?",
            [held_id],
        )
        if not plan:
            raise ConfigError(
                f"nothing has the id {held_id}", key="ID", accepted=_held_ids(warehouse)
            )
        sync, entered, exited, status, as_of = plan[0]
        _check(held_id, status, exited, expect_exits)
        _check_current(warehouse, held_id, sync, aware_utc(as_of))
        warehouse.execute(
            "update tailrace.plans set status = 'ready', approved_by = ?, ready_at = ? "
            "where plan_id = ?",
            [by, naive_utc(now), held_id],
        )
        return Approval(held_id, f"sync {sync}", entered, exited)


def _approve_evaluation(
    warehouse: Warehouse, evaluation_id: str, audience: str, as_of: datetime, by: str, now: datetime
) -> None:
    newer = warehouse.rows(
        "select count(*) from tailrace.evaluations where audience = ? and status = 'committed' "
        "and origin = 'live' and as_of > ?",
        [audience, naive_utc(as_of)],
    )
    if newer[0][0]:
        raise DataError(
            f"{audience} was evaluated and committed after {evaluation_id}; what it held is out "
            "of date"
        )
    apply_deltas(warehouse, evaluation_id, audience, as_of)
    warehouse.execute(
        "update tailrace.evaluations set status = 'committed', approved_by = ?, approved_at = ? "
        "where evaluation_id = ?",
        [by, naive_utc(now), evaluation_id],
    )


def _check_current(warehouse: Warehouse, plan_id: str, sync: str, as_of: datetime) -> None:
    built = latest_builds(warehouse).get("user_traits")
    if built and built.as_of > as_of:
        raise DataError(
            f"the models were built as of {built.as_of:%Y-%m-%d %H:%M:%S} since {plan_id} was "
            f"made; `tailrace sync {sync}` plans from there, and shows what to approve"
        )


def _check(held_id: str, status: str, exits: int, expected: int | None) -> None:
    if status != "held":
        raise ConfigError(f"{held_id} is not held; its status is {status}", key="ID")
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
