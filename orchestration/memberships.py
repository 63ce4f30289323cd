"""One evaluation: who is in an audience at an as_of, compared with the last committed point."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from destinations.clock import Clock
from destinations.errors import DataError
from orchestration.builds import Built, built_as_of
from orchestration.deltas import apply_deltas, store_deltas
from orchestration.guard import Change, reasons_to_hold
from orchestration.ids import new_id
from orchestration.project import Audience, Project
from orchestration.sql.names import aware_utc, ident, naive_utc
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


@dataclass(frozen=True, slots=True)
class _Last:
    """The last committed live point of an audience."""

    evaluation_id: str
    as_of: datetime
    members: int


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
            last = _last_point(warehouse, audience.key)
            _check_forward(audience, last, instant)
            candidates = _check_keys(warehouse, audience)
        except DataError as error:
            return Evaluation(audience.key, "failed", as_of, reasons=(error.message,))
        with warehouse.transaction():
            return _record(warehouse, project, audience, last, instant, candidates, clock, started)


def _record(
    warehouse: Warehouse,
    project: Project,
    audience: Audience,
    last: _Last | None,
    as_of: datetime,
    candidates: int,
    clock: Clock,
    started: float,
) -> Evaluation:
    now = clock.now()
    evaluation_id = new_id("e", now)
    entered, exited, digest = store_deltas(
        warehouse, evaluation_id, audience.key, audience.model.relation, as_of
    )
    warehouse.execute(
        "update tailrace.evaluations set status = 'superseded' "
        "where audience = ? and status = 'held'",
        [audience.key],
    )
    if last and last.as_of == as_of and not entered and not exited:
        return Evaluation(
            audience.key, "committed", as_of, candidates, evaluation_id=last.evaluation_id
        )
    change = Change(
        audience.key, last is None, last.members if last else 0, candidates, entered, exited
    )
    reasons = reasons_to_hold(change)
    status = "held" if reasons else "committed"
    if not reasons:
        apply_deltas(warehouse, evaluation_id, audience.key, as_of)
    ((base,),) = warehouse.rows(f"select count(*) from {project.traits.relation}")
    warehouse.execute(
        "insert into tailrace.evaluations values "
        "(?, ?, ?, 'live', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null, null)",
        [
            evaluation_id,
            audience.key,
            naive_utc(as_of),
            status,
            base,
            candidates,
            candidates,
            entered,
            exited,
            json.dumps(reasons),
            audience.sql_fingerprint,
            digest,
            clock.monotonic() - started,
            naive_utc(now),
        ],
    )
    return Evaluation(
        audience.key, status, as_of, candidates, entered, exited, tuple(reasons), evaluation_id
    )


def _last_point(warehouse: Warehouse, audience: str) -> _Last | None:
    found = warehouse.rows(
        "select evaluation_id, as_of, members from tailrace.evaluations "
        "where audience = ? and origin = 'live' and status = 'committed' "
        "order by as_of desc, evaluated_at desc limit 1",
        [audience],
    )
    return _Last(found[0][0], aware_utc(found[0][1]), found[0][2]) if found else None


def _check_forward(audience: Audience, last: _Last | None, as_of: datetime) -> None:
    if last and as_of < last.as_of:
        raise DataError(
            f"{audience.key} was evaluated as of {last.as_of:%Y-%m-%d %H:%M:%S} already; live "
            f"evaluations go forward. {as_of:%Y-%m-%d %H:%M:%S} is for a backfill, which never "
            "sends anything"
        )


def _check_keys(warehouse: Warehouse, audience: Audience) -> int:
    """Return the number of candidates.

    Raises:
        DataError: user_id is missing, null or not unique; with counts and hashed samples.
    """
    relation, file = audience.model.relation, audience.model.file
    columns = [row[0] for row in warehouse.rows(f"describe {relation}")]
    if "user_id" not in columns:
        raise DataError(
            f"{file}: an audience needs a column user_id, one row per member; "
            f"it has {', '.join(columns)}",
            file=file,
            key="user_id",
        )
    ((total, nulls, distinct),) = warehouse.rows(
        f"select count(*), count(*) filter (where user_id is null "
        f"or trim(cast(user_id as varchar)) = ''), count(distinct user_id) from {relation}"
    )
    if nulls:
        raise DataError(
            f"{file}: {nulls:,} of {total:,} rows have no user_id", file=file, key="user_id"
        )
    if distinct < total:
        samples = warehouse.rows(
            f"select substr(sha256(cast({ident('user_id')} as varchar)), 1, 10), count(*) "
            f"from {relation} group by user_id having count(*) > 1 order by 2 desc, 1 limit 5"
        )
        listed = ", ".join(f"{digest} x{count}" for digest, count in samples)
        raise DataError(
            f"{file}: {total - distinct:,} of {total:,} rows repeat a user_id "
            f"(sha256 begins: {listed}); an audience has one row per member",
            file=file,
            key="user_id",
        )
    return int(total)
