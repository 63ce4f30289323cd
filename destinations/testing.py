"""The contract that every connector's test inherits: pure checks, without a network.

class TestAcme(DestinationContract):
    settings = AcmeSettings(api_key=Secret(SECRET))
    destination = Acme(settings)
    secret = SECRET
    golden = Path(__file__).parent / "golden" / "acme.json"
    partial = (Partial("bad address", Kind.IDENTIFY, keys, response, expected), ...)

    def accepted(self, kind, rows): ...     # the answer to a request that went well
    def unexplained(self, kind, rows): ...  # answers that speak of failures without naming rows
    def items(self, kind, body): ...        # the users or events inside a request body
"""

# ruff: noqa: S101 - assertions are what this module is for

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isinf
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from destinations.base import (
    UNREADABLE,
    Context,
    Destination,
    Endpoint,
    Kind,
    Locates,
    Outcomes,
    PayloadSpec,
    Request,
    Response,
    Row,
    Status,
    SyncShape,
)
from destinations.delivery.batcher import batches

SYNC = SyncShape("contract", audience="contract")
CONTEXT = Context(SYNC)
EVENT = "Audience Entered"
KEYS = ("ada@example.com", "bob+tag@example.com", "Cy.D@example.com", "dee@example.com")

HOSTILE = (
    'say "hi" \\ back',
    "line\nfeed\ttab\x00\x1f\x7f",
    "\u2028\u2029 </script> {{x}} %s",
    "\U0001f469\u200d\U0001f4bb Grüße 日本語 مرحبا",
    '"}]},{"email":"other@example.com"',
    "x" * 20_000,
)
"""Texts that break whoever builds JSON by hand."""

NOT_ANSWERS = (
    b"",
    b"<html>Welcome to the proxy</html>",
    b"{}",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"NaN",
)
"""Bodies that come with a 2xx from something other than the vendor's endpoint."""

_quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
)
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False).filter(lambda number: not isinf(number))
    | _text
)
_fields = st.dictionaries(_text, _scalars | st.lists(_scalars, max_size=4), max_size=6)
_op_ids = st.uuids().map(str)
_times = st.integers(0, 4_102_444_800_000_000)


@dataclass(frozen=True, slots=True)
class Partial:
    """A documented answer to a request of which some rows failed.

    Attributes:
        name: what the answer is about; shown when the check fails.
        kind: of the request.
        keys: the dest_keys of its rows; the first row has seq 1.
        response: the vendor's answer.
        expected: (status, code) by seq; every other row counts as delivered.
        events: the event names of the rows, for kinds that have one; the last one repeats.
    """

    name: str
    kind: Kind
    keys: tuple[str, ...]
    response: Response
    expected: Mapping[int, tuple[Status, str]]
    events: tuple[str, ...] = (EVENT,)


def render(
    spec: PayloadSpec, dest_key: str, fields: Mapping[str, Any], event: str = EVENT
) -> bytes:
    """Render a payload as the warehouse's SQL does for this spec."""
    shape: dict[str, Any] = {key: json.loads(value) for key, value in spec.constants.items()}
    shape[spec.identifier] = dest_key
    if spec.event is not None:
        shape[spec.event] = event
    shape[spec.fields] = dict(fields)
    return json.dumps(shape, ensure_ascii=False, separators=(",", ":")).encode()


def row(seq: int, dest_key: str, payload: bytes, *, objects: int = 1) -> Row:
    """Return a row whose op_id and time follow from its seq."""
    op_id = f"00000000-0000-4000-8000-{seq:012d}"
    return Row(seq, dest_key, op_id, (1_760_000_000 + seq) * 1_000_000, objects, payload)


def strict(body: bytes) -> Any:
    """Parse JSON as the strictest reader would: UTF-8, no NaN, no key twice in an object."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), f"a key comes twice: {keys}"
        return dict(pairs)

    def never(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(body.decode("utf-8"), object_pairs_hook=once, parse_constant=never)


class DestinationContract:
    """Checks that hold for every connector; see the module for what a subclass gives."""

    settings: ClassVar[object]
    destination: ClassVar[Destination]
    secret: ClassVar[str]
    golden: ClassVar[Path]
    partial: ClassVar[Sequence[Partial]]

    def accepted(self, kind: Kind, rows: Sequence[Row]) -> Response:
        """Return the vendor's answer to a request that went well."""
        raise NotImplementedError

    def unexplained(self, kind: Kind, rows: Sequence[Row]) -> Sequence[Response]:
        """Return readable 2xx answers after which no row may count as delivered."""
        raise NotImplementedError

    def items(self, kind: Kind, body: Any) -> list[Any]:
        """Return the users or events of a parsed request body, in order."""
        raise NotImplementedError

    def test_golden_bodies(self) -> None:
        """Requests are byte for byte those that were reviewed."""
        cases = json.loads(self.golden.read_text(encoding="utf-8"))
        kinds = {Kind(case["kind"]) for case in cases}
        assert kinds == set(self.destination.endpoints), "a golden case for each kind"
        for case in cases:
            rows = [Row._make([*given[:-1], given[-1].encode(), 0]) for given in case["rows"]]
            request = self.destination.encode(Kind(case["kind"]), rows, CONTEXT)
            assert request.method == case["method"], case["name"]
            assert request.path == case["path"], case["name"]
            assert request.body.decode() == case["body"], case["name"]

    def test_declarations_make_sense(self) -> None:
        """Limits are positive and paths absolute."""
        for kind, endpoint in self.destination.endpoints.items():
            assert endpoint.path.startswith("/"), kind
            limits = (endpoint.max_rows, endpoint.max_bytes, endpoint.max_objects)
            assert min(limits) > 0, kind
            assert endpoint.concurrency > 0, kind
            assert endpoint.windows, kind
            assert all(w.requests > 0 and w.seconds > 0 for w in endpoint.windows), kind
        assert self.destination.base_url.startswith("http")

    @_quick
    @given(st.lists(st.tuples(_fields, _op_ids, _times), min_size=1, max_size=5))
    def test_encode_is_strict_lossless_and_deterministic(
        self, given_rows: list[tuple[dict[str, Any], str, int]]
    ) -> None:
        """Whatever the warehouse holds arrives as it was, in order."""
        for kind, spec in self._specs():
            rows = [
                Row(seq, f"u{seq}@example.com", op_id, at, 1, render(spec, f"u{seq}", fields))
                for seq, (fields, op_id, at) in enumerate(given_rows, 1)
            ]
            request = self.destination.encode(kind, rows, CONTEXT)
            assert request == self.destination.encode(kind, rows, CONTEXT)
            self._check_items(kind, rows, request)

    def test_hostile_text_survives(self) -> None:
        """Quotes, control characters, emoji and long text, as names and as values."""
        for kind, spec in self._specs():
            rows = [
                row(seq, text[:60], render(spec, text[:60], {"note": text, text[:60]: 1}, text))
                for seq, text in enumerate(HOSTILE, 1)
            ]
            self._check_items(kind, rows, self.destination.encode(kind, rows, CONTEXT))

    @_quick
    @given(
        st.lists(st.tuples(st.integers(0, 6), st.integers(1, 3), st.integers(0, 900)), max_size=30),
        st.integers(1, 6),
        st.integers(3, 9),
        st.integers(1_600, 6_000),
    )
    def test_requests_stay_within_limits(
        self, shapes: list[tuple[int, int, int]], max_rows: int, max_objects: int, max_bytes: int
    ) -> None:
        """Any rows, any limits: count, objects, bytes; one row per identity where it matters."""
        for kind, spec in self._specs():
            tight = replace(
                self.destination.endpoints[kind],
                max_rows=max_rows,
                max_objects=max_objects,
                max_bytes=max_bytes,
            )
            rows = [
                row(seq, f"u{who}", render(spec, f"u{who}", {"pad": "x" * size}), objects=objects)
                for seq, (who, objects, size) in enumerate(shapes, 1)
            ]
            self._check_batches(kind, tight, rows)

    def test_the_declared_limits_hold(self) -> None:
        """A request filled to the endpoint's own limits is within them."""
        for kind, spec in self._specs():
            endpoint = self.destination.endpoints[kind]
            for size in (1, 2 * endpoint.max_bytes // endpoint.max_rows):
                keys = [f"user{number}@example.com" for number in range(endpoint.max_rows + 3)]
                pad = {"pad": "x" * size}
                rows = [row(seq, key, render(spec, key, pad)) for seq, key in enumerate(keys, 1)]
                self._check_batches(kind, endpoint, rows)

    def test_success_delivers_every_row(self) -> None:
        """Nothing is left over when the vendor says that all went well."""
        for kind, rows in self._requests():
            outcomes = self._decode(kind, rows, self.accepted(kind, rows))
            assert {outcomes.of(r.seq).status for r in rows} == {Status.DELIVERED}, kind

    def test_partial_failures_are_seen(self) -> None:
        """A 2xx that hides failures gives each row its own outcome."""
        assert self.partial, "give the partial failures the vendor documents"
        for case in self.partial:
            spec = self.destination.columns(case.kind, SYNC)
            events = case.events + case.events[-1:] * len(case.keys)
            rows = [
                row(seq, key, render(spec, key, {"plan": "pro"}, event))
                for seq, (key, event) in enumerate(zip(case.keys, events, strict=False), 1)
            ]
            outcomes = self._decode(case.kind, rows, case.response)
            found = {r.seq: outcomes.of(r.seq) for r in rows}
            told = {seq: (outcome.status, outcome.code) for seq, outcome in found.items()}
            delivered = {r.seq: (Status.DELIVERED, "") for r in rows}
            assert told == {**delivered, **case.expected}, case.name
            for key in case.keys:
                assert key not in repr(outcomes), f"{case.name}: personal data in the outcome"

    def test_unexplained_answers_deliver_nothing(self) -> None:
        """A failure that is counted but not named leaves every row unknown, not delivered."""
        for kind, rows in self._requests():
            for response in self.unexplained(kind, rows):
                outcomes = self._decode(kind, rows, response)
                statuses = {outcomes.of(r.seq).status for r in rows}
                assert Status.DELIVERED not in statuses, response.body

    def test_strange_bodies_are_never_success(self) -> None:
        """Empty, HTML, empty JSON, cut off: unreadable as a whole, so the request is repeated."""
        for kind, rows in self._requests():
            good = self.accepted(kind, rows)
            cut = [good.body[:size] for size in range(0, len(good.body), 7)]
            for body in (*NOT_ANSWERS, *cut):
                for status in (200, 202, 204):
                    outcomes = self._decode(kind, rows, replace(good, status=status, body=body))
                    assert outcomes.rest.status is Status.UNKNOWN, body
                    assert outcomes.rest.code == UNREADABLE, body
                    assert not outcomes.exceptions, body

    def test_refusals_deliver_nothing(self) -> None:
        """The status counts, whatever the body says; the rest is up to the sender."""
        for kind, rows in self._requests():
            good = self.accepted(kind, rows)
            for status in (400, 404, 409, 413, 422):
                for body in (good.body, *NOT_ANSWERS):
                    outcomes = self._decode(kind, rows, replace(good, status=status, body=body))
                    told = [outcomes.of(r.seq) for r in rows]
                    assert all(outcome.status is not Status.DELIVERED for outcome in told), body
                    assert all(outcome.code for outcome in told), body

    def test_pause_reads_any_body(self) -> None:
        """A 429 with an unreadable body asks for no particular pause."""
        for body in NOT_ANSWERS:
            assert self.destination.pause(Response(429, {}, body)) is None

    def test_secret_never_shows(self) -> None:
        """Not in repr, str or any request; it is in `auth` and nowhere else."""
        held = [secret.reveal() for secret in self.destination.auth.values()]
        assert any(self.secret in value for value in held), "the secret under test is not in use"
        shown = [repr(self.destination), str(self.destination), repr(self.settings)]
        shown += [repr(self.destination.auth)]
        for kind, rows in self._requests():
            shown += [repr(self.destination.encode(kind, rows, CONTEXT))]
            shown += [repr(self.destination.prepare(kind, SYNC))]
        assert not [text for text in shown if self.secret in text]

    def _specs(self) -> Iterator[tuple[Kind, PayloadSpec]]:
        for kind in self.destination.endpoints:
            yield kind, self.destination.columns(kind, SYNC)

    def _requests(self) -> Iterator[tuple[Kind, list[Row]]]:
        for kind, spec in self._specs():
            for keys in (KEYS, KEYS[:1]):
                yield (
                    kind,
                    [
                        row(seq, key, render(spec, key, {"n": seq}))
                        for seq, key in enumerate(keys, 1)
                    ],
                )

    def _check_items(self, kind: Kind, rows: Sequence[Row], request: Request) -> None:
        items = self.items(kind, strict(request.body))
        assert len(items) == len(rows)
        for sent, item in zip(rows, items, strict=True):
            payload = strict(sent.payload)
            assert {key: item[key] for key in payload} == payload

    def _check_batches(self, kind: Kind, endpoint: Endpoint, rows: Sequence[Row]) -> None:
        made = list(batches([rows], endpoint))
        assert [r for batch in made for r in batch] == list(rows)
        for batch in made:
            assert 0 < len(batch) <= endpoint.max_rows
            keys = {r.dest_key for r in batch}
            if endpoint.locates is Locates.IDENTITY and endpoint.one_per_key:
                assert len(keys) == len(batch)
            if len(batch) > 1:
                assert sum(r.objects for r in batch) <= endpoint.max_objects
                body = self.destination.encode(kind, batch, CONTEXT).body
                assert len(body) <= endpoint.max_bytes

    def _decode(self, kind: Kind, rows: Sequence[Row], response: Response) -> Outcomes:
        outcomes = self.destination.decode(kind, rows, response)
        if not isinstance(outcomes, Outcomes):
            pytest.fail(f"{kind}: an asynchronous job where an answer was expected")
        seqs = {r.seq for r in rows}
        assert set(outcomes.exceptions) <= seqs, "an outcome for a row that was not sent"
        return outcomes
