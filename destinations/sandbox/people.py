"""Who an item is about: Iterable's identity rules for e-mail, userId and hybrid projects.

Source: Iterable API reference and its pages on project types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from destinations.sandbox.answers import Refused
from destinations.sandbox.settings import SandboxSettings
from destinations.sandbox.store import Profile, Store

_EMAIL = re.compile(
    r"[^@\s\x00-\x1f\x7f\"(),:;<>\[\]\\]{1,64}@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{2,}"
)
_USER_ID = re.compile(r"[\x20-\x7e]{0,51}[\x21-\x7e]")


class Failure(NamedTuple):
    """Why an item is not applied: the list it goes to, and its identifier there."""

    reason: str  # invalid, invalidData, notFound, conflict, forgotten
    by_email: bool
    value: str

    @property
    def list_name(self) -> str:
        """Return the key in `failedUpdates`."""
        return self.reason + ("Emails" if self.by_email else "UserIds")


def valid_email(email: str) -> bool:
    """Tell whether Iterable would take an address."""
    dots = email.startswith(".") or ".." in email or ".@" in email
    return len(email) <= 254 and not dots and _EMAIL.fullmatch(email.lower()) is not None


def valid_user_id(user_id: str) -> bool:
    """Tell whether a userId is 1 to 52 printable ASCII characters that do not end in a space."""
    return _USER_ID.fullmatch(user_id) is not None


def identifiers(item: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the e-mail (lower case) and the userId of an item.

    Raises:
        Refused: 400 `BadParams` if one is not a string, or there is none.
    """
    email, user_id = item.get("email"), item.get("userId")
    if not isinstance(email, (str, type(None))) or not isinstance(user_id, (str, type(None))):
        raise Refused(400, "BadParams", "email and userId must be strings")
    if email is None and user_id is None:
        raise Refused(400, "BadParams", "either email or userId is required")
    return (None if email is None else email.lower()), user_id


@dataclass(slots=True)
class People:
    """The profiles that one call is about; `touched` are those to save."""

    store: Store
    settings: SandboxSettings
    now: str
    by_email: dict[str, Profile] = field(default_factory=dict)
    by_user_id: dict[str, Profile] = field(default_factory=dict)
    touched: dict[int, Profile] = field(default_factory=dict)

    def load(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Read the profiles of all items at once."""
        pairs = [identifiers(item) for item in items]
        emails = [email for email, _ in pairs if email]
        for profile in self.store.profiles(emails, [user for _, user in pairs if user]):
            self._index(profile)

    def find(self, item: Mapping[str, Any], *, create: bool) -> Profile | Failure:
        """Return the profile of an item, made if need be, or why there is none."""
        email, user_id = identifiers(item)
        wrong = self._refuse(item, email, user_id) if self.settings.checks else None
        if wrong:
            return wrong
        mine = self.by_email.get(email) if email else None
        theirs = self.by_user_id.get(user_id) if user_id else None
        if mine and theirs and mine is not theirs:
            return self._failure("conflict", item)
        found = mine or theirs
        if found is None:
            return self._create(item, email, user_id) if create else self._failure("notFound", item)
        return self._complete(found, item, email, user_id)

    def _refuse(
        self, item: Mapping[str, Any], email: str | None, user_id: str | None
    ) -> Failure | None:
        if self.settings.project == "user_id" and user_id is None:
            raise Refused(400, "BadParams", "userId is required in a userId-based project")
        if email is not None and not valid_email(email):
            return Failure("invalid", True, str(item["email"]))
        if user_id is not None and not valid_user_id(user_id):
            return Failure("invalid", False, user_id)
        forgotten = self.settings.forgotten
        if email in forgotten or item.get("email") in forgotten or user_id in forgotten:
            return self._failure("forgotten", item)
        return None

    def _create(
        self, item: Mapping[str, Any], email: str | None, user_id: str | None
    ) -> Profile | Failure:
        if self.settings.project == "email" and email is None:
            if not item.get("preferUserId"):
                return self._failure("notFound", item)
            email = f"{user_id}@placeholder.email".lower()
        profile = self.store.new_profile(email, user_id, self.now)
        return self._keep(profile)

    def _complete(
        self, found: Profile, item: Mapping[str, Any], email: str | None, user_id: str | None
    ) -> Profile | Failure:
        """Give a profile the identifier it lacks; in an e-mail project the userId may change."""
        other_user = user_id is not None and found.user_id not in (None, user_id)
        other_email = email is not None and found.email not in (None, email)
        if other_email or (other_user and self.settings.project != "email"):
            return self._failure("conflict", item)
        if other_user:
            self.by_user_id.pop(str(found.user_id), None)
        completed = (email or found.email, user_id or found.user_id)
        if completed == (found.email, found.user_id):
            return found
        found.email, found.user_id = completed
        return self._keep(found)

    def _failure(self, reason: str, item: Mapping[str, Any]) -> Failure:
        by_email = item.get("email") is not None
        return Failure(reason, by_email, str(item["email"] if by_email else item["userId"]))

    def _keep(self, profile: Profile) -> Profile:
        self.touched[profile.id] = profile
        self._index(profile)
        return profile

    def _index(self, profile: Profile) -> None:
        if profile.email:
            self.by_email[profile.email] = profile
        if profile.user_id:
            self.by_user_id[profile.user_id] = profile
