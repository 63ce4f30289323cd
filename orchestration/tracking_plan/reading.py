"""Reads the tracking plan's CSV file wholly, and tells every mistake at once."""

from __future__ import annotations

from pathlib import Path

from orchestration.tracking_plan.cells import Listed, Problem, SeedFile, parse_cells, read_content
from orchestration.tracking_plan.checking import checked_row, problems_between
from orchestration.tracking_plan.rows import COLUMNS, PlanRow

PLAN = SeedFile(
    "the tracking plan",
    COLUMNS,
    "tracking plan; `tailrace tracking-plan import FILE` makes one, and ",
)


def read_plan(path: Path) -> list[PlanRow]:
    """Return the rows of a tracking plan, in the order of the file.

    Raises:
        ConfigError: there is no such file, it is not a CSV file in UTF-8, or rows of it are
            wrong; names every bad line with its column and what is accepted.
    """
    return parse_plan(read_content(path, PLAN), str(path))


def parse_plan(content: bytes, file: str) -> list[PlanRow]:
    """Return the rows of a tracking plan; `file` is what a mistake is said to be in.

    Raises:
        ConfigError: as `read_plan`.
    """
    return parse_cells(content, file, PLAN, _checked)


def _checked(listed: Listed, problems: list[Problem]) -> list[PlanRow]:
    rows = [checked_row(line, named, problems) for line, named in listed]
    problems += problems_between(listed)
    return [row for row in rows if row]
