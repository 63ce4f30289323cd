"""An event misspelt in a model or a sync is found before it selects nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.event_names import events_named, misnamed
from orchestration.tracking_plan.reading import read_plan

PLANNED = {"Session Started", "Order Completed", "Product Added", "Product Removed"}


def test_events_are_found_wherever_a_macro_takes_one() -> None:
    sql = """
    {{ event_count('Session Started', days=30) }} as a,
    {{ ratio(event_sum("Order Completed", 'total'), event_count('It -- is')) }} as b, -- event_count('No')
    {{ streak('ends', 'Session Ended', 'x < 120', reset_event='Login') }} {# event_count('Nor') #}
    {{ sequence('events',
        'Product Added', then='Order Completed', hours=24, without='Cart (old) Emptied') }}
    where event = 'Data Exported' and last_event = 'other' and e.event = 'theirs'
        and event in ('Signed Up', 'Signed In') and event <> 'Signed Out'
    {{ named_event(event) }} {{ unknown('Login Failed') }}
    {%- set bought, listed = 'Order Completed', ["Product Added"] -%} {% set total %} 'not this' {% endset %}
    {{ event_count(bought) }} {{ event_exists('It\\'s "done"') }} {{ event_exists("A \\"b\\"") }}
    """
    found: dict[int, list[str]] = {}
    for line, name in events_named(sql):
        found.setdefault(line, []).append(name)
    assert found == {
        2: ["Session Started"],
        3: ["Order Completed", "total", "It -- is"],
        4: ["ends", "Session Ended", "x < 120", "Login"],
        5: ["events"],
        6: ["Product Added", "Order Completed", "Cart (old) Emptied"],
        7: ["Data Exported"],
        8: ["Signed Up", "Signed In", "Signed Out"],
        10: ["Order Completed", "Product Added"],
        11: ['It\'s "done"', 'A "b"'],
    }


def test_the_bundled_models_name_no_event_otherwise() -> None:
    project = Path(__file__).parents[2] / "dbt_project"
    planned = {row.event for row in read_plan(project / "seeds" / "tracking_plan.csv")}
    named = [
        name
        for file in project.rglob("models/**/*.sql")
        for _, name in events_named(file.read_text())
    ]
    assert len(named) > 40
    assert [name for name in named if misnamed(name, planned)] == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("session_started", "spells it 'Session Started'"),
        ("SessionStarted", "spells it 'Session Started'"),
        ("Sesion Started", "is it 'Session Started'?"),
        ("Order Complete", "is it 'Order Completed'?"),
    ],
)
def test_another_spelling_names_the_right_one(name: str, meant: str) -> None:
    assert meant in (misnamed(name, PLANNED) or "")


@pytest.mark.parametrize("name", ["Session Started", "Video Watched", "Checkout", "", "Ordered"])
def test_an_event_that_the_plan_does_not_know_is_no_mistake(name: str) -> None:
    assert misnamed(name, PLANNED) is None
    assert misnamed(name, set()) is None
