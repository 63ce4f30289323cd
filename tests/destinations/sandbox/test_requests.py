"""What every call goes through: key, size, form, rate, log; and the server around it."""

from __future__ import annotations

import http.client
import json
import socket
import threading

import pytest

from destinations.base import Response, Secret
from destinations.errors import ConfigError, DataError
from destinations.iterable import Iterable, IterableSettings
from destinations.sandbox import LOST, SandboxSettings, calls, profile, running, serve
from destinations.sandbox.people import valid_email, valid_user_id

ADA = {"email": "ada@example.com", "dataFields": {"n": 1}}
BULK = "/api/users/bulkUpdate"


def test_a_wrong_key_is_refused_and_logged(client) -> None:
    for method, path in (("POST", BULK), ("GET", "/api/users/ada@example.com")):
        status, body, _ = client.request(method, path, b'{"users":[]}', key="guess")
        assert (status, body["code"]) == (401, "BadApiKey")
    assert [call["status"] for call in client.calls()] == [401, 401]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "BadJsonBody"),
        (b"not json", "BadJsonBody"),
        (b"[]", "BadJsonBody"),
        (b'{"users":[', "BadJsonBody"),
        (b'{"users":[],"x":NaN}', "BadJsonBody"),
        (b'{"users":[],"x":"\xff"}', "BadJsonBody"),
        (b'{"users":[{"email":"\\ud83d@example.com"}]}', "BadJsonBody"),
        (b"[" * 100_000, "BadJsonBody"),
        (b"{}", "BadParams"),
        (b'{"users":{}}', "BadParams"),
        (b'{"users":[1]}', "BadParams"),
        (b'{"users":[{}]}', "BadParams"),
        (b'{"users":[{"email":"a@example.com","dataFields":"x"}]}', "BadParams"),
        (b'{"users":[{"email":"a@example.com","mergeNestedObjects":1}]}', "BadParams"),
    ],
)
def test_a_body_of_another_form_is_refused(shared, body, code) -> None:
    status, answer, _ = shared.request("POST", BULK, body)
    assert (status, answer["code"]) == (400, code)


def test_count_and_size_are_limited(client) -> None:
    users = [{"email": f"u{n}@example.com"} for n in range(1001)]
    assert client.bulk_update(*users[:1000])[1]["successCount"] == 1000
    status, body = client.bulk_update(*users)
    assert (status, body["code"]) == (400, "BatchTooLarge")
    fits = json.dumps({"users": [{**ADA, "dataFields": {"pad": ""}}]}).encode()
    for extra, expected in ((0, 200), (1, 413), (20_000_000, 413)):
        pad = b"x" * (4_000_000 - len(fits) + extra)
        body = fits.replace(b'"pad": "', b'"pad": "' + pad)
        assert client.request("POST", BULK, body)[0] == expected
    # The connection is still good after a body that was too large.
    assert client.update(**ADA)[0] == 200


def test_unknown_calls_are_not_found(client) -> None:
    assert client.request("POST", "/api/lists/subscribe", b"{}")[0] == 404
    assert client.request("GET", BULK + "/more")[0] == 404


@pytest.mark.parametrize(("path", "rate"), [(BULK, 5), ("/api/events/trackBulk", 10)])
def test_the_rate_is_a_sliding_second(client, clock, path, rate) -> None:
    body = json.dumps({"users": [], "events": []}).encode()
    for _ in range(rate - 1):
        assert client.request("POST", path, body)[0] == 200
    clock.sleep(0.6)
    assert client.request("POST", path, body)[0] == 200
    for _ in range(3):
        status, answer, headers = client.request("POST", path, body)
        assert (status, answer["code"]) == (429, "RateLimitExceeded")
        assert headers["retry-after"] == "1"
        assert answer["params"] == {
            "rateLimitLimit": rate,
            "rateLimitRemaining": 0,
            "rateLimitReset": 1,
        }
    assert client.update(**ADA)[0] == 200  # each call has its own second
    clock.sleep(0.4)  # the first calls are a second old, the last one is not
    for _ in range(rate - 1):
        assert client.request("POST", path, body)[0] == 200
    assert client.request("POST", path, body)[0] == 429
    clock.sleep(0.6)
    assert client.request("POST", path, body)[0] == 200


def test_the_connector_reads_the_pause_of_a_429(start) -> None:
    client = start(script=(429,))
    status, body, headers = client.request("POST", BULK, b"{}")
    destination = Iterable(IterableSettings(Secret("sandbox-key"), base_url=client.url))
    assert destination.pause(Response(status, headers, json.dumps(body).encode())) == 1.0


def test_limits_and_checks_can_be_switched_off(start) -> None:
    client = start(limits=False, checks=False)
    for _ in range(7):
        assert client.bulk_update(ADA)[0] == 200
    assert client.request("POST", BULK, b'{"users":[]}', key="any")[0] == 200
    assert client.bulk_update({"email": "odd", "dataFields": {"n": "text"}})[1]["failCount"] == 0


def test_open_throttle_answers_without_keeping(tmp_path, start) -> None:
    client = start(limits=False, checks=False, store=False)
    status, body = client.bulk_update(ADA, ADA, ADA)
    assert (status, body["successCount"], body["failCount"]) == (200, 3, 0)
    assert client.update(**ADA)[1]["code"] == "Success"
    assert client.get("/api/users/ada@example.com") == {}
    assert list(tmp_path.iterdir()) == []


def test_open_throttle_can_still_limit(start) -> None:
    client = start(checks=False, store=False)
    assert [client.bulk_update(ADA)[0] for _ in range(6)] == [200] * 5 + [429]


def test_a_script_answers_the_next_calls(start) -> None:
    client = start(script=(500, 429, 401, 200))
    assert [client.bulk_update(ADA)[0] for _ in range(5)] == [500, 429, 401, 200, 200]
    assert client.fields("ada@example.com") == {"n": 1}
    assert [call["accepted"] for call in client.calls()] == [0, 0, 0, 1, 1]


def test_a_lost_answer_was_applied(start) -> None:
    client = start(script=(LOST,))
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        client.bulk_update(ADA)
    assert client.fields("ada@example.com") == {"n": 1}


def test_calls_and_profile_have_the_shapes_of_the_command_line(client, clock) -> None:
    client.update(**ADA, userId="u1")
    clock.sleep(1.5)
    client.get("/api/users/ada@example.com")
    assert calls(client.state) == {
        "calls": [
            {
                "received_at": "2026-11-02T12:00:00.000+00:00",
                "method": "POST",
                "path": "/api/users/update",
                "status": 200,
                "items": 1,
                "accepted": 1,
            },
            {
                "received_at": "2026-11-02T12:00:01.500+00:00",
                "method": "GET",
                "path": "/api/users/ada@example.com",
                "status": 200,
                "items": 0,
                "accepted": 0,
            },
        ]
    }
    assert [call["method"] for call in calls(client.state, limit=1)["calls"]] == ["GET"]
    found = profile(client.state, "u1")
    assert found == profile(client.state, "ADA@example.com")
    assert found["profile"]["dataFields"] == {"n": 1}
    assert (found["events"], found["lists"]) == ([], [])
    assert profile(client.state, "nobody") == {"profile": None, "events": [], "lists": []}


def test_reading_where_nothing_ran_says_so(tmp_path) -> None:
    with pytest.raises(DataError, match="tailrace sandbox serve"):
        calls(tmp_path / "none.sqlite")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.com", "::"])
def test_only_loopback_is_served(tmp_path, clock, host) -> None:
    with pytest.raises(ConfigError) as caught:
        serve(SandboxSettings(state=tmp_path / "s.sqlite"), clock, host=host, port=0)
    assert caught.value.key == "host"


def test_a_taken_port_is_named(tmp_path, clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=str(port)),
            running(SandboxSettings(state=tmp_path / "s.sqlite"), clock, port),
        ):
            pass


def test_a_file_that_cannot_be_opened_is_named(tmp_path, clock) -> None:
    (tmp_path / "text").write_text("this is not a database, but it is long enough to be one")
    for state in (tmp_path, tmp_path / "text", tmp_path / "text" / "below"):
        with (
            pytest.raises(ConfigError) as caught,
            running(SandboxSettings(state=state), clock),
        ):
            pass
        assert (caught.value.key, caught.value.file) == ("state", str(state))


def test_state_is_needed_to_store(clock) -> None:
    with pytest.raises(ConfigError), running(SandboxSettings(), clock):
        pass


def test_a_server_that_fails_to_start_is_not_waited_for(tmp_path, clock, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is on fire")

    monkeypatch.setattr("destinations.sandbox.app.Sandbox.__init__", fail)
    with (
        pytest.raises(RuntimeError, match="did not start"),
        running(SandboxSettings(state=tmp_path / "s.sqlite"), clock),
    ):
        pass


def test_nothing_is_left_running(tmp_path, clock) -> None:
    before = threading.active_count()
    with running(SandboxSettings(state=tmp_path / "s.sqlite"), clock) as url:
        port = int(url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)):
            pass
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize(
    "email", ["a@b.co", "first.last+tag@sub.example.museum", "x_y-z@1.example.com", "O'B@x.ie"]
)
def test_good_addresses(email) -> None:
    assert valid_email(email)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "a",
        "a@",
        "@b.co",
        "a@b",
        "a b@c.de",
        "a@b..co",
        "a..b@c.de",
        ".a@b.co",
        "a.@b.co",
        "a@-b.co",
        "a@b.co\n",
        "a@b@c.de",
        "a,b@c.de",
        f"{'a' * 65}@b.co",
        f"a@{'b' * 250}.co",
    ],
)
def test_bad_addresses(email) -> None:
    assert not valid_email(email)


@pytest.mark.parametrize(
    ("user_id", "good"),
    [
        ("u", True),
        ("x" * 52, True),
        ("a b", True),
        ("", False),
        ("x" * 53, False),
        ("trailing ", False),
        ("é", False),
        ("a\tb", False),
        ("u\n", False),
    ],
)
def test_user_ids(user_id, good) -> None:
    assert valid_user_id(user_id) is good
