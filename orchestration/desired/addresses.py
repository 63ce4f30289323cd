"""dest_key: the normalised identifier by which a destination selects a profile.

The key is joined as it is normalised; whether it is usable at all is asked only of the few keys
that no destination knows, because what is known was usable once.
"""

from __future__ import annotations

from destinations.errors import ConfigError
from orchestration.desired.scope import Scope

_EMAIL = r"'[^@\s]+@[^@\s.]+(\.[^@\s.]+)+'"


def users(scope: Scope) -> str:
    """Return a SELECT of every user with traits: their columns and two of ours.

    `tailrace_key` is the dest_key, `tailrace_agreed` whether the user consents.
    """
    return f"""
select t.*, {key_of(scope, "t.user_id")} as tailrace_key, {scope.consents("t")} as tailrace_agreed
from {scope.relations.traits} as t{_emails(scope, "t.user_id")}"""


def members(scope: Scope, stays: str) -> str:
    """Return a SELECT of stays, each with two more columns: dest_key, and agreed (consent).

    Args:
        scope: the plan in the making.
        stays: SQL of a relation with user_id.
    """
    traits = ""
    if scope.asks_consent() or (scope.by_email() and scope.relations.emails is None):
        traits = f"\n    left join {scope.relations.traits} as t on s.user_id = t.user_id"
    return f"""
select s.*, {key_of(scope, "s.user_id")} as dest_key,
    {scope.consents("t")} as agreed
from {stays} as s{traits}{_emails(scope, "s.user_id")}"""


def unusable(scope: Scope, dest_key: str) -> str:
    """Return SQL of whether a dest_key cannot select a profile."""
    if not scope.by_email():
        return f"{dest_key} is null"
    return f"({dest_key} is null or not regexp_full_match({dest_key}, {_EMAIL}))"


def key_of(scope: Scope, user_id: str) -> str:
    """Return SQL of a user's dest_key, given traits as `t` and e-mails as `e`.

    Raises:
        ConfigError: the project has no relation to take the identifier from.
    """
    where = f"exposures.{scope.sync.key}.config.meta.sync.emails"
    every = scope.sync.options.emails == "all"
    if not scope.by_email():
        if every:
            msg = "`emails: all` is for destinations that select profiles by e-mail"
            raise ConfigError(msg, file=scope.sync.file, key=where, accepted=["primary"])
        return normalised(scope, user_id)
    if every:
        if scope.relations.emails is None:
            msg = "`emails: all` needs a model user_emails (user_id, email)"
            raise ConfigError(msg, file=scope.sync.file, key=where, accepted=["primary"])
        return normalised(scope, "e.email")
    if "email" not in scope.relations.traits_columns:
        raise ConfigError(
            "profiles are selected by e-mail, and user_traits has no column email",
            key="identifier",
            accepted=["user_id"],
        )
    return normalised(scope, "t.email")


def has_key(scope: Scope, user_id: str, dest_key: str) -> str:
    """Return SQL of whether a user, whose traits are `t`, has this dest_key today."""
    if not scope.by_email():
        return "true"
    if scope.sync.options.emails == "all":
        mine = (
            f"select e.user_id, {normalised(scope, 'e.email')} from {scope.relations.emails} as e"
        )
        return f"({user_id}, {dest_key}) in ({mine})"
    return f"{normalised(scope, 't.email')} = {dest_key}"


def normalised(scope: Scope, identifier: str) -> str:
    """Return SQL of an identifier as a dest_key; what is a dest_key already stays as it is."""
    # Next to none has a blank in it, and to see that costs less than to trim.
    trimmed = f"case when contains({identifier}, ' ') then trim({identifier}) else {identifier} end"
    return f"lower({trimmed})" if scope.by_email() else f"nullif({trimmed}, '')"


def _emails(scope: Scope, user_id: str) -> str:
    if scope.relations.emails is None:
        return ""
    return f"\n    left join {scope.relations.emails} as e on {user_id} = e.user_id"
