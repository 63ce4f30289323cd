"""The vars of dbt_project.yml that the engine must know before dbt has been asked anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def project_vars(project_dir: Path) -> dict[str, Any]:
    """Return the vars that the project sets; its own section wins over what is said for all.

    A folder without a project has none: that is for dbt to refuse.
    """
    file = project_dir / "dbt_project.yml"
    if not file.exists():
        return {}
    content: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    variables = content.get("vars") or {}
    own = variables.get(content.get("name"))
    return {**variables, **(own if isinstance(own, dict) else {})}


def reads_loaded(project_dir: Path) -> bool:
    """Return whether dbt reads the tables that `tailrace load` fills, and no collector's own."""
    found = project_vars(project_dir)
    return (
        found.get("layout", "tailrace") == "tailrace"
        and found.get("raw_schema", "raw") == "raw"
        and not found.get("raw_database")
    )
