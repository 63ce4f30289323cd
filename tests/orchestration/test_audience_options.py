"""What the YAML of an audience may say of its guard, and what is said to a mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from destinations.errors import ConfigError
from orchestration.audience_options import GuardLimits, Limit, read_audience_options

YAML = (
    Path(__file__).resolve().parents[2] / "dbt_project" / "models" / "audiences" / "audiences.yml"
)


def node(audience: Any, patch: str | None = "tailrace://models/audiences/audiences.yml") -> Any:
    return {
        "name": "lapsed",
        "original_file_path": "models/audiences/lapsed.sql",
        "patch_path": patch,
        "config": {"meta": {"owner": "team", "audience": audience}},
    }


def test_nothing_said_is_the_defaults() -> None:
    assert read_audience_options({"config": {}}).guard == GuardLimits()
    for said in (None, {}, {"name": "Lapsed"}, {"guard": {}}):
        assert read_audience_options(node(said)).guard == GuardLimits()


def test_percentages_and_counts() -> None:
    said = {
        "max_exits": 300, "min_exits": 25, "max_enters": "250 %", "min_enters": 0,
        "min_members": "0%", "max_week_drop": "12.5%", "max_base_drop": "100%",
        "min_day_events": "33%",
    }  # fmt: skip
    limits = read_audience_options(node({"name": 2024, "guard": said})).guard
    assert limits.max_exits == Limit(count=300)
    assert limits.max_enters == Limit(share=2.5)
    assert (limits.min_exits, limits.min_enters) == (25, 0)
    assert (limits.min_members, limits.max_base_drop) == (0.0, 1.0)
    assert (limits.max_week_drop, limits.week_drop) == (0.125, 0.125)
    assert limits.min_day_events == 0.33
    assert read_audience_options(node({"name": 2024})).name == "2024"


def test_what_may_go_in_a_day_may_go_in_a_week() -> None:
    assert GuardLimits.model_validate({"max_exits": "70%"}).week_drop == 0.7
    assert GuardLimits().week_drop == 0.5


SHARE = ["a percentage such as 20%"]
EITHER = [*SHARE, "a count such as 300"]


@pytest.mark.parametrize(
    ("audience", "key", "accepted"),
    [
        ("Lapsed", "", ["name", "guard"]),
        (["Lapsed"], "", ["name", "guard"]),
        ({"nam": "Lapsed"}, ".nam", ["name", "guard"]),
        ({"name": True}, ".name", ["a name for people"]),
        ({"guard": "20%"}, ".guard", list(GuardLimits.model_fields)),
        ({"guard": {"exits": "20%"}}, ".guard.exits", list(GuardLimits.model_fields)),
        *(({"guard": {"max_exits": wrong}}, ".guard.max_exits", EITHER)
          for wrong in (0.2, "20", "-5%", "%", -1, True, None, [], "20% of them")),
        *(({"guard": {"max_base_drop": wrong}}, ".guard.max_base_drop", SHARE)
          for wrong in (20, "120%", "half", False)),
        *(({"guard": {"min_exits": wrong}}, ".guard.min_exits", ["a count such as 300"])
          for wrong in ("10%", -1, 1.5, "10", True)),
    ],
)  # fmt: skip
def test_a_mistake_names_file_key_and_what_is_accepted(
    audience: Any, key: str, accepted: list[str]
) -> None:
    with pytest.raises(ConfigError) as raised:
        read_audience_options(node(audience))
    assert raised.value.file == "models/audiences/audiences.yml"
    assert raised.value.key == f"models.lapsed.config.meta.audience{key}"
    assert list(raised.value.accepted) == accepted
    assert raised.value.message


def test_without_a_yaml_file_the_model_itself_is_named() -> None:
    with pytest.raises(ConfigError) as raised:
        read_audience_options(node({"guard": 1}, patch=None))
    assert raised.value.file == "models/audiences/lapsed.sql"


def test_the_comment_in_the_shipped_project_tells_every_limit_and_its_default() -> None:
    comment = re.findall(r"^ *#  (\w+:.*?)(?: #.*)?$", YAML.read_text(encoding="utf-8"), re.M)
    said = yaml.safe_load("\n".join(comment))
    assert list(said) == list(GuardLimits.model_fields)
    assert GuardLimits.model_validate(said) == GuardLimits()
