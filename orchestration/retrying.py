"""Taking rejects up again: what a destination refused is sent once more, though nothing changed.

A reject in state `retry` is not open, so the next plan no longer leaves its op out. It becomes
`resolved` when the destination takes it, and open again when it does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from orchestration.project import Sync
from orchestration.warehouse import Warehouse

_CHOSEN = """
create or replace temp table tailrace_retried as
select j.sync, j.op_id, j.class, j.code, j.field,
    j.sync in (select unnest($events)) and j.code <> 'unsendable' and not exists (
        select 1 from tailrace.sent_events as s where s.sync = j.sync and s.op_id = j.op_id
    ) as is_too_old
from tailrace.rejects as j
where j.state = 'open' and j.sync in (select unnest($syncs))
    and ($code is null or j.code = $code) and ($class is null or j.class = $class)
"""

_TAKE_UP = (
    """
    update tailrace.rejects as j set state = 'retry'
    from tailrace_retried as n
    where j.state = 'open' and not n.is_too_old and j.sync = n.sync and j.op_id = n.op_id
    """,
    # An event without a plan is owed, however long ago it arrived.
    """
    update tailrace.sent_events as s set plan_id = null
    from tailrace_retried as n
    where not n.is_too_old and s.sync = n.sync and s.op_id = n.op_id
    """,
)

_COUNTED = """
select sync, class, code, field, count(*) filter (where not is_too_old),
    count(*) filter (where is_too_old)
from tailrace_retried
group by sync, class, code, field
order by sync, count(*) desc, code
"""


@dataclass(frozen=True, slots=True)
class Retried:
    """Open rejects of one sync, class, code and field; those of `too_old` stay as they are."""

    sync: str
    class_: str
    code: str
    field: str | None
    count: int
    too_old: int

    def as_dict(self) -> dict[str, object]:
        """Return the shape that `retry --json` promises."""
        shape = asdict(self)
        return {"sync": shape.pop("sync"), "class": shape.pop("class_"), **shape}


def retry(
    warehouse: Warehouse,
    syncs: Iterable[Sync],
    *,
    code: str | None = None,
    class_: str | None = None,
) -> list[Retried]:
    """Take open rejects up again: the next plan of their sync sends them once more.

    Args:
        warehouse: where the rejects are.
        syncs: whose rejects.
        code: only those with this code of the destination.
        class_: only those of this class: `rejected` or `later`.

    Returns:
        what was found, by sync, class, code and field. An event that arrived so long ago that
        nobody remembers its id (`too_old`) stays refused.
    """
    chosen = list(syncs)
    with warehouse.transaction():
        warehouse.execute(
            _CHOSEN,
            {
                "syncs": [sync.key for sync in chosen],
                "events": [sync.key for sync in chosen if sync.options.sends == "events"],
                "code": code,
                "class": class_,
            },
        )
        for statement in _TAKE_UP:
            warehouse.execute(statement)
        return [Retried(*row) for row in warehouse.rows(_COUNTED)]
