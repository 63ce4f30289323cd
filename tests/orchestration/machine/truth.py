"""What is right, worked out in Python from the facts: no SQL, nothing of the engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple


class User(NamedTuple):
    """A user as user_traits has them."""

    email: str | None
    score: float = 1.0
    label: str | None = None
    agreed: bool | None = True


class Happened(NamedTuple):
    """An event; its time, in whole seconds, is its own in the whole test."""

    event_id: str
    user_id: str
    at: datetime


@dataclass(frozen=True)
class Said:
    """What a sync sends, as far as the truth depends on it."""

    key: str
    sends: str
    needs_consent: bool
    silent_moves: bool = False
    fields: tuple[str, ...] = ()
    clears_gone: bool = False


@dataclass
class Truth:
    """The facts as they are, as they were built, and what was approved of them.

    Attributes:
        users, members, merges, events: the facts as they are by now.
        built, audience: user_traits and the audience's relation as of the last build.
        committed: the members of the last approved answer, None before there is one.
        points: the members at every committed instant.
        held: as_of and members of evaluations that were held; `spoiled` are those that lost
            somebody who was forgotten since.
        suppressed: user ids and addresses, the latter normalised.
        inside_once: for each sync, the keys that were in at some plan of it.
        owned_by: users that a key ever belonged to.
    """

    by_email: bool = True
    users: dict[str, User] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    merges: dict[str, str] = field(default_factory=dict)
    events: list[Happened] = field(default_factory=list)
    built: dict[str, User] = field(default_factory=dict)
    built_merges: dict[str, str] = field(default_factory=dict)
    built_events: int = 0
    built_at: datetime | None = None
    audience: frozenset[str] = frozenset()
    audience_at: datetime | None = None
    levels: dict[str, float] = field(default_factory=dict)
    committed: frozenset[str] | None = None
    points: dict[datetime, frozenset[str]] = field(default_factory=dict)
    held: dict[str, tuple[datetime, frozenset[str]]] = field(default_factory=dict)
    spoiled: set[str] = field(default_factory=set)
    suppressed: set[str] = field(default_factory=set)
    inside_once: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    owned_by: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def merge(self, old: str, new: str) -> None:
        """Two users turn out to be one."""
        if old == new or old in self.merges or new in self.merges or old not in self.users:
            return
        gone = self.users.pop(old)
        self.users.setdefault(new, gone)
        if old in self.members:
            self.members = (self.members - {old}) | {new}
        self.events = [
            event._replace(user_id=new) if event.user_id == old else event for event in self.events
        ]
        self.merges[old] = new

    def swap(self, one: str, other: str) -> None:
        """Two users swap their addresses."""
        if one in self.users and other in self.users:
            a, b = self.users[one], self.users[other]
            self.users[one] = a._replace(email=b.email)
            self.users[other] = b._replace(email=a.email)

    def build_traits(self, at: datetime) -> None:
        self.built, self.built_merges, self.built_at = dict(self.users), dict(self.merges), at
        for user_id in self.built:
            key = self.key_of(user_id)
            if key:
                self.owned_by[key].add(user_id)

    def level_of(self, users: set[str]) -> float | None:
        """Return what the audience says of a profile: the first of its users speaks for it."""
        return self.levels.get(min(users))

    def build_audience(self, at: datetime) -> None:
        self.audience, self.audience_at = frozenset(self.members), at
        self.levels = {key: self.level(key) for key in self.members}

    def level(self, user_id: str) -> float:
        return self.users[user_id].score if user_id in self.users else 0.0

    def wanted(self) -> frozenset[str]:
        """Return who is in by the audience as built."""
        return self.audience - self.barred()

    def commit(self, at: datetime, members: frozenset[str]) -> None:
        self.committed = members
        self.points[at] = members

    def key_of(self, user_id: str) -> str | None:
        """Return by what a user's profile is selected, None if by nothing usable."""
        if not self.by_email:
            return user_id.strip() or None
        user = self.built.get(user_id)
        key = (user.email or "").strip().lower() if user else ""
        name, _, host = key.partition("@")
        usable = name and "." in host.strip(".") and " " not in key
        return key if usable else None

    def person(self, user_id: str) -> str:
        """Return who a user is today."""
        while user_id in self.built_merges:
            user_id = self.built_merges[user_id]
        return user_id

    def barred(self) -> set[str]:
        """Return the ids and addresses that are suppressed, by themselves or by another id."""
        people = {self.person(one) for one in self.suppressed}
        ids = {*self.built_merges, *self.built_merges.values()}
        return self.suppressed | {one for one in ids if self.person(one) in people}

    def may(self, user_id: str, said: Said) -> bool:
        """Tell whether something may be sent about a user."""
        user = self.built.get(user_id)
        agreed = not said.needs_consent or (user is not None and user.agreed is True)
        return agreed and not {user_id, self.key_of(user_id)} & self.barred()

    def inside(self, said: Said) -> dict[str, set[str]]:
        """Return the keys that are in by the last approved answer, and whose they are."""
        return self._together(self.committed or frozenset(), said)

    def owners(self, said: Said) -> dict[str, set[str]]:
        """Return the keys whose traits are to be told, and whose they are."""
        return self._together(self.built, said)

    def forget(self, users: set[str], keys: set[str]) -> None:
        """Somebody is forgotten: suppressed, and never was anywhere."""
        self.suppressed |= users | keys
        self.points = {at: members - users for at, members in self.points.items()}
        for held_id, (at, members) in self.held.items():
            if users & (members ^ (self.committed or frozenset())):
                self.spoiled.add(held_id)
            self.held[held_id] = (at, members - users)
        if self.committed is not None:
            self.committed -= users
        for inside in self.inside_once.values():
            inside -= keys

    def _together(self, user_ids: Iterable[str], said: Said) -> dict[str, set[str]]:
        """Of users who share a key, one who may not be sent speaks for all."""
        found: dict[str, set[str]] = defaultdict(set)
        vetoed = set()
        for user_id in user_ids:
            key = self.key_of(user_id)
            if key is None:
                continue
            found[key].add(user_id)
            if not self.may(user_id, said):
                vetoed.add(key)
        return {key: users for key, users in found.items() if key not in vetoed}

    def out_of_reach(self, key: str) -> bool:
        """Tell whether a key belongs, or belonged, to somebody suppressed: it stays as it is."""
        owners = self.owned_by[key] | ({key} if not self.by_email else set())
        return key in self.suppressed or bool(owners & self.barred())

    def traits_of(self, users: set[str], said: Said) -> Mapping[str, object]:
        """Return the fields of a profile: the first of its users speaks for it."""
        user = self.built[min(users)]
        values = {"points": user.score, "label": user.label}
        return {name: values[name] for name in said.fields if values[name] is not None}
