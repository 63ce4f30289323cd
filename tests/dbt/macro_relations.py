"""Calls of the trait macros that are a select of their own, beside what the oracle answers.

Their models read `log`, `zones` (user_id, time_zone) and `resets` (user_id, reset_at).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from tests import oracle_behaviour as behaviour
from tests import oracle_macros as oracle
from tests.dbt.macro_calls import (
    BOTH,
    FILTERS,
    SHORT,
    Call,
    Jinja,
    User,
    counted,
    is_short,
    jinja,
)
from tests.dbt.macro_logs import BEGUN, HOURS, ITEM, MINUTES, ORDER, OTHER, QUOTED, RESET
from tests.dbt.macro_project import AUDIENCE
from tests.oracle_macros import Names


def relations() -> list[Call]:
    """Return all of them."""
    return [
        *values(),
        *streaks(),
        *day_streaks(),
        *all_sessions(),
        *gaps(),
        *sequences(),
        *hours(),
        Call("exits", jinja("audience_exits", AUDIENCE), left_at),
    ]


def call(name: str, answer: Callable[[User], Any], *given: Any, **named: Any) -> Call:
    """Return a call of the macro that begins the name, on the log."""
    macro = name.partition("__")[0]
    return Call(name, jinja(macro, "log", *given, **named), answer)


def values() -> list[Call]:
    """Return those that choose among the values of a property."""
    calls = []
    for how in ("ever", "days", "calendar_days", "where", "mixed_calendar"):
        names = QUOTED if how == "where" else BOTH
        calls += [most_frequent(how, names, tie) for tie in ("alphabet", "recent")]
        calls += [by_use(how, names, *given) for given in (("first", None), ("last", 2))]
    return [*calls, by_use("ever", BOTH, "last", None), by_use("ever", BOTH, "first", 1)]


def most_frequent(how: str, names: Names, tie: str) -> Call:
    return call(
        f"most_frequent__{tie}_{how}",
        lambda user: oracle.most_frequent(counted(user, names, FILTERS[how]), ITEM, tie),
        *(names, ITEM),
        **{"as": "item", "tie": tie, **FILTERS[how]},
    )


def by_use(how: str, names: Names, order: str, cap: int | None) -> Call:
    return call(
        f"unique_list_by_use__{order}_{cap}_{how}",
        lambda user: oracle.by_use(counted(user, names, FILTERS[how]), ITEM, order, cap),
        *(names, ITEM),
        **{"order": order, "cap": cap, **FILTERS[how]},
    )


def streaks() -> list[Call]:
    def answer(
        names: Names, resets: bool = False, event: Names | None = None
    ) -> Callable[[User], Any]:
        return lambda user: oracle.in_a_row(
            *(user.rows, names, is_short),
            reset_at=last_reset(user) if resets else None,
            reset_event=event,
        )

    condition = Jinja(SHORT)
    return [
        call("streak__plain", answer(ORDER), ORDER, condition),
        call("streak__of_both", answer(BOTH), BOTH, condition, **{"as": "length"}),
        call("streak__resets", answer(ORDER, True), ORDER, condition, resets="resets"),
        call("streak__event", answer(BOTH, False, RESET), BOTH, condition, reset_event=RESET),
        call(
            *("streak__resets_and_events", answer(ORDER, True, [RESET, BEGUN]), ORDER, condition),
            resets="resets",
            reset_event=[RESET, BEGUN],
        ),
    ]


def last_reset(user: User) -> datetime | None:
    times = [time for time in user.log.resets.get(user.name, ()) if time is not None]
    return max(times, default=None)


def left_at(user: User) -> datetime | None:
    """Return when a user left: the test's exits are the resets."""
    times = user.log.resets.get(user.name, ())
    past = [time for time in times if time is not None and time <= user.world.as_of]
    return max(past, default=None)


def times(user: User, names: Names) -> list[datetime]:
    return [row["occurred_at"] for row in oracle.of_name(user.rows, names)]


def day_streaks() -> list[Call]:
    def answer(names: Names, zone: str | None = None) -> Callable[[User], Any]:
        return lambda user: (
            behaviour.day_streak(times(user, names), user.world.as_of, zone or user.world.zone)
            if times(user, names)
            else None
        )

    def in_own_zone(user: User, up_to: datetime) -> Any:
        own = user.log.zones.get(user.name)
        zone = own if own in behaviour.ZONES and own else user.world.zone
        return behaviour.day_streak(times(user, ORDER), up_to, zone)

    elsewhere = "Australia/Lord_Howe"  # its clocks move by half an hour
    zoned = "(select log.*, zones.time_zone from log left join zones using (user_id))"
    in_column = {"zone": "time_zone"}
    return [
        Call(
            "day_streak__zone_in_column",
            jinja("day_streak", zoned, ORDER, **in_column),
            lambda user: in_own_zone(user, user.world.as_of) if times(user, ORDER) else None,
        ),
        Call(
            "day_streak__ended_in_zone_in_column",
            jinja("day_streak", zoned, ORDER, keep_ended=True, **in_column),
            lambda user: in_own_zone(user, max(found)) if (found := times(user, ORDER)) else None,
        ),
        call("day_streak__plain", answer(ORDER), ORDER),
        call("day_streak__of_all", answer([ORDER, QUOTED, BEGUN, OTHER]), [*BOTH, BEGUN, OTHER]),
        call("day_streak__zone", answer(BOTH, elsewhere), BOTH, zone=f"'{elsewhere}'"),
    ]


def all_sessions() -> list[Call]:
    def answer(minutes: int) -> Callable[[User], Any]:
        def of(user: User) -> Sequence[Any]:
            found = behaviour.sessions([row["occurred_at"] for row in user.rows], minutes)
            return [(*run, behaviour.gaps([run[0], run[1]])[0]) for run in found]

        return of

    return [
        call("sessions__plain", answer(MINUTES)),
        call("sessions__day", answer(1440), minutes=1440),
    ]


def gaps() -> list[Call]:
    def answer(names: Names) -> Callable[[User], Any]:
        def of(user: User) -> Any:
            found = times(user, names)
            if not found:
                return None
            return len(found) - 1, behaviour.gap_median_days(found), max(found)

        return of

    return [
        call("interval_stats__one", answer(ORDER), ORDER, **{"as": "order"}),
        call("interval_stats__both", answer(BOTH), BOTH, **{"as": "either"}),
    ]


def sequences() -> list[Call]:
    given: list[tuple[Names, Names, int, Names | None]] = [
        (BEGUN, ORDER, HOURS[0], None),
        (ORDER, QUOTED, HOURS[0], BEGUN),
        (BOTH, [BEGUN, RESET], HOURS[1], [OTHER]),
        (ORDER, ORDER, HOURS[1], None),
        (ORDER, ORDER, HOURS[1], [QUOTED, BEGUN]),
    ]
    return [
        call(
            f"sequence__{number}",
            lambda user, of=of: oracle.sequence(user.rows, *of),
            *of[:2],
            hours=of[2],
            without=of[3],
        )
        for number, of in enumerate(given)
    ]


def hours() -> list[Call]:
    def answer(names: Names, days: int | None) -> Callable[[User], Any]:
        filters = {} if days is None else {"days": days}
        return lambda user: behaviour.best_hour(
            [row["occurred_at"] for row in counted(user, names, filters)],
            user.log.zones.get(user.name),
            user.world.zone,
        )

    return [
        call("best_hour__ever", answer(BOTH, None), BOTH, "zones"),
        call("best_hour__days", answer(ORDER, 7), ORDER, "zones", days=7),
    ]
