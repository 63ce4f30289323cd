"""users/update and users/bulkUpdate: fields, identities, types."""

from __future__ import annotations

import pytest

ADA, BOB = "ada@example.com", "bob@example.com"


def test_fields_are_merged_and_null_clears(client) -> None:
    assert client.update(email=ADA, dataFields={"plan": "free", "seats": 3})[0] == 200
    status, body = client.update(email=ADA, dataFields={"plan": None, "city": None, "ltv": 4.5})
    assert (status, body) == (200, {"msg": "", "code": "Success", "params": None})
    assert client.fields(ADA) == {"seats": 3, "ltv": 4.5}
    assert isinstance(client.fields(ADA)["ltv"], float)


@pytest.mark.parametrize(
    ("merge", "expected"),
    [(False, {"b": 2}), (True, {"a": 1, "b": 2})],
)
def test_nested_objects_are_replaced_or_merged(client, merge, expected) -> None:
    client.update(email=ADA, dataFields={"address": {"a": 1, "gone": 0}})
    client.update(
        email=ADA, dataFields={"address": {"gone": None, "b": 2}}, mergeNestedObjects=merge
    )
    found = client.fields(ADA)["address"]
    assert found == (expected if merge else {"gone": None, **expected})


def test_get_shows_a_user_by_email_and_by_user_id(client) -> None:
    client.update(email="Ada+x@Example.com", userId="u 1", dataFields={"plan": "free"})
    by_email = client.get("/api/users/ada+x@example.com")["user"]
    assert by_email["email"] == "ada+x@example.com"
    assert by_email["dataFields"]["plan"] == "free"
    assert by_email["dataFields"]["profileUpdatedAt"] == "2026-11-02 12:00:00 +00:00"
    assert client.get("/api/users/byUserId/u 1")["user"] == by_email
    assert client.get("/api/users/nobody@example.com") == {}


def test_bulk_answers_partial_failures_as_documented(start) -> None:
    client = start(forgotten=frozenset({BOB, "gone"}))
    status, body = client.bulk_update(
        {"email": ADA, "dataFields": {"n": 1}},
        {"email": "Not An Address"},
        {"email": "Bob@example.com"},
        {"userId": "gone"},
        {"userId": "x" * 53},
    )
    assert status == 200
    failed = {name: values for name, values in body["failedUpdates"].items() if values}
    assert failed == {
        "invalidEmails": ["Not An Address"],
        "invalidUserIds": ["x" * 53],
        "forgottenEmails": ["Bob@example.com"],
        "forgottenUserIds": ["gone"],
    }
    assert set(body["failedUpdates"]) == {
        reason + what
        for reason in ("invalid", "notFound", "invalidData", "conflict", "forgotten")
        for what in ("Emails", "UserIds")
    }
    assert (body["successCount"], body["failCount"]) == (1, 4)
    assert body["invalidEmails"] == ["Not An Address"]
    assert body["createdFields"] == ["n"]
    assert client.calls()[-1] | {"received_at": ""} == {
        "received_at": "",
        "method": "POST",
        "path": "/api/users/bulkUpdate",
        "status": 200,
        "items": 5,
        "accepted": 1,
    }


def test_one_wrong_type_fails_the_whole_bulk_call(client) -> None:
    client.update(email=ADA, dataFields={"ltv": 4.5, "seen": "2026-11-01 10:00:00 +00:00"})
    status, body = client.bulk_update(
        {"email": BOB, "dataFields": {"ltv": 1.0, "brand_new": "x"}},
        {"email": ADA, "dataFields": {"ltv": "much", "seen": "yesterday"}},
    )
    assert (status, body["code"]) == (400, "RequestFieldsTypesMismatched")
    assert body["params"]["validationErrors"] == {
        "ltv": {
            "incomingTypes": ["string", "keyword"],
            "expectedType": "double",
            "category": "user",
            "offendingValue": "much",
            "_type": "UnexpectedType",
        },
        "seen": {
            "incomingTypes": ["string", "keyword"],
            "expectedType": "date",
            "category": "user",
            "offendingValue": "yesterday",
            "_type": "UnexpectedType",
        },
    }
    assert client.fields(BOB) is None
    assert client.fields(ADA)["ltv"] == 4.5
    # Nothing of a refused call stays: the new field is not locked either.
    assert client.update(email=BOB, dataFields={"brand_new": 1})[0] == 200


@pytest.mark.parametrize(
    ("first", "then", "status"),
    [
        ("text", "2026-11-01", 200),
        ("2026-11-01", "2026-11-01T10:00:00.123Z", 200),
        ("2026-11-01", "text", 400),
        (450, 450.5, 400),
        (450.0, 450, 400),
        (450.0, 0.5, 200),
        (True, 1, 400),
        ("1", 1, 400),
        ([1], ["a"], 200),
        ([1], 1, 400),
        ({"a": 1}, {"b": "x"}, 200),
        ({"a": 1}, "x", 400),
        (1, None, 200),
        (None, "anything", 200),
    ],
)
def test_first_value_locks_the_type(shared, request, first, then, status) -> None:
    field = request.node.callspec.id
    assert shared.update(email=ADA, dataFields={field: first})[0] == 200
    assert shared.update(email=BOB, dataFields={field: then})[0] == status


def test_types_within_one_call_must_agree_too(client) -> None:
    users = [{"email": ADA, "dataFields": {"n": 1}}, {"email": BOB, "dataFields": {"n": 1.5}}]
    assert client.bulk_update(*users)[0] == 400
    assert client.fields(ADA) is None


def test_unknown_fields_are_filtered_out_if_not_wanted(client) -> None:
    client.update(email=ADA, dataFields={"known": "x"})
    user = {"email": ADA, "dataFields": {"known": "y", "unknown": 1}}
    status, body = client.bulk_update(user, createNewFields=False)
    assert (status, body["filteredOutFields"], body["createdFields"]) == (200, ["unknown"], [])
    assert client.fields(ADA) == {"known": "y"}
    assert client.bulk_update(user)[1]["createdFields"] == ["unknown"]


def test_email_project_needs_prefer_user_id_to_create_by_user_id(start) -> None:
    client = start(project="email")
    status, body = client.bulk_update({"userId": "u1"}, {"userId": "u2", "preferUserId": True})
    assert (status, body["failedUpdates"]["notFoundUserIds"]) == (200, ["u1"])
    assert client.get("/api/users/byUserId/u2")["user"]["email"] == "u2@placeholder.email"
    assert client.update(userId="u1")[1]["code"] == "UnknownUserIdError"
    assert client.update(userId="u2", dataFields={"n": 1})[0] == 200


def test_email_project_overwrites_the_user_id(start) -> None:
    client = start(project="email")
    client.update(email=ADA, userId="old")
    assert client.update(email=ADA, userId="new")[0] == 200
    assert client.get("/api/users/byUserId/old") == {}
    assert client.get("/api/users/byUserId/new")["user"]["email"] == ADA
    _, body = client.bulk_update({"email": ADA, "userId": "newer"}, {"userId": "new"})
    assert body["failedUpdates"]["notFoundUserIds"] == ["new"]


def test_hybrid_project_takes_either_and_refuses_a_conflict(client) -> None:
    client.update(email=ADA, dataFields={"n": 1})
    client.update(userId="u1", dataFields={"m": 1})
    # Two profiles cannot become one this way.
    assert client.bulk_update({"userId": "u1", "email": ADA})[1]["failCount"] == 1
    client.update(email=ADA, userId="u0")
    assert client.fields("u0") == {"n": 1}
    status, body = client.bulk_update({"email": ADA, "userId": "u1"})
    assert (status, body["failedUpdates"]["conflictEmails"]) == (200, [ADA])
    assert client.update(email=ADA, userId="u1")[0] == 409
    assert client.update(email=ADA, userId="another")[0] == 409


def test_user_id_project_needs_a_user_id(start) -> None:
    client = start(project="user_id")
    assert client.bulk_update({"email": ADA})[1]["code"] == "BadParams"
    assert client.update(userId="u1", email=ADA)[0] == 200


def test_the_same_user_twice_in_a_call_ends_as_the_last_one_says(client) -> None:
    client.bulk_update(
        {"email": ADA, "dataFields": {"n": 1, "a": 1}},
        {"email": "ADA@example.com", "dataFields": {"n": 2}},
    )
    assert client.fields(ADA) == {"n": 2, "a": 1}


def test_state_and_locked_types_survive_a_restart(start) -> None:
    start().update(email=ADA, dataFields={"n": 1})
    client = start()
    assert client.fields(ADA) == {"n": 1}
    assert client.update(email=BOB, dataFields={"n": "one"})[0] == 400
    assert client.update(email=BOB, dataFields={"n": 2})[0] == 200
    assert client.fields(ADA) == {"n": 1}
