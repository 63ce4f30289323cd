"""Who is one person, once more, in plain Python: edges taken in one by one, in the order of time."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Row = dict[str, Any]
LIMITS: Mapping[str, int] = {"alias": 1, "anonymous_id": 1, "email": 0}
MOST_IDS = 50
NO_IDS = (
    *("null", "(null)", "none", "nil", "nan", "undefined", "anonymous", "unknown", "guest", "n/a"),
    *("-1", "0", "-", "00000000-0000-0000-0000-000000000000", "[object object]"),
)
BLANKS = "".join(one for one in map(chr, range(0x3001)) if unicodedata.category(one) == "Zs")
INVISIBLE = "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff" + "".join(
    map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
)
"""What takes no room in a text, among it the marks of direction."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What ties two ids; `number` says which user of the value the right one is."""

    id_type: str
    value: str
    left: str
    right: str
    known_at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is who at an instant.

    Attributes:
        edges: all of them, kept or not.
        groups: the ids of each group of ids that hang together.
        merges: user that stands for it and instant, by merged id.
    """

    edges: list[Edge]
    groups: list[set[str]]
    merges: dict[str, tuple[str, datetime]]

    def user(self, user_id: str) -> str:
        """Return the id that stands for a user."""
        return self.merges.get(user_id, (user_id,))[0]


def known_id(text: str | None) -> str | None:
    """Return an id without blanks around it, or None if it is nobody's."""
    trimmed = (text or "").strip(BLANKS)
    return None if not trimmed or simple_lower(trimmed) in NO_IDS else trimmed


def simple_lower(text: str) -> str:
    """Return a text in lower case, one character for one: whatever is around it, and no sigma is final."""
    return "".join(one.lower()[:1] for one in text)


def normalised_email(text: str | None) -> str | None:
    """Return the one spelling of an address, or None if it is none."""
    address = stripped(text or "")
    if address.endswith(">") and "<" in address:
        inside = address[:-1].rpartition("<")[2]
        address = address if ">" in inside else stripped(inside)
    normal = unicodedata.normalize("NFC", address)
    address = unicodedata.normalize("NFC", simple_lower(normal))
    return known_id(stripped(address.removeprefix("mailto:")))


def stripped(text: str) -> str:
    """Return a text without white space and invisible characters around it."""
    seen = [n for n, one in enumerate(text) if not (one.isspace() or one in INVISIBLE)]
    return text[seen[0] : seen[-1] + 1] if seen else ""


class Groups:
    """Disjoint sets of ids."""

    def __init__(self) -> None:
        self.above: dict[str, str] = {}

    def find(self, one: str) -> str:
        """Return the name of the set that has an id."""
        while (above := self.above.setdefault(one, one)) != one:
            self.above[one] = self.above[above]
            one = above
        return one

    def join(self, one: str, other: str) -> None:
        """Make two sets one."""
        self.above[self.find(one)] = self.find(other)

    def all(self) -> list[set[str]]:
        """Return the sets."""
        sets: dict[str, set[str]] = defaultdict(set)
        for one in list(self.above):
            sets[self.find(one)].add(one)
        return list(sets.values())


def identity(
    identifies: Sequence[Row],
    aliases: Sequence[Row],
    *,
    time: str = "occurred_at",
    limits: Mapping[str, int] = LIMITS,
    most_ids: int = MOST_IDS,
) -> Identity:
    """Return who is who by these calls; `time` names the column by which they came to be known."""
    edges = list(edges_of(identifies, aliases, time))
    kept = sorted(
        (edge for edge in edges if edge.number <= limits.get(edge.id_type, 0)),
        key=lambda edge: edge.known_at,
    )
    groups = Groups()
    for edge in kept:
        groups.join(edge.left, edge.right)
    merges: dict[str, tuple[str, datetime]] = {}
    for ids in groups.all():
        if 1 < len(ids) <= most_ids:
            own = [edge for edge in kept if edge.left in ids]
            stands = representative(ids, own, identifies, time)
            for other in ids - {stands}:
                merges[other] = (stands, joined_at(other, stands, own))
    return Identity(edges, groups.all(), merges)


def edges_of(identifies: Iterable[Row], aliases: Iterable[Row], time: str) -> Iterable[Edge]:
    """Return the edges: of each value every user after the first, and of an alias every user."""
    claims: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in aliases:
        if row["previous_id"] != row["user_id"]:
            claims["alias", row["previous_id"]].append(row)
    for row in identifies:
        for id_type in ("anonymous_id", "email"):
            if row[id_type]:
                claims[id_type, row[id_type]].append(row)
    for (id_type, value), rows in claims.items():
        rows.sort(
            key=lambda row: (row[time], row["occurred_at"], row["received_at"], row["row_id"])
        )
        users = list(dict.fromkeys(row["user_id"] for row in rows))
        known = {user: min(row[time] for row in rows if row["user_id"] == user) for user in users}
        for number, user in enumerate(users, start=1):
            if id_type == "alias":
                yield Edge(id_type, value, value, user, known[user], number)
            elif number > 1:
                both = max(known[user], known[users[0]])
                yield Edge(id_type, value, users[0], user, both, number)


def representative(
    ids: set[str], edges: Sequence[Edge], identifies: Sequence[Row], time: str
) -> str:
    """Return the id that no alias replaced and that was known first."""
    replaced = {edge.left for edge in edges if edge.id_type == "alias"}
    seen: dict[str, datetime] = {}
    for row in identifies:
        if row["user_id"] in ids:
            seen[row["user_id"]] = min(row[time], seen.get(row["user_id"], row[time]))
    for one in ids - set(seen):
        seen[one] = min(edge.known_at for edge in edges if one in (edge.left, edge.right))
    return min(ids, key=lambda one: (one in replaced, seen[one], one.encode()))


def joined_at(one: str, other: str, edges: Sequence[Edge]) -> datetime:
    """Return when the edges, taken in one by one, first tie two ids."""
    groups = Groups()
    for edge in edges:
        groups.join(edge.left, edge.right)
        if groups.find(one) == groups.find(other):
            return edge.known_at
    raise AssertionError(f"{one} and {other} are not tied")
