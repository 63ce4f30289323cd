"""What is not kept: the payloads of plans that are over."""

from __future__ import annotations

from datetime import datetime, timedelta

from orchestration.sql.names import naive_utc
from orchestration.warehouse import Warehouse

KEEP_PAYLOADS = timedelta(days=7)

_DUE = """
select plan_id from tailrace.plans
where status in ('done', 'superseded') and planned_at < $before and payloads_dropped_at is null
"""


def drop_old_payloads(warehouse: Warehouse, now: datetime) -> int:
    """Drop the payloads of plans that are over and were made a week ago; returns how many plans.

    Ops, outcomes and counts stay, and so do user_id and dest_key. A plan is looked at once; what
    is held or open keeps its payloads. Cheap where nothing is due.
    """
    before = {"before": naive_utc(now - KEEP_PAYLOADS)}
    ((due,),) = warehouse.rows(f"select count(*) from ({_DUE})", before)
    if not due:
        return 0
    with warehouse.transaction():
        warehouse.execute(
            "update tailrace.plan_ops set payload = null "
            f"where payload is not null and plan_id in ({_DUE})",
            before,
        )
        warehouse.execute(
            "update tailrace.plans set payloads_dropped_at = cast($now as timestamp) "
            f"where plan_id in ({_DUE})",
            {**before, "now": naive_utc(now)},
        )
    return int(due)
