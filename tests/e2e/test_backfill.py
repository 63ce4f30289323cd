"""Past days from the command line, on the real project and the sample."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestration import backfilling
from orchestration.warehouse.locks import file_lock
from tests.e2e.conftest import END, Shell, copy_project
from tests.support.clocks import FastClock

LIVE = (END + timedelta(hours=4)).isoformat()
DAYS = ("--from", "2026-06-27", "--to", "2026-06-28")
WITHIN = ("--from", "2026-06-30", "--to", "2026-06-30")
STAYS = (
    "select * exclude (evaluation_id) from tailrace.membership_intervals "
    "where audience = 're_engagement' order by all"
)


def built(shell: Shell, audience: str, at: str) -> list[tuple[str]]:
    """Who is in by a build of its own at that instant."""
    shell.json("build", "--as-of", at)
    return shell.rows(f"select user_id from analytics.{audience} order by 1")


def known(shell: Shell, audience: str, at: str) -> list[tuple[str]]:
    return shell.rows(
        "select user_id from tailrace.membership_intervals where audience = $audience "
        "and entered_at <= $at::timestamp and (exited_at is null or exited_at > $at::timestamp) "
        "order by 1",
        {"audience": audience, "at": at},
    )


def state(shell: Shell) -> list[list[tuple[object, ...]]]:
    """All that a sync goes by, and what was sent."""
    tables = ("deltas", "plans", "plan_ops", "acked", "sent_events", "receipts", "rejects")
    found = [shell.rows(f"select * from tailrace.{table} order by all") for table in tables]
    return [*found, [tuple(call.items()) for call in shell.calls()]]


@pytest.mark.slow
def test_a_backfill_is_what_each_day_would_have_said_and_sends_nothing(
    ran: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfilling, "DAYS_AT_ONCE", 1)
    shell = ran
    shell.run("build", "--as-of", LIVE)
    shell.run("evaluate", "re_engagement")
    shell.run("sync", "iterable_re_engagement")
    before = state(shell)
    done = shell.json("backfill", "re_engagement", *DAYS)
    assert done.pop("seconds") > 0
    assert done == {
        "audience": "re_engagement", "from": DAYS[1], "to": DAYS[3], "evaluations": 2, "days_without_users": 0,
        "way": "reference",
    }  # fmt: skip
    history = shell.json("history", "re_engagement")
    assert [day["origin"] for day in history["days"]] == ["backfill"] * 2 + ["live"] * 2
    assert history["unknown"] == [{"from": "2026-06-28T23:59:59Z", "to": "2026-06-30T21:00:00Z"}]
    stays = shell.rows(STAYS)
    for day in ("2026-06-28", "2026-06-27"):
        shell.run("backfill", "re_engagement", "--from", day, "--to", day)
    assert shell.rows(STAYS) == stays
    assert shell.json("history", "re_engagement") == history

    error = shell.json("backfill", "re_engagement", *WITHIN, code=2)["error"]
    assert (error["kind"], error["key"], "--replace" in error["message"]) == (
        "config",
        "--to",
        True,
    )
    beyond = (*WITHIN[:3], "2026-07-01", "--replace")
    error = shell.json("backfill", "re_engagement", *beyond, code=2)["error"]
    assert "a backfill ends on a day before" in error["message"]
    shell.run("backfill", "re_engagement", *WITHIN, "--replace")
    assert state(shell) == before
    assert shell.json("sync", "iterable_re_engagement")["syncs"][0]["calls"] == 0

    expected = built(shell, "re_engagement", f"{DAYS[1]}T23:59:59Z")
    assert len(expected) > 100
    assert known(shell, "re_engagement", f"{DAYS[1]} 23:59:59") == expected


@pytest.mark.slow
def test_an_audience_that_asks_who_left_it_is_filled_in_as_it_was_live(shell: Shell) -> None:
    days = [f"2026-06-{day} 23:59:59" for day in (18, 21, 24, 27)]
    for at in days:
        shell.json("build", "--as-of", f"{at}Z")
        (live,) = shell.json("evaluate", "shallow_sessions")["audiences"]
        assert live["status"] == "committed", live["reasons"]
    said = {at: known(shell, "shallow_sessions", at) for at in days[:3]}
    assert len(set(map(tuple, said.values()))) == 3
    assert shell.rows(
        "select count(*) > 5 from tailrace.membership_intervals where exited_at is not null"
    ) == [(True,)]
    for at in days[1:3]:
        day = at[:10]
        shell.run("backfill", "shallow_sessions", "--from", day, "--to", day, "--replace")
    assert {at: known(shell, "shallow_sessions", at) for at in days[:3]} == said


@pytest.mark.slow
def test_a_day_that_cannot_be_answered_keeps_nothing(shell: Shell) -> None:
    mine = replace(shell, project=copy_project(shell.folder))
    model = mine.project / "models" / "audiences" / "re_engagement.sql"
    plain = model.read_text().rstrip()
    everybody = "select user_id, last_session_at, sessions_90d from users"
    model.write_text(f"{plain}\nunion all\n{everybody}\n")
    found = mine.json("backfill", "re_engagement", *DAYS, code=1)["error"]
    assert "re_engagement.sql: as of 2026-06-27 23:59:59" in found["message"]
    assert "repeat a user_id; this day and those around it were not kept" in found["message"]
    model.write_text(plain)
    locked = shell.folder / "warehouse.duckdb.locks" / "audience-re_engagement"
    with file_lock(locked, "", clock=FastClock(), deadline=0):
        found = mine.json("backfill", "re_engagement", *DAYS, code=1)["error"]
    assert "audience-re_engagement is in use by process" in found["message"]
    model.write_text(plain.replace("sessions_90d > 3", "sessions_90 > 3"))
    found = mine.json("backfill", "re_engagement", *DAYS, code=1)["error"]
    assert "sessions_90" in found["message"]
    assert found["file"] == "models/audiences/re_engagement.sql"
    assert mine.json("history", "re_engagement")["days"] == []


@pytest.mark.slow
def test_a_day_of_own_events_is_what_a_build_would_have_said(empty_shell: Shell) -> None:
    shell = empty_shell
    days = [*range(1, 10), 27]
    rows = [f"{user},Session Started,2026-06-{day:02}T12:00:00Z" for user, some in
            (("away", days[:9]), ("back", days), ("new", days[9:])) for day in some]  # fmt: skip
    events = shell.folder / "events.csv"
    events.write_text("\n".join(["user_id,event,timestamp", *rows]))
    shell.run("load", str(events))
    done = shell.json("backfill", "re_engagement", *DAYS)
    assert done["evaluations"] == 2
    assert not shell.calls()
    expected = built(shell, "re_engagement", f"{DAYS[1]}T23:59:59Z")
    assert known(shell, "re_engagement", f"{DAYS[1]} 23:59:59") == expected == [("away",)]


def test_bad_days_are_named(shell: Shell) -> None:
    for days, key in (
        (("--from", "2026-06-27", "--to", "2026-06-26"), "--to"),
        (("--from", "2026-06-20", "--to", "2099-01-01"), "--to"),
        (("--from", "june", "--to", "2099-01-01"), "--from"),
        (("--from", "2026-06-20"), "--to"),
    ):
        printed = shell.run("backfill", "re_engagement", *days, code=2)
        assert key in printed
    error = shell.json("backfill", "nobody", *DAYS, code=2)["error"]
    assert "re_engagement" in error["accepted"]
