"""The Iterable connector: the contract, and what only Iterable does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from destinations.base import Context, Kind, Outcomes, Response, Row, Secret, Status, SyncShape
from destinations.errors import ConfigError
from destinations.iterable import Iterable, IterableSettings
from destinations.testing import DestinationContract, Partial, render, row

SECRET = "itbl-0123456789abcdef"
SYNC = SyncShape("traits")
CONTEXT = Context(SYNC)
REJECTED, LATER, UNKNOWN = Status.REJECTED, Status.LATER, Status.UNKNOWN
USERS = ("ada@example.com", "bob@example.com", "cy@example.com")


def answer(body: object, status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(body).encode())


def counts(rows: int, failed: int = 0, /, **more: object) -> dict[str, object]:
    return {"successCount": rows - failed, "failCount": failed, **more}


def partial(name: str, kind: Kind, expected: dict, more: dict, events: tuple = ("E",)) -> Partial:
    body = counts(len(USERS), len(expected), **more)
    return Partial(name, kind, USERS, answer(body), expected, events)


class TestIterable(DestinationContract):
    settings = IterableSettings(api_key=Secret(SECRET))
    destination = Iterable(settings)
    secret = SECRET
    golden = Path(__file__).parent / "golden" / "iterable.json"
    partial = (
        *(
            partial(name, kind, {2: (status, name)}, {"failedUpdates": {name: ["Bob@Example.com"]}})
            for kind in (Kind.IDENTIFY, Kind.TRACK)
            for name, status in {
                "invalidEmails": REJECTED,
                "invalidDataEmails": REJECTED,
                "forgottenEmails": REJECTED,
                "notFoundEmails": LATER,
                "conflictEmails": LATER,
            }.items()
        ),
        partial(
            "several lists",
            Kind.IDENTIFY,
            {1: (REJECTED, "forgottenEmails"), 3: (LATER, "notFoundEmails")},
            {
                "failedUpdates": {
                    "notFoundEmails": ["cy@example.com", "ada@example.com"],
                    "forgottenEmails": ["ada@example.com"],
                    "invalidEmails": [],
                }
            },
        ),
        partial(
            "only the deprecated copy",
            Kind.IDENTIFY,
            {1: (REJECTED, "invalidEmails")},
            {"invalidEmails": ["ada@example.com"], "invalidUserIds": []},
        ),
        partial(
            "a disallowed event",
            Kind.TRACK,
            {2: (REJECTED, "disallowedEventNames")},
            {"disallowedEventNames": ["Left"]},
            ("Came", "Left", "Came"),
        ),
        partial(
            "every row failed",
            Kind.TRACK,
            dict.fromkeys((1, 2, 3), (LATER, "notFoundEmails")),
            {"failedUpdates": {"notFoundEmails": list(USERS)}},
        ),
    )

    def accepted(self, kind: Kind, rows: Sequence[Row]) -> Response:
        lists = {"invalidEmails": [], "notFoundEmails": [], "somethingNewEmails": []}
        return answer(counts(len(rows), failedUpdates=lists, createdFields=["n"]))

    def unexplained(self, kind: Kind, rows: Sequence[Row]) -> Sequence[Response]:
        sent = len(rows)
        return [
            answer(counts(sent, 1)),
            answer(counts(sent, 1, failedUpdates={"invalidEmails": ["nobody@example.com"]})),
            answer(counts(sent, failedUpdates={"bewitchedEmails": ["ada@example.com"]})),
            answer(counts(sent, failedUpdates={"invalidEmails": "ada@example.com"})),
            answer(counts(sent, failedUpdates=["ada@example.com"])),
            answer(counts(sent, disallowedEventNames="all")),
            answer(counts(sent - 1)),
            answer({"successCount": sent, "failCount": 1}),
            answer({"successCount": sent}),
            answer({"successCount": str(sent), "failCount": "0"}),
            answer({"code": "BadParams", **counts(sent)}),
        ]

    def items(self, kind: Kind, body: Any) -> list[Any]:
        return body["users" if kind is Kind.IDENTIFY else "events"]


def decode(
    kind: Kind, keys: Sequence[str], response: Response, identifier: str = "email"
) -> Outcomes:
    destination = Iterable(IterableSettings(Secret(SECRET), identifier=identifier))  # type: ignore
    spec = destination.columns(kind, SYNC)
    rows = [row(seq, key, render(spec, key, {})) for seq, key in enumerate(keys, 1)]
    return destination.decode(kind, rows, response)


def test_user_id_project_asks_for_the_user_id_to_be_preferred() -> None:
    destination = Iterable(IterableSettings(Secret(SECRET), identifier="user_id"))
    spec = destination.columns(Kind.IDENTIFY, SYNC)
    assert spec.identifier == "userId"
    assert spec.constants == {"mergeNestedObjects": "false", "preferUserId": "true"}
    assert destination.columns(Kind.TRACK, SYNC).constants == {}


def test_user_ids_are_matched_with_case_and_emails_without() -> None:
    body = counts(2, 1, failedUpdates={"notFoundUserIds": ["U1"], "notFoundEmails": []})
    outcomes = decode(Kind.TRACK, ["u1", "U1"], answer(body), "user_id")
    assert (outcomes.of(1).status, outcomes.of(2).status) == (Status.DELIVERED, LATER)


def test_a_key_sent_twice_that_failed_once_is_unknown() -> None:
    body = counts(2, 1, failedUpdates={"invalidEmails": ["a@example.com"]})
    outcomes = decode(Kind.TRACK, ["a@example.com", "a@example.com"], answer(body))
    assert {outcomes.of(seq).status for seq in (1, 2)} == {UNKNOWN}


def test_new_fields_are_not_created_unless_wanted() -> None:
    destination = Iterable(IterableSettings(Secret(SECRET), create_fields=False))
    for kind in (Kind.IDENTIFY, Kind.TRACK):
        payload = render(destination.columns(kind, SYNC), "a@example.com", {"n": 1})
        body = destination.encode(kind, [row(1, "a@example.com", payload)], CONTEXT).body
        assert body.count(b'"createNewFields":false') == 1


def test_filtered_out_fields_are_warned_about() -> None:
    body = counts(1, filteredOutFields=["favourite_colour"])
    outcomes = decode(Kind.IDENTIFY, ["a@example.com"], answer(body))
    assert outcomes.rest.status is Status.DELIVERED
    assert outcomes.warnings == {"filteredOutFields:favourite_colour": 1}


MISMATCH = {
    "code": "RequestFieldsTypesMismatched",
    "msg": "Field 'revenue_total' ...",
    "params": {
        "validationErrors": {
            "revenue_total": {
                "incomingTypes": ["string", "keyword"],
                "expectedType": "double",
                "category": "user",
                "offendingValue": "twelve",
                "_type": "UnexpectedType",
            }
        }
    },
}


@pytest.mark.parametrize(("rows", "status"), [(1, REJECTED), (2, UNKNOWN)])
def test_type_mismatch_names_the_field_and_blames_a_row_that_stands_alone(
    rows: int, status: Status
) -> None:
    outcome = decode(Kind.IDENTIFY, USERS[:rows], answer(MISMATCH, 400)).rest
    assert (outcome.status, outcome.code) == (status, "RequestFieldsTypesMismatched")
    assert outcome.field == "revenue_total"
    assert outcome.detail == "expected double, got string, keyword"


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "ForgottenUserError", REJECTED),
        (409, "ForgottenUserError", REJECTED),
        (400, "InvalidEmailAddressError", REJECTED),
        (400, "UnknownEmailError", LATER),
        (409, "ExternalKeyConflict", LATER),
        (400, "BadParams", UNKNOWN),
        (422, "ForgottenUserError", UNKNOWN),
        (413, "RequestEntityTooLarge", REJECTED),
    ],
)
def test_codes_of_a_refused_row(status: int, code: str, expected: Status) -> None:
    alone = decode(Kind.TRACK, USERS[:1], answer({"code": code, "msg": "no"}, status)).rest
    assert (alone.status, alone.code) == (expected, code)
    several = decode(Kind.TRACK, USERS, answer({"code": code, "msg": "no"}, status)).rest
    assert (several.status, several.code) == (UNKNOWN, code)


def test_code_success_with_an_error_status_is_an_error() -> None:
    outcome = decode(Kind.TRACK, USERS[:1], answer({"code": "Success", **counts(1)}, 400)).rest
    assert (outcome.status, outcome.code) == (UNKNOWN, "http_400")


@pytest.mark.parametrize(
    ("params", "seconds"),
    [
        ({"rateLimitReset": 3}, 3.0),
        ({"rateLimitReset": 0.5}, 0.5),
        ({"rateLimitReset": True}, None),
        ({"rateLimitReset": "soon"}, None),
        ({"rateLimitReset": float("inf")}, None),
        ({"rateLimitReset": -1}, None),
        ({}, None),
        (None, None),
    ],
)
def test_pause_is_what_the_body_asks_for(params: object, seconds: float | None) -> None:
    body = {"code": "RateLimitExceeded", "params": params}
    assert TestIterable.destination.pause(answer(body, 429)) == seconds


def test_created_at_is_the_second_of_the_change() -> None:
    destination = TestIterable.destination
    payload = render(destination.columns(Kind.TRACK, SYNC), "a@example.com", {})
    sent = Row(1, "a@example.com", 'odd "id"\n', 1_760_000_000_999_999, 1, payload)
    event = json.loads(destination.encode(Kind.TRACK, [sent], CONTEXT).body)["events"][0]
    assert (event["createdAt"], event["id"]) == (1_760_000_000, 'odd "id"\n')


def test_unsupported_kind_names_the_sync_and_the_choices() -> None:
    with pytest.raises(ConfigError) as caught:
        TestIterable.destination.columns(Kind.SUBSCRIBE, SYNC)
    assert caught.value.key == "traits"
    assert caught.value.accepted == ("identify", "track")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "https://api.iterable.com"),
        ({"region": "eu"}, "https://api.eu.iterable.com"),
        ({"base_url": "http://127.0.0.1:8025/"}, "http://127.0.0.1:8025"),
    ],
)
def test_address_follows_the_region(given: dict[str, Any], url: str) -> None:
    assert Iterable(IterableSettings(Secret(SECRET), **given)).base_url == url


@pytest.mark.parametrize(
    ("listed", "failed", "status"),
    [
        (["a@example.com"], 2, Status.REJECTED),  # named once, counted twice: both failed
        (["a@example.com"] * 2, 2, Status.REJECTED),
        (["a@example.com"], 1, Status.UNKNOWN),  # one of the two, and nobody says which
    ],
)
def test_events_of_one_user_fail_together_if_the_count_says_so(
    listed: list[str], failed: int, status: Status
) -> None:
    destination = Iterable(IterableSettings(Secret("k")))
    rows = [
        Row(n, key, f"id{n}", 0, 1, b"{}") for n, key in enumerate(["a@example.com"] * 2 + ["b"])
    ]
    body = {
        "successCount": 3 - failed,
        "failCount": failed,
        "failedUpdates": {"invalidEmails": listed},
    }
    decoded = destination.decode(Kind.TRACK, rows, Response(200, {}, json.dumps(body).encode()))
    assert isinstance(decoded, Outcomes)
    assert [decoded.of(row.seq).status for row in rows] == [status, status, Status.DELIVERED]
