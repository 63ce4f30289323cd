"""Who was in an audience on past days: evaluated day by day, and never sent to anybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, datetime, timedelta
from zoneinfo import ZoneInfo

from destinations.clock import Clock
from destinations.errors import ConfigError, DataError
from orchestration.chain import Step, compile_chain, make_at, make_undated
from orchestration.days import SECOND, last_second, last_seconds, project_zone
from orchestration.dbt import DbtPaths
from orchestration.ids import new_id
from orchestration.intervals import (
    KNOWN_STAYS,
    add_point,
    begin_points,
    keep_known_stays,
    store_points,
)
from orchestration.memberships import check_columns
from orchestration.project import Audience, Project
from orchestration.sql.names import aware_utc
from orchestration.suppression import suppressed
from orchestration.warehouse import Connect, Warehouse

LOCK_SECONDS = 30.0
DAYS_AT_ONCE = 31
"""So many days are kept together; between them the warehouse is free for others."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """What was filled in: one evaluation per day, from first to last."""

    audience: str
    first: date
    last: date
    evaluations: int
    seconds: float
    empty: int = 0
    """Days on which user_traits had nobody: before the first event there is no answer."""
    way: str = "reference"

    def as_dict(self) -> dict[str, object]:
        """Return the shape that `backfill --json` promises."""
        return {
            "audience": self.audience,
            "from": f"{self.first}",
            "to": f"{self.last}",
            "evaluations": self.evaluations,
            "days_without_users": self.empty,
            "way": self.way,
            "seconds": round(self.seconds, 2),
        }


def backfill(
    paths: DbtPaths,
    connect: Connect,
    project: Project,
    audience: Audience,
    *,
    first: date,
    last: date,
    replace: bool,
    clock: Clock,
    progress: Callable[[int, int], None] | None = None,
) -> Backfill:
    """Evaluate an audience at the last second of each past day, and keep who was in.

    Nothing that a sync reads is written: no deltas, no plan, and no stay that is open now begins
    or ends otherwise than in the past. The SQL is that of the files as they are, over the raw
    tables as they are. A month is kept at a time; what fails leaves the months before it.

    Args:
        paths: the dbt project.
        connect: opens the warehouse.
        project: as read from the project.
        audience: which.
        first: the first day, in the project's time zone.
        last: the last day, which has to be over.
        replace: whether days of live coverage may be given another answer.
        clock: says what is over.
        progress: called with (days done, days in all).

    Raises:
        ConfigError: the days are in the wrong order, not over, or in live coverage.
        DataError: a model does not compile or run, or names members twice or not at all.
        LockedError: the audience is being evaluated; says by whom.
    """
    started = clock.monotonic()
    zone = project_zone(paths.project_dir)
    instants = _instants(first, last, zone, clock.now())
    with connect() as warehouse:
        _check_coverage(warehouse, audience, instants[-1], replace=replace)
    chain = compile_chain(paths, audience)
    asks_for_stays = any(KNOWN_STAYS in step.sql for step in chain)
    since, empty = last_second(first - timedelta(days=1), zone) + SECOND, 0
    for start in range(0, len(instants), DAYS_AT_ONCE):
        piece = instants[start : start + DAYS_AT_ONCE]
        with connect() as warehouse:
            begin_points(warehouse)
            make_undated(warehouse, chain)
            for done, as_of in enumerate(piece, start=start + 1):
                evaluation_id = new_id("e", clock.now())
                if asks_for_stays:
                    keep_known_stays(warehouse, audience, since, piece[-1])
                empty += _evaluate(warehouse, audience, project, chain, as_of, evaluation_id)
                if progress:
                    progress(done, len(instants))
            with (
                warehouse.lock(f"audience-{audience.key}", LOCK_SECONDS),
                warehouse.transaction(),
            ):
                _check_coverage(warehouse, audience, piece[-1], replace=replace)
                store_points(warehouse, audience, since, piece[-1], clock.now())
        since = piece[-1] + SECOND
    seconds = clock.monotonic() - started
    return Backfill(audience.key, first, last, len(instants), seconds, empty)


def _instants(first: date, last: date, zone: ZoneInfo, now: datetime) -> list[datetime]:
    if last < first:
        raise ConfigError(f"--to {last} is before --from {first}", key="--to")
    if first.year == MINYEAR or last.year == MAXYEAR:  # the day before or after may be none
        key = "--from" if first.year == MINYEAR else "--to"
        raise ConfigError(f"{first} to {last} is further than the calendar goes", key=key)
    if last_second(last, zone) > now:
        raise ConfigError(
            f"{last} is not over yet; a backfill is about past days, and today's answer is that "
            "of `tailrace run`",
            key="--to",
        )
    return last_seconds(first, last, zone)


def _check_coverage(
    warehouse: Warehouse, audience: Audience, last: datetime, *, replace: bool
) -> None:
    """Refuse to change what live evaluations said, unless asked, and where they stand at all."""
    ((begins, ends),) = warehouse.rows(
        "select min(as_of), max(as_of) from tailrace.evaluations "
        "where audience = ? and origin = 'live' and status = 'committed'",
        [audience.key],
    )
    if begins is None or last < aware_utc(begins):
        return
    if last >= aware_utc(ends):
        raise ConfigError(
            f"{audience.key} stands at {ends:%Y-%m-%d %H:%M:%S}, and syncs go by that; a backfill "
            "ends on a day before",
            key="--to",
        )
    if not replace:
        raise ConfigError(
            f"{audience.key} was evaluated live from {begins:%Y-%m-%d %H:%M:%S} on; end before "
            "that day, or add --replace to give those days another answer (what was sent then "
            "stays sent)",
            key="--to",
        )


def _evaluate(
    warehouse: Warehouse,
    audience: Audience,
    project: Project,
    chain: tuple[Step, ...],
    as_of: datetime,
    evaluation_id: str,
) -> bool:
    """Work out one day and set its members aside; returns whether nobody was there at all."""
    relation = make_at(warehouse, chain, as_of)
    check_columns(warehouse, audience, relation)
    ((candidates, users, nameless),) = warehouse.rows(
        "select count(*), count(distinct user_id), "
        "count(*) filter (user_id is null or trim(cast(user_id as varchar)) = '') "
        f"from {relation}"
    )
    if nameless or users < candidates:
        wrong = "have no user_id" if nameless else "repeat a user_id"
        raise DataError(
            f"{audience.model.file}: as of {as_of:%Y-%m-%d %H:%M:%S}, "
            f"{nameless or candidates - users:,} of {candidates:,} rows {wrong}; this day and "
            "those around it were not kept",
            file=audience.model.file,
            key="user_id",
        )
    traits = {step.name: step.relation for step in chain}.get(project.traits.name)
    ((base,),) = warehouse.rows(f"select count(*) from {traits}" if traits else "select null")
    barred = suppressed(warehouse, "cast(user_id as varchar)")
    members = f"select cast(user_id as varchar) as user_id from {relation} where not {barred}"
    add_point(warehouse, evaluation_id, as_of, members, candidates=candidates, base=base)
    return bool(base == 0)
