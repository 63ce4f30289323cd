"""Looking at it from the command line: status, rejects, retry, profile."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.conftest import END, Shell, copy_project

AT = ("--as-of", END.isoformat())
WIDTH = 120
ONE_SCREEN = 60


def fits(said: str) -> str:
    assert max(len(line) for line in said.splitlines()) <= WIDTH, said
    return said


def test_status_before_anything(shell: Shell) -> None:
    said = fits(shell.run("status"))
    assert "nothing has been built" in said
    assert shell.json("status")["build"] is None


@pytest.mark.slow
def test_status_after_a_run_fits_a_terminal(ran: Shell) -> None:
    said = fits(ran.run("status"))
    assert "last build: as of 2026-06-30 21:00:00 UTC" in said
    assert "iterable_order_completed_last_30days" in said
    found = ran.json("status")
    keys = {"sync", "destination", "plan", "as_of", "acked", "pending", "rejects", "held",
            "last_run", "ended_at"}  # fmt: skip
    assert all(keys <= sync.keys() for sync in found["syncs"])
    assert {"audience", "status", "as_of", "members", "held"} <= found["audiences"][0].keys()
    assert all(sync["last_run"] == "done" for sync in found["syncs"])
    assert found["orphans"] == []


@pytest.mark.slow
def test_status_shows_the_command_for_what_is_held(ran: Shell) -> None:
    later = ("--as-of", END.replace(month=7, day=8).isoformat())
    with ran.connect() as warehouse:
        warehouse.execute("delete from raw.tracks where event = 'Order Completed'")
    ran.run("run", *later, code=3)
    said = " ".join(fits(ran.run("status")).split())
    orders = audience(ran, "order_completed_last_30days")
    assert orders["approve"] in said
    assert orders["reason"] in said
    ran.run(*orders["approve"].removeprefix("tailrace ").split())
    assert audience(ran, "order_completed_last_30days")["status"] == "committed"


def audience(shell: Shell, key: str) -> dict[str, Any]:
    listed = shell.json("status")["audiences"]
    return next(dict(one) for one in listed if one["audience"] == key)


def test_status_shows_an_account_that_cannot_be_opened(shell: Shell) -> None:
    shell.run("status")
    shell.run("sync", code=2, ITERABLE_API_KEY=None)
    found = shell.json("status")
    assert {sync["last_run"] for sync in found["syncs"]} == {"failed"}
    assert all("ITERABLE_API_KEY" in sync["reason"] for sync in found["syncs"])
    fits(shell.run("status"))


@pytest.mark.slow
def test_rejects_then_retry_then_the_next_sync(ran: Shell) -> None:
    (reject,) = ran.json("rejects")["rejects"]
    assert {"sync", "class", "code", "field", "count", "users"} <= reject.keys()
    assert (reject["sync"], reject["count"]) == ("iterable_engagement_events", 1)
    said = fits(ran.run("rejects"))
    assert reject["command"] in said, "in one piece, to be copied"

    assert "nothing to retry" in ran.run("retry", "--code", "NoSuchCode")
    assert "accepted" in ran.run("retry", "no_such_sync", code=2)
    assert ran.json("retry", "iterable_engagement_events", "--class", "permanent") == {
        "retried": 1,
        "too_old": 0,
        "rejects": [
            {key: reject[key] for key in ("sync", "class", "code", "field", "count")}
            | {"too_old": 0}
        ],
    }
    assert "nothing to retry" in ran.run("retry")
    assert ran.json("rejects")["rejects"][0]["state"] == "retry"
    (sent,) = ran.json("sync", "iterable_engagement_events", *AT)["syncs"]
    assert (sent["calls"], sent["rejected"]) == (1, 1)
    assert ran.json("rejects")["rejects"][0]["state"] == "open"


@pytest.mark.slow
def test_profile_of_a_member(ran: Shell) -> None:
    ((user, email),) = ran.rows(
        "select t.user_id, t.email from analytics.re_engagement r "
        "inner join analytics.user_traits t on r.user_id = t.user_id "
        "where t.email is not null order by 1 limit 1"
    )
    said = fits(ran.run("profile", user))
    assert len(said.splitlines()) <= ONE_SCREEN, said
    assert email not in said
    assert "Last ops" in said
    shown = ran.json("profile", "--email", email.upper(), "--show-pii")
    assert (shown["user_id"], shown["emails"][0]["is_primary"]) == (user, True)
    assert shown["anonymous_ids"]
    assert shown["traits"]["email"] == email
    told = {one["sync"]: one for one in shown["syncs"]}
    assert told["iterable_re_engagement"]["known"][0]["dest_key"] == email
    assert told["iterable_re_engagement"]["ops"][0]["outcome"] == "delivered"
    assert "@" not in json.dumps(ran.json("profile", user))


@pytest.mark.slow
def test_profile_of_nobody(ran: Shell) -> None:
    assert "no such user" in ran.run("profile", "nobody", code=2)
    assert "nobody has this address" in ran.run("profile", "--email", "x@y.example", code=2)
    assert "--email" in ran.run("profile", code=2)
    assert "tailrace build" in replace(ran, folder=ran.folder / "empty").run(
        "profile", "nobody", code=1
    )


def test_validate_reads_schedules(shell: Shell) -> None:
    project = copy_project(shell.folder)
    syncs = project / "models" / "syncs.yml"
    syncs.write_text(syncs.read_text().replace('"*/15 * * * *"', '"*/15 25 * * *"'))
    (finding,) = replace(shell, project=project).json("validate", code=2)["findings"]
    assert (finding["rule"], finding["severity"]) == ("schedule", "error")
    assert syncs.read_text().splitlines()[finding["line"] - 1].strip().startswith("schedule:")
    assert "hour '25'" in finding["message"]
