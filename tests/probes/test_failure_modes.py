"""Canaries through every way a delivery can go wrong, and then a look into every sink."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from destinations.base import Request, Response
from destinations.delivery.transport import Failed
from tests.probes.canaries import KEY, PEOPLE, PLAIN_KEY, Search, Talk, endpoint, engine_for, http
from tests.probes.canaries import tailrace as tailrace_on
from tests.support.tiers import first
from tests.support.world import TestClock, World, world_at

EVIL = '\r\n{"at": "2026", "event": "forged"}\n\x1b]0;owned\x07\u2028[red]'


def echo(body: bytes, key: str) -> str:
    """Everything a vendor knows, in one text."""
    users = json.loads(body)
    return f"{key} {json.dumps(users)} {json.dumps(users, ensure_ascii=False)} {EVIL}"


def people(body: bytes) -> list[str]:
    """The texts of a body, its identifiers among them."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
        elif isinstance(value, str):
            found.append(value)

    walk(json.loads(body))
    return found


def refusal(body: bytes, key: str) -> bytes:
    """A 400 that repeats the key and the user in its code, a field and the types."""
    said = people(body)
    wrong = {"expectedType": echo(body, key), "incomingTypes": [key, *said], "offendingValue": 1}
    params = {"validationErrors": {f"label {key} {said[0]}{EVIL}": wrong}}
    return http("400 Bad", json.dumps({"code": f"{key}{said[0]}{EVIL}", "params": params}))


def partly(body: bytes, key: str) -> bytes:
    """A 200 whose lists name rows, and fields that were never sent."""
    count = len(json.loads(body).get("users", json.loads(body).get("events")))
    dropped = [f"{key} {said}{EVIL}" for said in people(body)]
    failed = {"invalidEmails": people(body), "invalidUserIds": people(body)}
    shape = {"successCount": 0, "failCount": count, "failedUpdates": failed}
    return http("200 OK", json.dumps({**shape, "filteredOutFields": dropped, "msg": key}))


def unread(body: bytes, key: str) -> bytes:
    return http("200 OK", f"<html>{echo(body, key)}</html>")


def cut(body: bytes, key: str) -> bytes:
    return http("200 OK", f'{{"msg": "{echo(body, key)}')[:-5]


def redirect(body: bytes, key: str) -> bytes:
    where = f"https://elsewhere.example/?key={key}&email={people(body)[0]}".replace("\n", "")
    return http("302 Found", echo(body, key), Location=where, Set_Cookie=f"k={key}")


def strange(body: bytes, key: str) -> bytes:
    return f"HTTP/1.1 299 {key} {people(body)[0]!r}\r\nX-{key}\r\n\r\n{echo(body, key)}".encode()


def answer(status: str, **headers: str) -> Talk:
    return lambda body, key: http(status, json.dumps({"msg": echo(body, key)}), **headers)


MODES: dict[str, Talk] = {
    "401 that repeats the key": answer("401 Unauthorized"),
    "403": answer("403 Forbidden"),
    "400 that repeats key and user": refusal,
    "404": answer("404 Not Found"),
    "413": answer("413 Too Large"),
    "429": answer("429 Slow", Retry_After="1000"),
    "500 in HTML": lambda body, key: http("500 Oops", f"<html>{echo(body, key)}</html>"),
    "redirect with the key in it": redirect,
    "200 that rejects": partly,
    "200 that is HTML": unread,
    "200 that is cut off": cut,
    "a status line that is none": strange,
}
BEFORE_ANY_ANSWER = ("connection refused", "timeout", "TLS", "crash", "crash with a traceback")
WITHOUT_A_CALL = ("held", "duplicate keys", "a cast that fails")
VERBS = ("sync", "plan", "status", "rejects", "evaluate", "retry")
IN_TEXT = ("sync", "plan", "rejects", "profile")


class Wrapped:
    """A transport that fails before it comes to an answer."""

    def __init__(self, real: Any, send: Callable[[Request], Response | Failed]) -> None:
        self.real, self._send = real, send

    def send(self, request: Request, *, timeout: float) -> Response | Failed:
        return self._send(request)

    def close(self) -> None:
        self.real.close()


def crash(request: Request) -> Response | Failed:
    raise RuntimeError(f"{KEY} {request.body.decode()} {list(PEOPLE.values())}")


@pytest.fixture
def world_of(tmp_path: Path) -> Iterator[Callable[[str], World]]:
    opened: list[Any] = []

    def make(url: str) -> World:
        manager = world_at(tmp_path, TestClock(), url)
        opened.append(manager)
        world = manager.__enter__()
        fill(world)
        return world

    yield make
    for manager in opened:
        manager.__exit__(None, None, None)


def fill(world: World) -> None:
    """Users who are canaries, two syncs of them and an audience."""
    texts = [PEOPLE["name"], PEOPLE["phone"], PEOPLE["text"]]
    emails = [PEOPLE["e-mail"], PEOPLE["odd e-mail"], "third@example.com"]
    ids = [PEOPLE["id"], PEOPLE["hostile id"], "canary-third"]
    at = world.step()
    world.audience("lapsed")
    world.sync("traits", sends="traits", fields={"label": "label", "score": "score"})
    world.sync("told", sends="membership", audience="lapsed", **{"as": "track"})
    users = zip(ids, emails, texts, strict=True)
    world.users({i: {"email": e, "label": t, "score": 491705550199.0} for i, e, t in users}, at)
    world.members("lapsed", set(ids), at)
    world.evaluate("lapsed")


def probe(world: World, mode: str, key: str = KEY) -> Search:
    """Run the verbs, then look everywhere."""
    search = Search()
    engine = engine_for(world, key)
    extra = {"TAILRACE_TRACEBACK": "1"} if mode == "crash with a traceback" else {}
    calls = [(verb,) for verb in VERBS] + [("profile", PEOPLE["id"]), ("history", "lapsed")]
    for call in calls:
        for form in ((), ("--json",)) if call[0] in IN_TEXT else (("--json",),):
            _, said = tailrace_on(world, engine, *call, *form, **extra)
            # A traceback was asked for: it may say what the error said, keys and addresses apart.
            only = [n for n in search.canaries if not extra or n not in PEOPLE or "mail" in n]
            search.text(f"{call[0]} {' '.join(form)}", said, only)
            assert "\x1b" not in said
            assert "\u2028" not in said
            assert not [line for line in said.splitlines() if line.startswith('{"at": "2026"')]
    search.files(engine.state_dir)
    search.warehouse(world)
    return search


@pytest.mark.parametrize("mode", first(3, MODES))
def test_what_a_vendor_repeats_goes_nowhere(mode: str, world_of: Callable[[str], World]) -> None:
    with endpoint(MODES[mode]) as url:
        probe(world_of(url), mode).check()


@pytest.mark.slow
def test_a_key_of_letters_and_digits_goes_nowhere(world_of: Callable[[str], World]) -> None:
    with endpoint(refusal) as url:
        probe(world_of(url), "400", PLAIN_KEY).check()


@pytest.mark.parametrize("mode", first(1, BEFORE_ANY_ANSWER))
def test_what_fails_before_an_answer_tells_nothing(
    mode: str, world_of: Callable[[str], World]
) -> None:
    url = "http://127.0.0.1:9" if mode == "connection refused" else "https://127.0.0.1:9"
    world = world_of(url)
    if mode == "timeout":
        world.wrap = lambda real: Wrapped(real, lambda _: Failed("timed out", sent=True))
    if mode.startswith("crash"):
        world.wrap = lambda real: Wrapped(real, crash)
    probe(world, mode).check()


@pytest.mark.parametrize("mode", WITHOUT_A_CALL)
def test_what_is_not_sent_tells_nothing_of_whom(
    mode: str, world_of: Callable[[str], World]
) -> None:
    world = world_of("http://127.0.0.1:9")
    if mode == "held":
        world.sync("told", sends="membership", audience="lapsed", max_first=0, **{"as": "track"})
        world.sync("traits", sends="traits", fields={"label": "label"}, max_first=0)
    elif mode == "duplicate keys":
        users = "(select user_id, 1.0 as level from analytics.user_traits)"
        world.relation("lapsed", f"from {users} union all from {users}", world.step())
    else:
        fields = {"label": {"sql": "cast(label as double)"}, "score": "score"}
        world.sync("traits", sends="traits", fields=fields)
    probe(world, mode).check()
