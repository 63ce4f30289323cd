"""The four writing calls: pure but for the store they are given.

Source of shapes and rules: Iterable API reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from destinations.sandbox.answers import Answer, Refused, success
from destinations.sandbox.fields import Category, Checked, check
from destinations.sandbox.people import Failure, People
from destinations.sandbox.settings import MAX_ITEMS, SandboxSettings
from destinations.sandbox.store import Event, Profile, Store

Item = Mapping[str, Any]

_LAST = 253_402_300_799  # the last second of the year 9999

_USER_REASONS = ("invalid", "notFound", "invalidData", "conflict", "forgotten")
_EVENT_REASONS = ("invalid", "notFound", "forgotten")
# The same failures when the call is about one item only.
_ALONE = {
    "invalidEmails": (400, "InvalidEmailAddressError"),
    "invalidUserIds": (400, "InvalidUserIdError"),
    "notFoundEmails": (400, "UnknownEmailError"),
    "notFoundUserIds": (400, "UnknownUserIdError"),
    "conflictEmails": (409, "Conflict"),
    "conflictUserIds": (409, "Conflict"),
    "forgottenEmails": (400, "ForgottenUserError"),
    "forgottenUserIds": (400, "ForgottenUserError"),
}


class Project:
    """What the calls do to the state; one instance per running sandbox, used from one thread."""

    def __init__(self, settings: SandboxSettings, store: Store) -> None:
        self.settings = settings
        self.store = store

    def bulk_update(self, body: Item, now: str) -> Answer:
        """Apply users/bulkUpdate."""
        users = _items(body, "users")
        default = _flag(body, "createNewFields", default=True)
        failures, checked = self._update(users, [default] * len(users), now)
        return _bulk_answer(len(users), failures, [], checked, _USER_REASONS)

    def update(self, body: Item, now: str) -> Answer:
        """Apply users/update."""
        create = _flag(body, "createNewFields", default=True)
        failures, _ = self._update([body], [create], now)
        return _single_answer(failures, success())

    def track_bulk(self, body: Item, now: str) -> Answer:
        """Apply events/trackBulk; createNewFields is per event."""
        events = _items(body, "events")
        failures, disallowed, checked = self._track(events, now)
        return _bulk_answer(len(events), failures, disallowed, checked, _EVENT_REASONS)

    def track(self, body: Item, now: str) -> Answer:
        """Apply events/track; an event name that is not taken is dropped with a 200."""
        event = {**body, "id": body.get("id") or uuid4().hex}
        failures, disallowed, _ = self._track([event], now)
        if disallowed:
            msg = f"Event {disallowed[0]} is disallowed from tracking."
            return Answer(200, success(msg), items=1)
        return _single_answer(failures, success(params={"id": event["id"]}))

    def _update(
        self, users: Sequence[Item], create: Sequence[bool], now: str
    ) -> tuple[list[Failure], Checked]:
        people = People(self.store, self.settings, now)
        people.load(users)
        checked = self._check("user", [_fields(user) for user in users], create)
        failures: list[Failure] = []
        for user in users:
            found = people.find(user, create=True)
            if isinstance(found, Failure):
                failures.append(found)
                continue
            nested = _flag(user, "mergeNestedObjects", default=False)
            _merge(found.fields, checked.kept(_fields(user)), nested=nested)
            found.updated_at = now
            people.touched[found.id] = found
        self.store.save_profiles(people.touched.values())
        self.store.lock_types("user", checked.created)
        return failures, checked

    def _track(self, events: Sequence[Item], now: str) -> tuple[list[Failure], list[str], Checked]:
        names = [_event_name(event) for event in events]
        people = People(self.store, self.settings, now)
        people.load(events)
        create = [_flag(event, "createNewFields", default=True) for event in events]
        checked = self._check("event", [_fields(event) for event in events], create)
        failures: list[Failure] = []
        disallowed: list[str] = []
        kept: list[Event] = []
        for name, event in zip(names, events, strict=True):
            if name in self.settings.disallowed_events:
                disallowed.append(name)
                continue
            found = people.find(event, create=self.settings.track_creates_users)
            if isinstance(found, Failure):
                failures.append(found)
            else:
                kept.append(_event(found, name, event, checked, now))
        self.store.save_profiles(people.touched.values())
        self.store.save_events(kept, now)
        self.store.lock_types("event", checked.created)
        return failures, disallowed, checked

    def _check(self, category: Category, fields: Sequence[Item], create: Sequence[bool]) -> Checked:
        if not self.settings.checks:
            return Checked()
        locked = self.store.types[category]
        return check(category, locked, zip(fields, create, strict=True))


def _items(body: Item, key: str) -> list[Item]:
    items = body.get(key)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Refused(400, "BadParams", f"{key} must be a list of objects")
    if len(items) > MAX_ITEMS:
        raise Refused(400, "BatchTooLarge", f"at most {MAX_ITEMS} {key} in a request")
    return items


def _fields(item: Item) -> Item:
    fields = item.get("dataFields", {})
    if not isinstance(fields, dict):
        raise Refused(400, "BadParams", "dataFields must be an object")
    return fields


def _flag(item: Item, key: str, *, default: bool) -> bool:
    value = item.get(key, default)
    if not isinstance(value, bool):
        raise Refused(400, "BadParams", f"{key} must be a boolean")
    return value


def _event_name(event: Item) -> str:
    """Check what an event needs beside its user, and return its name."""
    name, key, created_at = event.get("eventName"), event.get("id"), event.get("createdAt")
    if not isinstance(name, str) or not name:
        raise Refused(400, "BadParams", "eventName is required")
    if key is not None and (not isinstance(key, str) or not 0 < len(key.encode()) <= 512):
        raise Refused(400, "BadParams", "id must be a string of 1 to 512 bytes")
    if created_at is not None and (type(created_at) is not int or not 0 <= created_at <= _LAST):
        raise Refused(400, "BadParams", "createdAt must be whole unix seconds")
    return name


def _event(profile: Profile, name: str, item: Item, checked: Checked, now: str) -> Event:
    created_at = item.get("createdAt")
    return Event(
        item.get("id") or uuid4().hex,
        profile.id,
        name,
        int(datetime.fromisoformat(now).timestamp()) if created_at is None else created_at,
        checked.kept(_fields(item)),
    )


def _merge(fields: dict[str, Any], changes: Item, *, nested: bool) -> None:
    """Apply dataFields: null clears; an object replaces, or merges key by key if `nested`."""
    for name, value in changes.items():
        old = fields.get(name)
        if value is None:
            fields.pop(name, None)
        elif nested and isinstance(value, dict) and isinstance(old, dict):
            _merge(old, value, nested=True)
        else:
            fields[name] = value


def _bulk_answer(
    items: int,
    failures: Sequence[Failure],
    disallowed: Sequence[str],
    checked: Checked,
    reasons: Sequence[str],
) -> Answer:
    lists: dict[str, list[str]] = {}
    for reason in reasons:
        lists |= {f"{reason}Emails": [], f"{reason}UserIds": []}
    for failure in failures:
        lists.setdefault(failure.list_name, []).append(failure.value)
    failed = len(failures) + len(disallowed)
    body: dict[str, Any] = {
        "successCount": items - failed,
        "failCount": failed,
        # Deprecated copies, still sent.
        "invalidEmails": lists["invalidEmails"],
        "invalidUserIds": lists["invalidUserIds"],
        "filteredOutFields": sorted(checked.filtered),
        "createdFields": sorted(checked.created),
        "failedUpdates": lists,
    }
    if reasons is _EVENT_REASONS:
        body["disallowedEventNames"] = sorted(set(disallowed))
    return Answer(200, body, items, items - failed)


def _single_answer(failures: Sequence[Failure], body: Item) -> Answer:
    for failure in failures:
        status, code = _ALONE[failure.list_name]
        refused = {"msg": f"{failure.reason} {failure.value}", "code": code, "params": None}
        return Answer(status, refused, items=1)
    return Answer(200, body, items=1, accepted=1)
