"""What an import makes of the plan that is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from orchestration.tracking_plan.names import event_key
from orchestration.tracking_plan.rows import PlanRow, cells, in_order


@dataclass(frozen=True, slots=True)
class Merged:
    """The rows after an import, and the names of the events it is about, sorted."""

    rows: tuple[PlanRow, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    respelt: tuple[tuple[str, str], ...]
    """Given names beside those that the plan already has for them, and keeps."""

    @property
    def differs(self) -> bool:
        """Whether the plan is another one than before."""
        return bool(self.added or self.changed or self.removed)


def merge(there: Iterable[PlanRow], given: Iterable[PlanRow], *, only_given: bool) -> Merged:
    """Put the given events in place of those of the same key; name and enforcement stay.

    The name, because traits, audiences and syncs read it.

    Args:
        there: the plan so far.
        given: whole events, each with the row that declares it.
        only_given: whether the events that are not given go.
    """
    before, after = _by_event(there), _by_event(given)
    given_names = {key: _name(rows) for key, rows in after.items()}
    after = {key: _as_before(rows, before.get(key, [])) for key, rows in after.items()}
    result = after if only_given else {**before, **after}
    changed = [key for key in after if key in before and not _same(before[key], after[key])]
    unchanged = [key for key in result if key in before and key not in changed]
    return Merged(
        rows=tuple(in_order(row for rows in result.values() for row in rows)),
        added=_names(after, (key for key in after if key not in before)),
        changed=_names(after, changed),
        removed=_names(before, (key for key in before if key not in result)),
        unchanged=_names(result, unchanged),
        respelt=tuple(
            sorted(
                (n, _name(after[key])) for key, n in given_names.items() if n != _name(after[key])
            )
        ),
    )


def _by_event(rows: Iterable[PlanRow]) -> dict[str, list[PlanRow]]:
    found: dict[str, list[PlanRow]] = {}
    for row in rows:
        found.setdefault(event_key(row.event), []).append(row)
    return found


def _as_before(rows: list[PlanRow], before: list[PlanRow]) -> list[PlanRow]:
    """Return rows of an event by its name so far, with its enforcement unless they bring one."""
    if not before:
        return rows
    rows = [replace(row, event=_name(before)) for row in rows]
    was = next(row.enforcement for row in before if not row.property)
    return [
        replace(row, enforcement=was) if was and not row.property and not row.enforcement else row
        for row in rows
    ]


def _same(one: list[PlanRow], other: list[PlanRow]) -> bool:
    # Cells, as 1 and true are equal to Python.
    return sorted(map(cells, one)) == sorted(map(cells, other))


def _names(events: Mapping[str, list[PlanRow]], keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(_name(events[key]) for key in keys))


def _name(rows: list[PlanRow]) -> str:
    return next(row.event for row in rows if not row.property)
