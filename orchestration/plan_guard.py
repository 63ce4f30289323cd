"""What of a plan waits until somebody approves it: rules over counts, each with its sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a plan may do by itself; shares are parts of 1.

    `daily_changes` is how many membership ops a destination takes in a day: a number, or a share
    of the profiles that are told they are in (never under `daily_minimum`).
    """

    exits_minimum: int = 10
    exits_share: float = 0.20
    new_minimum: int = 500
    updates_minimum: int = 1_000
    updates_factor: float = 3.0
    plans_needed: int = 10
    empty_points: float = 0.20
    daily_changes: int | float = 0.30
    daily_minimum: int = 1_000


@dataclass(frozen=True, slots=True)
class Facts:
    """A plan in numbers. What was approved before, as an evaluation or a plan, counts nowhere.

    Attributes:
        sends: traits, membership or events.
        first: whether no plan of the sync was let through yet.
        ops: ops to be sent.
        max_first: how many the first plan may have.
        renamed: a sync of the same shape that the project no longer has.
        new: profiles that were never told anything.
        told: profiles that were told something and not the end of it.
        lost: members who would be told they left only for want of an address or of consent.
        gone: profiles to be cleared or deleted because their user disappeared.
        updates: ops on profiles known before, or events.
        usual: median of the last plans' ops, scaled to the time since the last one; None before
            there are enough.
        mapping_changed: whether fields are mapped otherwise than in the last plan.
        empties: (field, share of null or zero before, now), where it rose.
        profiles: rows of user_traits that these are shares of.
        doubtful: events that may have arrived and would be sent again, where that is to be held.
        counted: membership ops that count for the day's cap.
        of_the_day: the same of the destination's plans of the last 24 hours, without this one.
        told_there: profiles told they are in, over all syncs of the destination.
        days: days since the destination's last membership plan, at least 1.
    """

    sends: str
    first: bool
    ops: int
    max_first: int
    renamed: str | None = None
    new: int = 0
    told: int = 0
    lost: int = 0
    gone: int = 0
    updates: int = 0
    usual: float | None = None
    mapping_changed: bool = False
    empties: tuple[tuple[str, float, float], ...] = ()
    profiles: int = 0
    doubtful: int = 0
    counted: int = 0
    of_the_day: int = 0
    told_there: int = 0
    days: float = 1.0
    destination: str = ""


Reason = tuple[str, str]
"""A rule's key and its sentence."""


def reasons_to_hold(facts: Facts, limits: Limits) -> list[Reason]:
    """Return why a plan must wait for approval; empty if it may go."""
    rules = (_first, _renamed, _new, _lost, _gone, _updates, _empties, _daily, _doubtful)
    return [reason for rule in rules for reason in rule(facts, limits)]


def _first(facts: Facts, _: Limits) -> list[Reason]:
    if not facts.first or facts.ops <= facts.max_first:
        return []
    return [
        (
            "first",
            f"the first plan of this sync would send {facts.ops:,} ops and max_first is "
            f"{facts.max_first:,}",
        )
    ]


def _renamed(facts: Facts, _: Limits) -> list[Reason]:
    if not facts.first or facts.renamed is None or not facts.ops:
        return []
    return [
        (
            "renamed",
            f"{facts.ops:,} ops would be sent as if for the first time, and sync {facts.renamed}, "
            "which did the same, is gone from the project; if it was renamed, "
            f"`tailrace adopt {facts.renamed}` moves what is known (`tailrace retire` ends it)",
        )
    ]


def _new(facts: Facts, limits: Limits) -> list[Reason]:
    most = max(limits.new_minimum, facts.max_first, facts.told)
    if facts.first or facts.sends == "events" or facts.new <= most:
        return []
    return [
        (
            "new",
            f"{facts.new:,} profiles would hear of this sync for the first time; "
            f"{facts.told:,} have so far (at most {most:,} new ones pass)",
        )
    ]


def _lost(facts: Facts, limits: Limits) -> list[Reason]:
    if facts.lost <= max(limits.exits_minimum, limits.exits_share * facts.told):
        return []
    return [
        (
            "lost",
            f"{facts.lost:,} of {facts.told:,} profiles would be told that they left, although "
            "their users are still in the audience: their addresses or their consent are gone "
            "or have changed",
        )
    ]


def _gone(facts: Facts, limits: Limits) -> list[Reason]:
    if facts.gone <= max(limits.exits_minimum, limits.exits_share * facts.told):
        return []
    return [
        (
            "gone",
            f"{facts.gone:,} of {facts.told:,} profiles would be cleared or deleted: their users "
            "have disappeared from user_traits",
        )
    ]


def _updates(facts: Facts, limits: Limits) -> list[Reason]:
    if facts.usual is None:
        return []
    most = max(limits.updates_minimum, limits.updates_factor * facts.usual)
    if facts.updates <= most:
        return []
    why = "; the mapping of its fields has changed" if facts.mapping_changed else ""
    return [
        (
            "updates",
            f"{facts.updates:,} ops would be sent; the last {limits.plans_needed} plans had "
            f"{facts.usual:,.0f} at the median for as long a time, and at most {most:,.0f} "
            f"pass{why}",
        )
    ]


def _empties(facts: Facts, limits: Limits) -> list[Reason]:
    return [
        (
            f"empty {name}",
            f"field {name} would be null or zero for {now:.0%} of all profiles; it was for "
            f"{before:.0%}",
        )
        for name, before, now in facts.empties
        if now - before >= limits.empty_points
        and (now - before) * facts.profiles > limits.exits_minimum
    ]


def _daily(facts: Facts, limits: Limits) -> list[Reason]:
    most = daily_most(facts, limits)
    total = facts.counted + facts.of_the_day
    if facts.sends != "membership" or not facts.counted or total <= most:
        return []
    return [
        (
            "daily",
            f"{total:,} memberships would change at {facts.destination} within a day "
            f"({facts.counted:,} of them by this plan); at most {most:,.0f} pass "
            "(max_daily_changes)",
        )
    ]


def daily_most(facts: Facts, limits: Limits) -> float:
    """Return how many membership ops the destination takes in the time since its last plan."""
    if isinstance(limits.daily_changes, int):
        return limits.daily_changes * facts.days
    return max(limits.daily_minimum, limits.daily_changes * facts.told_there) * facts.days


def _doubtful(facts: Facts, _: Limits) -> list[Reason]:
    if not facts.doubtful:
        return []
    return [
        (
            "doubt",
            f"{facts.doubtful:,} events may have arrived already; this destination would take a "
            "repeat for a new event (on_ambiguous: hold)",
        )
    ]
