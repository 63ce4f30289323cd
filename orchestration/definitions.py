"""What Dagster loads: assets for the dbt models, the deltas and the syncs, and what runs them."""

from __future__ import annotations

import dagster as dg

from destinations.errors import TailraceError
from orchestration.accounts import read_accounts
from orchestration.dbt import DbtPaths, manifest
from orchestration.defs.dbt import dbt_models
from orchestration.defs.deltas import delta_asset
from orchestration.defs.resources import dbt_cli, in_words, project_paths
from orchestration.defs.syncs import sync_asset, sync_job, sync_schedule
from orchestration.project import Project, read_project


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the project that `TAILRACE_PROJECT_DIR` names.

    Reads files of the project and nothing else: no secret, no warehouse.

    Raises:
        dagster.DagsterInvalidDefinitionError: something in the project is wrong; names the file.
    """
    try:
        return build_definitions(project_paths())
    except TailraceError as error:
        raise dg.DagsterInvalidDefinitionError(in_words(error)) from None


def build_definitions(paths: DbtPaths) -> dg.Definitions:
    """Return the definitions of a dbt project; parses it if its manifest is missing or old."""
    parsed = manifest(paths)
    project = read_project(parsed, paths.project_dir)
    jobs = {sync.key: sync_job(sync) for sync in project.syncs}
    return dg.Definitions(
        assets=[
            dbt_models(parsed),
            *(delta_asset(audience) for audience in project.audiences),
            *_syncs(project, paths),
        ],
        jobs=[_activate(), *jobs.values()],
        schedules=[
            sync_schedule(sync, jobs[sync.key]) for sync in project.syncs if sync.options.schedule
        ],
        resources={"dbt": dbt_cli(paths)},
        # one process: DuckDB has one writer, and a step takes less time than a process to start
        executor=dg.in_process_executor,
    )


def _syncs(project: Project, paths: DbtPaths) -> list[dg.AssetsDefinition]:
    accounts = read_accounts(paths.project_dir)
    types = {name: account.type for name, account in accounts.items()}
    return [
        sync_asset(sync, types.get(sync.options.destination, "unknown")) for sync in project.syncs
    ]


def _activate() -> dg.UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        "activate",
        selection=dg.AssetSelection.all(),
        description="Build every model, evaluate every audience, run every sync.",
    )
