"""A request whose answer was lost may be applied late; what comes after it for a profile waits."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from destinations.base import Request, Response
from destinations.delivery.transport import Failed, Transport
from orchestration.desired.scope import Mode
from orchestration.plan_store import close_plan, open_plan
from tests.support.faults import down
from tests.support.world import World

pytestmark = pytest.mark.slow

LOST = Failed("connection lost", sent=True)


class Late:
    """Loses every answer; what was sent is applied `seconds` after the last of it, in order."""

    def __init__(self, world: World, seconds: float) -> None:
        self.world, self.seconds = world, seconds
        self.held: list[Request] = []
        self.sent_at: list[tuple[datetime, list[str]]] = []
        self.loses = True
        self.due: datetime | None = None
        world.wrap = self._around

    def _around(self, real: Transport) -> Any:
        self.real = real
        return self

    def send(self, request: Request, *, timeout: float) -> Response | Failed:
        now = self.world.clock.now()
        users = [user["email"] for user in json.loads(request.body)["users"]]
        self.sent_at.append((now, users))
        if self.loses:
            self.held, self.due = [request], now + timedelta(seconds=self.seconds)
            return LOST
        if self.due and now >= self.due:
            self.apply()
        return self.real.send(request, timeout=timeout)

    def apply(self) -> None:
        for request in self.held:
            self.real.send(request, timeout=30.0)
        self.held, self.due = [], None

    def close(self) -> None:
        return


@pytest.fixture
def said(world: World) -> World:
    world.audience("lapsed")
    world.sync("said", audience="lapsed", sends="membership", **{"as": "identify"})
    at = world.step()
    world.users({"a": {}, "b": {}}, at)
    world.members("lapsed", {"a"}, at)
    world.evaluate("lapsed")
    world.run("said")
    at = world.step()
    world.users({"a": {}, "b": {}}, at)
    world.members("lapsed", {"a", "b"}, at)
    world.evaluate("lapsed")
    return world


def test_a_later_word_waits_until_the_doubtful_one_is_over(said: World) -> None:
    late = Late(said, seconds=50)
    assert said.run("said").status == "incomplete"
    lost_at, late.loses = said.clock.now(), False
    late.sent_at.clear()
    run = said.run("said", mode=Mode.RETIRE)
    assert run.status == "done"
    late.apply()
    assert said.fields("b@example.com")["lapsed"] is False, "not what was applied late"
    (first, others), (second, doubtful) = late.sent_at
    assert others == ["a@example.com"], "who is in no doubt need not wait"
    assert first - lost_at < timedelta(seconds=5)
    assert doubtful == ["b@example.com"]
    assert timedelta(seconds=60) <= second - lost_at < timedelta(seconds=65)


@pytest.mark.parametrize("hours", [0, 7])
def test_the_same_word_again_need_not_wait(said: World, hours: int) -> None:
    """Neither to finish the plan nor, once that has waited too long, as an op of the next one."""
    down(said, LOST)
    said.run("said")
    said.wrap = None
    said.clock.instant += timedelta(hours=hours)
    again = said.clock.now()
    assert said.run("said").delivered == 1
    assert said.clock.now() - again < timedelta(seconds=5)


def test_nobody_waits_for_more_than_a_minute(said: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeout of 40 s may leave a request on its way for 80 s: the next run goes on."""
    late = Late(said, seconds=75)
    endpoints = said.engine().destination(said.syncs["said"]).endpoints
    slow = {kind: replace(endpoint, timeout=40.0) for kind, endpoint in endpoints.items()}
    monkeypatch.setattr("destinations.iterable._ENDPOINTS", slow)
    said.run("said")
    late.loses = False
    run = said.run("said", mode=Mode.RETIRE)
    assert run.status == "incomplete"
    assert run.delivered == 1
    assert "may still be under way" in run.reasons[0]
    said.clock.instant += timedelta(seconds=30)
    assert said.run("said", mode=Mode.RETIRE).status == "done"
    late.apply()
    assert said.fields("b@example.com")["lapsed"] is False


def test_a_plan_says_until_when_an_op_waits(said: World) -> None:
    late = Late(said, seconds=50)
    said.run("said")
    late.loses = False
    closed = said.clock.now().replace(tzinfo=None)
    said.run("said", mode=Mode.RETIRE)
    found = said.rows(
        "select dest_key, not_before from tailrace.plan_ops where op = 'exit' order by seq"
    )
    assert [key for key, _ in found] == ["a@example.com", "b@example.com"]
    assert found[0][1] is None
    assert timedelta(seconds=60) <= found[1][1] - closed < timedelta(seconds=62)


def test_a_word_that_was_answered_on_its_repeat_may_still_come_late(said: World) -> None:
    """Its first attempt had no answer: what is said next waits for that as well."""
    late = Late(said, seconds=50)
    real = late.send

    def lose_the_first(request: Request, *, timeout: float) -> Response | Failed:
        late.loses = not late.sent_at
        return real(request, timeout=timeout)

    late.send = lose_the_first  # type: ignore[method-assign]
    assert said.run("said").status == "done"
    (lost_at, _), _ = late.sent_at
    said.members("lapsed", {"a"}, said.step(1 / 3600))
    said.users({"a": {}, "b": {}}, said.clock.now())
    said.evaluate("lapsed")
    assert said.run("said").status == "done"
    late.apply()
    assert said.fields("b@example.com")["lapsed"] is False, "not what was applied late"
    assert late.sent_at[-1][0] - lost_at >= timedelta(seconds=60)


def test_what_was_refused_on_its_repeat_may_have_been_taken_before(said: World) -> None:
    """So who then leaves is told to, although nothing says that they were ever in."""
    conflict = {"successCount": 0, "failCount": 1}
    refused = {**conflict, "failedUpdates": {"conflictEmails": ["b@example.com"]}}

    class TakesAndRefuses:
        def __init__(self, real: Transport) -> None:
            self.real, self.calls = real, 0

        def send(self, request: Request, *, timeout: float) -> Response | Failed:
            self.calls += 1
            if self.calls == 1:
                self.real.send(request, timeout=timeout)
                return LOST
            return Response(200, {}, json.dumps(refused).encode())

        def close(self) -> None:
            self.real.close()

    said.wrap = TakesAndRefuses
    assert said.run("said").rejected == 1
    said.wrap = None
    at = said.step()
    said.users({"a": {}, "b": {}}, at)
    said.members("lapsed", {"a"}, at)
    said.evaluate("lapsed")
    assert said.run("said").delivered == 1
    assert said.fields("b@example.com")["lapsed"] is False


def test_a_plan_given_up_unsent_does_not_end_the_wait(said: World) -> None:
    """What it would have said is planned again, and still waits for the word before it."""
    late = Late(said, seconds=50)
    assert said.run("said").status == "incomplete"
    lost_at = said.clock.now()
    engine = said.engine()
    with said.connect() as warehouse:
        plan = open_plan(warehouse, said.syncs["said"])
        assert plan is not None
        close_plan(warehouse, plan, lost_at + timedelta(seconds=60), [(1, plan.ops)])
    said.members("lapsed", {"a"}, said.step(1 / 3600))
    said.users({"a": {}, "b": {}}, said.clock.now())
    said.evaluate("lapsed")
    said.store("said")
    with said.connect() as warehouse:
        plan = open_plan(warehouse, said.syncs["said"])
        assert plan is not None
        close_plan(warehouse, plan, engine.clock.now() + timedelta(seconds=60), [])
    late.loses = False
    late.sent_at.clear()
    assert said.run("said").status == "done"
    late.apply()
    assert said.fields("b@example.com")["lapsed"] is False
    assert late.sent_at[0][0] - lost_at >= timedelta(seconds=60)
