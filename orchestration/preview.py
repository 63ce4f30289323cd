"""Who an audience's SQL, as it stands in the file, would hold: read only."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import yaml

from destinations.errors import DataError
from destinations.scrub import MASK
from orchestration.builds import built_as_of, latest_builds
from orchestration.dbt import DbtPaths, run_dbt
from orchestration.fields import speaks_of_a_person
from orchestration.project import Audience, Project
from orchestration.sql.names import instant
from orchestration.sql.refusals import without_values
from orchestration.warehouse import Connect

SENTINEL = "timestamp '1970-01-01 00:00:00.271828'"
"""What the project's as_of() macro renders when dbt only compiles: nobody else writes it."""
PERSONAL = ("email", "phone")
SAMPLE_ROWS = 10
LONG = 10**8


@dataclass(frozen=True, slots=True)
class Preview:
    """An audience as it would be; the sample's ids are hashed unless asked for."""

    audience: str
    as_of: datetime
    members: int
    base: int
    sample: list[dict[str, Any]]

    def as_dict(self) -> dict[str, object]:
        """Return the shape that `preview --json` promises."""
        return {
            "audience": self.audience,
            "as_of": f"{self.as_of:%Y-%m-%dT%H:%M:%SZ}",
            "members": self.members,
            "base": self.base,
            "sample": self.sample,
        }


def preview(
    paths: DbtPaths,
    connect: Connect,
    project: Project,
    audience: Audience,
    *,
    as_of: datetime | None,
    show_pii: bool,
) -> Preview:
    """Compile the audience's file and run it on the traits of the last build.

    Raises:
        ConfigError: the file does not compile.
        DataError: the traits are not built, or not for this as_of.
    """
    compiled = run_dbt(paths, "compile", as_of=None, select=[audience.key])
    if not compiled.success:
        why = "; ".join(node.message for node in compiled.failures)
        raise DataError(f"{audience.model.file} does not compile: {why}", file=audience.model.file)
    name = yaml.safe_load((paths.project_dir / "dbt_project.yml").read_text())["name"]
    sql = (paths.artifacts / "compiled" / name / audience.model.file).read_text(encoding="utf-8")
    with connect() as warehouse:
        names = audience.upstream or (project.traits.name,)
        moment = built_as_of(latest_builds(warehouse), names, as_of)
        members_sql = sql.replace(SENTINEL, instant(moment)).rstrip().rstrip(";")
        try:
            ((members, users),) = warehouse.rows(
                f"select count(*), count(distinct user_id) from (\n{members_sql}\n)"
            )
            rows = warehouse.query(
                f"select * from (\n{members_sql}\n) order by user_id limit {SAMPLE_ROWS}"
            ).to_pylist()
        except warehouse.errors as error:
            why = without_values(str(error)).split("\n\n")[0]
            raise DataError(f"{audience.model.file}: {why}", file=audience.model.file) from None
        ((base,),) = warehouse.rows(f"select count(*) from {project.traits.relation}")
    if users < members:
        raise DataError(
            f"{audience.model.file}: {members - users:,} of {members:,} rows repeat a user_id or "
            "have none; an audience has one row per member",
            file=audience.model.file,
            key="user_id",
        )
    sample = rows if show_pii else [masked(row) for row in rows]
    return Preview(audience.key, moment, members, base, sample)


def masked(row: Mapping[str, Any], personal: Collection[str] = PERSONAL) -> dict[str, Any]:
    """Return a row as it is shown: the user hashed, texts and what is personal masked."""
    return {
        column: hashed(str(value))
        if column == "user_id"
        else concealed(value, personal=column in personal or speaks_of_a_person(column))
        for column, value in row.items()
    }


def concealed(value: Any, *, personal: bool = False) -> Any:
    """Return a number, a date or a yes or no as it is, and a mask for any other value.

    A text may hold anybody's name or address, and a long whole number is a phone or an id,
    whatever its column is called.
    """
    number = isinstance(value, int | float | Decimal)
    told = number or isinstance(value, date | time | timedelta)
    told = told and not (number and abs(float(value)) >= LONG and float(value).is_integer())
    return value if value is None or (told and not personal) else MASK


def hashed(value: str) -> str:
    """Return what is shown of an id: enough to tell rows apart, not who it is."""
    return hashlib.sha256(value.encode()).hexdigest()[:10]
