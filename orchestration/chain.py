"""The compiled SQL of a model and of all it is made from, to be run at any as_of.

dbt compiles once, with a sentinel in the place of as_of. Each table or view of the chain then
becomes a temporary one; only those that depend on as_of are made again for each instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from destinations.errors import DataError
from orchestration.dbt import DbtPaths, last_manifest, run_dbt
from orchestration.intervals import KNOWN_STAYS
from orchestration.preview import SENTINEL
from orchestration.project import Audience
from orchestration.sql.names import ident, instant
from orchestration.sql.refusals import without_values
from orchestration.warehouse import Warehouse

PREFIX = "tailrace_at_"


@dataclass(frozen=True, slots=True)
class Step:
    """One model of the chain: what it is called, where it is made, and of what."""

    nth: int
    name: str
    file: str
    sql: str
    is_view: bool
    is_dated: bool

    @property
    def relation(self) -> str:
        """Return the name of its temporary relation; versions of a model share their name."""
        return ident(f"{PREFIX}{self.nth}_{self.name}")


def compile_chain(paths: DbtPaths, audience: Audience) -> tuple[Step, ...]:
    """Compile an audience and its ancestors; each comes after those it reads.

    Where they ask who was in an audience before, they read `intervals.KNOWN_STAYS`.

    Raises:
        DataError: one of them does not compile.
    """
    chain = compile_model(paths, audience.key, audience.model.file)
    stays = dict.fromkeys(_stays(last_manifest(paths)).values(), KNOWN_STAYS)
    return tuple(replace(step, sql=_renamed(step.sql, stays)) for step in chain)


def compile_model(paths: DbtPaths, name: str, file: str) -> tuple[Step, ...]:
    """Compile a model that is not ephemeral, and its ancestors; each comes after those it reads.

    Raises:
        DataError: one of them does not compile.
    """
    compiled = run_dbt(paths, "compile", as_of=None, select=[f"+{name}"])
    if not compiled.success:
        why = "; ".join(f"{node.file}: {node.message}" for node in compiled.failures)
        raise DataError(f"{name} does not compile: {why}", file=file)
    return read_chain(last_manifest(paths), name)


def read_chain(parsed: Mapping[str, Any], name: str) -> tuple[Step, ...]:
    """Read the chain out of a manifest that holds compiled SQL."""
    models = {
        unique_id: node
        for unique_id, node in parsed["nodes"].items()
        if node["resource_type"] == "model"
    }
    done: dict[str, Step] = {}
    dated = set(_stays(parsed))  # who was in before is another question at each instant

    def visit(unique_id: str) -> None:
        node = models[unique_id]
        parents = [parent for parent in node["depends_on"]["nodes"] if parent in models]
        for parent in parents:
            if parent not in done:
                visit(parent)
        if SENTINEL in node["compiled_code"] or dated & set(node["depends_on"]["nodes"]):
            dated.add(unique_id)
        done[unique_id] = Step(
            len(done),
            node["name"],
            node["original_file_path"],
            node["compiled_code"].rstrip().rstrip(";"),
            node["config"]["materialized"] == "view",
            unique_id in dated,
        )

    (root,) = (unique_id for unique_id, node in models.items() if node["name"] == name)
    visit(root)
    # dbt has written the ephemeral ones into those that read them.
    kept = {u: s for u, s in done.items() if models[u]["config"]["materialized"] != "ephemeral"}
    names = {models[unique_id]["relation_name"]: step.relation for unique_id, step in kept.items()}
    return tuple(replace(step, sql=_renamed(step.sql, names)) for step in kept.values())


def _stays(parsed: Mapping[str, Any]) -> dict[str, str]:
    """Return the sources that tell who was in an audience, with their relations."""
    return {
        unique_id: source["relation_name"]
        for unique_id, source in parsed["sources"].items()
        if (source["schema"], source["name"]) == ("tailrace", "membership_intervals")
    }


def _renamed(sql: str, names: Mapping[str, str]) -> str:
    # One name may be the beginning of another, where a project does not quote them.
    for relation in sorted(names, key=len, reverse=True):
        sql = sql.replace(relation, names[relation])
    return sql


def make_undated(warehouse: Warehouse, chain: tuple[Step, ...]) -> None:
    """Make what does not depend on as_of, once per connection."""
    for step in chain:
        if not step.is_dated:
            _make(warehouse, step, step.sql)


def make_at(warehouse: Warehouse, chain: tuple[Step, ...], as_of: datetime) -> str:
    """Make what depends on as_of, and return the last one's relation at that instant.

    Raises:
        DataError: a model fails; names its file.
    """
    for step in chain:
        if step.is_dated:
            _make(warehouse, step, step.sql.replace(SENTINEL, instant(as_of)))
    return chain[-1].relation


def _make(warehouse: Warehouse, step: Step, sql: str) -> None:
    what = "view" if step.is_view else "table"
    try:
        warehouse.execute(f"create or replace temp {what} {step.relation} as\n{sql}")
    except warehouse.errors as error:
        why = without_values(str(error)).split("\n\n")[0]
        raise DataError(f"{step.file}: {why}", file=step.file) from None
