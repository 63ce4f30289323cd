"""One asset per audience: who entered and who left since its last point."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from orchestration.activate import evaluate_audiences
from orchestration.defs.holds import Metadata, NotDone, hold, passed
from orchestration.defs.resources import WAREHOUSE_POOL, engine, explained, team
from orchestration.memberships import Evaluation
from orchestration.project import Audience

GUARD = "guard"


def delta_key(audience: Audience) -> dg.AssetKey:
    """Return the asset key of an audience's delta."""
    return dg.AssetKey(["deltas", audience.key])


def delta_asset(audience: Audience) -> dg.AssetsDefinition:
    """Return the asset that evaluates an audience at the as_of its model was built for."""
    key = delta_key(audience)

    @dg.asset(
        key=key,
        deps=[audience.model.name, "user_traits"],
        check_specs=[_guard(key)],
        output_required=False,
        group_name="deltas",
        kinds={"tailrace"},
        owners=team(audience.owner),
        description=f"{audience.name}: who entered and who left. {audience.description}",
        pool=WAREHOUSE_POOL,
    )
    def delta() -> Iterator[dg.MaterializeResult[None] | NotDone]:
        with explained():
            tailrace = engine()
            known = tailrace.project.audience(audience.key)
            (evaluation,) = evaluate_audiences(tailrace, [known], None)
        if evaluation.status == "committed":
            yield dg.MaterializeResult(
                metadata=_metadata(evaluation), check_results=[passed(GUARD)]
            )
        else:
            yield from hold(key, GUARD, _reason(evaluation), _metadata(evaluation))

    return delta


def _guard(key: dg.AssetKey) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        GUARD,
        asset=key,
        blocking=True,
        description="Fails if the answer is not believed: held until approved, or unknown.",
    )


def _metadata(evaluation: Evaluation) -> Metadata:
    shown = {key: value for key, value in evaluation.as_dict().items() if key != "audience"}
    if evaluation.status != "failed":
        shown["dagster/row_count"] = evaluation.members
    return {key: value for key, value in shown.items() if value is not None}


def _reason(evaluation: Evaluation) -> str:
    because = "; ".join(evaluation.reasons)
    if evaluation.status == "held":
        exits = f" --expect-exits {evaluation.exited}" if evaluation.exited else ""
        return f"held: {because}. `tailrace approve {evaluation.evaluation_id}{exits}`"
    return f"not evaluated, the last committed answer stands: {because}"
