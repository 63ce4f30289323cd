"""An event misspelt in a model or a sync is found before it selects nobody."""

from __future__ import annotations

import pytest

from orchestration.event_names import events_named, misnamed

PLANNED = {"Session Started", "Order Completed", "Product Added", "Product Removed"}


def test_events_are_found_wherever_a_macro_takes_one() -> None:
    sql = """
    {{ event_count('Session Started', days=30) }} as a,
    {{ ratio(event_sum("Order Completed", 'total'), event_count('Product Added')) }} as b, -- event_count('No')
    {{ streak('ends', 'Session Ended', 'x < 120', as='session_started') }} {# event_count('Nor') #}
    {{ interval_stats('events',
        'Report Generated', as='report') }}
    where event = 'Data Exported' and last_event = 'other' and e.event = 'theirs'
    {{ days_since_event('Login') }} {{ named_event(event) }}
    """
    assert list(events_named(sql)) == [
        (2, "Session Started"), (3, "Order Completed"), (3, "Product Added"), (4, "Session Ended"),
        (5, "Report Generated"), (7, "Data Exported"), (8, "Login"),
    ]  # fmt: skip


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
