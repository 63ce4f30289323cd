"""Calls of every trait macro, each beside what `tests/oracle_macros.py` says it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from tests import oracle_macros as oracle
from tests.dbt.macro_logs import AMOUNT, BEGUN, ITEM, ORDER, QUOTED, RESET, Log
from tests.oracle import amount, text_of
from tests.oracle_macros import Names, Row, World

BOTH = [ORDER, QUOTED]
# either side may be null, and both sides are needed: `and` must not bind what is around it
WHERE = (
    "json_extract_string(properties, '$.ok') = 'true'"
    " or json_extract_string(properties, '$.amount') = '2'"
)
SHORT = f"json_amount('properties', {AMOUNT!r}) ~ ' < 120'"
FILTERS: dict[str, dict[str, Any]] = {
    "ever": {},
    "day": {"days": 1},
    "days": {"days": 7},
    "today": {"calendar_days": 1},
    "calendar_days": {"calendar_days": 4},
    "where": {"where": WHERE},
    "late": {"late_hours": 24},
    "mixed": {"days": 7, "where": WHERE, "late_hours": 48},
    "mixed_calendar": {"calendar_days": 8, "where": WHERE, "late_hours": 1},
}
DAY = timedelta(days=1)


class Jinja(str):
    """An argument that is an expression, not a literal."""

    __slots__ = ()


@dataclass(frozen=True)
class User:
    """One user as an oracle sees them."""

    name: str
    rows: list[Row]
    log: Log
    world: World
    counted: dict[tuple[str, str], list[Row]] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A call by its name; the answer is None where there is no row for the user."""

    name: str
    sql: str
    answer: Callable[[User], Any]


def jinja(macro: str, *positional: Any, **named: Any) -> str:
    """Return a call of a macro as a user writes it."""

    def shown(value: Any) -> str:
        return str(value) if isinstance(value, Jinja) else repr(value)

    given = [shown(value) for value in positional]
    given += [f"{name}={shown(value)}" for name, value in named.items()]
    return f"{{{{ {macro}({', '.join(given)}) }}}}"


def holds(row: Row) -> bool:
    """Say in Python what WHERE says in SQL."""
    properties = row["properties"]
    return properties.get("ok") is True or text_of(properties.get(AMOUNT)) == "2"


def is_short(row: Row) -> bool:
    """Say in Python what SHORT says in SQL."""
    number = amount(row["properties"].get(AMOUNT))
    return number is not None and number < 120


def counted(user: User, names: Names, filters: dict[str, Any]) -> list[Row]:
    """Return the events that count, which many calls ask for."""
    key = (repr(names), repr(filters))
    if key not in user.counted:
        in_python = {**filters, **({"where": holds} if "where" in filters else {})}
        user.counted[key] = oracle.counted(user.rows, user.world, names, **in_python)
    return user.counted[key]


def since(user: User, rows: list[Row]) -> float | None:
    then = oracle.latest(rows)
    return None if then is None else (user.world.as_of - then) / DAY


# what each aggregate makes of the events that count, in the order in which they happened
OF_EVENTS: dict[str, Callable[[User, list[Row]], Any]] = {
    "event_count": lambda _, rows: len(rows),
    "event_exists": lambda _, rows: bool(rows),
    "event_first_at": lambda _, rows: min((row["occurred_at"] for row in rows), default=None),
    "event_last_at": lambda _, rows: oracle.latest(rows),
    "days_since_event": since,
}
OF_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "event_sum": lambda found: sum(found) if found else None,
    "event_average": oracle.mean,
    "event_minimum": partial(min, default=None),
    "event_maximum": partial(max, default=None),
}
OF_TEXTS: dict[str, tuple[dict[str, Any], Callable[[list[str]], Any]]] = {
    "event_first": ({}, lambda found: found[0] if found else None),
    "event_most_recent": ({}, lambda found: found[-1] if found else None),
    "unique_count": ({}, lambda found: len(set(found))),
    "unique_list": ({}, lambda found: sorted(set(found))),
    "unique_list_capped": ({"cap": 2}, lambda found: sorted(set(found))[:2]),
    "percent_of_checklist": ({"steps": 3}, lambda found: min(100 * len(set(found)) / 3, 100.0)),
}


def aggregates() -> list[Call]:
    """Return the calls that are columns of a select grouped by user."""
    calls = []
    for how, filters in FILTERS.items():
        names = QUOTED if how in ("days", "where") else BOTH
        got = partial(counted, names=names, filters=filters)
        for macro, of_events in OF_EVENTS.items():
            calls.append(
                Call(
                    f"{macro}_{how}",
                    jinja(macro, names, **filters),
                    lambda user, got=got, make=of_events: make(user, got(user)),
                )
            )
        for macro, of_numbers in OF_NUMBERS.items():
            calls.append(
                Call(
                    f"{macro}_{how}",
                    jinja(macro, names, AMOUNT, **filters),
                    lambda user, got=got, make=of_numbers: make(oracle.amounts(got(user), AMOUNT)),
                )
            )
        for name, (extra, of_texts) in OF_TEXTS.items():
            calls.append(
                Call(
                    f"{name}_{how}",
                    jinja(name.removesuffix("_capped"), names, ITEM, **extra, **filters),
                    lambda user, got=got, make=of_texts: make(oracle.texts(got(user), ITEM)),
                )
            )
    return [*calls, *ratios(), *abandonments()]


def ratios() -> list[Call]:
    """Return shares: of counts, and of sums, which may be null or below 0; also in an expression."""
    orders, both = f"event_count({ORDER!r})", f"event_count({BOTH!r})"
    sums = [f"event_sum({name!r}, {AMOUNT!r})" for name in (ORDER, QUOTED)]

    def of_sums(user: User) -> Any:
        one, other = (oracle.amounts(counted(user, n, {}), AMOUNT) for n in (ORDER, QUOTED))
        return oracle.share(sum(one) if one else None, sum(other) if other else None)

    def of_counts(user: User) -> Any:
        return oracle.share(len(counted(user, ORDER, {})), len(counted(user, BOTH, {})))

    def inverse(user: User) -> Any:
        found = of_counts(user)
        return 6.0 / found if found else None

    counts = jinja("ratio", Jinja(orders), Jinja(both))
    return [
        Call("ratio_of_counts", counts, of_counts),
        Call("ratio_of_sums", jinja("ratio", Jinja(sums[0]), Jinja(sums[1])), of_sums),
        Call("ratio_within", f"case when {orders_exist()} then 6 / {counts} end", inverse),
    ]


def orders_exist() -> str:
    return jinja("event_exists", ORDER)


def abandonments() -> list[Call]:
    calls = []
    for number, (first, then, hours) in enumerate(
        [(BEGUN, ORDER, 24), (BOTH, [BEGUN, RESET], 48), (ORDER, QUOTED, 1), (BEGUN, BEGUN, 24)]
    ):
        calls.append(
            Call(
                f"abandoned_{number}",
                jinja("abandoned", first, then, hours=hours),
                lambda user, given=(first, then, hours): oracle.abandoned(
                    user.rows, *given, user.world
                ),
            )
        )
    return calls
