"""Who must not be in anything we send: user ids and dest_keys, kept as keyed hashes.

A hash is HMAC-SHA256 under a random key of this warehouse. It keeps the list from being read or
compared with another list by somebody who has the table alone (an export, a dashboard, a copy
without `destination_state`). It does not protect from somebody who can read the whole warehouse:
the key is there too, and with it any address can be tried.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestration.merging import canonical_users, merges_there
from orchestration.spelling import one_spelling
from orchestration.sql.names import naive_utc, text
from orchestration.warehouse import Warehouse
from orchestration.warehouse.schema import set_state_value, state_value

KEY = "suppression_key"
MARK = "suppressed"
"""The mark of the warehouse that moves when somebody is suppressed."""

OUTCOME = "suppressed"
LAST_ATTEMPT = 2_147_483_647
"""The attempt of a receipt that no answer can overrule."""

MERGES = "user_merges"
"""Under this name the warehouse keeps the relation that says which users are one."""

TOMBSTONE = "forgotten:"
"""What stands before the hash in `acked.dest_key` of a profile that was forgotten."""


@dataclass(frozen=True, slots=True)
class Suppressed:
    """What suppressing did: values that were not suppressed before, and ops not sent for it."""

    added: int
    ops: int


def suppressed(warehouse: Warehouse, *expressions: str) -> str:
    """Return an SQL condition, never null: any of these expressions is suppressed.

    Whoever turned out to be one with a suppressed user is suppressed, too.

    Args:
        warehouse: where the list is.
        expressions: SQL of user ids and dest_keys; e-mail addresses match in any case.

    Returns:
        The literal `false` if nobody is suppressed at all, so that it costs nothing.
    """
    if not expressions or not warehouse.rows("select 1 from tailrace.suppressed limit 1"):
        return "false"
    found = [
        f"coalesce({hash_sql(expression)} in (select hmac from tailrace.suppressed), false)"
        for expression in expressions
    ]
    if _put_tied(warehouse):
        found += [
            f"coalesce(cast({expression} as varchar) in (select user_id from tailrace_tied), false)"
            for expression in expressions
        ]
    return f"({' or '.join(found)})"


def note_merges(warehouse: Warehouse, relation: str | None) -> None:
    """Keep where it is said which users are one, so that a suppression is of all their ids.

    Kept in the warehouse because somebody can be suppressed while no project can be read.
    """
    if (state_value(warehouse, "", MERGES) or "") != (relation or ""):
        set_state_value(warehouse, "", MERGES, relation or "")


def settle_tied(warehouse: Warehouse, now: datetime, plan_id: str) -> int:
    """Settle what an open plan holds for whoever has become one with somebody suppressed.

    `suppress` sees to the plans there are and planning to those that come; a merge that became
    known since is seen by neither. Of this plan only, which nobody else sends: what another run
    has on its way would be told as never sent. Returns how many ops.
    """
    if not _put_tied(warehouse):
        return 0
    with warehouse.transaction():
        return settle(warehouse, now, plan_id=plan_id, seek=True)


def _put_tied(warehouse: Warehouse) -> bool:
    """Put the ids of whoever is one with a suppressed user aside; returns whether anybody is."""
    merged = canonical_users(merges_there(warehouse, state_value(warehouse, "", MERGES)))
    if merged is None:
        return False
    warehouse.execute(_TIED.format(merged=merged, hmac=hash_sql("part")))
    return bool(warehouse.rows("select 1 from tailrace_tied limit 1"))


_TIED = """
create or replace temp table tailrace_tied as
with merged as ({merged}),
people as (
    select cast(merged_user_id as varchar) as part, cast(user_id as varchar) as person from merged
    union select cast(user_id as varchar), cast(user_id as varchar) from merged
)
select part as user_id from people where person in (
    select person from people where {hmac} in (select hmac from tailrace.suppressed))
"""


def hash_sql(expression: str) -> str:
    """Return SQL of the keyed hash of a text expression, as 64 hex digits."""
    inner = f"unhex(sha256({_pad(0x36)} || encode({spelling(expression)})))"
    return f"sha256({_pad(0x5C)} || {inner})"


def spelling(expression: str) -> str:
    """Return SQL of how a value is spelled where it is compared: addresses normalised."""
    value = f"cast({expression} as varchar)"
    return f"case when contains({value}, '@') then lower(trim({value})) else {value} end"


def _pad(fill: int) -> str:
    """Return SQL of the key, filled up to a block and xor-ed, as HMAC wants it (RFC 2104).

    Read where it is kept, so that the key is in no SQL text and in no error message.
    """
    byte = "cast('0x' || substr(value, 2 * i + 1, 2) as integer)"
    return (
        f"(select unhex(string_agg(printf('%02x', xor({byte}, {fill})), '' order by i) "
        f"|| repeat('{fill:02x}', 32)) from tailrace.destination_state, range(32) as r(i) "
        f"where destination = '' and name = {text(KEY)})"
    )


def suppress(
    warehouse: Warehouse, values: Collection[str], reason: str, now: datetime
) -> Suppressed:
    """Suppress user ids and addresses, from the moment this returns and until lifted.

    What is not sent yet of open plans is settled as suppressed for good; a delivery that runs
    leaves it out of its next request.
    """
    with warehouse.transaction():
        warehouse.execute(
            "insert into tailrace.destination_state values ('', ?, ?) on conflict do nothing",
            [KEY, secrets.token_hex(32)],
        )
        put_spellings(warehouse, values)
        ((added,),) = warehouse.rows(
            "select count(*) from tailrace_spellings "
            "where hmac not in (select hmac from tailrace.suppressed)"
        )
        warehouse.execute(
            "insert into tailrace.suppressed by name select hmac, $reason as reason, "
            "cast($now as timestamp) as since from tailrace_spellings "
            "where hmac not in (select hmac from tailrace.suppressed)",
            {"reason": reason, "now": naive_utc(now)},
        )
        ops = settle(warehouse, now)
    warehouse.mark(MARK)
    return Suppressed(added, ops)


def unsuppress(warehouse: Warehouse, values: Collection[str]) -> int:
    """Lift a suppression; returns how many spellings were suppressed until now.

    What was settled as suppressed stays so: it is planned anew, from the truth of then. Versions of
    a profile that was forgotten go on where they stopped.
    """
    if not warehouse.rows("select 1 from tailrace.suppressed limit 1"):
        return 0
    with warehouse.transaction():
        put_spellings(warehouse, values)
        ((lifted,),) = warehouse.rows(
            "select count(*) from tailrace.suppressed "
            "where hmac in (select hmac from tailrace_spellings)"
        )
        warehouse.execute(
            "delete from tailrace.suppressed where hmac in (select hmac from tailrace_spellings)"
        )
        warehouse.execute(_RESTORE_TOMBSTONES)
    return int(lifted)


_RESTORE_TOMBSTONES = f"""
update tailrace.issued as k set dest_key = s.said
from tailrace_spellings as s
where k.dest_key = {text(TOMBSTONE)} || s.hmac and not exists (
    select 1 from tailrace.acked as other where other.sync = k.sync and other.dest_key = s.said)
"""


def put_spellings(warehouse: Warehouse, values: Collection[str]) -> None:
    """Put every spelling of the values that matters, and its hash, in a temporary table.

    An id counts as it is and, because a dest_key is trimmed and a value may be pasted, without what
    is blank around it. An address counts as it is and as the models spell it.
    """
    given: Sequence[str] = [value for value in values if value.strip()]
    given = [*given, *(value.strip("\r\n\t") for value in given)]
    given = [*given, *(one_spelling(value) for value in given if "@" in value)]
    warehouse.execute(
        "create or replace temp table tailrace_spellings as "
        "with given as (select unnest(cast($given as varchar[])) as said), "
        "said as (select said from given union select trim(said) from given) "
        f"select distinct on (hmac) {spelling('said')} as said, {hash_sql('said')} as hmac "
        "from said",
        {"given": given},
    )


def settle(
    warehouse: Warehouse, now: datetime, *, plan_id: str | None = None, seq_from: int = 1,
    seq_to: int = 2**62, seek: bool = False,
) -> int:  # fmt: skip
    """Give what may no longer be sent of open plans its last receipt; returns how many ops.

    Deletions go on: a profile is suppressed first and deleted after. What may have been on its
    way is unsure, in case the suppression is ever lifted.

    Args:
        warehouse: in a transaction, or for a single chunk of one plan.
        now: the instant of the receipts.
        plan_id: only this plan.
        seq_from: only from this seq.
        seq_to: only up to this seq.
        seek: look even if nobody was suppressed since the plan was made.
    """
    barred = suppressed(warehouse, "o.user_id", "o.dest_key")
    if barred == "false":
        return 0
    if plan_id and not seek and not warehouse.rows(_RECENT, [plan_id]):
        return 0
    which = (
        "p.status in ('held', 'ready', 'delivering')" if plan_id is None else "p.plan_id = $plan"
    )
    values: dict[str, object] = {"from": seq_from, "to": seq_to}
    if plan_id is not None:
        values["plan"] = plan_id
    warehouse.execute(_BARRED.format(which=which, barred=barred), values)
    ((ops,),) = warehouse.rows("select count(*) from tailrace_barred")
    if ops:
        warehouse.execute(_RECEIPTS, {"now": naive_utc(now)})
        warehouse.execute(_UNSURE, {"now": naive_utc(now)})
    return int(ops)


# A plan leaves out whoever is suppressed when it is made, and `suppress` sees to the plans there
# are: what is left are those made in the same moment, by a planning of less than an hour.
_RECENT = """
select 1 from tailrace.suppressed as s
inner join tailrace.plans as p on s.since > p.planned_at - interval 1 hour
where p.plan_id = ? limit 1
"""

_BARRED = """
create or replace temp table tailrace_barred as
with barred as (
    select o.plan_id, o.seq, o.op_id, o.dest_key, p.sync, p.status
    from tailrace.plan_ops as o
    inner join tailrace.plans as p on o.plan_id = p.plan_id
    where {which} and o.seq between $from and $to and o.op <> 'delete' and {barred}
),
outcomes as (
    select b.plan_id, b.seq, arg_max(r.outcome, (r.attempt, r.seq_from - r.seq_to)) as outcome
    from barred as b
    inner join tailrace.receipts as r
        on b.plan_id = r.plan_id and b.seq between r.seq_from and r.seq_to
    group by all
)
select * from barred as b
where not exists (
    select 1 from outcomes as r where r.plan_id = b.plan_id and r.seq = b.seq
        and r.outcome in ('delivered', 'rejected', 'later', 'suppressed'))
"""

_RECEIPTS = f"""
insert into tailrace.receipts by name
select plan_id, seq as seq_from, seq as seq_to, {LAST_ATTEMPT} as attempt,
    {text(OUTCOME)} as outcome, cast(null as integer) as http_status,
    cast($now as timestamp) as settled_at
from tailrace_barred
"""

_UNSURE = """
update tailrace.issued as k set unsure_until = cast($now as timestamp) + interval 60 second
from tailrace_barred as b
where b.status = 'delivering' and k.sync = b.sync and k.dest_key = b.dest_key
    and k.issued_op_id = b.op_id and k.version_issued > coalesce(k.version_acked, 0)
"""
