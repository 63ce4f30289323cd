"""Cron expressions are right before a scheduler reads them."""

from __future__ import annotations

import pytest
from dagster._utils.schedules import is_valid_cron_string

from orchestration.schedules import schedule_problem

RIGHT = [
    "* * * * *", "10 * * * *", "*/15 * * * *", "0 9-17 * * 1-5", "0 0 1,15 * *", "5/10 * * * *",
    "0 0 * jan-mar mon", "0 0 * * SUN", "0 0 * * 7", "0-30/5 0 29 2 *", "@hourly", "@daily",
    "0 0 L * *", "0 0 * * 5#2", "  0   6  * *  1 ", "59 23 31 12 6", "0 0 * jul *",
]  # fmt: skip
WRONG = {
    "60 * * * *": "minute '60'",
    "0 24 * * *": "hour '24'",
    "0 0 0 * *": "day of month '0'",
    "0 0 32 * *": "day of month '32'",
    "0 0 * 13 *": "month '13'",
    "0 0 * 0 *": "month '0'",
    "0 0 * * 8": "day of week '8'",
    "*/0 * * * *": "a step is at least 1",
    "0 0 * *": "4 fields",
    "hourly": "1 fields",
    "0 0 * * mo": "sun to sat",
    "0 0 * jam *": "jan to dec",
    "a * * * *": "minute 'a'",
    "1- * * * *": "minute '1-'",
    "-1 * * * *": "minute '-1'",
    "1,,2 * * * *": "minute '1,,2'",
    "0 0 30 2 *": "never comes",
    "@sometimes": "@hourly",
    "": "0 fields",
}


@pytest.mark.parametrize("expression", RIGHT)
def test_right(expression: str) -> None:
    assert schedule_problem(expression) is None
    assert is_valid_cron_string(expression), "Dagster agrees"


@pytest.mark.parametrize("expression", WRONG)
def test_wrong(expression: str) -> None:
    assert WRONG[expression] in str(schedule_problem(expression))
    assert not is_valid_cron_string(expression), "Dagster agrees"
