"""Profiles whose mapped traits differ from what was acknowledged."""

from __future__ import annotations

from destinations.base import Kind
from destinations.errors import ConfigError
from orchestration.desired.addresses import users
from orchestration.desired.columns import (
    delete_payload,
    mapped_traits,
    mapping_of,
    rendered_traits,
)
from orchestration.desired.scope import Mode, Scope, known, known_columns
from orchestration.sql.names import text
from orchestration.sql.scalars import quick_hash, stale_format


def suspects(scope: Scope) -> str:
    """Return the SELECT of profiles that may have changed, are new, or whose user is gone.

    A quick hash by the engine leaves out those that have not changed; it is no more than that,
    since another version of the engine may hash otherwise. What is under way or in doubt has no
    quick hash. The mapping is part of it, since a field renamed has the value it had. A row
    without dest_key is a user without an address.
    """
    values = [column.sql for column in mapped_traits(scope, "u").values()]
    differs = "true" if _again(scope) else "w.quick is distinct from k.quick"
    return f"""
with w as (
    select u.user_id, u.tailrace_key, {quick_hash([*values, text(mapping_of(scope))])} as quick
    from ({users(scope)}) as u
),
known as (
    select dest_key, user_id,
        case when unsure_until is null and version_issued = version_acked
            and issued_op = 'update' and not {stale_format("issued_row_hash")} then quick
        end as quick
    from tailrace.issued where sync = {scope.key}
)
select coalesce(w.tailrace_key, k.dest_key) as dest_key, coalesce(w.user_id, k.user_id) as user_id,
    w.user_id is null as is_gone, w.quick
from w
full outer join known as k on w.tailrace_key = k.dest_key
where w.user_id is null or k.dest_key is null or {differs}
"""


def rendered_changes(scope: Scope) -> str:
    """Return the SELECT of the suspects beside what is known of them: hashed in full, and rendered.

    In one pass, since nearly all that may have changed has: kind, op, payload and what is wrong.
    """
    row = rendered_traits(scope, "t", "s.dest_key", "k.row_hash", "s.is_gone")
    kind, op = _when_gone(scope)
    body = row.payload
    if op == "delete":
        body = f"case when s.is_gone then {delete_payload(scope, 's.dest_key')} else {body} end"
    if scope.mode is Mode.NONE:  # nothing of it is sent
        body = "cast(null as varchar)"
    return f"""
with compared as (
    select s.dest_key, s.user_id, s.is_gone, s.quick, {row.row_hash} as row_hash,
        {known_columns("k")}, {row.bad_field} as bad_field, {body} as payload
    from tailrace_suspects as s
    left join {known(scope, "tailrace_suspects")} as k on s.dest_key = k.dest_key
    left join {scope.relations.traits} as t on s.user_id = t.user_id and not s.is_gone
    where not s.is_gone or (k.op is not null and k.op <> 'delete')
)
select *, case when is_gone then '{kind}' else '{scope.kind}' end as kind,
    case when is_gone then '{op}' else 'update' end as op, cast(null as timestamp) as moment,
    cast(null as varchar) as event_id, cast(null as timestamp) as received_at,
    not is_gone and known_op is not null and row_hash = known_hash as is_same
from compared
"""


def unchanged(scope: Scope) -> str:
    """Return SQL of which compared rows need no op."""
    if _again(scope):
        return "false"
    done = "known_hash = row_hash and unsure_until is null and known_op = 'update'"
    return f"coalesce({done} and (not is_gone or {_is_cleared(scope)}), false)"


def rivals(scope: Scope) -> str:
    """Return the SELECT of everybody who shares the address of a suspect."""
    return f"""
select tailrace_key as dest_key, user_id, tailrace_agreed as agreed
from ({users(scope)}) as u
where tailrace_key in (select dest_key from tailrace_suspects where not is_gone)
"""


def winners(scope: Scope) -> str:
    """Return the SELECT of who stands for each suspect: the first user, if all may be sent.

    One who did not agree, or is suppressed, speaks for all.
    """
    return f"""
select dest_key, min(user_id) as user_id, bool_and(agreed) as agreed,
    bool_or({scope.barred("user_id", "dest_key")}) as is_barred, count(*) as users
from tailrace_rivals
group by dest_key
"""


REPEATED = """
select count(*) from (
    select user_id from tailrace_rivals
    where dest_key in (select dest_key from tailrace_winners where users > 1)
    group by dest_key, user_id
    having count(*) > 1)
"""
"""Counts users who stand twice behind one address; distinct counts of each would cost far more."""


def rebased(scope: Scope) -> str:
    """Return SQL of which compared rows are no change, but have to be known by other hashes."""
    told = "not is_gone and known_op = 'update' and unsure_until is null"
    if scope.mode is Mode.NONE:
        return f"({told})"
    if _again(scope):
        return "false"
    same = "(known_hash = row_hash and version_issued = version_acked)"
    return f"({told} and ({stale_format('known_hash')} or {same}))"


def _again(scope: Scope) -> bool:
    return scope.mode in (Mode.ALL, Mode.REASSERT)


def _is_cleared(scope: Scope) -> str:
    """Return SQL of whether a profile of nobody may already hold what it should: nothing."""
    return "true" if scope.sync.options.on_gone == "clear" else "false"


def _when_gone(scope: Scope) -> tuple[str, str]:
    if scope.sync.options.on_gone != "delete":
        return scope.kind, "update"
    if Kind.DELETE not in scope.destination.endpoints:
        raise ConfigError(
            "this destination has no call to delete a profile",
            file=scope.sync.file,
            key=f"exposures.{scope.sync.key}.config.meta.sync.on_gone",
            accepted=["leave", "clear"],
        )
    return Kind.DELETE, "delete"
