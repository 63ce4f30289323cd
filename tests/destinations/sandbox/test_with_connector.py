"""The Iterable connector against the sandbox: requests are taken, answers are understood."""

from __future__ import annotations

from dataclasses import replace

from destinations.base import Context, Kind, Outcomes, Response, Secret, Status, SyncShape
from destinations.iterable import Iterable, IterableSettings
from destinations.testing import HOSTILE, render, row

SYNC = SyncShape("traits")
CONTEXT = Context(SYNC)


def deliver(client, kind: Kind, rows, identifier: str = "email") -> Outcomes:
    destination = Iterable(IterableSettings(Secret("sandbox-key"), identifier=identifier))
    request = destination.encode(kind, rows, CONTEXT)
    client.connection.request(
        request.method,
        request.path,
        request.body,
        {name: secret.reveal() for name, secret in destination.auth.items()},
    )
    answer = client.connection.getresponse()
    return destination.decode(kind, rows, Response(answer.status, {}, answer.read()))


def rows_of(kind: Kind, users, event: str = "E", identifier: str = "email"):
    destination = Iterable(IterableSettings(Secret("k"), identifier=identifier))
    spec = destination.columns(kind, SYNC)
    return [
        row(seq, key, render(spec, key, fields, event))
        for seq, (key, fields) in enumerate(users.items(), 1)
    ]


def statuses(rows, outcomes) -> list[Status]:
    return [outcomes.of(each.seq).status for each in rows]


def test_users_and_events_arrive_as_they_were(client) -> None:
    users = {f"u{n}@example.com": {"note": text, "n": n} for n, text in enumerate(HOSTILE)}
    for kind in (Kind.IDENTIFY, Kind.TRACK):
        rows = rows_of(kind, users)
        assert set(statuses(rows, deliver(client, kind, rows))) == {Status.DELIVERED}
    for seq, (key, fields) in enumerate(users.items(), 1):
        assert client.fields(key) == fields
        (event,) = client.events(key)
        assert (event["dataFields"], event["eventName"]) == (fields, "E")
        assert (event["id"], event["createdAt"]) == (
            f"00000000-0000-4000-8000-{seq:012d}",
            1_760_000_000 + seq,
        )


def test_failures_are_told_apart(start) -> None:
    client = start(forgotten=frozenset({"gone@example.com"}))
    client.update(email="known@example.com")
    users = dict.fromkeys(["Known@example.com", "not mail", "gone@example.com", "new@example.com"])
    rows = rows_of(Kind.TRACK, {key: {"n": 1} for key in users})
    assert statuses(rows, deliver(client, Kind.TRACK, rows)) == [
        Status.DELIVERED,
        Status.REJECTED,
        Status.REJECTED,
        Status.LATER,
    ]


def test_a_user_unknown_to_track_is_delivered_where_track_creates(start) -> None:
    client = start(track_creates_users=True)
    rows = rows_of(Kind.TRACK, {"new@example.com": {"n": 1}})
    assert statuses(rows, deliver(client, Kind.TRACK, rows)) == [Status.DELIVERED]


def test_a_wrong_type_is_named_by_its_value_and_the_others_are_unknown(client) -> None:
    client.update(email="ada@example.com", dataFields={"ltv": 1.5})
    rows = rows_of(Kind.IDENTIFY, {"a@example.com": {"ltv": 2.5}, "b@example.com": {"ltv": "x"}})
    outcomes = deliver(client, Kind.IDENTIFY, rows)
    assert statuses(rows, outcomes) == [Status.UNKNOWN, Status.REJECTED]
    assert (outcomes.rest.code, outcomes.rest.field) == ("RequestFieldsTypesMismatched", "ltv")
    assert deliver(client, Kind.IDENTIFY, rows[:1]).rest.status is Status.DELIVERED
    alone = deliver(client, Kind.IDENTIFY, rows[1:]).rest
    assert (alone.status, alone.field) == (Status.REJECTED, "ltv")
    assert alone.detail == "expected double, got string, keyword"


def test_user_id_sync_creates_profiles_in_an_email_project(start) -> None:
    client = start(project="email")
    rows = rows_of(Kind.IDENTIFY, {"u1": {"n": 1}}, identifier="user_id")
    outcomes = deliver(client, Kind.IDENTIFY, rows, "user_id")
    assert statuses(rows, outcomes) == [Status.DELIVERED]
    assert client.fields("u1") == {"n": 1}


def test_sending_the_same_event_again_changes_nothing(client) -> None:
    client.update(email="ada@example.com")
    rows = rows_of(Kind.TRACK, {"ada@example.com": {"n": 1}})
    deliver(client, Kind.TRACK, rows)
    first = client.events("ada@example.com")
    deliver(client, Kind.TRACK, rows)
    assert client.events("ada@example.com") == [{**first[0], "times_received": 2}]
    other = [replace_id(each) for each in rows]
    deliver(client, Kind.TRACK, other)
    assert len(client.events("ada@example.com")) == 2


def replace_id(given):
    return given._replace(op_id="11111111-0000-4000-8000-000000000001")


def test_filtered_fields_become_warnings(client) -> None:
    settings = IterableSettings(Secret("sandbox-key"))
    destination = Iterable(replace(settings, create_fields=False))
    rows = rows_of(Kind.IDENTIFY, {"ada@example.com": {"new": 1}})
    request = destination.encode(Kind.IDENTIFY, rows, CONTEXT)
    client.connection.request("POST", request.path, request.body, {"Api-Key": "sandbox-key"})
    answer = client.connection.getresponse()
    outcomes = destination.decode(Kind.IDENTIFY, rows, Response(answer.status, {}, answer.read()))
    assert outcomes.warnings == {"filteredOutFields:new": 1}
