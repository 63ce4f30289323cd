"""What tests of incremental builds compare with."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from orchestration.warehouse import Warehouse


def as_arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def differences(warehouse: Warehouse, ours: str, theirs: str) -> list[tuple[object, ...]]:
    """Return up to five rows that only one of two selects has."""
    return warehouse.rows(
        f"select 'ours', * from (({ours}) except all ({theirs})) union all "
        f"select 'theirs', * from (({theirs}) except all ({ours})) limit 5"
    )
