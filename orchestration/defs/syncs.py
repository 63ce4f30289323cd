"""One asset per sync: what its destination was told; and a job and a schedule to run it."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from orchestration.activate import run_syncs
from orchestration.defs.dbt import OP
from orchestration.defs.deltas import delta_key
from orchestration.defs.holds import Metadata, NotDone, hold, passed
from orchestration.defs.resources import engine, explained, in_words, team
from orchestration.project import Sync
from orchestration.sync_runs import SyncRun

HELD = "held"
SHOWN = (
    "status", "plan_id", "calls", "delivered", "rejected", "skipped", "retried", "throttled_s",
    "seconds", "reasons", "warnings",
)  # fmt: skip


def sync_key(key: str) -> dg.AssetKey:
    """Return the asset key of a sync."""
    return dg.AssetKey(["syncs", key])


def sync_asset(sync: Sync, destination_type: str) -> dg.AssetsDefinition:
    """Return the asset that resumes, plans and delivers a sync."""
    key = sync_key(sync.key)

    @dg.asset(
        key=key,
        deps=_deps(sync),
        check_specs=[_held(key)],
        output_required=False,
        group_name="syncs",
        kinds={destination_type},
        owners=team(sync.owner),
        description=sync.description,
        pool=f"destination_{sync.options.destination}",
    )
    def delivered() -> Iterator[dg.MaterializeResult[None] | NotDone]:
        with explained():
            tailrace = engine()
            (run,) = run_syncs(tailrace, [tailrace.project.sync(sync.key)], None)
        if run.status == "held":
            yield from hold(key, HELD, _reason(run), _metadata(run))
        elif run.status in ("done", "nothing"):
            yield dg.MaterializeResult(metadata=_metadata(run), check_results=[passed(HELD)])
        else:
            raise _failure(run)

    return delivered


def sync_job(sync: Sync) -> dg.UnresolvedAssetJobDefinition:
    """Return the job that runs a sync with everything upstream of it."""
    return dg.define_asset_job(
        f"sync_{sync.key}",
        selection=dg.AssetSelection.assets(sync_key(sync.key)).upstream(),
        description=f"{sync.description} With everything it needs.",
    )


def sync_schedule(sync: Sync, job: dg.UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Return the schedule of a sync, off until somebody turns it on.

    The as_of is the instant of the tick, not of the start: runs of the same tick, each building
    what it needs, then agree about it.
    """

    @dg.schedule(
        job=job,
        name=f"{job.name}_schedule",
        cron_schedule=str(sync.options.schedule),
        execution_timezone="UTC",
        description=f"{sync.options.schedule} UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        as_of = context.scheduled_execution_time.isoformat(timespec="seconds")
        return dg.RunRequest(run_config={"ops": {OP: {"config": {"as_of": as_of}}}})

    return tick


def _deps(sync: Sync) -> list[dg.AssetKey]:
    needed = {"user_traits", sync.model.name}
    if sync.audience:
        needed.remove(sync.audience.model.name)
    deps = [dg.AssetKey(name) for name in sorted(needed)]
    deps += [delta_key(sync.audience)] if sync.audience else []
    return deps + [sync_key(key) for key in sync.options.after]


def _held(key: dg.AssetKey) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        HELD,
        asset=key,
        blocking=True,
        description="Fails if a plan waits for approval; nothing of it was sent.",
    )


def _metadata(run: SyncRun) -> Metadata:
    """Return counts and reasons: no payload, nobody's id."""
    shape = run.as_dict()
    return {name: shape[name] for name in SHOWN if shape[name] is not None}


def _reason(run: SyncRun) -> str:
    exits = f" --expect-exits {run.held_exits}" if run.held_exits else ""
    return f"held: {'; '.join(run.reasons)}. `tailrace approve {run.plan_id}{exits}`"


def _failure(run: SyncRun) -> dg.Failure:
    """Return why the step failed; only what was interrupted is worth another try."""
    said = in_words(run.error) if run.error else "; ".join(run.reasons)
    return dg.Failure(
        f"{run.status}: {said}",
        metadata=_metadata(run),
        allow_retries=run.status == "incomplete",
    )
