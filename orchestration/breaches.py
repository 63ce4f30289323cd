"""How many events break the tracking plan, as of the last build: nothing is kept out unsaid."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.engine import Engine
from orchestration.sql.names import schema_and_name
from orchestration.warehouse.raw import has_table


@dataclass(frozen=True, slots=True)
class Breaches:
    """Breaches of the plan, a count of (event, rule) pairs; `blocked` of them are kept out."""

    found: int = 0
    blocked: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the shape of `tracking_plan` in `build --json` and `run --json`."""
        return {"breaches": self.found, "blocked": self.blocked}


def breaches(engine: Engine) -> Breaches:
    """Return what the model event_violations says; nothing in a project without it."""
    model = engine.project.violations
    if model is None:
        return Breaches()
    with engine.connect() as warehouse:
        if not has_table(warehouse, *schema_and_name(model.relation)):
            return Breaches()
        ((found, blocked),) = warehouse.rows(
            "select coalesce(sum(events), 0), coalesce(sum(events) filter (where is_blocked), 0) "
            f"from {model.relation}"
        )
    return Breaches(int(found), int(blocked))
