"""Iterable: profiles through users/bulkUpdate, events through events/trackBulk.

Source of every fact unless said otherwise: Iterable API reference. Figures that sources disagree
about are the careful ones and can be overridden per destination.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quote
from types import MappingProxyType
from typing import Any, Literal

from destinations.base import (
    UNREADABLE,
    Context,
    Dedup,
    Endpoint,
    Kind,
    Locates,
    Outcome,
    Outcomes,
    PayloadSpec,
    Request,
    Response,
    Row,
    Secret,
    Status,
    SyncShape,
    Window,
    joined,
)
from destinations.errors import ConfigError

REGIONS = {"us": "https://api.iterable.com", "eu": "https://api.eu.iterable.com"}
LONGEST_RESET = 86_400  # seconds; an absurd number must not overflow
SECOND = 1_000_000  # of `Row.occurred_at`
IDENTIFIERS = {"email": "email", "user_id": "userId"}

# 4 MB in decimal: the reference does not say which megabyte.
_BULK_ROWS, _BULK_BYTES = 1000, 4_000_000
_ENDPOINTS = {
    Kind.IDENTIFY: Endpoint(
        "/api/users/bulkUpdate",
        (Window(5, 1.0),),
        dedup=Dedup.STATE,
        locates=Locates.IDENTITY,
        concurrency=4,
        max_rows=_BULK_ROWS,
        max_objects=_BULK_ROWS,
        max_bytes=_BULK_BYTES,
    ),
    Kind.TRACK: Endpoint(
        "/api/events/trackBulk",
        (Window(10, 1.0),),
        dedup=Dedup.UPSERT,
        locates=Locates.IDENTITY,
        # What fails by identity here fails for all events of that user; `decode` checks the count.
        one_per_key=False,
        concurrency=4,
        max_rows=_BULK_ROWS,
        max_objects=_BULK_ROWS,
        max_bytes=_BULK_BYTES,
    ),
}
# Kept by Iterable itself; a write is refused or overwritten.
_MANAGED = frozenset(
    {"createdAt", "emailListIds", "itblInternal", "profileUpdatedAt", "signupDate", "signupSource"}
    | {"subscribedMessageTypeIds"}
)
_Lists = list[tuple[str, Status, list[str]]]
# Prefixes of the lists in `failedUpdates`, each followed by Emails or UserIds.
_FAILURES = {
    "invalid": Status.REJECTED,
    "invalidData": Status.REJECTED,
    "forgotten": Status.REJECTED,
    "notFound": Status.LATER,
    "conflict": Status.LATER,
}
# Codes that blame the only row of a refused request; any other code may be about the request.
_BLAMES = {
    "ForgottenUserError": Status.REJECTED,
    "InvalidEmailAddressError": Status.REJECTED,
    "InvalidUserIdError": Status.REJECTED,
    "RequestFieldsTypesMismatched": Status.REJECTED,
    "Conflict": Status.LATER,
    "EmailAlreadyExists": Status.LATER,
    "ExternalKeyConflict": Status.LATER,
    "UniqueFieldsLimitExceeded": Status.LATER,
    "UnknownEmailError": Status.LATER,
    "UnknownUserIdError": Status.LATER,
    "UserIdAlreadyExists": Status.LATER,
}


@dataclass(frozen=True, slots=True)
class IterableSettings:
    """One Iterable project.

    Attributes:
        api_key: a server-side key of the project.
        region: the project's data centre, `us` or `eu`.
        base_url: takes the place of the region's address (the sandbox, a gateway).
        identifier: what selects a profile, `email` or `user_id`.
        create_fields: whether names the project does not know yet become fields of it; if not,
            Iterable drops them and each is counted as a warning.
    """

    api_key: Secret
    region: Literal["us", "eu"] = "us"
    base_url: str | None = None
    identifier: Literal["email", "user_id"] = "email"
    create_fields: bool = True


class Iterable:
    """The connector; see `destinations.base.Destination` for what each function promises."""

    def __init__(self, settings: IterableSettings) -> None:
        self.base_url = (settings.base_url or REGIONS[settings.region]).rstrip("/")
        self.identifier: str = settings.identifier
        self.auth: Mapping[str, Secret] = {"Api-Key": settings.api_key}
        self.endpoints: Mapping[Kind, Endpoint] = MappingProxyType(_ENDPOINTS)
        self._settings = settings
        self._create = "true" if settings.create_fields else "false"

    def __repr__(self) -> str:
        return f"Iterable({self._settings!r})"

    def columns(self, kind: Kind, sync: SyncShape) -> PayloadSpec:
        """Return the shape of one user or one event, without its id and time."""
        identifier = IDENTIFIERS[self.identifier]
        when = "%Y-%m-%d %H:%M:%S +00:00"  # one of the forms Iterable locks as a date
        if kind is Kind.IDENTIFY:
            constants = {"mergeNestedObjects": "false"}
            if self.identifier == "user_id":
                constants["preferUserId"] = "true"
            return PayloadSpec(
                identifier, "dataFields", constants=constants, timestamps=when, reserved=_MANAGED
            )
        if kind is Kind.TRACK:
            return PayloadSpec(identifier, "dataFields", event="eventName", timestamps=when)
        raise ConfigError(
            f"sync {sync.key!r}: Iterable has no {kind} calls here",
            key=sync.key,
            accepted=[str(known) for known in self.endpoints],
        )

    def prepare(self, kind: Kind, sync: SyncShape) -> Request | None:  # noqa: ARG002 - contract
        """Return None: profiles and events need nothing beforehand."""
        return None

    def encode(self, kind: Kind, rows: Sequence[Row], context: Context) -> Request:  # noqa: ARG002 - contract
        """Frame users or events; an event gets its id and createdAt (unix seconds) in front."""
        path = self.endpoints[kind].path
        create = f'"createNewFields":{self._create}'
        if kind is Kind.IDENTIFY:
            users = joined(rows, b",")
            return Request("POST", path, f'{{{create},"users":['.encode() + users + b"]}")
        # trackBulk takes createNewFields per event; the payload's own brace is replaced.
        parts = [
            f'{{"id":{quote(row.op_id)},"createdAt":{row.occurred_at // SECOND},{create},'.encode()
            + row.payload[1:]
            for row in rows
        ]
        return Request("POST", path, b'{"events":[' + b",".join(parts) + b"]}")

    def decode(self, kind: Kind, rows: Sequence[Row], response: Response) -> Outcomes:
        """Read the status first: `code: "Success"` can come with an error status."""
        body = _object(response.body)
        if not 200 <= response.status < 300:
            return _refusal(rows, response.status, body)
        succeeded: Any = body.get("successCount")
        failed: Any = body.get("failCount")
        counted = type(succeeded) is int and type(failed) is int
        if not counted or body.get("code", "Success") != "Success":
            return Outcomes(Outcome(Status.UNKNOWN, UNREADABLE))
        lists, understood = _failure_lists(body)
        exceptions = self._named(rows, lists, failed)
        if kind is Kind.TRACK:
            exceptions |= _disallowed(rows, body)
        explained = failed <= len(exceptions) and succeeded >= len(rows) - len(exceptions)
        ok = Outcome(Status.DELIVERED)
        rest = ok if understood and explained else Outcome(Status.UNKNOWN, "unexplained")
        dropped = _texts(body.get("filteredOutFields"))
        return Outcomes(rest, exceptions, {f"filteredOutFields:{name}": 1 for name in dropped})

    def pause(self, response: Response) -> float | None:
        """Return `params.rateLimitReset` of a 429 body, in seconds."""
        params = _object(response.body).get("params")
        reset: Any = params.get("rateLimitReset") if isinstance(params, dict) else None
        numeric = isinstance(reset, (int, float)) and not isinstance(reset, bool)
        return float(min(reset, LONGEST_RESET)) if numeric and reset >= 0 else None

    def _named(self, rows: Sequence[Row], lists: _Lists, failed: int) -> dict[int, Outcome]:
        """Return the rows whose identifier stands in a failure list; there is no index.

        Rows that share an identifier failed together if it is listed as often as it was sent, or
        if the count of failures says so; else it cannot be told which of them did.
        """
        fold = str.lower if self.identifier == "email" else str
        by_key: dict[str, list[Row]] = {}
        for row in rows if lists else ():
            by_key.setdefault(fold(row.dest_key), []).append(row)
        named: dict[int, Outcome] = {}
        values_named = {fold(value) for _, _, values in lists for value in values}
        all_failed = failed == sum(len(by_key.get(value, [])) for value in values_named)
        for name, status, values in lists:
            for value, times in Counter(map(fold, values)).items():
                same = by_key.get(value, [])
                together = all_failed or times >= len(same)
                outcome = Outcome(status if together else Status.UNKNOWN, name)
                for row in same:
                    named.setdefault(row.seq, outcome)
        return named


def _failure_lists(body: Mapping[str, Any]) -> tuple[_Lists, bool]:
    """Return what the answer lists as failed, permanent first, and whether all was understood."""
    nested = body.get("failedUpdates") or {}
    if not isinstance(nested, dict):
        return [], False
    # Deprecated copies; answers of 2021 had nothing else.
    lists = {name: body.get(name) for name in ("invalidEmails", "invalidUserIds")}
    lists |= {name: values for name, values in nested.items() if values}
    events = body.get("disallowedEventNames") or []
    understood = _texts(events) == events
    found: _Lists = []
    for name, values in lists.items():
        status = _FAILURES.get(name.removesuffix("Emails").removesuffix("UserIds"))
        texts = _texts(values)
        if values and (status is None or not texts):
            understood = False
        elif status is not None and texts:
            found.append((name, status, texts))
    return sorted(found, key=lambda entry: entry[1] is Status.LATER), understood


def _disallowed(rows: Sequence[Row], body: Mapping[str, Any]) -> dict[int, Outcome]:
    """Return the rows whose event the project does not take."""
    names = set(_texts(body.get("disallowedEventNames")))
    outcome = Outcome(Status.REJECTED, "disallowedEventNames", "eventName")
    return {
        row.seq: outcome
        for row in (rows if names else ())
        if json.loads(row.payload).get("eventName") in names
    }


def _refusal(rows: Sequence[Row], status: int, body: Mapping[str, Any]) -> Outcomes:
    """Read a 4xx: about one row or about all; of a wrong type it tells the value, not the row."""
    given = body.get("code")
    code = given if isinstance(given, str) and given != "Success" else f"http_{status}"
    field, detail = _mismatch(body.get("params"))
    blame = Status.REJECTED if status == 413 else _BLAMES.get(code, Status.UNKNOWN)
    alone = len(rows) == 1 and status in (400, 409, 413)
    named = {} if alone or blame is not Status.REJECTED else _offending(rows, body.get("params"))
    exceptions = {seq: Outcome(blame, code, field, detail) for seq in named}
    return Outcomes(Outcome(blame if alone else Status.UNKNOWN, code, field, detail), exceptions)


def _offending(rows: Sequence[Row], params: object) -> set[int]:
    """Return the rows that hold a value of which the answer says that its type is wrong."""
    errors = params.get("validationErrors") if isinstance(params, dict) else None
    wrong = [
        (name, error["offendingValue"])
        for name, error in (errors.items() if isinstance(errors, dict) else ())
        if isinstance(error, dict) and "offendingValue" in error
    ]
    return {
        row.seq
        for row in (rows if wrong else ())
        for fields in [json.loads(row.payload).get("dataFields", {})]
        for name, value in wrong
        if name in fields and fields[name] == value and type(fields[name]) is type(value)
    }


def _mismatch(params: object) -> tuple[str, str]:
    """Return the first field of a type mismatch, and its types without the offending value."""
    errors = params.get("validationErrors") if isinstance(params, dict) else None
    for name, error in errors.items() if isinstance(errors, dict) else ():
        types = error if isinstance(error, dict) else {}
        got = ", ".join(_texts(types.get("incomingTypes")))
        return str(name), f"expected {types.get('expectedType', '?')}, got {got}"
    return "", ""


def _texts(value: object) -> list[str]:
    """Return a list of strings, or an empty one where there is anything else."""
    good = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return list(value) if good and isinstance(value, list) else []


def _object(body: bytes) -> dict[str, Any]:
    """Return a strict JSON object, or an empty one where there is anything else."""
    try:
        value = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
