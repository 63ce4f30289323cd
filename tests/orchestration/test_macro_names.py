"""A macro misspelt in a model is found by `validate`; dbt finds it when it builds."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.macro_names import known_names, meant, unknown_calls

MANIFEST: dict[str, Any] = {
    "macros": {
        "macro.tailrace.event_count": {"name": "event_count", "package_name": "tailrace"},
        "macro.tailrace.days_since": {"name": "days_since", "package_name": "tailrace"},
        "macro.dbt.is_incremental": {"name": "is_incremental", "package_name": "dbt"},
    }
}


def found(sql: str) -> list[tuple[int, str, bool]]:
    return list(unknown_calls(sql, known_names(MANIFEST)))


@pytest.mark.parametrize(
    "sql",
    [
        "{{ config(materialized='table') }} select * from {{ ref('events') }}",
        "{%- do exceptions.raise_compiler_error(tojson(var('a'))) if execute and is_incremental() -%}",
        "{{ dbt.string_literal('a') }} {{ tailrace.anything() }} {{ range(3) }} {{ env_var('A') }}",
        "{% set own = event_count %}{{ own('a') }}{% for each in [own] %}{{ each() }}{% endfor %}",
        "{% macro given(one) %}{{ one() }} {{ caller() }} {{ days_since('a') }}{% endmacro %}",
        "{# event_cnt('a') #} select event_cnt('b') -- {% raw %}{{ event_cnt('c') }}{% endraw %}",
    ],
)
def test_what_there_is_may_be_called(sql: str) -> None:
    assert found(sql) == []


def test_what_there_is_not_is_found_on_its_line() -> None:
    sql = "select\n    {{ event_cnt('Order') }} as a,\n    {{ ratio(days_sinc('b'), 1) }} as b"
    assert sorted(found(sql)) == [
        (2, "event_cnt", True), (3, "days_sinc", True), (3, "ratio", True),
    ]  # fmt: skip


def test_a_call_that_may_never_be_made_is_told_apart() -> None:
    sql = "{% if target.name == 'prod' %}{{ one() }}{% endif %}{{ two() if execute }}{{ three() }}"
    assert sorted(found(sql)) == [(1, "one", False), (1, "three", True), (1, "two", False)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("event_cnt", "there is no macro event_cnt; is it event_count?"),
        ("nothing_like_it", "there is no macro nothing_like_it"),
    ],
)
def test_the_macro_that_may_be_meant_is_named(name: str, said: str) -> None:
    assert meant(name, known_names(MANIFEST)) == said
