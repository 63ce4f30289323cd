"""The dbt project as assets: one per model, dbt's tests as checks on them.

Plain `@dbt_assets`: the component runs a copy of the project, in which relative paths break, and
row-count metadata keeps DuckDB's lock in this process.
"""

# No `from __future__ import annotations`: Dagster reads the type of `config` from the signature.

import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DbtCliInvocation,
    DbtCliResource,
    DbtProject,
    dbt_assets,
)

from destinations.clock import whole_second
from destinations.scrub import scrubbed
from orchestration.activate import prepare
from orchestration.dbt import NOT_IN_PRODUCTION
from orchestration.defs.resources import WAREHOUSE_POOL, Scrubbed, engine, explained, team
from orchestration.setup import parse_instant
from orchestration.sql.refusals import without_values
from orchestration.tracking_plan.files import check_files

OP = "dbt_models"
FAILED = ("error", "fail", "runtime error", "skipped", "partial success")


class BuildConfig(dg.Config):
    """What the launchpad offers for the step that builds the models.

    `as_of`: the instant to answer for, ISO; default the start of the run. All later steps take it
    from what this one built. `keep_going`: go on with the rest if a model fails. `full_refresh`:
    read all raw events again, also those that were read before.
    """

    as_of: str | None = None
    keep_going: bool = False
    full_refresh: bool = False


class Translator(DagsterDbtTranslator):
    """Groups models by layer, the folder they are in, and shows their owners."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Return the layer: staging, identity, events, traits, audiences; or the source."""
        return str(dbt_resource_props["fqn"][1])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """Return the owner that the model's meta names."""
        meta = dbt_resource_props.get("config", {}).get("meta", {})
        return team(str(meta.get("owner", "")))

    def get_asset_check_spec(
        self,
        asset_spec: dg.AssetSpec,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: DbtProject | None,
    ) -> dg.AssetCheckSpec | None:
        """Return a test as a check that blocks nothing.

        In the step that runs them all a blocking one would stop every audience. dbt itself skips
        the models behind a failed test, and an evaluation does not believe keys that repeat.
        """
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(blocking=False)


def dbt_models(manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """Return every model as an asset, built by one dbt invocation at one as_of."""

    @dbt_assets(
        manifest=manifest,
        name=OP,
        dagster_dbt_translator=Translator(),
        pool=WAREHOUSE_POOL,
    )
    def models(
        context: dg.AssetExecutionContext, config: BuildConfig, dbt: DbtCliResource
    ) -> Iterator[Any]:
        invocation = dbt.cli(_arguments(config), context=context, raise_on_error=False)
        with redirect_stdout(Scrubbed(sys.stdout)):
            yield from invocation.stream()
        _check(invocation, keep_going=config.keep_going)

    return models


def _arguments(config: BuildConfig) -> list[str]:
    """Make the tables dbt reads and writes, and return what dbt is asked to do."""
    with explained():
        tailrace = engine()
        check_files(tailrace.dbt.project_dir)
        prepare(tailrace.connect, tailrace.dbt)
    instant = whole_second(parse_instant(config.as_of) if config.as_of else tailrace.clock.now())
    excluded = [kind.removeprefix("resource_type:") for kind in NOT_IN_PRODUCTION]
    return [
        *("--log-level-file", "none", "build", "--event-time-start", "1970-01-01"),
        *("--event-time-end", f"{instant:%Y-%m-%d %H:%M:%S}"),
        *(flag for kind in excluded for flag in ("--exclude-resource-type", kind)),
        *(["--full-refresh"] if config.full_refresh else []),
    ]


def _check(invocation: DbtCliInvocation, *, keep_going: bool) -> None:
    """Fail the step for a model that was not built; a failed test alone is a red check, no more.

    Raises:
        dagster.Failure: a model was not built, and the run is not to keep going; or dbt failed
            outside of a node.
    """
    if invocation.is_successful():
        return
    wrote = (invocation.target_path / "run_results.json").exists()
    ran = invocation.get_artifact("run_results.json")["results"] if wrote else []
    failed = [result for result in ran if result["status"] in FAILED]
    if not failed:
        error = invocation.get_error()
        said = scrubbed(without_values(str(error))) if error else "dbt failed and left no result"
        raise dg.Failure(said)
    if not keep_going and any(not result["unique_id"].startswith("test.") for result in failed):
        raise dg.Failure("\n".join(map(_in_words, failed)))


def _in_words(result: Mapping[str, Any]) -> str:
    said = scrubbed(without_values(str(result["message"])))
    return f"{result['unique_id']} {result['status']}: {said}"
