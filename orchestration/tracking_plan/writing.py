"""Writes the tracking plan's CSV file: sorted, all of it or nothing."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from destinations.errors import StorageError
from orchestration.tracking_plan.reading import parse_plan
from orchestration.tracking_plan.rows import COLUMNS, PlanRow, cells, in_order
from orchestration.tracking_plan.seeding import misread


def plan_text(rows: Iterable[PlanRow]) -> str:
    r"""Return the file of a plan; the same rows give the same text, and lines end with `\n`.

    Quotes are around the cells that need them, or, if dbt would not load that as it is meant,
    around all that are not empty.
    """
    listed = [cells(row) for row in in_order(rows)]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(listed)
    text = out.getvalue()
    if misread(text.encode("utf-8"), COLUMNS, listed) is None:
        return text
    return "".join(",".join(map(_quoted, line)) + "\n" for line in (COLUMNS, *listed))


def _quoted(cell: str) -> str:
    doubled = cell.replace('"', '""')
    return f'"{doubled}"' if cell else ""


def write_plan(rows: Iterable[PlanRow], path: Path) -> None:
    """Put rows in place of what the file holds; it is never seen half written.

    Raises:
        ConfigError: `read_plan` would refuse the rows; the file stays.
        StorageError: the file cannot be written; it stays.
    """
    content = plan_text(rows).encode("utf-8")
    parse_plan(content, str(path))
    target = path.resolve()  # the file behind a link is replaced, not the link
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, content)
    except OSError as error:
        raise StorageError(
            f"cannot write the tracking plan: {error.strerror}; it is as it was", file=str(path)
        ) from None


def _replace(target: Path, content: bytes) -> None:
    beside = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            beside.chmod(target.stat().st_mode & 0o777)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
