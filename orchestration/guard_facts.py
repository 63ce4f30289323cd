"""What the guard judges by, counted in the warehouse: history, merges, the events of a day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from orchestration.builds import Built
from orchestration.deltas import NOBODY, Diff
from orchestration.guard import (
    BASE_RULES,
    ENTER_RULES,
    EXIT_RULES,
    DayOfEvents,
    Facts,
    Window,
)
from orchestration.guard_history import DAY, WEEK, History, days, users_of
from orchestration.merging import canonical_users, merges_there
from orchestration.project import Audience, Project
from orchestration.sql.names import naive_utc
from orchestration.warehouse import Warehouse

WEEKS_OF_EVENTS = 8
FEWEST_DAYS = 3
FEWEST_EVENTS = 100


@dataclass(frozen=True, slots=True)
class Excused:
    """Users who entered or exited on paper only: merged into one who is in, or suppressed."""

    entered: int = 0
    exited: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """An evaluation whose deltas are stored and that is to be judged."""

    evaluation_id: str
    as_of: datetime
    diff: Diff
    excused: Excused
    base: int


def gather(
    warehouse: Warehouse,
    project: Project,
    audience: Audience,
    history: History,
    change: Change,
    events: Built | None,
) -> Facts:
    """Count what `guard.reasons_to_hold` wants to know of an evaluation that changes something.

    Limits stand still from the first hold on: time spent waiting makes no change ordinary.
    """
    as_of, diff, excused = change.as_of, change.diff, change.excused
    exits, enters, bases = (
        history.moment(as_of, rules) for rules in (EXIT_RULES, ENTER_RULES, BASE_RULES)
    )

    def day(until: datetime, kind: str) -> Window:
        window, start = history.window(until - DAY, until, kind)
        if not window.changes:
            return window
        users = users_of(warehouse, audience.key, kind, start, change.evaluation_id)
        return replace(window, users=users)

    return Facts(
        audience=audience.key,
        before=history.last.members,
        members=diff.members,
        entered=diff.entered - excused.entered,
        exited=diff.exited - excused.exited,
        base=change.base,
        base_before=history.highest_base(bases),
        exit_days=days(history.last.as_of, exits),
        enter_days=days(history.last.as_of, enters),
        base_days=days(history.last.as_of, bases),
        day_exits=day(exits, "exited"),
        day_enters=day(enters, "entered"),
        week=history.window(exits - WEEK, exits, "exited")[0],
        events=_days_of_events(warehouse, project, audience.key, history, events, as_of),
    )


_EXCUSED = """
with merges as ({merges}),
changes as (
    select user_id, change from tailrace.deltas
    where evaluation_id = $evaluation and change in ('entered', 'exited')
),
people as (
    select c.user_id, c.change, coalesce(cast(m.user_id as varchar), c.user_id) as person
    from changes as c
    left join merges as m on c.user_id = cast(m.merged_user_id as varchar)
),
parts as (
    select cast(merged_user_id as varchar) as part, cast(user_id as varchar) as person from merges
    union
    select cast(user_id as varchar), cast(user_id as varchar) from merges
),
others as (
    select p.user_id, p.change, o.part
    from people as p
    inner join parts as o on p.person = o.person and p.user_id <> o.part
),
excused as (
    select user_id, change from others
    where change = 'exited' and part in (
        select cast(user_id as varchar) from {relation} where ({kept_out}) is not true)
    union
    select user_id, change from others
    where change = 'entered' and part in (
        select user_id from tailrace.membership_intervals
        where audience = $audience and exited_at is null)
    union
    select user_id, change from changes
    where change = 'exited' and user_id in (
        select cast(user_id as varchar) from {relation} where {kept_out})
)
select count(*) filter (where change = 'entered'), count(*) filter (where change = 'exited')
from excused
"""

_NO_MERGES = "select '' as merged_user_id, '' as user_id where false"


def count_excused(
    warehouse: Warehouse, project: Project, audience: Audience, evaluation_id: str, kept_out: str
) -> Excused:
    """Count the stored changes that the guard leaves out, before they take effect.

    A user who leaves because they are another one who is in, or enters where a part of them was
    in, has not moved; one who is suppressed left on purpose.
    """
    merges = canonical_users(
        merges_there(warehouse, project.merges.relation if project.merges else None)
    )
    if merges is None and kept_out == NOBODY:
        return Excused()
    sql = _EXCUSED.format(
        merges=merges or _NO_MERGES, relation=audience.model.relation, kept_out=kept_out
    )
    ((entered, exited),) = warehouse.rows(
        sql, {"evaluation": evaluation_id, "audience": audience.key}
    )
    return Excused(entered, exited)


_EVENT_DAYS = """
insert into tailrace.event_days by name
select $build as build_id, cast(date_trunc('day', occurred_at) as date) as day,
    count(*) as events
from {relation}
where occurred_at >= $since and occurred_at < $until
group by all
"""

# Days without any event do not make a median: the product may not have been there yet.
_DAYS = """
with asked as (select cast(unnest(cast($days as varchar[])) as date) as day)
select a.day, coalesce(sum(e.events) filter (where e.day = a.day), 0),
    median(e.events) filter (where e.day < a.day), count(*) filter (where e.day < a.day)
from asked as a
inner join tailrace.event_days as e
    on e.build_id = $build and e.day <= a.day and date_diff('day', e.day, a.day) % 7 = 0
where not exists (
    select 1 from tailrace.evaluations as v
    where v.audience = $audience and v.approved_at is not null
        and contains(cast(v.rules as varchar), '"half_loaded ' || a.day || '"'))
group by a.day
order by a.day
"""


def _days_of_events(
    warehouse: Warehouse,
    project: Project,
    audience: str,
    history: History,
    built: Built | None,
    as_of: datetime,
) -> tuple[DayOfEvents, ...]:
    """Return the last full UTC day, and days that were held for and are not approved.

    Events that were built for another as_of say nothing about this one.
    """
    if built is None or not built.ok or built.as_of != as_of:
        return ()
    today = as_of.replace(hour=0, minute=0, second=0, microsecond=0)
    _count_events(warehouse, project, built, today)
    asked = {f"{today - DAY:%Y-%m-%d}", *history.held_days()}
    found = warehouse.rows(
        _DAYS, {"days": sorted(asked), "build": built.build_id, "audience": audience}
    )
    return tuple(
        DayOfEvents(day, int(events), float(median), days)
        for day, events, median, days in found
        if days >= FEWEST_DAYS and median >= FEWEST_EVENTS
    )


def _count_events(warehouse: Warehouse, project: Project, built: Built, today: datetime) -> None:
    """Count the events of nine weeks, once per build, whoever asks first."""
    there = "select 1 from tailrace.event_days where build_id = ? limit 1"
    if warehouse.rows(there, [built.build_id]):
        return
    warehouse.execute("delete from tailrace.event_days where build_id <> ?", [built.build_id])
    since = today - WEEKS_OF_EVENTS * WEEK - DAY
    warehouse.execute(
        _EVENT_DAYS.format(relation=project.events.relation),
        {"build": built.build_id, "since": naive_utc(since), "until": naive_utc(today)},
    )
