"""The connector contract: value types and pure functions, no I/O.

A connector turns rows into the bytes of one request and one response into the outcome of every
row. It never sleeps, retries, logs or opens a socket; `destinations.delivery` does all of that,
the same way for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from destinations.scrub import register


class Kind(StrEnum):
    """What a request does; a request holds rows of one kind."""

    IDENTIFY = "identify"
    TRACK = "track"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    DELETE = "delete"


class Dedup(StrEnum):
    """What an endpoint does with the same op_id twice."""

    STATE = "state"  # an upsert of the same value: a repeat changes nothing
    UPSERT = "upsert"  # an event with a known id is overwritten
    FIRST = "first"  # an event with a known id is dropped
    NONE = "none"  # a repeat is a second event


class Locates(StrEnum):
    """How an endpoint names the rows of a request that failed."""

    IDENTITY = "identity"
    INDEX = "index"
    NOTHING = "nothing"


class Status(StrEnum):
    """What became of a row."""

    DELIVERED = "delivered"
    REJECTED = "rejected"  # permanent: not sent again until its content changes
    LATER = "later"  # not found, conflict, quota: tried again by later runs
    UNKNOWN = "unknown"  # the answer does not say


class Secret:
    """A value that never shows itself; `reveal()` is called where a header is framed.

    From the moment it is made, it is masked in whatever is shown, whoever says it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        register(value)
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Row(NamedTuple):
    """One op of a plan, ready to be framed.

    `payload` is a JSON object as UTF-8 bytes, rendered by SQL as the connector's `PayloadSpec`
    asks: user fields only, no id, time or secret. `occurred_at` is in unix microseconds, UTC;
    so is `not_before`, before which a request that is in doubt may still change the profile.
    """

    seq: int
    dest_key: str
    op_id: str
    occurred_at: int
    objects: int
    payload: bytes
    not_before: int = 0


@runtime_checkable
class Together(Protocol):
    """What a sequence of rows may know of all of them without a look at each."""

    def __len__(self) -> int: ...

    def joined(self, between: bytes) -> bytes:
        """Return the payloads in order, with something between each two."""
        ...

    def payload_bytes(self) -> int:
        """Return the bytes of all payloads."""
        ...

    def objects(self) -> int:
        """Return how many objects the rows are to their endpoint."""
        ...

    def latest_wait(self) -> int:
        """Return the highest `not_before`, 0 if no row has to wait."""
        ...

    def is_once(self) -> bool:
        """Return whether no dest_key comes twice."""
        ...


def joined(rows: Sequence[Row], between: bytes) -> bytes:
    """Return the payloads of rows in order, with something between each two."""
    if isinstance(rows, Together):
        return rows.joined(between)
    return between.join([row.payload for row in rows])


@dataclass(frozen=True, slots=True)
class Window:
    """At most `requests` requests in any `seconds`: the vendor's limit, or our part of it."""

    requests: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The limits and habits of one call, as the vendor documents them.

    `one_per_key`: a dest_key comes at most once in a request, because two of its rows could not
    be told apart in the answer. `max_bytes` is of the encoded body.
    """

    path: str
    windows: tuple[Window, ...]
    max_rows: int
    max_bytes: int
    max_objects: int
    dedup: Dedup
    locates: Locates
    one_per_key: bool = True
    concurrency: int = 1
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class PayloadSpec:
    """What SQL renders into `plan_ops.payload` for each row of a kind.

    The payload is `{constants..., identifier: dest_key, event: name, fields: {mapped columns}}`.

    Attributes:
        identifier: key under which the dest_key goes.
        fields: key of the object that holds the mapped columns.
        event: key of the event's name, for kinds that have one.
        constants: JSON literals, already encoded, by key.
        timestamps: strftime format of instants, UTC.
        null_clears: whether a JSON null clears the field at the destination.
        reserved: field names that the vendor manages and that must not be sent.
    """

    identifier: str
    fields: str
    event: str | None = None
    constants: Mapping[str, str] = field(default_factory=dict)
    timestamps: str = "%Y-%m-%dT%H:%M:%SZ"
    null_clears: bool = True
    reserved: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SyncShape:
    """What a connector may know of a sync: its key and the connector's own settings in it."""

    key: str
    audience: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """What was learned from the vendor before (list ids ...), kept in `destination_state`."""

    sync: SyncShape
    state: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request without its host and its secret headers."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer; header names are lower case, the body is bounded and decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row; `detail` holds no personal data."""

    status: Status
    code: str = ""
    field: str = ""
    detail: str = ""


UNREADABLE = "unreadable"
"""Code of an UNKNOWN outcome whose answer as a whole was not understood (HTML, empty, cut ...)."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Exactly one outcome per row: `exceptions` by seq, `rest` for every other row.

    `warnings` counts what the vendor took but did not keep (fields filtered out ...).
    """

    rest: Outcome
    exceptions: Mapping[int, Outcome] = field(default_factory=dict)
    warnings: Mapping[str, int] = field(default_factory=dict)

    def of(self, seq: int) -> Outcome:
        """Return the outcome of the row with that seq."""
        return self.exceptions.get(seq, self.rest)


@dataclass(frozen=True, slots=True)
class FollowUp:
    """The vendor took the request as a job: ask again with `request` after `seconds`."""

    request: Request
    seconds: float


class Destination(Protocol):
    """A messaging tool: declarations and pure functions.

    `identifier` is the column of a user that selects a profile (`email` or `user_id`).
    `auth` holds the headers that prove who we are; the transport adds them, nobody else sees them.
    """

    base_url: str
    identifier: str
    auth: Mapping[str, Secret]
    endpoints: Mapping[Kind, Endpoint]

    def columns(self, kind: Kind, sync: SyncShape) -> PayloadSpec:
        """Return what SQL has to render for each row of this kind."""
        ...

    def prepare(self, kind: Kind, sync: SyncShape) -> Request | None:
        """Return a request to make once before the first row (create a list ...), or None."""
        ...

    def encode(self, kind: Kind, rows: Sequence[Row], context: Context) -> Request:
        """Frame rows of one kind as one request, within the endpoint's limits."""
        ...

    def decode(self, kind: Kind, rows: Sequence[Row], response: Response) -> Outcomes | FollowUp:
        """Read an answer of status 2xx, or 4xx other than 401, 403, 408, 425 and 429.

        A 2xx body that is not understood is UNKNOWN with code `UNREADABLE`, never delivered: the
        sender repeats the same request. Rows that a readable answer leaves unexplained are
        UNKNOWN too, named or as `rest`: the sender splits until the row at fault stands alone.
        """
        ...

    def pause(self, response: Response) -> float | None:
        """Return the seconds a 429 asks for in the vendor's own way (body ...), or None."""
        ...
