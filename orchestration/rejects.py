"""What destinations refused and what can be done about it: read from the engine's tables."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from shlex import quote
from typing import Any

from orchestration.preview import hashed
from orchestration.sql.names import naive_utc
from orchestration.versions import LATER_DAYS
from orchestration.warehouse import Warehouse

# A row that failed has a receipt of its own, whose range is that row.
_REJECTS = """
select sync, class, code, field, state, count(*) as rows_refused,
    min(rejected_at) as first_at, max(coalesce(settled_at, rejected_at)) as last_at,
    max(rejected_at) as newest_at, list(user_id order by user_id)[1:5] as users
from (
    select j.*, r.settled_at, coalesce(o.user_id, k.user_id, '') as user_id
    from tailrace.rejects as j
    left join tailrace.plan_ops as o on j.plan_id = o.plan_id and j.seq = o.seq
    left join tailrace.acked as k on j.sync = k.sync and j.dest_key = k.dest_key
    left join (
        select plan_id, seq_from, max(settled_at) as settled_at from tailrace.receipts
        where seq_from = seq_to group by plan_id, seq_from
    ) as r on j.plan_id = r.plan_id and j.seq = r.seq_from
    where j.state in ('open', 'retry')
)
group by sync, class, code, field, state
order by sync, rows_refused desc, code, state
"""


def open_rejects(
    warehouse: Warehouse, *, syncs: Iterable[str], show_pii: bool, now: datetime
) -> list[dict[str, Any]]:
    """Return what is refused at present, by sync, class, code, field and state.

    With up to 5 users each, when the first of them was refused and the last tried, and what can
    be done (`todo`, and `command` if that needs one).
    """
    wanted = set(syncs)
    shown = []
    for row in warehouse.rows(_REJECTS):
        sync, class_, code, field, state, count, first_at, last_at, newest_at, users = row
        if sync in wanted:
            shown.append(
                {
                    "sync": sync,
                    "class": class_,
                    "code": code,
                    "field": field,
                    "count": count,
                    "users": [user if show_pii else hashed(user) for user in users],
                    "state": state,
                    "first_at": f"{first_at:%Y-%m-%dT%H:%M:%SZ}",
                    "last_at": f"{last_at:%Y-%m-%dT%H:%M:%SZ}",
                    **_todo(sync, class_, code, state, newest_at, now),
                }
            )
    return shown


def _todo(
    sync: str, class_: str, code: str, state: str, newest_at: datetime, now: datetime
) -> dict[str, str | None]:
    """Say what happens by itself and what somebody can do, and name the command."""
    again: str | None = f"tailrace retry {sync} --code {quote(code)}"
    until = newest_at + timedelta(days=LATER_DAYS)
    if state == "retry":
        todo, again = "the next run sends it again", None
    elif code == "unsendable":
        again = None
        todo = (
            "correct it in the model, or the field's `sql:`: it fails for these rows, or gives "
            "what JSON does not have (NaN, infinity, a year beyond 9999)"
        )
    elif class_ != "later":
        todo = "correct the data; or, once the destination would take it as it is:"
    elif until > naive_utc(now):
        todo, again = f"each run tries again until {until:%Y-%m-%d %H:%M}", None
    else:
        todo = f"each run tried again for {LATER_DAYS} days; to try once more:"
    return {"todo": todo, "command": again}
