"""Calls of trait macros with a wrong argument, and what the compile error has to say of it."""

from __future__ import annotations

from typing import Any

from tests.dbt.macro_calls import Jinja, jinja
from tests.dbt.macro_logs import AMOUNT, BEGUN, ITEM, ORDER

WHOLE = "accepted: a whole number from 1 to 1000000"
A_NAME = "accepted: the name of an event, or a list of names"
ONE_OF_TWO = "days and calendar_days exclude each other; give one of them"
ONE = (ORDER,)
TEXT = (ORDER, ITEM)
NUMBER = (ORDER, AMOUNT)
LOG = ("log", ORDER, ITEM)
IN_ORDER = ("log", BEGUN, ORDER)

# the macro, what it is given, what is wrong of that, and what the error says
MISTAKES: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("event_count", ONE, {"days": 0}, f"days is 0; {WHOLE}"),
    ("event_exists", ONE, {"days": 1.5}, f"days is 1.5; {WHOLE}"),
    ("event_sum", NUMBER, {"days": "7"}, f'days is "7"; {WHOLE}'),
    ("event_average", NUMBER, {"days": True}, f"days is true; {WHOLE}"),
    ("event_minimum", NUMBER, {"calendar_days": 0}, f"calendar_days is 0; {WHOLE}"),
    ("event_maximum", NUMBER, {"calendar_days": -1}, f"calendar_days is -1; {WHOLE}"),
    ("event_first", TEXT, {"late_hours": 0}, f"late_hours is 0; {WHOLE}"),
    ("event_most_recent", TEXT, {"late_hours": "a"}, f'late_hours is "a"; {WHOLE}'),
    ("event_first_at", ONE, {"days": 7, "calendar_days": 7}, ONE_OF_TWO),
    ("event_last_at", ONE, {"day": 7}, "no keyword argument 'day'"),
    ("days_since_event", ([],), {}, f"event is []; {A_NAME}"),
    ("event_count", ({"name": ORDER},), {}, f'event is {{"name": "{ORDER}"}}; {A_NAME}'),
    ("event_count", (5,), {}, f"event is 5; {A_NAME}"),
    ("event_count", ([ORDER, None],), {}, f'event is ["{ORDER}", null]; {A_NAME}'),
    ("event_count", ("",), {}, f'event is ""; {A_NAME}'),
    ("unique_count", TEXT, {"days": [7]}, f"days is [7]; {WHOLE}"),
    ("unique_list", TEXT, {"cap": 0}, f"cap is 0; {WHOLE}"),
    ("percent_of_checklist", TEXT, {"steps": 0}, f"steps is 0; {WHOLE}"),
    ("abandoned", (BEGUN, ORDER), {"hours": 0}, f"hours is 0; {WHOLE}"),
    ("unique_list_by_use", LOG, {"order": "use"}, "order is 'use'; accepted: first, last"),
    ("unique_list_by_use", LOG, {"cap": -1}, f"cap is -1; {WHOLE}"),
    ("most_frequent", LOG, {"tie": "last"}, "tie is 'last'; accepted: alphabet, recent"),
    ("most_frequent", LOG, {"days": 0}, f"days is 0; {WHOLE}"),
    ("sequence", IN_ORDER, {"hours": 0.5}, f"hours is 0.5; {WHOLE}"),
    ("sequence", IN_ORDER, {"hours": 1, "without": [1]}, f"event is [1]; {A_NAME}"),
    ("sessions", ("log",), {"minutes": 0}, f"minutes is 0; {WHOLE}"),
    ("interval_stats", ("log", None), {"as": "gap"}, f"event is null; {A_NAME}"),
    ("day_streak", ("log", []), {}, f"event is []; {A_NAME}"),
    ("best_hour", ("log", ORDER, "zones"), {"days": -7}, f"days is -7; {WHOLE}"),
    ("streak", ("log", 1, Jinja("'true'")), {}, f"event is 1; {A_NAME}"),
    ("event_count", (), {}, f"event is not given; {A_NAME}"),
    ("sequence", IN_ORDER, {}, f"hours is not given; {WHOLE}"),
    ("percent_of_checklist", TEXT, {}, f"steps is not given; {WHOLE}"),
    ("abandoned", (BEGUN, ORDER), {}, f"hours is not given; {WHOLE}"),
    ("streak", ("log", ORDER), {}, "condition is not given; accepted: SQL over the row"),
    ("best_hour", ("log", ORDER), {}, "zones is not given; accepted: a relation (user_id, time_"),
    ("interval_stats", ("log", ORDER), {}, "as is not given; accepted: what the columns begin"),
    ("event_count", ONE, {"late_hours": 10**11}, f"late_hours is {10**11}; {WHOLE}"),
    ("event_count", ONE, {"where": {"ch": "web"}}, 'where is {"ch": "web"}; accepted: SQL over'),
    ("event_count", ONE, {"where": " "}, """ json_text('properties', 'channel') ~ " = 'web'"""),
    ("event_sum", (ORDER, [AMOUNT, ITEM]), {}, f'property is ["{AMOUNT}", '),
    ("event_average", (ORDER, 5), {}, "property is 5; accepted: its name"),
    ("unique_count", (ORDER, None), {}, "property is null; accepted: its name"),
    ("event_maximum", (ORDER, {"a": 1}), {}, 'property is {"a": 1}; accepted: its name'),
    ("event_first", ONE, {}, "property is not given; accepted: its name"),
    ("audience_exits", ("laspd",), {}, "there is no audience laspd; accepted: lapsed"),
    ("audience_exits", (["lapsed"],), {}, 'the audience is ["lapsed"]; accepted: the name of one'),
    ("audience_exits", (), {}, "audience is not given; accepted: the name of one"),
]


def mistaken_models() -> dict[str, str]:
    """Return a model for each; dbt would stop at the first that fails while it parses."""
    return {
        f"mistake_{number}": f"{{% if execute %}}{jinja(macro, *given, **wrong)}{{% endif %}}"
        for number, (macro, given, wrong, _) in enumerate(MISTAKES)
    }
