"""events/track and events/trackBulk."""

from __future__ import annotations

import pytest

ADA = "ada@example.com"
ENTERED = {
    "email": ADA,
    "eventName": "Audience Entered",
    "id": "op-1",
    "createdAt": 1_760_000_000,
    "dataFields": {"audience_key": "re_engagement", "re_engagement": True},
}


def test_an_event_of_an_unknown_user_is_not_taken(client) -> None:
    status, body = client.track_bulk(ENTERED, {"userId": "u1", "eventName": "E"})
    assert (status, body["successCount"], body["failCount"]) == (200, 0, 2)
    assert body["failedUpdates"]["notFoundEmails"] == [ADA]
    assert body["failedUpdates"]["notFoundUserIds"] == ["u1"]
    assert set(body["failedUpdates"]) == {
        reason + what
        for reason in ("invalid", "notFound", "forgotten")
        for what in ("Emails", "UserIds")
    }
    assert client.track(**ENTERED)[1]["code"] == "UnknownEmailError"
    assert client.fields(ADA) is None


def test_an_event_creates_its_user_if_so_switched(start) -> None:
    client = start(track_creates_users=True)
    assert client.track_bulk(ENTERED)[1]["successCount"] == 1
    assert client.track(eventName="E", email="bob@example.com")[0] == 200
    assert client.fields(ADA) == {}
    assert len(client.events("bob@example.com")) == 1


def test_a_known_id_is_overwritten_and_the_repeat_can_be_seen(client) -> None:
    client.update(email=ADA)
    client.track_bulk(ENTERED)
    again = {**ENTERED, "createdAt": 1_760_000_001, "dataFields": {"re_engagement": False}}
    assert client.track_bulk(again)[1]["successCount"] == 1
    assert client.events(ADA) == [
        {
            "id": "op-1",
            "eventName": "Audience Entered",
            "createdAt": 1_760_000_001,
            "created_at": "2025-10-09T08:53:21+00:00",
            "dataFields": {"re_engagement": False},
            "times_received": 2,
        }
    ]


def test_without_id_every_event_counts_and_without_time_it_is_now(client, clock) -> None:
    client.update(email=ADA)
    for _ in range(2):
        assert client.track(email=ADA, eventName="E")[1]["params"]["id"]
    events = client.events(ADA)
    assert len(events) == 2
    assert {event["createdAt"] for event in events} == {int(clock.now().timestamp())}


def test_disallowed_events_are_named(start) -> None:
    client = start(disallowed_events=frozenset({"Secret"}))
    client.update(email=ADA)
    status, body = client.track_bulk(ENTERED, {**ENTERED, "id": "op-2", "eventName": "Secret"})
    assert (status, body["disallowedEventNames"], body["failCount"]) == (200, ["Secret"], 1)
    status, body = client.track(email=ADA, eventName="Secret")
    assert (status, body["code"]) == (200, "Success")
    assert "is disallowed from tracking" in body["msg"]
    assert [event["id"] for event in client.events(ADA)] == ["op-1"]


def test_user_and_event_fields_are_locked_apart(client) -> None:
    client.update(email=ADA, dataFields={"total": 1})
    assert client.track(email=ADA, eventName="Order", dataFields={"total": "x"})[0] == 200
    status, body = client.track_bulk(
        {"email": ADA, "eventName": "Order", "id": "o1", "dataFields": {"total": "y"}},
        {"email": ADA, "eventName": "Order", "id": "o2", "dataFields": {"total": 2}},
    )
    assert (status, body["code"]) == (400, "RequestFieldsTypesMismatched")
    assert body["params"]["validationErrors"]["total"]["category"] == "event"
    assert len(client.events(ADA)) == 1


def test_create_new_fields_is_per_event(client) -> None:
    client.update(email=ADA)
    _, body = client.track_bulk(
        {
            "email": ADA,
            "eventName": "E",
            "id": "a",
            "createNewFields": False,
            "dataFields": {"x": 1},
        },
    )
    assert (body["filteredOutFields"], body["createdFields"]) == (["x"], [])
    assert client.events(ADA)[0]["dataFields"] == {}
    event = {"email": ADA, "eventName": "E", "dataFields": {"y": 1}}
    _, body = client.track_bulk({**event, "createNewFields": False}, event)
    assert (body["filteredOutFields"], body["createdFields"]) == ([], ["y"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"eventName": None},
        {"eventName": ""},
        {"id": "x" * 513},
        {"id": "é" * 257},
        {"id": 5},
        {"createdAt": 1_760_000_000.5},
        {"createdAt": "2026-11-01"},
        {"createdAt": True},
        {"createdAt": 10**20},
        {"dataFields": []},
        {"email": None},
        {"email": 5},
        {"createNewFields": "yes"},
    ],
)
def test_a_badly_formed_event_refuses_the_call(shared, wrong) -> None:
    shared.update(email=ADA)
    status, body = shared.track_bulk(ENTERED, {**ENTERED, "id": "op-2", **wrong})
    assert (status, body["code"]) == (400, "BadParams")
    assert shared.events(ADA) == []


def test_events_can_be_read_back_newest_first(client) -> None:
    client.update(email=ADA)
    client.track_bulk(ENTERED, {**ENTERED, "id": "op-2", "createdAt": 1_760_000_001})
    found = client.get(f"/api/events/{ADA}")["events"]
    assert [event["id"] for event in found] == ["op-2", "op-1"]
    assert found[1]["createdAt"] == "2025-10-09 08:53:20 +00:00"
    assert len(client.get(f"/api/events/{ADA}")["events"]) == 2
    assert client.get("/api/events/nobody@example.com") == {"events": []}
