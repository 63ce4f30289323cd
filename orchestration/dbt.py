"""Runs dbt inside this process: a subprocess costs seconds, the runner a fraction of one.

dbt writes no log file, and never to stdout, which belongs to `--json`. When a call returns,
the warehouse's file is free for other processes.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from destinations.clock import whole_second
from destinations.errors import ConfigError, DataError, TailraceError
from destinations.scrub import scrubbed
from orchestration.sql.refusals import without_values
from orchestration.warehouse.duckdb import held

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

Verb = Literal["run", "build", "test", "compile", "seed"]
NOT_IN_PRODUCTION = ("resource_type:unit_test", "resource_type:exposure")
_FAILED = frozenset({"error", "fail", "runtime error", "skipped"})


@dataclass(frozen=True, slots=True)
class DbtPaths:
    """Where the dbt project is; the words mean what they mean in dbt.

    `target_path` holds dbt's artifacts and its partial-parse state, `target` inside the project
    unless given.
    """

    project_dir: Path
    profiles_dir: Path
    target: str | None = None
    target_path: Path | None = None

    @property
    def artifacts(self) -> Path:
        """Return the folder dbt writes manifest.json to."""
        return self.target_path or self.project_dir / "target"

    def flags(self) -> list[str]:
        """Return the command-line flags that select this project."""
        chosen = [
            # kept in dbt's own files, which a dbt that is called in another folder reads, too
            *("--project-dir", str(self.project_dir.resolve())),
            *("--profiles-dir", str(self.profiles_dir)),
            *("--target-path", str(self.artifacts.resolve())),
            *("--log-path", str(self.artifacts.resolve() / "logs")),
            *("--log-level-file", "none"),  # it would hold every value that a failed cast quotes
        ]
        return [*chosen, "--target", self.target] if self.target else chosen


@dataclass(frozen=True, slots=True)
class DbtNode:
    """How a model, test, seed, snapshot (or failed hook) went; `status` is dbt's own word.

    `began` and `ended`: when it was executed, UTC; None if it was not.
    """

    name: str
    resource_type: str
    status: str
    message: str
    seconds: float
    file: str
    began: datetime | None = None
    ended: datetime | None = None

    @property
    def failed(self) -> bool:
        """Whether its result cannot be used: it failed, or what it needs did."""
        return self.status in _FAILED


@dataclass(frozen=True, slots=True)
class DbtRun:
    """One invocation; `build_id` is its key in `tailrace.builds`."""

    build_id: str
    success: bool
    seconds: float
    nodes: tuple[DbtNode, ...]

    @property
    def failures(self) -> tuple[DbtNode, ...]:
        """Return the nodes that failed or were skipped because of one that did."""
        return tuple(node for node in self.nodes if node.failed)


def run_dbt(
    paths: DbtPaths,
    verb: Verb,
    *,
    as_of: datetime | None,
    select: Sequence[str] = (),
    exclude: Sequence[str] = NOT_IN_PRODUCTION,
    variables: Mapping[str, Any] | None = None,
    full_refresh: bool = False,
    quiet: bool = True,
) -> DbtRun:
    """Run dbt and wait; a node that fails is in the result, not an exception.

    Args:
        paths: the project.
        verb: what dbt is asked to do.
        as_of: the instant to answer for; required by run and build, whose only clock it is.
        select: dbt selectors; all nodes if empty.
        exclude: dbt selectors to leave out.
        variables: dbt vars; other vars than last time cost a full parse.
        full_refresh: whether incremental models are made anew, from all raw rows.
        quiet: False copies dbt's progress to stderr.

    Raises:
        ConfigError: the project or profile cannot be read; names the file.
        LockedError: another process holds the warehouse.
        DataError: dbt could not connect, or failed outside of a node.
    """
    arguments = [verb, *paths.flags(), *_as_of_flags(verb, as_of)]
    if select:
        arguments += ["--select", *select]
    if exclude:
        arguments += ["--exclude", *exclude]
    if variables:
        arguments += ["--vars", json.dumps(dict(variables))]
    if verb in ("run", "build"):
        # it would write the manifest twice, which takes as long as the models of a small project
        arguments.append("--no-write-json")
    if full_refresh or verb == "compile":
        arguments.append("--full-refresh")  # an incremental model knows what was built before
    unseen: dict[str, DbtNode] = {}
    outcome = _invoke(arguments, quiet=quiet, hear=partial(_note_ephemeral, unseen))
    if outcome.exception is not None:
        raise _explained(outcome.exception, paths)
    return _as_run(outcome, tuple(unseen.values()))


def manifest(paths: DbtPaths) -> dict[str, Any]:
    """Return dbt's manifest; parses only if a file of the project is newer than the last one.

    Relation names in it carry the database of the profile it was parsed with.

    Raises:
        ConfigError: the project or profile cannot be read; names the file.
    """
    artifact = paths.artifacts / "manifest.json"
    if not artifact.exists() or _last_change(paths) >= artifact.stat().st_mtime_ns:
        outcome = _invoke(["parse", *paths.flags()], quiet=True)
        if outcome.exception is not None:
            raise _explained(outcome.exception, paths)
    return last_manifest(paths)


def last_manifest(paths: DbtPaths) -> dict[str, Any]:
    """Return the manifest as dbt wrote it last: after `compile` it has the compiled SQL."""
    written = (paths.artifacts / "manifest.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(written)
    return parsed


def _as_of_flags(verb: Verb, as_of: datetime | None) -> list[str]:
    if verb not in ("run", "build"):
        return []
    if as_of is None:
        raise ConfigError(f"dbt {verb} needs an as-of", key="as_of")
    # the flags take no offset, and unlike --vars do not force a full parse
    end = whole_second(as_of).strftime("%Y-%m-%d %H:%M:%S")
    return ["--event-time-start", "1970-01-01", "--event-time-end", end]


def _invoke(
    arguments: list[str], *, quiet: bool, hear: Callable[[Any], None] | None = None
) -> dbtRunnerResult:
    from dbt.cli.main import dbtRunner

    said = ["--quiet", "--log-level", "none"] if quiet else []
    # dbt and its plugins warn about each other; none of it is for our user
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        try:
            return dbtRunner(callbacks=[hear] if hear else []).invoke([*arguments, *said])
        finally:
            _release_connections()


def _release_connections() -> None:
    """Close what dbt keeps open for a next call that may never come."""
    from dbt.adapters import factory

    adapters: Any = factory  # untyped
    adapters.cleanup_connections()
    adapters.reset_adapters()
    # dbt-duckdb keeps its database beyond both calls, and with it the lock on the file
    duckdb_adapter = sys.modules.get("dbt.adapters.duckdb.connections")
    environment = duckdb_adapter and duckdb_adapter.DuckDBConnectionManager._ENV
    if duckdb_adapter and environment:
        environment.close()
        duckdb_adapter.DuckDBConnectionManager.close_all_connections()


def _note_ephemeral(unseen: dict[str, DbtNode], event: Any) -> None:
    """Note an ephemeral model that does not compile: dbt's results have only what it skips for it.

    The events are RunResultFailure, with the file, and then RunResultError, with the words.
    """
    info = getattr(event.data, "node_info", None)
    if not info or info.materialized != "ephemeral":
        return
    if event.info.name == "RunResultFailure":
        found = DbtNode(event.data.node_name, "model", "error", "", 0.0, event.data.path)
        unseen[info.unique_id] = found
    elif event.info.name == "RunResultError" and info.unique_id in unseen:
        unseen[info.unique_id] = replace(
            unseen[info.unique_id], message=_without_values(event.data.msg)
        )


def _without_values(message: str | None) -> str:
    return scrubbed(without_values((message or "").strip()))


def _within(result: Any) -> str:
    """Return a line that names the ephemeral model whose SQL the engine refuses, if it is one.

    dbt writes such a model into the SQL of each that reads it. It is told by the names that the
    engine does not know, because the line that it quotes is another one then; and by that line
    where it has no names to tell, as in a mistake of syntax.
    """
    own = getattr(result.node, "compiled_code", None)
    said = re.split(r"Candidate|Did you mean", result.message or "")[0]
    line = re.search(r"^ *LINE \d+: (?:\.\.\.)?(.+?)(?:\.\.\.)?$", said, re.M)
    words = re.findall(r'"([^"]+)"', said[: line.start()] if line else said)
    words = words or ([line[1].strip()] if line else [])
    if not own or not words:
        return ""
    models = {cte.id.rsplit(".", 1)[-1]: cte.sql for cte in result.node.extra_ctes}
    named = [name for name, sql in models.items() if all(word in sql for word in words)]
    for sql in models.values():
        own = own.replace(sql, "")
    is_own = all(word in own for word in words)
    return f"\nin the ephemeral model {named[0]}" if len(named) == 1 and not is_own else ""


def _as_run(outcome: dbtRunnerResult, unseen: tuple[DbtNode, ...]) -> DbtRun:
    from dbt_common.invocation import get_invocation_id

    result: Any = outcome.result
    if not hasattr(result, "results"):
        return DbtRun(get_invocation_id(), outcome.success, 0.0, ())
    nodes = tuple(
        DbtNode(
            name=one.node.name,
            resource_type=str(one.node.resource_type),
            status=str(one.status),
            message=_without_values(one.message) + _within(one),
            seconds=one.execution_time,
            file=one.node.original_file_path,
            **_executed(one),
        )
        for one in result.results
        if one.node.resource_type != "operation" or str(one.status) in _FAILED
    )
    return DbtRun(get_invocation_id(), outcome.success, result.elapsed_time, (*unseen, *nodes))


def _executed(result: Any) -> dict[str, datetime]:
    times = [time for time in result.timing if time.name == "execute" and time.completed_at]
    return {"began": times[0].started_at, "ended": times[0].completed_at} if times else {}


def _explained(error: BaseException, paths: DbtPaths) -> TailraceError:
    """Return what dbt said as an error of ours, with the file it is about."""
    from dbt.cli.exceptions import DbtUsageException
    from dbt_common.exceptions import DbtBaseException, DbtDatabaseError

    said = without_values(str(error).strip())
    if isinstance(error, DbtUsageException):
        return ConfigError(said)
    if locked := re.search(r'Could not set lock on file "([^"]+)"', said):
        return held(said, Path(locked[1]).name)
    if "codec can't decode" in said:
        return ConfigError("not UTF-8; accepted: a file in UTF-8", file=_undecodable(paths))
    # before any node runs, plain runtime errors come from opening the connection
    connecting = isinstance(error, DbtDatabaseError) or type(error).__name__ == "DbtRuntimeError"
    if connecting or not isinstance(error, DbtBaseException):
        return DataError(f"dbt could not use the warehouse: {said}")
    return ConfigError(said, file=_file_at_fault(error, said, paths))


def _file_at_fault(error: BaseException, said: str, paths: DbtPaths) -> str:
    node_file = getattr(getattr(error, "node", None), "original_file_path", None)
    if node_file:
        return str(node_file)
    if named := re.search(r"\(([^()\s]+\.(?:sql|yml|csv))\)|Error reading \w+: (\S+)", said):
        return next(group for group in named.groups() if group)
    if type(error).__name__ in ("DbtProfileError", "EnvVarMissingError") or "profile" in said:
        return str(paths.profiles_dir / "profiles.yml")
    return str(paths.project_dir / "dbt_project.yml")


def _undecodable(paths: DbtPaths) -> str:
    for path in _watched(paths):
        try:
            if path.is_file():
                path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return str(path)
    return str(paths.project_dir)


def _last_change(paths: DbtPaths) -> int:
    return max(path.stat().st_mtime_ns for path in _watched(paths))


def _watched(paths: DbtPaths) -> Iterator[Path]:
    """Yield what a parse depends on; folders too, since removing a file touches only them."""
    yield from paths.project_dir.glob("*.yml")
    yield from paths.profiles_dir.glob("profiles.yml")
    for folder in ("models", "macros", "seeds", "snapshots", "tests", "analyses"):
        yield from paths.project_dir.glob(folder)
        yield from paths.project_dir.glob(f"{folder}/**/*")
