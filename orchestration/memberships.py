"""One evaluation: who is in an audience at an as_of, compared with the last committed point."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from destinations.clock import Clock
from destinations.errors import DataError
from orchestration.builds import Built, built_as_of
from orchestration.deltas import (
    NOBODY,
    Diff,
    apply_deltas,
    drop_deltas,
    store_deltas,
    store_suppressed,
)
from orchestration.guard import Reason, reasons_to_hold
from orchestration.guard_facts import Change, Excused, count_excused, gather
from orchestration.guard_history import History, Point, read_history
from orchestration.ids import new_id
from orchestration.intervals import close_backfilled, last_backfilled
from orchestration.project import Audience, Project
from orchestration.sql.names import naive_utc
from orchestration.suppression import note_merges, suppressed
from orchestration.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation as the CLI and Dagster show it; `status` as in `tailrace.evaluations`."""

    audience: str
    status: str
    as_of: datetime | None
    members: int = 0
    entered: int = 0
    exited: int = 0
    reasons: tuple[str, ...] = ()
    evaluation_id: str | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the shape that `run --json` promises."""
        return {
            "audience": self.audience,
            "status": self.status,
            "as_of": f"{self.as_of:%Y-%m-%dT%H:%M:%SZ}" if self.as_of else None,
            "members": self.members,
            "entered": self.entered,
            "exited": self.exited,
            "reasons": list(self.reasons),
            "evaluation_id": self.evaluation_id,
        }


def evaluate(
    warehouse: Warehouse,
    project: Project,
    audience: Audience,
    builds: Mapping[str, Built],
    *,
    as_of: datetime | None,
    clock: Clock,
) -> Evaluation:
    """Evaluate one audience at the instant its models were built for.

    A model that could not be built, or whose user_id is missing, null or not unique, gives an
    evaluation of status `failed`: unknown is not empty, and the last committed answer stands.
    """
    started = clock.monotonic()
    with warehouse.lock(f"audience-{audience.key}", deadline=30.0):
        try:
            instant = built_as_of(builds, (*audience.upstream, audience.model.name), as_of)
            history = read_history(warehouse, audience.key)
            last = history.last if history else None
            _check_forward(warehouse, audience, last, instant)
            check_columns(warehouse, audience, audience.model.relation)
            events = builds.get(project.events.name)
            with warehouse.transaction():
                draft = _draft(warehouse, project, audience, history, instant, events, clock)
                return _settle(warehouse, draft, last, clock, started)
        except DataError as error:
            return Evaluation(audience.key, "failed", as_of, reasons=(error.message,))


@dataclass(frozen=True, slots=True)
class _Draft:
    """An evaluation that is judged, and not recorded yet."""

    audience: Audience
    change: Change
    reasons: tuple[Reason, ...]
    kept_out: str


def _draft(
    warehouse: Warehouse,
    project: Project,
    audience: Audience,
    history: History | None,
    as_of: datetime,
    events: Built | None,
    clock: Clock,
) -> _Draft:
    evaluation_id = new_id("e", clock.now())
    relation = audience.model.relation
    note_merges(warehouse, project.merges.relation if project.merges else None)
    kept_out = _kept_out(warehouse, relation)
    if history is None:
        close_backfilled(warehouse, audience.key, as_of)
    diff = store_deltas(warehouse, evaluation_id, audience.key, relation, as_of, kept_out=kept_out)
    _check_keys(warehouse, audience, diff)
    ((base,),) = warehouse.rows(f"select count(*) from {project.traits.relation}")
    if history is None or not (diff.entered or diff.exited):
        return _Draft(audience, Change(evaluation_id, as_of, diff, Excused(), base), (), kept_out)
    excused = count_excused(warehouse, project, audience, evaluation_id, kept_out)
    change = Change(evaluation_id, as_of, diff, excused, base)
    facts = gather(warehouse, project, audience, history, change, events)
    return _Draft(audience, change, tuple(reasons_to_hold(facts, audience.limits)), kept_out)


def _kept_out(warehouse: Warehouse, relation: str) -> str:
    """Return the condition on a candidate who is no member; who is suppressed is looked up once."""
    condition = suppressed(warehouse, "cast(user_id as varchar)")
    if condition == NOBODY:
        return NOBODY
    warehouse.execute(
        "create or replace temp table tailrace_kept_out as "
        f"select distinct cast(user_id as varchar) as user_id from {relation} where {condition}"
    )
    return "cast(user_id as varchar) in (select user_id from tailrace_kept_out)"


def _settle(
    warehouse: Warehouse, draft: _Draft, last: Point | None, clock: Clock, started: float
) -> Evaluation:
    """Record an evaluation as committed or held, unless it says what was said already."""
    audience, change = draft.audience, draft.change
    waiting = _same_hold(warehouse, draft) if draft.reasons else None
    if waiting:
        drop_deltas(warehouse, change.evaluation_id)
        return _shown(draft, "held", waiting)
    warehouse.execute(
        "update tailrace.evaluations set status = 'superseded' "
        "where audience = ? and status = 'held'",
        [audience.key],
    )
    if last and last.as_of == change.as_of and not change.diff.entered and not change.diff.exited:
        return _shown(draft, "committed", last.evaluation_id)
    if draft.kept_out != NOBODY:
        store_suppressed(
            warehouse,
            change.evaluation_id,
            audience.key,
            audience.model.relation,
            change.as_of,
            draft.kept_out,
        )
    if not draft.reasons:
        apply_deltas(warehouse, change.evaluation_id, audience.key, change.as_of)
    status = "held" if draft.reasons else "committed"
    _insert(warehouse, draft, status, clock, started)
    return _shown(draft, status, change.evaluation_id)


def _same_hold(warehouse: Warehouse, draft: _Draft) -> str | None:
    """Return the id of the evaluation that is held for just this: it stays the one to approve."""
    found = warehouse.rows(
        "select evaluation_id from tailrace.evaluations where audience = ? and status = 'held' "
        "and as_of = ? and delta_hash = ? and cast(rules as varchar) = ? limit 1",
        [
            draft.audience.key,
            naive_utc(draft.change.as_of),
            draft.change.diff.digest,
            json.dumps([reason.rule for reason in draft.reasons]),
        ],
    )
    return str(found[0][0]) if found else None


def _shown(draft: _Draft, status: str, evaluation_id: str) -> Evaluation:
    return Evaluation(
        draft.audience.key,
        status,
        draft.change.as_of,
        draft.change.diff.members,
        draft.change.diff.entered,
        draft.change.diff.exited,
        tuple(reason.sentence for reason in draft.reasons),
        evaluation_id,
    )


def _insert(warehouse: Warehouse, draft: _Draft, status: str, clock: Clock, started: float) -> None:
    row = {
        "evaluation_id": draft.change.evaluation_id,
        "audience": draft.audience.key,
        "as_of": naive_utc(draft.change.as_of),
        "origin": "live",
        "status": status,
        "base": draft.change.base,
        "candidates": draft.change.diff.candidates,
        "members": draft.change.diff.members,
        "entered": draft.change.diff.entered,
        "exited": draft.change.diff.exited,
        "excused_entered": draft.change.excused.entered,
        "excused_exited": draft.change.excused.exited,
        "reasons": json.dumps([reason.sentence for reason in draft.reasons]),
        "rules": json.dumps([reason.rule for reason in draft.reasons]),
        "sql_fingerprint": draft.audience.sql_fingerprint,
        "delta_hash": draft.change.diff.digest,
        "seconds": clock.monotonic() - started,
        "evaluated_at": naive_utc(clock.now()),
    }
    warehouse.execute(
        f"insert into tailrace.evaluations ({', '.join(row)}) "
        f"values ({', '.join('?' for _ in row)})",
        list(row.values()),
    )


def backwards(audience: str, last: datetime, as_of: datetime) -> DataError:
    """Return what to say of an as_of before the last live point of an audience."""
    return DataError(
        f"{audience} was evaluated as of {last:%Y-%m-%d %H:%M:%S} already; live evaluations go "
        f"forward. {as_of:%Y-%m-%d %H:%M:%S} is for a backfill, which never sends anything",
        key="--as-of",
    )


def _check_forward(
    warehouse: Warehouse, audience: Audience, last: Point | None, as_of: datetime
) -> None:
    if last and as_of < last.as_of:
        raise backwards(audience.key, last.as_of, as_of)
    if last is None:
        filled = last_backfilled(warehouse, audience.key)
        if filled and as_of <= filled:
            raise DataError(
                f"{audience.key} was filled in up to {filled:%Y-%m-%d %H:%M:%S}; its first live "
                f"evaluation comes after that, not as of {as_of:%Y-%m-%d %H:%M:%S}"
            )


def check_columns(warehouse: Warehouse, audience: Audience, relation: str) -> None:
    """Refuse a relation of an audience without user_id.

    Raises:
        DataError: lists the columns it has.
    """
    file = audience.model.file
    columns = [row[0] for row in warehouse.rows(f"describe {relation}")]
    if "user_id" not in columns:
        raise DataError(
            f"{file}: an audience needs a column user_id, one row per member; "
            f"it has {', '.join(columns)}",
            file=file,
            key="user_id",
        )


def _check_keys(warehouse: Warehouse, audience: Audience, diff: Diff) -> None:
    """Refuse an audience with members twice or without a name.

    Raises:
        DataError: with counts and hashed samples.
    """
    relation, file = audience.model.relation, audience.model.file
    if diff.nameless:
        raise DataError(
            f"{file}: {diff.nameless:,} of {diff.candidates:,} rows have no user_id",
            file=file,
            key="user_id",
        )
    if diff.repeated:
        samples = warehouse.rows(
            "select substr(sha256(cast(user_id as varchar)), 1, 10), count(*) "
            f"from {relation} group by user_id having count(*) > 1 order by 2 desc, 1 limit 5"
        )
        listed = ", ".join(f"{digest} x{count}" for digest, count in samples)
        raise DataError(
            f"{file}: {diff.repeated:,} of {diff.candidates:,} rows repeat a user_id "
            f"(sha256 begins: {listed}); an audience has one row per member",
            file=file,
            key="user_id",
        )
