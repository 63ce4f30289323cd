"""A plan from a sync's point of view: whether it can be made at all, and what it would do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from destinations.errors import DataError
from orchestration.builds import built_as_of, latest_builds
from orchestration.desired.scope import Mode, Scope, read_relations
from orchestration.engine import Engine
from orchestration.framing import exact
from orchestration.plan import Plan
from orchestration.plan_store import held_evaluation, open_plan, unsettled
from orchestration.planning import make_plan
from orchestration.project import Sync
from orchestration.sampling import sample
from orchestration.sync_identity import is_retiring
from orchestration.warehouse import Warehouse
from orchestration.warehouse.schema import state_value


def scope_of(
    engine: Engine,
    warehouse: Warehouse,
    sync: Sync,
    *,
    as_of: datetime | None,
    secrets: bool,
    mode: Mode = Mode.NORMAL,
) -> Scope:
    """Return what a plan of this sync would be made of, at the instant its models were built for.

    Raises:
        ConfigError: the account or an option is wrong.
        DataError: a model is not built, an audience not evaluated, or time would go back.
    """
    names = ["user_traits"] + (["events"] if sync.options.sends == "events" else [])
    instant = built_as_of(latest_builds(warehouse), names, as_of)
    if sync.audience and not _was_evaluated(warehouse, sync.audience.key):
        raise DataError(
            f"audience {sync.audience.key} has never been evaluated; run `tailrace build` and "
            "`tailrace evaluate` (or `tailrace run`)",
            key=sync.audience.key,
        )
    last = state_value(warehouse, "", f"as_of/{sync.key}")
    if last is not None and instant < datetime.fromisoformat(last):
        raise DataError(
            f"sync {sync.key} was planned as of {last} already; it does not go back to "
            f"{instant.isoformat()}"
        )
    return Scope(
        warehouse,
        engine.project,
        sync,
        engine.destination(sync, secrets=secrets),
        read_relations(warehouse, engine.project, sync),
        instant,
        mode,
    )


def plan_sync(
    engine: Engine,
    warehouse: Warehouse,
    sync: Sync,
    *,
    as_of: datetime | None,
    secrets: bool,
    mode: Mode = Mode.NORMAL,
    show_pii: bool = False,
) -> Plan:
    """Show what a run would do: nothing is stored, and the cost and the bodies are exact.

    Raises:
        ConfigError, DataError: as `scope_of` and `make_plan`.
    """
    mode = Mode.RETIRE if is_retiring(warehouse, sync.key) else mode
    scope = scope_of(engine, warehouse, sync, as_of=as_of, secrets=secrets, mode=mode)
    held = held_evaluation(warehouse, sync)
    if held and mode is not Mode.RETIRE:
        return Plan(sync.key, "held", scope.as_of, reasons=(held,), rules=("evaluation",))
    left = _unfinished(engine, warehouse, sync)
    if left and mode is Mode.NORMAL:
        return left
    return with_exact_cost(scope, propose(engine, scope), show_pii=show_pii)


def _unfinished(engine: Engine, warehouse: Warehouse, sync: Sync) -> Plan | None:
    """Return what is left of an earlier plan, if a run would finish that first."""
    plan = open_plan(warehouse, sync)
    if plan is None or engine.clock.now() - plan.ready_at > sync.options.max_age:
        return None
    counts = unsettled(warehouse, plan.plan_id)
    why = (
        f"{sum(counts.values()):,} of {plan.ops:,} ops of {plan.plan_id} are unfinished and go "
        "first; what is due after that is planned then"
    )
    return Plan(sync.key, "resume", plan.as_of, plan.plan_id, reasons=(why,), counts=counts)


def with_exact_cost(scope: Scope, plan: Plan, *, show_pii: bool = False) -> Plan:
    """Frame what `make_plan` left in this connection: exact calls and bytes, and samples."""
    cost = exact(scope)
    return replace(
        plan,
        calls=cost.calls,
        bytes=cost.bytes,
        seconds_at_limit=cost.seconds,
        is_exact=True,
        sample=sample(scope, show_pii=show_pii),
    )


def propose(engine: Engine, scope: Scope) -> Plan:
    """Make the plan of a scope, under the limits of its account."""
    limits = engine.plan_limits(scope.sync)
    return make_plan(scope, limits=limits, now=engine.clock.now())


def _was_evaluated(warehouse: Warehouse, audience: str) -> bool:
    found = warehouse.rows(
        "select 1 from tailrace.evaluations where audience = ? and status = 'committed' "
        "and origin = 'live' limit 1",
        [audience],
    )
    return bool(found)
