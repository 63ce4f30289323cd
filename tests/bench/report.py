"""The figures of the benchmark as a table for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

BUDGETS = {"loop": "", "drt template": "8 x, goal 25 x", "drt struct": "", "drt json": ""}


def _sends(told: dict[str, Any]) -> Iterator[str]:
    rows = told["rows"]
    yield f"\n{rows:,} rows, 1,000 in a request, one endpoint for all"
    traits = told["traits"]
    for what in ("traits", "events"):
        plan, deliver = told[what]["plan"], told[what]["deliver"]
        yield _rate(f"plan {what}", rows, plan)
        yield _rate(f"deliver {what}", rows, deliver)
        yield _rate(f"plan and deliver {what}", rows, told[what])
        yield f"    {_shares(deliver)}"
    for what, budget in BUDGETS.items():
        if what in told:
            other = told[what]["seconds"]
            ratios = f"{other / traits['seconds']:6.2f} x with a plan, "
            ratios += f"{other / traits['deliver']['seconds']:6.2f} x without"
            yield f"{_rate(what, rows, told[what])}   we: {ratios}   {budget}".rstrip()


def _rate(what: str, rows: int, told: dict[str, Any]) -> str:
    peak = f"{told['peak_mb']:8,.0f} MB" if "peak_mb" in told else " " * 11
    return f"{what:28} {told['seconds']:8.2f} s {rows / told['seconds']:12,.0f} rows/s {peak}"


def _shares(deliver: dict[str, Any]) -> str:
    spent = {**deliver["parts"]}
    spent["rest"] = deliver["seconds"] - sum(spent.values())
    shares = {part: seconds / deliver["seconds"] for part, seconds in spent.items()}
    both = shares["journal"] + shares["fold"]
    listed = ", ".join(f"{part} {share:.0%}" for part, share in shares.items())
    return f"{listed}; journal and fold {both:.1%} (budget 15%)"


def _drain(told: list[dict[str, Any]]) -> Iterator[str]:
    yield "\ndraining a declared limit (budget: 95% of the safe ceiling, no 429)"
    yield from (_used(one, f"by {one['processes']} processes") for one in told)


def _two_syncs(told: dict[str, Any]) -> Iterator[str]:
    yield _used(told, "by two syncs on one account")


def _used(one: dict[str, Any], by: str) -> str:
    limit = f"{one['requests']:g} per {one['seconds']:g} s"
    rate = f"{one['per_second']:9.2f}/s of {one['ceiling']:9.2f}/s"
    return f"{limit:14} {by:28} {rate} {one['share']:7.1%}   {one['throttled']} of 429"


def _single(told: list[dict[str, Any]]) -> Iterator[str]:
    yield "\ncalls of one row over so many connections of one process"
    for one in told:
        how = f"{one['connections']:2} connections, answered after {one['delay'] * 1000:.0f} ms"
        yield f"{how:44} {one['per_second']:10,.0f}/s"


def _memory(told: dict[str, Any]) -> Iterator[str]:
    yield "\npeak memory of a delivery (budget: flat within 10% from 1 M on, 500 MB)"
    for rows, one in told.items():
        after = f"   {one['with_next_plan_mb']:,.0f} MB with the plan made after it"
        yield _rate(f"{int(rows):,} ops", int(rows), one) + after


LINES: dict[str, Callable[[Any], Iterator[str]]] = {
    "sends": _sends,
    "drain": _drain,
    "two_syncs": _two_syncs,
    "single": _single,
    "memory": _memory,
}
