"""A hold: no materialisation and a failed blocking check, in a step that did well.

Dagster 1.13 fails the step, and with it the run, when a result of a blocking check says that it
failed. What keeps the assets behind it from running here is that nothing was materialised, so the
evaluation is marked as not blocking while the check stays one for whoever asks it later
(`AutomationCondition.all_deps_blocking_checks_passed`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

Metadata = dict[str, Any]
NotDone = dg.Output[None] | dg.AssetCheckEvaluation


def passed(check: str) -> dg.AssetCheckResult:
    """Return that a check passed."""
    return dg.AssetCheckResult(check_name=check, passed=True)


def hold(key: dg.AssetKey, check: str, reason: str, metadata: Metadata) -> Iterator[NotDone]:
    """Yield the failed check of an asset that is not materialised this time."""
    yield dg.Output(None, output_name=f"{key.to_python_identifier()}_{check}")
    yield dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=check,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=reason,
        metadata=metadata,
        blocking=False,
    )
