"""What dbt built, and as of when: the rows that its on-run-end hook leaves in `builds`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from destinations.errors import DataError
from orchestration.sql.names import aware_utc
from orchestration.warehouse import Warehouse

RECENT = 200


@dataclass(frozen=True, slots=True)
class Built:
    """The latest attempt at a model: its as_of, and whether it came to anything."""

    name: str
    as_of: datetime
    status: str
    build_id: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the relation holds the answer of that as_of."""
        return self.status == "success"


def latest_builds(warehouse: Warehouse) -> dict[str, Built]:
    """Return the latest attempt at each model, by name, over the last builds."""
    found = warehouse.rows(
        "select as_of, relations, build_id from tailrace.builds "
        "order by finished_at desc, started_at desc, build_id limit ?",
        [RECENT],
    )
    latest: dict[str, Built] = {}
    for as_of, relations, build_id in found:
        for entry in json.loads(relations):
            if entry["resource_type"] == "model":
                built = Built(entry["name"], aware_utc(as_of), entry["status"], build_id)
                latest.setdefault(built.name, built)
    return latest


def built_as_of(
    builds: Mapping[str, Built], names: Iterable[str], requested: datetime | None
) -> datetime:
    """Return the one as_of at which all these models were built.

    Raises:
        DataError: one of them is not built, failed, or holds the answer of another as_of.
    """
    instants: dict[datetime, str] = {}
    for name in names:
        built = builds.get(name)
        if built is None:
            raise DataError(f"model {name} has not been built; run `tailrace build`", key=name)
        if not built.ok:
            raise DataError(
                f"model {name} was not built ({built.status}); its relation may be old or half "
                "done. Unknown is not empty: nothing is concluded from it",
                key=name,
            )
        instants.setdefault(built.as_of, name)
    if len(instants) > 1:
        parts = ", ".join(f"{name} as of {at:%Y-%m-%d %H:%M:%S}" for at, name in instants.items())
        raise DataError(f"models were built at different instants ({parts}); run `tailrace build`")
    (as_of,) = instants
    if requested is not None and requested != as_of:
        raise DataError(
            f"the models hold the answer as of {as_of:%Y-%m-%d %H:%M:%S}, not "
            f"{requested:%Y-%m-%d %H:%M:%S}; run `tailrace build --as-of` first, or `tailrace run`"
        )
    return as_of
