"""What `config.meta.audience` of a model may say: its name and the limits of its guard."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError

from destinations.errors import ConfigError

_PERCENT = re.compile(r"^(\d+(?:\.\d+)?)\s*%\Z")
PERCENT = "a percentage such as 20%"
COUNT = "a count such as 300"


@dataclass(frozen=True, slots=True)
class Limit:
    """A share of what there was (0.2 is 20 %), or a count of users."""

    share: float | None = None
    count: int | None = None


def _share(value: object) -> float:
    match = _PERCENT.match(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"must be {PERCENT}")
    return float(match[1]) / 100


def _part(value: object) -> float:
    """A share of something that cannot be more than all of it."""
    share = _share(value)
    if share > 1:
        raise ValueError("must be a percentage from 0% to 100%")
    return share


def _limit(value: object) -> Limit:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Limit(count=value)
    try:
        return Limit(share=_share(value))
    except ValueError:
        raise ValueError(f"must be {PERCENT} or {COUNT}") from None


def _text(value: object) -> object:
    """A name that YAML reads as a number, such as 2024, is a name all the same."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Part = Annotated[float, BeforeValidator(_part)]
PartOrCount = Annotated[Limit, BeforeValidator(_limit)]
Count = Annotated[StrictInt, Field(ge=0)]


class GuardLimits(BaseModel):
    """When an evaluation is held; `before` is the number of members at the last committed point.

    Shares are those of one day: they grow with the days since the last committed point. A count
    given in place of a share is taken as it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_exits: PartOrCount = Limit(share=0.2)
    """Held if more members than this leave, at once or within 24 hours."""
    min_exits: Count = 10
    """A share of `max_exits` never holds so few or fewer."""
    max_enters: PartOrCount = Limit(share=1.0)
    """Held if more users than this enter, at once or within 24 hours."""
    min_enters: Count = 500
    """A share of `max_enters` never holds so few or fewer."""
    min_members: Part = 0.1
    """Held if no more than this share of the members would be left, of 10 or more."""
    max_week_drop: Part = 0.5
    """Held if the audience has lost this share or more of its members of 7 days ago."""
    max_base_drop: Part = 0.2
    """Held if user_traits has lost this share or more of its users of the last 7 days."""
    min_day_events: Part = 0.5
    """Held if the last full day has less than this share of the events usual on that weekday."""

    @property
    def week_drop(self) -> float:
        """Return `max_week_drop`; unless it was said, what may go in a day may go in a week."""
        if "max_week_drop" in self.model_fields_set:
            return self.max_week_drop
        return max(self.max_week_drop, self.max_exits.share or 0.0)


class AudienceOptions(BaseModel):
    """What `config.meta.audience` may say; any other key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str | None, BeforeValidator(_text)] = None
    guard: GuardLimits = GuardLimits()


def read_audience_options(node: Mapping[str, Any]) -> AudienceOptions:
    """Read what a model of the manifest says about itself as an audience.

    Raises:
        ConfigError: a key or value is wrong; names the file that says so, and what is accepted.
    """
    given = node["config"].get("meta", {}).get("audience")
    try:
        return AudienceOptions.model_validate({} if given is None else given)
    except ValidationError as error:
        where = f"models.{node['name']}.config.meta.audience"
        raise _as_config_error(error, _said_in(node), where) from None


def _said_in(node: Mapping[str, Any]) -> str:
    """Return the YAML file with the model's properties, else its SQL file."""
    patch = node.get("patch_path")
    return str(patch).split("://", 1)[-1] if patch else str(node["original_file_path"])


def _as_config_error(error: ValidationError, file: str, where: str) -> ConfigError:
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join([where, *path])
    owner: type[BaseModel] = GuardLimits if path[:1] == ["guard"] else AudienceOptions
    if first["type"] == "extra_forbidden":
        return ConfigError("unknown key", file=file, key=key, accepted=tuple(owner.model_fields))
    if first["type"] in ("model_type", "model_attributes_type"):
        example = "{max_exits: 20%}" if path else "{name: Re-engagement}"
        message = f"needs a mapping such as {example}"
        return ConfigError(message, file=file, key=key, accepted=tuple(owner.model_fields))
    if first["type"] == "string_type":
        return ConfigError("must be text", file=file, key=key, accepted=["a name for people"])
    message = first["msg"].removeprefix("Value error, ")
    return ConfigError(message, file=file, key=key, accepted=_accepted(path[-1]))


def _accepted(key: str) -> tuple[str, ...]:
    if key in ("min_exits", "min_enters"):
        return (COUNT,)
    return (PERCENT, COUNT) if key in ("max_exits", "max_enters") else (PERCENT,)
