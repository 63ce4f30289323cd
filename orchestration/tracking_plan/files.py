"""What a project says of its events, in two seeds: the tracking plan and the other names."""

from __future__ import annotations

from pathlib import Path

from orchestration.tracking_plan.aliases import aliases_path, read_aliases
from orchestration.tracking_plan.importing import plan_path
from orchestration.tracking_plan.reading import read_plan


def check_files(project_dir: Path) -> None:
    """Refuse what dbt would load otherwise, or refuse without a word of where.

    A folder without a project has no such files: that is for dbt to refuse.

    Raises:
        ConfigError: one of the files that are there is wrong; names every line.
    """
    if not (project_dir / "dbt_project.yml").exists():
        return
    plan, aliases = plan_path(project_dir), aliases_path(project_dir)
    if plan.exists():
        read_plan(plan)
    if aliases.exists():
        read_aliases(aliases)
