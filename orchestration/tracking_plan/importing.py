"""The import of a tracking plan into the project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from destinations.errors import ConfigError, DataError
from orchestration.tracking_plan.documents import read_json
from orchestration.tracking_plan.merging import Merged, merge
from orchestration.tracking_plan.reading import read_plan
from orchestration.tracking_plan.rows import PlanRow
from orchestration.tracking_plan.segment import SegmentPlan, from_segment
from orchestration.tracking_plan.writing import write_plan


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import found and did; `written` is False if there was nothing to write."""

    path: Path
    dry_run: bool
    written: bool
    source: SegmentPlan
    merged: Merged

    def as_dict(self) -> dict[str, Any]:
        """Return the shape that `--json` prints."""
        return {
            "file": str(self.path),
            "dry_run": self.dry_run,
            "written": self.written,
            **counted(self.merged.rows),
            "added": list(self.merged.added),
            "changed": list(self.merged.changed),
            "removed": list(self.merged.removed),
            "unchanged": list(self.merged.unchanged),
            "kept_names": dict(self.merged.respelt),
            "skipped": [asdict(one) for one in self.source.skipped],
            "not_carried_over": [asdict(one) for one in self.source.not_carried],
        }


def plan_path(project_dir: Path) -> Path:
    """Return where the tracking plan of a dbt project is.

    Raises:
        ConfigError: the folder is no dbt project.
    """
    if not (project_dir / "dbt_project.yml").is_file():
        raise ConfigError(
            "there is no dbt project here", file=str(project_dir / "dbt_project.yml"),
            key="--project-dir", accepted=["the folder that holds dbt_project.yml"],
        )  # fmt: skip
    return project_dir / "seeds" / "tracking_plan.csv"


def import_plan(source: Path, path: Path, *, replace: bool, dry_run: bool) -> Imported:
    """Bring the events of a file of Segment's into the plan.

    Args:
        source: the JSON file.
        path: the plan's CSV file, which need not be there.
        replace: whether events that the file does not have go.
        dry_run: whether nothing is to be written.

    Raises:
        DataError: the file is not a tracking plan, or not a whole one and `replace` is asked.
        ConfigError: the plan that is there has mistakes; nothing is written.
        StorageError: the plan cannot be written; it stays as it was.
    """
    found = from_segment(read_json(source), str(source))
    if replace and not found.whole:
        raise DataError(
            "this is one page of several, and --replace would remove the events of the others",
            file=str(source),
            key="pagination",
            accepted=["import each page without --replace", "a file with all rules"],
        )
    there = read_plan(path) if path.exists() else []
    merged = merge(there, found.rows, only_given=replace)
    written = not dry_run and (merged.differs or not path.exists())
    if written:
        write_plan(merged.rows, path)
    return Imported(path, dry_run, written, found, merged)


def counted(rows: Sequence[PlanRow]) -> dict[str, int]:
    """Return how many events and properties a plan has, and how many events it enforces how."""
    events = [row for row in rows if not row.property]
    return {
        "events": len(events),
        "properties": len(rows) - len(events),
        "block": sum(row.enforcement == "block" for row in events),
        "alert": sum(row.enforcement == "alert" for row in events),
    }
