"""Everything that can be checked without building or sending."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from destinations.errors import ConfigError
from orchestration.accounts import open_account, read_accounts
from orchestration.days import project_zone
from orchestration.dbt import DbtPaths, manifest
from orchestration.event_names import events_named, misnamed
from orchestration.exposures import check_exposure_names
from orchestration.macro_names import known_names, meant, unknown_calls
from orchestration.project import Project, read_project
from orchestration.schedules import schedule_problem
from orchestration.sql.lint import forbidden_calls
from orchestration.tracking_plan.aliases import aliases_path, read_aliases
from orchestration.tracking_plan.importing import plan_path
from orchestration.tracking_plan.reading import read_plan
from orchestration.warehouse.profiles import read_output
from orchestration.yaml_lines import line_of


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, and where."""

    rule: str
    severity: str
    file: str
    line: int | None
    message: str

    def as_dict(self) -> dict[str, object]:
        """Return the shape that `validate --json` promises."""
        return asdict(self)


def validate(paths: DbtPaths, environment: Mapping[str, str]) -> list[Finding]:
    """Check profile, project, audiences, syncs and destinations; all findings at once."""
    findings: list[Finding] = []
    found: dict[str, Any] = {}

    def attempt(rule: str, check: Callable[[], Any]) -> None:
        try:
            found[rule] = check()
        except ConfigError as error:
            findings.append(_finding(rule, error))

    attempt("profile", lambda: read_output(paths, environment))
    attempt("time-zone", lambda: project_zone(paths.project_dir))
    attempt("dbt", lambda: manifest(paths))
    if "dbt" in found:
        attempt("project", lambda: read_project(found["dbt"], paths.project_dir))
        attempt("exposures", lambda: check_exposure_names(paths.project_dir, found["dbt"]))
        findings += _clocks(found["dbt"])
        findings += _undescribed(found["dbt"])
        findings += _calls(found["dbt"])
    plan = plan_path(paths.project_dir) if "dbt" in found else None
    if plan and plan.exists():
        attempt("tracking-plan", lambda: read_plan(plan))
    aliases = aliases_path(paths.project_dir)
    if aliases.exists():
        attempt("event-aliases", lambda: read_aliases(aliases))
    if "tracking-plan" in found:
        planned = {row.event for row in found["tracking-plan"]}
        findings += _events_of_models(found["dbt"], planned)
        if "project" in found:
            findings += _events_of_syncs(found["project"], paths, planned)
    attempt("destinations", lambda: read_accounts(paths.project_dir))
    if "project" in found:
        findings += _audiences(found["project"])
        findings += _schedules(found["project"], paths)
    if "destinations" in found:
        accounts = found["destinations"]
        for account in accounts.values():
            attempt("destination", partial(open_account, account, environment))
        for sync in found["project"].syncs if "project" in found else ():
            if sync.options.destination not in accounts:
                key = f"exposures.{sync.key}.config.meta.sync.destination"
                findings.append(
                    Finding(
                        "destination",
                        "error",
                        sync.file,
                        line_of(paths.project_dir / sync.file, key),
                        f"sync {sync.key} names no destination of destinations.yml: "
                        f"{sync.options.destination} (accepted: {', '.join(sorted(accounts))})",
                    )
                )
    return findings


def _audiences(project: Project) -> Iterator[Finding]:
    for audience in project.audiences:
        file = audience.model.file
        if audience.model.columns and "user_id" not in audience.model.columns:
            message = f"{audience.key} has no column user_id, one row per member"
            yield Finding("audience-key", "error", file, None, message)
        if not audience.description:
            message = f"{audience.key} has no description"
            yield Finding("audience-description", "warning", file, None, message)
        if not audience.owner:
            message = f"{audience.key} has no config.meta.owner"
            yield Finding("audience-owner", "warning", file, None, message)


def _schedules(project: Project, paths: DbtPaths) -> Iterator[Finding]:
    for sync in project.syncs:
        problem = schedule_problem(sync.options.schedule) if sync.options.schedule else None
        if problem:
            key = f"exposures.{sync.key}.config.meta.sync.schedule"
            line = line_of(paths.project_dir / sync.file, key)
            yield Finding("schedule", "error", sync.file, line, f"{key}: {problem}")


def _events_of_models(dbt_manifest: Mapping[str, Any], planned: set[str]) -> Iterator[Finding]:
    for node in dbt_manifest["nodes"].values():
        if node["resource_type"] != "model":
            continue
        for line, name in events_named(node["raw_code"]):
            wrong = misnamed(name, planned)
            if wrong:
                yield Finding("event-name", "warning", node["original_file_path"], line, wrong)


def _events_of_syncs(project: Project, paths: DbtPaths, planned: set[str]) -> Iterator[Finding]:
    for sync in project.syncs:
        key = f"exposures.{sync.key}.config.meta.sync.events"
        for name in sync.options.events:
            wrong = misnamed(name, planned)
            if wrong:
                line = line_of(paths.project_dir / sync.file, key)
                yield Finding("event-name", "warning", sync.file, line, f"{key}: {wrong}")


def _clocks(dbt_manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """Below staging, as_of() is the only clock, and nothing is drawn by lot."""
    for node in dbt_manifest["nodes"].values():
        if node["resource_type"] != "model" or "staging" in node["fqn"]:
            continue
        for line, name in forbidden_calls(node["raw_code"]):
            yield Finding(
                "clock",
                "error",
                node["original_file_path"],
                line,
                f"{name} gives another answer at another time; use {{{{ as_of() }}}}",
            )


def _calls(dbt_manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """What calls a macro that there is not fails when it is compiled; a macro may not be called."""
    known = known_names(dbt_manifest)
    project = dbt_manifest["metadata"]["project_name"]
    models = (
        (node, node["raw_code"])
        for node in dbt_manifest["nodes"].values()
        if node["resource_type"] == "model"
    )
    macros = ((macro, macro["macro_sql"]) for macro in dbt_manifest["macros"].values())
    for node, sql in (*models, *macros):
        if node["package_name"] != project:
            continue
        is_model = node["resource_type"] == "model"
        for line, name, always in unknown_calls(sql, known):
            severity = "error" if is_model and always else "warning"
            at = line if is_model else None
            yield Finding("macro", severity, node["original_file_path"], at, meant(name, known))


def _undescribed(dbt_manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """What has a contract and says nothing of its columns fails when it is built."""
    for node in dbt_manifest["nodes"].values():
        enforced = node["resource_type"] == "model" and node["config"]["contract"]["enforced"]
        if enforced and not node["columns"]:
            yield Finding(
                "contract",
                "error",
                node["original_file_path"],
                None,
                f"{node['name']} is not described: name it in a .yml of its folder, with name, "
                "data_type and description of each column",
            )


def _finding(rule: str, error: ConfigError) -> Finding:
    accepted = f" (accepted: {', '.join(error.accepted)})" if error.accepted else ""
    where = f"{error.key}: " if error.key else ""
    return Finding(rule, "error", error.file or "", error.line, f"{where}{error.message}{accepted}")
