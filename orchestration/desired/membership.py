"""Profiles to be told that they entered, left, or changed a mapped column."""

from __future__ import annotations

from destinations.base import Dedup, Kind
from orchestration.desired.addresses import has_key, key_of, members, normalised, unusable
from orchestration.desired.columns import rendered_membership
from orchestration.desired.scope import Mode, Scope, known_columns
from orchestration.merging import canonical_users
from orchestration.sql.names import text
from orchestration.sql.scalars import stale_format
from orchestration.warehouse.schema import PLACED

TOLD = "('enter', 'update')"
SAID_IN = f"op in {TOLD} and unsure_until is null"


def membership_changes(scope: Scope) -> str:
    """Return the SELECT of members and profiles that do not match, one row per dest_key.

    Users who share an address are in if one of them is, unless one of them did not agree.
    A row without dest_key is a member without an address.
    """
    user, merge = _user_of_today(scope)
    return f"""
with suspects as ({suspects(scope)}),
stays as (
    select {user} as user_id, s.user_id as stayed_as, s.entered_at, s.rowid as stay
    from tailrace.membership_intervals as s{merge}
    where s.rowid in (select stay from suspects)
),
trimmed as (
    select d.user_id, d.stayed_as, d.entered_at, s.place, s.joined_key,
        {normalised(scope, "s.joined_key")} as dest_key
    from suspects as s
    left join stays as d on s.stay = d.stay
),
strays as (
    select dest_key, rowid as place from tailrace.issued
    where sync = {scope.key}
        and dest_key in (select dest_key from trimmed where dest_key <> joined_key)
),
placed as (
    select t.user_id, t.stayed_as, t.entered_at, t.dest_key, coalesce(t.place, s.place) as place
    from trimmed as t
    left join strays as s on t.dest_key = s.dest_key
),
grouped as (
    select place, any_value(dest_key) as dest_key, min(user_id) as user_id,
        min(entered_at) as entered_at,
        count(stayed_as) > count(distinct stayed_as) as is_repeated,
        bool_or({scope.barred("user_id", "dest_key")}) as is_barred
    from placed
    group by place, case when place is null then dest_key end,
        case when place is null and dest_key is null then user_id end
),
known as (
    select * from {PLACED} where place in (select place from placed)
)
select coalesce(g.dest_key, k.dest_key) as dest_key, coalesce(g.user_id, k.user_id) as user_id,
    greatest(g.entered_at, {_went_live(scope)}) as entered_at, g.user_id is not null as is_in,
    g.is_repeated,
    g.is_barred or (g.user_id is null and {scope.barred("k.user_id", "k.dest_key")}) as is_barred,
    false as is_silent, k.user_id as known_user_id, {known_columns("k")}
from grouped as g
left join known as k on g.place = k.place
where g.user_id is null or {_everybody(scope)} or ({SAID_IN}) is not true
"""


def suspects(scope: Scope) -> str:
    """Return the SELECT of members and profiles that may not match, as they were joined.

    Of a stay and of what is known of a profile only the places come along, to be looked up
    within the same statement: all of it, or a second join by key, would double what this costs.
    Trimming every user_id would add half; one with blanks around it may be no change after all.
    """
    is_raw = not scope.by_email() and not scope.asks_consent()
    key = "d.user_id" if is_raw else "d.dest_key"
    told = f"op in {TOLD}"
    if scope.mode is Mode.REASSERT and scope.kind is Kind.IDENTIFY:
        told = "op in ('enter', 'update', 'exit')"
    return f"""
with d as ({members(scope, open_stays(scope))}),
told as (
    select dest_key, place, {SAID_IN} as is_in,
        {told} or unsure_until is not null as is_told
    from {PLACED} where sync = {scope.key}
)
select d.stay, {key} as joined_key, k.place
from {_allowed(scope)} as d
full outer join told as k on {key} = k.dest_key
where k.place is null
    or case when d.stay is null then k.is_told
        else {_everybody(scope)} or k.is_in is not true end
"""


def _everybody(scope: Scope) -> str:
    """Return SQL of whether members are looked at who are known to be in."""
    return "true" if scope.sync.options.send_updates or _again(scope) else "false"


def _again(scope: Scope) -> bool:
    return scope.mode in (Mode.ALL, Mode.REASSERT)


def _allowed(scope: Scope) -> str:
    if not scope.asks_consent():
        return "d"
    vetoed = "select dest_key from d where not agreed and dest_key is not null"
    return f"(select * from d where agreed and coalesce(dest_key not in ({vetoed}), true))"


def open_stays(scope: Scope) -> str:
    """Return SQL of the stays that are open: nobody's, where a sync is being retired.

    `stay` is where each of them is, for the length of a statement.
    """
    if scope.mode is Mode.RETIRE:
        return (
            "(select '' as user_id, cast(null as timestamp) as entered_at, 0 as stay where false)"
        )
    user, merge = _user_of_today(scope)
    return f"""(
    select {user} as user_id, s.entered_at, s.rowid as stay
    from tailrace.membership_intervals as s{merge}
    where s.audience = {_audience(scope)} and s.exited_at is null
)"""


def _user_of_today(scope: Scope) -> tuple[str, str]:
    """Return SQL of the user whose stay `s` is by the traits of today, and the join it needs.

    The models can be newer than the evaluation: then a merged user has no address any more, and
    the stay is of whoever stands for both.
    """
    merges = canonical_users(scope.relations.merges)
    if not merges or not scope.by_email():
        return "s.user_id", ""
    gone = f"select 1 from {scope.relations.traits} as t where t.user_id = c.merged_user_id"
    return (
        "coalesce(today.user_id, s.user_id)",
        f"""
    left join (
        select c.merged_user_id, c.user_id from ({merges}) as c where not exists ({gone})
    ) as today on s.user_id = today.merged_user_id""",
    )


def _went_live(scope: Scope) -> str:
    """Return SQL of the first live point: to a sync, a stay begins there at the earliest.

    A backfill may know of longer ones, and changes nothing that is sent.
    """
    return f"""(
        select min(as_of) from tailrace.evaluations
        where audience = {_audience(scope)} and origin = 'live' and status = 'committed')"""


def _audience(scope: Scope) -> str:
    return text(scope.sync.audience.key if scope.sync.audience else "")


def moved_away(scope: Scope) -> str | None:
    """Return the SELECT of (dest_key, person) that are out because their person moved, or None.

    A person who is still in under another address neither left nor entered; nor did one who
    turned out to be the same as another user. Told as events, that is not worth a word; told as
    a state, each profile gets its own.
    """
    options = scope.sync.options
    if scope.kind is not Kind.TRACK or options.on_rekey == "send":
        return None
    if scope.mode not in (Mode.NORMAL, Mode.ALL, Mode.REASSERT):
        return None
    if not scope.by_email() and scope.relations.merges is None:
        return None
    return f"""
{_merged(scope)}gone as (
    select c.dest_key, {_person(scope, "c.known_user_id")} as person
    from tailrace_changes as c{_merge_of(scope, "c.known_user_id")}
    where not c.is_in and c.known_op in {TOLD} and c.unsure_until is null
),
people as (
    select s.user_id, s.entered_at, {_person(scope, "s.user_id")} as person
    from {open_stays(scope)} as s{_merge_of(scope, "s.user_id")}
),
stays as (select * from people where person in (select person from gone)),
still as ({members(scope, "stays")})
select distinct gone.dest_key, gone.person
from gone
inner join stays on gone.person = stays.person
inner join still on stays.user_id = still.user_id
where still.agreed and not {unusable(scope, "still.dest_key")}
    and not {scope.barred("still.user_id", "still.dest_key")}{_spoken_for(scope)}
"""


def _spoken_for(scope: Scope) -> str:
    """Return SQL that leaves out addresses where somebody who did not agree speaks for all."""
    if not scope.asks_consent():
        return ""
    everybody = members(scope, open_stays(scope))
    return f"""
    and still.dest_key not in (
        select v.dest_key from ({everybody}) as v where not v.agreed and v.dest_key is not null)"""


def moved_in(scope: Scope) -> str:
    """Return the SELECT of dest_keys that are in only because their people moved there."""
    return f"""
{_merged(scope)}people as (
    select s.user_id, s.entered_at, {_person(scope, "s.user_id")} as person
    from {open_stays(scope)} as s{_merge_of(scope, "s.user_id")}
),
addressed as ({members(scope, "people")})
select d.dest_key
from addressed as d
inner join people as p on d.user_id = p.user_id
where d.agreed and d.dest_key in (
    select dest_key from tailrace_changes
    where is_in and unsure_until is null and (known_op is null or known_op = 'exit'))
group by d.dest_key
having bool_and(p.person in (select person from tailrace_moved))
"""


def _merged(scope: Scope) -> str:
    merges = canonical_users(scope.relations.merges)
    return f"with merged as ({merges}),\n" if merges else "with "


def _person(scope: Scope, user_id: str) -> str:
    return f"coalesce(m.user_id, {user_id})" if scope.relations.merges else user_id


def _merge_of(scope: Scope, user_id: str) -> str:
    if not scope.relations.merges:
        return ""
    return f"\n    left join merged as m on {user_id} = m.merged_user_id"


def left_at(scope: Scope) -> str:
    """Return the SELECT of when each profile that is out was left by the last of its users.

    By the deltas: only live answers have any, whatever a backfill says of those days.
    """
    ended = f"""
    select d.user_id, max(d.as_of) as exited_at
    from tailrace.deltas as d
    inner join tailrace.evaluations as v on d.evaluation_id = v.evaluation_id
    where d.audience = {_audience(scope)} and d.change = 'exited' and v.status = 'committed'
    group by d.user_id
"""
    shared = f"""
    union all
    select {key_of(scope, "x.user_id")} as dest_key, x.exited_at
    from ended as x
    inner join {scope.relations.traits} as t on x.user_id = t.user_id
    where {key_of(scope, "x.user_id")} in (select dest_key from exits)"""
    everybody = shared if scope.by_email() and scope.relations.emails is None else ""
    return f"""
with exits as (select dest_key, known_user_id from tailrace_changes where not is_in),
ended as ({ended}),
ends as (
    select e.dest_key, x.exited_at
    from exits as e
    inner join ended as x on e.known_user_id = x.user_id{everybody}
)
select dest_key, max(exited_at) as exited_at from ends group by dest_key
"""


def rendered_changes(scope: Scope) -> str:
    """Return the SELECT of what becomes of each change: kind, op, payload and what is wrong."""
    row = rendered_membership(scope, "c.known_hash")
    silent = "c.is_silent"
    if scope.kind is Kind.TRACK and scope.sync.options.exited_event is None:
        silent = f"({silent} or c.op = 'exit')"
    if skips_doubt(scope):
        silent = f"({silent} or (c.unsure_until is not null and c.issued_op = c.op))"
    again = "enter" if scope.kind is Kind.TRACK else "update"
    told = f"known_op in {TOLD} and unsure_until is null"
    return f"""
with c as (
    select *, case when not is_in then 'exit' when {told} then '{again}' else 'enter' end as op
    from tailrace_changes
),
rendered as (
    select c.* exclude (known_user_id, is_in, is_silent, is_repeated, is_barred, entered_at),
        {row.row_hash} as row_hash, {row.bad_field} as bad_field,
        case when not {silent} then '{scope.kind}' end as kind,
        case c.op when 'enter' then c.entered_at when 'exit' then x.exited_at end as moment,
        {row.payload} as payload, cast(null as varchar) as event_id,
        cast(null as timestamp) as received_at, false as is_gone,
        cast(null as ubigint) as quick
    from c
    -- who left under an address that is not theirs any more: their traits are not of its profile
    left join {scope.relations.traits} as t on c.user_id = t.user_id
        and (c.op <> 'exit' or {has_key(scope, "c.user_id", "c.dest_key")})
    left join {scope.relations.model} as a on c.user_id = a.user_id
    left join tailrace_left as x on c.dest_key = x.dest_key
)
select *, coalesce(unsure_until is null and (known_op = 'exit') = (op = 'exit')
        and ('{scope.kind}' = 'track' or row_hash = known_hash), false) as is_same
from rendered
where op <> 'update' or {"true" if _again(scope) else "false"} or row_hash <> known_hash
"""


def rebased(scope: Scope) -> str:
    """Return SQL of which changes are none, but for another way of hashing (or another mapping)."""
    if scope.mode is Mode.NONE:
        return "op = 'update'"
    return f"op = 'update' and {stale_format('known_hash')}"


def skips_doubt(scope: Scope) -> bool:
    """Return whether an event that may have arrived is taken to have arrived."""
    return scope.sync.options.on_ambiguous == "skip" and repeats_are_events(scope)


def repeats_are_events(scope: Scope) -> bool:
    """Return whether sending an op again would be a second event at this destination."""
    track = scope.kind is Kind.TRACK
    return track and scope.destination.endpoints[Kind.TRACK].dedup is Dedup.NONE
