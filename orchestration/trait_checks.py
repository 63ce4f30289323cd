"""How far traits that foretell something came true: one check per such trait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from orchestration import churn_check
from orchestration.dbt import DbtPaths, manifest
from orchestration.warehouse import Connect


@dataclass(frozen=True, slots=True)
class TraitCheck:
    """What a check found; one that could not be made says why, and is not taken for a good one."""

    trait: str
    status: Literal["checked", "unknown"]
    reason: str | None = None
    measures: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """Return the entry that `traits check --json` promises."""
        head = {"trait": self.trait, "status": self.status, "reason": self.reason}
        return {**head, **self.measures}


@dataclass(frozen=True, slots=True)
class _Kind:
    model: str
    """The model that tells the trait: a project without it is not checked."""
    check: Callable[[DbtPaths, Connect, datetime], tuple[Mapping[str, Any], str | None]]
    """Returns what was measured, and why that says nothing, if it does."""


_CHECKS = {"churn_risk": _Kind(churn_check.MODEL, churn_check.check)}


def check_traits(paths: DbtPaths, connect: Connect, as_of: datetime) -> list[TraitCheck]:
    """Check every trait there is a check for, with what was known at as_of; writes nothing.

    Raises:
        ConfigError: the project cannot be read.
        DataError: a model does not compile or run.
    """
    models = {
        node["name"]: node["original_file_path"]
        for node in manifest(paths)["nodes"].values()
        if node["resource_type"] == "model"
    }
    found = []
    for trait, kind in _CHECKS.items():
        if kind.model not in models:
            found.append(TraitCheck(trait, "unknown", f"the project has no model {kind.model}"))
            continue
        measures, reason = kind.check(paths, connect, as_of)
        found.append(TraitCheck(trait, "unknown" if reason else "checked", reason, measures))
    return found
