"""What churn_risk would have said a month ago, beside who came back since."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from orchestration.chain import Step, compile_model, make_at, make_undated
from orchestration.dbt import DbtPaths
from orchestration.sql.names import naive_utc
from orchestration.warehouse import Connect, Warehouse

MODEL, SNAPSHOTS, FILE = "user_churn", "churn_snapshots", "models/traits/user_churn.sql"
HORIZON = timedelta(days=30)
SILENCE = timedelta(days=3)
"""A log that ends so long before as_of makes users look gone who may only not be loaded yet."""

OUTCOMES, GROUPS = "tailrace_churn_outcomes", "tailrace_churn_groups"
_GROUPS = f"""
create or replace temp table {GROUPS} as
with counted as (
    select risk, count(*) as users, count(*) filter (where churned) as churned
    from {OUTCOMES} group by risk
)
select
    *,
    users - churned as stayed,
    coalesce(sum(users) over below, 0) as users_below,
    coalesce(sum(users - churned) over below, 0) as stayed_below,
    sum(users) over () as all_users
from counted
window below as (order by risk rows between unbounded preceding and 1 preceding)
"""
# Floats are summed as decimals: the order of rows must not show.
_MEASURES = f"""
select
    coalesce(sum(users), 0)::bigint as users,
    coalesce(sum(churned), 0)::bigint as churned,
    sum(churned) / nullif(sum(users), 0) as base_rate,
    sum(churned * (2 * stayed_below + stayed)) / nullif(2 * sum(churned) * sum(stayed), 0) as auc,
    sum((churned * (1 - risk) * (1 - risk) + stayed * risk * risk)::decimal(38, 15))::double
        / nullif(sum(users), 0) as brier,
    sum((users * risk)::decimal(38, 15))::double / nullif(sum(users), 0) as predicted
from {GROUPS}
"""
# Users of one risk stay together, in the tenth that the middle one of them is in.
_CALIBRATION = f"""
select
    1 + floor(10 * (2 * users_below + users) / (2 * all_users))::bigint as tenth,
    sum(users)::bigint as users,
    sum(churned)::bigint as churned,
    sum((users * risk)::decimal(38, 15))::double / sum(users) as predicted,
    sum(churned) / sum(users) as observed
from {GROUPS} group by tenth order by tenth
"""


def check(
    paths: DbtPaths, connect: Connect, as_of: datetime
) -> tuple[Mapping[str, Any], str | None]:
    """Fit the model 30 days before as_of, score users then, and look who came back until as_of.

    Both through the project's own SQL, at two instants: the first sees nothing of what comes after
    it, the second tells what became of the same users. Nothing is written but temporary tables.

    Returns:
        What was measured, and why it says nothing if it does.

    Raises:
        DataError: a model does not compile or run.
    """
    chain = compile_model(paths, MODEL, FILE)
    with connect() as warehouse:
        make_undated(warehouse, chain)
        measures, candidates = _measure(warehouse, chain, as_of)
    learnt, told = measures["learnt_from"], f"{as_of - HORIZON:%Y-%m-%d %H:%M:%S}"
    if measures["users"] == 0:
        few = f"only {learnt:,} observations to learn from (var churn_least_history)"
        what = few if candidates else "nobody with a session in the 90 days before"
        return measures, f"not enough history: at {told} UTC, 30 days back, there was {what}"
    if measures["auc"] is None:
        fate = "none" if measures["churned"] else "all"
        return measures, f"{fate} of {measures['users']:,} users came back: is the log loaded?"
    return measures, None


def _measure(
    warehouse: Warehouse, chain: tuple[Step, ...], as_of: datetime
) -> tuple[dict[str, Any], int]:
    told_at = as_of - HORIZON
    scores = make_at(warehouse, chain, told_at)
    relations = {step.name: step.relation for step in chain}
    snapshots = relations[SNAPSHOTS]
    ((learnt, candidates),) = warehouse.rows(
        f"select count(churned), count(*) filter (where snapshot_number = 0) from {snapshots}"
    )
    warehouse.execute(
        f"create or replace temp table {OUTCOMES} as "
        f"select user_id, churn_risk as risk, cast(null as boolean) as churned from {scores} "
        "where churn_risk is not null"
    )
    make_at(warehouse, chain, as_of)
    # Who was scored is told by the earlier instant, what became of them by the later one.
    warehouse.execute(
        f"create or replace temp table {OUTCOMES} as select scored.risk, later.churned "
        f"from {OUTCOMES} as scored inner join {snapshots} as later "
        "on scored.user_id = later.user_id and later.snapshot_number = 1"
    )
    warehouse.execute(_GROUPS)
    (measures,) = warehouse.query(_MEASURES).to_pylist()
    base = measures["base_rate"]
    ((latest,),) = warehouse.rows(f"select max(last_session_at) from {snapshots}")
    stale = latest is None or naive_utc(as_of) - latest > SILENCE
    return {
        "as_of": f"{as_of:%Y-%m-%dT%H:%M:%SZ}",
        "told_at": f"{told_at:%Y-%m-%dT%H:%M:%SZ}",
        "learnt_from": learnt,
        **measures,
        "brier_of_base_rate": None if base is None else base * (1 - base),
        "calibration": warehouse.query(_CALIBRATION).to_pylist(),
        "last_session_at": f"{latest:%Y-%m-%dT%H:%M:%SZ}" if latest else None,
        "log_may_be_cut": stale,
    }, candidates
