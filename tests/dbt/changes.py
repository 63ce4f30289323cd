"""What tests of incremental builds do and compare with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from orchestration.dbt import DbtPaths, DbtRun, run_dbt
from orchestration.warehouse import Warehouse


def build(
    paths: DbtPaths,
    as_of: datetime,
    *select: str,
    full_refresh: bool = False,
    **variables: Any,
) -> DbtRun:
    """Build the seeds and what is selected, without tests; returns how it went."""
    return run_dbt(
        paths,
        "build",
        as_of=as_of,
        select=("tracking_plan", "event_aliases", *select),
        exclude=("resource_type:unit_test", "resource_type:exposure", "resource_type:test"),
        full_refresh=full_refresh,
        variables=variables,
    )


def as_arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def differences(warehouse: Warehouse, ours: str, theirs: str) -> list[tuple[object, ...]]:
    """Return up to five rows that only one of two selects has."""
    return warehouse.rows(
        f"select 'ours', * from (({ours}) except all ({theirs})) union all "
        f"select 'theirs', * from (({theirs}) except all ({ours})) limit 5"
    )
