"""Events into the raw tables: the sample, or files of any layout. All or nothing, and no doubles.

Files are read by a DuckDB in memory and streamed to whatever warehouse there is.
"""

from __future__ import annotations

from orchestration.load.columns import ColumnMap, rename_from
from orchestration.load.files import load_files
from orchestration.load.ledger import require_events
from orchestration.load.report import FileLoad, LoadReport
from orchestration.load.sample import load_sample

__all__ = [
    "ColumnMap",
    "FileLoad",
    "LoadReport",
    "load_files",
    "load_sample",
    "rename_from",
    "require_events",
]
