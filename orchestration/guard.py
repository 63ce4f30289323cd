"""What is held until somebody approves it: rules over counts, each with its sentence."""

from __future__ import annotations

from dataclasses import dataclass

EMPTY_SHARE = 0.10
EMPTY_MINIMUM = 10
UNADDRESSED_SHARE = 0.20
UNADDRESSED_MINIMUM = 10


@dataclass(frozen=True, slots=True)
class Change:
    """An evaluation in numbers; `before` counts the members at the last committed point."""

    audience: str
    first: bool
    before: int
    members: int
    entered: int
    exited: int


def reasons_to_hold(change: Change) -> list[str]:
    """Return why an evaluation must not take effect by itself; empty if it may.

    The first evaluation sends nothing by itself and is not guarded.
    """
    if change.first or change.before < EMPTY_MINIMUM:
        return []
    if change.members == 0:
        return [f"{change.audience} became empty: all {change.before:,} members would leave"]
    if change.members <= EMPTY_SHARE * change.before:
        return [
            f"{change.audience} shrank from {change.before:,} to {change.members:,} members: "
            f"{change.exited:,} would leave"
        ]
    return []


def reasons_to_hold_plan(
    *, first: bool, ops: int, max_first: int, unaddressed: tuple[int, int] = (0, 0)
) -> list[str]:
    """Return why a plan must wait for approval.

    `unaddressed` is (members who lost their address and would be told that they left, profiles
    that were told they are in).
    """
    reasons = []
    if first and ops > max_first:
        reasons.append(
            f"the first plan of this sync would send {ops:,} ops and max_first is {max_first:,}"
        )
    lost, told = unaddressed
    if lost > max(UNADDRESSED_MINIMUM, UNADDRESSED_SHARE * told):
        reasons.append(
            f"{lost:,} of {told:,} profiles would be told that they left, although their users are "
            "still in the audience: their addresses are gone or have changed"
        )
    return reasons
